//! Draw: the samples of a batch and their juries, out of the beacon.

use std::collections::BTreeMap;

use assay_common::draw;
use assay_common::event::Event;
use assay_common::ids::BatchId;
use cosmwasm_std::{Addr, Response, Storage};

use crate::error::ContractError;
use crate::state::{
    Batch, Sample, Seat, ASSIGNMENTS, BATCHES, BEACONS, EPOCHS, SAMPLES, SEATS, UNDRAWN, UNTALLIED,
};
use crate::table::StakeTable;
use crate::tx::Tx;
use crate::{batch, epoch, table};

/// Draws up to `limit` further samples of a batch, with juries by the stakes of the batch's epoch.
///
/// The window of the draw is that of this page. (The design lets jurors count from the last page; a window for each
/// page spares them the wait, and nobody can choose it to his advantage: the draw itself is fixed by the beacon.)
///
/// # Errors
/// The batch's beacon round is not posted, the batch is wholly drawn, or the limit is out of its bounds.
pub fn page(storage: &mut dyn Storage, tx: &Tx, id: BatchId, limit: u32) -> Result<Response, ContractError> {
    let window = tx.window()?;
    check_limit(limit, tx.config.params.limits.draw_page)?;
    let mut batch = batch::load(storage, id)?;
    if batch.drawn == batch.samples {
        return Err(ContractError::AlreadyDrawn { batch: id });
    }
    let randomness = BEACONS
        .may_load(storage, batch.round.0)?
        .ok_or(ContractError::BeaconMissing { batch: id, round: batch.round })?;
    let seed = draw::seed(&tx.config.domain, id, &randomness);
    let table = table::in_force(storage, &batch.model, batch.epoch)?;
    let jury_of = jury(&batch, &table, &seed);

    let mut seats: BTreeMap<Addr, u32> = BTreeMap::new();
    let (from, to) = (batch.drawn, batch.drawn.saturating_add(limit).min(batch.samples));
    for number in from..to {
        let index = draw::index(&seed, batch.count, number);
        let sample = Sample { index, window, seats: jury_of(index), outcome: None };
        for seat in &sample.seats {
            let taken = match seats.get(&seat.juror) {
                Some(taken) => *taken,
                None => SEATS.may_load(storage, (&seat.juror, window.0))?.unwrap_or(0),
            };
            ASSIGNMENTS.save(storage, ((&seat.juror, window.0), (id.0, number)), &taken)?;
            seats.insert(seat.juror.clone(), taken.saturating_add(1));
        }
        SAMPLES.save(storage, (id.0, number), &sample)?;
    }
    for (juror, taken) in &seats {
        SEATS.save(storage, (juror, window.0), taken)?;
    }
    if batch.first_open == from {
        UNTALLIED.save(storage, (window.0, id.0), &from)?;
    }
    batch.drawn = to;
    let complete = to == batch.samples;
    if complete {
        UNDRAWN.remove(storage, (batch.round.0, id.0));
    }
    BATCHES.save(storage, id.0, &batch)?;
    let mut account = epoch::load(storage, &batch.executor, batch.epoch)?;
    account.sampled = account.sampled.saturating_add(to.saturating_sub(from));
    EPOCHS.save(storage, (&batch.executor, batch.epoch.0), &account)?;
    let executor = batch.executor.into_string();
    Ok(Response::new().add_event(Event::Drawn { batch: id, executor, window, from, to, complete }))
}

/// The seats of the jury for a leaf number.
fn jury<'a>(
    batch: &Batch,
    table: &'a StakeTable,
    seed: &'a assay_common::ids::DrawSeed,
) -> impl Fn(u32) -> Vec<Seat> + 'a {
    let cumulative: Vec<u128> = table.cumulative.iter().map(|sum| sum.u128()).collect();
    let (executor, seats) = (table.place(&batch.executor), batch.seats);
    move |index| {
        draw::jury(seed, index, &cumulative, executor, seats)
            .into_iter()
            .filter_map(|place| table.nodes.get(place))
            .map(|juror| Seat { juror: juror.clone(), verdict: None })
            .collect()
    }
}

/// # Errors
/// The limit is not between 1 and `most`.
pub fn check_limit(limit: u32, most: u32) -> Result<(), ContractError> {
    if limit == 0 || limit > most {
        return Err(ContractError::BadLimit { limit, most });
    }
    Ok(())
}
