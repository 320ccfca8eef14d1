//! The way of one batch: committed, drawn, judged by everybody who has a seat, closed, folded.

use std::collections::BTreeMap;

use anyhow::{ensure, Context, Result};
use assay_common::digest::sha256;
use assay_common::event::Event;
use assay_common::ids::{BatchId, Epoch, SessionId, Window};
use assay_common::msg::{AssignedPage, ExecuteMsg, Page, QueryMsg, SampleKey, SampleResponse};
use assay_common::probe::PROBES;
use assay_common::verdict::{Outcome, Score, Verdict, VerdictPage};
use assay_sidecar::chain::{Call, Sender};
use cosmwasm_std::{HexBinary, Uint128};
use tokio::task::JoinSet;

use super::evidence::{Work, USER_SEED};
use super::plan;
use super::world::{told, Reading, World};

const SESSION_EPOCHS: u64 = 10;
/// What a page of verdicts is committed to and revealed by.
pub const VERDICTS: [&str; 2] = ["CommitVerdicts", "RevealVerdicts"];

/// A committed batch.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    pub batch: BatchId,
    pub window: Window,
    pub epoch: Epoch,
}

/// One page of a juror.
struct Due {
    juror: Sender,
    page: VerdictPage,
    salt: HexBinary,
}

impl World {
    /// Opens a session with an executor, with the escrow of `inferences`.
    pub async fn open_session(&self, executor: usize, inferences: u32) -> Result<SessionId> {
        let call = Call { msg: self.opening(executor).await?, funds: u128::from(inferences) * plan::FEE };
        let included = self.measure(("OpenSession", 1), &self.cast.requester, call).await?;
        told!(included, Event::SessionOpened { session, .. } => *session).context("no session was opened")
    }

    /// A session that lasts for longer than what is measured.
    pub async fn opening(&self, executor: usize) -> Result<ExecuteMsg> {
        let now = self.chain.clock().await?.epoch.unwrap_or(Epoch(0));
        Ok(ExecuteMsg::OpenSession {
            executor: self.node(executor)?.account().address().into(),
            model: self.model.digest(),
            user_seed: USER_SEED,
            session_key: self.cast.session_key.sign(&[0; 32]).public_key,
            fee: Uint128::new(plan::FEE),
            max_prompt: 1_024,
            max_new: plan::ANSWER_TOKENS,
            expires: Epoch(now.0.saturating_add(SESSION_EPOCHS)),
        })
    }

    pub fn node(&self, number: usize) -> Result<&Sender> {
        self.cast.nodes.get(number).with_context(|| format!("there is no node {number}"))
    }

    pub async fn commit(&self, executor: usize, work: &Work) -> Result<Committed> {
        let (model, claims) = (self.model.digest(), work.claims.clone());
        let count = u32::try_from(claims.len())?;
        let call = Call::new(ExecuteMsg::CommitBatch { model, root: work.root, claims });
        let included = self.measure(("CommitBatch", count), self.node(executor)?, call).await?;
        let committed = told!(included, Event::BatchCommitted { batch, window, epoch, .. } =>
            Committed { batch: *batch, window: *window, epoch: *epoch });
        committed.context("no batch was committed")
    }

    /// From a committed batch to samples that are closed: pages of so many.
    pub async fn judge(&self, committed: Committed, pages: &[u32]) -> Result<()> {
        let batch = committed.batch;
        let drawn = self.draw(committed, pages).await?;
        self.hear((batch, drawn), VERDICTS, &|_, sample| valid(sample, PROBES)).await?;
        self.at_window(drawn.next().next().next()).await?;
        let mut from = 0;
        for limit in pages {
            let call = Call::new(ExecuteMsg::Tally { batch, from, limit: *limit });
            self.measure(("Tally", *limit), &self.cast.keeper, call).await?;
            from += limit;
        }
        Ok(())
    }

    /// Draws the samples of a batch, pages of so many, all in the window after that of the batch; which that is.
    pub async fn draw(&self, committed: Committed, pages: &[u32]) -> Result<Window> {
        let Committed { batch, window, .. } = committed;
        let drawn = window.next();
        self.at_window(drawn).await?;
        self.post_beacon(window).await?;
        for limit in pages {
            let call = Call::new(ExecuteMsg::Draw { batch, limit: *limit });
            let included = self.measure(("Draw", *limit), &self.cast.keeper, call).await?;
            let at = told!(included, Event::Drawn { window, .. } => *window);
            ensure!(
                at == Some(drawn),
                "{batch} is drawn in {at:?}, not in {drawn}: this machine is too slow"
            );
        }
        Ok(drawn)
    }

