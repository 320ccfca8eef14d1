//! The sequential test that tells a persistent cheat from bad luck.
//!
//! An audit ends in a bin: how near the answer came to the limits of the checks, from good to bad, the last bin being a
//! failed check. A model's calibration holds the worst honest distribution over the bins (h) and for each alternative the
//! distribution of a cheat of that kind (q). For each alternative a CUSUM of log₂(1 + w(q/h − 1)) runs in Q16 bits, every
//! logarithm rounded down; w is the weight of the answer's size class, so that short fillers cannot dilute one long fraud.
//! As q/h never falls from bin to bin, an executor whose bins are no worse than h (in every upper tail) has an expected
//! factor of at most Σ h·q/h = 1, and 2^C is an e-process (Ramdas et al. 2023, *Game-theoretic statistics*; the restart at
//! 0 costs a factor of the number of audits: Shin, Ramdas and Rinaldo 2023). An executor forfeits when one counter reaches
//! ⌈2¹⁶ log₂(alternatives · audits / α)⌉: by Ville's inequality and a union bound an honest one does so over that many
//! audits with probability at most α, whenever anybody looks.

use cosmwasm_schema::cw_serde;

use crate::fixed::log2_q36;
use crate::params::{EvidenceParams, PerAlternative, ALTERNATIVES, PPM};

/// Q36 to Q16.
const Q36_TO_Q16: u32 = 20;
/// Twice the error of [`log2_q36`], rounded up: added or taken away so that a rounded logarithm is on the safe side.
const LOG2_ERROR_Q36: i64 = 64;

/// Classes of answers by their number of tokens.
pub const SIZE_CLASSES: usize = 8;
/// The fewest tokens of each size class.
pub const CLASS_EDGES: [u32; SIZE_CLASSES] = [1, 8, 16, 32, 64, 128, 256, 512];
/// Most bins of a size class.
pub const MAX_BINS: usize = 8;

/// The class of an answer of so many tokens.
pub fn size_class(tokens: u32) -> u8 {
    let above = CLASS_EDGES.iter().skip(1).filter(|edge| tokens >= **edge).count();
    u8::try_from(above).unwrap_or(u8::MAX)
}

/// How often answers of one size class end in each bin; the last bin is a failed check.
#[cw_serde]
#[derive(Eq)]
pub struct Bins {
    /// The worst honest executor's shares, of a million; they add up to a million.
    pub honest_ppm: Vec<u32>,
    /// The shares of each alternative, of a million; each adds up to a million and grows, bin by bin, against the honest.
    pub alternatives_ppm: PerAlternative<Vec<u32>>,
}

/// A rule that a table of bins breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BinsError {
    #[error("{found} size classes: 1 for all, or {SIZE_CLASSES}, expected")]
    Classes { found: usize },
    #[error("{found} bins in size class {class}: between 2 and {MAX_BINS} expected, in all classes as many")]
    Count { class: usize, found: usize },
    #[error("a share of {ppm} ppm in size class {class}: between 1 and a million expected")]
    Share { class: usize, ppm: u32 },
    #[error("shares in size class {class} add up to {sum} ppm: a million expected")]
    Sum { class: usize, sum: u64 },
    #[error("in size class {class} an alternative is rarer in bin {bin}, against the honest, than in the bin before")]
    Order { class: usize, bin: usize },
}

impl Bins {
    /// Two bins, a passed and a failed check, where the honest fail at most `honest_fail_ppm` and alternative a
    /// `alternatives_ppm[a]`.
    pub fn verdict_only(honest_fail_ppm: u32, alternatives_ppm: PerAlternative<u32>) -> Self {
        let pass = |fail: u32| PPM.saturating_sub(fail);
        Self {
            honest_ppm: vec![pass(honest_fail_ppm), honest_fail_ppm],
            alternatives_ppm: PerAlternative(alternatives_ppm.0.map(|fail| vec![pass(fail), fail])),
        }
    }

    fn check(&self, class: usize, count: usize) -> Result<(), BinsError> {
        let columns = || std::iter::once(&self.honest_ppm).chain(&self.alternatives_ppm.0);
        if let Some(found) = columns().map(Vec::len).find(|found| *found != count) {
            return Err(BinsError::Count { class, found });
        }
        if let Some(ppm) = columns().flatten().find(|ppm| !(1..=PPM).contains(*ppm)) {
            return Err(BinsError::Share { class, ppm: *ppm });
        }
        let mut sums = columns().map(|shares| shares.iter().copied().map(u64::from).sum());
        if let Some(sum) = sums.find(|sum: &u64| *sum != u64::from(PPM)) {
            return Err(BinsError::Sum { class, sum });
        }
        match self.alternatives_ppm.0.iter().find_map(|shares| self.falls_at(shares)) {
            Some(bin) => Err(BinsError::Order { class, bin }),
            None => Ok(()),
        }
    }

