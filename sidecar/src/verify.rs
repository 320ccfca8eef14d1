//! `assayd verify`: an artifact file and a model give a verdict, without any chain.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use assay_common::artifact::{Artifact, Malformed, Mismatch};
use assay_common::ids::RunSeed;
use assay_common::judge::{judge, Report};
use assay_common::session::prompt_digest;
use assay_common::verdict::Outcome;
use serde::Serialize;

use crate::calibrate;
use crate::engine::Engine;
use crate::executor::answer::honest_factory;
use crate::measure::Subject;
use crate::offline::{ModelArgs, SeedArgs};

/// Judges one artifact. Exit code 0: valid; 1: not valid; 2: it could not be checked.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The artifact's canonical bytes.
    #[arg(long)]
    artifact: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    seed: SeedArgs,
    /// The calibration that the checks compare with.
    #[arg(long)]
    calibration: PathBuf,
    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// What can be said of an artifact file.
#[derive(Debug, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Verification {
    /// The bytes are not a whole artifact: nothing follows about who made it.
    Mismatch {
        reason: String,
    },
    /// The bytes break a rule of the format, at this offset.
    Malformed {
        offset: usize,
        rule: String,
    },
    /// The artifact is for another model than the one at hand: not checked.
    OtherModel {
        artifact: String,
        model: String,
    },
    /// The calibration says nothing of what this machine computes: not checked.
    Uncertified {
        platform: String,
    },
    Judged {
        report: Report,
    },
}

impl Verification {
    fn exit_code(&self) -> ExitCode {
        match self {
            Verification::Judged { report } if report.outcome == Outcome::Valid => ExitCode::SUCCESS,
            Verification::Judged { .. } | Verification::Malformed { .. } => ExitCode::from(1),
            Verification::Mismatch { .. }
            | Verification::OtherModel { .. }
            | Verification::Uncertified { .. } => ExitCode::from(2),
        }
    }
}

impl std::fmt::Display for Verification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verification::Mismatch { reason } => write!(f, "not checked: {reason}"),
            Verification::Malformed { offset, rule } => {
                write!(f, "verdict     malformed at byte {offset}: {rule}")
            }
            Verification::OtherModel { artifact, model } => {
                write!(f, "not checked: the artifact is for model {artifact}, this file is model {model}")
            }
            Verification::Uncertified { platform } => {
                write!(f, "not checked: the calibration has no cell that was measured by {platform}; run assayd calibrate here")
            }
            Verification::Judged { report } => write!(f, "{report}"),
        }
    }
}

/// Reads, recomputes, judges and prints.
///
/// # Errors
/// A file cannot be read, or the model fails: then nothing was checked.
pub async fn run(args: VerifyArgs) -> Result<ExitCode> {
    let run_seed = args.seed.run_seed()?;
    let bytes = std::fs::read(&args.artifact)
        .with_context(|| format!("the artifact {} cannot be read", args.artifact.display()))?;
    let engine = Engine::start(args.model.config(), honest_factory()).await?;
    let (calibration, _) = calibrate::load(&args.calibration, engine.spec().digest())?;
    let verification = match Artifact::decode(&bytes) {
        Err(mismatch) => Verification::Mismatch { reason: mismatch.to_string() },
        Ok(artifact) => verify(&engine, &artifact, run_seed, &calibration).await?,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&verification)?);
    } else {
        println!("{verification}");
    }
    Ok(verification.exit_code())
}

async fn verify(
    engine: &Engine,
    artifact: &Artifact,
    run_seed: RunSeed,
    calibration: &assay_common::judge::Calibration,
) -> Result<Verification> {
    let model = engine.spec().digest();
    if artifact.request.model != model {
        let (artifact, model) = (artifact.request.model.to_string(), model.to_string());
        return Ok(Verification::OtherModel { artifact, model });
    }
    if prompt_digest(&artifact.salt, &artifact.prompt) != artifact.request.prompt {
        return Ok(Verification::Mismatch { reason: Mismatch::Prompt.to_string() });
    }
    if !calibration.certifies(engine.platform()) {
        return Ok(Verification::Uncertified { platform: engine.platform().to_string() });
    }
    let rows = match artifact.rows(engine.spec().vocabulary) {
        Ok(rows) => rows,
        Err(Malformed { offset, rule }) => {
            return Ok(Verification::Malformed { offset, rule: rule.to_string() });
        }
    };
    let sampling = artifact.request.sampling;
    let (prompt, probes) = (artifact.prompt.clone(), Vec::new());
    let subject = Subject { prompt, rows: rows.clone(), sampling, run_seed, probes };
    let measurement = engine.recompute(subject).await?;
    Ok(Verification::Judged { report: judge(artifact, &rows, &run_seed, &measurement, calibration) })
}
