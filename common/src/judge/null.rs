//! What the mean of an honest answer may be: the worst certified cell, widened for cells that were not measured.

use serde::{Deserialize, Serialize};

use super::cell::{block_means, CellSummary};

/// Standard deviations of the answers' means by which a cell is shifted (science.md §7).
pub(in crate::judge) const WIDENING: f64 = 3.0;
/// z of the normal distribution that one in a thousand exceeds.
const NORMAL_Z: f64 = 3.090_232_306_167_813_5;
/// The share of honest blocks that the limit leaves above it, at every length that was measured.
const BLOCK_MISS: f64 = 1e-3;
/// Blocks below which a length says nothing about that share.
const LEAST_BLOCKS: usize = 1_000;
/// Lengths at which the formula is held against the blocks.
const LENGTHS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// A cell's honest means, as the limit needs them; in units of the statistic.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellNull {
    pub mean: f64,
    pub position_sd: f64,
    pub sequence_sd: f64,
}

impl CellNull {
    /// Standard deviation of an honest mean over so many positions: √(σ²/n + τ²).
    fn spread(&self, positions: usize) -> f64 {
        let n = positions.max(1) as f64;
        (self.position_sd.powi(2) / n + self.sequence_sd.powi(2)).sqrt()
    }

    fn standardise(&self, value: f64, positions: usize) -> f64 {
        (value - self.mean - WIDENING * self.sequence_sd) / self.spread(positions)
    }
}

/// The widened honest distribution of means over any number of positions.
///
/// A cell has mean m, position sd σ, sequence sd τ. Its null is its own distribution shifted up by 3τ, of which a mean
/// over n positions lies below m + 3τ + z·√(σ²/n + τ²). The shift is science.md's: nothing but honest runs tells how a
/// cell that nobody certified differs, and none that was admitted differed by more. The τ² under the root is there
/// because positions of one answer share a noise level, so means of long answers stop narrowing. z is the normal 3.09 (one
/// in a thousand), or more where the cell's own blocks of 1 to 32 positions lay higher for more than one in a thousand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Null {
    pub cells: Vec<CellNull>,
    pub z: f64,
}

impl Null {
    /// Of certified cells, each with the statistic's values answer by answer.
    pub fn of(cells: &[(CellSummary, Vec<Vec<f64>>)]) -> Self {
        let nulls = cells.iter().map(|(summary, _)| CellNull {
            mean: summary.mean,
            position_sd: summary.position_sd,
            sequence_sd: summary.sequence_sd,
        });
        let nulls: Vec<CellNull> = nulls.collect();
        let of_cell = |(null, (_, answers)): (&CellNull, &(CellSummary, Vec<Vec<f64>>))| {
            let heights = LENGTHS.map(|length| {
                let quantile = upper_quantile(block_means(answers, length))?;
                Some((quantile - null.mean) / null.spread(length))
            });
            heights.into_iter().flatten().fold(NORMAL_Z, f64::max)
        };
        let z = nulls.iter().zip(cells).map(of_cell).fold(NORMAL_Z, f64::max);
        Self { cells: nulls, z }
    }

    /// Standard deviations by which a mean lies above the widened mean of the cell that explains it best: an answer is
    /// judged against the worst certified cell, whichever its executor says it ran.
    pub fn standardise(&self, value: f64, positions: usize) -> f64 {
        self.cells.iter().map(|cell| cell.standardise(value, positions)).fold(f64::INFINITY, f64::min)
    }

    /// The largest mean of an honest answer with so many judged positions.
    pub fn limit(&self, positions: usize) -> f64 {
        let of_cell =
            |cell: &CellNull| cell.mean + WIDENING * cell.sequence_sd + self.z * cell.spread(positions);
        self.cells.iter().map(of_cell).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The cell whose limit is the highest for so many positions.
    pub fn worst(&self, positions: usize) -> Option<&CellNull> {
        let limit = |cell: &CellNull| Self { cells: vec![*cell], z: self.z }.limit(positions);
        self.cells.iter().max_by(|a, b| limit(a).total_cmp(&limit(b)))
    }
}

/// The value that one in a thousand exceeds; none of too few values.
fn upper_quantile(mut values: Vec<f64>) -> Option<f64> {
    if values.len() < LEAST_BLOCKS {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let exceeding = (values.len() as f64 * BLOCK_MISS).floor() as usize;
    values.len().checked_sub(exceeding + 1).map(|at| values[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn null() -> Null {
        let quiet = CellNull { mean: -0.5, position_sd: 0.4, sequence_sd: 0.05 };
        let loud = CellNull { mean: 0.1, position_sd: 0.4, sequence_sd: 0.1 };
        Null { cells: vec![quiet, loud], z: NORMAL_Z }
    }

    #[test]
    fn the_limit_is_the_worst_cells_and_falls_with_length_to_what_answers_share() {
        let limit = |positions| null().limit(positions);
        assert!(limit(1) > limit(8) && limit(8) > limit(1_000));
        assert!((limit(1) - (0.1 + 0.3 + NORMAL_Z * (0.16f64 + 0.01).sqrt())).abs() < 1e-12);
        assert!((limit(1_000_000) - (0.4 + NORMAL_Z * 0.1)).abs() < 1e-3);
        assert_eq!(null().worst(8), Some(&null().cells[1]));
    }

    #[test]
    fn a_mean_passes_exactly_where_it_is_at_most_the_limit() {
        for positions in [1, 7, 100, 4_000] {
            let limit = null().limit(positions);
            assert!((null().standardise(limit, positions) - NORMAL_Z).abs() < 1e-9);
            assert!(null().standardise(limit + 1e-6, positions) > NORMAL_Z);
        }
    }

    #[test]
    fn blocks_above_the_normal_tail_raise_the_limit() {
        let platform = || super::super::Platform { engine: "e".into(), device: "d".into() };
        let summary = |answers: &Vec<Vec<f64>>| {
            let moments = super::super::statistic::Moments::of(answers.iter().flatten().copied());
            CellSummary {
                cell: super::super::Cell {
                    executor: platform(),
                    setting: "one at a time".into(),
                    juror: platform(),
                },
                answers: answers.len(),
                tokens: 0,
                mean: moments.mean,
                position_sd: moments.sd,
                sequence_sd: 0.0,
                histogram: super::super::cell::Histogram::of(std::iter::empty()),
                far: 0,
                positions: 0,
                far_sequence_sd: 0.0,
            }
        };
        // Two in a hundred positions stand ten times higher than the rest.
        let heavy: Vec<Vec<f64>> = (0..200)
            .map(|i| (0..10).map(|j| if (i * 10 + j) % 50 == 0 { 1.0 } else { 0.1 }).collect())
            .collect();
        let null = Null::of(&[(summary(&heavy), heavy.clone())]);
        assert!(null.z > 6.0, "{}", null.z);
        assert!(null.limit(1) >= 1.0);
        let light: Vec<Vec<f64>> = (0..10).map(|_| vec![0.0, 1.0]).collect();
        assert_eq!(Null::of(&[(summary(&light), light.clone())]).z, NORMAL_Z);
    }
}
