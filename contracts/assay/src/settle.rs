//! Settle: folds closed samples into the evidence in the order of their batches and draws, then pays or forfeits.

use assay_common::event::Event;
use assay_common::evidence::{Audit, Cusum, Scheme};
use assay_common::ids::{BatchId, Epoch};
use assay_common::msg::EpochStatus;
use assay_common::params::{EvidenceParams, Params};
use assay_common::reputation::Reputation;
use assay_common::verdict::FinalOutcome;
use cosmwasm_std::{Addr, Order, Response, Storage, Uint128};
use cw_storage_plus::Bound;

use crate::error::ContractError;
use crate::pools;
use crate::state::{
    Batch, Closed, Cursor, ExecutorEpoch, Node, ACCUSATIONS, EPOCHS, EPOCH_BATCHES, NODES, POOLS, UNSETTLED,
};
use crate::tx::Tx;
use crate::{batch, draw, epoch, model, node, slash, stake, sweep, tally};

/// How far a fold came.
struct Fold {
    cusum: Cusum,
    folded: u32,
    end: End,
}

enum End {
    /// The next sample is not closed, or the page is full.
    Open,
    /// Every sample of every batch is in the evidence.
    Whole,
    /// The evidence reached its bound with a sample of this batch.
    Condemned(Box<Batch>),
    /// A proof was brought: nothing is left to weigh.
    Proven,
}

/// Folds up to `limit` samples of an executor's ended epoch, and closes it where that decides it.
///
/// # Errors
/// The epoch is not over, is settled, comes after one that is not, or has nothing new to fold.
pub fn settle(
    storage: &mut dyn Storage,
    tx: &Tx,
    executor: &Addr,
    number: Epoch,
    limit: u32,
) -> Result<Response, ContractError> {
    draw::check_limit(limit, tx.config.params.limits.settle_page)?;
    let mut account = check_order(storage, tx, executor, number)?;
    let mut node = node::load(storage, executor)?;
    let (cusum, reputation) = (node.cusum, node::reputation(storage, executor, &node)?);
    let stakes = (node.stake, node.unbonding_total()?);
    let params = tx.config.params_of(storage, number)?;
    account.accusation = ACCUSATIONS.may_load(storage, (executor, number.0))?;
    let fold = match account.accusation {
        Some(_) => Fold { cusum, folded: 0, end: End::Proven },
        None => fold(storage, (executor, number), &mut account, (cusum, &params.evidence), limit)?,
    };
    node.cusum = fold.cusum;
    let burned = match fold.end {
        End::Open if fold.folded == 0 => {
            return Err(ContractError::NothingToSettle { executor: executor.to_string(), epoch: number })
        }
        End::Open => Uint128::zero(),
        End::Whole => {
            pay(storage, &params, executor, &mut account, &mut node)?;
            Uint128::zero()
        }
        End::Condemned(batch) => {
            let may_slash = slash::jury_may(storage, &params, &batch, node.number)?;
            forfeit(storage, (tx, &params), (executor, may_slash), &mut account, &mut node)?
        }
        End::Proven => {
            ACCUSATIONS.remove(storage, (executor, number.0));
            forfeit(storage, (tx, &params), (executor, true), &mut account, &mut node)?
        }
    };
    if account.status.is_settled() {
        leave(storage, &params, executor, number)?;
    }
    EPOCHS.save(storage, (executor, number.0), &account)?;
    NODES.save(storage, executor, &node)?;
    let trusted = node::reputation(storage, executor, &node)?;
    let slash = stake::slashed(executor, number, account.slashed, stakes, &node)?;
    let response = slash::burn(Response::new(), burned, &params.denom).add_events(slash);
    Ok(response.add_event(Event::Settled {
        executor: executor.to_string(),
        epoch: number,
        status: account.status.to_string(),
        folded: fold.folded,
        evidence_before: cusum.highest(),
        evidence_after: fold.cusum.highest(),
        bound: params.evidence.bound(),
        reward: account.reward,
        refunded: account.refunded,
        slashed: account.slashed,
        bounty: account.bounty,
        reputation_before: reputation.0,
        reputation_after: trusted.0,
        rate_before: reputation.rate_q32(&tx.config.params.reputation),
        rate_after: trusted.rate_q32(&tx.config.params.reputation),
    }))
}

