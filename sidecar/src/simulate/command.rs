//! The command line of `assayd simulate`.

use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use assay_common::judge::Calibration;
use assay_common::params::PPM;
use assay_common::reputation::Reputation;

use super::conduct::{Attack, Conduct};
use super::contest::Trials;
use super::measured::results::{Results, Sizes};
use super::measured::scores::Scores;
use super::measured::{section, Basis};
use super::network::{Network, Summary};
use super::report;
use super::standing::Standing;
use super::terms::Terms;

/// Simulates executors, juries and money over many epochs, by the functions that the contract runs.
///
/// Amounts are units of the denomination; the defaults are the main net's parameters and its example of fees.
#[derive(Debug, clap::Args)]
pub struct SimulateArgs {
    /// What every chance follows from: the same seed gives the same output.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes the page docs/economics.md, of fixed size and parameters, and nothing else.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// A calibration, as `assayd calibrate` writes it: simulates its bins and histograms, or adds them to the page.
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Measured scores of honest cells and attacks under the calibration.
    #[arg(long, value_name = "FILE", requires = "calibration")]
    scores: Option<PathBuf>,
    /// The result as JSON.
    #[arg(long)]
    json: bool,
    /// Epochs of each run, and runs.
    #[arg(long, default_value_t = 60)]
    epochs: u32,
    #[arg(long, default_value_t = 20)]
    runs: u32,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    conduct: ConductArgs,
    #[command(flatten)]
    terms: TermsArgs,
}

/// The nodes.
#[derive(Debug, clap::Args)]
struct NetworkArgs {
    /// Nodes, all of the least stake; the first is the one that attacks.
    #[arg(long, default_value_t = 20, conflicts_with = "stakes")]
    nodes: u32,
    /// Stakes of the nodes, one for each.
    #[arg(long, value_delimiter = ',', value_name = "UNITS,…")]
    stakes: Vec<u64>,
    /// Share of the stake that is hostile on juries: for the attacker, against all honest nodes.
    #[arg(long, default_value_t = 0.0)]
    hostile: f64,
}

/// What the first node does.
#[derive(Debug, clap::Args)]
struct ConductArgs {
    #[arg(long, value_enum, default_value = "steady")]
    attack: Attack,
    /// Share of its inferences that it does not run as promised.
    #[arg(long, default_value_t = 0.1)]
    share: f64,
    /// Inferences that requesters ask of each node in an epoch.
    #[arg(long, default_value_t = 100)]
    volume: u32,
    /// Inferences of a batch; as few batches as the limits allow without it.
    #[arg(long)]
    batch: Option<u32>,
    /// Own one-token inferences beside each requester's while cheating.
    #[arg(long, default_value_t = 0)]
    fillers: u32,
    /// Earns reputation with own inferences where requesters ask for too few.
    #[arg(long)]
    self_dealing: bool,
    /// Claims one honest inference before a held batch.
    #[arg(long)]
    primed: bool,
    /// Share of the evidence's bound at which `throttle` pauses and `quit` leaves.
    #[arg(long, default_value_t = 0.8)]
    wary: f64,
    /// Goes on cheating after a forfeit.
    #[arg(long)]
    relapses: bool,
    /// Reputation of every node at the beginning.
    #[arg(long, default_value_t = 0.0)]
    reputation: f64,
}

/// Parameters and prices that differ from the main net's.
#[derive(Debug, clap::Args)]
struct TermsArgs {
    /// Share of honest artifacts that honest jurors call invalid, and of frauds that they do.
    #[arg(long, default_value_t = 0.001)]
    honest_fail: f64,
    #[arg(long, default_value_t = 1.0)]
    detection: f64,
    /// Honest failures that the evidence allows for (p₀), of a million.
    #[arg(long, value_name = "PPM")]
    p0: Option<u32>,
    /// Shares that the evidence tests for, of a million.
    #[arg(long, value_delimiter = ',', value_name = "PPM,PPM,PPM")]
    alternatives: Option<Vec<u32>>,
    /// Sampling rate at full reputation, of a million.
    #[arg(long, value_name = "PPM")]
    base_rate: Option<u32>,
    /// Price of an inference, its cost to an honest executor, to the cheat, and to a juror.
    #[arg(long)]
    fee: Option<i64>,
    #[arg(long)]
    generation: Option<i64>,
    #[arg(long)]
    cheat_generation: Option<i64>,
    #[arg(long)]
    recompute: Option<i64>,
}

/// Runs what the arguments say and prints it, or writes the page.
///
/// # Errors
/// A flag is out of its range, or the file cannot be written.
pub fn run(args: SimulateArgs) -> Result<()> {
    let measured = args.calibration.as_deref().map(|path| load(path, args.scores.as_deref())).transpose()?;
    if let Some(path) = &args.report {
        let page = report::page(args.seed, measured.as_ref());
        return std::fs::write(path, page).with_context(|| format!("{} cannot be written", path.display()));
    }
    if let Some(basis) = &measured {
        return print_measured(basis, &args);
    }
    let json = args.json;
    let summary = simulate(args)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        print!("{summary}");
    }
    Ok(())
}

