//! What anybody may do now to move the protocol on.

use std::collections::BTreeMap;

use assay_common::ids::{BatchId, Epoch, Window};
use assay_common::msg::{DueBeacon, DueResponse, DueSettle, DueTally};
use cosmwasm_std::{Order, Storage};
use cw_storage_plus::Bound;

use crate::error::ContractError;
use crate::state::{BEACONS, CONTESTED, UNDRAWN, UNSETTLED, UNTALLIED};
use crate::tx::{Config, Time};
use crate::{beacon, pause, settle, sweep, tally};

/// Items of each kind where the query names no limit, and the most that it may name.
const DEFAULT_LIMIT: u32 = 10;
const MAX_LIMIT: u32 = 30;
/// Entries of an index that one query looks at: at some 10 k gas each they stay below a node's query limit of 3 M.
const MAX_SCAN: usize = 100;

pub fn due(
    storage: &dyn Storage,
    config: &Config,
    time: Time,
    limit: Option<u32>,
) -> Result<DueResponse, ContractError> {
    let limit = usize::try_from(limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)).unwrap_or(usize::MAX);
    let mut due = DueResponse::default();
    beacons_and_draws(storage, (config, time), limit, &mut due)?;
    tallies(storage, config, time, limit, &mut due)?;
    if pause::paused(storage, time.now)?.is_none() {
        due.settlements = settlements(storage, time, limit)?;
    }
    due.sweep = sweep::is_due(storage, &config.params, time)?;
    Ok(due)
}

/// Windows whose beacon undrawn batches wait for, in order: the beacon itself is due, or the draws that it allows.
///
/// Of each key `limit` beacons are listed: windows of a key that signs no more wait until they are rescued, and must not keep those of
/// the key that took its place out of the list.
fn beacons_and_draws(
    storage: &dyn Storage,
    (config, time): (&Config, Time),
    limit: usize,
    due: &mut DueResponse,
) -> Result<(), ContractError> {
    let (mut next, mut listed) = (0u64, BTreeMap::<Vec<u8>, usize>::new());
    for _ in 0..MAX_SCAN {
        let start = Some(Bound::inclusive((next, 0)));
        let first = UNDRAWN.keys(storage, start, None, Order::Ascending).next().transpose()?;
        let Some(window) = first.map(|(window, _)| Window(window)) else { break };
        let (round, schedule) = beacon::of_window(storage, config, (window, time.epoch))?;
        if schedule.time(round) > time.now {
            break;
        }
        if BEACONS.has(storage, window.0) {
            let wanted = limit.saturating_sub(due.draws.len());
            for batch in UNDRAWN.prefix(window.0).keys(storage, None, None, Order::Ascending).take(wanted) {
                due.draws.push(BatchId(batch?));
            }
        } else {
            let listed = listed.entry(schedule.public_key.into()).or_default();
            if *listed < limit {
                *listed = listed.saturating_add(1);
                due.beacons.push(DueBeacon { window, round });
            }
        }
        next = window.next().0;
    }
    Ok(())
}

/// The index is by window, so what is due comes first and nothing else is looked at. A contested sample waits for the
/// beacon that draws its second level.
fn tallies(
    storage: &dyn Storage,
    config: &Config,
    time: Time,
    limit: usize,
    due: &mut DueResponse,
) -> Result<(), ContractError> {
    let Some(last) = time.window.and_then(tally::last_due) else { return Ok(()) };
    let end = Some(Bound::inclusive((last.0, u64::MAX)));
    for entry in UNTALLIED.range(storage, None, end.clone(), Order::Ascending).take(limit) {
        let ((_, batch), from) = entry?;
        let batch = BatchId(batch);
        match tally::waits_for(storage, config, batch, from)? {
            None => add(&mut due.tallies, DueTally { batch, from }),
            Some(window) => {
                let (round, schedule) = beacon::of_window(storage, config, (window, time.epoch))?;
                if schedule.time(round) <= time.now {
                    due.beacons.push(DueBeacon { window, round });
                }
            }
        }
    }
    let second = CONTESTED.range(storage, None, end, Order::Ascending);
    for entry in second.take(limit.saturating_sub(due.tallies.len())) {
        let ((_, batch), draws) = entry?;
        let batch = BatchId(batch);
        if let Some(from) = draws.first() {
            add(&mut due.tallies, DueTally { batch, from: *from });
        }
    }
    due.beacons.sort_unstable();
    due.beacons.dedup();
    Ok(())
}

/// One for each batch: the page of the first may do the work of the second.
fn add(tallies: &mut Vec<DueTally>, tally: DueTally) {
    if tallies.iter().all(|other| other.batch != tally.batch) {
        tallies.push(tally);
    }
}

/// Ended epochs, the oldest first, of which a Settle would get somewhere.
fn settlements(storage: &dyn Storage, time: Time, limit: usize) -> Result<Vec<DueSettle>, ContractError> {
    let mut due = Vec::new();
    let open = UNSETTLED.keys(storage, None, None, Order::Ascending);
    for entry in open.take(MAX_SCAN) {
        let (epoch, executor) = entry?;
        if epoch >= time.epoch.0 || due.len() == limit {
            break;
        }
        if settle::is_due(storage, &executor, Epoch(epoch))? {
            due.push(DueSettle { executor: executor.into_string(), epoch: Epoch(epoch) });
        }
    }
    Ok(due)
}
