//! Judging with two passes of the model: a sharp statistic where one pass has only the distance.
//!
//! The checks are those of one pass, with the whitened statistic and the count of far positions before the distance. The
//! distance stays judged, at its own loose limit: it alone sees a constant that is added to all of a row's numbers and a
//! cut in the wrong place.

mod calibration;
mod verdict;

use serde::{Deserialize, Serialize};

use super::surprisal::Surprise;
use super::whitening::Whitened;
use super::Measurement;

pub use calibration::{
    calibrate, Basis, HonestAnswer, HonestCell, TwoPassCalibration, MIN_CHECKED, MIN_PROBES,
};
pub use verdict::judge;

/// What two passes say about an artifact: one entry for each token in every list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TwoPassMeasurement {
    /// What the reference pass says alone.
    pub reference: Measurement,
    pub whitened: Vec<Whitened>,
    pub comparators: Vec<Comparators>,
}

/// What other systems would look at; reported, never judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparators {
    /// See [`super::gonka::relative`].
    pub relative: f64,
    /// None at temperature 0.
    pub surprise: Option<Surprise>,
}
