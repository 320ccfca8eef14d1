//! `assayd calibrate`: honest answers of several cells, measured as a juror measures them, make the limits of the judge.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use assay_common::artifact::Artifact;
use assay_common::digest::{sha256, tagged};
use assay_common::ids::{Digest, DrawSeed, ModelDigest, RunSeed};
use assay_common::judge::statistic::Statistic;
use assay_common::judge::{
    calibrate, Basis, Calibration, CalibrationError, Cell, Exact, HonestAnswer, HonestCell,
};
use assay_common::probe::places_outside;
use assay_common::sampler::SamplingParams;
use assay_common::session::{prompt_digest, Request};

use crate::engine::Question;
use crate::executor::answer::answer_with;
use crate::measure::{measure_with_deviations, Subject};
use crate::model::{AttentionKernel, Model, Numerics};
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
    /// Answers generated together, as executors do; each number with each kernel is a cell.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 12])]
    batch: Vec<usize>,
    /// Attention kernels of executors.
    #[arg(long, value_delimiter = ',', default_value = "fused")]
    kernel: Vec<Kernel>,
}

/// Generates, measures, and writes the file; prints what it rests on and its digest.
///
/// # Errors
/// Bad input, a failing model, or an answer that does not replay.
pub fn run(args: &CalibrateArgs) -> Result<()> {
    let text = std::fs::read_to_string(&args.prompts)
        .with_context(|| format!("the prompts {} cannot be read", args.prompts.display()))?;
    let prompts: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    ensure!(args.max_new > 0, "--max-new must be above 0");
    ensure!(!args.batch.contains(&0), "--batch must be above 0");
    let mut model = args.model.load()?;
    let questions = questions(&model, &prompts, args.max_new)?;
    let mut cells = Vec::with_capacity(args.batch.len() * args.kernel.len());
    for kernel in &args.kernel {
        let attention = kernel.attention();
        model.execute_as(Numerics { attention, ..Numerics::executing(model.spec().scheme) });
        for batch in &args.batch {
            let (name, threads) = (kernel.name(), tch::get_num_threads());
            let setting = format!("{name} attention, batches of {batch}, {threads} threads");
            eprintln!("{} prompts: {setting}", prompts.len());
            cells.push(honest_cell(&model, &questions, *batch, setting)?);
        }
    }
    let spec = model.spec().clone();
    let statistic = Statistic::of(spec.scheme);
    let prompts = Digest(sha256(&[text.as_bytes()]));
    let calibration = calibrate(Basis { spec, statistic, prompts }, &cells)?;
    let digest = write(&calibration, &args.out)?;
    print!("{}", summary(&calibration));
    println!("{}  {digest}", args.out.display());
    Ok(())
}

/// An attention kernel, as the command line and cells name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kernel {
    Fused,
    Explicit,
}

impl Kernel {
    fn attention(self) -> AttentionKernel {
        match self {
            Kernel::Fused => AttentionKernel::Fused,
            Kernel::Explicit => AttentionKernel::Explicit,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kernel::Fused => "fused",
            Kernel::Explicit => "explicit",
        }
    }
}

/// Its cells, and what the limits are, in lines.
pub fn summary(calibration: &Calibration) -> String {
    let cell = |summary: &assay_common::judge::cell::CellSummary| {
        format!(
            "{:>4} answers, {:>6} tokens, mean {:+.4}, sd {:.4} a token and {:.4} an answer: {}\n",
            summary.answers,
            summary.tokens,
            summary.mean,
            summary.position_sd,
            summary.sequence_sd,
            summary.cell
        )
    };
    let cells: String = calibration.cells.iter().map(cell).collect();
    let limits = [1, 8, 32].map(|tokens| format!("{:.3} at {tokens}", calibration.null.limit(tokens)));
    format!(
        "{cells}limit of the mean {} tokens; probes within {}/256 bit\n",
        limits.join(", "),
        calibration.probe_tolerance
    )
}

fn questions(model: &Model, texts: &[&str], max_new: u32) -> Result<Vec<Question>> {
    let mut questions = Vec::with_capacity(texts.len());
    for (number, text) in (0u64..).zip(texts) {
        let prompt = model.tokenizer().encode(text)?;
        questions.push(question(model.spec().digest(), prompt, max_new, number));
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

fn honest_cell(model: &Model, questions: &[Question], batch: usize, setting: String) -> Result<HonestCell> {
    let mut answers = Vec::with_capacity(questions.len());
    for chunk in questions.chunks(batch) {
        let seeds: Vec<RunSeed> = chunk.iter().map(|question| question.run_seed).collect();
        for (question, artifact) in chunk.iter().zip(answer_with(model, chunk, &seeds)?) {
            answers.push(honest_answer(model, answers.len(), question, &artifact)?);
        }
    }
    let cell = Cell { executor: model.platform(), setting, juror: model.platform() };
    Ok(HonestCell { cell, answers })
}

fn honest_answer(
    model: &Model,
    prompt: usize,
    question: &Question,
    artifact: &Artifact,
) -> Result<HonestAnswer> {
    let vocabulary = model.spec().vocabulary;
    let rows = artifact.rows(vocabulary)?;
    let (sampling, run_seed) = (question.request.sampling, question.run_seed);
    if !Exact::of(artifact, &rows, &run_seed, vocabulary).mismatches.is_empty() {
        bail!(CalibrationError::NotHonest { prompt });
    }
    let seed = DrawSeed(tagged("calibration-probes", &(prompt as u64)));
    let probes = places_outside(&seed, 0, &rows, vocabulary);
    let subject = Subject { prompt: question.prompt.clone(), rows, sampling, run_seed, probes };
    let (measurement, probe_deviations) = measure_with_deviations(model, &subject)?;
    Ok(HonestAnswer { prompt, measurement, probe_deviations })
}

/// Writes a calibration's file and returns its digest.
///
/// # Errors
/// It cannot be written.
pub fn write(calibration: &Calibration, out: &Path) -> Result<Digest> {
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
