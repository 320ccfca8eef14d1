//! Sweep: what is removed, in which order.

use std::collections::BTreeSet;

use assay_common::ids::{BatchId, Epoch, SessionId};
use assay_common::msg::{SampleKey, SessionStatus};
use assay_common::params::Params;
use assay_contract::error::ContractError;
use assay_contract::packed;
use assay_contract::sweep::Item;

use super::{check_limit, Answer, Batch, Cx, Touched, World};

/// Items of one Sweep.
const MOST: u32 = 50;

impl World {
    pub fn schedule(&mut self, epoch: u64, item: Item) {
        let key = packed::to_bytes(&item).expect("an item has a form");
        self.agenda.insert((epoch, key), item);
    }

    pub fn unschedule(&mut self, epoch: u64, item: &Item) {
        let key = packed::to_bytes(item).expect("an item has a form");
        self.agenda.remove(&(epoch, key));
    }

    /// The first epoch in which what ended with `epoch` need not be readable any more.
    pub fn kept_until(&self, params: &Params, epoch: u64) -> u64 {
        epoch + u64::from(params.limits.kept_epochs) + 1
    }

    pub fn oldest_batch(&self) -> Option<(BatchId, &Batch)> {
        self.batches.iter().find(|(_, batch)| !batch.gone).map(|(id, batch)| (*id, batch))
    }

    pub fn sweep(&mut self, cx: &Cx, limit: u32) -> Answer {
        check_limit(limit, MOST)?;
        let mut left = limit;
        while let Some(id) = self.final_batch(cx).filter(|_| left > 0) {
            left -= self.sweep_batch(id, left);
        }
        if left > 0 && self.oldest_batch().is_some_and(|(_, batch)| self.is_done(cx, batch)) {
            self.meet("batch kept for its accusers");
        }
        let due = self.agenda.range(..(cx.epoch.0 + 1, Vec::new())).take(left as usize);
        let due: Vec<_> = due.map(|(key, item)| (key.clone(), item.clone())).collect();
        for (key, item) in due {
            self.agenda.remove(&key);
            left -= 1;
            if let Some(next) = self.look_at(cx, &item) {
                self.schedule(next, item);
            }
        }
        if left == limit {
            return Err(ContractError::NothingToSweep { epoch: cx.epoch });
        }
        Ok(())
    }

    fn final_batch(&self, cx: &Cx) -> Option<BatchId> {
        let (id, batch) = self.oldest_batch()?;
        // Pauses make the time for proofs longer, but not the epochs.
        let accusable = self.running() <= batch.accusable;
        (!accusable && self.is_done(cx, batch)).then_some(id)
    }

    /// Whether all is judged and settled, and was readable for long enough.
    fn is_done(&self, cx: &Cx, batch: &Batch) -> bool {
        let judged = batch.closed() == batch.planned;
        let settled = !self.is_unsettled(&batch.executor, batch.epoch);
        judged && settled && cx.epoch.0 >= self.kept_until(&cx.params, batch.epoch.0)
    }

    /// Removes samples, and with the last of them and room for one item more the batch; returns how many items.
    fn sweep_batch(&mut self, id: BatchId, room: u32) -> u32 {
        let batch = self.batches.get_mut(&id).expect("it is stored");
        let first = batch.swept;
        let last = batch.planned.min(first + room);
        let removed = batch.samples[first as usize..last as usize].to_vec();
        batch.swept = last;
        batch.gone = last - first < room;
        let gone = batch.gone;
        self.touched.insert(Touched::Batch(id));
        for sample in &removed {
            if self.untallied.remove(&(sample.window.0, id)).is_some() {
                self.meet("swept what tallies out of order had left");
            }
        }
        let mut emptied = BTreeSet::new();
        for (draw, sample) in (first..).zip(&removed) {
            for (place, seat) in sample.seats.iter().enumerate() {
                let key = (seat.juror, sample.given(place).0, seat.page);
                let page = self.assignments.get_mut(&key).expect("a seat is on a page");
                page.retain(|other| *other != SampleKey { batch: id, draw });
                if page.is_empty() {
                    emptied.insert(key);
                }
            }
        }
        for (juror, window, page) in emptied {
            self.assignments.remove(&(juror, window, page));
            self.commitments.remove(&(juror, window, page));
            self.seats.remove(&(juror, window));
        }
        last - first + u32::from(gone)
    }

    /// When to look at an item again, if it is not done with.
    fn look_at(&mut self, cx: &Cx, item: &Item) -> Option<u64> {
        let next = cx.epoch.0 + 1;
        match item {
            Item::Beacon(window) => {
                let mut of_window = self.batches.values().filter(|batch| batch.window == *window);
                if of_window.any(|batch| batch.drawn() < batch.planned) {
                    return Some(next);
                }
                self.beacons.remove(&window.0);
                None
            }
            Item::Session(id) => self.look_at_session(cx, *id),
            Item::Account { executor, epoch } => {
                let key = (executor.to_string(), epoch.0);
                let account = &self.accounts[&key];
                let owes = self.refund_left(account).0 > 0;
                if owes || account.batches.iter().any(|id| !self.batches[id].gone) {
                    return Some(next);
                }
                self.accounts.get_mut(&key).expect("it is there").swept = true;
                None
            }
            Item::FraudCommitment { epoch, accuser, hash } => {
                self.accusations.remove(&(epoch.0, accuser.to_string(), *hash));
                None
            }
            Item::Table { model, from, until } => {
                if self.oldest_batch().is_some_and(|(_, batch)| batch.epoch < *until) {
                    return Some(next);
                }
                self.tables.remove(&(*model, from.0));
                None
            }
        }
    }

    fn look_at_session(&mut self, cx: &Cx, id: SessionId) -> Option<u64> {
        let session = self.session(id).ok()?;
        let (closes, last) = (session.closes, self.kept_until(&cx.params, session.closes.0));
        if session.status == SessionStatus::Closed {
            // What is stored may be of this session, and its seeds follow from it.
            if self.oldest_batch().is_some_and(|(_, batch)| batch.epoch <= closes) {
                if cx.epoch.0 >= last {
                    self.meet("session kept for a batch");
                }
                return Some(last.max(cx.epoch.0 + 1));
            }
            if cx.epoch.0 < last {
                return Some(last);
            }
            self.sessions.get_mut(&id).expect("it is there").swept = true;
            self.touched.insert(Touched::Session(id));
            return None;
        }
        if cx.epoch <= closes {
            return Some(closes.0 + 1);
        }
        self.finish_session(id);
        Some(cx.epoch.0 + 1)
    }

    /// The epoch of the oldest batch that is stored, else of now.
    pub fn earliest_needed(&self, now: Epoch) -> Epoch {
        self.oldest_batch().map_or(now, |(_, batch)| batch.epoch)
    }
}
