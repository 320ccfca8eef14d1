//! What the chain remembers of an executor, moved by the contract's own functions.
//!
//! The one place that knows what the evidence and the reputation are made of.

use assay_common::evidence::{size_class, Audit, Bins, Cusum, Scheme};
use assay_common::msg::Tallies;
use assay_common::params::{PerAlternative, ReputationParams};
use assay_common::reputation::Reputation;
use assay_common::verdict::FinalOutcome;

use super::terms::{EvidenceTerms, Terms};

/// The rules that move a standing.
#[derive(Clone, Debug)]
pub struct Rules {
    scheme: Scheme,
    full_weight_tokens: u32,
    reputation: ReputationParams,
}

impl Rules {
    pub fn new(terms: &Terms) -> Self {
        let EvidenceTerms { honest_fail_ppm, alternatives_ppm, full_weight_tokens, .. } = terms.evidence;
        let bins = [Bins::verdict_only(honest_fail_ppm, PerAlternative(alternatives_ppm))];
        let scheme = Scheme::new(&terms.evidence.params(), &bins);
        Self { scheme, reputation: terms.reputation, full_weight_tokens }
    }
}

/// How long a checked answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// One token: a filler.
    Token,
    /// Enough to count in full.
    Full,
}

/// An executor's evidence and reputation; a new one has neither.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    cusum: Cusum,
    pub reputation: Reputation,
}

impl Standing {
    /// No evidence, and a reputation from earlier.
    pub fn with(reputation: Reputation) -> Self {
        Self { cusum: Cusum::default(), reputation }
    }

    /// After one checked inference.
    #[must_use]
    pub fn after(mut self, rules: &Rules, outcome: FinalOutcome, size: Size) -> Self {
        let class = size_class(match size {
            Size::Token => 1,
            Size::Full => rules.full_weight_tokens,
        });
        let audit = match outcome {
            FinalOutcome::Valid => Audit::Pass { class, bin: 0 },
            FinalOutcome::Fail { .. } => Audit::Fail { class },
            FinalOutcome::Unavailable | FinalOutcome::Inconclusive { .. } | FinalOutcome::Void => {
                return self
            }
        };
        self.cusum = self.cusum.after(&rules.scheme, audit);
        self
    }

    pub fn forfeits(&self, rules: &Rules) -> bool {
        self.cusum.highest() >= rules.scheme.bound
    }

    /// The evidence as a share of the bound; anybody may read it on chain.
    pub fn suspicion(&self, rules: &Rules) -> f64 {
        self.cusum.highest() as f64 / rules.scheme.bound as f64
    }

    /// After an epoch that was paid.
    #[must_use]
    pub fn after_clean_epoch(mut self, rules: &Rules, closed: &Tallies) -> Self {
        self.reputation =
            self.reputation.after_clean_epoch(&rules.reputation, closed.checked(), closed.conclusive());
        self
    }

    /// The share of inferences that is checked, Q32.
    pub fn rate_q32(&self, rules: &Rules) -> u64 {
        self.reputation.rate_q32(&rules.reputation)
    }
}
