//! What anybody may do to move the protocol on: nodes do it in turns, so no separate crank exists.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use assay_common::digest::sha256;
use assay_common::ids::{BatchId, Epoch, Round};
use assay_common::msg::{
    ClaimableResponse, DueBeacon, DueResponse, DueSettle, DueTally, ExecuteMsg, NodeResponse, Page,
    ParamsResponse, QueryMsg,
};
use assay_common::params::LimitParams;
use backon::{ConstantBuilder, Retryable};
use cosmwasm_std::{HexBinary, Uint128};
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::chain::{Call, Chain, ChainError, Sender, TxError};

/// Wait of each node for the one before it in the turn.
const TURN: Duration = Duration::from_secs(4);
/// Time after which the list of nodes is read again.
const NODES_AGE: Duration = Duration::from_secs(60);
/// Attempts to have a beacon round, a second apart: a relay may lag behind the chain's clock by that much.
const BEACON_ATTEMPTS: usize = 3;
/// Limit of one request to the relay.
const BEACON_TIMEOUT: Duration = Duration::from_secs(3);
/// Items of each kind asked for at once.
const ITEMS: u32 = 10;
/// Items of one Sweep, as many as it may have.
const SWEEP_ITEMS: u32 = 50;
/// Failures of an item after which it is worth a warning: the first ones mean that others were faster.
const FAILURES_TO_WARN: u32 = 3;

/// One thing that is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    Beacon(DueBeacon),
    Draw(BatchId),
    Tally {
        batch: BatchId,
        from: u32,
    },
    Settle {
        executor: String,
        epoch: Epoch,
    },
    /// What is final, in an epoch: the turns begin with another node in each.
    Sweep(Epoch),
    /// Our own earnings, once an epoch; nobody else can take them.
    Claim(Epoch),
}

impl Item {
    fn kind(&self) -> &'static str {
        match self {
            Item::Beacon(_) => "beacon",
            Item::Draw(_) => "draw",
            Item::Tally { .. } => "tally",
            Item::Settle { .. } => "settle",
            Item::Sweep(_) => "sweep",
            Item::Claim(_) => "claim",
        }
    }

    fn id(&self) -> String {
        match self {
            Item::Beacon(beacon) => beacon.window.to_string(),
            Item::Draw(batch) => batch.to_string(),
            Item::Tally { batch, from } => format!("{batch}/{from}"),
            Item::Settle { executor, epoch } => format!("{executor}/{epoch}"),
            Item::Sweep(epoch) | Item::Claim(epoch) => epoch.to_string(),
        }
    }
}

/// How many nodes come before `me` at this item, by a hash that nobody can choose.
pub fn rank(item: &Item, nodes: &[String], me: &str) -> usize {
    let place =
        |node: &str| sha256(&[item.kind().as_bytes(), b"/", item.id().as_bytes(), b"/", node.as_bytes()]);
    let mine = place(me);
    nodes.iter().filter(|node| node.as_str() != me && place(node) < mine).count()
}

/// What is due, when it was first seen, and how often it failed here.
#[derive(Debug, Default)]
pub struct Turns {
    seen: BTreeMap<Item, Turn>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    since: Instant,
    failures: u32,
    /// Under way here.
    busy: bool,
}

impl Turns {
    /// Takes over what is due now, and forgets what is not due any more.
    pub fn update(&mut self, due: impl IntoIterator<Item = Item>, now: Instant) {
        let due: BTreeSet<Item> = due.into_iter().collect();
        self.seen.retain(|item, turn| turn.busy || due.contains(item));
        for item in due {
            self.seen.entry(item).or_insert(Turn { since: now, failures: 0, busy: false });
        }
    }

    /// Items whose turn has come for the `rank`-th node; they are under way until [`Turns::done`].
    pub fn take(&mut self, now: Instant, rank: impl Fn(&Item) -> usize) -> Vec<Item> {
        let mut taken = Vec::new();
        for (item, turn) in &mut self.seen {
            let before_us = u32::try_from(rank(item)).unwrap_or(u32::MAX);
            let waited = now.checked_duration_since(turn.since);
            if !turn.busy && waited.is_some_and(|waited| waited >= TURN.saturating_mul(before_us)) {
                turn.busy = true;
                taken.push(item.clone());
            }
        }
        taken
    }

