//! How answers are spread over the bins: as counted, as declared, or as a cell's histogram makes them at a length.

use assay_common::evidence::Bins;
use assay_common::judge::cell::CellSummary;
use assay_common::judge::normal;
use assay_common::judge::null::Null;
use assay_common::judge::Calibration;
use assay_common::params::PPM;
use serde::Serialize;

use super::scores::Counts;
use crate::simulate::chance::Chance;

/// What is left out of a histogram's tails on the way to many positions: far below anything that is reported.
const NEGLIGIBLE: f64 = 1e-20;
/// Most means of answers that are told apart: what is merged lies within a twentieth of their standard deviation.
const MOST_MEANS: usize = 400;

/// Shares of the bins, from good to bad; the last is a failed check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shares(pub Vec<f64>);

impl Shares {
    /// The worst honest executor's, as the chain has it.
    pub fn declared(bins: &Bins) -> Self {
        Self(bins.honest_ppm.iter().map(|ppm| f64::from(*ppm) / f64::from(PPM)).collect())
    }

    /// As counted; there is at least one answer.
    pub fn counted(counts: &Counts) -> Self {
        Self(counts.bins.iter().map(|count| *count as f64 / counts.answers as f64).collect())
    }

    /// Of one answer in so many this one, of the others the honest one's.
    #[must_use]
    pub fn mixed(&self, share: f64, honest: &Self) -> Self {
        Self(self.0.iter().zip(&honest.0).map(|(cheat, fair)| share * cheat + (1.0 - share) * fair).collect())
    }

    /// Shares in the second bin and beyond, in the third and beyond, and so on.
    pub fn tails(&self) -> Vec<f64> {
        (1..self.0.len()).map(|bin| self.0[bin..].iter().sum()).collect()
    }

    /// The share of failed checks.
    pub fn fails(&self) -> f64 {
        self.0.last().copied().unwrap_or(0.0)
    }

    /// Whether no upper tail is heavier than the other's: what the evidence's bound rests on.
    pub fn is_within(&self, declared: &Self) -> bool {
        // A millionth's millionth for sums that differ in their last digits only.
        self.tails().iter().zip(declared.tails()).all(|(own, bound)| *own <= bound + 1e-12)
    }

    /// Shares that are drawn from, added up.
    pub fn cumulated(&self) -> Cumulated {
        let sums = self.0.iter().scan(0.0, |sum, share| {
            *sum += share;
            Some(*sum)
        });
        let last = self.0.iter().rposition(|share| *share > 0.0).unwrap_or(0);
        Cumulated { sums: sums.collect(), last }
    }
}

/// The heavier tail of two, the failed checks first.
pub fn heavier(a: &Shares, b: &Shares) -> std::cmp::Ordering {
    let pairs = a.tails().into_iter().zip(b.tails()).rev();
    pairs.map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
}

/// Shares to draw bins from.
pub struct Cumulated {
    sums: Vec<f64>,
    /// The last bin with a share: no rounding makes a bin without one come.
    last: usize,
}

impl Cumulated {
    pub fn draw(&self, chance: &mut Chance) -> usize {
        let at = chance.unit();
        let below = self.sums[..self.last].iter().take_while(|sum| at >= **sum);
        below.count()
    }
}

/// How the means of answers of one cell and length are distributed.
///
/// Positions are independent draws from the cell's histogram, and the answer has a level of its own, normal with the
/// standard deviation of the answers' means. That deviation already contains what positions add at the length that was
/// measured, so the means are spread somewhat more than the cell's: it errs on the heavy side.
pub struct Means {
    /// Mean in units of the statistic and its share, ascending.
    means: Vec<(f64, f64)>,
    sequence_sd: f64,
    position_sd: f64,
    tokens: u32,
}

impl Means {
    pub fn of(cell: &CellSummary, tokens: u32) -> Self {
        let histogram = &cell.histogram;
        let all = histogram.total() as f64;
        let shares: Vec<f64> = histogram.counts.iter().map(|count| f64::from(*count) / all).collect();
        let (first, one) = trimmed(0, shares);
        let (first, shares) = summed(&(first, one), tokens);
        let n = f64::from(tokens);
        let value = |at: usize| ((first + at) as f64 + n / 2.0) * histogram.step / n + histogram.lowest;
        let centre: f64 = shares.iter().enumerate().map(|(at, share)| value(at) * share).sum();
        // Values lie anywhere in their step: the cell's own mean says where on average.
        let moved = cell.mean - centre;
        let means: Vec<_> =
            shares.iter().enumerate().map(|(at, share)| (value(at) + moved, *share)).collect();
        let means = means.chunks(means.len().div_ceil(MOST_MEANS)).map(merged).collect();
        Self { means, sequence_sd: cell.sequence_sd, position_sd: cell.position_sd, tokens }
    }

    /// The share of means above a value, every position moved up by so many standard deviations of a position.
    fn above(&self, value: f64, shift: f64) -> f64 {
        let value = value - shift * self.position_sd;
        let beyond = |mean: f64| match self.sequence_sd > 0.0 {
            true => normal::above((value - mean) / self.sequence_sd),
            false => f64::from(u8::from(mean > value)),
        };
        self.means.iter().map(|(mean, share)| share * beyond(*mean)).sum()
    }

    /// The bins of such answers. Only the check of the mean is in it: no other check fails.
    pub fn shares(&self, calibration: &Calibration, shift: f64) -> Shares {
        let edges = calibration.score_edges.iter().copied().chain([calibration.null.z]);
        let limit = |height: f64| {
            let null = Null { z: height, cells: calibration.null.cells.clone() };
            null.limit(self.tokens as usize)
        };
        let beyond: Vec<f64> = edges.map(|height| self.above(limit(height), shift)).collect();
        let from = [1.0].into_iter().chain(beyond.iter().copied());
        let to = beyond.iter().copied().chain([0.0]);
        Shares(from.zip(to).map(|(from, to)| (from - to).max(0.0)).collect())
    }
}

/// Neighbours as one, at their mean.
fn merged(means: &[(f64, f64)]) -> (f64, f64) {
    let share: f64 = means.iter().map(|(_, share)| share).sum();
    let weighted: f64 = means.iter().map(|(mean, share)| mean * share).sum();
    (if share > 0.0 { weighted / share } else { means[0].0 }, share)
}

/// Shares of a sum, from its first value on.
type Sum = (usize, Vec<f64>);

/// Without its negligible ends.
fn trimmed(first: usize, shares: Vec<f64>) -> Sum {
    let low = shares.iter().position(|share| *share > NEGLIGIBLE).unwrap_or(0);
    let high = shares.iter().rposition(|share| *share > NEGLIGIBLE).unwrap_or(0);
    (first + low, shares[low..=high].to_vec())
}

/// The sum of so many independent ones, by doubling.
fn summed(one: &Sum, times: u32) -> Sum {
    if times <= 1 {
        return one.clone();
    }
    let half = summed(one, times / 2);
    let even = added(&half, &half);
    if times.is_multiple_of(2) {
        even
    } else {
        added(&even, one)
    }
}

fn added(a: &Sum, b: &Sum) -> Sum {
    let mut shares = vec![0.0; a.1.len() + b.1.len() - 1];
    for (at, first) in a.1.iter().enumerate() {
        for (sum, second) in shares[at..].iter_mut().zip(&b.1) {
            *sum += first * second;
        }
    }
    trimmed(a.0 + b.0, shares)
}
