//! What anybody may ask the contract to do.

use cosmwasm_schema::cw_serde;
use cosmwasm_std::{HexBinary, Uint128};

use crate::ids::{
    BatchId, BatchRoot, Digest, Epoch, ModelDigest, Nonce, RequestDigest, SessionId, UserSeed, Window,
};
use crate::msg::CalibrationRecord;
use crate::params::ParamsPatch;
use crate::proof::{EquivocationProof, FraudProof};
use crate::session::ModelSpec;
use crate::verdict::Verdict;

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
