//! Accusations onto the chain: committed to in one block, shown in a later one.
//!
//! Nothing is broadcast that is not stored, and the chain is asked what it knows before anything is sent again.

use assay_common::ids::Digest;
use assay_common::msg::{EpochResponse, ExecuteMsg, FraudCommitmentResponse, QueryMsg};
use assay_common::proof::accusation;
use assay_common::salt::Hidden;
use cosmwasm_std::HexBinary;
use tokio_util::sync::CancellationToken;

use super::accusations::{self, Change, Stored, Suspect};
use super::build::{BuildError, Subject};
use super::Accuser;
use crate::chain::{Account, Call, Confirmation, TxError};
use crate::poll::{self, LookError, Pace};
use crate::store::StoreError;

/// Refusals after which an accusation ends: the first may be of a commitment that ran out in between.
const MOST_REFUSALS: u32 = 3;

/// What is to be done about an accusation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Commit,
    /// The commitment is in the last block.
    Wait,
    Prove,
    /// The contract has accepted our proof.
    Won,
    /// The epoch is condemned or slashed already: by another, or for another leaf.
    Lost,
}

/// The next move, given whether our proof or another was brought, the block of our commitment, and the last block.
pub fn next_move(condemned: Option<bool>, committed: Option<u64>, height: u64) -> Move {
    match (condemned, committed) {
        (Some(true), _) => Move::Won,
        (Some(false), _) => Move::Lost,
        (None, None) => Move::Commit,
        (None, Some(at)) if height > at => Move::Prove,
        (None, Some(_)) => Move::Wait,
    }
}

/// Looks for proofs in what was judged and brings them, until it is told to stop.
///
/// # Errors
/// The store fails.
pub async fn run(accuser: Accuser, stop: CancellationToken) -> anyhow::Result<()> {
    let pace = Pace::every(accuser.poll);
    while poll::again("accuse", tend(&accuser).await, pace, &stop).await? {}
    Ok(())
}

/// One look at what was judged, and at every accusation.
///
/// # Errors
/// The chain cannot be asked, or the store fails.
pub async fn tend(accuser: &Accuser) -> Result<(), LookError> {
    while let Some(suspect) = accusations::suspect(&accuser.store).await? {
        look_through(accuser, &suspect).await?;
    }
    look(accuser).await
}

/// Looks for a proof in the artifact of a failed sample. There need be none: a voucher that is not signed, or rows that
/// name other tokens than the answer, are for juries.
async fn look_through(accuser: &Accuser, suspect: &Suspect) -> Result<(), LookError> {
    let found = match Subject::read(&accuser.chain, suspect.key.batch, suspect.case.index).await {
        Ok(subject) => subject.fraud(&suspect.evidence),
        Err(error) => Err(error),
    };
    let accusation = match found {
        Ok(accusation) => accusation,
        Err(BuildError::Chain(error)) => return Err(error.into()),
        Err(error) => {
            let (batch, draw) = (suspect.key.batch.0, suspect.key.draw);
            tracing::warn!(job.batch = batch, job.draw = draw, %error, "accuse.no_proof");
            None
        }
    };
    accusations::looked(&accuser.store, suspect, accusation.as_ref()).await?;
    Ok(())
}

/// One look at every accusation that is not at its end.
///
/// # Errors
/// The store fails.
pub async fn look(accuser: &Accuser) -> Result<(), LookError> {
    for accusation in accusations::unfinished(&accuser.store).await? {
        if let Some(error) = poll::for_later(step(accuser, &accusation).await)? {
            tracing::warn!(accusation.number = accusation.number, error, "accuse.step_failed");
        }
    }
    Ok(())
}

/// The secret that an account hides a proof with, and what it commits to.
pub fn hidden(accuser: &Accuser, proof: &Digest) -> (HexBinary, Digest) {
    let (domain, account): (_, &Account) = (accuser.chain.domain(), accuser.sender.account());
    let salt = account.salt(domain, Hidden::Proof(proof));
    let hash = accusation(domain, account.address(), proof, &salt);
    (salt, hash)
}

async fn step(accuser: &Accuser, stored: &Stored) -> Result<(), LookError> {
    if stored.pending.is_some() {
        return resolve(accuser, stored).await;
    }
    let (salt, hash) = hidden(accuser, &stored.proof.digest());
    let address = accuser.sender.account().address();
    let query = QueryMsg::Epoch { executor: stored.executor.clone(), epoch: stored.epoch };
    let epoch: EpochResponse = accuser.chain.query(&query).await?;
    let condemned = match &epoch.accusation {
        Some(found) => Some(found.accuser == address && (found.batch, found.index) == stored.proof.leaf()),
        None => (!epoch.slashed.is_zero()).then_some(false),
    };
    let query = QueryMsg::FraudCommitment { accuser: address.into(), hash };
    let committed: FraudCommitmentResponse = accuser.chain.query(&query).await?;
    let change = match next_move(condemned, committed.height, accuser.chain.height().await?) {
        Move::Wait => return Ok(()),
        Move::Commit => return send(accuser, stored, ExecuteMsg::CommitFraud { hash }).await,
        Move::Prove => return send(accuser, stored, stored.proof.message(salt)).await,
        Move::Won => Change::Proven,
        Move::Lost => Change::Ended("the epoch is condemned or slashed already"),
    };
    accusations::advance(&accuser.store, stored, change).await?;
    Ok(())
}

/// What became of the transaction under way, by its hash.
async fn resolve(accuser: &Accuser, stored: &Stored) -> Result<(), LookError> {
    let Some(pending) = &stored.pending else { return Ok(()) };
    match accuser.sender.lookup(pending).await? {
        None => {}
        Some(Confirmation::Included(_) | Confirmation::Expired) => {
            accusations::advance(&accuser.store, stored, Change::Resolved).await?;
        }
        Some(Confirmation::Rejected { log, .. }) => refused(accuser, stored, &log).await?,
    }
    Ok(())
}

async fn refused(accuser: &Accuser, stored: &Stored, reason: &str) -> Result<(), StoreError> {
    let last = stored.refusals.saturating_add(1) >= MOST_REFUSALS;
    let change = if last { Change::Ended(reason) } else { Change::Refused(reason) };
    accusations::advance(&accuser.store, stored, change).await?;
    Ok(())
}

/// Stores the transaction's hash, then broadcasts it. What certainly is not in the mempool is taken back at once.
async fn send(accuser: &Accuser, stored: &Stored, msg: ExecuteMsg) -> Result<(), LookError> {
    let persist = |pending| async move {
        let moved = accusations::advance(&accuser.store, stored, Change::Sent(&pending)).await?;
        anyhow::ensure!(moved, "accusation {} is under way already", stored.number);
        Ok(())
    };
    let error = match accuser.sender.broadcast(vec![Call::new(msg)], persist).await {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    // Refused by the simulation it is stored as it was read, refused by the mempool it is stored as sent.
    let now = accusations::get(&accuser.store, stored.number).await?;
    match &error {
        TxError::Rejected { log, .. } => refused(accuser, &now, log).await?,
        TxError::Sequence { .. } => {
            accusations::advance(&accuser.store, &now, Change::Resolved).await?;
        }
        _ => {}
    }
    Err(error.into())
}
