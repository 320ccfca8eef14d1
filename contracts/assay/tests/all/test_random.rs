//! Invariant 6: escrow + pending + pools + stakes + slashes + refunds + burned is conserved to the last unit, whatever
//! the order of messages. The suite checks it after each of them; proptest prints the seed of a run that fails.

use assay_common::ids::{BatchId, Epoch, SessionId};
use assay_common::msg::{
    BatchResponse, DueBeacon, EpochResponse, EpochStatus, ExecuteMsg, NodeResponse, QueryMsg,
    SessionResponse, SessionStatus,
};
use assay_common::verdict::{AbstainReason, Outcome, UnavailableReason, VerdictPage};
use cosmwasm_std::Addr;
use proptest::prelude::*;

use crate::suite::*;

/// What anybody might do next; numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Wait {
        windows: u64,
    },
    Open {
        node: usize,
        fees: u128,
    },
    Commit {
        session: u64,
        more: u64,
        funds: u128,
    },
    Beacon {
        ago: u64,
    },
    Draw {
        batch: u64,
        limit: u32,
    },
    /// Every juror commits, but the one of this number in this mood.
    Judge {
        node: usize,
        mood: usize,
    },
    /// Every page so far is shown, but one.
    Reveal {
        but: usize,
    },
    Tally {
        batch: u64,
        from: u32,
        limit: u32,
    },
    Settle {
        node: usize,
        ago: u64,
        limit: u32,
    },
    Claim {
        node: usize,
    },
    TopUp {
        session: u64,
        funds: u128,
    },
    Close {
        session: u64,
    },
    /// Unbond, Withdraw, UpdateNode or RegisterNode, with hundredths of the least stake.
    Stake {
        node: usize,
        part: u128,
        how: usize,
    },
    /// Governance changes something in flight.
    Govern {
        what: usize,
        ahead: u64,
    },
    Due,
}

/// Changes that a sound set of parameters allows, of what batches and epochs in flight must not feel.
const PATCHES: [&str; 6] = [
    r#"{"jury": {"quorum": 3}}"#,
    r#"{"jury": {"seats": 2, "quorum": 2, "min_others_to_commit": 2}}"#,
    r#"{"jury": {"seats": 3, "min_others_to_commit": 3}, "fees": {"verdict_ppm": 31313, "reserve_ppm": 0}}"#,
    r#"{"fees": {"slash_ppm": 1000000}, "evidence": {"false_forfeit_one_in": "1000000"}}"#,
    r#"{"limits": {"verdict_page": 1}}"#,
    r#"{"limits": {"verdict_page": 7}, "reputation": {"base_rate_ppm": 500000}}"#,
];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop_oneof![8 => Just(1u64), 1 => 2u64..8].prop_map(|windows| Step::Wait { windows }),
        1 => (0usize..5, 0u128..40).prop_map(|(node, fees)| Step::Open { node, fees }),
        4 => (1u64..12, 0u64..15, prop_oneof![9 => Just(0u128), 1 => 0u128..3_000])
            .prop_map(|(session, more, funds)| Step::Commit { session, more, funds }),
        2 => (0u64..5).prop_map(|ago| Step::Beacon { ago }),
        3 => (1u64..12, 1u32..20).prop_map(|(batch, limit)| Step::Draw { batch, limit }),
        5 => (0usize..5, 0usize..5).prop_map(|(node, mood)| Step::Judge { node, mood }),
        5 => (0usize..40).prop_map(|but| Step::Reveal { but }),
        3 => (1u64..12, 0u32..14, 1u32..20).prop_map(|(batch, from, limit)| Step::Tally { batch, from, limit }),
        2 => (0usize..5, 0u64..3, 1u32..40).prop_map(|(node, ago, limit)| Step::Settle { node, ago, limit }),
        1 => (0usize..5).prop_map(|node| Step::Claim { node }),
        1 => (1u64..12, 0u128..9_000).prop_map(|(session, funds)| Step::TopUp { session, funds }),
        1 => (1u64..12).prop_map(|session| Step::Close { session }),
        6 => (0usize..5, prop_oneof![Just(7u128), Just(100), Just(200), 0u128..300], 0usize..4)
            .prop_map(|(node, part, how)| Step::Stake { node, part, how }),
        2 => (0usize..9, 0u64..3).prop_map(|(what, ahead)| Step::Govern { what, ahead }),
        6 => Just(Step::Due),
    ]
}

