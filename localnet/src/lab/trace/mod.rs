//! `assay-lab trace`: answers of one cell or attack to one part of the prompts, measured as a juror measures them.

#[cfg(test)]
pub mod example;
pub mod file;
pub mod header;
mod measured;
mod progress;
pub mod record;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{bail, ensure, Context, Result};
use assay_common::artifact::Artifact;
use assay_common::digest::sha256;
use assay_common::ids::Digest;
use assay_common::judge::statistic::STATISTIC_VERSION;
use assay_common::judge::{Cell as Certified, Platform};
use assay_sidecar::engine::Question;
use assay_sidecar::model::{Forced, Model};
use assay_sidecar::offline::ModelArgs;

use super::answers::{Answers, Expected};
use super::executor::{cheat, Cell, Executor, Role};
use super::hidden::HiddenStates;
use super::machine;
use super::prompts::{self, Prompt, Split};
use file::TraceFile;
use header::Header;
use measured::{measured, question};
use progress::Progress;

/// What is traced, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct TraceArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// A cell: fused, explicit, f32 or noise-SD of our own engine, or any name for the answers of another.
    #[arg(long, required_unless_present = "attack", conflicts_with = "attack")]
    pub cell: Option<String>,
    /// An attack, NAME or NAME:PERCENT of answers; or any name for the answers of another engine.
    #[arg(long)]
    pub attack: Option<String>,
    /// With --answers: the cell rounds less than the scheme allows, and sets no threshold.
    #[arg(long, requires = "answers", conflicts_with = "attack")]
    pub finer: bool,
    /// Beginnings of texts, one a line; without it, the laboratory's own.
    #[arg(long)]
    pub prompts: Option<PathBuf>,
    #[arg(long, value_enum)]
    pub split: Split,
    /// How many of the part's prompts; without it, all.
    #[arg(long)]
    pub count: Option<usize>,
    /// Tokens of each answer.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_new: u32,
    /// Answers generated together.
    #[arg(long, default_value_t = 8)]
    pub batch: usize,
    /// The calibration that attacks which know it evade.
    #[arg(long)]
    pub calibration: Option<PathBuf>,
    /// The answers of another engine, in the format of docs/traces.md.
    #[arg(long, conflicts_with = "batch")]
    pub answers: Option<PathBuf>,
    /// A directory for hidden states, in the format of docs/traces.md.
    #[arg(long)]
    pub dump: Option<PathBuf>,
    #[arg(long)]
    pub out: PathBuf,
}

/// Who answers, under which name.
struct Scene {
    name: String,
    role: Role,
    executor: Platform,
    setting: String,
    source: Source,
}

enum Source {
    Executor(Executor),
    Answers(Answers),
}

/// A batch's artifacts, seconds for each, and hidden states where they are to be had.
struct Answered {
    artifacts: Vec<Artifact>,
    seconds: Option<f32>,
    states: Option<Vec<Vec<f32>>>,
}

/// Answers and measures what is not in the trace yet.
///
/// # Errors
/// Bad input, by name; a failing model; a trace of other settings.
pub fn run(args: &TraceArgs) -> Result<()> {
    ensure!(args.batch > 0, "--batch must be above 0");
    let text = match &args.prompts {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("the prompts {} cannot be read", path.display()))?,
        None => prompts::TEXT.to_owned(),
    };
    let mut model = args.model.load()?;
    trace(args, &text, &mut model)
}

/// As [`run`], with a model that is loaded already.
///
/// # Errors
/// As [`run`].
pub fn trace(args: &TraceArgs, text: &str, model: &mut Model) -> Result<()> {
    let digest = Digest(sha256(&[text.as_bytes()]));
    let mut scene = scene(args, digest, model)?;
    let header = header(args, &scene, digest, model);
    let mut file = TraceFile::open(&args.out, &header)?;
    let mut chosen = prompts::of_split(text, args.split);
    chosen.truncate(args.count.unwrap_or(usize::MAX));
    if let Source::Answers(answers) = &scene.source {
        let all = chosen.len();
        chosen.retain(|prompt| answers.has(prompt.number));
        if chosen.len() < all {
            eprintln!("{}: {} of {all} prompts are not answered", header.name, all - chosen.len());
        }
    }
    let mut dump = match &args.dump {
        Some(path) => Some(HiddenStates::open(path, &header, model.config().hidden as usize, file.done())?),
        None => None,
    };
    let todo: Vec<Prompt<'_>> = chosen.iter().filter(|prompt| !file.has(prompt.number)).copied().collect();
    let mut progress = Progress::new(&header, todo.len(), chosen.len());
    let probed = header.role == Role::Honest && header.split == Split::Calibration;
    for batch in todo.chunks(args.batch) {
        let questions: Vec<Question> =
            batch.iter().map(|prompt| question(model, *prompt, args.max_new)).collect::<Result<_>>()?;
        let Answered { artifacts, seconds, states } = scene.source.answer(model, batch, &questions)?;
        for (at, (prompt, artifact)) in batch.iter().zip(&artifacts).enumerate() {
            let asked = (prompt.number, &questions[at]);
            let record = measured(model, asked, artifact, seconds, probed)?;
            if let Some(dump) = &mut dump {
                let own = states.as_ref().map(|states| states[at].as_slice());
                dump.add(prompt.number, artifact, own, &reference_states(model, artifact)?)?;
            }
            progress.answered(record.tokens);
            file.append(record)?;
        }
    }
    progress.end();
    Ok(())
}