/// Takes a settled account out of what waits for a settlement.
fn leave(
    storage: &mut dyn Storage,
    params: &Params,
    executor: &Addr,
    number: Epoch,
) -> Result<(), ContractError> {
    UNSETTLED.remove(storage, (number.0, executor));
    let item = sweep::Item::Account { executor: executor.clone(), epoch: number };
    sweep::schedule(storage, sweep::kept_until(params, number), &item)
}

/// The account, if it is its turn.
fn check_order(
    storage: &dyn Storage,
    tx: &Tx,
    executor: &Addr,
    number: Epoch,
) -> Result<ExecutorEpoch, ContractError> {
    let account = epoch::load(storage, executor, number)?;
    if number >= tx.time.epoch {
        return Err(ContractError::EpochNotOver { epoch: number, now: tx.time.epoch });
    }
    if account.status.is_settled() {
        return Err(ContractError::EpochSettled { executor: executor.to_string(), epoch: number });
    }
    if let Some(earlier) = open_before(storage, executor, &account)? {
        return Err(ContractError::EarlierEpochOpen { epoch: number, earlier });
    }
    Ok(account)
}

/// The executor's epoch before this one, if it is not settled.
fn open_before(
    storage: &dyn Storage,
    executor: &Addr,
    account: &ExecutorEpoch,
) -> Result<Option<Epoch>, ContractError> {
    // What is swept is settled.
    Ok(account.previous.filter(|previous| UNSETTLED.has(storage, (previous.0, executor))))
}

/// Takes the terminal prefix into the evidence: stops at the first sample that is not drawn or not closed.
fn fold(
    storage: &dyn Storage,
    (executor, number): (&Addr, Epoch),
    account: &mut ExecutorEpoch,
    (mut cusum, params): (Cusum, &EvidenceParams),
    limit: u32,
) -> Result<Fold, ContractError> {
    let mut folded = 0u32;
    let mut current = batch::load(storage, account.cursor.batch)?;
    let mut scheme = scheme(storage, params, &current)?;
    // Every batch has a sample, so this takes at most two steps for each of `limit` samples.
    loop {
        let Cursor { batch: id, draw } = account.cursor;
        if draw == current.samples {
            let Some(next) = batch_after(storage, executor, number, id)? else {
                return Ok(Fold { cusum, folded, end: End::Whole });
            };
            account.cursor = Cursor { batch: next, draw: 0 };
            let before = std::mem::replace(&mut current, batch::load(storage, next)?);
            if before.model != current.model {
                scheme = self::scheme(storage, params, &current)?;
            }
            continue;
        }
        let Some(closed) = closed(storage, &current, account.cursor)?.filter(|_| folded < limit) else {
            return Ok(Fold { cusum, folded, end: End::Open });
        };
        folded = folded.saturating_add(1);
        account.folded = account.folded.saturating_add(1);
        account.cursor.draw = draw.saturating_add(1);
        if let Some(audit) = audit(closed) {
            cusum = cusum.after(&scheme, audit);
            if cusum.forfeits(&scheme, audit) {
                return Ok(Fold { cusum, folded, end: End::Condemned(Box::new(current)) });
            }
        }
    }
}

/// What an outcome says about the executor; "we could not check" says nothing.
fn audit(closed: Closed) -> Option<Audit> {
    let Closed { outcome, size_class: class, bin } = closed;
    match outcome {
        FinalOutcome::Valid => Some(Audit::Pass { class, bin }),
        FinalOutcome::Fail { .. } => Some(Audit::Fail { class }),
        FinalOutcome::Unavailable | FinalOutcome::Inconclusive { .. } | FinalOutcome::Void => None,
    }
}

