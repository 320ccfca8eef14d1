//! The e-CUSUM.

use assay_common::evidence::{Audit, Bins, Cusum, Scheme};
use assay_common::params::{EvidenceParams, PerAlternative};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Given, Text};

/// Parameters, a model's table of bins, and the audits of one executor in their order.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Audited {
    pub audits: Text<u64>,
    pub false_forfeit_one_in: Text<u64>,
    pub full_weight_tokens: u32,
    /// One for all size classes, or one for each.
    pub classes: Vec<Shares>,
    /// Size class and bin of each; no bin where the check failed.
    pub outcomes: Vec<(u8, Option<u8>)>,
}

/// Of a million, by bin; the last bin is a failed check.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Shares {
    pub honest_ppm: Vec<u32>,
    pub alternatives_ppm: [Vec<u32>; 3],
}

impl Shares {
    pub fn bins(&self) -> Bins {
        let alternatives_ppm = PerAlternative(self.alternatives_ppm.clone());
        Bins { honest_ppm: self.honest_ppm.clone(), alternatives_ppm }
    }
}

/// Q16 bits throughout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Counted {
    pub bound: i64,
    /// After the last audit.
    pub counters: [i64; 3],
    pub forfeits: bool,
}

impl Given for Audited {
    type Outcome = Counted;
    fn outcome(&self) -> Counted {
        let params = EvidenceParams {
            audits: self.audits.0.into(),
            false_forfeit_one_in: self.false_forfeit_one_in.0.into(),
            full_weight_tokens: self.full_weight_tokens,
        };
        let classes: Vec<Bins> = self.classes.iter().map(Shares::bins).collect();
        let scheme = Scheme::new(&params, &classes);
        let audit = |outcome: &(u8, Option<u8>)| match *outcome {
            (class, Some(bin)) => Audit::Pass { class, bin },
            (class, None) => Audit::Fail { class },
        };
        let audits = self.outcomes.iter().map(audit);
        let cusum = audits.fold(Cusum::default(), |cusum, audit| cusum.after(&scheme, audit));
        Counted { bound: scheme.bound, counters: cusum.0 .0, forfeits: cusum.forfeits(&scheme) }
    }
}