    /// The first bin in which q/h is lower than in the bin before.
    fn falls_at(&self, shares: &[u32]) -> Option<usize> {
        let ratios = shares.iter().zip(&self.honest_ppm).map(|(q, h)| (u64::from(*q), u64::from(*h)));
        let pairs = ratios.clone().zip(ratios.skip(1));
        let falls = |((q, h), (next_q, next_h)): ((u64, u64), (u64, u64))| {
            next_q.saturating_mul(h) < q.saturating_mul(next_h)
        };
        pairs.map(falls).position(|falls| falls).map(|before| before.saturating_add(1))
    }
}

/// Checks the tables of a model: one for all size classes, or one for each.
///
/// # Errors
/// The first broken rule.
pub fn check_bins(classes: &[Bins]) -> Result<(), BinsError> {
    if classes.len() != 1 && classes.len() != SIZE_CLASSES {
        return Err(BinsError::Classes { found: classes.len() });
    }
    let count = classes[0].honest_ppm.len();
    if !(2..=MAX_BINS).contains(&count) {
        return Err(BinsError::Count { class: 0, found: count });
    }
    classes.iter().enumerate().try_for_each(|(class, bins)| bins.check(class, count))
}

impl EvidenceParams {
    /// Where a counter forfeits: ⌈2¹⁶ log₂(alternatives · audits / α)⌉.
    pub fn bound(&self) -> i64 {
        let chances = u64::try_from(ALTERNATIVES)
            .unwrap_or(u64::MAX)
            .saturating_mul(self.audits.u64())
            .saturating_mul(self.false_forfeit_one_in.u64());
        let bound = log2_q36(chances.max(1)).saturating_add(LOG2_ERROR_Q36);
        bound.saturating_add((1 << Q36_TO_Q16) - 1) >> Q36_TO_Q16
    }
}

/// What one audit says about its executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// The check passed, with a score in this bin.
    Pass {
        class: u8,
        bin: u8,
    },
    Fail {
        class: u8,
    },
}

/// What one audit adds to each counter, and where a counter forfeits; Q16 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// `[size class][bin]`.
    steps: Vec<Vec<[i64; ALTERNATIVES]>>,
    pub bound: i64,
}

impl Scheme {
    /// The steps and the bound that parameters and a model's bins imply; both have passed their checks.
    pub fn new(params: &EvidenceParams, classes: &[Bins]) -> Self {
        let of_class = |class: usize| {
            let bins = classes.get(class).or(classes.first());
            let weight = weight(CLASS_EDGES[class], params.full_weight_tokens);
            bins.map(|bins| steps(bins, weight)).unwrap_or_default()
        };
        Self { steps: (0..SIZE_CLASSES).map(of_class).collect(), bound: params.bound() }
    }

    /// What an audit adds; nothing for a class or bin that the model does not have.
    pub fn step(&self, audit: Audit) -> [i64; ALTERNATIVES] {
        let (Audit::Pass { class, .. } | Audit::Fail { class }) = audit;
        let bins = self.steps.get(usize::from(class)).map(Vec::as_slice).unwrap_or_default();
        let (fail, passes) = match bins.split_last() {
            Some((fail, passes)) => (fail, passes),
            None => return [0; ALTERNATIVES],
        };
        match audit {
            Audit::Fail { .. } => *fail,
            Audit::Pass { bin, .. } => {
                passes.get(usize::from(bin)).or(passes.last()).copied().unwrap_or_default()
            }
        }
    }
}

/// The weight of answers of at least `tokens` tokens: tokens/full, at most 1, as (numerator, denominator).
fn weight(tokens: u32, full: u32) -> (u64, u64) {
    if tokens >= full {
        (1, 1)
    } else {
        (tokens.into(), full.into())
    }
}

