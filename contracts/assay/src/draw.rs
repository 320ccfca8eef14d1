//! Draw: the samples of a batch and their juries, out of the beacon.

use assay_common::draw;
use assay_common::event::Event;
use assay_common::ids::{BatchId, DrawSeed};
use assay_common::msg::SampleKey;
use cosmwasm_std::{Response, Storage};

use crate::error::ContractError;
use crate::seating::Seating;
use crate::state::{Batch, NodeNumber, Sample, BATCHES, BEACONS, EPOCHS, SAMPLES, UNDRAWN, UNTALLIED};
use crate::tx::Tx;
use crate::{batch, epoch, node, table};

/// Draws up to `limit` further samples of a batch, with juries by the stakes of the batch's epoch.
///
/// The window of the draw is that of this page. (The design lets jurors count from the last page; a window for each
/// page spares them the wait, and nobody can choose it to his advantage: the draw itself is fixed by the beacon.)
///
/// # Errors
/// The beacon of the batch's window is not posted, the batch is wholly drawn, or the limit is out of its bounds.
pub fn page(storage: &mut dyn Storage, tx: &Tx, id: BatchId, limit: u32) -> Result<Response, ContractError> {
    let window = tx.window()?;
    check_limit(limit, tx.config.params.limits.draw_page)?;
    let mut batch = batch::load(storage, id)?;
    if batch.drawn == batch.samples {
        return Err(ContractError::AlreadyDrawn { batch: id });
    }
    let beacon = BEACONS
        .may_load(storage, batch.window.0)?
        .ok_or(ContractError::BeaconMissing { batch: id, window: batch.window })?;
    let seed = draw::seed(&tx.config.domain, id, &beacon.randomness);
    let jury_of = jury(storage, &batch, &seed)?;

    let mut seating = Seating::new(window, tx.config.params.limits.verdict_page);
    let (from, to) = (batch.drawn, batch.drawn.saturating_add(limit).min(batch.samples));
    for number in from..to {
        let index = draw::index(&seed, batch.count, number);
        let key = SampleKey { batch: id, draw: number };
        let seats = jury_of(index);
        let seats = seats.into_iter().map(|juror| seating.seat(storage, juror, key));
        let seats = seats.collect::<Result<_, _>>()?;
        let sample = Sample { index, window, seats, second: None, closed: None };
        SAMPLES.save(storage, (id.0, number), &sample)?;
    }
    seating.save(storage)?;
    if !UNTALLIED.has(storage, (window.0, id.0)) {
        UNTALLIED.save(storage, (window.0, id.0), &from)?;
    }
    batch.drawn = to;
    let complete = to == batch.samples;
    if complete {
        UNDRAWN.remove(storage, (batch.window.0, id.0));
    }
    BATCHES.save(storage, id.0, &batch)?;
    let mut account = epoch::load(storage, &batch.executor, batch.epoch)?;
    account.sampled = account.sampled.saturating_add(to.saturating_sub(from));
    EPOCHS.save(storage, (&batch.executor, batch.epoch.0), &account)?;
    let executor = batch.executor.into_string();
    Ok(Response::new().add_event(Event::Drawn { batch: id, executor, window, from, to, complete }))
}

/// Who judges a leaf number.
fn jury<'a>(
    storage: &dyn Storage,
    batch: &Batch,
    seed: &'a DrawSeed,
) -> Result<impl Fn(u32) -> Vec<NodeNumber> + 'a, ContractError> {
    let table = table::in_force(storage, &batch.model, batch.epoch)?;
    let executor = table.place(node::load(storage, &batch.executor)?.number);
    let excluded: Vec<usize> = executor.into_iter().collect();
    let (cumulative, seats) = (table.cumulative(), batch.seats);
    Ok(move |index| {
        let places = draw::jury(seed, index, &cumulative, &excluded, seats).into_iter();
        places.filter_map(|place| table.0.get(place)).map(|place| place.node).collect()
    })
}

/// # Errors
/// The limit is not between 1 and `most`.
pub fn check_limit(limit: u32, most: u32) -> Result<(), ContractError> {
    if limit == 0 || limit > most {
        return Err(ContractError::BadLimit { limit, most });
    }
    Ok(())
}
