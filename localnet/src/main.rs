//! The local network from the command line.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{bail, ensure, Context, Result};
use assay_localnet::accounts::NODES;
use assay_localnet::attack::{Attack, Cheat, Share};
use assay_localnet::network::MIN_TO_STOP_ONE;
use assay_localnet::parts::Parts;
use assay_localnet::rundir::RunDir;
use assay_localnet::scenario::{self, Options};
use assay_localnet::{cheat_node, gas};
use assay_sidecar::config::Config;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{signal, SignalKind};
use tracing_subscriber::EnvFilter;

/// Runs a chain, a beacon, four nodes and a requester until every epoch is settled.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Args)]
struct RunArgs {
    /// What the last of the four nodes does as executor; as juror it is honest.
    #[arg(long, value_enum, default_value = "int4-g32")]
    cheat: Attack,
    /// On how many of its answers it does that, in percent; which ones, their seeds decide.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    cheat_share: u8,
    /// Epochs to settle.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=20))]
    epochs: u64,
    /// Validators of the chain, with equal power.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=7))]
    validators: u8,
    /// Kills the first validator when the first samples are drawn; needs `--validators 4` or more.
    #[arg(long)]
    stop_validator: bool,
    /// Stays up when all is settled, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// A program that is run when all is settled, while everything is up: ASSAY_RPC and ASSAY_CONTRACT tell it where the contract
    /// is, its output is part of the summary, and if it fails, so does the run.
    #[arg(long, value_name = "PROGRAM")]
    when_settled: Option<PathBuf>,
    /// Where the summary is written as JSON; without it, to standard output.
    #[arg(long)]
    summary: Option<PathBuf>,
    /// Kills this node between its first commitment to verdicts and their reveal, and starts it again.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(NODES))]
    kill_before_reveal: Option<String>,
    /// A new or empty directory for logs, keys and databases, which is kept; without it, one that is deleted at success.
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Measures what every message costs on a real chain, and prints the tables; fails where a limit is not kept.
    Gas {
        /// A new or empty directory for the chain and its log, which is kept; without it, one that is deleted at success.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Runs one node that cheats as executor, as `assayd run` runs an honest one.
    #[command(hide = true)]
    CheatNode {
        #[arg(long, value_enum)]
        kind: Attack,
        #[arg(long)]
        share: u8,
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("assay-localnet: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Runtime::new().context("no async runtime")?;
    match cli.command {
        Some(Command::CheatNode { kind, share, config }) => {
            let cheat = Cheat::new(kind, Share::percent(share)?)?;
            runtime.block_on(async { cheat_node::run(cheat, Config::load(&config)?).await })
        }
        Some(Command::Gas { dir }) => runtime.block_on(measure(dir)),
        None => runtime.block_on(run(cli.run)),
    }
}

async fn measure(dir: Option<PathBuf>) -> Result<()> {
    let dir = RunDir::new(dir)?;
    match gas::run(dir.path()).await {
        Ok(kept) => {
            dir.close()?;
            ensure!(kept, "a limit is not kept");
            Ok(())
        }
        Err(error) => bail!("{error:#}\nthe chain's log: {}", dir.keep().display()),
    }
}

async fn run(args: RunArgs) -> Result<()> {
    ensure!(
        !args.stop_validator || usize::from(args.validators) >= MIN_TO_STOP_ONE,
        "--stop-validator needs --validators {MIN_TO_STOP_ONE} or more: with fewer, the rest has no two thirds and the \
         chain halts"
    );
    let parts = Parts::find()?;
    let dir = RunDir::new(args.dir)?;
    let options = Options {
        cheat: Cheat::new(args.cheat, Share::percent(args.cheat_share)?)?,
        epochs: args.epochs,
        keep: args.keep,
        when_settled: args.when_settled,
        summary: args.summary,
        kill: args.kill_before_reveal,
        validators: args.validators.into(),
        stop_validator: args.stop_validator,
    };
    let mut terminated = signal(SignalKind::terminate())?;
    let outcome = tokio::select! {
        outcome = scenario::run(&options, &parts, dir.path()) => outcome,
        interrupted = tokio::signal::ctrl_c() => match interrupted {
            // With --keep this is how a run is meant to end.
            Ok(()) if options.keep => Ok(()),
            Ok(()) => Err(anyhow::anyhow!("interrupted")),
            Err(error) => Err(error.into()),
        },
        _ = terminated.recv() => Err(anyhow::anyhow!("terminated")),
    };
    match outcome {
        Ok(()) => dir.close(),
        Err(error) => {
            let kept = dir.keep();
            bail!("{error:#}\nlogs and databases: {}", kept.display())
        }
    }
}
