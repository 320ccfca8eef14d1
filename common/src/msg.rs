//! The contract's messages, queries and answers, as JSON on the wire.

use cosmwasm_schema::{cw_serde, QueryResponses};
use cosmwasm_std::{HexBinary, Uint128};

use crate::evidence::{Bins, Cusum};
use crate::ids::{
    BatchId, BatchRoot, Digest, DrawSeed, Epoch, InferenceId, ModelDigest, Nonce, Randomness, RequestDigest,
    Round, SessionId, UserSeed, Window,
};
use crate::params::{Change, ParamError, Params, ParamsPatch};
use crate::proof::{Accusation, EquivocationProof, FraudProof};
use crate::replay::SamplerVersion;
use crate::reputation::Reputation;
use crate::session::{ModelSpec, NumericScheme};
use crate::verdict::{FinalOutcome, Outcome, Score, Verdict};

#[cw_serde]
pub struct InstantiateMsg {
    /// Address that may register models: the chain's gov module, or whoever governs.
    pub governance: String,
    pub params: Params,
}

/// What the chain holds of a model's calibration; the file with the rest is known by its digest.
#[cw_serde]
#[derive(Eq)]
pub struct CalibrationRecord {
    /// SHA-256 of the file that jurors judge with.
    pub digest: Digest,
    /// How far an honest juror's probe may lie from the jury's median, in 1/256 bit.
    pub probe_tolerance: u16,
    /// How often answers end in each bin: one table for all size classes, or one for each.
    pub bins: Vec<Bins>,
}

/// What a model of version 0.1.0 becomes: the same weights, in a scheme that can still be judged.
#[cw_serde]
pub struct ModelSuccessor {
    /// The digest that the old version knows it by.
    pub model: ModelDigest,
    pub scheme: NumericScheme,
    pub constants: Digest,
    pub calibration: CalibrationRecord,
}

/// Goes on with a state that was taken over.
#[cw_serde]
pub struct MigrateMsg {}

/// Takes over the state of version 0.1.0: the message of the takeover's code.
#[cw_serde]
pub struct TakeoverMsg {
    /// What holds from then on; denomination and clock are those that are stored.
    pub params: Params,
    /// One for each model that is stored.
    pub models: Vec<ModelSuccessor>,
}

/// A requester's payment for the nonces of one session up to `nonce_to`, with the voucher of that nonce.
#[cw_serde]
pub struct Claim {
    pub session: SessionId,
    pub nonce_to: Nonce,
    /// Request of inference `nonce_to`.
    pub request: RequestDigest,
    /// Session key's signature over the voucher, 64 bytes (r ‖ s).
    pub signature: HexBinary,
}

#[cw_serde]
pub enum ExecuteMsg {
    /// Governance: makes a model known, with the calibration that judges it.
    RegisterModel { spec: ModelSpec, reference_fee: Uint128, calibration: CalibrationRecord },
    /// Joins as validator and executor for `models`; the funds sent are the stake.
    RegisterNode { models: Vec<ModelDigest>, endpoint: String },
    /// Node: adds the funds sent to its stake, and replaces what is named.
    UpdateNode { models: Option<Vec<ModelDigest>>, endpoint: Option<String> },
    /// Node: takes a part of its stake, or all, out of the next epoch's tables; it stays at stake until it is withdrawn.
    Unbond { amount: Uint128 },
    /// Node: pays out what has been unbonding for long enough.
    Withdraw {},
    /// Opens a prepaid session; the funds sent are its escrow.
    OpenSession {
        executor: String,
        model: ModelDigest,
        user_seed: UserSeed,
        /// Compressed secp256k1 key that signs the vouchers, 33 bytes.
        session_key: HexBinary,
        /// Paid for each inference.
        fee: Uint128,
        max_prompt: u32,
        max_new: u32,
        /// Last epoch in which it is open; what was asked until then may be committed during the close delay.
        expires: Epoch,
    },
    /// Anyone: adds the funds sent to a session that is open.
    TopUp { session: SessionId },
    /// Requester: begins the closing of a session. Anyone, once no more can be claimed: pays out what is left to the requester.
    CloseSession { session: SessionId },
    /// Executor: commits to inferences, in the order of the claims; missing pay for checks comes as funds.
    CommitBatch { model: ModelDigest, root: BatchRoot, claims: Vec<Claim> },
    /// Anyone: the signature of the round that is the beacon of a window, verified on chain.
    PostBeacon { window: Window, signature: HexBinary },
    /// Anyone: draws the next samples of a batch and their juries.
    Draw { batch: BatchId, limit: u32 },
    /// Juror: commits to a page of verdicts on samples drawn in `window`.
    CommitVerdicts { window: Window, page: u32, hash: Digest },
    /// Juror: opens that page.
    RevealVerdicts { window: Window, page: u32, salt: HexBinary, verdicts: Vec<Verdict> },
    /// Anyone: closes samples of a batch whose reveal window has passed, from draw number `from`.
    Tally { batch: BatchId, from: u32, limit: u32 },
    /// Anyone: commits to a proof in a block before it is shown, so that nobody who sees it can bring it first.
    CommitFraud { hash: Digest },
    /// Anyone who committed to it: a row of an artifact that no honest executor signs.
    ProveFraud { proof: FraudProof, salt: HexBinary },
    /// Anyone who committed to it: a receipt for another artifact than the one that was committed to.
    ProveEquivocation { proof: EquivocationProof, salt: HexBinary },
    /// Anyone: folds closed samples into the evidence, and pays or forfeits the epoch.
    Settle { executor: String, epoch: Epoch, limit: u32 },
    /// Anyone: removes up to `limit` items of state that nothing depends on any more, and pays out sessions that are over.
    Sweep { limit: u32 },
    /// Pays out what the sender has earned.
    Claim {},

