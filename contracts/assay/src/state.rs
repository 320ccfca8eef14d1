//! What is stored, and under which keys. Messages and answers never are; small values of the common vocabulary are.

use assay_common::digest::Domain;
use assay_common::evidence::Cusum;
use assay_common::ids::{
    BatchId, BatchRoot, Digest, Epoch, ModelDigest, Nonce, Randomness, Round, UserSeed, Window,
};
use assay_common::msg::{ClaimedRange, EpochStatus, Tallies};
use assay_common::params::Params;
use assay_common::reputation::Reputation;
use assay_common::session::ModelSpec;
use assay_common::verdict::{FinalOutcome, Outcome};
use cosmwasm_schema::cw_serde;
use cosmwasm_std::{Addr, Empty, HexBinary, Uint128};
use cw_storage_plus::{Item, Map};

use crate::pools::Pools;
use crate::table::StakeTable;

#[cw_serde]
pub struct Config {
    pub governance: Addr,
    pub params: Params,
    /// This chain and this contract.
    pub domain: Domain,
}

#[cw_serde]
pub struct Model {
    pub spec: ModelSpec,
    pub reference_fee: Uint128,
    pub calibration: Digest,
}

#[cw_serde]
pub struct Node {
    pub models: Vec<ModelDigest>,
    pub endpoint: String,
    pub stake: Uint128,
    pub reputation: Reputation,
    pub cusum: Cusum,
    /// The last epoch with a batch of this node.
    pub last_epoch: Option<Epoch>,
}

/// What a session paid in an epoch that was not settled when it was last looked at.
#[cw_serde]
pub struct Slot {
    pub epoch: Epoch,
    pub amount: Uint128,
}

#[cw_serde]
pub struct Session {
    pub requester: Addr,
    pub executor: Addr,
    pub model: ModelDigest,
    pub user_seed: UserSeed,
    pub session_key: HexBinary,
    pub fee: Uint128,
    pub max_prompt: u32,
    pub max_new: u32,
    pub expires: Epoch,
    pub escrow: Uint128,
    /// The last nonce that was paid for.
    pub nonce: Nonce,
    /// The executor's rate (Q32) at the opening or the last claim: no batch of this session is sampled at less.
    pub mark: u64,
    /// At most [`crate::session::RING`] of them.
    pub slots: Vec<Slot>,
}

#[cw_serde]
pub struct Batch {
    pub executor: Addr,
    pub model: ModelDigest,
    pub root: BatchRoot,
    pub count: u32,
    pub claims: Vec<ClaimedRange>,
    pub window: Window,
    pub epoch: Epoch,
    pub round: Round,
    pub rate_q32: u64,
    pub fees: Uint128,
    /// Pay of one verdict, and seats of a jury, as paid for at the commitment.
    pub verdict_fee: Uint128,
    pub seats: u32,
    pub samples: u32,
    pub drawn: u32,
    pub closed: u32,
    /// All samples before this draw number are closed.
    pub first_open: u32,
}

#[cw_serde]
pub struct Seat {
    pub juror: Addr,
    pub verdict: Option<Outcome>,
}

#[cw_serde]
pub struct Sample {
    /// Leaf number under the batch's root.
    pub index: u32,
    /// The window of the Draw page that drew it: each page has its own, so no juror waits for a later page.
    pub window: Window,
    pub seats: Vec<Seat>,
    pub outcome: Option<FinalOutcome>,
}

#[cw_serde]
pub struct PageCommitment {
    pub hash: Digest,
    pub revealed: bool,
}

/// The next sample that the evidence of an executor-epoch takes in.
#[cw_serde]
#[derive(Eq, Copy)]
pub struct Cursor {
    pub batch: BatchId,
    pub draw: u32,
}

#[cw_serde]
pub struct ExecutorEpoch {
    pub status: EpochStatus,
    /// The executor's epoch before this one; it settles first.
    pub previous: Option<Epoch>,
    pub batches: u32,
    pub inferences: u32,
    pub sampled: u32,
    pub closed: Tallies,
    pub folded: u32,
    pub cursor: Cursor,
    /// The window of the last batch, and the samples that its batches cause.
    pub window: Window,
    pub window_samples: u32,
    pub fees: Uint128,
    pub reserve: Uint128,
    pub checks: Uint128,
    pub pending: Uint128,
    pub reward: Uint128,
    pub refunded: Uint128,
    pub slashed: Uint128,
    /// Fees of sessions that have not taken their refund, and what is left for them.
    pub refund_fees_left: Uint128,
    pub refund_pool_left: Uint128,
}

type SeatKey<'a> = ((&'a Addr, u64), (u64, u32));

/// The one configuration.
pub const CONFIG: Item<Config> = Item::new("config");
/// The one account of all money held.
pub const POOLS: Item<Pools> = Item::new("pools");
/// Ids given so far.
pub const LAST_SESSION: Item<u64> = Item::new("last_session");
pub const LAST_BATCH: Item<u64> = Item::new("last_batch");
/// Maps a model's digest to the model.
pub const MODELS: Map<[u8; 32], Model> = Map::new("model");
/// Maps an address to the node that it registered.
pub const NODES: Map<&Addr, Node> = Map::new("node");
/// Maps (model, epoch) to the stake table that is in force from that epoch until the next stored one.
pub const TABLES: Map<(&[u8], u64), StakeTable> = Map::new("table");
/// Maps a session's id to the session.
pub const SESSIONS: Map<u64, Session> = Map::new("session");
/// Maps a batch's id to the batch.
pub const BATCHES: Map<u64, Batch> = Map::new("batch");
/// Maps (batch, draw) to the sample.
pub const SAMPLES: Map<(u64, u32), Sample> = Map::new("sample");
/// Maps a beacon round to its randomness.
pub const BEACONS: Map<u64, Randomness> = Map::new("beacon");
/// Maps ((juror, window of the draw), (batch, draw)) of each seat to its number among the juror's seats of that window.
pub const ASSIGNMENTS: Map<SeatKey, u32> = Map::new("assignment");
/// Maps (juror, window of the draw) to how many seats the juror has there.
pub const SEATS: Map<(&Addr, u64), u32> = Map::new("seats");
/// Maps (juror, window of the draw, page) to what the juror committed to.
pub const COMMITMENTS: Map<(&Addr, u64, u32), PageCommitment> = Map::new("commitment");
/// Maps (executor, epoch) to the executor's account of that epoch.
pub const EPOCHS: Map<(&Addr, u64), ExecutorEpoch> = Map::new("epoch");
/// Holds ((executor, epoch), batch) for each batch: the order of the evidence.
pub const EPOCH_BATCHES: Map<((&Addr, u64), u64), Empty> = Map::new("epoch_batch");
/// Maps an address to what it has earned and not claimed.
pub const CLAIMABLE: Map<&Addr, Uint128> = Map::new("claimable");

/// Holds (beacon round, batch) while the batch is not wholly drawn.
pub const UNDRAWN: Map<(u64, u64), Empty> = Map::new("undrawn");
/// Maps (window, batch) to the batch's first open sample, drawn in that window.
pub const UNTALLIED: Map<(u64, u64), u32> = Map::new("untallied");
/// Holds (epoch, executor) while that account is open.
pub const UNSETTLED: Map<(u64, &Addr), Empty> = Map::new("unsettled");
