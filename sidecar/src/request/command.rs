//! `assayd request`: a session with an executor, prompts as text, answers as text.

use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use assay_common::ids::ModelDigest;
use assay_common::msg::{NodeResponse, QueryMsg};

use super::{Requester, SessionOptions};
use crate::answer::SamplingArgs;
use crate::chain::{Account, Chain, Sender};
use crate::config::Config;
use crate::model::gguf::Gguf;
use crate::model::Tokenizer;

/// Asks an executor and checks its receipts; the same state file goes on with the same session.
#[derive(Debug, clap::Args)]
pub struct RequestArgs {
    /// A configuration (TOML) whose account pays, and whose model file has the tokenizer.
    #[arg(long, env = "ASSAY_CONFIG", default_value = "assayd.toml")]
    config: PathBuf,
    /// The executor's address.
    #[arg(long)]
    executor: String,
    /// Digest of the model; may be left out where the executor serves only one.
    #[arg(long)]
    model: Option<ModelDigest>,
    /// Text to go on with; once for each prompt.
    #[arg(long = "prompt", required = true)]
    prompts: Vec<String>,
    /// Tokens of an answer; the session allows no longer ones.
    #[arg(long, default_value_t = 64)]
    max_new: u32,
    /// Tokens of a prompt that the session allows.
    #[arg(long, default_value_t = 256)]
    max_prompt: u32,
    /// Units of the chain's denomination for each inference.
    #[arg(long)]
    fee: u128,
    /// Units that the session begins with.
    #[arg(long)]
    deposit: u128,
    /// Epochs after the present one that the session lasts.
    #[arg(long, default_value_t = 10)]
    epochs: u64,
    /// Session key, nonces and receipts; made at the first call.
    #[arg(long, default_value = "session.json")]
    state: PathBuf,
    #[command(flatten)]
    sampling: SamplingArgs,
}

/// Prints each prompt with its answer.
///
/// # Errors
/// The chain or the executor refuses or cannot be reached, or a receipt does not hold.
pub async fn run(args: RequestArgs) -> Result<()> {
    let config = Config::load(&args.config)?;
    let sampling = args.sampling.params()?;
    let tokenizer = tokenizer(&config)?;
    let prompts = args.prompts.iter().map(|text| tokenizer.encode(text));
    let prompts: Vec<Vec<u32>> = prompts.collect::<Result<_, _>>()?;
    let chain = Chain::connect(&config.chain).await?;
    let account = Account::load(&config.chain.key_file, &config.chain.address_prefix)?;
    let sender = Sender::new(chain.clone(), account, &config.chain);
    let model = match args.model {
        Some(model) => model,
        None => only_model(&chain, &args.executor).await?,
    };
    let options = SessionOptions {
        executor: args.executor,
        model,
        fee: args.fee,
        deposit: args.deposit,
        max_prompt: args.max_prompt,
        max_new: args.max_new,
        epochs: args.epochs,
    };
    let mut requester = Requester::open(&chain, &sender, options, &args.state).await?;
    let stop_ids: Vec<u32> = tokenizer.eos().into_iter().collect();
    let answers = requester.ask(&prompts, sampling, args.max_new, &stop_ids).await?;
    for (prompt, answer) in args.prompts.iter().zip(answers) {
        println!("{prompt}{}", tokenizer.decode(&answer.tokens)?);
        eprintln!(
            "session {} nonce {}: {} tokens, receipt in order, inference {}",
            requester.session(),
            answer.nonce,
            answer.tokens.len(),
            answer.receipt.inference
        );
    }
    Ok(())
}

fn tokenizer(config: &Config) -> Result<Tokenizer> {
    let path = config.model.path.as_ref().context("the configuration names no model file")?;
    let file = std::fs::read(path).with_context(|| format!("the model file {}", path.display()))?;
    Ok(Tokenizer::from_gguf(&Gguf::parse(&file)?)?)
}

async fn only_model(chain: &Chain, executor: &str) -> Result<ModelDigest> {
    let node: NodeResponse = chain.query(&QueryMsg::Node { address: executor.into() }).await?;
    match node.models[..] {
        [model] => Ok(model),
        _ => bail!("{executor} serves {} models; name one with --model", node.models.len()),
    }
}
