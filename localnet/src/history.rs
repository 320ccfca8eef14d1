//! What the contract's events have told so far.

use std::collections::BTreeMap;

use anyhow::Result;
use assay_common::event::Event;
use assay_common::ids::{Epoch, Window};
use assay_sidecar::chain::Chain;
use serde::Serialize;

/// One page of one juror's verdicts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerdictPageId {
    pub juror: String,
    pub window: Window,
    pub page: u32,
}

/// How an executor's epoch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub forfeited: bool,
    pub reputation_ppm: u32,
    pub slashed: u128,
    pub reward: u128,
}

/// A field that governance changed, from an epoch on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ParamChange {
    pub version: u32,
    pub epoch: Epoch,
    pub field: String,
    pub before: String,
    pub after: String,
}

/// Every block up to `height`, read.
#[derive(Default)]
pub struct History {
    height: u64,
    pub reveals: BTreeMap<VerdictPageId, u32>,
    pub settlements: BTreeMap<(String, Epoch), Settlement>,
    pub param_changes: Vec<ParamChange>,
}

impl History {
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Reads the blocks since the last call; their events, in order.
    pub async fn follow(&mut self, chain: &Chain) -> Result<Vec<Event>> {
        let latest = chain.height().await?;
        let mut news = Vec::new();
        while self.height < latest {
            for event in chain.events(self.height + 1).await? {
                self.note(&event);
                news.push(event);
            }
            self.height += 1;
        }
        Ok(news)
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::VerdictsRevealed { juror, window, page, .. } => {
                let id = VerdictPageId { juror: juror.clone(), window: *window, page: *page };
                *self.reveals.entry(id).or_default() += 1;
            }
            Event::Settled { executor, epoch, status, reward, slashed, reputation_after, .. }
                if status != "open" =>
            {
                let settlement = Settlement {
                    forfeited: status == "forfeited",
                    reputation_ppm: *reputation_after,
                    slashed: slashed.u128(),
                    reward: reward.u128(),
                };
                self.settlements.insert((executor.clone(), *epoch), settlement);
            }
            Event::ParamChanged { version, epoch, field, before, after } => {
                self.param_changes.push(ParamChange {
                    version: *version,
                    epoch: *epoch,
                    field: field.clone(),
                    before: before.clone(),
                    after: after.clone(),
                });
            }
            _ => {}
        }
    }

    /// Reveals beyond the first of a page, over all jurors.
    pub fn duplicate_reveals(&self) -> u32 {
        self.reveals.values().map(|count| count.saturating_sub(1)).sum()
    }
}
