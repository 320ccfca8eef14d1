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

    /// The window in which node number `node` commits to its answers.
    pub fn commits(&self, epoch: Epoch, node: usize) -> Window {
        Window(self.clock.first_window(epoch).0.saturating_add(node as u64))
    }

    /// When it is asked, seconds since 1970.
    pub fn asks(&self, epoch: Epoch, node: usize) -> u64 {
        let window = self.commits(epoch, node);
        self.clock.end(window) - u64::from(self.clock.window_seconds) - preset::ASK_AHEAD.as_secs()
    }

    /// When the last settlement of the last epoch is due.
    pub fn settled(&self, nodes: usize) -> u64 {
        let last = Epoch(self.first.0.saturating_add(self.epochs).saturating_sub(1));
        let window = self.commits(last, nodes.saturating_sub(1));
        let epoch_end = self.clock.end(Window(self.clock.first_window(last.next()).0.saturating_sub(1)));
        self.clock.end(Window(window.0.saturating_add(preset::WINDOWS_TO_TALLY))).max(epoch_end)
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
    let texts = prompts::in_turn(batch * preset::INFERENCES, preset::INFERENCES);
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
        assert_eq!(first(985), Epoch(0));
        assert_eq!(first(986), Epoch(1));
        assert_eq!(first(1_075), Epoch(1));
        assert_eq!(first(1_076), Epoch(2));
    }

    #[test]
    fn a_node_is_asked_one_window_before_it_commits_and_the_run_ends_when_the_last_is_settled() {
        let schedule = Schedule::new(CLOCK, 900, 2);
        assert_eq!(schedule.commits(Epoch(1), 2), Window(8));
        assert_eq!(schedule.asks(Epoch(1), 2), 1_000 + 8 * 15 - 15);
        assert_eq!(schedule.settled(4), 1_000 + 14 * 15);
    }
}
