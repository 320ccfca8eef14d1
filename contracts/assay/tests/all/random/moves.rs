//! What happens next on a chain: the work that is due mostly, what people do besides, and mistakes.

use assay_common::ids::{BatchId, Epoch, Window};
use assay_common::msg::ExecuteMsg;
use cosmwasm_std::Addr;

use super::chain::Chain;
use crate::model::PageKey;

/// Work that waits for somebody to do it.
enum Work {
    Beacon(Window),
    Draw(BatchId),
    Commit(PageKey),
    Reveal(PageKey),
    Tally(BatchId, u32),
    Settle(String, Epoch),
}

impl Chain {
    /// One message, or a step of time.
    pub fn step(&mut self) {
        if self.dice.percent(40) {
            let seconds = self.dice.below(90);
            self.tick(seconds);
        }
        let work = self.work();
        // A window goes on until little is left to do in it.
        let rest = work.len() as u64;
        if self.dice.below(1_000) < if rest > 0 { 4 } else { 250 } {
            return self.next_window();
        }
        match self.dice.below(100) {
            0..=64 => match usize::try_from(self.dice.below(rest.max(1))).ok().filter(|_| rest > 0) {
                Some(at) => self.do_work(work.into_iter().nth(at)),
                None => self.deed(),
            },
            65..=87 => self.deed(),
            _ => self.fault(),
        }
    }

    /// Everything that is due, but for what is neglected for a while.
    fn work(&self) -> Vec<Work> {
        let mut work: Vec<Work> = self.missing_beacons().into_iter().map(Work::Beacon).collect();
        let batches = self.world.batches.iter().filter(|(_, batch)| !batch.gone);
        work.extend(batches.filter_map(|(id, batch)| {
            let known = self.world.beacons.contains_key(&batch.window.0);
            (known && batch.drawn() < batch.planned).then_some(Work::Draw(*id))
        }));
        work.extend(self.uncommitted().into_iter().map(Work::Commit));
        work.extend(self.unrevealed().into_iter().map(Work::Reveal));
        work.extend(self.due_tallies().into_iter().map(|(id, from)| Work::Tally(id, from)));
        work.extend(self.due_settlements().into_iter().map(|(who, epoch)| Work::Settle(who, epoch)));
        work
    }

    /// Windows that are over and whose beacon draws something.
    fn missing_beacons(&self) -> Vec<Window> {
        let now = self.window();
        let mut windows: Vec<Window> = Vec::new();
        for batch in self.world.batches.values().filter(|batch| !batch.gone) {
            if batch.drawn() < batch.planned {
                windows.push(batch.window);
            }
            let open = batch.samples.iter().filter(|sample| sample.closed.is_none());
            let contested = open.filter(|sample| sample.second.is_none() && sample.window.0 + 3 <= now);
            windows.extend(contested.map(|sample| Window(sample.window.0 + 2)));
        }
        windows.retain(|window| window.0 < now && !self.world.beacons.contains_key(&window.0));
        windows.retain(|window| !self.world.is_lost(*window));
        windows.sort_unstable();
        windows.dedup();
        windows
    }

    /// Some batches are left alone for two epochs out of four.
    fn due_tallies(&self) -> Vec<(BatchId, u32)> {
        let now = self.window();
        let neglects = |id: &BatchId| id.0.is_multiple_of(13) && self.world.epoch().0 % 4 < 2;
        let mut due = Vec::new();
        for (id, batch) in self.world.batches.iter().filter(|(id, batch)| !batch.gone && !neglects(id)) {
            let open = (0u32..).zip(&batch.samples).filter(|(_, sample)| sample.closed.is_none());
            let ready = open.filter(|(_, sample)| {
                let beacon = Window(sample.window.0 + 2);
                sample.latest().0 + 3 <= now
                    && (sample.second.is_some() || self.world.beacons.contains_key(&beacon.0))
            });
            due.extend(ready.map(|(draw, _)| (*id, draw)).next());
        }
        due
    }

