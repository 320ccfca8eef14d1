//! Giving seats: each one gets its place on a page of its juror's verdicts, and the juror's list of samples grows by it.

use std::collections::BTreeMap;

use assay_common::ids::Window;
use assay_common::msg::SampleKey;
use cosmwasm_std::Storage;

use crate::error::ContractError;
use crate::state::{NodeNumber, Seat, ASSIGNMENTS, SEATS};

/// The seats that one message gives, all in one window; what it touches is read once and written once.
pub struct Seating {
    window: Window,
    /// Seats on a page of verdicts.
    page_size: u32,
    taken: BTreeMap<NodeNumber, u32>,
    pages: BTreeMap<(NodeNumber, u32), Vec<SampleKey>>,
}

impl Seating {
    pub fn new(window: Window, page_size: u32) -> Self {
        Self { window, page_size, taken: BTreeMap::new(), pages: BTreeMap::new() }
    }

    pub fn window(&self) -> Window {
        self.window
    }

    /// Gives the juror its next seat of this window.
    ///
    /// # Errors
    /// Storage cannot be read.
    pub fn seat(
        &mut self,
        storage: &dyn Storage,
        juror: NodeNumber,
        sample: SampleKey,
    ) -> Result<Seat, ContractError> {
        let window = self.window.0;
        let taken = match self.taken.get(&juror) {
            Some(taken) => *taken,
            None => SEATS.may_load(storage, (juror.0, window))?.unwrap_or(0),
        };
        self.taken.insert(juror, taken.saturating_add(1));
        let page = taken.checked_div(self.page_size).unwrap_or(0);
        let samples = match self.pages.entry((juror, page)) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(ASSIGNMENTS.may_load(storage, ((juror.0, window), page))?.unwrap_or_default())
            }
        };
        samples.push(sample);
        Ok(Seat { juror, page, verdict: None })
    }

    /// # Errors
    /// Storage cannot be written.
    pub fn save(self, storage: &mut dyn Storage) -> Result<(), ContractError> {
        for (juror, taken) in &self.taken {
            SEATS.save(storage, (juror.0, self.window.0), taken)?;
        }
        for ((juror, page), samples) in &self.pages {
            ASSIGNMENTS.save(storage, ((juror.0, self.window.0), *page), samples)?;
        }
        Ok(())
    }
}
