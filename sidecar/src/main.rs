//! `assayd`: the node of an Assay network, and its offline tools. Only dispatches.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use assay_sidecar::config::Config;
use assay_sidecar::executor::answer::honest_factory;
use assay_sidecar::{accuse, answer, calibrate, doctor, register, request, session, simulate, stake, verify};
use clap::{Parser, Subcommand};

/// Verifies which model the nodes of an open inference network really run.
#[derive(Debug, Parser)]
#[command(name = "assayd", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a node: validator, and executor when configured.
    Run(ConfigArgs),
    /// Registers this node with its stake and endpoint.
    Register(register::RegisterArgs),
    /// Adds to this node's stake, or changes its models or endpoint.
    Update(stake::UpdateArgs),
    /// Takes a part of this node's stake back, or all.
    Unbond(stake::UnbondArgs),
    /// Pays out what has been unbonding for long enough.
    Withdraw(stake::WithdrawArgs),
    /// Checks chain, key, model, libtorch and device; one line each.
    Doctor(ConfigArgs),
    /// Opens a session with an executor, sends prompts, checks receipts.
    Request(request::RequestArgs),
    /// Adds to the escrow of a session.
    TopUp(session::TopUpArgs),
    /// Closes a session, or pays out one that is over.
    CloseSession(session::CloseArgs),
    /// Proves a fraud on chain, from an artifact or from a receipt.
    Accuse(accuse::AccuseArgs),
    /// Judges an artifact file against a model, offline.
    Verify(verify::VerifyArgs),
    /// Answers a prompt offline and writes its artifact.
    Answer(answer::AnswerArgs),
    /// Makes the judge's calibration from honest runs.
    Calibrate(calibrate::CalibrateArgs),
    /// Simulates the protocol's economics by the contract's own functions; text or JSON.
    Simulate(simulate::SimulateArgs),
}

#[derive(Debug, clap::Args)]
struct ConfigArgs {
    /// The node's configuration (TOML).
    #[arg(long, env = "ASSAY_CONFIG", default_value = "assayd.toml")]
    config: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    match dispatch(Arguments::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("assayd: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run(args) => assay_sidecar::run(Config::load(&args.config)?, honest_factory())
            .await
            .map(|()| ExitCode::SUCCESS),
        Command::Register(args) => register::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Update(args) => stake::update(args).await.map(|()| ExitCode::SUCCESS),
        Command::Unbond(args) => stake::unbond(args).await.map(|()| ExitCode::SUCCESS),
        Command::Withdraw(args) => stake::withdraw(args).await.map(|()| ExitCode::SUCCESS),
        Command::Doctor(args) => Ok(doctor::run(&Config::load(&args.config)?).await),
        Command::Request(args) => request::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::TopUp(args) => session::top_up(args).await.map(|()| ExitCode::SUCCESS),
        Command::CloseSession(args) => session::close(args).await.map(|()| ExitCode::SUCCESS),
        Command::Accuse(args) => accuse::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Answer(args) => answer::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Calibrate(args) => calibrate::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Simulate(args) => simulate::run(args).map(|()| ExitCode::SUCCESS),
    }
}
