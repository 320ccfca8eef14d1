//! Messages that break a rule on purpose; now and then one keeps them all and is accepted.

use assay_common::ids::{BatchId, Epoch, ModelDigest, Nonce, SessionId, Window};
use assay_common::msg::ExecuteMsg;
use cosmwasm_std::Addr;

use super::chain::Chain;
use crate::model::Funds;
use crate::suite::*;

impl Chain {
    pub fn fault(&mut self) {
        match self.dice.below(100) {
            0..=7 => self.break_admission(),
            8..=19 => self.break_node(),
            20..=31 => self.break_session(),
            32..=49 => self.break_batch(),
            50..=54 => self.break_beacon(),
            55..=58 => self.break_draw(),
            59..=66 => self.wrong_commitment(),
            67..=72 => self.wrong_reveal(),
            73..=80 => self.break_crank(),
            81..=86 => self.wrong_accusation(),
            _ => self.misgovern(),
        }
    }

    fn break_admission(&mut self) {
        let (node, anyone) = (self.some_account().0, self.anyone());
        match self.dice.below(6) {
            0 => {
                self.send_with(&anyone, ExecuteMsg::Claim {}, Funds::Foreign(5), None);
            }
            1 => {
                self.send(&anyone, ExecuteMsg::Sweep { limit: 3 }, 5);
            }
            2 => {
                self.send(&node, ExecuteMsg::Pause {}, 0);
            }
            3 => {
                let msg = ExecuteMsg::UpdateNode { models: None, endpoint: None };
                self.send(&anyone, msg, 0);
            }
            4 => {
                self.settle(&anyone, "nobody".into(), Epoch(0), 1);
            }
            _ => {
                self.send(&anyone, ExecuteMsg::Sweep { limit: [0, 51][usize::from(node < anyone)] }, 0);
            }
        }
    }

    fn break_node(&mut self) {
        let sender = if self.dice.percent(60) { self.outsider() } else { self.some_node() };
        let Some(sender) = sender else { return };
        let main = self.main_models.clone();
        let mut models = vec![main[0]];
        let mut endpoint = "http://10.0.0.1:8080".to_string();
        let mut funds = 2 * MIN_STAKE;
        match self.dice.below(12) {
            0 => models.clear(),
            1 => models = vec![main[0]; 17],
            2 => models = vec![main[1], main[0], main[1]],
            3 => models = vec![ModelDigest([1; 32])],
            4 => models = vec![*self.world.models.keys().next().expect("there are some")],
            5 => endpoint = "ftp://10.0.0.1".into(),
            6 => endpoint = "http:///".into(),
            7 => endpoint = "http://user@host".into(),
            8 => funds = MIN_STAKE / 3,
            9 => {
                let stake = self.world.nodes.get(sender.as_str()).map_or(0, |node| node.stake);
                let amount = [0, stake + 1, stake.saturating_sub(5)][self.dice.below(3) as usize];
                self.send(&sender, ExecuteMsg::Unbond { amount: amount.into() }, 0);
                return;
            }
            10 => {
                self.send(&sender, ExecuteMsg::Withdraw {}, 0);
                return;
            }
            _ => {}
        }
        let msg = if self.world.nodes.get(sender.as_str()).is_some_and(|node| !node.has_left()) {
            funds = 0;
            match self.dice.below(3) {
                0 => ExecuteMsg::RegisterNode { models, endpoint },
                1 => ExecuteMsg::UpdateNode { models: None, endpoint: None },
                _ => ExecuteMsg::UpdateNode { models: Some(models), endpoint: Some(endpoint) },
            }
        } else {
            ExecuteMsg::RegisterNode { models, endpoint }
        };
        self.send(&sender, msg, funds);
    }

    fn break_session(&mut self) {
        let (anyone, session, fate) = (self.anyone(), self.some_session(), self.dice.below(16));
        match fate {
            0 => {
                self.send(&anyone, ExecuteMsg::TopUp { session }, 0);
            }
            1 => {
                self.send(&anyone, ExecuteMsg::TopUp { session: SessionId(9_999) }, 5);
            }
            2 => {
                self.send(&anyone, ExecuteMsg::CloseSession { session: SessionId(9_999) }, 0);
            }
            3..=5 => {
                let session = SessionId(self.dice.between(1, self.world.sessions.len() as u64));
                self.send(&anyone, ExecuteMsg::CloseSession { session }, 0);
            }
            _ => self.break_opening(&anyone, fate),
        }
    }

