//! The end of a chain: with nobody left to act but those who do what is due, everything comes to its end.

use assay_common::msg::{DueResponse, DueSettle, DueTally, ExecuteMsg, SessionStatus};
use cosmwasm_std::Addr;

use super::chain::Chain;
use super::reach::OUTCOMES;
use crate::model::compare_all;

impl Chain {
    pub fn wind_down(&mut self) {
        if self.world.paused_until().is_some() {
            self.pause_or_not();
        }
        self.mend_the_beacon();
        for _ in 0..40 {
            self.next_window();
            self.crank();
        }
        let pools = self.world.pools();
        assert_eq!((pools.pending.u128(), pools.checks.u128()), (0, 0), "seed {}: {pools:?}", self.seed);
        self.count_outcomes();
        self.leave();
        let pools = self.world.pools();
        let held = pools.escrow + pools.refunds + pools.stakes + pools.claimable;
        assert!(held.is_zero(), "seed {}: {pools:?}", self.seed);
        self.forget_the_rules();
        for (what, count) in &self.world.met {
            *self.reach.ends.entry((*what).into()).or_default() += count;
        }
        let storage = self.suite.app.contract_storage(&self.suite.contract);
        compare_all(&self.world, &*storage);
    }

    /// Everything that the contract says is due; none of it may be refused.
    fn crank(&mut self) {
        let anyone = self.requesters[0].clone();
        loop {
            let DueResponse { beacons, draws, tallies, settlements, sweep } = self.suite.due();
            let mut msgs = Vec::new();
            for due in beacons {
                let (round, signature) = self.world.beacon(due.window).expect("it is kept");
                assert_eq!(round, due.round);
                if !self.world.is_lost(due.window) {
                    msgs.push(ExecuteMsg::PostBeacon { window: due.window, signature });
                }
            }
            msgs.extend(draws.into_iter().map(|batch| ExecuteMsg::Draw { batch, limit: 6 }));
            let tally = |DueTally { batch, from }| ExecuteMsg::Tally { batch, from, limit: 6 };
            msgs.extend(tallies.into_iter().map(tally));
            let is_done = msgs.is_empty() && settlements.is_empty() && !sweep;
            for msg in msgs {
                assert!(self.send(&anyone, msg.clone(), 0), "seed {}: {msg:?}", self.seed);
            }
            for DueSettle { executor, epoch } in settlements {
                assert!(self.settle(&anyone, executor, epoch, 4), "seed {}", self.seed);
            }
            if sweep {
                assert!(self.send(&anyone, ExecuteMsg::Sweep { limit: 50 }, 0), "seed {}", self.seed);
            }
            if is_done {
                return;
            }
        }
    }

    /// What the juries' samples came to.
    fn count_outcomes(&mut self) {
        let samples = self.world.batches.values().flat_map(|batch| &batch.samples);
        for (outcome, ..) in samples.filter_map(|sample| sample.closed) {
            let name = outcome.to_string();
            let counts = if OUTCOMES.contains(&name.as_str()) {
                &mut self.reach.outcomes
            } else {
                &mut self.reach.ends
            };
            *counts.entry(name).or_default() += 1;
        }
    }

    /// Everybody takes what is theirs: then the reserve alone holds money.
    fn leave(&mut self) {
        for _ in 0..2 {
            (0..12 * 4).for_each(|_| self.next_window());
            self.crank();
            let sessions: Vec<_> = self.world.sessions.iter().map(|(id, s)| (*id, s.clone())).collect();
            for (session, known) in sessions {
                let open = !known.swept && known.status != SessionStatus::Closed;
                if open && self.world.epoch() > known.closes {
                    let anyone = self.requesters[0].clone();
                    self.send(&anyone, ExecuteMsg::CloseSession { session }, 0);
                }
            }
            for (node, _) in self.nodes.clone() {
                let Some(known) = self.world.nodes.get(node.as_str()).cloned() else { continue };
                if !known.unbonding.is_empty() {
                    self.send(&node, ExecuteMsg::Withdraw {}, 0);
                }
                if known.stake > 0 {
                    self.send(&node, ExecuteMsg::Unbond { amount: known.stake.into() }, 0);
                }
            }
        }
        let nodes: Vec<Addr> = self.nodes.iter().map(|(node, _)| node.clone()).collect();
        for address in nodes.into_iter().chain(self.requesters.clone()) {
            if self.world.earned(address.as_str()) > 0 {
                assert!(self.send(&address, ExecuteMsg::Claim {}, 0), "seed {}", self.seed);
            }
        }
    }
}
