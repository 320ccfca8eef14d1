//! One run: bring everything up, let it work for its epochs, say what came of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, Context, Result};
use assay_common::event::Event;
use assay_common::msg::{BatchResponse, DueResponse, Page, QueryMsg};
use tokio::task::JoinSet;
use tokio::time::{interval, Instant, MissedTickBehavior};

use crate::attack::Cheat;
use crate::beacon::now;
use crate::history::{History, Settlement, VerdictPageId};
use crate::parts::Parts;
use crate::setup::{self, Net, Wish};
use crate::standing::Standing;
use crate::summary::{Killed, Seen, Stopped, Summary};
use crate::table::{thousands, Screen};
use crate::{reform, requests, when_settled};

const TICK: Duration = Duration::from_millis(500);
/// Ticks between two looks at the nodes' standing, which cost a dozen queries.
const TICKS_PER_LOOK: u64 = 4;
/// How late the last settlement may be on a slow machine, in seconds.
const PATIENCE: u64 = 120;

/// What the command line asks for.
#[derive(Debug)]
pub struct Options {
    pub cheat: Cheat,
    pub epochs: u64,
    pub keep: bool,
    /// A program that is run when all is settled.
    pub when_settled: Option<PathBuf>,
    pub summary: Option<PathBuf>,
    /// Name of the node that is killed between its first commitment and its reveal.
    pub kill: Option<String>,
    /// Validators of the chain.
    pub validators: usize,
    /// Whether the first of them is killed when the first samples are drawn.
    pub stop_validator: bool,
}

/// Runs the whole scenario in an empty directory.
pub async fn run(options: &Options, parts: &Parts, dir: &Path) -> Result<()> {
    let begin = Instant::now();
    let mut screen = Screen::new();
    let Options { cheat, epochs, validators, .. } = *options;
    let wish = Wish { parts, dir, cheat, epochs, validators };
    let (net, customers) = setup::start(&wish, &mut screen).await?;
    let schedule = net.schedule;
    let wait = schedule.asks(schedule.first, 0).saturating_sub(now()?);
    screen.say(&format!("ready after {} s; questions begin in {wait} s", begin.elapsed().as_secs()));

    let tasks = requests::start(customers, schedule);
    let mut run = Run {
        net,
        screen,
        tasks,
        history: History::default(),
        standings: Vec::new(),
        fate: None,
        must_stop: options.stop_validator,
        disturbed: false,
        stopped: None,
    };
    let fate = options.kill.as_deref();
    let outcome = run.work(fate).await;
    run.screen.print(run.title(), &run.standings);
    outcome?;

    let killed = run.fate.as_ref().zip(fate).map(|(page, name)| Killed::new(name, page, &run.history));
    let stopped = run.stopped.take();
    let told = match &options.when_settled {
        Some(program) => Some(when_settled::run(program, &run.net).await?),
        None => None,
    };
    let seen = Seen { history: &run.history, killed, stopped, told, run: begin.elapsed() };
    let summary = Summary::collect(&run.net, &run.standings, seen).await?;
    match &options.summary {
        Some(path) => summary.write(path)?,
        None => println!("{}", serde_json::to_string_pretty(&summary)?),
    }
    if options.keep {
        run.stay().await?;
    }
    Ok(())
}

struct Run {
    net: Net,
    screen: Screen,
    tasks: JoinSet<Result<()>>,
    history: History,
    standings: Vec<Standing>,
    /// The verdicts whose juror was killed before it could reveal them.
    fate: Option<VerdictPageId>,
    /// Whether a validator is to be killed.
    must_stop: bool,
    /// Whether jurors have begun, and what is to happen while they work has.
    disturbed: bool,
    stopped: Option<Stopped>,
}

impl Run {
    /// Watches until every epoch of every node is settled.
    async fn work(&mut self, kill: Option<&str>) -> Result<()> {
        let deadline = self.net.schedule.settled() + PATIENCE;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for tick in 0u64.. {
            ticks.tick().await;
            self.check_alive()?;
            self.read_blocks(kill).await?;
            if tick % TICKS_PER_LOOK == 0 {
                self.standings = Standing::read_all(&self.net.chain, &self.net.nodes).await?;
                self.screen.update(self.title(), &self.standings);
                if self.is_settled() {
                    break;
                }
            }
            if now()? > deadline {
                bail!("not settled {PATIENCE} s after its time: {}", self.diagnosis().await?);
            }
        }
        // The blocks up to the standing that ended the run.
        self.read_blocks(None).await
    }

    fn check_alive(&mut self) -> Result<()> {
        self.net.network.check_alive()?;
        for node in &mut self.net.nodes {
            node.check_alive()?;
        }
        while let Some(ended) = self.tasks.try_join_next() {
            ended.context("a task of the scenario has panicked")??;
        }
        Ok(())
    }