/// log₂(1 + w(q/h − 1)) = log₂((h·(d − n) + q·n)/(h·d)) for w = n/d, rounded down, for each bin.
fn steps(bins: &Bins, (n, d): (u64, u64)) -> Vec<[i64; ALTERNATIVES]> {
    let step = |honest: u32, q: u32| {
        let (h, q) = (u64::from(honest), u64::from(q));
        let above = h.saturating_mul(d.saturating_sub(n)).saturating_add(q.saturating_mul(n));
        let bits = log2_q36(above.max(1)).saturating_sub(log2_q36(h.saturating_mul(d).max(1)));
        bits.saturating_sub(LOG2_ERROR_Q36) >> Q36_TO_Q16
    };
    let of_bin = |(bin, honest): (usize, &u32)| {
        let share = |shares: &Vec<u32>| shares.get(bin).copied().unwrap_or(1);
        let mut steps = [0; ALTERNATIVES];
        for (slot, shares) in steps.iter_mut().zip(&bins.alternatives_ppm.0) {
            *slot = step(*honest, share(shares));
        }
        steps
    };
    bins.honest_ppm.iter().enumerate().map(of_bin).collect()
}

/// An executor's counters, in Q16 bits; carried across epochs, back to zero only by a forfeit.
#[cw_serde]
#[derive(Eq, Copy, Default)]
pub struct Cusum(pub PerAlternative<i64>);

impl Cusum {
    /// C ← max(C, 0) + step, for each alternative.
    #[must_use]
    pub fn after(self, scheme: &Scheme, audit: Audit) -> Self {
        let mut counters = self.0 .0;
        for (counter, step) in counters.iter_mut().zip(scheme.step(audit)) {
            *counter = (*counter).max(0).saturating_add(step);
        }
        Self(PerAlternative(counters))
    }

    /// The counter nearest to the bound.
    pub fn highest(self) -> i64 {
        self.0 .0.into_iter().max().unwrap_or(0)
    }

