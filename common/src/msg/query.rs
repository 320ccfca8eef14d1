//! What anybody may ask the contract, and the pages in which collections come.

use cosmwasm_schema::{cw_serde, QueryResponses};

use crate::ids::{BatchId, Digest, Epoch, ModelDigest, SessionId, Window};
use crate::msg::{EpochKey, SampleKey};
// Answers are named for the schema alone, which no contract holds.
#[cfg(not(target_arch = "wasm32"))]
use crate::msg::{
    AssignedPage, BatchResponse, BeaconResponse, ClaimableResponse, ClockResponse, CommitmentResponse,
    DueResponse, EpochResponse, EvidenceResponse, FraudCommitmentResponse, ModelResponse, NodeResponse,
    ParamsResponse, ParamsVersion, PauseResponse, PoolsResponse, SampleResponse, SessionResponse,
    ValidateParamsResponse, VerdictsResponse,
};
use crate::params::ParamsPatch;

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
