//! What is stored, and under which keys. Messages and answers never are; small values of the common vocabulary are.
//!
//! Names of what is written for every sample are one letter long: each byte of a key is paid at every write.

use assay_common::digest::Domain;
use assay_common::evidence::Cusum;
use assay_common::ids::{
    BatchId, BatchRoot, Digest, Epoch, ModelDigest, Nonce, Randomness, Round, UserSeed, Window,
};
use assay_common::msg::{CalibrationRecord, ClaimedRange, EpochStatus, SampleKey, SessionStatus, Tallies};
use assay_common::params::Params;
use assay_common::proof::Finding;
use assay_common::replay::SamplerVersion;
use assay_common::reputation::Reputation;
use assay_common::session::ModelSpec;
use assay_common::verdict::{FinalOutcome, Outcome, Score};
use cosmwasm_schema::cw_serde;
use cosmwasm_std::{Addr, Uint128};
use cw_storage_plus::{Item, Map};
use serde::{Deserialize, Serialize};

use crate::packed::{Packed, PackedItem};
use crate::pause::Pause;
use crate::pools::Pools;
use crate::table::tree::{Leaf, Root};
use crate::versions::{Version, Versions};

/// Who governs what: [`crate::tx::Config`] is what follows from it at a time.
#[cw_serde]
pub struct Charter {
    pub governance: Addr,
    /// This chain and this contract.
    pub domain: Domain,
    pub params: Versions<Params>,
}

/// A node's number, counted from 0 in the order of registration: what stake tables and seats hold instead of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeNumber(pub u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub spec: ModelSpec,
    pub reference_fee: Uint128,
    /// What judges inferences.
    pub calibrations: Versions<CalibrationRecord>,
    /// It takes no new sessions and nodes.
    pub deprecated: bool,
    /// Nodes that sit on its juries while too few others can.
    pub guardians: Vec<NodeNumber>,
}

/// A part of a stake that leaves at `release`, by the clock of [`crate::pause::running`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbonding {
    pub amount: Uint128,
    pub release: u64,
}

/// Never removed: who comes back finds its number and its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub number: NodeNumber,
    pub models: Vec<ModelDigest>,
    pub endpoint: String,
    /// Bonded.
    pub stake: Uint128,
    /// At most [`crate::stake::MAX_UNBONDINGS`] parts, none of them 0, in the order of asking.
    pub unbonding: Vec<Unbonding>,
    pub reputation: Reputation,
    pub cusum: Cusum,
    /// Off the juries by too many misses.
    pub benched: bool,
    /// The last epoch with a batch of this node.
    pub last_epoch: Option<Epoch>,
}

/// What a session paid in an epoch that was not settled when it was last looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    pub epoch: Epoch,
    pub amount: Uint128,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub requester: Addr,
    pub executor: Addr,
    pub model: ModelDigest,
    pub user_seed: UserSeed,
    /// Compressed secp256k1 key.
    pub session_key: Vec<u8>,
    pub fee: Uint128,
    pub max_prompt: u32,
    pub max_new: u32,
    pub expires: Epoch,
    /// The last epoch in which the executor can claim.
    pub closes: Epoch,
    /// As messages left it; see [`Session::status_at`].
    pub status: SessionStatus,
    pub escrow: Uint128,
    /// The last nonce that was paid for.
    pub nonce: Nonce,
    /// The executor's rate (Q32) at the opening or the last claim: no batch of this session is sampled at less.
    pub mark: u64,
    /// At most [`crate::session::RING`] of them.
    pub slots: Vec<Slot>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    pub executor: Addr,
    pub model: ModelDigest,
    pub root: BatchRoot,
    pub count: u32,
    pub claims: Vec<ClaimedRange>,
    pub window: Window,
    pub epoch: Epoch,
    pub rate_q32: u64,
    /// Of the model, for whoever replays a row: the model's record is long.
    pub vocabulary: u32,
    pub sampler: SamplerVersion,
    /// The last second in which it can be accused, by the clock of [`crate::pause::running`].
    pub accusable: u64,
    pub fees: Uint128,
    /// Pay of one verdict, and seats of a jury, as paid for at the commitment.
    pub verdict_fee: Uint128,
    pub seats: u32,
    pub samples: u32,
    pub drawn: u32,
    pub closed: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seat {
    pub juror: NodeNumber,
    /// The one page of the juror's verdicts on that window's draws that may hold it.
    pub page: u32,
    pub verdict: Option<Cast>,
}