    /// Has everybody with a seat of a window say this of a sample, by the juror's place among them: commits, and reveals. The
    /// messages are noted under these names.
    pub async fn hear(
        &self,
        (batch, drawn): (BatchId, Window),
        [commit, reveal]: [&'static str; 2],
        say: &(dyn Fn(usize, SampleKey) -> Verdict + Sync),
    ) -> Result<()> {
        let due = self.due(batch, drawn, say).await?;
        self.each_juror(&due, |due, domain| {
            let hash = due.page.commitment(domain, &due.salt);
            (commit, ExecuteMsg::CommitVerdicts { window: due.page.window, page: due.page.page, hash })
        })
        .await?;
        self.at_window(drawn.next().next()).await?;
        self.each_juror(&due, |due, _| {
            let VerdictPage { window, page, verdicts, .. } = due.page.clone();
            let salt = due.salt.clone();
            (reveal, ExecuteMsg::RevealVerdicts { window, page, salt, verdicts })
        })
        .await
    }

    /// Folds an epoch that is over, pages of so many.
    pub async fn settle(&self, executor: usize, epoch: Epoch, pages: &[u32]) -> Result<()> {
        for limit in pages {
            self.settle_as(("Settle", *limit), executor, epoch).await?;
        }
        Ok(())
    }

    pub async fn settle_as(
        &self,
        (message, limit): (&'static str, u32),
        executor: usize,
        epoch: Epoch,
    ) -> Result<()> {
        let executor = self.node(executor)?.account().address().into();
        let call = Call::new(ExecuteMsg::Settle { executor, epoch, limit });
        self.measure((message, limit), &self.cast.keeper, call).await?;
        Ok(())
    }

    /// The pages of everybody who has a seat on a batch's samples of one window.
    async fn due(
        &self,
        batch: BatchId,
        drawn: Window,
        say: &(dyn Fn(usize, SampleKey) -> Verdict + Sync),
    ) -> Result<Vec<Due>> {
        let samples: Vec<SampleResponse> =
            self.collect(|start_after| QueryMsg::Samples { batch, start_after, limit: Some(100) }).await?;
        let seats = samples.iter().flat_map(|sample| &sample.seats);
        let jurors: BTreeMap<&str, ()> = seats.map(|seat| (seat.juror.as_str(), ())).collect();
        let mut due = Vec::new();
        let seated = self.cast.nodes.iter().filter(|node| jurors.contains_key(node.account().address()));
        for (place, juror) in seated.enumerate() {
            let address = juror.account().address().to_owned();
            let pages: Vec<AssignedPage> = self
                .collect(|start_after| QueryMsg::Assignments {
                    juror: address.clone(),
                    window: drawn,
                    start_after,
                    limit: Some(100),
                })
                .await?;
            // What is asked in pages may cut one of the juror's own.
            let mut whole: BTreeMap<u32, Vec<Verdict>> = BTreeMap::new();
            for AssignedPage { page, samples } in pages {
                whole.entry(page).or_default().extend(samples.into_iter().map(|sample| say(place, sample)));
            }
            for (number, verdicts) in whole {
                let page = VerdictPage { juror: address.clone(), window: drawn, page: number, verdicts };
                let salt = sha256(&[address.as_bytes(), &drawn.0.to_be_bytes(), &number.to_be_bytes()]);
                due.push(Due { juror: juror.clone(), page, salt: salt.into() });
            }
        }
        Ok(due)
    }

    /// Sends one message for each page: the jurors side by side, each with its pages one after the other.
    async fn each_juror(
        &self,
        due: &[Due],
        say: impl Fn(&Due, &assay_common::digest::Domain) -> (&'static str, ExecuteMsg),
    ) -> Result<()> {
        let mut jurors: BTreeMap<&str, Vec<&Due>> = BTreeMap::new();
        for page in due {
            jurors.entry(&page.page.juror).or_default().push(page);
        }
        let mut tasks: JoinSet<Result<Vec<Reading>>> = JoinSet::new();
        for pages in jurors.into_values() {
            let Some(sender) = pages.first().map(|first| first.juror.clone()) else { continue };
            let call = |due: &&Due| {
                let (message, msg) = say(due, self.chain.domain());
                Ok((message, u32::try_from(due.page.verdicts.len())?, Call::new(msg)))
            };
            let calls: Vec<_> = pages.iter().map(call).collect::<Result<_>>()?;
            tasks.spawn(async move {
                let mut readings = Vec::with_capacity(calls.len());
                for (message, items, call) in calls {
                    let (reading, _) = Reading::of(message, items, (&sender, call)).await?;
                    readings.push(reading);
                }
                Ok(readings)
            });
        }
        while let Some(readings) = tasks.join_next().await {
            let readings = readings.context("a juror's task has panicked")?;
            readings.with_context(|| self.plan.name)?.into_iter().for_each(|reading| self.note(reading));
        }
        Ok(())
    }

    async fn collect<T, K>(&self, ask: impl Fn(Option<K>) -> QueryMsg) -> Result<Vec<T>>
    where
        T: serde::de::DeserializeOwned,
        K: serde::de::DeserializeOwned,
    {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let page: Page<T, K> = self.chain.query(&ask(after)).await?;
            items.extend(page.items);
            after = page.next_start_after;
            if after.is_none() {
                return Ok(items);
            }
        }
    }
}

/// What an honest juror says of an answer of full weight: probes are of improbable tokens, ten to twenty bits each.
pub fn valid(SampleKey { batch, draw }: SampleKey, probes: usize) -> Verdict {
    let probes = (0u16..).take(probes).map(|place| 2_600 + 300 * place).collect();
    let score = Score { bin: 0, tokens: plan::ANSWER_TOKENS, probes };
    Verdict { batch, draw, outcome: Outcome::Valid, score: Some(score) }
}
