//! `assayd answer`: one honest answer with its artifact, without any chain; what `assayd verify` checks.

use std::path::PathBuf;

use anyhow::{Context, Result};
use assay_common::penalties::Penalties;
use assay_common::sampler::SamplingParams;
use assay_common::session::{prompt_digest, Request};
use rand::RngCore;

use crate::engine::{Engine, Question};
use crate::executor::answer::honest_factory;
use crate::offline::{ModelArgs, SeedArgs};

/// Answers a prompt and writes the artifact that proves the model.
#[derive(Debug, clap::Args)]
pub struct AnswerArgs {
    /// Text to go on with.
    #[arg(long)]
    prompt: String,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    seed: SeedArgs,
    /// Where the artifact is written.
    #[arg(long)]
    out: PathBuf,
    /// Tokens of the answer.
    #[arg(long, default_value_t = 24)]
    max_new: u32,
    #[command(flatten)]
    sampling: SamplingArgs,
}

/// How tokens are drawn.
#[derive(Clone, Debug, clap::Args)]
pub struct SamplingArgs {
    /// In thousandths; 0 takes the most probable token.
    #[arg(long, default_value_t = 1_000)]
    temperature_milli: u32,
    /// 0 keeps all.
    #[arg(long, default_value_t = 0)]
    top_k: u32,
    /// Of a million.
    #[arg(long, default_value_t = 1_000_000)]
    top_p_ppm: u32,
    /// Of a million.
    #[arg(long, default_value_t = 0)]
    min_p_ppm: u32,
    /// On tokens of the prompt and of the answer so far, in thousandths; 1000 changes nothing.
    #[arg(long, default_value_t = Penalties::NONE.repetition_milli)]
    repetition_penalty_milli: u32,
    /// On tokens of the answer so far, for each time, in thousandths.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    frequency_penalty_milli: i32,
    /// On tokens of the answer so far, in thousandths.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    presence_penalty_milli: i32,
}

impl SamplingArgs {
    /// # Errors
    /// A parameter is out of range.
    pub fn params(&self) -> Result<SamplingParams> {
        let params = SamplingParams {
            temperature_milli: self.temperature_milli,
            top_k: self.top_k,
            top_p_ppm: self.top_p_ppm,
            min_p_ppm: self.min_p_ppm,
            penalties: Penalties {
                repetition_milli: self.repetition_penalty_milli,
                frequency_milli: self.frequency_penalty_milli,
                presence_milli: self.presence_penalty_milli,
            },
        };
        params.check()?;
        Ok(params)
    }
}

/// Generates, writes the artifact, prints the text.
///
/// # Errors
/// Bad input, a failing model, or a file that cannot be written.
pub async fn run(args: AnswerArgs) -> Result<()> {
    let (run_seed, sampling) = (args.seed.run_seed()?, args.sampling.params()?);
    let engine = Engine::start(args.model.config(), honest_factory()).await?;
    let mut salt = [0; 32];
    rand::rngs::OsRng.fill_bytes(&mut salt);
    let prompt = engine.encode(&args.prompt).await?;
    let request = Request {
        model: engine.spec().digest(),
        sampling,
        max_new: args.max_new,
        stop_ids: Vec::new(),
        prompt: prompt_digest(&salt, &prompt),
    };
    let answered = engine.answer(vec![Question { request, salt, prompt, run_seed }]).await?;
    let artifact = answered.into_iter().next().context("the engine gave no answer")?;
    let bytes = artifact.encode();
    std::fs::write(&args.out, &bytes).with_context(|| format!("{} cannot be written", args.out.display()))?;
    println!("{}{}", args.prompt, engine.decode(&artifact.tokens).await?);
    eprintln!("{} bytes, {} tokens: {}", bytes.len(), artifact.tokens.len(), args.out.display());
    Ok(())
}
