//! The numbers of the report, as docs/science/results.json has them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::executor::Role;
use super::counts::Counts;
use super::power::{ByLength, Power};

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// What measured.
    pub machine: String,
    /// The model's name and the SHA-256 of its file.
    pub model: String,
    pub code: String,
    pub statistic_version: u32,
    pub prompts: String,
    pub seed_tag: String,
    /// Resamples and seed of the intervals.
    pub bootstrap: Bootstrap,
    pub schemes: BTreeMap<String, Scheme>,
    pub artifact_bytes_per_token: Bytes,
    /// Seconds that a juror's measurement takes over those that the answer took, over all honest answers of our own engine; and cell by cell.
    pub verify_over_generate: f64,
    pub verify_over_generate_by_cell: BTreeMap<String, f64>,
    pub peers: BTreeMap<String, Peer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    pub resamples: usize,
    pub seed: u64,
}

/// Of whole artifacts, prompt and request included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bytes {
    pub raw: f64,
    pub zstd: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    pub version: String,
    pub bytes_per_token: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scheme {
    /// The judge's statistic.
    pub statistic: String,
    /// Tokens of all honest answers, in the three parts.
    pub honest_tokens: u64,
    pub honest_tokens_by_split: BTreeMap<String, u64>,
    /// Honest blocks of the development part, of all cells together: what thresholds rest on.
    pub honest_blocks: ByLength<usize>,
    pub cells: BTreeMap<String, CellFigures>,
    /// By statistic, rate and length: the threshold, and what share of the test part's honest blocks lies beyond it.
    pub thresholds: BTreeMap<String, BTreeMap<String, ByLength<Option<ThresholdFigures>>>>,
    pub attacks: BTreeMap<String, BTreeMap<String, Power>>,
    /// Tokens that evidence at 1e-6 took on honest cells: none should have it.
    pub honest_detected: BTreeMap<String, BTreeMap<String, Option<usize>>>,
    /// How whole answers are judged.
    pub verdicts: BTreeMap<String, Counts>,
}

/// Of the judge's statistic on the test part, in its units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellFigures {
    pub mean: f64,
    pub sequence_sd: f64,
    pub position_sd: f64,
    pub role: Role,
    pub engine: String,
    pub setting: String,
    pub answers: usize,
    pub tokens: usize,
    /// Share of far positions.
    pub far: f64,
    /// Whether the calibration certifies it.
    pub certified: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdFigures {
    pub value: f64,
    pub extrapolated: bool,
    /// Share of the honest test blocks of the worst cell, and of all cells, beyond it.
    pub beyond_worst_cell: f64,
    pub beyond: f64,
}
