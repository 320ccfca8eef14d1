//! The page docs/economics.md: fixed sizes and parameters, so that one seed gives one text.

use assay_common::draw::sample_count;
use assay_common::params::PPM;
use assay_common::reputation::Reputation;

use super::attacks;
use super::capture::{count, exact, Pool};
use super::conduct::Conduct;
use super::contest::Trials;
use super::figures::{amount, paying, percent, signed_percent, significant, table, whole};
use super::gain::{loss, tolerated, Gain};
use super::honest::Honest;
use super::interval::Rate;
use super::measured::results::{Results, Sizes};
use super::measured::{self, Basis};
use super::network::{Network, Summary};
use super::standing::Standing;
use super::terms::Terms;

/// Juries drawn for each hostile share, and the identities that a fully split pool is drawn from.
const JURIES: u64 = 60_000;
const IDENTITIES: u32 = 20_000;
/// Cheats condemned for each share of the gain table.
const CONDEMNED: u64 = 8_001;
/// Honest nodes, and the epochs of each, in the table of false forfeits.
const HONEST: (u32, u32) = (200, 1_000);

/// The whole page, in Markdown; without measurements it has no section on them.
pub fn page(seed: u64, basis: Option<&Basis>) -> String {
    let terms = Terms::default();
    let under_calibration = |basis: &Basis| {
        let results = Results::of(basis, &terms, Sizes::default(), seed);
        measured::section(basis, &results)
    };
    [
        introduction(seed, basis),
        captured(&terms, seed),
        crowded(&terms, seed),
        gains(&terms, seed),
        lever(&terms, seed),
        attacks::section(&terms, seed),
        honest(&terms, seed),
        network(&terms, seed),
    ]
    .into_iter()
    .chain(basis.map(under_calibration))
    .collect::<Vec<_>>()
    .join("\n")
}

fn introduction(seed: u64, basis: Option<&Basis>) -> String {
    let flags = match basis {
        Some(Basis { scores: Some(_), .. }) => CALIBRATION.to_owned() + SCORES,
        Some(_) => CALIBRATION.to_owned(),
        None => String::new(),
    };
    format!(
        "{}\n```\nassayd simulate --seed {seed}{flags} --report docs/economics.md\n```\n{}",
        BEFORE, AFTER
    )
}

/// Where the page's measurements are.
const CALIBRATION: &str = " --calibration docs/science/calibration.json";
const SCORES: &str = " --scores docs/science/scores.json";

const BEFORE: &str = "# Economics

What cheating earns under this protocol, what honest nodes risk, and what checking costs. This page is the output of
";

const AFTER: &str = "
and a test checks that it still is: whoever changes a rule of the draw, the verdicts, the evidence or the reputation changes this page.
`assayd simulate --help` lists what can be tried beside it; the same seed gives the same output.

**What runs.** The functions that the contract runs, from `assay-common`: the number of samples and the seats (`draw`), what a jury's
verdicts amount to at both levels (`verdict`), the evidence and its bound (`evidence`), reputation and rate (`reputation`). The
simulation adds who does what, and the money. The evidence knows only whether a check passed, and how long the answer is; the
finer bins of a model's calibration have a section of their own, the last, where one was measured.

**Exact, or simulated.** A figure without a range is computed; a simulated one has an interval of 99 % (Clopper–Pearson for a share,
order statistics for a median) or, where it says so, the range of the middle nine tenths of the runs.

**Assumed.** An honest juror tells frauds from honest answers without error, unless a table says otherwise; all honest jurors of a
sample say the same of it; hostile ones act as one. A fee is 1,000 units; an honest answer costs its executor 600, a cheat's 300; a
verdict pays 70, the recomputation that it needs costs 53; a stake is 10,000,000, a forfeit takes a tenth. An epoch is a day of 24
windows. Not counted: capital, gas, what a lost name costs, what a cheat's identities earn on juries. A slashed node tops its stake up.
";

fn captured(terms: &Terms, seed: u64) -> String {
    let row = |hostile: f64| {
        let pool = Pool::Split { hostile };
        let exact = exact(&pool, &terms.jury);
        let counted = count(&pool, &pool.bench(IDENTITIES), &terms.jury, JURIES, seed);
        vec![
            percent(hostile),
            beside(exact.passes, &counted.passes),
            beside(exact.framed, &counted.framed),
            beside(exact.confirmed, &counted.confirmed),
        ]
    };
    let rows: Vec<_> = [0.1, 0.2, 0.25, 1.0 / 3.0, 0.4].map(row).into();
    let table =
        table(&["hostile stake", "a fraud passes", "an honest answer fails", "a fraud is confirmed"], &rows);
    let jury = &terms.jury;
    format!(
        "## Captured juries\n
A jury of {}, all {} seats where it is contested, two thirds of them needed. The hostile stake is split into so many identities that every
seat is an independent draw; it votes Valid for its own frauds and Invalid against everybody else's honest answers. First the exact
binomial, in brackets what {} juries drawn by the contract's function from {} equal stakes gave.\n
{table}
What is neither passed nor confirmed ends as inconclusive, which is no evidence. These are the design's figures.\n",
        jury.seats, jury.full_seats, amount(JURIES as f64), amount(f64::from(IDENTITIES)),
    )
}