/// A world in which the steps are taken, and what its jurors still have to reveal.
struct World {
    suite: Suite,
    window: u64,
    unrevealed: Vec<(Addr, VerdictPage)>,
    accepted: usize,
}

impl World {
    fn new() -> Self {
        // A low bound and low pay, so that forfeits, short check pools and odd units all happen.
        let suite = Suite::builder()
            .nodes(5)
            .params(|p| {
                p.evidence.audits = 1u64.into();
                p.evidence.false_forfeit_one_in = 1_000u64.into();
                p.fees.slash_ppm = 133_333;
                p.fees.reserve_ppm = 12_347;
                p.limits.unbonding_seconds = 130;
                p.limits.kept_epochs = 3;
                p.fraud.window_seconds = 120;
            })
            .build();
        let mut world = Self { suite, window: 0, unrevealed: Vec::new(), accepted: 0 };
        for node in 0..5 {
            world.open(node, 37);
        }
        world
    }

    fn node(&self, number: usize) -> Addr {
        self.suite.nodes[number].clone()
    }

    fn send(&mut self, sender: &Addr, msg: &ExecuteMsg, funds: u128) {
        let taken = self.suite.send(sender, msg, funds).is_ok();
        self.accepted += usize::from(taken);
    }

    fn open(&mut self, node: usize, fees: u128) {
        let mut msg = self.suite.opening(&self.node(node));
        if let ExecuteMsg::OpenSession { fee, .. } = &mut msg {
            *fee = if fees % 7 == 3 { 150u128.into() } else { (FEE + fees).into() };
        }
        let requester = self.suite.requester.clone();
        self.send(&requester, &msg, fees * FEE);
    }

    fn take(&mut self, step: Step) {
        let anyone = self.suite.requester.clone();
        match step {
            Step::Wait { windows } => {
                self.window += windows;
                self.suite.at_window(self.window);
            }
            Step::Open { node, fees } => self.open(node, fees),
            Step::Commit { session, more, funds } => self.commit(SessionId(session), more, funds),
            Step::Beacon { ago } => {
                let msg = self.suite.posting(self.window.saturating_sub(ago));
                self.send(&anyone, &msg, 0);
            }
            Step::Draw { batch, limit } => {
                self.send(&anyone, &ExecuteMsg::Draw { batch: BatchId(batch), limit }, 0);
            }
            Step::Judge { node, mood } => self.judge(node, mood),
            Step::Reveal { but } => {
                for (place, (juror, page)) in self.unrevealed.clone().into_iter().enumerate() {
                    if place != but {
                        self.send(&juror, &revealing(&juror, page), 0);
                    }
                }
                self.unrevealed.retain(|(_, page)| page.window.0 + 2 >= self.window);
            }
            Step::Tally { batch, from, limit } => {
                self.send(&anyone, &ExecuteMsg::Tally { batch: BatchId(batch), from, limit }, 0);
            }
            Step::Settle { node, ago, limit } => {
                let executor = self.node(node);
                let epoch = (self.window / 6).saturating_sub(ago);
                self.send(&anyone, &settling(&executor, epoch, limit), 0);
            }
            Step::Claim { node } => {
                let node = self.node(node);
                self.send(&node, &ExecuteMsg::Claim {}, 0);
            }
            Step::Due => self.cranks(),
            Step::Govern { what, ahead } => self.govern(what, ahead),
            Step::TopUp { session, funds } => {
                self.send(&anyone, &ExecuteMsg::TopUp { session: SessionId(session) }, funds);
            }
            Step::Close { session } => {
                self.send(&anyone, &ExecuteMsg::CloseSession { session: SessionId(session) }, 0);
            }
            Step::Stake { node, part, how } => self.stake(&self.node(node), part * MIN_STAKE / 100, how),
        }
    }