/// Reads what was measured of a model.
///
/// # Errors
/// A file cannot be read, is none of its kind, or the two do not belong together.
pub fn load(calibration: &Path, scores: Option<&Path>) -> Result<Basis> {
    let read: Calibration = read(calibration)?;
    read.check(read.model).with_context(|| calibration.display().to_string())?;
    let mut basis = Basis { calibration: read, scores: None };
    if let Some(path) = scores {
        let scores: Scores = self::read(path)?;
        scores.check(&basis.calibration).with_context(|| path.display().to_string())?;
        basis.scores = Some(scores);
    }
    Ok(basis)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not of its kind", path.display()))
}

fn print_measured(basis: &Basis, args: &SimulateArgs) -> Result<()> {
    let results = Results::of(basis, &terms(&args.terms)?, Sizes::default(), args.seed);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&results)?);
    } else {
        print!("{}", section(basis, &results));
    }
    Ok(())
}

/// # Errors
/// A flag is out of its range.
fn simulate(args: SimulateArgs) -> Result<Summary> {
    let start = share("--reputation", args.conduct.reputation)?;
    let terms = terms(&args.terms)?;
    let conduct = conduct(&args.conduct)?;
    let network = network(args.network, &terms)?;
    ensure!(args.epochs > 0 && args.runs > 0, "--epochs and --runs must be above 0");
    let start = Standing::with(Reputation((start * f64::from(PPM)) as u32));
    let trials = Trials { start, epochs: args.epochs, runs: args.runs, seed: args.seed };
    Ok(network.run(&terms, conduct, &trials))
}

fn share(flag: &str, value: f64) -> Result<f64> {
    ensure!((0.0..=1.0).contains(&value), "{flag} is {value}: a share from 0 to 1 is expected");
    Ok(value)
}

fn terms(args: &TermsArgs) -> Result<Terms> {
    let mut terms = Terms::default();
    terms.judge.honest_fail = share("--honest-fail", args.honest_fail)?;
    terms.judge.detection = share("--detection", args.detection)?;
    terms.evidence.honest_fail_ppm = args.p0.unwrap_or(terms.evidence.honest_fail_ppm);
    if let Some(given) = &args.alternatives {
        terms.evidence.alternatives_ppm = given.as_slice().try_into().with_context(|| {
            format!("--alternatives has {} shares: three are expected, as 30000,100000,400000", given.len())
        })?;
    }
    terms.reputation.base_rate_ppm = args.base_rate.unwrap_or(terms.reputation.base_rate_ppm);
    let prices = &mut terms.prices;
    let given = [
        ("--fee", args.fee, &mut prices.fee),
        ("--generation", args.generation, &mut prices.generation),
        ("--cheat-generation", args.cheat_generation, &mut prices.cheat_generation),
        ("--recompute", args.recompute, &mut prices.recompute),
    ];
    for (flag, given, price) in given {
        *price = given.unwrap_or(*price);
        ensure!(
            (0..=1_000_000_000).contains(price),
            "{flag} is {price}: 0 to a thousand million is expected"
        );
    }
    check_evidence(&terms)?;
    Ok(terms)
}

fn check_evidence(terms: &Terms) -> Result<()> {
    let honest = terms.evidence.honest_fail_ppm;
    let rate = terms.reputation.base_rate_ppm;
    ensure!((1..=PPM).contains(&rate), "--base-rate is {rate}: 1 to {PPM} millionths are expected");
    ensure!((1..PPM).contains(&honest), "--p0 is {honest}: 1 to {} millionths are expected", PPM - 1);
    for alternative in terms.evidence.alternatives_ppm {
        ensure!(
            alternative > honest && alternative < PPM,
            "an alternative of {alternative} millionths is not between the honest share of {honest} and a million: give --alternatives"
        );
    }
    Ok(())
}

fn conduct(args: &ConductArgs) -> Result<Conduct> {
    ensure!((1..=1_000_000).contains(&args.volume), "--volume is {}: 1 to 1000000 expected", args.volume);
    ensure!(args.fillers <= 10_000, "--fillers is {}: at most 10000 expected", args.fillers);
    let size = args.batch.unwrap_or(1);
    ensure!(
        (1..=200).contains(&size),
        "--batch is {size}: 1 to 200 expected, what a window may check at rate 1"
    );
    Ok(Conduct {
        attack: args.attack,
        share: share("--share", args.share)?,
        volume: args.volume,
        batch: args.batch,
        fillers: args.fillers,
        self_dealing: args.self_dealing,
        primed: args.primed,
        wary: share("--wary", args.wary)?,
        relapses: args.relapses,
    })
}

fn network(args: NetworkArgs, terms: &Terms) -> Result<Network> {
    let least = u64::try_from(terms.prices.stake)?;
    let stakes = if args.stakes.is_empty() { vec![least; args.nodes as usize] } else { args.stakes };
    let (fewest, most) = (terms.jury.seats as usize + 1, terms.jury.most_nodes as usize);
    ensure!(
        (fewest..=most).contains(&stakes.len()),
        "there are {} nodes: {fewest} to {most} are expected",
        stakes.len()
    );
    ensure!(stakes.iter().all(|stake| *stake > 0), "a stake is 0: every stake must be above 0");
    Ok(Network { stakes, hostile: share("--hostile", args.hostile)? })
}
