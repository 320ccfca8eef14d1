//! The contract's sequential test of answers of one length.

use assay_common::evidence::{size_class, Audit, Cusum, Scheme};
use assay_common::judge::Calibration;
use assay_common::params::ALTERNATIVES;

use super::scores::AnswerTokens;
use crate::simulate::terms::EvidenceTerms;

/// Scheme and size class, as the contract takes them for an answer of so many tokens.
pub struct SequentialTest {
    scheme: Scheme,
    class: u8,
    /// What an executor of the worst honest spread is promised: audits, and of how many such runs one may forfeit.
    pub audits: u64,
    pub one_in: u64,
    /// Audits by their bin, the last a failed check.
    by_bin: Vec<Audit>,
}

impl SequentialTest {
    pub fn new(calibration: &Calibration, terms: &EvidenceTerms, tokens: AnswerTokens) -> Self {
        let class = size_class(tokens.0);
        let passes = u8::try_from(calibration.bins[0].honest_ppm.len() - 1).unwrap_or(u8::MAX);
        let by_bin =
            (0..passes).map(|bin| Audit::Pass { class, bin }).chain([Audit::Fail { class }]).collect();
        let scheme = Scheme::new(&terms.params(), &calibration.bins);
        Self { scheme, class, audits: terms.audits, one_in: terms.false_forfeit_one_in, by_bin }
    }

    pub fn class(&self) -> usize {
        usize::from(self.class)
    }

    pub fn after(&self, cusum: Cusum, bin: usize) -> Cusum {
        cusum.after(&self.scheme, self.by_bin[bin])
    }

    /// Whether an audit with this bin, after which these are the counters, forfeits.
    pub fn forfeits(&self, cusum: Cusum, bin: usize) -> bool {
        cusum.forfeits(&self.scheme, self.by_bin[bin])
    }

    /// Where a counter forfeits, in Q16 bits.
    pub fn bound(&self) -> i64 {
        self.scheme.bound
    }

    /// What each bin adds to each counter, in bits.
    pub fn steps(&self) -> Vec<[f64; ALTERNATIVES]> {
        let bits = |audit: &Audit| self.scheme.step(*audit).map(|step| step as f64 / 65_536.0);
        self.by_bin.iter().map(bits).collect()
    }

    /// The most false forfeits that Ville's inequality leaves an honest executor in so many audits, in expectation.
    pub fn promised(&self, audits: u64) -> f64 {
        audits as f64 / (self.audits as f64 * self.one_in as f64)
    }
}
