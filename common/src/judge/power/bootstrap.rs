//! Intervals by resampling prompts: positions of one answer are not independent, answers to different prompts are.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

use crate::digest::sha256;

/// Share of the resamples in each tail of an interval of 95 %.
const TAIL: f64 = 0.025;

/// A figure's 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// Percentile interval (Efron 1979) of `figure` over resamples of the prompts' numbers below `prompts`, with replacement.
///
/// Where the figure does not exist for a resample that one does not count; none where it never exists. The same seed gives
/// the same interval.
pub fn interval(
    prompts: usize,
    resamples: usize,
    seed: u64,
    mut figure: impl FnMut(&[usize]) -> Option<f64>,
) -> Option<Interval> {
    let mut random = ChaCha8Rng::from_seed(sha256(&[b"bootstrap", &seed.to_le_bytes()]));
    let count = u64::try_from(prompts).ok().filter(|count| *count > 0)?;
    let mut draw = || (random.next_u64() % count) as usize;
    let mut figures = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        let drawn: Vec<usize> = (0..prompts).map(|_| draw()).collect();
        figures.extend(figure(&drawn).filter(|value| !value.is_nan()));
    }
    figures.sort_by(f64::total_cmp);
    let last = figures.len().checked_sub(1)?;
    let at = |share: f64| figures[(last as f64 * share).round() as usize];
    Some(Interval { low: at(TAIL), high: at(1.0 - TAIL) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_as_wide_as_theory_says() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let mean =
            |drawn: &[usize]| Some(drawn.iter().map(|at| values[*at]).sum::<f64>() / drawn.len() as f64);
        let found = interval(400, 2_000, 1, mean).unwrap();
        // ± 1.96 · 0.5 / √400.
        assert!((found.low - 0.451).abs() < 0.006 && (found.high - 0.549).abs() < 0.006, "{found:?}");
        assert_eq!(interval(400, 2_000, 1, mean), Some(found));
        assert_ne!(interval(400, 2_000, 2, mean), Some(found));
    }

    #[test]
    fn a_figure_that_never_exists_has_no_interval() {
        assert_eq!(interval(10, 10, 1, |_| None), None);
        assert_eq!(interval(0, 10, 1, |_| Some(1.0)), None);
    }
}