/// A verdict as it was revealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cast {
    pub outcome: Outcome,
    pub score: Option<Score>,
}

/// The second level of a contested sample: the seats from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecondLevel {
    /// The window in which its seats were given.
    pub window: Window,
    pub first: u32,
}

/// What a sample came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    pub outcome: FinalOutcome,
    /// What the evidence takes.
    pub size_class: u8,
    pub bin: u8,
}

/// What a node has earned as a juror and not claimed, and how well it attends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Juror {
    pub earned: Uint128,
    pub attendance: Cusum,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Leaf number under the batch's root.
    pub index: u32,
    /// The window of the Draw page that drew it: each page has its own, so no juror waits for a later page.
    pub window: Window,
    pub seats: Vec<Seat>,
    pub second: Option<SecondLevel>,
    pub closed: Option<Closed>,
}

impl Sample {
    /// The window of the seats whose verdicts it waits for.
    pub fn latest(&self) -> Window {
        self.second.map_or(self.window, |second| second.window)
    }

    /// The seats of the first level, and those of the second.
    pub fn levels(&self) -> (&[Seat], &[Seat]) {
        let first = self.second.and_then(|second| usize::try_from(second.first).ok());
        self.seats.split_at(first.unwrap_or(self.seats.len()).min(self.seats.len()))
    }
}

/// A window's beacon, as it was posted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beacon {
    pub round: Round,
    pub randomness: Randomness,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageCommitment {
    pub hash: Digest,
    pub revealed: bool,
}

/// The next sample that the evidence of an executor-epoch takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub batch: BatchId,
    pub draw: u32,
}

/// The proof that condemns an executor's epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accusation {
    pub accuser: Addr,
    pub finding: Finding,
    pub batch: BatchId,
    pub index: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutorEpoch {
    /// Open, paid or forfeited; whether an open one is condemned is not written here, see [`crate::epoch::status`].
    pub status: EpochStatus,
    /// The executor's epoch before this one; it settles first.
    pub previous: Option<Epoch>,
    pub batches: u32,
    pub inferences: u32,
    pub sampled: u32,
    pub closed: Tallies,
    pub folded: u32,
    pub cursor: Cursor,
    /// Pay of second levels that the reserve has advanced for frauds, and what split juries have cost.
    pub advanced: Uint128,
    pub split_costs: Uint128,
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
    /// Of `slashed`, what went to the accuser.
    pub bounty: Uint128,
    /// The proof that was brought, once it has taken stake; until then it is one of [`ACCUSATIONS`].
    pub accusation: Option<Accusation>,
    /// Fees of sessions that have not taken their refund, and what is left for them.
    pub refund_fees_left: Uint128,
    pub refund_pool_left: Uint128,
}

/// The one charter.
pub const CHARTER: Item<Charter> = Item::new("charter");
/// Maps the last epoch of an earlier version of the parameters to it.
pub const PAST_PARAMS: Map<u64, Version<Params>> = Map::new("past_params");
/// The last pause of payouts.
pub const PAUSE: PackedItem<Pause> = PackedItem::new("pause");
/// The one account of all money held.
pub const POOLS: PackedItem<Pools> = PackedItem::new("pools");
/// Ids given so far.
pub const LAST_SESSION: PackedItem<u64> = PackedItem::new("last_session");
pub const LAST_BATCH: PackedItem<u64> = PackedItem::new("last_batch");
/// How many nodes have registered.
pub const NODE_COUNT: PackedItem<u32> = PackedItem::new("node_count");
/// Maps a model's digest to the model.
pub const MODELS: Packed<[u8; 32], Model> = Packed::new("model");
/// Maps (model, last epoch of an earlier calibration) to it.
pub const PAST_CALIBRATIONS: Packed<(&[u8], u64), Version<CalibrationRecord>> =
    Packed::new("past_calibration");
