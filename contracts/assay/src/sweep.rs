//! Sweep: removes what is final, so that state does not grow with time.
//!
//! Batches go in the order of their ids, which is that of time. Everything else stands in the agenda, under the epoch from
//! which on it may be final; what is not final then is looked at again an epoch later. So nothing is searched for.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::BTreeSet;

use assay_common::event::Event;
use assay_common::ids::{BatchId, Digest, Epoch, ModelDigest, SessionId, Window};
use assay_common::msg::{SampleKey, SessionStatus};
use assay_common::params::Params;
use cosmwasm_std::{Addr, Order, Response, Storage};
use cw_storage_plus::Bound;
use serde::{Deserialize, Serialize};

use crate::error::ContractError;
use crate::state::{
    Batch, Sample, AGENDA, ASSIGNMENTS, BATCHES, BEACONS, COMMITMENTS, EPOCHS, EPOCH_BATCHES,
    FRAUD_COMMITMENTS, SAMPLES, SEATS, SESSIONS, UNDRAWN, UNSETTLED, UNTALLIED,
};
use crate::table::tree;
use crate::tx::{Time, Tx};
use crate::{close, draw, packed, pause};

/// Items of one Sweep: of fifty samples with 21 seats each at most a thousand pages of seats are written.
pub const MAX_ITEMS: u32 = 50;

/// What the agenda holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    /// The posted beacon of a window; a contested sample that is so late that it is gone has it posted again.
    Beacon(Window),
    /// To be paid out, later removed.
    Session(SessionId),
    /// The settled account of an executor.
    Account { executor: Addr, epoch: Epoch },
    /// A commitment to a proof that was not shown in its time.
    FraudCommitment { epoch: Epoch, accuser: Addr, hash: Digest },
    /// The stake table that is in force from one epoch until another.
    Table { model: ModelDigest, from: Epoch, until: Epoch },
}

/// Has an item looked at in the first epoch of `from` that somebody sweeps in.
///
/// # Errors
/// Storage cannot be written.
pub fn schedule(storage: &mut dyn Storage, from: Epoch, item: &Item) -> Result<(), ContractError> {
    Ok(AGENDA.save(storage, (from.0, packed::to_bytes(item)?), &true)?)
}

/// Takes an item off the agenda of an epoch.
///
/// # Errors
/// The item has no binary form: a fault of its type.
pub fn cancel(storage: &mut dyn Storage, from: Epoch, item: &Item) -> Result<(), ContractError> {
    AGENDA.remove(storage, (from.0, packed::to_bytes(item)?));
    Ok(())
}

/// The first epoch in which nobody needs any more what ended with `epoch`: outcomes stay readable until then.
pub fn kept_until(params: &Params, epoch: Epoch) -> Epoch {
    Epoch(epoch.0.saturating_add(u64::from(params.limits.kept_epochs))).next()
}

/// Removes, or pays out, or looks at up to `limit` items.
///
/// # Errors
/// Nothing is due, or the limit is out of its bounds.
pub fn sweep(storage: &mut dyn Storage, tx: &Tx, limit: u32) -> Result<Response, ContractError> {
    draw::check_limit(limit, MAX_ITEMS)?;
    let mut left = limit;
    while left > 0 {
        let Some((id, batch)) = final_batch(storage, tx)? else { break };
        left = left.saturating_sub(sweep_batch(storage, id, &batch, left)?);
    }
    let mut events = Vec::new();
    for (from, item) in due(storage, tx.time.epoch, left)? {
        cancel(storage, from, &item)?;
        left = left.saturating_sub(1);
        if let Some(next) = look_at(storage, tx, &item, &mut events)? {
            schedule(storage, next, &item)?;
        }
    }
    if left == limit {
        return Err(ContractError::NothingToSweep { epoch: tx.time.epoch });
    }
    let swept = Event::Swept { items: limit.saturating_sub(left) };
    Ok(Response::new().add_events(events).add_event(swept))
}