    fn break_opening(&mut self, anyone: &Addr, fate: u64) {
        let who = self.some_account().0;
        let (mut msg, mut funds) = (self.opening_with(&who), 5_000);
        if let ExecuteMsg::OpenSession {
            executor,
            model,
            session_key,
            fee,
            max_prompt,
            max_new,
            expires,
            ..
        } = &mut msg
        {
            match fate {
                6 => *executor = "nobody".into(),
                7 => *executor = anyone.to_string(),
                8 => *model = ModelDigest([1; 32]),
                9 => *fee = 0u128.into(),
                10 => *session_key = vec![4; 33].into(),
                11 => *max_prompt = 0,
                12 => *max_new = 101,
                13 => *expires = Epoch(expires.0 + 9),
                14 => *expires = Epoch(expires.0.saturating_sub(7)),
                _ => funds = 0,
            }
        }
        self.send(anyone, msg, funds);
    }

    fn break_batch(&mut self) {
        let Some(executor) = self.some_node() else { return };
        let Some((mut model, mut claims)) = self.some_claims(&executor) else { return };
        let (first, mut funds) = (claims[0].clone(), Funds::Units(0));
        match self.dice.below(16) {
            0 => claims.clear(),
            1 => claims = vec![first; 5],
            2 => claims = vec![first.clone(), first],
            3 => claims[0].session = SessionId(9_999),
            4 => claims[0] = self.suite.claim(SessionId(1), 1),
            5 => claims[0].nonce_to = Nonce(self.world.sessions[&first.session].nonce.0),
            6 => claims[0].signature = vec![1; 64].into(),
            7 => claims[0].nonce_to = first.nonce_to.next(),
            8 => claims[0] = self.suite.claim(first.session, first.nonce_to.0 + 40),
            9 => claims[0] = self.cheap_claim(&executor).unwrap_or(first),
            10 => model = self.main_models[usize::from(model == self.main_models[0])],
            11 => funds = Funds::Units(77),
            12 | 13 => claims[0] = self.any_claim(&executor).unwrap_or(first),
            14 => return self.overload_session(),
            _ => claims.reverse(),
        }
        if let Some(session) = self.world.sessions.get(&claims.first().map_or(SessionId(0), |c| c.session)) {
            if self.dice.percent(60) && session.executor == executor.as_str() {
                model = if session.model == model { model } else { session.model };
            }
        }
        let msg = ExecuteMsg::CommitBatch { model, root: assay_common::ids::BatchRoot([9; 32]), claims };
        self.send_with(&executor, msg, funds, None);
    }

    /// A claim that its session cannot bear: the cost is no amount, or three epochs of the session are unsettled.
    fn overload_session(&mut self) {
        let (world, now) = (&self.world, self.world.epoch());
        let heavy = world.sessions.iter().filter(|(_, session)| {
            let mut paid = session.payments.keys();
            let full = paid.len() >= 3
                && paid.all(|e| *e < now.0 && world.is_unsettled(&session.executor, Epoch(*e)));
            let bears_more = full && session.escrow >= session.fee;
            !session.swept && now <= session.closes && (bears_more || session.fee == u128::MAX)
        });
        let heavy: Vec<SessionId> = heavy.map(|(id, _)| *id).collect();
        let Some(id) = self.dice.pick(&heavy).copied() else { return };
        let session = &self.world.sessions[&id];
        let more = if session.fee == u128::MAX { 2 } else { 1 };
        let (model, executor) = (session.model, Addr::unchecked(&session.executor));
        let claims = vec![self.suite.claim(id, session.nonce.0 + more)];
        let root = assay_common::ids::BatchRoot([9; 32]);
        self.send(&executor, ExecuteMsg::CommitBatch { model, root, claims }, 0);
    }

