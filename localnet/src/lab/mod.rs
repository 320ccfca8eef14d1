//! The laboratory: what is known of the judge comes out of here. Cells and attacks answer, a juror's measurement of their answers is
//! kept as traces, and traces become calibrations, tables and figures.
//!
//! `docs/traces.md` is the format, `docs/science.md` has the results.

pub mod answers;
pub mod calibrate;
pub mod executor;
pub mod hidden;
pub mod machine;
pub mod plan;
pub mod prompts;
pub mod report;
pub mod trace;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures what the judge can tell apart.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Lab {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lets a cell or an attack answer prompts, or reads another engine's answers, and measures each as a juror does.
    Trace(trace::TraceArgs),
    /// Makes a calibration out of honest traces.
    Calibrate(calibrate::CalibrateArgs),
    /// Makes results.json, figures and the tables of docs/science.md out of traces.
    Report(report::ReportArgs),
    /// Makes the traces of a plan that are not there yet, then the report.
    Figures(plan::PlanArgs),
}

/// # Errors
/// What the command says.
pub fn run(lab: Lab) -> Result<()> {
    match lab.command {
        Command::Trace(args) => trace::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Figures(args) => plan::run(&args),
    }
}
