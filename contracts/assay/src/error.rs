//! Every way in which a message or a query is refused, with what it was about.

use assay_common::evidence::BinsError;
use assay_common::ids::{BatchId, Digest, Epoch, InferenceId, ModelDigest, Nonce, Round, SessionId, Window};
use assay_common::params::ParamError;
use assay_common::proof::UnknownSampler;
use cosmwasm_std::{CheckedMultiplyRatioError, ConversionOverflowError, OverflowError, StdError, Uint128};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// The chain's storage or address book; its error can be neither compared nor cloned.
    #[error("{reason}")]
    Std { reason: String },
    #[error("amounts do not fit: {reason}")]
    Arithmetic { reason: String },

    #[error("parameters break {}", list(broken))]
    BadParams { broken: Vec<ParamError> },
    #[error("the state is that of contract {contract:?}, this is {expected:?}")]
    ForeignState { contract: String, expected: String },
    #[error("the state is of version {found}: this code, version {to}, takes over from version {from} only")]
    WrongVersion { found: String, from: String, to: String },
    #[error("not everything is settled, {step} has something to do: stop committing, finish what is due, migrate then")]
    WorkInFlight { step: &'static str },
    #[error("the state has more than {most} entries: one message cannot carry it over")]
    StateTooLarge { most: usize },
    #[error("the calibration of model {model} is missing")]
    CalibrationMissing { model: ModelDigest },
    #[error("a migration keeps {field}: name the value that is stored")]
    MigrationChanges { field: &'static str },
    #[error("not before the start at {start} seconds since 1970")]
    NotStarted { start: u64 },
    #[error("only governance may do this, {sender} is not")]
    NotGovernance { sender: String },
    #[error("{address} is not a registered node")]
    NotRegistered { address: String },
    #[error("this message takes no funds, {sent} were sent")]
    FundsNotAccepted { sent: String },
    #[error("{sent} were sent: one coin of {denom} expected")]
    WrongFunds { sent: String, denom: String },
    #[error("funds in {denom} are needed, none were sent")]
    NoFunds { denom: String },
    #[error("limit is {limit}: between 1 and {most} expected")]
    BadLimit { limit: u32, most: u32 },

    #[error("version {version} of the parameters comes into force in epoch {epoch}: cancel it first")]
    ChangePending { version: u32, epoch: Epoch },
    #[error("no change of the parameters is pending")]
    NothingPending,
    #[error("parameters change at the beginning of a later epoch: epoch {epoch} was named, now is {now}")]
    EpochHasBegun { epoch: Epoch, now: Epoch },
    #[error("the patch changes nothing")]
    NothingChanges,
    #[error("the parameters of epoch {epoch} are not kept any more")]
    ParamsGone { epoch: Epoch },
    #[error("payouts are paused until {until} seconds since 1970")]
    Paused { until: u64 },
    #[error("the next pause may begin at {from} seconds since 1970, now is {now}")]
    PauseTooSoon { from: u64, now: u64 },
    #[error("payouts are not paused")]
    NotPaused,

    #[error("model {model} is registered")]
    ModelKnown { model: ModelDigest },
    #[error("model {model} is not registered")]
    UnknownModel { model: ModelDigest },
    #[error("model {model} is deprecated: it takes no new sessions and nodes")]
    ModelDeprecated { model: ModelDigest },
    #[error("model {model} is judged by calibration {calibration} already")]
    CalibrationKnown { model: ModelDigest, calibration: Digest },
    #[error("the calibration of model {model} in epoch {epoch} is not kept any more")]
    CalibrationGone { model: ModelDigest, epoch: Epoch },
    #[error("{count} guardians: at most {most}")]
    TooManyGuardians { count: usize, most: usize },
    #[error("guardian {address} is named twice")]
    GuardianTwice { address: String },
    #[error("the model's {field} breaks its rule: {rule}")]
    BadModel { field: &'static str, rule: &'static str },
    #[error("the calibration's bins: {broken}")]
    BadBins { broken: BinsError },
    #[error("model {model} has {most} nodes, as many as it may")]
    ModelFull { model: ModelDigest, most: usize },

    #[error("node {address} is registered")]
    NodeKnown { address: String },
    #[error("{endpoint:?} is no endpoint: http:// or https://, a host, at most 256 visible characters")]
    BadEndpoint { endpoint: String },
    #[error("{count} models: between 1 and {most} expected")]
    BadModelCount { count: usize, most: usize },
    #[error("model {model} is listed twice")]
    ModelTwice { model: ModelDigest },
    #[error("stake is {stake}, at least {needed} is needed")]
    StakeTooLow { stake: Uint128, needed: Uint128 },
    #[error("nothing to update: name models or an endpoint, or send {denom} to bond")]
    NothingToUpdate { denom: String },
    #[error("{amount} cannot be unbonded: between 1 and the {stake} that are bonded expected")]
    BadUnbonding { amount: Uint128, stake: Uint128 },
    #[error("{most} parts of the stake are unbonding, as many as may: withdraw one first")]
    TooManyUnbondings { most: usize },
    #[error("nothing of node {node} is unbonding")]
    NothingUnbonding { node: String },
    #[error("the first part can be withdrawn from {release} seconds since 1970 on, now is {now}")]
    StillUnbonding { release: u64, now: u64 },
    #[error("node {node} answers for its work in epoch {epoch}, which is not settled: settle it first")]
    UnsettledWork { node: String, epoch: Epoch },
    #[error("juror {juror} answers for verdicts on samples drawn in window {window} that are not closed: tally them first")]
    OpenSeats { juror: String, window: Window },
    #[error("node {node} does not serve model {model}")]
    NotServing { node: String, model: ModelDigest },

    #[error("{key} is no session key: 33 bytes, the first 02 or 03, expected")]
    BadSessionKey { key: String },
    #[error("{cap} is {value}: between 1 and {most} expected")]
    BadCap { cap: &'static str, value: u32, most: u32 },
    #[error("the session would expire in epoch {expires}: between {earliest} and {latest} expected")]
    BadExpiry { expires: Epoch, earliest: Epoch, latest: Epoch },
    #[error("the fee is 0")]
    ZeroFee,
    #[error("there is no session {session}")]
    UnknownSession { session: SessionId },
    #[error("session {session} is closing or closed: open another")]
    SessionNotOpen { session: SessionId },
    #[error("session {session} can only be closed by its requester {requester} before it expires")]
    NotRequester { session: SessionId, requester: String },
    #[error(
        "session {session} is closing: its executor claims until the end of epoch {closes}, now is {now}"
    )]
    SessionClosing { session: SessionId, closes: Epoch, now: Epoch },
    #[error("session {session} is closed and paid out")]
    SessionClosed { session: SessionId },
    #[error(
        "what session {session} still gets depends on epoch {epoch}, which is not settled: settle it first"
    )]
    SessionUnsettled { session: SessionId, epoch: Epoch },

    #[error("{count} claims: between 1 and {most} expected")]
    BadClaimCount { count: u32, most: u32 },
    #[error("claim on session {session} after the one on {before}: rising session ids expected")]
    ClaimsUnordered { before: SessionId, session: SessionId },
    #[error("session {session} is with executor {executor} for model {model}")]
    NotYourSession { session: SessionId, executor: String, model: ModelDigest },
    #[error("session {session} could be claimed from until the end of epoch {closes}, now is {now}")]
    SessionOver { session: SessionId, closes: Epoch, now: Epoch },
    #[error("session {session} is paid up to nonce {nonce}, nonce {claimed} was claimed")]
    NonceNotRising { session: SessionId, nonce: Nonce, claimed: Nonce },
    #[error("session {session} did not sign this voucher for nonce {nonce}")]
    BadVoucher { session: SessionId, nonce: Nonce },
    #[error("session {session} holds {escrow}, the claim costs {cost}")]
    EscrowShort { session: SessionId, escrow: Uint128, cost: Uint128 },
    #[error("session {session} has unsettled epochs in all its slots: settle epoch {epoch} first")]
    EpochUnsettled { session: SessionId, epoch: Epoch },
    #[error("{count} inferences or more: at most {most} in a batch")]
    TooManyInferences { count: u64, most: u32 },
    #[error("{others} other nodes serve model {model}, {needed} are needed")]
    TooFewOthers { model: ModelDigest, others: u32, needed: u32 },
    #[error("{samples} samples in window {window}: at most {most} for one executor")]
    TooManySamples { window: Window, samples: u32, most: u32 },
    #[error("the fees do not pay the checks: {needed} must come with the message, {sent} came")]
    CheckPoolShort { needed: Uint128, sent: Uint128 },
    #[error("{sent} came with the message, {needed} are needed")]
    SurplusFunds { needed: Uint128, sent: Uint128 },
    #[error("{count} ids: at most {most} in one query")]
    TooManyIds { count: usize, most: usize },
    #[error("there is no batch {batch}")]
    UnknownBatch { batch: BatchId },

    #[error(
        "window {window} is of epoch {epoch}, now is epoch {now}: which beacon draws for it is not settled"
    )]
    EpochNotBegun { window: Window, epoch: Epoch, now: Epoch },
    #[error("the beacon of window {window} is posted")]
    BeaconKnown { window: Window },
    #[error("round {round}, the beacon of window {window}, is not signed by its key")]
    BadSignature { window: Window, round: Round },
    #[error("batch {batch} is drawn by the beacon of window {window}, which is not posted")]
    BeaconMissing { batch: BatchId, window: Window },
    #[error("batch {batch} is wholly drawn")]
    AlreadyDrawn { batch: BatchId },

    #[error("juror {juror} has no seat on samples drawn in window {window}")]
    NotAssigned { juror: String, window: Window },
    #[error("for samples drawn in window {window} this opens in window {opens}, now is {now}")]
    TooEarly { window: Window, opens: Window, now: Window },
    #[error("for samples drawn in window {window} this closed with window {closes}, now is {now}")]
    TooLate { window: Window, closes: Window, now: Window },
    #[error("the beacon of window {window} is posted, so what it draws is known; commit in the next window")]
    DrawKnown { window: Window },
    #[error("page {page}: below {pages} expected")]
    BadPage { page: u32, pages: u32 },
    #[error("page {page} of window {window} is committed")]
    AlreadyCommitted { window: Window, page: u32 },
    #[error("page {page} of window {window} is not committed")]
    NotCommitted { window: Window, page: u32 },
    #[error("page {page} of window {window} is revealed")]
    AlreadyRevealed { window: Window, page: u32 },
    #[error("{revealed} is revealed, {committed} was committed")]
    RevealMismatch { committed: Digest, revealed: Digest },
    #[error("the salt has {bytes} bytes: 32 expected")]
    BadSalt { bytes: usize },
    #[error("{count} verdicts: between 1 and {most} expected")]
    BadVerdictCount { count: u32, most: u32 },
    #[error("batch {batch} has no draw {draw}")]
    UnknownSample { batch: BatchId, draw: u32 },
    #[error("draw {draw} of batch {batch} is of window {drawn}, the page is of {page}")]
    WrongWindow { batch: BatchId, draw: u32, drawn: Window, page: Window },
    #[error("juror {juror} has no seat on draw {draw} of batch {batch}")]
    NotSeated { juror: String, batch: BatchId, draw: u32 },
    #[error(
        "draw {draw} of batch {batch} belongs on page {belongs} of this juror's verdicts, not on {page}"
    )]
    WrongPage { batch: BatchId, draw: u32, page: u32, belongs: u32 },
    #[error("the verdict on draw {draw} of batch {batch} has {found} probes: {expected} expected with this outcome")]
    BadScore { batch: BatchId, draw: u32, found: usize, expected: usize },
    #[error("there is a verdict of this juror on draw {draw} of batch {batch}")]
    DuplicateVerdict { batch: BatchId, draw: u32 },

    #[error("batch {batch} has nothing to tally from draw {from}")]
    NothingToTally { batch: BatchId, from: u32 },
    #[error("executor {executor} has no batch in epoch {epoch}")]
    UnknownEpoch { executor: String, epoch: Epoch },
    #[error("epoch {epoch} is not over, now is {now}")]
    EpochNotOver { epoch: Epoch, now: Epoch },
    #[error("epoch {epoch} of executor {executor} is settled")]
    EpochSettled { executor: String, epoch: Epoch },
    #[error("epoch {epoch} cannot settle before epoch {earlier}")]
    EarlierEpochOpen { epoch: Epoch, earlier: Epoch },
    #[error("epoch {epoch} of executor {executor} has no closed sample that is not folded")]
    NothingToSettle { executor: String, epoch: Epoch },
    #[error("{accuser} committed to {hash} in block {height}")]
    FraudCommitted { accuser: String, hash: Digest, height: u64 },
    #[error("{accuser} has no standing commitment to {hash}: commit to it in a block before the proof")]
    FraudNotCommitted { accuser: String, hash: Digest },
    #[error("{hash} was committed to in block {height}, and can be shown in the next one at the earliest")]
    FraudTooEarly { hash: Digest, height: u64 },
    #[error("batch {batch} could be accused until second {until} of the clock that stands still in pauses, now is {now}")]
    FraudWindowOver { batch: BatchId, until: u64, now: u64 },
    #[error("batch {batch} has {count} leaves, there is no leaf {index}")]
    NoSuchLeaf { batch: BatchId, index: u32, count: u32 },
    #[error("a path of {length} siblings does not lead up from row {position} of {rows}")]
    BadRowPath { position: u32, rows: u32, length: usize },
    #[error("what was opened is not leaf {index} of batch {batch}")]
    NotUnderRoot { batch: BatchId, index: u32 },
    #[error("row {position} of leaf {index} of batch {batch} is what an honest executor signs")]
    NothingProven { batch: BatchId, index: u32, position: u32 },
    #[error("{reason}")]
    UnknownSampler { reason: UnknownSampler },
    #[error("the receipt is for inference {found}, leaf {index} of batch {batch} is inference {expected}")]
    ReceiptOfOther { batch: BatchId, index: u32, expected: InferenceId, found: InferenceId },
    #[error("the receipt is signed by {signer}, the batch is of executor {executor}")]
    ReceiptSigner { signer: String, executor: String },
    #[error("{key} did not sign this receipt")]
    ReceiptUnsigned { key: String },
    #[error("the receipt for leaf {index} of batch {batch} is for what was committed to")]
    ReceiptKept { batch: BatchId, index: u32 },
    #[error(
        "a proof was brought against epoch {epoch} of executor {executor}, or its stake is slashed for it"
    )]
    EpochSlashed { executor: String, epoch: Epoch },
    #[error("nothing is due to be swept in epoch {epoch}")]
    NothingToSweep { epoch: Epoch },
    #[error("{address} has nothing to claim")]
    NothingToClaim { address: String },
}

fn list(broken: &[ParamError]) -> String {
    let rules: Vec<String> = broken.iter().map(ToString::to_string).collect();
    rules.join("; ")
}

impl From<UnknownSampler> for ContractError {
    fn from(reason: UnknownSampler) -> Self {
        Self::UnknownSampler { reason }
    }
}

impl From<StdError> for ContractError {
    fn from(error: StdError) -> Self {
        Self::Std { reason: error.to_string() }
    }
}

impl From<OverflowError> for ContractError {
    fn from(error: OverflowError) -> Self {
        Self::Arithmetic { reason: error.to_string() }
    }
}

impl From<CheckedMultiplyRatioError> for ContractError {
    fn from(error: CheckedMultiplyRatioError) -> Self {
        Self::Arithmetic { reason: error.to_string() }
    }
}

impl From<ConversionOverflowError> for ContractError {
    fn from(error: ConversionOverflowError) -> Self {
        Self::Arithmetic { reason: error.to_string() }
    }
}