    /// Governance: what is committed from the next epoch on is judged by another calibration.
    UpdateCalibration { model: ModelDigest, calibration: CalibrationRecord },
    /// Governance: no new sessions and nodes for this model; what is in flight goes on.
    DeprecateModel { model: ModelDigest },
    /// Governance: the nodes that sit on the model's juries until enough others do for a jury to take stake without them.
    SetGuardians { model: ModelDigest, guardians: Vec<String> },
    /// Governance: changes parameters from the beginning of a later epoch on. One change may be pending at a time.
    UpdateParams { patch: ParamsPatch, epoch: Epoch },
    /// Governance: takes the pending change back.
    CancelParams {},
    /// Governance: freezes payouts and withdrawals; lapses after seven days, and not again for as long.
    Pause {},
    /// Governance: ends the pause.
    Unpause {},
}

// A query is decoded once and answered at once: that one kind is larger than the others costs nothing.
#[allow(clippy::large_enum_variant)]
#[cw_serde]
#[derive(QueryResponses)]
pub enum QueryMsg {
    /// The parameters in force now, and the pending change.
    #[returns(ParamsResponse)]
    Params {},
    /// The parameters that hold for everything opened in an epoch.
    #[returns(ParamsVersion)]
    ParamsOf { epoch: Epoch },
    /// What a patch would change now, and every rule that it would break.
    #[returns(ValidateParamsResponse)]
    ValidateParams { patch: ParamsPatch },
    #[returns(PauseResponse)]
    PauseStatus {},
    #[returns(ClockResponse)]
    Clock {},
    #[returns(PoolsResponse)]
    Pools {},
    #[returns(ModelResponse)]
    Model { model: ModelDigest },
    #[returns(Page<ModelResponse, ModelDigest>)]
    Models { start_after: Option<ModelDigest>, limit: Option<u32> },
    /// Here and in all queries `…ById`: one answer for each id, in the order of the ids, none where there is no such item;
    /// at most 100 ids.
    #[returns(Vec<Option<ModelResponse>>)]
    ModelsById { models: Vec<ModelDigest> },
    #[returns(NodeResponse)]
    Node { address: String },
    #[returns(Page<NodeResponse, String>)]
    Nodes { start_after: Option<String>, limit: Option<u32> },
    #[returns(Vec<Option<NodeResponse>>)]
    NodesById { addresses: Vec<String> },
    #[returns(SessionResponse)]
    Session { session: SessionId },
    #[returns(Page<SessionResponse, SessionId>)]
    Sessions { start_after: Option<SessionId>, limit: Option<u32> },
    #[returns(Vec<Option<SessionResponse>>)]
    SessionsById { sessions: Vec<SessionId> },
    #[returns(BatchResponse)]
    Batch { batch: BatchId },
    #[returns(Page<BatchResponse, BatchId>)]
    Batches { start_after: Option<BatchId>, limit: Option<u32> },
    #[returns(Vec<Option<BatchResponse>>)]
    BatchesById { batches: Vec<BatchId> },
    #[returns(SampleResponse)]
    Sample { batch: BatchId, draw: u32 },
    /// The samples of a batch with their verdicts, in the order of the draw.
    #[returns(Page<SampleResponse, u32>)]
    Samples { batch: BatchId, start_after: Option<u32>, limit: Option<u32> },
    #[returns(Vec<Option<SampleResponse>>)]
    SamplesById { samples: Vec<SampleKey> },
    /// The samples that a juror must judge, of those drawn in one window.
    #[returns(Page<AssignedPage, u32>)]
    Assignments { juror: String, window: Window, start_after: Option<u32>, limit: Option<u32> },
    /// The revealed verdicts of a juror on the samples that it must judge, of those drawn in one window; at most five
    /// pages at once.
    #[returns(Page<VerdictsResponse, u32>)]
    Verdicts { juror: String, window: Window, start_after: Option<u32>, limit: Option<u32> },
    /// A juror's commitment to one page, if any.
    #[returns(CommitmentResponse)]
    Commitment { juror: String, window: Window, page: u32 },
    #[returns(EvidenceResponse)]
    Evidence { executor: String },
    #[returns(Vec<Option<EvidenceResponse>>)]
    EvidenceById { executors: Vec<String> },
    #[returns(EpochResponse)]
    Epoch { executor: String, epoch: Epoch },
    /// Whether an accuser's commitment to a proof stands.
    #[returns(FraudCommitmentResponse)]
    FraudCommitment { accuser: String, hash: Digest },
    /// The epochs of one executor, in order.
    #[returns(Page<EpochResponse, Epoch>)]
    Epochs { executor: String, start_after: Option<Epoch>, limit: Option<u32> },
    #[returns(Vec<Option<EpochResponse>>)]
    EpochsById { epochs: Vec<EpochKey> },
    #[returns(ClaimableResponse)]
    Claimable { address: String },
    #[returns(BeaconResponse)]
    Beacon { window: Window },
    /// What anybody may do now to move the protocol on: at most `limit` of each kind.
    #[returns(DueResponse)]
    Due { limit: Option<u32> },
}

