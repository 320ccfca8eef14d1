//! Detection rates at a rate of false alarms.

use super::tail::Tail;

/// Honest values beyond a threshold below which its rate is not measured.
const MEASURED: f64 = 3.0;

/// A threshold, and whether it lies beyond what honest values say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    pub value: f64,
    /// From a fitted tail: fewer than three honest values would lie beyond it.
    pub extrapolated: bool,
}

/// The value that a share `rate` of honest values exceeds at most; none where there are too few for a tail.
///
/// `honest` are means of blocks, so that a rate is a rate of blocks.
pub fn threshold(honest: &[f64], rate: f64) -> Option<Threshold> {
    let exceeding = honest.len() as f64 * rate;
    if exceeding < MEASURED {
        let tail = Tail::of(honest)?;
        return Some(Threshold { value: tail.quantile(rate), extrapolated: true });
    }
    let mut sorted = honest.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = sorted.len().checked_sub(1 + exceeding.floor() as usize)?;
    Some(Threshold { value: sorted[at], extrapolated: false })
}

/// The highest threshold of several honest cells; none where one of them has none.
pub fn worst_threshold<'a>(cells: impl Iterator<Item = &'a [f64]>, rate: f64) -> Option<Threshold> {
    let thresholds: Option<Vec<Threshold>> = cells.map(|honest| threshold(honest, rate)).collect();
    thresholds?.into_iter().reduce(|a, b| Threshold {
        value: a.value.max(b.value),
        extrapolated: a.extrapolated || b.extrapolated,
    })
}

/// The share of the values above a threshold; 0 of none.
pub fn share_above(values: &[f64], threshold: Threshold) -> f64 {
    let above = values.iter().filter(|value| **value > threshold.value).count();
    above as f64 / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn honest(count: u32) -> Vec<f64> {
        (0..count).map(|i| f64::from(i) / f64::from(count)).collect()
    }

    #[test]
    fn a_measured_threshold_leaves_exactly_its_rate_above() {
        let threshold = threshold(&honest(10_000), 1e-3).unwrap();
        assert!(!threshold.extrapolated);
        assert_eq!(share_above(&honest(10_000), threshold), 1e-3);
    }

    #[test]
    fn thirty_thousand_blocks_measure_one_in_ten_thousand_and_fewer_extrapolate_it() {
        assert!(!threshold(&honest(30_000), 1e-4).unwrap().extrapolated);
        let beyond = threshold(&honest(29_999), 1e-4).unwrap();
        assert!(beyond.extrapolated && beyond.value > 1.0);
        assert_eq!(threshold(&honest(200), 1e-4), None);
    }

    #[test]
    fn the_worst_cell_sets_the_threshold() {
        let (low, high) = (honest(10_000), honest(10_000).iter().map(|x| x + 1.0).collect::<Vec<_>>());
        let worst = worst_threshold([&low[..], &high[..]].into_iter(), 0.01).unwrap();
        assert_eq!(share_above(&high, worst), 0.01);
        assert_eq!(worst_threshold([&low[..], &low[..9]].into_iter(), 1e-4), None);
    }
}
