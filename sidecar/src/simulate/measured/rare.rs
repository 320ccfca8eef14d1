//! False forfeits that are too rare to be counted, by importance sampling (Siegmund 1976, *Annals of Statistics* 4:673).
//!
//! A counter's path falls into excursions: each begins at an audit before which the counter is empty, and ends when it is
//! empty again or at the bound. Bins of an excursion are drawn tilted, p̃ ∝ p · 2^(θ · step), with θ > 0 so that the factors
//! of the honest spread p have mean 1; for the worst honest spread itself θ is 1 and p̃ is the very alternative that the
//! counter tests for. Paths to the bound are then common, and each counts with the product of its p/p̃. The chance that an
//! excursion reaches the bound within the promised audits, times the excursions that begin in so many audits, added over
//! the counters, is the expected number of forfeits and no less than the chance of one.

use assay_common::evidence::Cusum;
use assay_common::params::ALTERNATIVES;
use serde::Serialize;

use super::sequential::SequentialTest;
use super::shares::Shares;
use crate::simulate::chance::Chance;

/// Audits over which excursions are counted.
const COUNTED_AUDITS: u32 = 200_000;
/// Normal quantile of an interval of 99 %.
const Z: f64 = 2.576;
/// Halvings of a bisection: more than a float has bits.
const HALVINGS: u32 = 100;

/// Expected false forfeits in the audits that the promise is for.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rare {
    pub expected: f64,
    /// Normal interval of 99 %.
    pub low: f64,
    pub high: f64,
    /// Paths to the bound that would say as much if all had the same weight: the least of the counters that can reach it.
    pub effective: f64,
    /// What the evidence promises at most.
    pub promised: f64,
}

/// The chance that one excursion of one counter reaches the bound, with the variance of the estimate.
struct Excursion {
    chance: f64,
    variance: f64,
    effective: f64,
}

impl Rare {
    /// `paths` excursions of each counter under its own tilt.
    pub fn estimate(test: &SequentialTest, honest: &Shares, paths: u64, seed: u64) -> Self {
        let begun = begun(test, honest, seed);
        let (mut expected, mut variance, mut effective) = (0.0, 0.0, f64::INFINITY);
        for (counter, share) in begun.into_iter().enumerate() {
            let excursion = excursion(test, honest, counter, (paths, seed));
            let starts = share * test.audits as f64;
            expected += starts * excursion.chance;
            variance += starts * starts * excursion.variance;
            effective = f64::min(effective, excursion.effective);
        }
        let reach = Z * variance.sqrt();
        Self {
            expected,
            low: (expected - reach).max(0.0),
            high: expected + reach,
            effective,
            promised: test.promised(test.audits),
        }
    }
}

/// The share of audits at which an excursion begins, for each counter; counted, within a few per mille.
fn begun(test: &SequentialTest, honest: &Shares, seed: u64) -> [f64; ALTERNATIVES] {
    let bins = honest.cumulated();
    let mut chance = Chance::new(seed, "excursions begun", 0);
    let (mut cusum, mut begun) = (Cusum::default(), [0u32; ALTERNATIVES]);
    for _ in 0..COUNTED_AUDITS {
        for (count, counter) in begun.iter_mut().zip(cusum.0 .0) {
            *count += u32::from(counter <= 0);
        }
        cusum = test.after(cusum, bins.draw(&mut chance));
    }
    begun.map(|count| f64::from(count) / f64::from(COUNTED_AUDITS))
}

fn excursion(test: &SequentialTest, honest: &Shares, counter: usize, (paths, seed): (u64, u64)) -> Excursion {
    let steps: Vec<f64> = test.steps().iter().map(|steps| steps[counter]).collect();
    let Some(tilt) = tilt(&honest.0, &steps) else {
        return Excursion { chance: 0.0, variance: 0.0, effective: f64::INFINITY };
    };
    let raw = tilted(&honest.0, &steps, tilt);
    let sum: f64 = raw.iter().sum();
    // ln of p/p̃ of each bin; a bin that never comes has none.
    let logs: Vec<f64> = steps.iter().map(|step| sum.ln() - tilt * step * std::f64::consts::LN_2).collect();
    let bins = Shares(raw.into_iter().map(|share| share / sum).collect()).cumulated();
    let (mut first, mut second) = (0.0, 0.0);
    for path in 0..paths {
        let mut chance = Chance::new(seed, &format!("excursion {counter}"), path);
        let (mut cusum, mut log) = (Cusum::default(), 0.0);
        for _ in 0..test.audits {
            let bin = bins.draw(&mut chance);
            cusum = test.after(cusum, bin);
            log += logs[bin];
            let height = cusum.0 .0[counter];
            if height >= test.bound() {
                first += log.exp();
                second += (2.0 * log).exp();
            }
            if height <= 0 || height >= test.bound() {
                break;
            }
        }
    }
    let n = paths as f64;
    let mean = first / n;
    let effective = if second > 0.0 { first * first / second } else { 0.0 };
    Excursion { chance: mean, variance: (second / n - mean * mean).max(0.0) / n, effective }
}

fn tilted(shares: &[f64], steps: &[f64], tilt: f64) -> Vec<f64> {
    // A bin that never comes stays so, however large its factor: 0 · ∞ is not 0.
    let of_bin = |(share, step): (&f64, &f64)| if *share > 0.0 { share * (tilt * step).exp2() } else { 0.0 };
    shares.iter().zip(steps).map(of_bin).collect()
}

/// θ > 0 with Σ p · 2^(θ · step) = 1; none where no bin that comes adds evidence. 0 where the evidence does not fall in
/// expectation: then the spread is none that the bound covers, and paths to it are common without a tilt.
fn tilt(shares: &[f64], steps: &[f64]) -> Option<f64> {
    let comes = |(share, step): (&f64, &f64)| *share > 0.0 && *step > 0.0;
    if !shares.iter().zip(steps).any(comes) {
        return None;
    }
    let drift: f64 = shares.iter().zip(steps).map(|(share, step)| share * step).sum();
    if drift >= 0.0 {
        return Some(0.0);
    }
    let exceeds = |tilt: f64| tilted(shares, steps, tilt).iter().sum::<f64>() > 1.0;
    let mut high = 1.0;
    while !exceeds(high) {
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if exceeds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}
