//! `assayd calibrate`: honest answers, measured as a juror measures them, make the limits of the judge.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use assay_common::artifact::Artifact;
use assay_common::digest::{sha256, tagged};
use assay_common::ids::{Digest, ModelDigest, RunSeed};
use assay_common::judge::{calibrate, Calibration, CalibrationError, Cell, HonestRun};
use assay_common::replay::{replay, Replay};
use assay_common::sampler::SamplingParams;
use assay_common::session::{prompt_digest, Request};

use crate::engine::{Engine, Question, Subject};
use crate::executor::answer::honest_factory;
use crate::model::LIBTORCH_VERSION;
use crate::offline::ModelArgs;

/// Makes a calibration from honest runs alone.
#[derive(Debug, clap::Args)]
pub struct CalibrateArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Beginnings of texts, one a line; at least 30.
    #[arg(long)]
    prompts: PathBuf,
    /// Where the calibration is written.
    #[arg(long)]
    out: PathBuf,
    /// Tokens of each answer.
    #[arg(long, default_value_t = 24)]
    max_new: u32,
    /// Answers generated together, as an executor does.
    #[arg(long, default_value_t = 12)]
    batch: usize,
}

/// Generates, measures, and writes the file; prints what it rests on and its digest.
///
/// # Errors
/// Bad input, a failing model, or an answer that does not replay.
pub async fn run(args: CalibrateArgs) -> Result<()> {
    let text = std::fs::read_to_string(&args.prompts)
        .with_context(|| format!("the prompts {} cannot be read", args.prompts.display()))?;
    let prompts: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    ensure!(args.max_new > 0 && args.batch > 0, "--max-new and --batch must be above 0");
    let engine = Engine::start(args.model.config(), honest_factory()).await?;
    let mut runs = Vec::with_capacity(prompts.len());
    for (chunk, texts) in prompts.chunks(args.batch).enumerate() {
        let questions = questions(&engine, texts, chunk * args.batch, args.max_new).await?;
        let artifacts = engine.answer(questions.clone()).await?;
        for (at, (question, artifact)) in questions.iter().zip(&artifacts).enumerate() {
            runs.push(measure(&engine, chunk * args.batch + at, question, artifact).await?);
        }
        eprintln!("{} of {} prompts", runs.len(), prompts.len());
    }
    let cell = Cell {
        engine: format!("torch {LIBTORCH_VERSION}, {}, batches of {}", engine.spec().scheme, args.batch),
        device: engine.device().to_string(),
    };
    let calibration = calibrate(engine.spec().clone(), cell, &runs)?;
    let digest = write(&calibration, &args.out)?;
    println!(
        "{} honest answers, {} tokens: distance {:.6} ± {:.6}, at most {:.6}; margin at most {:.6}",
        calibration.answers,
        calibration.tokens,
        calibration.distance.mean,
        calibration.distance.sd,
        calibration.distance.max,
        calibration.margin.max,
    );
    println!("{}  {digest}", args.out.display());
    Ok(())
}

async fn questions(engine: &Engine, texts: &[&str], first: usize, max_new: u32) -> Result<Vec<Question>> {
    let mut questions = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        let number = u64::try_from(first + at)?;
        let prompt = engine.encode(text).await?;
        questions.push(question(engine.spec().digest(), prompt, max_new, number));
    }
    Ok(questions)
}

/// A request at temperature 1 without filters or penalties, its salt and seed from the prompt's number.
fn question(model: ModelDigest, prompt: Vec<u32>, max_new: u32, number: u64) -> Question {
    let salt = tagged("calibration-salt", &number);
    let sampling = SamplingParams::OPEN;
    let prompt_digest = prompt_digest(&salt, &prompt);
    let request = Request { model, sampling, max_new, stop_ids: Vec::new(), prompt: prompt_digest };
    Question { request, salt, prompt, run_seed: RunSeed(tagged("calibration-seed", &number)) }
}

async fn measure(
    engine: &Engine,
    prompt: usize,
    question: &Question,
    artifact: &Artifact,
) -> Result<HonestRun> {
    let rows = artifact.rows(engine.spec().vocabulary)?;
    let sampling = question.request.sampling;
    for (position, row) in (0u32..).zip(&rows) {
        if replay(row, position, engine.spec().vocabulary, &sampling, &question.run_seed) != Replay::Matches {
            bail!(CalibrationError::NotHonest { prompt });
        }
    }
    let subject = Subject {
        prompt: question.prompt.clone(),
        rows,
        sampling,
        run_seed: question.run_seed,
        probes: Vec::new(),
    };
    Ok(HonestRun { prompt, measurement: engine.recompute(subject).await? })
}

fn write(calibration: &Calibration, out: &Path) -> Result<Digest> {
    let mut json = serde_json::to_vec_pretty(calibration)?;
    json.push(b'\n');
    std::fs::write(out, &json).with_context(|| format!("{} cannot be written", out.display()))?;
    Ok(Digest(sha256(&[&json])))
}

/// Reads a calibration and checks that it is for `model`; returns it with the digest of the file.
///
/// # Errors
/// It cannot be read, is no calibration, or is another model's.
pub fn load(path: &Path, model: ModelDigest) -> Result<(Calibration, Digest)> {
    let bytes =
        std::fs::read(path).with_context(|| format!("the calibration {} cannot be read", path.display()))?;
    let calibration: Calibration =
        serde_json::from_slice(&bytes).with_context(|| format!("{} is not a calibration", path.display()))?;
    calibration.check(model).with_context(|| format!("the calibration {}", path.display()))?;
    Ok((calibration, Digest(sha256(&[&bytes]))))
}
