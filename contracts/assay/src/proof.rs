//! Proofs that anyone can bring: committed to in one block, shown in a later one, checked here to the last integer.
//!
//! A proof condemns the executor's epoch at once. What it costs is taken at the settlement, or at once where that is over.

use assay_common::claims;
use assay_common::digest::sha256;
use assay_common::event::Event;
use assay_common::ids::{BatchId, Digest, Epoch, InferenceId};
use assay_common::merkle;
use assay_common::msg::EpochStatus;
use assay_common::proof::{accusation, hashes, EquivocationProof, Finding, FraudProof, Terms};
use assay_common::reputation::Reputation;
use assay_common::session::{inference_id, run_seed};
use cosmwasm_std::{Addr, Api, CanonicalAddr, HexBinary, Response, Storage, Uint128};
use ripemd::{Digest as _, Ripemd160};

use crate::error::ContractError;
use crate::state::{
    Accusation, Batch, ExecutorEpoch, Session, ACCUSATIONS, EPOCHS, FRAUD_COMMITMENTS, NODES, POOLS,
};
use crate::tx::Tx;
use crate::{batch, epoch, node, pause, session, slash, stake, sweep};

/// The inference that a proof is about, as the chain knows it.
struct Accused {
    batch: Batch,
    session: Session,
    inference: InferenceId,
}

/// Notes that the sender has a proof with this hash; it can be shown until the end of the next epoch.
///
/// # Errors
/// The same commitment of the same sender stands.
pub fn commit(storage: &mut dyn Storage, tx: &Tx, hash: Digest) -> Result<Response, ContractError> {
    let accuser = tx.sender.to_string();
    if let Some((_, height)) = committed(storage, tx.time.epoch, &tx.sender, hash)? {
        return Err(ContractError::FraudCommitted { accuser, hash, height });
    }
    FRAUD_COMMITMENTS.save(storage, (tx.time.epoch.0, &tx.sender, hash.0), &tx.height)?;
    let (from, item) = lapsed(tx.time.epoch, &tx.sender, hash);
    sweep::schedule(storage, from, &item)?;
    Ok(Response::new().add_event(Event::FraudCommitted { accuser, hash, until: tx.time.epoch.next() }))
}

/// When a commitment of this epoch stands no more, and what the agenda then holds of it.
fn lapsed(epoch: Epoch, accuser: &Addr, hash: Digest) -> (Epoch, sweep::Item) {
    let item = sweep::Item::FraudCommitment { epoch, accuser: accuser.clone(), hash };
    (epoch.next().next(), item)
}

/// The epoch and the block of a commitment that stands in epoch `now`: one of that epoch or of the one before.
///
/// # Errors
/// Storage cannot be read.
pub fn committed(
    storage: &dyn Storage,
    now: Epoch,
    accuser: &Addr,
    hash: Digest,
) -> Result<Option<(Epoch, u64)>, ContractError> {
    for epoch in [Some(now.0), now.0.checked_sub(1)].into_iter().flatten() {
        if let Some(height) = FRAUD_COMMITMENTS.may_load(storage, (epoch, accuser, hash.0))? {
            return Ok(Some((Epoch(epoch), height)));
        }
    }
    Ok(None)
}

/// Replays one opened row, and condemns its executor's epoch if no honest executor signs such a row.
///
/// # Errors
/// The sender did not commit to the proof in an earlier block, the proof comes too late, opens something else than the
/// batch committed to, or shows nothing; or the epoch is condemned or slashed already.
pub fn fraud(
    storage: &mut dyn Storage,
    tx: &Tx,
    proof: &FraudProof,
    salt: &HexBinary,
) -> Result<Response, ContractError> {
    open_commitment(storage, tx, &proof.digest(), salt)?;
    let &FraudProof { batch, index, position, rows, .. } = proof;
    let accused = accused(storage, tx, proof.batch, proof.index)?;
    let length = proof.row_path.len();
    let leaf = proof.leaf(&accused.inference).ok_or(ContractError::BadRowPath { position, rows, length })?;
    check_leaf(&accused.batch, proof.batch, (index, leaf), &hashes(&proof.batch_path))?;
    let terms = Terms {
        sampler: accused.batch.sampler,
        model: accused.batch.model,
        vocabulary: accused.batch.vocabulary,
        max_new: accused.session.max_new,
        run_seed: run_seed(&accused.session.user_seed, &accused.inference),
    };
    let finding = proof.finding(&terms)?.ok_or(ContractError::NothingProven { batch, index, position })?;
    let accusation = Accusation { accuser: tx.sender.clone(), finding, batch, index };
    condemn(storage, tx, &accused.batch, accusation)
}

