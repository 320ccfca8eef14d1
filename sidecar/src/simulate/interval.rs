//! Exact intervals: of a share that was counted, and of a median.

use serde::Serialize;

/// Probability that an interval misses, both sides together.
const MISS: f64 = 0.01;
/// Halvings of a bisection: more than a float has bits.
const HALVINGS: u32 = 100;
/// Terms of the continued fraction; it converges within a few times the square root of the trials.
const FRACTION_TERMS: u32 = 20_000;

/// A share that was counted, with its Clopper–Pearson interval of 99 %.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rate {
    pub hits: u64,
    pub trials: u64,
    pub low: f64,
    pub high: f64,
}

impl Rate {
    /// Clopper and Pearson (1934): the shares at which the count would be in neither tail of half a per cent.
    pub fn new(hits: u64, trials: u64) -> Self {
        let (k, n) = (hits as f64, trials as f64);
        let low = if hits == 0 { 0.0 } else { bisect(|p| beta(p, k, n - k + 1.0) < MISS / 2.0) };
        let high = if hits >= trials { 1.0 } else { bisect(|p| 1.0 - beta(p, k + 1.0, n - k) > MISS / 2.0) };
        Self { hits, trials, low, high }
    }

    /// The share itself; 0 of 0 is 0.
    pub fn share(&self) -> f64 {
        self.hits as f64 / self.trials.max(1) as f64
    }

    pub fn contains(&self, probability: f64) -> bool {
        (self.low..=self.high).contains(&probability)
    }
}

/// The middle of a sample, with the interval of 99 % that its order gives whatever the distribution.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Median {
    pub value: i64,
    pub low: i64,
    pub high: i64,
}

impl Median {
    /// `values` is not empty.
    pub fn of(mut values: Vec<i64>) -> Self {
        values.sort_unstable();
        let n = values.len() as f64;
        // Ranks n/2 ± 2.576 √n/2: the normal limit of the binomial count below the median.
        let reach = 2.576 * n.sqrt() / 2.0;
        let at = |rank: f64| values[(rank.max(0.0) as usize).min(values.len() - 1)];
        Self { value: at(n / 2.0), low: at(n / 2.0 - reach), high: at(n / 2.0 + reach) }
    }
}

/// How a sample is spread: its mean, and what a twentieth, half and nineteen twentieths of it lie below.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    pub mean: f64,
    pub p5: i64,
    pub median: i64,
    pub p95: i64,
}

impl Spread {
    /// `values` is not empty.
    pub fn of(mut values: Vec<i64>) -> Self {
        values.sort_unstable();
        let n = values.len() as f64;
        let below = |share: f64| values[((share * n) as usize).min(values.len() - 1)];
        let mean = values.iter().map(|value| *value as f64).sum::<f64>() / n;
        Self { mean, p5: below(0.05), median: below(0.5), p95: below(0.95) }
    }
}

/// The least p in [0, 1] at which `below` is no longer true.
fn bisect(below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The regularised incomplete beta function I_x(a, b): the chance of at least a of a + b − 1 trials.
///
/// Continued fraction of DLMF 8.17.22, on the side where it converges fast.
fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta(1.0 - x, b, a);
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    front.exp() / a / fraction(x, a, b)
}

/// 1 + d₁/(1 + d₂/(1 + …)) by the method of Lentz.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    for term in 1..=FRACTION_TERMS {
        let m = f64::from(term / 2);
        let step = if term % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        d = 1.0 / (1.0 + step * d + TINY);
        c = 1.0 + step / c + TINY;
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// ln Γ(x) for x > 0: Stirling's series (DLMF 5.11.1) after stepping up to 12.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 12.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let square = x * x;
    let series = (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1_260.0 * square)) / square) / x;
    shift + (x - 0.5) * x.ln() - x + (2.0 * std::f64::consts::PI).ln() / 2.0 + series
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) -> bool {
        (value - expected).abs() <= 1e-9 * expected.abs().max(1e-9)
    }

    #[test]
    fn the_beta_function_is_the_tail_of_the_binomial() {
        for (n, p) in [(10u32, 0.3), (21, 1.0 / 3.0), (200, 0.02)] {
            let mut term = (1.0f64 - p).powi(n as i32);
            let mut below = 0.0;
            for k in 0..n {
                below += term;
                // A difference from 1 has no relative precision left where the tail is small.
                let error = (beta(p, f64::from(k) + 1.0, f64::from(n - k)) - (1.0 - below)).abs();
                assert!(error <= 1e-9, "{n} {p} {k}: {error}");
                term *= f64::from(n - k) / f64::from(k + 1) * p / (1.0 - p);
            }
        }
    }

    #[test]
    fn nothing_seen_leaves_the_exact_upper_end_and_all_seen_the_lower() {
        let none = Rate::new(0, 1_000);
        assert_eq!(none.low, 0.0);
        assert!(near(none.high, 1.0 - 0.005f64.powf(0.001)), "{none:?}");
        let all = Rate::new(1_000, 1_000);
        assert_eq!(all.high, 1.0);
        assert!(near(all.low, 0.005f64.powf(0.001)), "{all:?}");
    }

    #[test]
    fn each_end_leaves_half_a_per_cent_in_its_tail() {
        let rate = Rate::new(7, 40);
        assert!(near(beta(rate.low, 7.0, 34.0), 0.005), "{rate:?}");
        assert!(near(1.0 - beta(rate.high, 8.0, 33.0), 0.005), "{rate:?}");
        assert!(rate.contains(0.175) && !rate.contains(0.5));
    }

    #[test]
    fn a_median_lies_in_its_interval() {
        let median = Median::of((0..1_001).collect());
        assert_eq!((median.value, median.low, median.high), (500, 459, 541));
    }
}
