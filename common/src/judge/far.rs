//! How many far positions an honest answer may have.

use serde::{Deserialize, Serialize};

use super::binomial::{largest_usual, upper_bound};
use super::cell::CellSummary;

/// Standard deviations of the answers' shares by which a cell's share is widened, as its mean is.
const WIDENING: f64 = 3.0;
/// Chance that an honest answer has more far positions than its limit.
const MISS: f64 = 1e-3;
/// Chance that the true share of a cell lies above the bound that its count gives.
const BOUND_MISS: f64 = 0.05;

/// The limit on far positions: a forger that raises the numbers of a few tokens moves no mean, but each of those is far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FarLimit {
    /// Share of an honest answer's positions that are far at most: the worst cell's, widened by 3 standard deviations of
    /// the answers' shares, and no less than the upper end of its 95 % interval.
    pub share: f64,
}

impl FarLimit {
    pub fn of<'a>(cells: impl Iterator<Item = &'a CellSummary>) -> Self {
        let of_cell = |cell: &CellSummary| {
            let seen = cell.far as f64 / cell.positions.max(1) as f64;
            let widened = seen + WIDENING * cell.far_sequence_sd;
            widened.max(upper_bound(cell.far, cell.positions, BOUND_MISS))
        };
        Self { share: cells.map(of_cell).fold(0.0, f64::max) }
    }

    /// The most far positions among so many: more come with a chance of at most one in a thousand at that share.
    pub fn limit(&self, positions: usize) -> u64 {
        largest_usual(positions as u64, self.share, MISS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_answer_may_have_one_and_a_long_one_a_few() {
        let far = FarLimit { share: 0.003 };
        assert_eq!([1, 8, 32, 128, 1_000].map(|positions| far.limit(positions)), [1, 1, 2, 3, 10]);
        assert_eq!(FarLimit { share: 0.0 }.limit(100), 0);
    }
}
