//! Settle: folds closed samples into the evidence in the order of their batches and draws, then pays or forfeits.

use assay_common::event::Event;
use assay_common::evidence::{Audit, Cusum, Scheme};
use assay_common::ids::{BatchId, Epoch};
use assay_common::msg::EpochStatus;
use assay_common::params::EvidenceParams;
use assay_common::reputation::Reputation;
use assay_common::verdict::FinalOutcome;
use cosmwasm_std::{coins, Addr, BankMsg, Order, Response, Storage, Uint128};
use cw_storage_plus::Bound;

use crate::error::ContractError;
use crate::pools;
use crate::state::{
    Batch, Closed, Cursor, ExecutorEpoch, Node, EPOCHS, EPOCH_BATCHES, NODES, POOLS, UNSETTLED,
};
use crate::tx::Tx;
use crate::{batch, draw, epoch, model, node, stake, sweep, table, tally};

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
    let params = &tx.config.params;
    draw::check_limit(limit, params.limits.settle_page)?;
    let mut account = check_order(storage, tx, executor, number)?;
    let mut node = node::load(storage, executor)?;
    let (cusum, reputation) = (node.cusum, node.reputation);
    let stakes = (node.stake, node.unbonding_total()?);
    let fold = fold(storage, (executor, number), &mut account, (cusum, &params.evidence), limit)?;
    node.cusum = fold.cusum;
    let mut response = Response::new();
    match fold.end {
        End::Open if fold.folded == 0 => {
            return Err(ContractError::NothingToSettle { executor: executor.to_string(), epoch: number })
        }
        End::Open => {}
        End::Whole => pay(storage, tx, executor, &mut account, &mut node)?,
        End::Condemned(batch) => {
            let burned = forfeit(storage, tx, &batch, &mut account, &mut node)?;
            if !burned.is_zero() {
                let amount = coins(burned.u128(), &params.denom);
                response = response.add_message(BankMsg::Burn { amount });
            }
        }
    }
    if account.status != EpochStatus::Open {
        UNSETTLED.remove(storage, (number.0, executor));
        let item = sweep::Item::Account { executor: executor.clone(), epoch: number };
        sweep::schedule(storage, sweep::kept_until(params, number), &item)?;
    }
    EPOCHS.save(storage, (executor, number.0), &account)?;
    NODES.save(storage, executor, &node)?;
    let slash = stake::slashed(executor, number, account.slashed, stakes, &node)?;
    Ok(response.add_events(slash).add_event(Event::Settled {
        executor: executor.to_string(),
        epoch: number,
        status: status(account.status).into(),
        folded: fold.folded,
        evidence_before: cusum.highest(),
        evidence_after: fold.cusum.highest(),
        bound: params.evidence.bound(),
        reward: account.reward,
        refunded: account.refunded,
        slashed: account.slashed,
        reputation_before: reputation.0,
        reputation_after: node.reputation.0,
    }))
}

fn status(status: EpochStatus) -> &'static str {
    match status {
        EpochStatus::Open => "open",
        EpochStatus::Paid => "paid",
        EpochStatus::Forfeited => "forfeited",
    }
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
    if account.status != EpochStatus::Open {
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
        }
        if cusum.forfeits(&scheme) {
            return Ok(Fold { cusum, folded, end: End::Condemned(Box::new(current)) });
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
    Ok(Scheme::new(params, &model::load(storage, &batch.model)?.calibration.bins))
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
    tx: &Tx,
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
    node.reputation = node.reputation.after_clean_epoch(&tx.config.params.reputation, checked, conclusive);
    Ok(())
}

/// Takes the epoch's pay and a share of the stake; returns what of it is burned.
///
/// The slash pays back what the reserve advanced for second levels; the fees go back to the sessions, topped up out of the
/// slash to what they paid; the rest of the slash is burned.
fn forfeit(
    storage: &mut dyn Storage,
    tx: &Tx,
    condemned: &Batch,
    account: &mut ExecutorEpoch,
    node: &mut Node,
) -> Result<Uint128, ContractError> {
    let slashed = slash(storage, tx, condemned, node)?;
    let repaid = slashed.min(account.advanced);
    let left = slashed.checked_sub(repaid)?;
    let top_up = left.min(account.fees.checked_sub(account.pending)?);
    let burned = left.checked_sub(top_up)?;
    account.status = EpochStatus::Forfeited;
    account.slashed = slashed;
    account.refunded = account.pending.checked_add(top_up)?;
    account.refund_fees_left = account.fees;
    account.refund_pool_left = account.refunded;
    node.reputation = Reputation::default();
    node.cusum = Cusum::default();
    let mut held = POOLS.load(storage)?;
    pools::shift(&mut held.pending, &mut held.refunds, account.pending)?;
    pools::shift(&mut held.stakes, &mut held.reserve, repaid)?;
    pools::shift(&mut held.stakes, &mut held.refunds, top_up)?;
    pools::shift(&mut held.stakes, &mut held.burned, burned)?;
    POOLS.save(storage, &held)?;
    Ok(burned)
}

/// Takes the share of all stake, bonded or unbonding, that a forfeit costs, rounded down; nothing while too few others could have judged.
///
/// "Others" are those of the model and epoch whose jury tipped the evidence. The next epoch's tables know the new
/// stake; a node whose stake no longer reaches a model's minimum is not in that model's table any more.
fn slash(
    storage: &mut dyn Storage,
    tx: &Tx,
    condemned: &Batch,
    node: &mut Node,
) -> Result<Uint128, ContractError> {
    let params = &tx.config.params;
    let others = table::in_force(storage, &condemned.model, condemned.epoch)?.others(node.number);
    if others < params.jury.min_others_to_slash {
        return Ok(Uint128::zero());
    }
    let slashed = node.take(pools::share(node.at_stake()?, params.fees.slash_ppm)?);
    node::lower(storage, tx, node)?;
    Ok(slashed)
}