/// Sets a receipt against the committed leaf, and condemns the executor's epoch if they are not of one artifact.
///
/// # Errors
/// As [`fraud`]; or the receipt is for another inference, or not signed by the batch's executor.
pub fn equivocation(
    storage: &mut dyn Storage,
    api: &dyn Api,
    tx: &Tx,
    proof: &EquivocationProof,
    salt: &HexBinary,
) -> Result<Response, ContractError> {
    open_commitment(storage, tx, &proof.digest(), salt)?;
    let &EquivocationProof { batch, index, .. } = proof;
    let accused = accused(storage, tx, batch, index)?;
    let (expected, found) = (accused.inference, proof.receipt.inference);
    if found != expected {
        return Err(ContractError::ReceiptOfOther { batch, index, expected, found });
    }
    check_leaf(&accused.batch, batch, (index, proof.leaf.0), &hashes(&proof.path))?;
    if !proof.differs() {
        return Err(ContractError::ReceiptKept { batch, index });
    }
    check_receipt(api, tx, proof, &accused.batch.executor)?;
    let finding = Finding::Equivocation;
    let accusation = Accusation { accuser: tx.sender.clone(), finding, batch, index };
    condemn(storage, tx, &accused.batch, accusation)
}

/// Takes the sender's commitment to a proof, which must be of an earlier block.
fn open_commitment(
    storage: &mut dyn Storage,
    tx: &Tx,
    proof: &Digest,
    salt: &HexBinary,
) -> Result<(), ContractError> {
    let accuser = tx.sender.to_string();
    let hash = accusation(&tx.config.domain, &accuser, proof, salt);
    let Some((epoch, height)) = committed(storage, tx.time.epoch, &tx.sender, hash)? else {
        return Err(ContractError::FraudNotCommitted { accuser, hash });
    };
    if height >= tx.height {
        return Err(ContractError::FraudTooEarly { hash, height });
    }
    FRAUD_COMMITMENTS.remove(storage, (epoch.0, &tx.sender, hash.0));
    let (from, item) = lapsed(epoch, &tx.sender, hash);
    sweep::cancel(storage, from, &item)?;
    Ok(())
}

fn accused(storage: &dyn Storage, tx: &Tx, id: BatchId, index: u32) -> Result<Accused, ContractError> {
    let batch = batch::load(storage, id)?;
    // Slashes stand still during a pause, so the time for them does too.
    let (now, until) = (pause::running(storage, tx.time.now)?, batch.accusable);
    if now > until {
        return Err(ContractError::FraudWindowOver { batch: id, until, now });
    }
    let count = batch.count;
    let (session_id, nonce) = claims::inference(&batch.claims, index).ok_or(ContractError::NoSuchLeaf {
        batch: id,
        index,
        count,
    })?;
    let session = session::load(storage, session_id)?;
    Ok(Accused { batch, session, inference: inference_id(&tx.config.domain, session_id, nonce) })
}

/// The batch's own count, not the proof's, says where a leaf stands.
fn check_leaf(
    batch: &Batch,
    id: BatchId,
    (index, leaf): (u32, [u8; 32]),
    path: &[[u8; 32]],
) -> Result<(), ContractError> {
    if merkle::verify(&batch.root.0, batch.count.into(), index.into(), leaf, path) {
        Ok(())
    } else {
        Err(ContractError::NotUnderRoot { batch: id, index })
    }
}

