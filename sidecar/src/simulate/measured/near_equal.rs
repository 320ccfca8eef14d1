//! A model that is nearly the promised one and cheaper: from which distance on it does not pay.
//!
//! Its numbers are taken to lie a fixed number of position standard deviations above the honest ones, at every position and
//! in the certified cell in which that shows least, since a cheat chooses what it claims to run.

use assay_common::judge::Calibration;
use assay_common::params::PPM;
use assay_common::reputation::Reputation;
use serde::Serialize;

use super::detection::Detection;
use super::scores::{AnswerTokens, Counts};
use super::sequential::SequentialTest;
use super::shares::{heavier, Means, Shares};
use crate::simulate::gain::loss;
use crate::simulate::terms::Terms;

/// The largest shift that is looked at, and the finest step between two.
const MOST_SHIFT: f64 = 8.0;
const SHIFT_STEP: f64 = 0.01;
/// Cheats condemned for each shift.
const CAREERS: u64 = 101;

/// Near-equal models whose answers have one length.
pub struct NearEqual<'a> {
    calibration: &'a Calibration,
    terms: &'a Terms,
    test: SequentialTest,
    cells: Vec<Means>,
}

/// How dear the model is, and how much of what it is used for.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Deal {
    /// Its cost, of a million of an honest answer's.
    pub cost_ppm: i64,
    /// Inferences in an epoch, and the share of them that the near-equal model answers.
    pub volume: u32,
    pub share: f64,
}

impl Deal {
    /// What it saves in an epoch.
    fn saved(&self, terms: &Terms) -> f64 {
        let saved = i64::from(PPM) - self.cost_ppm;
        f64::from(self.volume) * self.share * terms.prices.generation as f64 * saved as f64 / f64::from(PPM)
    }

    /// Audits in an epoch at full reputation.
    fn audits(&self, terms: &Terms) -> f64 {
        f64::from(self.volume) * terms.rate(Reputation(PPM))
    }

    /// Audits within which it must be condemned, so that it does not pay.
    pub fn breaks_even(&self, terms: &Terms) -> f64 {
        loss(terms, self.volume) * self.audits(terms) / self.saved(terms)
    }

    /// What it gains in an epoch, forfeits after so many audits and the way back to full reputation included.
    pub fn net(&self, terms: &Terms, audits: f64) -> f64 {
        self.saved(terms) - loss(terms, self.volume) * self.audits(terms) / audits
    }
}

impl<'a> NearEqual<'a> {
    pub fn new(calibration: &'a Calibration, terms: &'a Terms, tokens: AnswerTokens) -> Self {
        let cells = calibration.cells.iter().map(|cell| Means::of(cell, tokens.0)).collect();
        Self { calibration, terms, test: SequentialTest::new(calibration, &terms.evidence, tokens), cells }
    }

    /// The bins of answers that lie so far off, in the cell that hides it best.
    pub fn shares(&self, shift: f64) -> Shares {
        let cells = self.cells.iter().map(|means| means.shares(self.calibration, shift));
        cells.min_by(heavier).unwrap_or(Shares(Vec::new()))
    }

    /// How soon a cheat is condemned that gives this share of its answers from so far off, within `most` audits.
    pub fn detection(&self, (shift, share): (f64, f64), most: i64, seed: u64) -> Detection {
        let mixed = self.shares(shift).mixed(share, &self.shares(0.0));
        Detection::of(&self.test, &mixed, (CAREERS, most), seed)
    }

    /// The least shift, in steps of a hundredth, from which on the model does not pay; none up to [`MOST_SHIFT`].
    pub fn boundary(&self, deal: Deal, seed: u64) -> Option<f64> {
        let most = deal.breaks_even(self.terms).floor() as i64 + 1;
        let condemned =
            |step: u32| self.detection((f64::from(step) * SHIFT_STEP, deal.share), most, seed).condemns();
        let (mut pays, mut loses) = (0, (MOST_SHIFT / SHIFT_STEP).round() as u32);
        if !condemned(loses) {
            return None;
        }
        while loses - pays > 1 {
            let middle = (pays + loses) / 2;
            if condemned(middle) {
                loses = middle;
            } else {
                pays = middle;
            }
        }
        Some(f64::from(loses) * SHIFT_STEP)
    }

    /// The shift under which bins like the counted ones are the likeliest, to a tenth.
    pub fn equivalent(&self, counts: &Counts) -> f64 {
        let likelihood = |shift: f64| -> f64 {
            let shares = self.shares(shift).0;
            // A bin that the shift never gives is as unlikely as a float can say.
            let of_bin = |(count, share): (&u64, &f64)| *count as f64 * share.max(f64::MIN_POSITIVE).ln();
            counts.bins.iter().zip(&shares).map(of_bin).sum()
        };
        let shifts = (0..=(MOST_SHIFT * 10.0) as u32).map(|tenths| f64::from(tenths) / 10.0);
        let scored = shifts.map(|shift| (shift, likelihood(shift)));
        scored.fold((0.0, f64::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best }).0
    }
}
