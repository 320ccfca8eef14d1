//! Committing to what was answered: one batch in flight, stored before it is sent, sent again until its fate is known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context;
use assay_common::event::Event;
use assay_common::ids::{BatchId, Epoch, ModelDigest, Nonce, SessionId, Window};
use assay_common::msg::{
    ClockResponse, ExecuteMsg, ModelResponse, NodeResponse, ParamsResponse, QueryMsg, SessionResponse,
};
use assay_common::params::Params;
use cosmwasm_std::Uint128;
use tokio_util::sync::CancellationToken;

use super::batches::{InFlight, NewBatch};
use super::inferences::Inferences;
use super::plan::{funding, plan, Limits, Offer};
use super::Contract;
use crate::chain::rpc::ChainError;
use crate::chain::tx::{Call, Confirmation, Sender, TxError};
use crate::config::ExecutorConfig;

/// Halvings of a batch that the contract keeps refusing; then it is down to one inference.
const MAX_HALVINGS: u32 = 16;

/// The task that commits.
pub struct Committer {
    pub contract: Contract,
    pub sender: Sender,
    pub inferences: Inferences,
    pub model: ModelDigest,
    pub config: ExecutorConfig,
    /// Time between two looks at the chain.
    pub poll: Duration,
}

/// What this process remembers of its attempts; a restart forgets it and loses nothing.
#[derive(Debug, Default)]
struct Memory {
    /// The window of the last attempt, and the sessions that were in it: each gets one batch a window.
    window: Option<Window>,
    tried: BTreeSet<SessionId>,
    /// Maps a session to how often the contract refused a batch with it: such a one goes alone, and halved.
    refusals: BTreeMap<SessionId, u32>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landed {
    Committed(BatchId),
    /// The contract's reason; the members wait for another batch.
    Rejected(String),
    /// The transaction is lost, the batch is to be sent again.
    Again,
}

/// Writes down what became of a batch that was sent.
///
/// # Errors
/// The store fails, or the transaction did not commit to this batch.
pub async fn land(
    inferences: &Inferences,
    flight: &InFlight,
    confirmation: Confirmation,
) -> anyhow::Result<Landed> {
    match confirmation {
        Confirmation::Included(included) => {
            let ours = |event: &Event| match event {
                Event::BatchCommitted { batch, root, .. } if *root == flight.root => Some(*batch),
                _ => None,
            };
            let batch = included.events.iter().find_map(ours);
            let batch = batch.with_context(|| {
                format!("height {} committed to no batch with the root {}", included.height, flight.root)
            })?;
            inferences.committed(flight.number, batch).await?;
            Ok(Landed::Committed(batch))
        }
        Confirmation::Rejected { code, log } => {
            let reason = format!("code {code}: {log}");
            inferences.rejected(flight.number, &reason).await?;
            Ok(Landed::Rejected(reason))
        }
        Confirmation::Expired => {
            inferences.expired(flight.number).await?;
            Ok(Landed::Again)
        }
    }
}

fn limits(params: &Params, memory: &Memory, sessions: &[SessionId]) -> Limits {
    let refusals = sessions.iter().map(|session| memory.refusals(*session)).max().unwrap_or(0);
    let limits = &params.limits;
    Limits {
        claims: limits.claims_per_batch,
        inferences: (limits.inferences_per_batch >> refusals.min(MAX_HALVINGS)).max(1),
    }
}

impl Committer {
    /// Commits until `stop`; what is in flight then is taken up again after the next start.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut memory = Memory::default();
        let mut ticks = tokio::time::interval(self.poll);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            // Whatever fails here is as true at the next tick, and everything that matters is stored.
            if let Err(error) = self.step(&mut memory).await {
                tracing::warn!(error = format!("{error:#}"), "batch.step_failed");
            }
        }
    }

    async fn step(&self, memory: &mut Memory) -> anyhow::Result<()> {
        match self.inferences.in_flight().await? {
            Some(flight) => match &flight.sent {
                Some(pending) => {
                    let Some(confirmation) = self.sender.lookup(pending).await? else { return Ok(()) };
                    let landed = land(&self.inferences, &flight, confirmation).await?;
                    memory.note(&flight, &landed);
                    Ok(())
                }
                None => self.send(&flight, memory).await,
            },
            None => self.build(memory).await,
        }
    }

    /// Stores a batch if this is our window and there is something to commit to; the next step sends it.
    async fn build(&self, memory: &mut Memory) -> anyhow::Result<()> {
        let clock: ClockResponse = self.contract.query(QueryMsg::Clock {}).await?;
        let (Some(window), Some(epoch)) = (clock.window, clock.epoch) else { return Ok(()) };
        let every = u64::from(self.config.commit_every.max(1));
        if window.0 % every != u64::from(self.config.commit_offset) % every {
            return Ok(());
        }
        memory.enter(window);
        let params = self.params().await?;
        for sessions in memory.next_sessions(self.inferences.waiting_sessions().await?) {
            let limits = limits(&params, memory, &sessions);
            let Some(batch) = self.plan_among(&params, &sessions, epoch, limits).await? else { continue };
            memory.tried.extend(batch.claims.iter().map(|claim| claim.session));
            let number = self.inferences.store_batch(&batch).await?;
            tracing::info!(
                batch.number = number, batch.root = %batch.root, batch.claims = batch.claims.len(),
                batch.inferences = batch.members.len(), window = %window, "batch.built"
            );
            break;
        }
        Ok(())
    }

    /// In force now: they change with an epoch, and a commitment is of the epoch in which it is included.
    async fn params(&self) -> Result<Params, ChainError> {
        let params: ParamsResponse = self.contract.query(QueryMsg::Params {}).await?;
        Ok(params.in_force.params)
    }

    async fn plan_among(
        &self,
        params: &Params,
        sessions: &[SessionId],
        epoch: Epoch,
        limits: Limits,
    ) -> anyhow::Result<Option<NewBatch>> {
        let mut offers = Vec::new();
        for session in sessions {
            offers.extend(self.offer(*session, epoch, limits.inferences).await?);
            if offers.len() == limits.claims as usize {
                break;
            }
        }
        if offers.is_empty() {
            return Ok(None);
        }
        let marks = offers.iter().map(|offer| offer.session.mark_q32);
        let rate = marks.fold(self.node().await?.rate_q32, u64::max);
        Ok(plan(self.model, &offers, limits.sampled_at(rate, params.jury.max_samples_per_window)))
    }

    /// What a session offers; `None` where it has nothing to claim, now or ever.
    async fn offer(&self, id: SessionId, epoch: Epoch, limit: u32) -> anyhow::Result<Option<Offer>> {
        let session: SessionResponse = match self.contract.query(QueryMsg::Session { session: id }).await {
            Ok(session) => session,
            Err(ChainError::Query { log, .. }) => {
                self.give_up(id, Nonce(u64::MAX), &format!("the contract knows no such session: {log}"))
                    .await?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if epoch > session.closes {
            let reason = format!("the session could be claimed from until epoch {}", session.closes);
            self.give_up(id, Nonce(u64::MAX), &reason).await?;
            return Ok(None);
        }
        self.give_up(
            id,
            session.nonce,
            "the nonce is paid on chain, in a batch that this store does not know",
        )
        .await?;
        let answered = self.inferences.waiting(id, session.nonce, limit).await?;
        let offer = Offer { session, answered };
        let claimable = plan(self.model, std::slice::from_ref(&offer), Limits { claims: 1, inferences: 1 });
        Ok(claimable.is_some().then_some(offer))
    }

    async fn give_up(&self, session: SessionId, to: Nonce, reason: &str) -> anyhow::Result<()> {
        let lost = self.inferences.give_up(session, to, reason).await?;
        if lost > 0 {
            tracing::warn!(session.id = %session, inferences.lost = lost, reason, "batch.inferences_given_up");
        }
        Ok(())
    }

    /// Sends a stored batch with what its checks lack.
    async fn send(&self, flight: &InFlight, memory: &mut Memory) -> anyhow::Result<()> {
        let funds = self.funding(flight).await?;
        match self.broadcast(flight, funds).await {
            Ok(()) => Ok(()),
            Err(TxError::Rejected { code, log }) => {
                let landed = land(&self.inferences, flight, Confirmation::Rejected { code, log }).await?;
                memory.note(flight, &landed);
                Ok(())
            }
            // In no mempool, so it may be sent again at once; every other failure leaves that to the hash.
            Err(error @ TxError::Sequence { .. }) => {
                if self.inferences.in_flight().await?.is_some_and(|flight| flight.sent.is_some()) {
                    self.inferences.expired(flight.number).await?;
                }
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn broadcast(&self, flight: &InFlight, funds: Uint128) -> Result<(), TxError> {
        let (model, root, claims) = (flight.model, flight.root, flight.claims.clone());
        let call = Call { msg: ExecuteMsg::CommitBatch { model, root, claims }, funds: funds.u128() };
        let (inferences, number) = (&self.inferences, flight.number);
        let persist = |pending| async move { Ok(inferences.sent(number, &pending).await?) };
        let pending = self.sender.broadcast(vec![call], persist).await?;
        tracing::info!(batch.number = number, tx.hash = pending.hash, tx.funds = %funds, "batch.sent");
        Ok(())
    }

    async fn funding(&self, flight: &InFlight) -> anyhow::Result<Uint128> {
        let model: ModelResponse = self.contract.query(QueryMsg::Model { model: flight.model }).await?;
        let (mut fees, mut count, mut rate) = (Uint128::zero(), 0u64, self.node().await?.rate_q32);
        for claim in &flight.claims {
            let session: SessionResponse =
                self.contract.query(QueryMsg::Session { session: claim.session }).await?;
            let inferences = claim.nonce_to.0.saturating_sub(session.nonce.0);
            fees = fees.saturating_add(session.fee.saturating_mul(Uint128::from(inferences)));
            count = count.saturating_add(inferences);
            rate = rate.max(session.mark_q32);
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(funding(&self.params().await?, (rate, model.verdict_fee), (fees, count)))
    }

    async fn node(&self) -> Result<NodeResponse, ChainError> {
        let address = self.sender.account().address().to_owned();
        self.contract.query(QueryMsg::Node { address }).await
    }
}

impl Memory {
    fn enter(&mut self, window: Window) {
        if self.window != Some(window) {
            self.window = Some(window);
            self.tried.clear();
        }
    }

    fn refusals(&self, session: SessionId) -> u32 {
        self.refusals.get(&session).copied().unwrap_or(0)
    }

    /// Sessions for one batch each: those that the contract never refused together, then the others one by one.
    fn next_sessions(&self, waiting: Vec<SessionId>) -> Vec<Vec<SessionId>> {
        let untried = waiting.into_iter().filter(|session| !self.tried.contains(session));
        let (good, suspect): (Vec<_>, Vec<_>) = untried.partition(|session| self.refusals(*session) == 0);
        std::iter::once(good).chain(suspect.into_iter().map(|session| vec![session])).collect()
    }

    fn note(&mut self, flight: &InFlight, landed: &Landed) {
        let sessions = flight.claims.iter().map(|claim| claim.session);
        match landed {
            Landed::Committed(batch) => {
                for session in sessions {
                    self.refusals.remove(&session);
                }
                tracing::info!(batch.number = flight.number, batch.id = %batch, "batch.committed");
            }
            Landed::Rejected(reason) => {
                for session in sessions {
                    let refusals = self.refusals.entry(session).or_default();
                    *refusals = refusals.saturating_add(1);
                }
                tracing::error!(batch.number = flight.number, reason, "batch.rejected");
            }
            Landed::Again => tracing::warn!(batch.number = flight.number, "batch.expired"),
        }
    }
}