    /// An item was done, or failed: then everybody else has a turn before it is tried here again.
    pub fn done(&mut self, item: &Item, succeeded: bool, now: Instant) -> u32 {
        if succeeded {
            self.seen.remove(item);
            return 0;
        }
        let Some(turn) = self.seen.get_mut(item) else { return 0 };
        turn.failures = turn.failures.saturating_add(1);
        *turn = Turn { since: now.checked_add(TURN).unwrap_or(now), busy: false, ..*turn };
        turn.failures
    }
}

/// Why an item could not be done.
#[derive(Debug, thiserror::Error)]
pub enum DutyError {
    #[error("round {round} cannot be had from {url}")]
    Beacon {
        round: Round,
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the relay {url} gives round {found} for round {round}")]
    OtherRound { round: Round, url: String, found: u64 },
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Tx(#[from] TxError),
}

/// A round as drand's relays give it.
#[derive(Deserialize)]
struct BeaconRound {
    round: u64,
    signature: HexBinary,
}

/// What the duties need.
#[derive(Clone)]
pub struct Duty {
    pub chain: Chain,
    pub sender: Sender,
    /// Rounds are at `URL/public/ROUND`.
    pub beacon_url: String,
    pub client: reqwest::Client,
    pub poll: Duration,
}

impl Duty {
    /// Does what is due until it is told to stop.
    ///
    /// # Errors
    /// None: what fails stays due.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut turns = Turns::default();
        let mut nodes = Nodes::default();
        let mut claimed = None;
        let mut working: JoinSet<(Item, Result<(), DutyError>)> = JoinSet::new();
        loop {
            match self.look(&mut nodes, &mut claimed).await {
                Ok(due) => {
                    let now = Instant::now();
                    turns.update(due, now);
                    let me = self.sender.account().address();
                    for item in turns.take(now, |item| turn_of(item, &nodes.addresses, me)) {
                        working.spawn(self.clone().work(item));
                    }
                }
                Err(error) => {
                    tracing::warn!(error = format!("{:#}", anyhow::Error::from(error)), "duty.failed");
                }
            }
            let poll = tokio::time::sleep(self.poll);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = poll => {}
            }
            while let Some(ended) = working.try_join_next() {
                let (item, result) = ended?;
                finish(&mut turns, &item, result);
            }
        }
    }

    async fn look(&self, nodes: &mut Nodes, claimed: &mut Option<Epoch>) -> Result<Vec<Item>, ChainError> {
        let due: DueResponse = self.chain.query(&QueryMsg::Due { limit: Some(ITEMS) }).await?;
        let epoch = self.chain.clock().await?.epoch;
        let sweep = epoch.filter(|_| due.sweep).map(Item::Sweep);
        let mut items = items(due);
        items.extend(sweep);
        if !items.is_empty() {
            nodes.refresh(&self.chain).await?;
        }
        if let Some(epoch) = epoch {
            items.extend(self.claim(epoch, claimed).await?);
        }
        Ok(items)
    }

    /// Our own earnings, once in each epoch.
    async fn claim(&self, epoch: Epoch, claimed: &mut Option<Epoch>) -> Result<Option<Item>, ChainError> {
        if *claimed == Some(epoch) {
            return Ok(None);
        }
        let address = self.sender.account().address().to_string();
        let earned: ClaimableResponse = self.chain.query(&QueryMsg::Claimable { address }).await?;
        *claimed = Some(epoch);
        Ok((earned.amount > Uint128::zero()).then_some(Item::Claim(epoch)))
    }

    async fn work(self, item: Item) -> (Item, Result<(), DutyError>) {
        let result = self.execute(&item).await;
        (item, result)
    }

