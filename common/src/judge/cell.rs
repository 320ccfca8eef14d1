//! How the statistic behaves on one certified cell: an engine, a device, an attention kernel, a batch shape.

use serde::{Deserialize, Serialize};

use super::mean;
use super::statistic::{judged, Moments, Scorer, Statistic};
use super::whitening::Whitened;

/// An engine with its version, on a kind of device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    pub engine: String,
    pub device: String,
}

/// Who answered, in which way, and who measured it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    pub executor: Platform,
    /// Attention kernel, batch shape, threads: what moves an executor's numbers on one platform.
    pub setting: String,
    pub juror: Platform,
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", self.engine, self.device)
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}, measured by {}", self.executor, self.setting, self.juror)
    }
}

/// Range and step of a histogram, in units of the statistic; both are multiples of a sixteenth, so edges are exact.
const LOWEST: f64 = -16.0;
const STEP: f64 = 0.0625;
const STEPS: usize = 512;

/// Honest values of a statistic, one list for each answer, in the order of its positions.
pub type Answers = Vec<Vec<f64>>;

/// How often values fall into steps of equal width, from `lowest` on; values outside count in the first and last step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    pub lowest: f64,
    pub step: f64,
    pub counts: Vec<u32>,
}

impl Histogram {
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut counts = vec![0u32; STEPS];
        for value in values {
            let at = ((value - LOWEST) / STEP).floor().clamp(0.0, (STEPS - 1) as f64) as usize;
            counts[at] = counts[at].saturating_add(1);
        }
        Self { lowest: LOWEST, step: STEP, counts }
    }

    pub fn total(&self) -> u64 {
        self.counts.iter().copied().map(u64::from).sum()
    }
}

/// What a calibration holds of one cell, measured on the prompts that the fit did not see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellSummary {
    pub cell: Cell,
    pub answers: usize,
    /// Positions in them whose mean is judged.
    pub tokens: usize,
    /// Of the statistic over all those positions, in its units.
    pub mean: f64,
    pub position_sd: f64,
    /// Standard deviation of the answers' means around the cell's mean: positions of an answer share a noise level.
    pub sequence_sd: f64,
    pub histogram: Histogram,
    /// Far positions, all positions counted, and the standard deviation of the answers' shares of them.
    pub far: u64,
    pub positions: u64,
    pub far_sequence_sd: f64,
}

impl CellSummary {
    /// Of a cell's answers, each a list of whitened positions that is not empty.
    pub fn of(cell: Cell, answers: &[&[Whitened]], scorer: &Scorer, statistic: Statistic) -> Self {
        let values = values(answers, scorer, statistic);
        let all = Moments::of(values.iter().flatten().copied());
        let means = values.iter().map(|answer| mean(answer.iter().copied()));
        let far = answers.iter().map(|answer| far(answer, scorer));
        let shares = far.clone().zip(answers).map(|(far, answer)| far as f64 / answer.len().max(1) as f64);
        Self {
            cell,
            answers: answers.len(),
            tokens: values.iter().map(Vec::len).sum(),
            mean: all.mean,
            position_sd: all.sd,
            sequence_sd: mean(means.map(|mean| (mean - all.mean).powi(2))).sqrt(),
            histogram: Histogram::of(values.iter().flatten().copied()),
            far: far.sum(),
            positions: answers.iter().map(|answer| answer.len() as u64).sum(),
            far_sequence_sd: Moments::of(shares).sd,
        }
    }
}

/// The statistic at the judged positions of each answer.
pub fn values(answers: &[&[Whitened]], scorer: &Scorer, statistic: Statistic) -> Answers {
    let of_answer = |answer: &&[Whitened]| {
        judged(answer).iter().map(|position| scorer.value(statistic, position)).collect()
    };
    answers.iter().map(of_answer).collect()
}

/// Far positions of an answer.
pub fn far(answer: &[Whitened], scorer: &Scorer) -> u64 {
    answer.iter().filter(|position| scorer.is_far(position)).count() as u64
}

/// Means of contiguous blocks of so many positions, none across two answers; what is left over at an end is left out.
pub fn block_means(answers: &[Vec<f64>], length: usize) -> Vec<f64> {
    let blocks = answers.iter().flat_map(|answer| answer.chunks_exact(length.max(1)));
    blocks.map(|block| mean(block.iter().copied())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_never_crosses_from_one_answer_into_the_next() {
        let answers = vec![vec![1.0, 3.0, 5.0], vec![7.0], vec![2.0, 4.0]];
        assert_eq!(block_means(&answers, 2), [2.0, 3.0]);
        assert_eq!(block_means(&answers, 1).len(), 6);
        assert_eq!(block_means(&answers, 4), [] as [f64; 0]);
    }

    #[test]
    fn a_histogram_keeps_every_value() {
        let histogram = Histogram::of([-99.0, -16.0, 0.0, 0.06, 0.0625, 99.0].into_iter());
        assert_eq!(histogram.total(), 6);
        assert_eq!((histogram.counts[0], histogram.counts[256], histogram.counts[257]), (2, 2, 1));
        assert_eq!(histogram.counts[STEPS - 1], 1);
    }
}