    async fn read_blocks(&mut self, kill: Option<&str>) -> Result<()> {
        for event in self.history.follow(&self.net.chain).await? {
            match &event {
                Event::VerdictsCommitted { juror, window, page } if self.fate.is_none() => {
                    let id = VerdictPageId { juror: juror.clone(), window: *window, page: *page };
                    let victim = self.net.nodes.iter_mut().find(|node| node.address == *juror);
                    let Some(node) = victim.filter(|node| kill == Some(node.name)) else { continue };
                    node.kill_and_restart().await?;
                    let name = node.name;
                    self.fate = Some(id);
                    self.screen.say(&format!(
                        "{name} is killed between its commitment and its reveal of window {window}, and started again"
                    ));
                }
                Event::FraudProven { executor, epoch, finding, accuser, .. } => {
                    let (accuser, executor) = (self.name(accuser), self.name(executor));
                    self.screen.say(&format!(
                        "{accuser} proves on chain that {executor} commits a fraud in epoch {epoch}: {finding}"
                    ));
                }
                Event::Drawn { .. } if !self.disturbed => self.disturb().await?,
                Event::ParamChanged { epoch, field, before, after, .. } => self.screen.say(&format!(
                    "the gov module changes {field} from {before} to {after}, from epoch {epoch} on"
                )),
                Event::Settled { executor, epoch, .. } => {
                    let settlement = self.history.settlements.get(&(executor.clone(), *epoch)).cloned();
                    if let Some(settlement) = settlement {
                        self.tell(executor, &format!("epoch {epoch}"), &settlement);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What happens to the network while jurors work, early in the first epoch.
    async fn disturb(&mut self) -> Result<()> {
        self.disturbed = true;
        if self.must_stop {
            self.stop_validator().await?;
        }
        let next = self.net.schedule.first.next();
        self.tasks.spawn(reform::make(self.net.governance.clone(), next));
        Ok(())
    }

    async fn stop_validator(&mut self) -> Result<()> {
        let validator = self.net.network.stop_first().await?;
        // Of four nodes on four validators or more, each has another for its first choice.
        let used_by = self.net.nodes[0].name;
        self.screen
            .say(&format!("{validator} is killed, whose RPC {used_by}, the requester and this program use"));
        self.stopped = Some(Stopped { validator, used_by, height: self.history.height() });
        Ok(())
    }

    fn name<'a>(&self, address: &'a str) -> &'a str {
        let node = self.net.nodes.iter().find(|node| node.address == address);
        node.map_or(address, |node| node.name)
    }

    fn tell(&mut self, executor: &str, epoch: &str, settlement: &Settlement) {
        let name = self.name(executor);
        let line = if settlement.forfeited {
            format!("{name} forfeits {epoch}: {} of its stake are slashed", thousands(settlement.slashed))
        } else {
            format!("{name} is paid {} for {epoch}", thousands(settlement.reward))
        };
        self.screen.say(&line);
    }

    fn is_settled(&self) -> bool {
        let all_of = |standing: &Standing| self.net.schedule.all().all(|epoch| standing.is_settled(epoch));
        !self.standings.is_empty() && self.standings.iter().all(all_of)
    }

    fn title(&self) -> String {
        let clock = &self.net.schedule.clock;
        let time = match now().ok().and_then(|now| clock.window(now)) {
            None => "before the start".to_owned(),
            Some(window) => format!("epoch {}, window {window}", clock.epoch(window)),
        };
        format!("{time}, block {}", self.history.height())
    }

    /// What is still open, and the ends of all logs.
    async fn diagnosis(&self) -> Result<String> {
        let mut lines = Vec::new();
        for standing in &self.standings {
            for epoch in self.net.schedule.all().filter(|epoch| !standing.is_settled(*epoch)) {
                lines.push(match standing.epoch(epoch) {
                    None => format!("{}: nothing was committed in epoch {epoch}", standing.name),
                    Some(open) => format!("{}: {open:?}", standing.name),
                });
            }
        }
        let chain = &self.net.chain;
        let batches: Page<BatchResponse, assay_common::ids::BatchId> =
            chain.query(&QueryMsg::Batches { start_after: None, limit: None }).await?;
        let open = batches.items.iter().filter(|batch| batch.closed < batch.samples);
        lines.extend(open.map(|batch| format!("open: {batch:?}")));
        let due: DueResponse = chain.query(&QueryMsg::Due { limit: None }).await?;
        lines.push(format!("due: {due:?}"));
        lines.extend(self.net.nodes.iter().map(|node| node.tail()));
        lines.push(self.net.network.tails());
        Ok(lines.join("\n"))
    }

    /// Until Ctrl-C.
    async fn stay(&mut self) -> Result<()> {
        let (chain, beacon) = (self.net.network.rpcs(0).join(" "), self.net.beacon.url());
        let contract = &self.net.chain.domain().contract;
        println!("still up, until Ctrl-C: chain {chain}, contract {contract}, beacon {beacon}");
        for node in &self.net.nodes {
            println!("  {} {}", node.name, node.endpoint);
        }
        loop {
            tokio::time::sleep(TICK).await;
            self.check_alive()?;
        }
    }
}