    /// Whether `audit`, after which these are the counters, brought one of them to the bound, or further above it.
    ///
    /// Evidence is carried, and its bound may be lowered meanwhile: what takes from the evidence, or adds nothing, never forfeits.
    pub fn forfeits(self, scheme: &Scheme, audit: Audit) -> bool {
        let mut counters = self.0 .0.iter().zip(scheme.step(audit));
        counters.any(|(counter, step)| step > 0 && *counter >= scheme.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmwasm_std::Uint64;
    use proptest::prelude::*;

    fn params(audits: u64, one_in: u64) -> EvidenceParams {
        EvidenceParams {
            audits: Uint64::new(audits),
            false_forfeit_one_in: Uint64::new(one_in),
            full_weight_tokens: 512,
        }
    }

    fn verdict_only() -> Vec<Bins> {
        vec![Bins::verdict_only(10_000, PerAlternative([30_000, 100_000, 400_000]))]
    }

    fn scheme(audits: u64, one_in: u64) -> Scheme {
        Scheme::new(&params(audits, one_in), &verdict_only())
    }

    /// An answer of full weight.
    const PASS: Audit = Audit::Pass { class: 7, bin: 0 };
    const FAIL: Audit = Audit::Fail { class: 7 };

    #[test]
    fn the_published_example_is_reproduced() {
        let wide = scheme(10_000, 1_000_000_000);
        assert_eq!(wide.step(FAIL), [103_872, 217_705, 348_777]);
        assert_eq!(wide.step(PASS), [-1_930, -9_012, -47_348]);
        assert_eq!(wide.bound, 2_934_049);
        assert_eq!(scheme(1_000, 1_000_000).bound, 2_063_226);
    }

    #[test]
    fn nine_failures_in_a_row_forfeit_and_eight_do_not() {
        let scheme = scheme(10_000, 1_000_000_000);
        let after = |fails| (0..fails).fold(Cusum::default(), |c, _| c.after(&scheme, FAIL));
        assert!(!after(8).forfeits(&scheme, FAIL));
        assert!(after(9).forfeits(&scheme, FAIL));
    }

    #[test]
    fn under_a_lowered_bound_carried_evidence_forfeits_only_with_what_adds_to_it() {
        let (before, lowered) = (scheme(10_000, 1_000_000_000), scheme(10, 1_000));
        let carried = (0..8).fold(Cusum::default(), |c, _| c.after(&before, FAIL));
        assert!(carried.highest() >= lowered.bound);
        let after = |audit| carried.after(&lowered, audit);
        assert!(after(PASS).highest() >= lowered.bound && !after(PASS).forfeits(&lowered, PASS));
        let unknown = Audit::Fail { class: 200 };
        assert!(!after(unknown).forfeits(&lowered, unknown));
        assert!(after(FAIL).forfeits(&lowered, FAIL));
    }

    #[test]
    fn prior_honesty_buys_no_delay() {
        let scheme = scheme(10_000, 1_000_000_000);
        let honest = (0..1_000).fold(Cusum::default(), |c, _| c.after(&scheme, PASS));
        let after = (0..9).fold(honest, |c, _| c.after(&scheme, FAIL));
        assert!(after.forfeits(&scheme, FAIL));
    }

    #[test]
    fn classes_begin_at_their_edges() {
        let classes = [0, 1, 7, 8, 16, 31, 32, 511, 512, u32::MAX].map(size_class);
        assert_eq!(classes, [0, 0, 0, 1, 2, 2, 3, 6, 7, 7]);
    }

    /// A thousand one-token fillers take less from the evidence than one long fraud adds.
    #[test]
    fn short_fillers_do_not_dilute_one_long_fraud() {
        let scheme = scheme(10_000, 1_000_000_000);
        let filler = Audit::Pass { class: 0, bin: 0 };
        let fraud = Cusum::default().after(&scheme, FAIL);
        let diluted = (0..1_000).fold(fraud, |c, _| c.after(&scheme, filler));
        // log2(1 + (1/512)(0.97/0.99 - 1)) a filler: 1,000 of them take 0.06 bits from the most cautious alternative.
        assert!(diluted.0 .0[0] > fraud.0 .0[0] - (1 << 13), "{fraud:?} {diluted:?}");
    }

    #[test]
    fn wrong_tables_are_named() {
        assert_eq!(check_bins(&verdict_only()), Ok(()));
        assert_eq!(check_bins(&[]), Err(BinsError::Classes { found: 0 }));
        let mut sums = verdict_only();
        sums[0].alternatives_ppm.0[1] = vec![900_000, 99_999];
        assert_eq!(check_bins(&sums), Err(BinsError::Sum { class: 0, sum: 999_999 }));
        let mut zero = verdict_only();
        zero[0].honest_ppm[1] = 0;
        assert_eq!(check_bins(&zero), Err(BinsError::Share { class: 0, ppm: 0 }));
        let mut uneven = verdict_only();
        uneven[0].alternatives_ppm.0[2].pop();
        assert_eq!(check_bins(&uneven), Err(BinsError::Count { class: 0, found: 1 }));
    }

    #[test]
    fn an_alternative_that_is_rarer_where_the_score_is_worse_is_refused() {
        let bins = |q: [u32; 3]| Bins {
            honest_ppm: vec![940_000, 50_000, 10_000],
            alternatives_ppm: PerAlternative([q.to_vec(), q.to_vec(), q.to_vec()]),
        };
        assert_eq!(check_bins(&[bins([920_000, 50_000, 30_000])]), Ok(()));
        let error = Err(BinsError::Order { class: 0, bin: 1 });
        assert_eq!(check_bins(&[bins([960_000, 10_000, 30_000])]), error);
    }

    proptest! {
        /// Under every honest distribution that is no worse than the calibration's, the expected factor is at most 1.
        #[test]
        fn no_honest_executor_gains_evidence_in_expectation(
            fail in 0u32..=10_000, near in 0u32..=50_000, class in 0u8..8, alternative in 0usize..ALTERNATIVES,
        ) {
            let q = |fail: u32, near: u32| vec![PPM - fail - near, near, fail];
            let bins = Bins {
                honest_ppm: q(10_000, 50_000),
                alternatives_ppm: PerAlternative([q(30_000, 60_000), q(100_000, 100_000), q(400_000, 400_000)]),
            };
            prop_assert_eq!(check_bins(std::slice::from_ref(&bins)), Ok(()));
            let scheme = Scheme::new(&params(10_000, 1_000_000_000), &[bins]);
            let factor = |audit| (scheme.step(audit)[alternative] as f64 / 65_536.0).exp2();
            let (fail, near) = (f64::from(fail) / 1e6, f64::from(near) / 1e6);
            let expected = fail * factor(Audit::Fail { class })
                + near * factor(Audit::Pass { class, bin: 1 })
                + (1.0 - fail - near) * factor(Audit::Pass { class, bin: 0 });
            prop_assert!(expected <= 1.0, "{}", expected);
        }
    }
}