    async fn execute(&self, item: &Item) -> Result<(), DutyError> {
        let msg = match item {
            Item::Beacon(DueBeacon { window, round }) => {
                ExecuteMsg::PostBeacon { window: *window, signature: self.beacon(*round).await? }
            }
            Item::Draw(batch) => ExecuteMsg::Draw { batch: *batch, limit: self.limits().await?.draw_page },
            Item::Tally { batch, from } => {
                let limit = self.limits().await?.draw_page;
                ExecuteMsg::Tally { batch: *batch, from: *from, limit }
            }
            Item::Settle { executor, epoch } => {
                let limit = self.limits().await?.settle_page;
                ExecuteMsg::Settle { executor: executor.clone(), epoch: *epoch, limit }
            }
            Item::Sweep(_) => ExecuteMsg::Sweep { limit: SWEEP_ITEMS },
            Item::Claim(_) => ExecuteMsg::Claim {},
        };
        let included = self.sender.execute(Call::new(msg)).await?;
        tracing::info!(
            duty.kind = item.kind(),
            duty.id = item.id(),
            height = included.height,
            gas = included.gas_used,
            "duty.done"
        );
        Ok(())
    }

    /// In force now: they change with an epoch.
    async fn limits(&self) -> Result<LimitParams, ChainError> {
        let params: ParamsResponse = self.chain.query(&QueryMsg::Params {}).await?;
        Ok(params.in_force.params.limits)
    }

    async fn beacon(&self, round: Round) -> Result<HexBinary, DutyError> {
        let url = format!("{}/public/{round}", self.beacon_url.trim_end_matches('/'));
        let ask = || async {
            let response = self.client.get(&url).timeout(BEACON_TIMEOUT).send().await?;
            response.error_for_status()?.json::<BeaconRound>().await
        };
        let retries =
            ConstantBuilder::default().with_delay(Duration::from_secs(1)).with_max_times(BEACON_ATTEMPTS - 1);
        let answer = ask.retry(retries).await;
        let answer = answer.map_err(|source| DutyError::Beacon { round, url: url.clone(), source })?;
        if answer.round != round.0 {
            return Err(DutyError::OtherRound { round, url, found: answer.round });
        }
        Ok(answer.signature)
    }
}

/// Everything that anybody may do.
fn items(due: DueResponse) -> Vec<Item> {
    let beacons = due.beacons.into_iter().map(Item::Beacon);
    let draws = due.draws.into_iter().map(Item::Draw);
    let tallies = due.tallies.into_iter().map(|DueTally { batch, from }| Item::Tally { batch, from });
    let settlements =
        due.settlements.into_iter().map(|DueSettle { executor, epoch }| Item::Settle { executor, epoch });
    beacons.chain(draws).chain(tallies).chain(settlements).collect()
}

/// Nobody but us can claim for us.
fn turn_of(item: &Item, nodes: &[String], me: &str) -> usize {
    match item {
        Item::Claim(_) => 0,
        _ => rank(item, nodes, me),
    }
}

fn finish(turns: &mut Turns, item: &Item, result: Result<(), DutyError>) {
    let failures = turns.done(item, result.is_ok(), Instant::now());
    let Err(error) = result else { return };
    let (kind, id) = (item.kind(), item.id());
    let error = format!("{:#}", anyhow::Error::from(error));
    if failures < FAILURES_TO_WARN {
        // Somebody else was first, most of the time.
        tracing::debug!(duty.kind = kind, duty.id = id, duty.failures = failures, error, "duty.not_done");
    } else {
        tracing::warn!(duty.kind = kind, duty.id = id, duty.failures = failures, error, "duty.not_done");
    }
}

/// The nodes that take turns.
#[derive(Debug, Default)]
struct Nodes {
    addresses: Vec<String>,
    read: Option<Instant>,
}

impl Nodes {
    async fn refresh(&mut self, chain: &Chain) -> Result<(), ChainError> {
        if self.read.is_some_and(|read| read.elapsed() < NODES_AGE) {
            return Ok(());
        }
        let mut addresses = Vec::new();
        let mut start_after = None;
        loop {
            let query = QueryMsg::Nodes { start_after, limit: None };
            let page: Page<NodeResponse, String> = chain.query(&query).await?;
            // Who is leaving takes no turns: everybody after it would wait for nothing.
            let staying = page.items.into_iter().filter(|node| !node.stake.is_zero());
            addresses.extend(staying.map(|node| node.address));
            match page.next_start_after {
                Some(next) => start_after = Some(next),
                None => break,
            }
        }
        *self = Self { addresses, read: Some(Instant::now()) };
        Ok(())
    }
}