/// One page of a collection; `next_start_after` is there while there is more.
#[cw_serde]
pub struct Page<T, K> {
    pub items: Vec<T>,
    pub next_start_after: Option<K>,
}

/// Parameters as they hold from an epoch on.
#[cw_serde]
#[derive(Eq)]
pub struct ParamsVersion {
    /// Counts the accepted changes, from 1.
    pub version: u32,
    /// The first epoch in which it holds.
    pub from: Epoch,
    pub params: Params,
}

#[cw_serde]
#[derive(Eq)]
pub struct ParamsResponse {
    pub in_force: ParamsVersion,
    pub pending: Option<ParamsVersion>,
}

#[cw_serde]
#[derive(Eq)]
pub struct ValidateParamsResponse {
    /// The rules that the parameters would break; empty: the patch would be accepted, if it changes anything.
    pub errors: Vec<ParamError>,
    /// The fields that would change, against the parameters in force now.
    pub changes: Vec<Change>,
}

/// Seconds since 1970.
#[cw_serde]
#[derive(Eq, Copy)]
pub struct PauseResponse {
    /// When the present pause lapses; none: payouts are open.
    pub until: Option<u64>,
    /// The earliest beginning of the next pause.
    pub next_from: u64,
    /// Now, on the clock that stands still during pauses: what waits for a release waits by it.
    pub running: u64,
}

#[cw_serde]
pub struct ClockResponse {
    /// Chain time, seconds since 1970.
    pub now: u64,
    /// None before the start.
    pub window: Option<Window>,
    pub epoch: Option<Epoch>,
}

/// Where every unit is that the contract holds, and what left it for ever.
#[cw_serde]
#[derive(Eq, Default)]
pub struct PoolsResponse {
    /// Prepaid by requesters.
    pub escrow: Uint128,
    /// Fees of unsettled epochs.
    pub pending: Uint128,
    /// Pay for verdicts not yet given.
    pub checks: Uint128,
    /// Fees of forfeited epochs on their way back to sessions.
    pub refunds: Uint128,
    pub reserve: Uint128,
    /// Bonded by nodes, or unbonding.
    pub stakes: Uint128,
    pub claimable: Uint128,
    /// Slashed and burned so far; no longer held.
    pub burned: Uint128,
}

impl PoolsResponse {
    /// What the contract's balance must be.
    pub fn held(&self) -> Uint128 {
        [self.escrow, self.pending, self.checks, self.refunds, self.reserve, self.stakes, self.claimable]
            .into_iter()
            .fold(Uint128::zero(), |sum, pool| sum.saturating_add(pool))
    }
}