fn beside(exact: f64, counted: &Rate) -> String {
    format!("{} ({} to {})", significant(exact), significant(counted.low), significant(counted.high))
}

/// The same where the honest stake is in few nodes.
fn crowded(terms: &Terms, seed: u64) -> String {
    let most = terms.jury.most_nodes;
    let row = |honest: u32| {
        let hostile = most - honest;
        // A third of the stake in identities of equal stakes, two thirds in the honest nodes.
        let pool = Pool::Nodes {
            hostile,
            hostile_stake: u64::from(honest) * 1_000,
            honest,
            honest_stake: 2 * u64::from(hostile) * 1_000,
        };
        let exact = exact(&pool, &terms.jury);
        let counted = count(&pool, &pool.bench(most), &terms.jury, JURIES / 4, seed);
        vec![
            honest.to_string(),
            significant(2.0 * f64::from(hostile) / f64::from(honest)),
            beside(exact.passes, &counted.passes),
            beside(exact.framed, &counted.framed),
            beside(exact.confirmed, &counted.confirmed),
        ]
    };
    let rows: Vec<_> = [7, 10, 20, 50, 100, 341].map(row).into();
    let head = [
        "honest nodes",
        "stake of each, in hostile stakes",
        "a fraud passes",
        "an honest answer fails",
        "a fraud is confirmed",
    ];
    format!(
        "### Few honest nodes, many hostile identities\n
A node sits on a jury once. Where the honest stake is in few nodes, {} seats use them up, and a third of the stake in many small
identities gets more of the seats than of the stake: the binomial is the best case for the honest, not the worst. Here a third of the
stake is hostile, in as many identities as a table of {most} nodes has room for; exact for these nodes, in brackets {} juries.\n
{}
So the figures above hold from some hundred honest nodes on, none of them much larger than the least stake. The levers: honest stake
spread over as many nodes as it is minima, a full jury far smaller than the number of honest nodes, or seats that a node may hold twice.\n",
        terms.jury.full_seats,
        amount((JURIES / 4) as f64),
        table(&head, &rows),
    )
}

const SHARES: [f64; 6] = [1.0, 0.5, 0.2, 0.1, 0.05, 0.03];

fn gain_table(terms: &Terms, shares: &[f64], volumes: (u32, u32), seed: u64) -> String {
    let losses = (loss(terms, volumes.0), loss(terms, volumes.1));
    let row = |share: &f64| {
        let gain = Gain::of(terms, *share, CONDEMNED, seed);
        let nets = (gain.gain - losses.0, gain.gain - losses.1);
        vec![
            percent(*share),
            format!(
                "{} ({} to {})",
                whole(gain.audits.value),
                whole(gain.audits.low),
                whole(gain.audits.high)
            ),
            amount(gain.gain),
            paying(nets.0),
            signed_percent(nets.0 / gain.honest_profit),
            paying(nets.1),
        ]
    };
    let rows: Vec<_> = shares.iter().map(row).collect();
    let (small, large) = (
        format!("net, {} an epoch", amount(volumes.0.into())),
        format!("net, {} an epoch", amount(volumes.1.into())),
    );
    table(
        &["cheated share", "audits to the forfeit, median", "gain", &small, "of honest profit", &large],
        &rows,
    )
}

fn gains(terms: &Terms, seed: u64) -> String {
    let full = Reputation(PPM);
    let margin = |reputation| amount(terms.honest_profit(1.0, reputation));
    format!(
        "## What cheating earns\n
An executor of full reputation, checked at 1 %, cheats on a share of its answers until its evidence, empty at first, reaches the bound.
The forfeit costs it the slash, the epoch's pay, and 30 epochs of dearer checks: {} at 100 inferences an epoch, {} at 10,000.
Medians of {} cheats; gains and nets are computed from them. **Bold** pays.\n
{}
An honest inference earns {} at rate 1 and {} at 1 %.\n
{}",
        amount(loss(terms, 100)),
        amount(loss(terms, 10_000)),
        amount(CONDEMNED as f64),
        gain_table(terms, &SHARES, (100, 10_000), seed),
        margin(Reputation(0)),
        margin(full),
        differences(terms),
    )
}

fn differences(terms: &Terms) -> String {
    let full = Reputation(PPM).rate_q32(&terms.reputation);
    let jury = &terms.jury;
    format!(
        "**Where this differs from the design.** Costs and margins agree. The design has 9, 213, 872 and 2,249 audits for 100, 10, 5 and 3 %:
the evidence as it is built condemns somewhat earlier, so that 5 % is a small loss instead of nothing. And the table, like the design's,
leaves out three rules of the contract, which the next tables have:\n
- Reputation rises only in epochs with {} checked inferences. A node of 100 an epoch never comes to 1 %: it stays at the rate at which
  about {} of its hundred are checked. It is in this table only if it was larger once.
- At most {} samples in a window: at rate 1 a node of 10,000 an epoch can commit {} of them, so a forfeit costs it more than above.
- The rate is rounded up, and the number of samples again: a batch of 100 at 1 % has {} samples, one of 99 has {}.\n",
        terms.reputation.min_checked,
        terms.reputation.min_checked,
        jury.samples_per_window,
        amount(f64::from(jury.samples_per_window * jury.windows_per_epoch)),
        sample_count(full, 100),
        sample_count(full, 99),
    )
}

