//! Tally: closes samples whose reveal window has passed, or gives them the seats of a second level.

use std::collections::BTreeMap;

use assay_common::event::Event;
use assay_common::ids::{BatchId, Window};
use assay_common::msg::{SampleKey, Tallies};
use assay_common::params::Params;
use assay_common::verdict::FinalOutcome;
use cosmwasm_std::{Addr, Response, Storage, Uint128};

use crate::contest::{self, Bench, Contest};
use crate::error::ContractError;
use crate::hearing::Hearing;
use crate::pools;
use crate::purse::Purse;
use crate::seating::Seating;
use crate::state::{
    Batch, Closed, ExecutorEpoch, NodeNumber, Sample, BATCHES, CLAIMABLE, CONTESTED, CONTESTED_DRAWN, EPOCHS,
    POOLS, SAMPLES, UNTALLIED,
};
use crate::tx::{Config, Tx};
use crate::{batch, draw, epoch, model, node};

/// Windows from the draw to the first one in which the sample can be closed.
pub const TALLY_AFTER: u64 = 3;

/// The last window whose seats can be tallied in window `now`, if any.
pub fn last_due(now: Window) -> Option<Window> {
    now.0.checked_sub(TALLY_AFTER).map(Window)
}

/// The first sample of each window that a page leaves open though it is due, and the window whose beacon it waits for.
type Left = BTreeMap<Window, (u32, Window)>;

/// What a Tally works with, and what it has done so far.
struct Tally<'a> {
    tx: &'a Tx,
    /// Those of the batch's epoch.
    params: &'a Params,
    batch: &'a Batch,
    id: BatchId,
    tolerance: u16,
    /// Read when the first contested sample needs it.
    bench: Option<Bench>,
    account: ExecutorEpoch,
    /// Whether the account is condemned or forfeited.
    voids: bool,
    purse: Purse<'a>,
    seating: Seating,
    events: Vec<Event>,
    closed: u32,
    left: Left,
}

/// Handles what is due of draws `from..from + limit`; what is closed already is passed over.
///
/// # Errors
/// Nothing was due there, or the limit is out of its bounds.
pub fn page(
    storage: &mut dyn Storage,
    tx: &Tx,
    id: BatchId,
    from: u32,
    limit: u32,
) -> Result<Response, ContractError> {
    let now = tx.window()?;
    draw::check_limit(limit, tx.config.params.limits.draw_page)?;
    let batch = batch::load(storage, id)?;
    let executor = node::load(storage, &batch.executor)?.number;
    let params = tx.config.params_of(storage, batch.epoch)?;
    let account = epoch::load(storage, &batch.executor, batch.epoch)?;
    let voids = epoch::status(storage, (&batch.executor, batch.epoch), &account).voids_samples();
    let mut tally = Tally {
        tx,
        params: &params,
        batch: &batch,
        id,
        tolerance: model::judging(storage, &batch)?.probe_tolerance,
        bench: None,
        account,
        voids,
        purse: Purse::new((tx, &params), &batch, executor, POOLS.load(storage)?),
        seating: Seating::new(now, tx.config.params.limits.verdict_page),
        events: Vec::new(),
        closed: 0,
        left: BTreeMap::new(),
    };
    let to = from.saturating_add(limit).min(batch.drawn);
    let due = last_due(now);
    let mut windows = Vec::new();
    for number in from..to {
        let sample = load(storage, id, number)?;
        windows.push(sample.window);
        if sample.closed.is_none() && due.is_some_and(|due| sample.latest() <= due) {
            tally.hear(storage, number, sample)?;
        }
    }
    let left = std::mem::take(&mut tally.left);
    let waits = left.values().next().map(|(_, beacon)| *beacon);
    let moved = advance(storage, &batch, (id, from, to), (due, windows, left))?;
    match waits {
        _ if moved || !tally.events.is_empty() => {}
        Some(window) => return Err(ContractError::BeaconMissing { batch: id, window }),
        None => return Err(ContractError::NothingToTally { batch: id, from }),
    }
    tally.save(storage)
}

