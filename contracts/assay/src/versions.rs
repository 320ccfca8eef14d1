//! What governance changes from an epoch on.
//!
//! What holds in an epoch is a pure function of the stored versions, so whatever keeps the epoch in which it was opened is
//! pinned to the version of that epoch: a version never changes, and none begins in an epoch that has begun.

use assay_common::ids::Epoch;
use cosmwasm_schema::cw_serde;

/// Past versions that one accepted change drops: it adds one at most, so they do not pile up.
pub const MAX_DROPPED: usize = 2;

#[cw_serde]
pub struct Version<T> {
    /// Counts the accepted changes, from 1.
    pub number: u32,
    /// The first epoch in which it holds.
    pub from: Epoch,
    pub value: T,
}

/// The latest versions: the earlier ones are kept elsewhere, under their last epochs.
#[cw_serde]
pub struct Versions<T> {
    pub current: Version<T>,
    /// In force from its epoch on, without anybody having to say so.
    pub next: Option<Version<T>>,
    /// The last number that was given.
    pub last: u32,
}

impl<T> Versions<T> {
    /// Version 1, from epoch 0 on.
    pub fn first(value: T) -> Self {
        Self { current: Version { number: 1, from: Epoch(0), value }, next: None, last: 1 }
    }

    /// What holds in an epoch, unless it is earlier than these versions.
    pub fn of(&self, epoch: Epoch) -> Option<&Version<T>> {
        self.next.iter().chain([&self.current]).find(|version| version.from <= epoch)
    }

    /// The change that has not come into force in epoch `now`.
    pub fn pending(&self, now: Epoch) -> Option<&Version<T>> {
        self.next.as_ref().filter(|next| next.from > now)
    }

    /// Plans a change in place of a pending one; returns the version that has no place here any more, under its last epoch.
    pub fn plan(&mut self, now: Epoch, from: Epoch, value: T) -> Option<(Epoch, Version<T>)> {
        let in_force = self.next.take().filter(|next| next.from <= now);
        let past = in_force.map(|version| {
            let last = Epoch(version.from.0.saturating_sub(1));
            (last, std::mem::replace(&mut self.current, version))
        });
        self.last = self.last.saturating_add(1);
        self.next = Some(Version { number: self.last, from, value });
        past
    }

    /// Takes back the pending change.
    pub fn cancel(&mut self, now: Epoch) -> Option<Version<T>> {
        self.next.take_if(|next| next.from > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(versions: &Versions<char>, epoch: u64) -> Option<char> {
        versions.of(Epoch(epoch)).map(|version| version.value)
    }

    #[test]
    fn a_change_holds_from_its_epoch_on_and_pushes_out_the_one_before_the_last() {
        let mut versions = Versions::first('a');
        assert_eq!(versions.plan(Epoch(3), Epoch(5), 'b'), None);
        assert_eq!([0, 4, 5, 9].map(|epoch| value(&versions, epoch)), ['a', 'a', 'b', 'b'].map(Some));
        let past = versions.plan(Epoch(5), Epoch(8), 'c');
        assert_eq!(past, Some((Epoch(4), Version { number: 1, from: Epoch(0), value: 'a' })));
        assert_eq!(
            [4, 5, 7, 8].map(|epoch| value(&versions, epoch)),
            [None, Some('b'), Some('b'), Some('c')]
        );
    }

    #[test]
    fn only_what_is_pending_is_cancelled_or_replaced_and_no_number_is_given_twice() {
        let mut versions = Versions::first('a');
        versions.plan(Epoch(0), Epoch(2), 'b');
        assert_eq!(versions.cancel(Epoch(1)).map(|version| version.number), Some(2));
        assert_eq!(versions.plan(Epoch(1), Epoch(2), 'c'), None);
        assert_eq!(versions.plan(Epoch(1), Epoch(3), 'd'), None);
        assert_eq!(versions.pending(Epoch(2)).map(|version| version.number), Some(4));
        assert_eq!(versions.cancel(Epoch(3)), None);
        assert_eq!([2, 3].map(|epoch| value(&versions, epoch)), ['a', 'd'].map(Some));
    }
}
