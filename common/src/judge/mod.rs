//! Judging one artifact against the validator's own recomputation: the one place with floats.
//!
//! Cheapest proof first: *replay* (exact: do the signed numbers and the seed give these tokens?), *whitened distance* (are
//! the signed numbers those of the model, in units of the noise that two passes of it show?), *perplexity* (would the model
//! have emitted these tokens under this seed?). Pure functions of the artifact, the measurement and a calibration made from
//! honest runs only; `docs/science.md` specifies them.

pub mod binomial;
pub mod bins;
mod calibration;
pub mod cell;
pub mod cholesky;
pub mod distance;
mod edge;
pub mod far;
pub mod fit;
pub mod gonka;
mod limit;
mod measurement;
pub mod normal;
pub mod null;
mod perplexity;
pub mod power;
mod report;
pub mod statistic;
pub mod surprisal;
mod verdict;
pub mod whitening;

pub use calibration::{
    calibrate, Basis, Calibration, CalibrationError, HonestAnswer, HonestCell, MIN_CHECKED, MIN_PROBES,
    MIN_RUNS, VERSION,
};
pub use cell::{Cell, Platform};
pub use limit::Limit;
pub use measurement::{measure_reference, Comparators, Distribution, Measurement, Position, Referenced};
pub use perplexity::to_unit_interval;
pub use report::{Check, Report, WhitenedReport};
pub use verdict::{judge, judge_measured, Exact};

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    if count == 0 {
        0.0
    } else {
        sum / f64::from(count)
    }
}