    fn stake(&mut self, node: &Addr, amount: u128, how: usize) {
        let msg = match how {
            0 => ExecuteMsg::Unbond { amount: amount.into() },
            1 => ExecuteMsg::Withdraw {},
            2 => ExecuteMsg::UpdateNode { models: None, endpoint: None },
            _ => self.suite.registration(),
        };
        self.send(node, &msg, if how > 1 { amount } else { 0 });
    }

    /// Of every stake the pool holds what is bonded and what is unbonding, and nothing else.
    fn check_stakes(&self) {
        let nodes: Vec<NodeResponse> =
            self.suite.collect(|start_after| QueryMsg::Nodes { start_after, limit: Some(100) });
        let unbonding = nodes.iter().flat_map(|node| &node.unbonding).map(|part| part.amount.u128());
        let held = nodes.iter().map(|node| node.stake.u128()).chain(unbonding).sum::<u128>();
        assert_eq!(held, self.suite.pools().stakes.u128());
    }

    fn govern(&mut self, what: usize, ahead: u64) {
        let msg = match PATCHES.get(what) {
            Some(json) => ExecuteMsg::UpdateParams {
                patch: serde_json::from_str(json).unwrap(),
                epoch: Epoch(self.window / 6 + ahead),
            },
            None if what.is_multiple_of(3) => ExecuteMsg::Pause {},
            None if what % 3 == 1 => ExecuteMsg::Unpause {},
            None => ExecuteMsg::CancelParams {},
        };
        let governance = self.suite.governance.clone();
        self.send(&governance, &msg, 0);
    }

    fn commit(&mut self, session: SessionId, more: u64, funds: u128) {
        let Ok(found) = self.suite.try_query::<SessionResponse>(&QueryMsg::Session { session }) else {
            return;
        };
        let executor = self.suite.nodes.iter().find(|node| node.as_str() == found.executor).unwrap().clone();
        let msg = self.suite.committing(vec![self.suite.claim(session, found.nonce.0 + more)]);
        self.send(&executor, &msg, funds);
    }

    /// Node 4 cheats, and all jurors but the moody one see it.
    fn judge(&mut self, moody: usize, mood: usize) {
        let cheat = self.suite.nodes[4].to_string();
        for (place, juror) in self.suite.nodes.clone().into_iter().enumerate() {
            let mood = if place == moody { mood } else { usize::MAX };
            for window in [self.window, self.window.saturating_sub(1)] {
                let suite = &self.suite;
                let by_cheat =
                    |batch| suite.query::<BatchResponse>(&QueryMsg::Batch { batch }).executor == cheat;
                let pages = suite.pages(&juror, window, &|sample, _| match mood {
                    0 => None,
                    1 => Some(Outcome::Inconclusive { reason: AbstainReason::Recompute }),
                    2 => Some(Outcome::Unavailable { reason: UnavailableReason::Absent }),
                    _ => Some(if by_cheat(sample.batch) { REPLAY } else { VALID }),
                });
                for page in pages {
                    let msg = self.suite.committing_page(&juror, &page);
                    self.send(&juror, &msg, 0);
                    self.unrevealed.push((juror.clone(), page));
                }
            }
        }
    }

