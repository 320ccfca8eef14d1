//! The sequential test that tells a persistent cheat from bad luck.
//!
//! For each alternative failure share q a CUSUM of log-likelihood ratios against the honest share p₀ runs in Q16 bits,
//! every logarithm rounded down, so that 2^C is an e-process (Ramdas et al. 2023, *Game-theoretic statistics*; the
//! restart at 0 costs a factor of the number of audits: Shin, Ramdas and Rinaldo 2023). An executor forfeits when one
//! counter reaches ⌈2¹⁶ log₂(alternatives · audits / α)⌉: by Ville's inequality and a union bound an honest one does so
//! over that many audits with probability at most α, whenever anybody looks.

use cosmwasm_schema::cw_serde;

use crate::fixed::log2_q36;
use crate::params::{EvidenceParams, PerAlternative, ALTERNATIVES, PPM};

/// Q36 to Q16.
const Q36_TO_Q16: u32 = 20;
/// Twice the error of [`log2_q36`], rounded up: added or taken away so that a rounded logarithm is on the safe side.
const LOG2_ERROR_Q36: i64 = 64;

/// What one audit adds to each counter, and where a counter forfeits; Q16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    pub fail: [i64; ALTERNATIVES],
    pub pass: [i64; ALTERNATIVES],
    pub bound: i64,
}

impl Scheme {
    /// The steps and the bound that parameters imply; `params` has passed its check.
    pub fn new(params: &EvidenceParams) -> Self {
        let honest = params.honest_fail_ppm;
        let ratio = |share: u32, of: u32| {
            let bits = log2_q36(u64::from(share)).saturating_sub(log2_q36(u64::from(of)));
            bits.saturating_sub(LOG2_ERROR_Q36) >> Q36_TO_Q16
        };
        let chances = u64::try_from(ALTERNATIVES)
            .unwrap_or(u64::MAX)
            .saturating_mul(params.audits.u64())
            .saturating_mul(params.false_forfeit_one_in.u64());
        let bound = log2_q36(chances).saturating_add(LOG2_ERROR_Q36);
        Self {
            fail: params.alternatives_ppm.0.map(|q| ratio(q, honest)),
            pass: params.alternatives_ppm.0.map(|q| ratio(PPM.saturating_sub(q), PPM.saturating_sub(honest))),
            bound: bound.saturating_add((1 << Q36_TO_Q16) - 1) >> Q36_TO_Q16,
        }
    }
}

/// What one audit says about its executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    Pass,
    Fail,
}

/// An executor's counters, in Q16 bits; carried across epochs, back to zero only by a forfeit.
#[cw_serde]
#[derive(Eq, Copy, Default)]
pub struct Cusum(pub PerAlternative<i64>);

impl Cusum {
    /// C ← max(C, 0) + step, for each alternative.
    #[must_use]
    pub fn after(self, scheme: &Scheme, audit: Audit) -> Self {
        let steps = match audit {
            Audit::Pass => &scheme.pass,
            Audit::Fail => &scheme.fail,
        };
        let mut counters = self.0 .0;
        for (counter, step) in counters.iter_mut().zip(steps) {
            *counter = (*counter).max(0).saturating_add(*step);
        }
        Self(PerAlternative(counters))
    }

    /// The counter nearest to the bound.
    pub fn highest(self) -> i64 {
        self.0 .0.into_iter().max().unwrap_or(0)
    }

    /// Whether the evidence suffices to forfeit.
    pub fn forfeits(self, scheme: &Scheme) -> bool {
        self.highest() >= scheme.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmwasm_std::Uint64;

    fn scheme(audits: u64, one_in: u64) -> Scheme {
        Scheme::new(&EvidenceParams {
            honest_fail_ppm: 10_000,
            alternatives_ppm: PerAlternative([30_000, 100_000, 400_000]),
            audits: Uint64::new(audits),
            false_forfeit_one_in: Uint64::new(one_in),
        })
    }

    #[test]
    fn the_published_example_is_reproduced() {
        let wide = scheme(10_000, 1_000_000_000);
        assert_eq!(wide.fail, [103_872, 217_705, 348_777]);
        assert_eq!(wide.pass, [-1_930, -9_012, -47_348]);
        assert_eq!(wide.bound, 2_934_049);
        assert_eq!(scheme(1_000, 1_000_000).bound, 2_063_226);
    }

    #[test]
    fn nine_failures_in_a_row_forfeit_and_eight_do_not() {
        let scheme = scheme(10_000, 1_000_000_000);
        let after = |fails| (0..fails).fold(Cusum::default(), |c, _| c.after(&scheme, Audit::Fail));
        assert!(!after(8).forfeits(&scheme));
        assert!(after(9).forfeits(&scheme));
    }

    #[test]
    fn prior_honesty_buys_no_delay() {
        let scheme = scheme(10_000, 1_000_000_000);
        let honest = (0..1_000).fold(Cusum::default(), |c, _| c.after(&scheme, Audit::Pass));
        let after = (0..9).fold(honest, |c, _| c.after(&scheme, Audit::Fail));
        assert!(after.forfeits(&scheme));
    }
}
