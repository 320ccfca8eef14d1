//! Why a calibration cannot be made, or must not be used.

use super::{MIN_RUNS, VERSION};
use crate::evidence::BinsError;
use crate::ids::ModelDigest;
use crate::judge::fit::FitError;
use crate::judge::statistic::STATISTIC_VERSION;

/// A calibration that must not be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    #[error("{found} honest answers of a cell are too few, {MIN_RUNS} are needed")]
    TooFew { found: usize },
    #[error("the calibration is for model {found}, this is model {expected}")]
    OtherModel { found: ModelDigest, expected: ModelDigest },
    #[error("the calibration was made with version {found} of the checks, these are version {VERSION}; make it anew")]
    OtherVersion { found: u32 },
    #[error("honest answer {prompt} does not replay: the executor that made it is not honest")]
    NotHonest { prompt: usize },
    #[error("the calibration holds {field} = {value}, which no calibration gives")]
    NotANumber { field: &'static str, value: f64 },
    #[error("the calibration was made with version {found} of the statistic, this is version {STATISTIC_VERSION}; make it anew")]
    OtherStatistic { found: u32 },
    #[error("no cell is certified")]
    NoCell,
    #[error("{found} honest answers of {cell} are left to check the fit on, {expected} are needed")]
    Unchecked { cell: String, found: usize, expected: usize },
    #[error("the answer to prompt {prompt} has {positions} positions and {whitened} whitened ones")]
    Unequal { prompt: usize, positions: usize, whitened: usize },
    #[error("{found} honest probes are too few, {expected} are needed")]
    Probes { found: usize, expected: usize },
    #[error("the fit to honest positions")]
    Fit(#[from] FitError),
    #[error("the calibration's bins")]
    Bins(#[source] BinsError),
    #[error("{edges} score edges for {passes} bins of passed answers: one less, and rising, expected")]
    Edges { edges: usize, passes: usize },
}
