//! The settlement under a model's own calibration, and under scores that were measured: how often the honest are forfeited,
//! how soon attacks are, and from which distance on a cheaper model does not pay.

pub mod detection;
pub mod forfeits;
pub mod near_equal;
pub mod rare;
pub mod results;
pub mod scores;
mod section;
pub mod sequential;
pub mod shares;

use assay_common::judge::Calibration;

use scores::Scores;

pub use section::section;

/// What was measured of one model; both have passed their checks.
#[derive(Clone, Debug)]
pub struct Basis {
    pub calibration: Calibration,
    /// None where only the calibration is there: its cells' histograms stand for honest answers, and no attack was measured.
    pub scores: Option<Scores>,
}