    /// Everything that is due; none of it may be refused.
    fn cranks(&mut self) {
        let anyone = self.suite.requester.clone();
        let due = self.suite.due();
        for DueBeacon { window, round } in due.beacons {
            let signature = self.suite.beacon.sign(round);
            self.suite.accepted(&anyone, &ExecuteMsg::PostBeacon { window, signature }, 0);
        }
        for batch in due.draws {
            self.suite.accepted(&anyone, &ExecuteMsg::Draw { batch, limit: 5 }, 0);
        }
        for tally in due.tallies {
            let msg = ExecuteMsg::Tally { batch: tally.batch, from: tally.from, limit: 5 };
            self.suite.accepted(&anyone, &msg, 0);
        }
        for settle in due.settlements {
            let msg = ExecuteMsg::Settle { executor: settle.executor, epoch: settle.epoch, limit: 5 };
            self.suite.accepted(&anyone, &msg, 0);
        }
        if due.sweep {
            self.suite.accepted(&anyone, &ExecuteMsg::Sweep { limit: 9 }, 0);
        }
    }

    /// With nobody left to act but the cranks, everything comes to its end and only known purposes hold money.
    fn wind_down(&mut self) {
        self.govern(7, 0); // payouts are open again
        for _ in 0..200 {
            self.window += 1;
            self.suite.at_window(self.window);
            self.cranks();
        }
        let pools = self.suite.pools();
        assert_eq!((pools.pending.u128(), pools.checks.u128()), (0, 0), "{pools:?}");
        for node in self.suite.nodes.clone() {
            for epoch in 0..=self.window / 6 {
                let msg = QueryMsg::Epoch { executor: node.to_string(), epoch: Epoch(epoch) };
                if let Ok(found) = self.suite.try_query::<EpochResponse>(&msg) {
                    assert_ne!(found.status, EpochStatus::Open);
                }
            }
        }
        let sessions: Vec<SessionResponse> =
            self.suite.collect(|start_after| QueryMsg::Sessions { start_after, limit: Some(100) });
        let owed: u128 = sessions.iter().map(|session| session.escrow.u128()).sum();
        let left = pools.escrow.u128() + pools.refunds.u128();
        // Each session's share is rounded down until the last one takes the rest.
        assert!(owed <= left && left - owed <= sessions.len() as u128, "{owed} of {left}");
        self.leave(&sessions);
    }

    /// Everybody takes what is theirs: then the reserve alone holds money.
    fn leave(&mut self, sessions: &[SessionResponse]) {
        self.suite.at_epoch(self.window / 6 + 40);
        let requester = self.suite.requester.clone();
        for session in sessions.iter().filter(|session| session.status != SessionStatus::Closed) {
            self.suite.accepted(&requester, &ExecuteMsg::CloseSession { session: session.session }, 0);
        }
        for node in self.suite.nodes.clone() {
            let record: NodeResponse = self.suite.query(&QueryMsg::Node { address: node.to_string() });
            if !record.unbonding.is_empty() {
                self.suite.accepted(&node, &ExecuteMsg::Withdraw {}, 0);
            }
            if !record.stake.is_zero() {
                self.suite.accepted(&node, &ExecuteMsg::Unbond { amount: record.stake }, 0);
            }
        }
        self.suite.at_epoch(self.window / 6 + 50);
        for node in self.suite.nodes.clone() {
            // Refused where there is nothing: who has left, or earned nothing.
            self.send(&node, &ExecuteMsg::Withdraw {}, 0);
            self.send(&node, &ExecuteMsg::Claim {}, 0);
        }
        self.send(&requester, &ExecuteMsg::Claim {}, 0);
        let pools = self.suite.pools();
        assert_eq!(pools.held(), pools.reserve, "{pools:?}");
        self.suite.at_epoch(self.window / 6 + 60);
        while self.suite.due().sweep {
            self.suite.accepted(&requester, &ExecuteMsg::Sweep { limit: 50 }, 0);
        }
        let (entries, _) = self.suite.app.storage().size();
        assert!(entries <= 45, "{entries} entries are left");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn money_is_conserved_whatever_the_order_of_messages(steps in prop::collection::vec(step(), 100..250)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.check_stakes();
        }
        prop_assert!(world.accepted > 0);
        world.wind_down();
    }
}