/// What the bins of a batch's model make of its audits.
fn scheme(storage: &dyn Storage, params: &EvidenceParams, batch: &Batch) -> Result<Scheme, ContractError> {
    Ok(Scheme::new(params, &model::judging(storage, batch)?.bins))
}

fn closed(storage: &dyn Storage, batch: &Batch, at: Cursor) -> Result<Option<Closed>, ContractError> {
    if at.draw >= batch.drawn {
        return Ok(None);
    }
    Ok(tally::load(storage, at.batch, at.draw)?.closed)
}

fn batch_after(
    storage: &dyn Storage,
    executor: &Addr,
    number: Epoch,
    batch: BatchId,
) -> Result<Option<BatchId>, ContractError> {
    let batches = EPOCH_BATCHES.prefix((executor, number.0));
    let next = batches.keys(storage, Some(Bound::exclusive(batch.0)), None, Order::Ascending).next();
    Ok(next.transpose()?.map(BatchId))
}

/// Whether a Settle of this open, ended epoch would get anywhere.
///
/// # Errors
/// Storage cannot be read.
pub fn is_due(storage: &dyn Storage, executor: &Addr, number: Epoch) -> Result<bool, ContractError> {
    let account = epoch::load(storage, executor, number)?;
    if open_before(storage, executor, &account)?.is_some() {
        return Ok(false);
    }
    if epoch::status(storage, (executor, number), &account) == EpochStatus::Condemned {
        return Ok(true);
    }
    let mut at = account.cursor;
    let mut batch = batch::load(storage, at.batch)?;
    if at.draw == batch.samples {
        match batch_after(storage, executor, number, at.batch)? {
            None => return Ok(true),
            Some(next) => {
                at = Cursor { batch: next, draw: 0 };
                batch = batch::load(storage, next)?;
            }
        }
    }
    Ok(closed(storage, &batch, at)?.is_some())
}

fn pay(
    storage: &mut dyn Storage,
    params: &Params,
    executor: &Addr,
    account: &mut ExecutorEpoch,
    node: &mut Node,
) -> Result<(), ContractError> {
    account.status = EpochStatus::Paid;
    account.reward = account.pending;
    let mut held = POOLS.load(storage)?;
    pools::shift(&mut held.pending, &mut held.claimable, account.reward)?;
    POOLS.save(storage, &held)?;
    tally::credit(storage, executor, account.reward)?;
    let (checked, conclusive) = (account.closed.checked(), account.closed.conclusive());
    node.reputation = node.reputation.after_clean_epoch(&params.reputation, checked, conclusive);
    Ok(())
}

/// Takes the epoch's pay and, where it may, a share of the stake; returns what of it is burned.
///
/// The slash pays back what the reserve advanced for second levels; the fees go back to the sessions, topped up out of the
/// slash to what they paid; then the accuser has the bounty, if there was a proof, and the rest is burned.
fn forfeit(
    storage: &mut dyn Storage,
    (tx, params): (&Tx, &Params),
    (executor, may_slash): (&Addr, bool),
    account: &mut ExecutorEpoch,
    node: &mut Node,
) -> Result<Uint128, ContractError> {
    let slashed = if may_slash { slash::take(storage, (tx, params), node)? } else { Uint128::zero() };
    let accusation = account.accusation.as_ref();
    let bounty = slash::bounty(params, slashed, executor, accusation)?;
    let missing = account.fees.checked_sub(account.pending)?;
    let division = slash::divide(slashed, account.advanced, missing, bounty)?;
    let mut held = POOLS.load(storage)?;
    pools::shift(&mut held.pending, &mut held.refunds, account.pending)?;
    slash::pay(storage, &mut held, &division, accusation)?;
    POOLS.save(storage, &held)?;
    account.status = EpochStatus::Forfeited;
    account.slashed = slashed;
    account.bounty = division.bounty;
    account.refunded = account.pending.checked_add(division.top_up)?;
    account.refund_fees_left = account.fees;
    account.refund_pool_left = account.refunded;
    node.reputation = Reputation::default();
    node.cusum = Cusum::default();
    Ok(division.burned)
}