/// Maps an address to the node that it registered.
pub const NODES: Packed<&Addr, Node> = Packed::new("node");
/// Maps a node's number to its address.
pub const NUMBERS: Packed<u32, Addr> = Packed::new("number");
/// Maps (model, epoch) to the stake table that is in force from that epoch until the next stored one.
pub const TABLES: Packed<(&[u8], u64), Root> = Packed::new("table");
/// Maps (model, first node, epoch) to the part of a stake table from that node on, as it was written for that epoch's.
pub const TABLE_LEAVES: Packed<(&[u8], u32, u64), Leaf> = Packed::new("leaf");
/// Maps a session's id to the session.
pub const SESSIONS: Packed<u64, Session> = Packed::new("session");
/// Maps a batch's id to the batch.
pub const BATCHES: Packed<u64, Batch> = Packed::new("batch");
/// Maps (batch, draw) to the sample.
pub const SAMPLES: Packed<(u64, u32), Sample> = Packed::new("s");
/// Maps a window to its beacon.
pub const BEACONS: Packed<u64, Beacon> = Packed::new("beacon");
/// Maps (juror, window of the draw) to how many seats the juror has there.
pub const SEATS: Packed<(u32, u64), u32> = Packed::new("n");
/// Maps ((juror, window of the draw), page) to the samples of those seats, in the order in which they were given.
pub const ASSIGNMENTS: Packed<((u32, u64), u32), Vec<SampleKey>> = Packed::new("a");
/// Maps (juror, window of the draw, page) to what the juror committed to.
pub const COMMITMENTS: Packed<(u32, u64, u32), PageCommitment> = Packed::new("c");
/// Maps (executor, epoch) to the executor's account of that epoch.
pub const EPOCHS: Packed<(&Addr, u64), ExecutorEpoch> = Packed::new("epoch");
/// Maps (executor, epoch) to the proof that condemns that account, from the proof to the settlement: an accuser pays for each
/// byte, so neither the account nor the node is written again for it.
pub const ACCUSATIONS: Packed<(&Addr, u64), Accusation> = Packed::new("f");
/// Holds ((executor, epoch), batch) for each batch: the order of the evidence.
pub const EPOCH_BATCHES: Packed<((&Addr, u64), u64), bool> = Packed::new("epoch_batch");
/// Maps (epoch, accuser, hash of a proof) to the block in which the accuser committed to it.
pub const FRAUD_COMMITMENTS: Packed<(u64, &Addr, [u8; 32]), u64> = Packed::new("fraud_commitment");
/// Maps a node's number to it as a juror.
pub const JURORS: Packed<u32, Juror> = Packed::new("j");
/// Maps an address to what it has earned otherwise and not claimed.
pub const CLAIMABLE: Packed<&Addr, Uint128> = Packed::new("claimable");

/// Holds (epoch, item): what may be final from that epoch on, see [`crate::sweep`].
pub const AGENDA: Packed<(u64, Vec<u8>), bool> = Packed::new("agenda");
/// Holds (window of the commitment, batch) while the batch is not wholly drawn.
pub const UNDRAWN: Packed<(u64, u64), bool> = Packed::new("undrawn");
/// Maps (window, batch) to the first of that window's draws that was not tallied yet.
pub const UNTALLIED: Packed<(u64, u64), u32> = Packed::new("untallied");
/// Maps (window, batch) to the draws that got a second level in that window and are not closed; as many as a batch has
/// samples at most, which is bounded by what one executor may cause in a window.
pub const CONTESTED: Packed<(u64, u64), Vec<u32>> = Packed::new("contested");
/// Maps (window, batch) to how many of the batch's samples that were first drawn in that window have a second level and are not
/// closed; none is 0.
pub const CONTESTED_DRAWN: Packed<(u64, u64), u32> = Packed::new("contested_drawn");
/// Holds (epoch, executor) while that account is open.
pub const UNSETTLED: Packed<(u64, &Addr), bool> = Packed::new("unsettled");