    /// More inferences than a batch may have, of a session that can pay them.
    fn cheap_claim(&mut self, executor: &Addr) -> Option<assay_common::msg::Claim> {
        let own = self.world.sessions.iter().filter(|(_, session)| {
            session.executor == executor.as_str() && session.escrow / session.fee >= 13
        });
        let (id, nonce) = own.map(|(id, session)| (*id, session.nonce.0)).next_back()?;
        Some(self.suite.claim(id, nonce + 13))
    }

    /// A claim on any session of the executor, over or empty or beyond all money or not settled for long, with a good voucher.
    fn any_claim(&mut self, executor: &Addr) -> Option<assay_common::msg::Claim> {
        let fate = self.dice.below(3);
        let own = self.world.sessions.iter().filter(|(_, session)| {
            let wanted = match fate {
                0 => session.fee == u128::MAX,
                1 => session.payments.len() >= 3,
                _ => true,
            };
            session.executor == executor.as_str() && wanted
        });
        let own: Vec<(SessionId, u64)> = own.map(|(id, session)| (*id, session.nonce.0)).collect();
        let (id, nonce) = *self.dice.pick(&own)?;
        Some(self.suite.claim(id, nonce + 2))
    }

    fn break_beacon(&mut self) {
        let (anyone, now) = (self.anyone(), self.window());
        match self.dice.below(8) {
            0 => self.post_beacon(&anyone, Window(now + 40)),
            1 | 2 => {
                let window = Window(self.dice.below(now + 1));
                self.post_beacon(&anyone, window);
            }
            3 => self.post_beacon(&anyone, Window(0)),
            4 if self.dice.percent(30) => self.post_beacon(&anyone, Window(now)),
            5 => {
                let (window, signature) = (Window(now), vec![1; 47].into());
                self.send(&anyone, ExecuteMsg::PostBeacon { window, signature }, 0);
            }
            _ => {
                let round = assay_common::ids::Round(self.dice.below(1_000));
                let (window, signature) = (Window(now), self.suite.beacon.sign(round));
                self.send(&anyone, ExecuteMsg::PostBeacon { window, signature }, 0);
            }
        }
    }

    fn break_draw(&mut self) {
        let (anyone, last) = (self.anyone(), self.world.batches.len() as u64);
        let batch = BatchId(self.dice.between(last.saturating_sub(15), last + 1));
        let limit = [0, 7, 3, 3, 3][self.dice.below(5) as usize];
        self.send(&anyone, ExecuteMsg::Draw { batch, limit }, 0);
    }

    /// An executor and an epoch of its own, settled or not, or any.
    fn some_epoch(&mut self) -> (String, Epoch) {
        let open = self.world.accounts.iter().filter(|(_, account)| !account.status.is_settled());
        let open: Vec<(String, u64)> = open.map(|(key, _)| key.clone()).collect();
        if self.dice.percent(60) {
            if let Some((executor, epoch)) = self.dice.pick(&open).cloned() {
                return (executor, Epoch(epoch));
            }
        }
        let (executor, now) = (self.some_account().0.to_string(), self.world.epoch().0);
        (executor, Epoch(now.saturating_sub(self.dice.below(6))))
    }

    /// Tallies and settlements of whatever there is.
    fn break_crank(&mut self) {
        let (anyone, last) = (self.anyone(), self.world.batches.len() as u64);
        if self.dice.percent(50) {
            let from = u32::try_from(self.dice.below(4)).expect("small");
            let limit = [0, 7, 1, 2, 3, 6][self.dice.below(6) as usize];
            let mut batch = BatchId(self.dice.between(last.saturating_sub(25), last + 1));
            let oldest = self.world.oldest_batch().map(|(id, _)| id);
            if let Some(oldest) = oldest.filter(|_| self.dice.percent(40)) {
                batch = oldest;
            }
            self.send(&anyone, ExecuteMsg::Tally { batch, from, limit }, 0);
        } else {
            let (executor, epoch) = self.some_epoch();
            let limit = [0, 1_001, 1, 2, 3, 4][self.dice.below(6) as usize];
            self.settle(&anyone, executor, epoch, limit);
        }
    }
}
