//! The e-CUSUM, the classes of its audits, and what a node's standing makes of its rate.

use assay_common::evidence::{size_class, Audit, Bins, Cusum, Scheme};
use assay_common::params::{
    BeaconParams, ClockParams, EvidenceParams, Params, PerAlternative, ReputationParams,
};
use assay_common::reputation::Reputation;
use borsh::{BorshDeserialize, BorshSerialize};
use cosmwasm_std::HexBinary;
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
        Counted { bound: scheme.bound, counters: cusum.0 .0, forfeits: cusum.highest() >= scheme.bound }
    }
}

/// The length of an answer.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Length {
    pub tokens: u32,
}

impl Given for Length {
    /// Its size class.
    type Outcome = u8;
    fn outcome(&self) -> u8 {
        size_class(self.tokens)
    }
}

/// A node's standing before a clean epoch, and what was checked in it.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Standing {
    pub step_ppm: u32,
    pub min_checked: u32,
    pub min_conclusive_ppm: u32,
    pub base_rate_ppm: u32,
    pub reputation: u32,
    pub checked: u32,
    pub conclusive: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct StandingOutcome {
    /// Before the epoch, of 2³².
    pub rate_q32: Text<u64>,
    /// After it.
    pub reputation: u32,
}

impl Given for Standing {
    type Outcome = StandingOutcome;
    fn outcome(&self) -> StandingOutcome {
        let Self { step_ppm, min_checked, min_conclusive_ppm, base_rate_ppm, .. } = *self;
        let params = ReputationParams { step_ppm, min_checked, min_conclusive_ppm, base_rate_ppm };
        let before = Reputation(self.reputation);
        StandingOutcome {
            rate_q32: Text(before.rate_q32(&params)),
            reputation: before.after_clean_epoch(&params, self.checked, self.conclusive).0,
        }
    }
}

/// A set of parameters of which a case replaces those that it is about.
pub fn local() -> Params {
    let clock = ClockParams { start: 0, window_seconds: 1, windows_per_epoch: 1 };
    let public_key = HexBinary::default();
    let beacon = BeaconParams { public_key, genesis: 0, period_seconds: 1, delay_seconds: 0 };
    Params::local("unit", clock, beacon)
}
