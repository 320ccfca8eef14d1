//! Tokens to detect: a test after each token, against the worst cell widened, for attacks that nobody has seen.
//!
//! Positions of one answer share a noise level, so their likelihood ratios must not simply be multiplied: without the
//! widened null honest runs gave e = 10⁴² (science.md §4). Here the null is shifted up by three standard deviations of the
//! answers' means, the alternatives are the same shape shifted further, and each ratio is made to rise with the value and
//! capped.

use crate::judge::cell::Answers;
use crate::judge::mean;
use crate::judge::null::WIDENING;

/// The shape's histogram, in standard deviations.
const LOWEST: f64 = -6.0;
const STEP: f64 = 0.1;
const STEPS: usize = 180;
/// Smoothing: a Gaussian of 2.5 steps, cut off after 8.
const KERNEL_SD: f64 = 2.5;
const KERNEL_REACH: i32 = 8;
/// Share and scale of a Student distribution with three degrees of freedom, so that nothing has probability zero.
const HEAVY_SHARE: f64 = 0.01;
const HEAVY_SCALE: f64 = 1.2;
const NOTHING: f64 = 1e-12;
/// Further shifts of the alternatives, in steps.
const SHIFTS: [usize; 5] = [4, 8, 16, 32, 60];
/// Bounds of one token's logarithmic ratio, in nats: evidence at 1e-6 takes three tokens at least.
const LEAST_NATS: f64 = -3.0;
const MOST_NATS: f64 = 6.0;

type Shape = [f64; STEPS];

/// The widened null and its alternatives as ratios.
#[derive(Clone, Debug)]
pub struct Detector {
    centre: f64,
    sd: f64,
    /// ln(alternative / null) by step, rising, with Σ null · ratio = 1.
    ratios: [Shape; SHIFTS.len()],
}

impl Detector {
    /// From honest values of each certified cell; none where a cell has none or all are equal.
    pub fn of(cells: &[Answers]) -> Option<Self> {
        let centres: Vec<f64> = cells.iter().map(|cell| mean(cell.iter().flatten().copied())).collect();
        let centred = || {
            let of_cell = |(cell, centre): (&'_ Answers, &f64)| {
                cell.iter().flatten().map(|value| value - centre).collect::<Vec<_>>()
            };
            cells.iter().zip(&centres).flat_map(of_cell)
        };
        let sd = mean(centred().map(|value| value * value)).sqrt();
        let sequence = |(cell, centre): (&Answers, &f64)| {
            let means = cell.iter().map(|answer| mean(answer.iter().copied()));
            mean(means.map(|mean| (mean - centre).powi(2))).sqrt()
        };
        let widest = cells.iter().zip(&centres).map(sequence).fold(0.0, f64::max);
        if cells.iter().any(|cell| cell.iter().all(Vec::is_empty)) || !(sd.is_finite() && sd > 0.0) {
            return None;
        }
        let centre = centres.iter().copied().reduce(f64::max)?;
        let shape = shape(centred().map(|value| value / sd));
        let widening = (WIDENING * widest / sd / STEP).ceil() as usize;
        let null = shifted(&shape, widening);
        Some(Self {
            centre,
            sd,
            ratios: SHIFTS.map(|shift| ratio(&shifted(&shape, widening + shift), &null)),
        })
    }

    /// ln e after each value: the mean over the alternatives of their products.
    pub fn evidence<'a>(&'a self, values: impl Iterator<Item = f64> + 'a) -> impl Iterator<Item = f64> + 'a {
        values.scan([0.0; SHIFTS.len()], |sums, value| {
            let step = step((value - self.centre) / self.sd);
            for (sum, ratio) in sums.iter_mut().zip(&self.ratios) {
                *sum += ratio[step];
            }
            let top = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            Some(top + mean(sums.iter().map(|sum| (sum - top).exp())).ln())
        })
    }

    /// How many tokens it takes until e passes 1/α; none where these do not suffice.
    ///
    /// By Ville's inequality a run of the null passes it ever with probability α at most.
    pub fn tokens(&self, values: impl Iterator<Item = f64>, alpha: f64) -> Option<usize> {
        let bound = -alpha.ln();
        let found = self.evidence(values).position(|evidence| evidence > bound);
        found.map(|before| before + 1)
    }
}

fn step(value: f64) -> usize {
    ((value - LOWEST) / STEP).floor().clamp(0.0, (STEPS - 1) as f64) as usize
}