fn reference_states(model: &Model, artifact: &Artifact) -> Result<Vec<f32>> {
    let penalties = artifact.request.sampling.penalties;
    let forced = Forced { prompt: &artifact.prompt, tokens: &artifact.tokens, penalties };
    Ok(model.reference_states(&forced)?)
}

fn scene(args: &TraceArgs, prompts: Digest, model: &mut Model) -> Result<Scene> {
    if let Some(path) = &args.answers {
        let spec = model.spec();
        let answers = Answers::read(path, Expected { spec, prompts, max_new: args.max_new })?;
        let (name, role) = match (&args.cell, &args.attack) {
            (Some(name), _) if args.finer => (name, Role::Finer),
            (Some(name), _) => (name, Role::Honest),
            (None, Some(name)) => (name, Role::Attack),
            (None, None) => bail!("neither --cell nor --attack is given"),
        };
        let (executor, setting) = (answers.platform.clone(), answers.setting.clone());
        return Ok(Scene { name: name.clone(), role, executor, setting, source: Source::Answers(answers) });
    }
    let (name, role, executor) = match (&args.cell, &args.attack) {
        (Some(name), _) => {
            let cell: Cell = name.parse()?;
            (format!("{name}-b{}", args.batch), cell.role(), Executor::of_cell(cell, model))
        }
        (None, Some(name)) => {
            let mut config = args.model.config();
            config.calibration = args.calibration.clone();
            (name.clone(), Role::Attack, Executor::of_attack(cheat(name)?, &config, model)?)
        }
        (None, None) => bail!("neither --cell nor --attack is given"),
    };
    let own = args.cell.as_ref().or(args.attack.as_ref());
    let own = own.map_or("", String::as_str);
    let setting = format!("{own}, batches of {}, {} threads", args.batch, tch::get_num_threads());
    Ok(Scene { name, role, executor: model.platform(), setting, source: Source::Executor(executor) })
}

fn header(args: &TraceArgs, scene: &Scene, prompts: Digest, model: &Model) -> Header {
    Header {
        format: header::FORMAT.to_owned(),
        version: header::VERSION,
        code: env!("CARGO_PKG_VERSION").to_owned(),
        statistic_version: STATISTIC_VERSION,
        machine: machine::describe(),
        model: model.spec().digest(),
        spec: model.spec().clone(),
        name: scene.name.clone(),
        role: scene.role,
        cell: Certified {
            executor: scene.executor.clone(),
            setting: scene.setting.clone(),
            juror: model.platform(),
        },
        prompts,
        split: args.split,
        seed_tag: header::SEED_TAG.to_owned(),
        max_new: args.max_new,
    }
}

impl Source {
    fn answer(&mut self, model: &Model, prompts: &[Prompt<'_>], questions: &[Question]) -> Result<Answered> {
        match self {
            Source::Executor(executor) => {
                let first = prompts.first().map_or(0, |prompt| prompt.number);
                let began = Instant::now();
                let (artifacts, states) = executor.answer(model, questions, first)?;
                let seconds = began.elapsed().as_secs_f32() / questions.len().max(1) as f32;
                Ok(Answered { artifacts, seconds: Some(seconds), states })
            }
            Source::Answers(answers) => {
                let pairs = prompts.iter().zip(questions);
                let artifacts = pairs.map(|(prompt, question)| answers.artifact(prompt.number, question));
                Ok(Answered { artifacts: artifacts.collect::<Result<_>>()?, seconds: None, states: None })
            }
        }
    }
}
