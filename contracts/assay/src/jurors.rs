//! What a Tally does to the jurors of its samples: pay, and a note of who attended.

use std::collections::BTreeMap;

use assay_common::attendance::{self, ATTENDED, MISSED};
use assay_common::event::Event;
use assay_common::evidence::Cusum;
use cosmwasm_std::{Storage, Uint128};

use crate::error::ContractError;
use crate::state::{NodeNumber, Seat, JURORS, NODES};
use crate::tx::Tx;
use crate::{node, pools};

/// The jurors of one message: each is read once and written once.
#[derive(Default)]
pub struct Jurors {
    records: BTreeMap<NodeNumber, Record>,
}

#[derive(Default)]
struct Record {
    earned: Uint128,
    /// For each seat, in the order of the samples, whether it was taken.
    attended: Vec<bool>,
}

impl Jurors {
    /// Adds to what a juror has earned; the pool is the caller's to move.
    ///
    /// # Errors
    /// More than u128 holds.
    pub fn pay(&mut self, juror: NodeNumber, amount: Uint128) -> Result<(), ContractError> {
        pools::add(&mut self.records.entry(juror).or_default().earned, amount)
    }

    /// Notes whether the seat was taken; an abstention is no miss.
    pub fn note(&mut self, seat: &Seat) {
        self.records.entry(seat.juror).or_default().attended.push(seat.verdict.is_some());
    }

    /// Stores the jurors; those that missed too many seats are off the juries from the next epoch on.
    ///
    /// # Errors
    /// Storage cannot be written.
    pub fn save(self, storage: &mut dyn Storage, tx: &Tx) -> Result<Vec<Event>, ContractError> {
        let scheme = attendance::scheme(&tx.config.params.jury);
        let mut events = Vec::new();
        for (number, record) in self.records {
            let mut juror = JURORS.may_load(storage, number.0)?.unwrap_or_default();
            pools::add(&mut juror.earned, record.earned)?;
            let mut benched = false;
            for attended in record.attended {
                let audit = if attended { ATTENDED } else { MISSED };
                juror.attendance = juror.attendance.after(&scheme, audit);
                if juror.attendance.forfeits(&scheme, audit) {
                    juror.attendance = Cusum::default();
                    benched = true;
                }
            }
            JURORS.save(storage, number.0, &juror)?;
            if benched {
                events.extend(bench(storage, tx, number)?);
            }
        }
        Ok(events)
    }
}

fn bench(storage: &mut dyn Storage, tx: &Tx, number: NodeNumber) -> Result<Option<Event>, ContractError> {
    let address = node::address(storage, number)?;
    let mut node = node::load(storage, &address)?;
    if node.benched {
        return Ok(None);
    }
    node.benched = true;
    NODES.save(storage, &address, &node)?;
    node::lower(storage, tx, &node)?;
    Ok(Some(Event::JurorBenched { juror: address.into_string(), from_epoch: tx.time.next_table() }))
}