    /// One executor after the other is settled late.
    fn due_settlements(&self) -> Vec<(String, Epoch)> {
        let now = self.world.epoch();
        if self.world.paused_until().is_some() {
            return Vec::new();
        }
        let mut due = Vec::new();
        for ((executor, epoch), account) in &self.world.accounts {
            let number = u64::from(self.world.nodes[executor].number);
            let neglected = number == (now.0 / 5) % 9 && now.0 - epoch < 5;
            let earlier = account.previous.is_some_and(|before| self.world.is_unsettled(executor, before));
            if *epoch >= now.0 || account.status.is_settled() || neglected || earlier {
                continue;
            }
            let samples = account.batches.iter().flat_map(|id| &self.world.batches[id].samples);
            let planned: u32 = account.batches.iter().map(|id| self.world.batches[id].planned).sum();
            let next = samples.clone().nth(account.folded as usize);
            let closed = samples.filter(|sample| sample.closed.is_some()).count();
            if closed as u32 == planned || next.is_some_and(|sample| sample.closed.is_some()) {
                due.push((executor.clone(), Epoch(*epoch)));
            }
        }
        due
    }

    fn do_work(&mut self, work: Option<Work>) {
        let anyone = self.anyone();
        match work {
            None => {}
            Some(Work::Beacon(window)) => self.post_beacon(&anyone, window),
            Some(Work::Draw(batch)) => {
                let limit = u32::try_from(self.dice.between(1, 6)).expect("small");
                self.send(&anyone, ExecuteMsg::Draw { batch, limit }, 0);
            }
            Some(Work::Commit(key)) => self.commit_page(key),
            Some(Work::Reveal(key)) => self.reveal_page(key),
            Some(Work::Tally(batch, from)) => {
                // Nobody has to begin at the first.
                let from = if self.dice.percent(20) { from + 1 } else { from };
                let limit = u32::try_from(self.dice.between(1, 6)).expect("small");
                self.send(&anyone, ExecuteMsg::Tally { batch, from, limit }, 0);
            }
            Some(Work::Settle(executor, epoch)) => {
                let most = self.world.in_force().limits.settle_page;
                let limit = u32::try_from(self.dice.between(1, most.into())).expect("small");
                self.settle(&anyone, executor, epoch, limit);
            }
        }
    }

    pub fn post_beacon(&mut self, sender: &Addr, window: Window) {
        // Of a window whose parameters are gone nobody knows the round; any signature is refused alike.
        let signed = self.world.beacon(window).ok().filter(|_| !self.world.is_lost(window));
        let signature = signed.map(|(_, signature)| signature).unwrap_or_default();
        self.send(sender, ExecuteMsg::PostBeacon { window, signature }, 0);
    }

    /// Whether it was accepted.
    pub fn settle(&mut self, sender: &Addr, executor: String, epoch: Epoch, limit: u32) -> bool {
        let msg = ExecuteMsg::Settle { executor: executor.clone(), epoch, limit };
        if !self.send(sender, msg, 0) {
            return false;
        }
        let account = &self.world.accounts[&(executor, epoch.0)];
        let end = match account.status {
            assay_common::msg::EpochStatus::Paid => "paid",
            assay_common::msg::EpochStatus::Forfeited if account.accusation.is_some() => {
                "forfeited by a proof"
            }
            assay_common::msg::EpochStatus::Forfeited if account.slashed == 0 => {
                "forfeited by a jury that may not slash"
            }
            assay_common::msg::EpochStatus::Forfeited => "forfeited by a jury",
            _ => return true,
        };
        *self.reach.ends.entry(end.into()).or_default() += 1;
        true
    }

    /// What nobody waits for.
    fn deed(&mut self) {
        match self.dice.below(100) {
            0..=15 => self.commit_batch(),
            16..=22 => {
                let Some(executor) = self.some_node() else { return };
                self.open_session_with(&executor);
            }
            23..=26 => self.top_up(),
            27..=33 => self.close_session(),
            34..=38 => self.claim_something(),
            39..=44 => self.sweep(),
            45..=50 => self.accuse(),
            51..=61 => self.show_proof(),
            62..=65 => self.register_somebody(),
            66..=70 => self.update_somebody(),
            71..=75 => self.unbond_something(),
            76..=82 => self.withdraw_something(),
            83 | 84 => self.calibrate(),
            85 => self.set_guardians(),
            86..=89 => self.update_params(),
            90 => self.cancel_params(),
            91..=95 => self.pause_or_not(),
            96 | 97 => {
                self.make_model();
            }
            _ => self.deprecate_a_model(),
        }
    }

    fn sweep(&mut self) {
        let (anyone, limit) = (self.anyone(), u32::try_from(self.dice.between(1, 12)).expect("small"));
        self.send(&anyone, ExecuteMsg::Sweep { limit }, 0);
    }
}