/// Whether a Sweep would get anywhere.
///
/// # Errors
/// Storage cannot be read.
pub fn is_due(storage: &dyn Storage, params: &Params, time: Time) -> Result<bool, ContractError> {
    Ok(first_final(storage, params, time)?.is_some() || !due(storage, time.epoch, 1)?.is_empty())
}

fn due(storage: &dyn Storage, now: Epoch, limit: u32) -> Result<Vec<(Epoch, Item)>, ContractError> {
    let end = Some(Bound::exclusive((now.next().0, Vec::new())));
    let entries = AGENDA.keys(storage, None, end, Order::Ascending);
    let entries = entries.take(usize::try_from(limit).unwrap_or(usize::MAX));
    entries
        .map(|entry| {
            let (from, bytes) = entry?;
            Ok((Epoch(from), packed::from_bytes(&bytes)?))
        })
        .collect()
}

fn final_batch(storage: &dyn Storage, tx: &Tx) -> Result<Option<(BatchId, Batch)>, ContractError> {
    first_final(storage, &tx.config.params, tx.time)
}

/// The oldest batch, if it is final: wholly judged, its epoch settled and kept long enough, and nobody can accuse it any more;
/// pauses make the fraud window longer, but not the epochs.
fn first_final(
    storage: &dyn Storage,
    params: &Params,
    time: Time,
) -> Result<Option<(BatchId, Batch)>, ContractError> {
    let Some((id, batch)) = oldest_batch(storage)? else { return Ok(None) };
    let judged = batch.drawn == batch.samples && batch.closed == batch.samples;
    let unsettled = UNSETTLED.has(storage, (batch.epoch.0, &batch.executor));
    let kept =
        time.epoch < kept_until(params, batch.epoch) || pause::running(storage, time.now)? <= batch.accusable;
    let done = judged && !unsettled && !kept;
    Ok(done.then_some((id, batch)))
}

fn oldest_batch(storage: &dyn Storage) -> Result<Option<(BatchId, Batch)>, ContractError> {
    let oldest = BATCHES.range(storage, None, None, Order::Ascending).next().transpose()?;
    Ok(oldest.map(|(id, batch)| (BatchId(id), batch)))
}

/// Removes up to `limit` of a batch's samples, in the order of their draws, and then the batch; returns how many items.
fn sweep_batch(
    storage: &mut dyn Storage,
    id: BatchId,
    batch: &Batch,
    limit: u32,
) -> Result<u32, ContractError> {
    let count = usize::try_from(limit).unwrap_or(usize::MAX);
    let samples = SAMPLES.prefix(id.0).range(storage, None, None, Order::Ascending).take(count);
    let samples: Vec<(u32, Sample)> = samples.collect::<Result<_, _>>()?;
    let mut pages = Pages::default();
    let mut windows = BTreeSet::new();
    for (draw, sample) in &samples {
        SAMPLES.remove(storage, (id.0, *draw));
        windows.insert(sample.window);
        let (first, second) = sample.levels();
        let first = first.iter().map(|seat| (seat, sample.window));
        for (seat, window) in first.chain(second.iter().map(|seat| (seat, sample.latest()))) {
            let page = (seat.juror.0, window.0, seat.page);
            pages.remove(storage, page, SampleKey { batch: id, draw: *draw })?;
        }
    }
    pages.save(storage)?;
    // Tallies out of order close everything and leave an entry that points at nothing to do; now it would point nowhere.
    for window in windows {
        UNTALLIED.remove(storage, (window.0, id.0));
    }
    let removed = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    if removed == limit {
        return Ok(removed);
    }
    BATCHES.remove(storage, id.0);
    EPOCH_BATCHES.remove(storage, ((&batch.executor, batch.epoch.0), id.0));
    Ok(removed.saturating_add(1))
}

