//! Sessions, as queries show them.

use cosmwasm_schema::cw_serde;
use cosmwasm_std::{HexBinary, Uint128};

use crate::ids::{Epoch, ModelDigest, Nonce, SessionId, UserSeed};

#[cw_serde]
#[derive(Eq, Copy)]
pub enum SessionStatus {
    Open,
    /// Its requester closed it, or it expired: the executor still claims what was signed before.
    Closing,
    /// Everything is paid out.
    Closed,
}

/// What a session paid in an epoch that is not settled.
#[cw_serde]
#[derive(Eq, Copy)]
pub struct UnsettledPayment {
    pub epoch: Epoch,
    pub amount: Uint128,
}

#[cw_serde]
pub struct SessionResponse {
    pub session: SessionId,
    pub requester: String,
    pub executor: String,
    pub model: ModelDigest,
    pub user_seed: UserSeed,
    pub session_key: HexBinary,
    pub fee: Uint128,
    pub max_prompt: u32,
    pub max_new: u32,
    /// The last epoch in which it is open, if nobody closes it earlier.
    pub expires: Epoch,
    pub status: SessionStatus,
    /// The last epoch in which the executor can claim.
    pub closes: Epoch,
    /// Whatever of it is forfeited comes back to the session.
    pub unsettled: Vec<UnsettledPayment>,
    /// What is left to pay with, refunds of forfeited epochs included.
    pub escrow: Uint128,
    /// The last nonce that was paid for.
    pub nonce: Nonce,
    /// No batch of this session is sampled at less, of 2³²: the executor's rate at the opening or the last claim.
    pub mark_q32: u64,
}
