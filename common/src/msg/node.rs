//! Nodes, their stakes and the evidence about them.

use cosmwasm_schema::cw_serde;
use cosmwasm_std::Uint128;

use crate::evidence::Cusum;
use crate::ids::ModelDigest;
use crate::reputation::Reputation;

#[cw_serde]
pub struct NodeResponse {
    pub address: String,
    pub models: Vec<ModelDigest>,
    pub endpoint: String,
    /// Bonded; 0 for a node that has left or is leaving.
    pub stake: Uint128,
    /// On its way out, in the order of asking; a slash still reaches it.
    pub unbonding: Vec<UnbondingResponse>,
    pub reputation: Reputation,
    /// Whether it lost its seats on juries by too many misses, until it asks for them again.
    pub benched: bool,
    /// Share of its inferences that is checked, of 2³².
    pub rate_q32: u64,
}

/// A part of a stake on its way out.
#[cw_serde]
#[derive(Eq, Copy)]
pub struct UnbondingResponse {
    pub amount: Uint128,
    /// The second since 1970 from which it can be withdrawn; later by each pause that comes before.
    pub release: u64,
}

#[cw_serde]
pub struct EvidenceResponse {
    pub executor: String,
    /// Q16 bits; the epoch is forfeited when one reaches `bound`.
    pub cusum: Cusum,
    pub bound: i64,
}