/// A calibration as it holds from an epoch on.
#[cw_serde]
#[derive(Eq)]
pub struct CalibrationVersion {
    /// Counts the model's calibrations, from 1.
    pub version: u32,
    /// The first epoch whose inferences it judges.
    pub from: Epoch,
    pub record: CalibrationRecord,
}

#[cw_serde]
pub struct ModelResponse {
    pub model: ModelDigest,
    pub spec: ModelSpec,
    pub reference_fee: Uint128,
    /// What judges the inferences that are committed now.
    pub calibration: CalibrationVersion,
    /// What judges those of the next epoch, where it is another.
    pub next_calibration: Option<CalibrationVersion>,
    /// It takes no new sessions and nodes.
    pub deprecated: bool,
    /// Nodes that sit on its juries until enough others do for a jury to take stake without them.
    pub guardians: Vec<String>,
    /// Pay of one verdict, and least stake of a node, under the present parameters.
    pub verdict_fee: Uint128,
    pub min_stake: Uint128,
}

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

/// Draw number `draw` of a batch.
#[cw_serde]
#[derive(Eq, Copy, PartialOrd, Ord)]
pub struct SampleKey {
    pub batch: BatchId,
    pub draw: u32,
}

/// Samples that a juror must judge: the verdicts on them belong on this one page of its verdicts of that window.
#[cw_serde]
#[derive(Eq)]
pub struct AssignedPage {
    pub page: u32,
    /// In the order in which the seats were given.
    pub samples: Vec<SampleKey>,
}

/// The revealed verdicts on the samples of one [`AssignedPage`].
#[cw_serde]
pub struct VerdictsResponse {
    pub page: u32,
    /// In the order in which the seats were given.
    pub verdicts: Vec<Verdict>,
}

#[cw_serde]
pub struct Seat {
    pub juror: String,
    pub verdict: Option<Outcome>,
    pub score: Option<Score>,
}

#[cw_serde]
pub struct SampleResponse {
    pub batch: BatchId,
    pub draw: u32,
    /// Leaf number under the batch's root.
    pub index: u32,
    pub session: SessionId,
    pub nonce: Nonce,
    pub inference: InferenceId,
    /// Window of the draw: commitments until the end of the next one, reveals in the one after.
    pub window: Window,
    /// Of the first level, then of the second.
    pub seats: Vec<Seat>,
    /// The window in which a contested sample got the seats of its second level, if it did.
    pub second: Option<Window>,
    /// The seeds that choose the probes: the first draw's, and the second's where there is one.
    pub probe_seeds: Vec<DrawSeed>,
    pub outcome: Option<FinalOutcome>,
    /// The size class and the bin that the evidence takes; there with the outcome.
    pub size_class: u8,
    pub bin: u8,
}

#[cw_serde]
pub struct CommitmentResponse {
    pub hash: Option<Digest>,
    pub revealed: bool,
}

#[cw_serde]
pub struct EvidenceResponse {
    pub executor: String,
    /// Q16 bits; the epoch is forfeited when one reaches `bound`.
    pub cusum: Cusum,
    pub bound: i64,
}

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

#[cw_serde]
pub struct ClaimableResponse {
    pub amount: Uint128,
}

#[cw_serde]
pub struct BeaconResponse {
    /// The round that draws for the window.
    pub round: Round,
    /// None while it is not posted.
    pub randomness: Option<Randomness>,
}

/// A window whose beacon batches wait for, and the round that it is.
#[cw_serde]
#[derive(Eq, Copy, PartialOrd, Ord)]
pub struct DueBeacon {
    pub window: Window,
    pub round: Round,
}

/// Samples of a batch that can be tallied, starting at `from`.
#[cw_serde]
pub struct DueTally {
    pub batch: BatchId,
    pub from: u32,
}

#[cw_serde]
pub struct DueSettle {
    pub executor: String,
    pub epoch: Epoch,
}

#[cw_serde]
#[derive(Default)]
pub struct DueResponse {
    /// Beacons that a committed batch waits for and whose time has come.
    pub beacons: Vec<DueBeacon>,
    pub draws: Vec<BatchId>,
    pub tallies: Vec<DueTally>,
    /// Ended epochs of which something can be folded, or that can be closed.
    pub settlements: Vec<DueSettle>,
    /// Whether there is something to sweep.
    pub sweep: bool,
}
