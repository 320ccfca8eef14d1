//! What nodes and requesters do on their own: stakes, sessions, batches, claims.

use assay_common::ids::{BatchId, BatchRoot, Digest, Epoch, ModelDigest, SessionId};
use assay_common::merkle;
use assay_common::msg::{Claim, ExecuteMsg, SessionStatus};
use assay_common::session::inference_id;
use assay_contract::error::ContractError;
use cosmwasm_std::Addr;

use super::chain::Chain;
use crate::model::{Funds, Message};
use crate::suite::*;

impl Chain {
    pub fn anyone(&mut self) -> Addr {
        if self.dice.percent(60) {
            let requesters = self.requesters.clone();
            self.dice.pick(&requesters).expect("there are some").clone()
        } else {
            self.some_account().0
        }
    }

    pub fn some_account(&mut self) -> (Addr, k256::ecdsa::SigningKey) {
        let nodes = self.nodes.clone();
        self.dice.pick(&nodes).expect("there are some").clone()
    }

    /// An account that is a node.
    pub fn some_node(&mut self) -> Option<Addr> {
        let world = &self.world;
        let is_node = |(node, _): &&(Addr, _)| world.nodes.get(node.as_str()).is_some_and(|n| !n.has_left());
        let nodes: Vec<Addr> = self.nodes.iter().filter(is_node).map(|(node, _)| node.clone()).collect();
        self.dice.pick(&nodes).cloned()
    }

    /// An account that is none.
    pub fn outsider(&mut self) -> Option<Addr> {
        let world = &self.world;
        let is_out = |(node, _): &&(Addr, _)| world.nodes.get(node.as_str()).is_none_or(|n| n.has_left());
        let nodes: Vec<Addr> = self.nodes.iter().filter(is_out).map(|(node, _)| node.clone()).collect();
        self.dice.pick(&nodes).cloned()
    }

    fn some_models(&mut self) -> Vec<ModelDigest> {
        let (models, alone) = (self.main_models.clone(), self.dice.percent(40));
        if alone {
            vec![*self.dice.pick(&models).expect("there are some")]
        } else {
            models
        }
    }

    pub fn register_somebody(&mut self) {
        let Some(node) = self.outsider() else { return };
        let msg = ExecuteMsg::RegisterNode {
            models: self.some_models(),
            endpoint: "https://node.example:443".into(),
        };
        let stake = MIN_STAKE * 6 / 5 + u128::from(self.dice.below(20_000_000));
        self.send(&node, msg, stake);
    }

    pub fn update_somebody(&mut self) {
        let Some(node) = self.some_node() else { return };
        let models = self.dice.percent(50).then(|| self.some_models());
        let endpoint = self.dice.percent(50).then(|| "http://10.0.0.2:8080".to_string());
        let funds = if self.dice.percent(50) { self.dice.between(1, 3_000_000) } else { 0 };
        self.send(&node, ExecuteMsg::UpdateNode { models, endpoint }, funds.into());
    }

    pub fn unbond_something(&mut self) {
        let Some(node) = self.some_node() else { return };
        let stake = self.world.nodes[node.as_str()].stake;
        if self.dice.one_in(10) {
            // As many parts as may be, and one more.
            for _ in 0..8 {
                self.send(&node, ExecuteMsg::Unbond { amount: 1u128.into() }, 0);
            }
            return;
        }
        let amount = match self.dice.below(10) {
            0 | 1 => stake,
            2 => stake / 2,
            _ => u128::from(self.dice.between(1, 1_000)),
        };
        self.send(&node, ExecuteMsg::Unbond { amount: amount.into() }, 0);
    }

    /// Whoever has something that is ripe, mostly.
    pub fn withdraw_something(&mut self) {
        let running = self.world.running();
        let ripe = |node: &crate::model::Node| node.unbonding.iter().any(|(_, release)| *release <= running);
        let nodes: Vec<String> = self
            .world
            .nodes
            .iter()
            .filter(|(_, node)| ripe(node))
            .map(|(address, _)| address.clone())
            .collect();
        let chosen = self.dice.pick(&nodes).map(Addr::unchecked);
        let Some(node) = chosen.or_else(|| self.some_node()) else { return };
        self.send(&node, ExecuteMsg::Withdraw {}, 0);
    }

    pub fn claim_something(&mut self) {
        let who = self.anyone();
        self.send(&who, ExecuteMsg::Claim {}, 0);
    }

    // --- sessions ---

    pub fn opening_with(&mut self, executor: &Addr) -> ExecuteMsg {
        let serves = self.world.nodes.get(executor.as_str()).map(|node| node.models.clone());
        let model = self.dice.pick(&serves.unwrap_or_default()).copied().unwrap_or_default();
        let fee = match self.dice.below(20) {
            0 => u128::MAX,
            1..=3 => 150,
            _ => FEE + u128::from(self.dice.below(40)),
        };
        let expires = self.world.epoch().0 + self.dice.below(6);
        let mut msg = self.suite.opening(executor);
        if let ExecuteMsg::OpenSession { model: of, fee: each, expires: last, .. } = &mut msg {
            (*of, *each, *last) = (model, fee.into(), Epoch(expires));
        }
        msg
    }

