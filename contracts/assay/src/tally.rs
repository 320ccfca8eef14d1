//! Tally: closes samples whose reveal window has passed, and pays their juries.

use std::collections::BTreeMap;

use assay_common::event::Event;
use assay_common::ids::{BatchId, Window};
use assay_common::msg::{EpochStatus, Tallies};
use assay_common::verdict::{self, FinalOutcome, LevelOne, Outcome};
use cosmwasm_std::{Addr, Response, Storage, Uint128};

use crate::error::ContractError;
use crate::pools::{self, Pools};
use crate::state::{Batch, NodeNumber, Sample, BATCHES, CLAIMABLE, EPOCHS, POOLS, SAMPLES, UNTALLIED};
use crate::tx::Tx;
use crate::{batch, draw, epoch, node};

/// Windows from the draw to the first one in which the sample can be closed.
pub const TALLY_AFTER: u64 = 3;

/// The last window whose draws can be closed in window `now`, if any.
pub fn last_due(now: Window) -> Option<Window> {
    now.0.checked_sub(TALLY_AFTER).map(Window)
}

/// What a Tally has done so far.
struct Closing {
    quorum: usize,
    /// Whether the executor has forfeited the epoch: every open sample is void.
    forfeited: bool,
    tallies: Tallies,
    earned: BTreeMap<NodeNumber, Uint128>,
    held: Pools,
    events: Vec<Event>,
}

/// Closes what is due of draws `from..from + limit`; what is closed already is passed over.
///
/// # Errors
/// Nothing was due there, or the limit is out of its bounds.
pub fn close(
    storage: &mut dyn Storage,
    tx: &Tx,
    id: BatchId,
    from: u32,
    limit: u32,
) -> Result<Response, ContractError> {
    let now = tx.window()?;
    draw::check_limit(limit, tx.config.params.limits.draw_page)?;
    let mut batch = batch::load(storage, id)?;
    let mut account = epoch::load(storage, &batch.executor, batch.epoch)?;
    let mut closing = Closing {
        quorum: usize::try_from(tx.config.params.jury.quorum).unwrap_or(usize::MAX),
        forfeited: account.status == EpochStatus::Forfeited,
        tallies: account.closed,
        earned: BTreeMap::new(),
        held: POOLS.load(storage)?,
        events: Vec::new(),
    };
    let to = from.saturating_add(limit).min(batch.drawn);
    let mut first_open = to;
    for number in from..to {
        let sample = load(storage, id, number)?;
        if sample.outcome.is_some() {
            continue;
        }
        if last_due(now).is_none_or(|due| sample.window > due) {
            first_open = number; // later draws are of the same window or a later one
            break;
        }
        closing.close(storage, (id, number), &batch, sample)?;
    }
    let closed = u32::try_from(closing.events.len()).unwrap_or(u32::MAX);
    let advanced = from <= batch.first_open && first_open > batch.first_open;
    if closed == 0 && !advanced {
        return Err(ContractError::NothingToTally { batch: id, from });
    }
    if advanced {
        advance(storage, id, &mut batch, first_open)?;
    }
    batch.closed = batch.closed.saturating_add(closed);
    BATCHES.save(storage, id.0, &batch)?;
    account.closed = closing.tallies;
    EPOCHS.save(storage, (&batch.executor, batch.epoch.0), &account)?;
    POOLS.save(storage, &closing.held)?;
    for (juror, earned) in &closing.earned {
        let juror = node::address(storage, *juror)?;
        credit(storage, &juror, *earned)?;
    }
    Ok(Response::new().add_events(closing.events))
}

impl Closing {
    fn close(
        &mut self,
        storage: &mut dyn Storage,
        (id, number): (BatchId, u32),
        batch: &Batch,
        mut sample: Sample,
    ) -> Result<(), ContractError> {
        let outcome = self.outcome(&sample);
        sample.outcome = Some(outcome);
        SAMPLES.save(storage, (id.0, number), &sample)?;
        self.pay(batch, &sample, &outcome)?;
        let count = match outcome {
            FinalOutcome::Valid => &mut self.tallies.valid,
            FinalOutcome::Fail { .. } => &mut self.tallies.fail,
            FinalOutcome::Unavailable => &mut self.tallies.unavailable,
            FinalOutcome::Inconclusive { .. } => &mut self.tallies.inconclusive,
            FinalOutcome::Void => &mut self.tallies.void,
        };
        *count = count.saturating_add(1);
        self.events.push(Event::SampleClosed {
            batch: id,
            draw: number,
            executor: batch.executor.to_string(),
            outcome: outcome.to_string(),
        });
        Ok(())
    }

    fn outcome(&self, sample: &Sample) -> FinalOutcome {
        if self.forfeited {
            return FinalOutcome::Void;
        }
        let revealed: Vec<Outcome> = sample.seats.iter().filter_map(|seat| seat.verdict).collect();
        match verdict::level_one(self.quorum, &revealed) {
            LevelOne::Valid => FinalOutcome::Valid,
            LevelOne::Contested => verdict::level_two(sample.seats.len(), &revealed),
        }
    }

    /// One verdict's fee to each juror of the majority, the rest of what the sample's seats cost to the reserve.
    fn pay(&mut self, batch: &Batch, sample: &Sample, outcome: &FinalOutcome) -> Result<(), ContractError> {
        let mut purse = batch.verdict_fee.checked_mul(Uint128::from(batch.seats))?;
        self.held.checks = self.held.checks.checked_sub(purse)?;
        for seat in &sample.seats {
            if seat.verdict.is_some_and(|verdict| outcome.agrees(&verdict)) {
                pools::shift(&mut purse, &mut self.held.claimable, batch.verdict_fee)?;
                let earned = self.earned.entry(seat.juror).or_default();
                pools::add(earned, batch.verdict_fee)?;
            }
        }
        pools::add(&mut self.held.reserve, purse)
    }
}

/// Moves the batch's first open sample up to `first_open`, in the batch and in the index of what is due.
fn advance(
    storage: &mut dyn Storage,
    id: BatchId,
    batch: &mut Batch,
    first_open: u32,
) -> Result<(), ContractError> {
    let before = load(storage, id, batch.first_open)?.window;
    UNTALLIED.remove(storage, (before.0, id.0));
    batch.first_open = first_open;
    if first_open < batch.drawn {
        let window = load(storage, id, first_open)?.window;
        UNTALLIED.save(storage, (window.0, id.0), &first_open)?;
    }
    Ok(())
}

/// Adds to what an address may claim; the pool is the caller's to move.
///
/// # Errors
/// More than u128 holds.
pub fn credit(storage: &mut dyn Storage, address: &Addr, amount: Uint128) -> Result<(), ContractError> {
    if amount.is_zero() {
        return Ok(());
    }
    let mut claimable = CLAIMABLE.may_load(storage, address)?.unwrap_or_default();
    pools::add(&mut claimable, amount)?;
    CLAIMABLE.save(storage, address, &claimable)?;
    Ok(())
}

/// # Errors
/// The batch has no such draw.
pub fn load(storage: &dyn Storage, batch: BatchId, draw: u32) -> Result<Sample, ContractError> {
    SAMPLES.may_load(storage, (batch.0, draw))?.ok_or(ContractError::UnknownSample { batch, draw })
}
