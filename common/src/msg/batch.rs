//! Batches, as queries show them.

use cosmwasm_schema::cw_serde;
use cosmwasm_std::Uint128;

use crate::ids::{BatchId, BatchRoot, Digest, Epoch, ModelDigest, Nonce, Round, SessionId, Window};
use crate::replay::SamplerVersion;

/// Nonces `from..=to` of a session, in a batch.
#[cw_serde]
#[derive(Eq, Copy)]
pub struct ClaimedRange {
    pub session: SessionId,
    pub from: Nonce,
    pub to: Nonce,
}

#[cw_serde]
pub struct BatchResponse {
    pub batch: BatchId,
    pub executor: String,
    pub model: ModelDigest,
    pub root: BatchRoot,
    /// Inferences under the root.
    pub count: u32,
    pub claims: Vec<ClaimedRange>,
    /// Window and epoch of the commitment.
    pub window: Window,
    pub epoch: Epoch,
    /// The beacon round that draws it.
    pub round: Round,
    /// The version of the parameters that holds for it.
    pub params: u32,
    /// The calibration that judges it.
    pub calibration: Digest,
    pub rate_q32: u64,
    /// The rules by which its rows replay.
    pub sampler: SamplerVersion,
    pub fees: Uint128,
    /// How many samples the rate gives, how many are drawn, how many closed.
    pub samples: u32,
    pub drawn: u32,
    pub closed: u32,
}