impl Tally<'_> {
    /// Closes a sample, or gives it the seats of a second level, or leaves it where those wait for their beacon.
    fn hear(
        &mut self,
        storage: &mut dyn Storage,
        number: u32,
        mut sample: Sample,
    ) -> Result<(), ContractError> {
        let key = SampleKey { batch: self.id, draw: number };
        let hearing = Hearing::new(&sample, self.tolerance);
        if self.voids {
            self.purse.void()?;
            let closed = hearing.closed(FinalOutcome::Void);
            return self.close(storage, key, sample, closed);
        }
        let quorum = usize::try_from(self.params.jury.quorum).unwrap_or(usize::MAX);
        let outcome = match hearing.outcome(quorum) {
            Some(outcome) => outcome,
            None => match self.look(storage, (key, &sample))? {
                Contest::NoSeats => hearing.outcome_without_second(),
                Contest::Waits { beacon } => {
                    self.left.entry(sample.window).or_insert((number, beacon));
                    return Ok(());
                }
                Contest::Jurors(jurors) => return self.contest(storage, key, &mut sample, jurors),
            },
        };
        self.purse.close(storage, &mut self.account, (&sample, &hearing, outcome))?;
        let closed = hearing.closed(outcome);
        self.close(storage, key, sample, closed)
    }

    fn look(&mut self, storage: &dyn Storage, of: (SampleKey, &Sample)) -> Result<Contest, ContractError> {
        let bench = match self.bench.take() {
            Some(bench) => bench,
            None => contest::bench(storage, self.batch)?,
        };
        let rules = (&self.tx.config.domain, self.params.jury.second_seats);
        let contest = contest::look(storage, rules, of, &bench);
        self.bench = Some(bench);
        contest
    }

    fn contest(
        &mut self,
        storage: &mut dyn Storage,
        key: SampleKey,
        sample: &mut Sample,
        jurors: Vec<NodeNumber>,
    ) -> Result<(), ContractError> {
        let seats = contest::seat(storage, &mut self.seating, (key, &mut *sample), jurors)?;
        SAMPLES.save(storage, (key.batch.0, key.draw), sample)?;
        let index = (self.seating.window().0, key.batch.0);
        let mut draws = CONTESTED.may_load(storage, index)?.unwrap_or_default();
        draws.push(key.draw);
        CONTESTED.save(storage, index, &draws)?;
        let drawn = (sample.window.0, key.batch.0);
        let open = CONTESTED_DRAWN.may_load(storage, drawn)?.unwrap_or(0);
        CONTESTED_DRAWN.save(storage, drawn, &open.saturating_add(1))?;
        self.events.push(contest::contested(key, self.batch, self.seating.window(), seats));
        Ok(())
    }

    fn close(
        &mut self,
        storage: &mut dyn Storage,
        key: SampleKey,
        mut sample: Sample,
        closed: Closed,
    ) -> Result<(), ContractError> {
        sample.closed = Some(closed);
        if let Some(second) = sample.second {
            judged(storage, (sample.window, second.window), key)?;
        }
        SAMPLES.save(storage, (key.batch.0, key.draw), &sample)?;
        count(&mut self.account.closed, &closed.outcome);
        self.closed = self.closed.saturating_add(1);
        self.events.push(Event::SampleClosed {
            batch: key.batch,
            draw: key.draw,
            executor: self.batch.executor.to_string(),
            outcome: closed.outcome.to_string(),
        });
        Ok(())
    }

    fn save(self, storage: &mut dyn Storage) -> Result<Response, ContractError> {
        let Self { batch, id, account, purse, seating, mut events, closed, .. } = self;
        seating.save(storage)?;
        let (held, told) = purse.save(storage)?;
        events.extend(told);
        POOLS.save(storage, &held)?;
        EPOCHS.save(storage, (&batch.executor, batch.epoch.0), &account)?;
        let mut batch = batch.clone();
        batch.closed = batch.closed.saturating_add(closed);
        BATCHES.save(storage, id.0, &batch)?;
        Ok(Response::new().add_events(events))
    }
}

