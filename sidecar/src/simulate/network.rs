//! A whole network: one node that may cheat, the others honest, some of their stake hostile when it sits on juries.

use serde::Serialize;

use super::bench::{Bench, Hostility};
use super::career::{Career, Court, Ledger};
use super::chance::Chance;
use super::conduct::Conduct;
use super::contest::{contest, Contest, Trials};
use super::interval::Rate;
use super::terms::Terms;

/// Who is on the network.
#[derive(Clone, Debug, Serialize)]
pub struct Network {
    /// Stake of each node; node 0 is the one whose conduct is tried.
    pub stakes: Vec<u64>,
    /// Share of all stake that is hostile on juries: the last nodes, up to this share.
    pub hostile: f64,
}

/// How the honest executors fared.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct HonestSummary {
    pub nodes: u32,
    /// Epochs that ended in a forfeit, of all node-epochs.
    pub forfeits: Rate,
    /// Profit of a node in an epoch.
    pub profit: f64,
    /// Samples of which level 1 came to no end.
    pub contested: Rate,
}

/// What the checking asks of the nodes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LoadSummary {
    /// Samples and seats in an epoch, over the network.
    pub samples: f64,
    pub seats: f64,
    /// Seats of a node in an epoch: in the mean, and of the node with the most.
    pub seats_of_mean_node: f64,
    pub seats_of_busiest_node: f64,
    /// Cost of recomputing them, of a million of what the network's generation costs.
    pub recompute_ppm: u64,
}

/// Where the fees of an epoch go, over the network; amounts in units of the denomination.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FeeSummary {
    pub claimed: f64,
    pub refunded: f64,
    pub checks: f64,
    pub reserve: f64,
    pub slashed: f64,
}

/// Everything that a simulated network came to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub seed: u64,
    pub epochs: u32,
    pub runs: u32,
    pub nodes: usize,
    pub hostile_nodes: usize,
    pub hostile_stake: f64,
    pub conduct: Conduct,
    pub terms: Terms,
    pub cheat: Contest,
    pub honest: HonestSummary,
    pub load: LoadSummary,
    pub fees: FeeSummary,
}

impl Network {
    /// The nodes with whether each is hostile: the last ones, as many as fit into the share; never node 0.
    fn seated(&self) -> Vec<(u128, bool)> {
        let total: u128 = self.stakes.iter().map(|stake| u128::from(*stake)).sum();
        let mut left = self.hostile * total as f64;
        let mut nodes: Vec<(u128, bool)> =
            self.stakes.iter().map(|stake| (u128::from(*stake), false)).collect();
        for node in nodes.iter_mut().skip(1).rev() {
            left -= node.0 as f64;
            node.1 = left >= 0.0;
            if !node.1 {
                break;
            }
        }
        nodes
    }

    /// Lives through the epochs, `trials.runs` times.
    pub fn run(&self, terms: &Terms, conduct: Conduct, trials: &Trials) -> Summary {
        let nodes = self.seated();
        let bench = Bench::new(&nodes);
        let mut seats = vec![0; nodes.len()];
        let (cheat, mut all) = contest(terms, (conduct, conduct.twin()), trials, Some(&bench), &mut seats);
        let mut fair = Vec::new();
        for (executor, (_, hostile)) in nodes.iter().enumerate().skip(1) {
            for run in 0..trials.runs {
                let chance = Chance::new(trials.seed, &format!("node {executor}"), u64::from(run));
                let hostility = if *hostile { Hostility::Protects } else { Hostility::Frames };
                let court = Court::Drawn { bench: &bench, executor, hostility, seats: &mut seats };
                let honest = Conduct::honest(conduct.volume);
                let ledger = Career::new(terms, honest, trials.start, court, chance).run(trials.epochs);
                let kept = if *hostile { &mut all } else { &mut fair };
                kept.push(ledger);
            }
        }
        let honest = honest(&fair, trials);
        all.append(&mut fair);
        let stake = |hostile: bool| {
            nodes.iter().filter(|node| node.1 || !hostile).map(|node| node.0).sum::<u128>() as f64
        };
        let epochs = f64::from(trials.epochs) * f64::from(trials.runs);
        Summary {
            seed: trials.seed,
            epochs: trials.epochs,
            runs: trials.runs,
            nodes: nodes.len(),
            hostile_nodes: nodes.iter().filter(|node| node.1).count(),
            hostile_stake: stake(true) / stake(false),
            conduct,
            terms: terms.clone(),
            honest,
            load: load(terms, &all, &seats, epochs),
            fees: fees(&all, epochs),
            cheat,
        }
    }
}

fn honest(ledgers: &[Ledger], trials: &Trials) -> HonestSummary {
    let node_epochs = ledgers.len() as u64 * u64::from(trials.epochs);
    let profit: i64 = ledgers.iter().map(|ledger| ledger.profit).sum();
    let forfeits = ledgers.iter().map(|ledger| u64::from(ledger.forfeits)).sum();
    let contested = ledgers.iter().map(|ledger| ledger.contested).sum();
    HonestSummary {
        nodes: u32::try_from(ledgers.len()).unwrap_or(u32::MAX) / trials.runs.max(1),
        forfeits: Rate::new(forfeits, node_epochs),
        profit: profit as f64 / node_epochs.max(1) as f64,
        contested: Rate::new(contested, ledgers.iter().map(|ledger| ledger.samples).sum()),
    }
}

fn load(terms: &Terms, ledgers: &[Ledger], seats: &[u64], epochs: f64) -> LoadSummary {
    let all: u64 = seats.iter().sum();
    let samples: u64 = ledgers.iter().map(|ledger| ledger.samples).sum();
    let inferences: u64 = ledgers.iter().map(|ledger| ledger.inferences).sum();
    let generation = inferences as f64 * terms.prices.generation as f64;
    let recompute = all as f64 * terms.prices.recompute as f64;
    LoadSummary {
        samples: samples as f64 / epochs,
        seats: all as f64 / epochs,
        seats_of_mean_node: all as f64 / seats.len() as f64 / epochs,
        seats_of_busiest_node: seats.iter().copied().max().unwrap_or(0) as f64 / epochs,
        recompute_ppm: (recompute / generation.max(1.0) * 1e6) as u64,
    }
}

fn fees(ledgers: &[Ledger], epochs: f64) -> FeeSummary {
    let sum = |of: fn(&Ledger) -> i64| ledgers.iter().map(of).sum::<i64>() as f64 / epochs;
    FeeSummary {
        claimed: sum(|ledger| ledger.fees + ledger.refunded),
        refunded: sum(|ledger| ledger.refunded),
        checks: sum(|ledger| ledger.checks),
        reserve: sum(|ledger| ledger.reserve),
        slashed: sum(|ledger| ledger.slashed),
    }
}
