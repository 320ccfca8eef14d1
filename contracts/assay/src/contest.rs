//! The second level of a jury: more seats for a sample on which the first came to no unanimous Valid.
//!
//! They are drawn by the beacon of the first level's reveal window, which nobody knew when the first level spoke, out of
//! the same stake table. From then on they are seats like any others, of the window in which they were given.

use assay_common::digest::Domain;
use assay_common::draw;
use assay_common::event::Event;
use assay_common::ids::Window;
use assay_common::msg::SampleKey;
use cosmwasm_std::Storage;

use crate::error::ContractError;
use crate::seating::Seating;
use crate::state::{Batch, NodeNumber, Sample, SecondLevel, BEACONS};
use crate::table::{self, StakeTable};
use crate::verdicts::REVEAL_AFTER;

/// What a contested sample may do now.
pub enum Contest {
    /// Nobody eligible is left to ask.
    NoSeats,
    /// The beacon of this window, which draws the new seats, is not posted.
    Waits { beacon: Window },
    /// These nodes get new seats.
    Jurors(Vec<NodeNumber>),
}

/// The stake table of a batch, and where its executor stands in it.
pub struct Bench {
    pub table: StakeTable,
    pub executor: Option<usize>,
}

/// The window whose beacon draws the second level of a sample whose first level was drawn in `drawn`.
pub fn beacon(drawn: Window) -> Window {
    Window(drawn.0.saturating_add(REVEAL_AFTER))
}

/// Whether there are seats for a second level, of `most` seats with the first, and whether they can be drawn.
///
/// # Errors
/// Storage cannot be read.
pub fn look(
    storage: &dyn Storage,
    (domain, most): (&Domain, u32),
    (key, sample): (SampleKey, &Sample),
    bench: &Bench,
) -> Result<Contest, ContractError> {
    let seated = sample.seats.iter().filter_map(|seat| bench.table.place(seat.juror));
    let mut excluded: Vec<usize> = seated.chain(bench.executor).collect();
    excluded.sort_unstable();
    excluded.dedup();
    let taken = u32::try_from(sample.seats.len()).unwrap_or(u32::MAX);
    let wanted = most.saturating_sub(taken);
    if wanted == 0 || bench.table.0.len() <= excluded.len() {
        return Ok(Contest::NoSeats);
    }
    let beacon = beacon(sample.window);
    let Some(posted) = BEACONS.may_load(storage, beacon.0)? else {
        return Ok(Contest::Waits { beacon });
    };
    let seed = draw::second_seed(domain, key.batch, &posted.randomness);
    let cumulative = bench.table.cumulative();
    let places = draw::jury(&seed, sample.index, &cumulative, &excluded, wanted).into_iter();
    let jurors = places.filter_map(|place| bench.table.0.get(place)).map(|place| place.node);
    Ok(Contest::Jurors(jurors.collect()))
}

/// Gives the new seats.
///
/// # Errors
/// Storage cannot be read.
pub fn seat(
    storage: &dyn Storage,
    seating: &mut Seating,
    (key, sample): (SampleKey, &mut Sample),
    jurors: Vec<NodeNumber>,
) -> Result<u32, ContractError> {
    let first = u32::try_from(sample.seats.len()).unwrap_or(u32::MAX);
    for juror in jurors {
        sample.seats.push(seating.seat(storage, juror, key)?);
    }
    sample.second = Some(SecondLevel { window: seating.window(), first });
    Ok(u32::try_from(sample.seats.len()).unwrap_or(u32::MAX).saturating_sub(first))
}

/// The event that tells of it.
pub fn contested(key: SampleKey, batch: &Batch, window: Window, seats: u32) -> Event {
    Event::SampleContested {
        batch: key.batch,
        draw: key.draw,
        executor: batch.executor.to_string(),
        window,
        seats,
    }
}

/// # Errors
/// Storage cannot be read.
pub fn bench(storage: &dyn Storage, batch: &Batch) -> Result<Bench, ContractError> {
    let table = table::in_force(storage, &batch.model, batch.epoch)?;
    let executor = table.place(crate::node::load(storage, &batch.executor)?.number);
    Ok(Bench { table, executor })
}