    pub fn open_session_with(&mut self, executor: &Addr) {
        let (msg, requesters) = (self.opening_with(executor), self.requesters.clone());
        let requester = self.dice.pick(&requesters).expect("there are some").clone();
        let escrow = self.dice.between(1, 40_000);
        self.send(&requester, msg, escrow.into());
    }

    pub fn some_session(&mut self) -> SessionId {
        let count = self.world.sessions.len() as u64;
        SessionId(if self.dice.percent(70) {
            count.saturating_sub(self.dice.below(20)).max(1)
        } else {
            self.dice.between(1, count + 1)
        })
    }

    pub fn top_up(&mut self) {
        let (who, session, funds) = (self.anyone(), self.some_session(), self.dice.between(1, 20_000));
        self.send(&who, ExecuteMsg::TopUp { session }, funds.into());
    }

    pub fn close_session(&mut self) {
        let session = self.some_session();
        let requester = self.world.sessions.get(&session).map(|known| Addr::unchecked(&known.requester));
        let who = match requester {
            Some(requester) if self.dice.percent(70) => requester,
            _ => self.anyone(),
        };
        self.send(&who, ExecuteMsg::CloseSession { session }, 0);
    }

    // --- batches ---

    /// Sessions of one model from which an executor can claim now.
    fn claimable_sessions(&mut self, executor: &Addr) -> Option<(ModelDigest, Vec<SessionId>)> {
        let epoch = self.world.epoch();
        let own = self.world.sessions.iter().filter(|(_, session)| {
            session.executor == executor.as_str()
                && session.status != SessionStatus::Closed
                && !session.swept
                && epoch <= session.closes
                && session.escrow >= session.fee
        });
        let own: Vec<(SessionId, ModelDigest)> = own.map(|(id, session)| (*id, session.model)).collect();
        let (_, model) = *self.dice.pick(&own)?;
        Some((model, own.into_iter().filter(|(_, of)| *of == model).map(|(id, _)| id).collect()))
    }

    pub fn some_claims(&mut self, executor: &Addr) -> Option<(ModelDigest, Vec<Claim>)> {
        let (model, mut sessions) = self.claimable_sessions(executor)?;
        let most = self.dice.between(1, 2);
        while sessions.len() as u64 > most {
            let at = self.dice.below(sessions.len() as u64);
            sessions.remove(usize::try_from(at).expect("a place"));
        }
        let claims = sessions.into_iter().map(|id| {
            let session = &self.world.sessions[&id];
            let covered = u64::try_from(session.escrow / session.fee).unwrap_or(u64::MAX).clamp(1, 3);
            let more = self.dice.between(1, covered);
            self.suite.claim(id, session.nonce.0 + more)
        });
        Some((model, claims.collect()))
    }

    pub fn commit_batch(&mut self) {
        let Some(executor) = self.some_node() else { return };
        let Some((model, claims)) = self.some_claims(&executor) else {
            self.open_session_with(&executor);
            return;
        };
        let made = self.dice.percent(35).then(|| self.artifacts_for(model, &claims));
        let root = match &made {
            Some(committed) => BatchRoot(merkle::root(&leaves(&committed.receipts))),
            None => BatchRoot([9; 32]),
        };
        let msg = ExecuteMsg::CommitBatch { model, root, claims };
        let funds = self.missing_for(&executor, &msg);
        if self.send(&executor, msg, funds) {
            let batch = BatchId(self.world.batches.len() as u64);
            self.known.extend(made.map(|committed| (batch, Committed { batch, ..committed })));
        }
    }

    /// What the fees of a batch lack, as the model answers to a message without funds.
    fn missing_for(&self, executor: &Addr, msg: &ExecuteMsg) -> u128 {
        let sender = executor.to_string();
        let message = Message { sender, msg: msg.clone(), funds: Funds::Units(0), exhibit: None };
        match self.world.clone().take(&message) {
            Err(ContractError::CheckPoolShort { needed, .. }) => needed.u128(),
            _ => 0,
        }
    }

    /// An answer of two tokens for each inference that is claimed, some of them no honest ones.
    fn artifacts_for(&mut self, model: ModelDigest, claims: &[Claim]) -> Committed {
        let mut committed = Committed { batch: BatchId(0), artifacts: Vec::new(), receipts: Vec::new() };
        for claim in claims {
            let session = self.world.sessions[&claim.session].clone();
            for nonce in session.nonce.0 + 1..=claim.nonce_to.0 {
                let nonce = assay_common::ids::Nonce(nonce);
                let inference = inference_id(&self.world.domain, claim.session, nonce);
                let seed = self.suite.run_seed(&inference);
                let mut artifact = answer(&seed, OPEN, 2, self.dice.number());
                artifact.request.model = model;
                self.bend_artifact(&mut artifact);
                committed.receipts.push(artifact.receipt(inference));
                committed.artifacts.push(artifact);
            }
        }
        committed
    }
}

/// A digest of nothing in particular.
pub fn digest(number: u64) -> Digest {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Digest(bytes)
}
