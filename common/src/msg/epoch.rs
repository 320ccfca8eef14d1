//! An executor's account of an epoch, and the accusations that end it.

use cosmwasm_schema::cw_serde;
use cosmwasm_std::Uint128;

use crate::ids::Epoch;
use crate::proof::Accusation;

#[cw_serde]
#[derive(Eq, Copy)]
pub enum EpochStatus {
    Open,
    /// A proof was brought before the settlement, which will forfeit it.
    Condemned,
    Paid,
    Forfeited,
}

impl EpochStatus {
    /// Whether its samples that are still open end void.
    pub fn voids_samples(self) -> bool {
        matches!(self, Self::Condemned | Self::Forfeited)
    }

    /// Whether the money of the epoch has gone where it goes.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Paid | Self::Forfeited)
    }
}

impl std::fmt::Display for EpochStatus {
    /// One word, for events and tables.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Condemned => "condemned",
            Self::Paid => "paid",
            Self::Forfeited => "forfeited",
        })
    }
}

/// The epoch of an executor.
#[cw_serde]
#[derive(Eq, PartialOrd, Ord)]
pub struct EpochKey {
    pub executor: String,
    pub epoch: Epoch,
}

/// How many inferences ended in each way.
#[cw_serde]
#[derive(Eq, Copy, Default)]
pub struct Tallies {
    pub valid: u32,
    pub fail: u32,
    pub unavailable: u32,
    pub inconclusive: u32,
    pub void: u32,
}

impl Tallies {
    pub fn checked(&self) -> u32 {
        self.conclusive().saturating_add(self.unavailable).saturating_add(self.inconclusive)
    }

    pub fn conclusive(&self) -> u32 {
        self.valid.saturating_add(self.fail)
    }
}

/// One executor's epoch.
#[cw_serde]
pub struct EpochResponse {
    pub executor: String,
    pub epoch: Epoch,
    pub status: EpochStatus,
    pub batches: u32,
    pub inferences: u32,
    /// Samples drawn so far, and those closed.
    pub sampled: u32,
    pub closed: Tallies,
    /// Samples folded into the evidence.
    pub folded: u32,
    /// Fees claimed; what of them went to reserve and checks; what is or was to be paid out.
    pub fees: Uint128,
    pub reserve: Uint128,
    pub checks: Uint128,
    pub pending: Uint128,
    /// Paid to the executor.
    pub reward: Uint128,
    /// Given back to the sessions, of `fees`.
    pub refunded: Uint128,
    pub slashed: Uint128,
    /// Of `slashed`, what went to the accuser.
    pub bounty: Uint128,
    pub accusation: Option<Accusation>,
}

#[cw_serde]
pub struct FraudCommitmentResponse {
    /// The block that holds it; none, or none that still stands.
    pub height: Option<u64>,
}