/// Pages of seats by (juror, window, page) from which samples go; each is read once and written once.
#[derive(Default)]
struct Pages(BTreeMap<(u32, u64, u32), Vec<SampleKey>>);

impl Pages {
    fn remove(
        &mut self,
        storage: &dyn Storage,
        (juror, window, page): (u32, u64, u32),
        sample: SampleKey,
    ) -> Result<(), ContractError> {
        let samples = match self.0.entry((juror, window, page)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                new.insert(ASSIGNMENTS.may_load(storage, ((juror, window), page))?.unwrap_or_default())
            }
        };
        samples.retain(|other| *other != sample);
        Ok(())
    }

    /// With its last sample goes what its juror committed to, and the count of seats that nobody commits to any more.
    fn save(self, storage: &mut dyn Storage) -> Result<(), ContractError> {
        for ((juror, window, page), samples) in self.0 {
            if samples.is_empty() {
                ASSIGNMENTS.remove(storage, ((juror, window), page));
                COMMITMENTS.remove(storage, (juror, window, page));
                SEATS.remove(storage, (juror, window));
            } else {
                ASSIGNMENTS.save(storage, ((juror, window), page), &samples)?;
            }
        }
        Ok(())
    }
}

/// Removes an item that is final; else says when to look at it again.
fn look_at(
    storage: &mut dyn Storage,
    tx: &Tx,
    item: &Item,
    events: &mut Vec<Event>,
) -> Result<Option<Epoch>, ContractError> {
    let next = tx.time.epoch.next();
    match item {
        Item::Beacon(window) => {
            if UNDRAWN.prefix(window.0).keys(storage, None, None, Order::Ascending).next().is_some() {
                return Ok(Some(next));
            }
            BEACONS.remove(storage, window.0);
            Ok(None)
        }
        Item::Session(id) => look_at_session(storage, tx, *id, events),
        Item::Account { executor, epoch } => {
            let key = (executor, epoch.0);
            let owes =
                EPOCHS.may_load(storage, key)?.is_some_and(|account| !account.refund_fees_left.is_zero());
            let batches = EPOCH_BATCHES.prefix(key).keys(storage, None, None, Order::Ascending).next();
            if owes || batches.is_some() {
                return Ok(Some(next));
            }
            EPOCHS.remove(storage, key);
            Ok(None)
        }
        Item::FraudCommitment { epoch, accuser, hash } => {
            FRAUD_COMMITMENTS.remove(storage, (epoch.0, accuser, hash.0));
            Ok(None)
        }
        Item::Table { model, from, until } => {
            if oldest_batch(storage)?.is_some_and(|(_, batch)| batch.epoch < *until) {
                return Ok(Some(next));
            }
            tree::remove(storage, model, *from)?;
            Ok(None)
        }
    }
}

/// A session stays for as long as its inferences may be contested or accused: their seeds follow from it.
fn look_at_session(
    storage: &mut dyn Storage,
    tx: &Tx,
    id: SessionId,
    events: &mut Vec<Event>,
) -> Result<Option<Epoch>, ContractError> {
    let Some(session) = SESSIONS.may_load(storage, id.0)? else { return Ok(None) };
    let last = kept_until(&tx.config.params, session.closes);
    match session.status {
        SessionStatus::Closed if oldest_batch(storage)?.is_some_and(|(_, b)| b.epoch <= session.closes) => {
            Ok(Some(last.max(tx.time.epoch.next())))
        }
        SessionStatus::Closed if tx.time.epoch >= last => {
            SESSIONS.remove(storage, id.0);
            Ok(None)
        }
        SessionStatus::Closed => Ok(Some(last)),
        _ if tx.time.epoch <= session.closes => Ok(Some(session.closes.next())),
        SessionStatus::Open | SessionStatus::Closing => {
            events.extend(close::finish(storage, id, session)?);
            Ok(Some(tx.time.epoch.next()))
        }
    }
}
