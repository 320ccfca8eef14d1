//! A generalised Pareto tail, to say what lies beyond the largest honest values that were seen.

/// Share of the values that the tail is fitted to (science.md §4).
const TAIL: f64 = 0.1;
/// Fewest of them.
const LEAST_EXCESSES: usize = 30;

/// The tail of a distribution above its 90 % quantile: P(X > start + x) = share · (1 + ξx/σ)^(−1/ξ).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    pub start: f64,
    pub share: f64,
    /// σ, in units of the values.
    pub scale: f64,
    /// ξ ≥ 0: a bounded tail is never believed, it counts as an exponential one.
    pub shape: f64,
}

impl Tail {
    /// Fits by probability-weighted moments (Hosking and Wallis 1987); none of too few values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = (sorted.len() as f64 * TAIL).floor() as usize;
        if count < LEAST_EXCESSES {
            return None;
        }
        let start = sorted[sorted.len() - count - 1];
        let excesses: Vec<f64> = sorted[sorted.len() - count..].iter().map(|value| value - start).collect();
        let n = count as f64;
        let weight = |rank: usize| 1.0 - (rank as f64 + 0.65) / n;
        let first = excesses.iter().sum::<f64>() / n;
        let second = excesses.iter().enumerate().map(|(rank, excess)| weight(rank) * excess).sum::<f64>() / n;
        let shape = 2.0 - first / (first - 2.0 * second);
        let pareto = shape.is_finite() && shape > 0.0;
        let scale = if pareto { 2.0 * first * second / (first - 2.0 * second) } else { first };
        let share = n / sorted.len() as f64;
        Some(Self { start, share, scale, shape: if pareto { shape } else { 0.0 } })
    }

    /// The value that this share of all values exceeds; `rate` is at most [`Tail::share`].
    pub fn quantile(&self, rate: f64) -> f64 {
        let ratio = self.share / rate;
        if self.shape < 1e-9 {
            self.start + self.scale * ratio.ln()
        } else {
            self.start + self.scale * (ratio.powf(self.shape) - 1.0) / self.shape
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The quantiles of a distribution at evenly spaced levels.
    fn sample(quantile: impl Fn(f64) -> f64) -> Vec<f64> {
        (0..20_000).map(|i| quantile((f64::from(i) + 0.5) / 20_000.0)).collect()
    }

    #[test]
    fn it_extends_an_exponential_and_a_pareto_distribution_rightly() {
        let exponential = Tail::of(&sample(|p| -(1.0 - p).ln())).unwrap();
        assert!((exponential.quantile(1e-5) / 1e5f64.ln() - 1.0).abs() < 0.03, "{exponential:?}");
        let pareto = Tail::of(&sample(|p| (1.0 - p).powf(-0.25))).unwrap();
        assert!((pareto.quantile(1e-5) / 1e5f64.powf(0.25) - 1.0).abs() < 0.06, "{pareto:?}");
    }

    #[test]
    fn a_bounded_distribution_counts_as_an_exponential_one() {
        let tail = Tail::of(&sample(|p| p)).unwrap();
        assert_eq!(tail.shape, 0.0);
        assert!(tail.quantile(1e-4) > 1.0);
        assert_eq!(Tail::of(&[1.0; 299]), None);
    }
}