fn count(tallies: &mut Tallies, outcome: &FinalOutcome) {
    let count = match outcome {
        FinalOutcome::Valid => &mut tallies.valid,
        FinalOutcome::Fail { .. } => &mut tallies.fail,
        FinalOutcome::Unavailable => &mut tallies.unavailable,
        FinalOutcome::Inconclusive { .. } => &mut tallies.inconclusive,
        FinalOutcome::Void => &mut tallies.void,
    };
    *count = count.saturating_add(1);
}

/// Takes a sample out of the list of those whose second level is under way, and out of their number.
fn judged(
    storage: &mut dyn Storage,
    (first, second): (Window, Window),
    key: SampleKey,
) -> Result<(), ContractError> {
    let drawn = (first.0, key.batch.0);
    match CONTESTED_DRAWN.may_load(storage, drawn)?.unwrap_or(0).saturating_sub(1) {
        0 => CONTESTED_DRAWN.remove(storage, drawn),
        open => CONTESTED_DRAWN.save(storage, drawn, &open)?,
    }
    let index = (second.0, key.batch.0);
    let mut draws = CONTESTED.may_load(storage, index)?.unwrap_or_default();
    draws.retain(|draw| *draw != key.draw);
    if draws.is_empty() {
        CONTESTED.remove(storage, index);
    } else {
        CONTESTED.save(storage, index, &draws)?;
    }
    Ok(())
}

/// Moves the index of what is due past this page, for each due window that has draws on it; whether it moved.
fn advance(
    storage: &mut dyn Storage,
    batch: &Batch,
    (id, from, to): (BatchId, u32, u32),
    (due, mut windows, left): (Option<Window>, Vec<Window>, Left),
) -> Result<bool, ContractError> {
    windows.sort_unstable();
    windows.dedup();
    let mut moved = false;
    for window in windows.into_iter().filter(|window| due.is_some_and(|due| *window <= due)) {
        let index = (window.0, id.0);
        let Some(first) = UNTALLIED.may_load(storage, index)?.filter(|first| (from..=to).contains(first))
        else {
            continue;
        };
        // Draws are of rising windows, so what comes after one of a later window is of a later one too.
        let goes_on = to < batch.drawn && load(storage, id, to)?.window <= window;
        match left.get(&window).map(|(number, _)| *number).or(goes_on.then_some(to)) {
            Some(next) => {
                moved |= next != first;
                UNTALLIED.save(storage, index, &next)?;
            }
            None => {
                moved = true;
                UNTALLIED.remove(storage, index);
            }
        }
    }
    Ok(moved)
}

/// The window whose beacon the next due sample of a batch waits for, if it is contested and the beacon is not posted.
///
/// # Errors
/// Storage cannot be read.
pub fn waits_for(
    storage: &dyn Storage,
    config: &Config,
    id: BatchId,
    from: u32,
) -> Result<Option<Window>, ContractError> {
    let batch = batch::load(storage, id)?;
    let sample = load(storage, id, from)?;
    let account = epoch::load(storage, &batch.executor, batch.epoch)?;
    let status = epoch::status(storage, (&batch.executor, batch.epoch), &account);
    if sample.closed.is_some() || status.voids_samples() {
        return Ok(None);
    }
    let tolerance = model::judging(storage, &batch)?.probe_tolerance;
    let params = config.params_of(storage, batch.epoch)?;
    let quorum = usize::try_from(params.jury.quorum).unwrap_or(usize::MAX);
    if Hearing::new(&sample, tolerance).outcome(quorum).is_some() {
        return Ok(None);
    }
    let key = SampleKey { batch: id, draw: from };
    let rules = (&config.domain, params.jury.second_seats);
    match contest::look(storage, rules, (key, &sample), &contest::bench(storage, &batch)?)? {
        Contest::Waits { beacon } => Ok(Some(beacon)),
        Contest::NoSeats | Contest::Jurors(_) => Ok(None),
    }
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
