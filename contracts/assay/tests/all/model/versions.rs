//! What governance changes from an epoch on, as one list.

use assay_common::ids::Epoch;

#[derive(Clone, Debug)]
pub struct Entry<T> {
    pub number: u32,
    pub from: Epoch,
    pub value: T,
}

/// Every version that is kept, in the order of their epochs.
#[derive(Clone, Debug)]
pub struct History<T> {
    entries: Vec<Entry<T>>,
    last: u32,
    /// How many of the entries lie before the one that was in force at the last change: these may be dropped.
    past: usize,
    first: T,
}

impl<T: Clone> History<T> {
    pub fn first(value: T) -> Self {
        let entries = vec![Entry { number: 1, from: Epoch(0), value: value.clone() }];
        Self { entries, last: 1, past: 0, first: value }
    }

    /// The first of all; for what never changes.
    pub fn first_value(&self) -> &T {
        &self.first
    }

    pub fn last_number(&self) -> u32 {
        self.last
    }

    pub fn of(&self, epoch: Epoch) -> Option<&Entry<T>> {
        self.entries.iter().rev().find(|entry| entry.from <= epoch)
    }

    pub fn pending(&self, now: Epoch) -> Option<&Entry<T>> {
        self.entries.last().filter(|entry| entry.from > now)
    }

    /// Adds a version in place of a pending one, and drops up to two that nothing before `needed` asks for.
    pub fn plan(&mut self, now: Epoch, from: Epoch, value: T, needed: Epoch) {
        self.entries.retain(|entry| entry.from <= now);
        self.past = self.entries.len() - 1;
        self.last += 1;
        self.entries.push(Entry { number: self.last, from, value });
        for _ in 0..2 {
            // A past version's last epoch is the one before the next version's first.
            if self.past > 0 && self.entries[1].from.0 - 1 < needed.0 {
                self.entries.remove(0);
                self.past -= 1;
            }
        }
    }

    pub fn cancel(&mut self, now: Epoch) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.from <= now);
        self.entries.len() < before
    }
}