fn lever(terms: &Terms, seed: u64) -> String {
    let lower = terms.clone().with_measured_failures();
    let shares = [0.1, 0.05, 0.03, 0.02, 0.01, 0.005];
    let [first, second, third] = lower.evidence.alternatives_ppm.map(|ppm| percent(f64::from(ppm) / 1e6));
    format!(
        "### The lever: a lower p₀\n
A cheat of 3 % looks much like an honest node that fails 1 % of its audits, which the evidence must allow for. With p₀ = 0.1 %, measured
in a model's calibration, and alternatives of {first}, {second} and {third}:\n
{}
A cheat that keeps to {} of its answers is hardly ever condemned at p₀ = 1 %, nor one that keeps to {} at 0.1 %: there passes take
back what failures add. That is the share that the evidence tolerates, in whatever order the frauds come.\n",
        gain_table(&lower, &shares, (100, 10_000), seed),
        percent(tolerated(terms)),
        percent(tolerated(&lower)),
    )
}

fn honest(terms: &Terms, seed: u64) -> String {
    let row = |failing: f64| {
        let honest = Honest::count(terms, failing, HONEST, seed);
        let forfeits = &honest.forfeits;
        vec![
            percent(failing),
            amount(forfeits.hits as f64),
            amount(forfeits.trials as f64),
            format!("{} to {}", significant(forfeits.low), significant(forfeits.high)),
        ]
    };
    let rows: Vec<_> = [0.001, 0.01, 0.015, 0.02, 0.03].map(row).into();
    format!(
        "## Honest nodes\n
Forfeits of honest executors whose answers fail now and then, at {} audits an epoch. The evidence promises fewer than 1e-9 over 10,000
audits, 1e-11 an epoch here, up to a failing share of p₀ = 1 %, by Ville's inequality: nothing of that size can be counted, so the first
rows only show that it is not badly wrong. Above p₀ the promise ends: a node whose stack fails 2 % of its audits is condemned as a cheat
of 2 % is.\n
{}\n",
        super::honest::AUDITS_PER_EPOCH,
        table(&["failing share", "forfeits", "node-epochs", "99 % interval of the rate"], &rows),
    )
}

fn network(terms: &Terms, seed: u64) -> String {
    let rows: Vec<_> = [0.0, 0.2, 1.0 / 3.0].map(|hostile| network_row(terms, hostile, seed)).into();
    let head = [
        "hostile stake",
        "seats a node and epoch",
        "of the busiest",
        "recomputing / generating",
        "checks / fees",
        "honest forfeits of node-epochs (99 %)",
        "honest profit a node and epoch",
        "contested honest samples",
    ];
    format!(
        "## Load and fees\n
Sixty nodes of equal stake from their first day, 90 epochs of 200 inferences each, all executors honest, honest jurors wrong about 0.1 %
of their answers. Hostile jurors accuse every answer of the others.\n
{}
A juror earns {} a verdict after its recomputation. False accusations do not condemn anybody: most end as Valid or as split. But a third
of the stake can make everybody recompute nearly everything it is asked to generate, and by its splits keep epochs under the conclusive
share that reputation needs, so that honest nodes stay at rate 1. The accusers lose their pay and, where they are overruled, pay for the
new seats of level 2; where the full jury splits, the honest executor pays, up to 1 % of the epoch's fees, which
the profit above includes.\n",
        table(&head, &rows),
        terms.prices.verdict() - terms.prices.recompute,
    )
}

fn network_row(terms: &Terms, hostile: f64, seed: u64) -> Vec<String> {
    let mut terms = terms.clone();
    terms.judge.honest_fail = 0.001;
    let stake = u64::try_from(terms.prices.stake).unwrap_or(u64::MAX);
    let network = Network { stakes: vec![stake; 60], hostile };
    let trials = Trials { start: Standing::default(), epochs: 90, runs: 1, seed };
    let Summary { hostile_stake, load, fees, honest, .. } =
        network.run(&terms, Conduct::honest(200), &trials);
    vec![
        percent(hostile_stake),
        amount(load.seats_of_mean_node),
        amount(load.seats_of_busiest_node),
        percent(load.recompute_ppm as f64 / 1e6),
        percent(fees.checks / fees.claimed),
        format!(
            "{} of {} ({} to {})",
            honest.forfeits.hits,
            amount(honest.forfeits.trials as f64),
            significant(honest.forfeits.low),
            significant(honest.forfeits.high)
        ),
        amount(honest.profit),
        percent(honest.contested.share()),
    ]
}
