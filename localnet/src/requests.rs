//! The requester: one session with each node, and prompts in time for each of its batches.

use std::path::Path;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use assay_common::ids::{Epoch, ModelDigest, Window};
use assay_common::params::ClockParams;
use assay_sidecar::chain::{Chain, Sender};
use assay_sidecar::model::tokenizer::Tokenizer;
use assay_sidecar::request::{Requester, SessionOptions};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::beacon::now;
use crate::nodes::Node;
use crate::{preset, prompts};

/// When the nodes of an epoch are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub clock: ClockParams,
    /// The first epoch that there is time for.
    pub first: Epoch,
    pub epochs: u64,
}

impl Schedule {
    /// Begins with the first epoch whose first question can be asked at `ready` or later.
    pub fn new(clock: ClockParams, ready: u64, epochs: u64) -> Self {
        let mut schedule = Self { clock, first: Epoch(0), epochs };
        while schedule.asks(schedule.first, 0) < ready {
            schedule.first = schedule.first.next();
        }
        schedule
    }

    pub fn all(&self) -> impl Iterator<Item = Epoch> {
        (self.first.0..self.first.0.saturating_add(self.epochs)).map(Epoch)
    }

    /// When node number `node` is asked, seconds since 1970: one window after the node before it, so that no two generate
    /// at once, and long before the epoch's end, so that a slow machine still commits within the epoch.
    pub fn asks(&self, epoch: Epoch, node: usize) -> u64 {
        let window = Window(self.clock.first_window(epoch).0.saturating_add(node as u64));
        self.clock.end(window) - u64::from(self.clock.window_seconds)
    }

    /// When the last epoch ends and the last settlement is due, had every answer been committed to in the epoch's end.
    pub fn settled(&self) -> u64 {
        let after = self.clock.first_window(Epoch(self.first.0.saturating_add(self.epochs)));
        self.clock.end(Window(after.0.saturating_add(preset::WINDOWS_TO_TALLY)))
    }
}

/// What a session needs to know of the model.
pub struct Wanted<'a> {
    pub model: ModelDigest,
    pub tokenizer: &'a Tokenizer,
    pub epochs: u64,
}

/// One session, and everything that will be asked in it.
pub struct Customer {
    requester: Requester,
    /// Of each epoch.
    prompts: Vec<Vec<Vec<u32>>>,
    stop_ids: Vec<u32>,
}

impl Customer {
    /// Opens a session with node number `number`; its state is kept under `dir`.
    pub async fn open(
        chain: &Chain,
        sender: &Sender,
        (number, node): (usize, &Node),
        wanted: &Wanted<'_>,
        dir: &Path,
    ) -> Result<Self> {
        let options = SessionOptions {
            executor: node.address.clone(),
            model: wanted.model,
            fee: preset::FEE,
            deposit: preset::deposit(wanted.epochs),
            max_prompt: preset::MAX_PROMPT,
            max_new: preset::MAX_NEW,
            epochs: wanted.epochs.saturating_add(preset::SPARE_EPOCHS),
        };
        let state = dir.join(format!("session-{}.json", node.name));
        let requester = Requester::open(chain, sender, options, &state).await?;
        let prompts = (0..wanted.epochs).map(|epoch| encode(wanted.tokenizer, epoch, number));
        let stop_ids = wanted.tokenizer.eos().into_iter().collect();
        Ok(Self { requester, prompts: prompts.collect::<Result<_>>()?, stop_ids })
    }

    /// Asks for every epoch in its time.
    async fn ask_all(mut self, schedule: Schedule, number: usize) -> Result<()> {
        for (epoch, prompts) in schedule.all().zip(std::mem::take(&mut self.prompts)) {
            sleep(Duration::from_secs(schedule.asks(epoch, number).saturating_sub(now()?))).await;
            let answers = self
                .requester
                .ask(&prompts, preset::SAMPLING, preset::MAX_NEW, &self.stop_ids)
                .await
                .with_context(|| format!("epoch {epoch}: the requester is not served"))?;
            tracing::debug!(%epoch, number, answers = answers.len(), "requester.answered");
        }
        Ok(())
    }
}

/// Sends every customer on its way.
pub fn start(customers: Vec<Customer>, schedule: Schedule) -> JoinSet<Result<()>> {
    let mut tasks = JoinSet::new();
    for (number, customer) in customers.into_iter().enumerate() {
        tasks.spawn(customer.ask_all(schedule, number));
    }
    tasks
}

/// The prompts of one epoch and node: every batch goes on where the one before ended.
fn encode(tokenizer: &Tokenizer, epoch: u64, node: usize) -> Result<Vec<Vec<u32>>> {
    let batch = usize::try_from(epoch)? * crate::accounts::NODES.len() + node;
    let texts = prompts::of_batch(batch);
    let encode = |text: &str| {
        let ids = tokenizer.encode(text)?;
        if ids.len() > preset::MAX_PROMPT as usize {
            bail!("the prompt {text:?} has {} tokens, at most {} are allowed", ids.len(), preset::MAX_PROMPT);
        }
        Ok(ids)
    };
    texts.into_iter().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: ClockParams = ClockParams { start: 1_000, window_seconds: 15, windows_per_epoch: 6 };

    #[test]
    fn the_first_epoch_is_the_first_whose_questions_can_all_be_asked_in_time() {
        let first = |ready| Schedule::new(CLOCK, ready, 2).first;
        assert_eq!(first(900), Epoch(0));
        assert_eq!(first(1_000), Epoch(0));
        assert_eq!(first(1_001), Epoch(1));
        assert_eq!(first(1_090), Epoch(1));
        assert_eq!(first(1_091), Epoch(2));
    }

    #[test]
    fn nodes_are_asked_a_window_apart_and_the_run_ends_when_the_last_answer_is_settled() {
        let schedule = Schedule::new(CLOCK, 900, 2);
        assert_eq!(schedule.asks(Epoch(0), 0), 1_000);
        assert_eq!(schedule.asks(Epoch(1), 2), 1_000 + 8 * 15);
        assert_eq!(schedule.settled(), 1_000 + 17 * 15);
    }
}