fn middle(step: usize) -> f64 {
    LOWEST + STEP * (step as f64 + 0.5)
}

/// The smoothed distribution of standardised values.
fn shape(values: impl Iterator<Item = f64>) -> Shape {
    let mut counts = [0.0; STEPS];
    values.for_each(|value| counts[step(value)] += 1.0);
    let kernel = |offset: i32| (-0.5 * (f64::from(offset) / KERNEL_SD).powi(2)).exp();
    let mut smooth = [0.0; STEPS];
    for (at, sum) in (0i32..).zip(&mut smooth) {
        for offset in -KERNEL_REACH..=KERNEL_REACH {
            let from = usize::try_from(at + offset).ok().and_then(|from| counts.get(from));
            *sum += kernel(offset) * from.copied().unwrap_or(0.0);
        }
    }
    let heavy: Vec<f64> =
        (0..STEPS).map(|at| (1.0 + (middle(at) / HEAVY_SCALE).powi(2) / 3.0).powi(-2)).collect();
    let (all, heavy_all) = (smooth.iter().sum::<f64>(), heavy.iter().sum::<f64>());
    for (value, heavy) in smooth.iter_mut().zip(&heavy) {
        *value = (1.0 - HEAVY_SHARE) * *value / all + HEAVY_SHARE * heavy / heavy_all;
    }
    smooth
}

/// The shape moved up by so many steps.
fn shifted(shape: &Shape, steps: usize) -> Shape {
    let mut moved = [NOTHING; STEPS];
    for (to, from) in moved.iter_mut().skip(steps).zip(shape) {
        *to = *from;
    }
    let sum: f64 = moved.iter().sum();
    moved.map(|value| value / sum)
}

fn ratio(alternative: &Shape, null: &Shape) -> Shape {
    let mut highest = f64::NEG_INFINITY;
    let mut ratio = [0.0; STEPS];
    for (slot, (alternative, null)) in ratio.iter_mut().zip(alternative.iter().zip(null)) {
        highest = (alternative / null).ln().clamp(LEAST_NATS, MOST_NATS).max(highest);
        *slot = highest;
    }
    let expected: f64 = ratio.iter().zip(null).map(|(ratio, null)| ratio.exp() * null).sum();
    ratio.map(|value| value - expected.ln())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Answers of a cell with this mean; position values are a uniform wobble of width 2.
    fn cell(mean: f64, answers: u32) -> Answers {
        let number = |seed: u32| f64::from(seed.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
        let value = |answer: u32, at: u32| mean + 2.0 * number(answer * 997 + at * 31 + 1) - 1.0;
        (0..answers).map(|answer| (0..100).map(|at| value(answer, at)).collect()).collect()
    }

    #[test]
    fn an_honest_run_gains_nothing_in_expectation_and_a_shifted_one_is_detected() {
        let detector = Detector::of(&[cell(0.0, 50), cell(-1.0, 50)]).unwrap();
        let run = |shift: f64| cell(shift, 90).into_iter().skip(60).flatten();
        let highest = detector.evidence(run(0.0)).fold(f64::NEG_INFINITY, f64::max);
        assert!(highest < 1e3f64.ln(), "{highest}");
        assert_eq!(detector.tokens(run(0.0), 1e-6), None);
        let (near, wide) =
            (detector.tokens(run(1.2), 1e-6).unwrap(), detector.tokens(run(8.0), 1e-6).unwrap());
        assert!(wide < near && near < 300, "{wide} {near}");
        assert!(wide >= 3, "{wide}");
    }

    #[test]
    fn each_ratio_rises_and_has_mean_one_under_the_null() {
        let shape = shape(cell(0.0, 50).into_iter().flatten());
        let null = shifted(&shape, 3);
        for shift in SHIFTS {
            let ratio = ratio(&shifted(&shape, 3 + shift), &null);
            assert!(ratio.windows(2).all(|pair| pair[0] <= pair[1]));
            let expected: f64 = ratio.iter().zip(&null).map(|(ratio, null)| ratio.exp() * null).sum();
            assert!((expected - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn without_honest_values_there_is_no_detector() {
        assert!(Detector::of(&[]).is_none());
        assert!(Detector::of(&[vec![vec![1.0; 10]]]).is_none());
        assert!(Detector::of(&[cell(0.0, 3), vec![Vec::new()]]).is_none());
    }
}