/// An account's address is that of its key (RIPEMD-160 of SHA-256), so the key that signed names the signer.
fn check_receipt(
    api: &dyn Api,
    tx: &Tx,
    proof: &EquivocationProof,
    executor: &Addr,
) -> Result<(), ContractError> {
    let key = proof.public_key.as_slice();
    let hashed: [u8; 20] = Ripemd160::digest(sha256(&[key])).into();
    let signer = api.addr_humanize(&CanonicalAddr::from(hashed))?;
    if signer != *executor {
        let (signer, executor) = (signer.into_string(), executor.to_string());
        return Err(ContractError::ReceiptSigner { signer, executor });
    }
    let digest = proof.receipt.digest(&tx.config.domain);
    // A key or signature that cannot be read verifies nothing: the same answer as a wrong one.
    let verified = api.secp256k1_verify(&digest.0, &proof.signature, key).is_ok_and(|verified| verified);
    if verified {
        Ok(())
    } else {
        Err(ContractError::ReceiptUnsigned { key: proof.public_key.to_hex() })
    }
}

/// Condemns the batch's epoch: an open one until its settlement, a settled one by taking stake and reputation now.
fn condemn(
    storage: &mut dyn Storage,
    tx: &Tx,
    batch: &Batch,
    accusation: Accusation,
) -> Result<Response, ContractError> {
    let (executor, number) = (&batch.executor, batch.epoch);
    let mut account = epoch::load(storage, executor, number)?;
    let before = epoch::status(storage, (executor, number), &account);
    if before == EpochStatus::Condemned || account.accusation.is_some() || !account.slashed.is_zero() {
        return Err(ContractError::EpochSlashed { executor: executor.to_string(), epoch: number });
    }
    let accused = accusation.clone();
    let (response, after, burned) = if before.is_settled() {
        account.accusation = Some(accusation);
        let (response, burned) = punish(storage, tx, (executor, number), &mut account)?;
        (response, before, burned)
    } else {
        ACCUSATIONS.save(storage, (executor, number.0), &accusation)?;
        (Response::new(), EpochStatus::Condemned, Uint128::zero())
    };
    Ok(response.add_event(Event::FraudProven {
        executor: executor.to_string(),
        epoch: number,
        batch: accused.batch,
        index: accused.index,
        finding: accused.finding.to_string(),
        accuser: accused.accuser.into_string(),
        status_before: before.to_string(),
        status_after: after.to_string(),
        slashed: account.slashed,
        bounty: account.bounty,
        burned,
    }))
}

/// Slashes for an epoch whose money has gone already, and takes the reputation; returns what is burned.
fn punish(
    storage: &mut dyn Storage,
    tx: &Tx,
    (executor, number): (&Addr, Epoch),
    account: &mut ExecutorEpoch,
) -> Result<(Response, Uint128), ContractError> {
    let params = tx.config.params_of(storage, number)?;
    let mut node = node::load(storage, executor)?;
    let stakes = (node.stake, node.unbonding_total()?);
    node.reputation = Reputation::default();
    let slashed = slash::take(storage, (tx, &params), &mut node)?;
    let accusation = account.accusation.as_ref();
    let bounty = slash::bounty(&params, slashed, executor, accusation)?;
    let division = slash::divide(slashed, Uint128::zero(), Uint128::zero(), bounty)?;
    let mut held = POOLS.load(storage)?;
    slash::pay(storage, &mut held, &division, accusation)?;
    POOLS.save(storage, &held)?;
    account.slashed = slashed;
    account.bounty = division.bounty;
    EPOCHS.save(storage, (executor, number.0), account)?;
    NODES.save(storage, executor, &node)?;
    let slash = stake::slashed(executor, number, slashed, stakes, &node)?;
    let response = slash::burn(Response::new(), division.burned, &tx.config.params.denom);
    Ok((response.add_events(slash), division.burned))
}
