//! `assayd accuse`: what there is against an executor, and the chain's answer to it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{anyhow, bail, ensure, Context, Result};
use assay_common::claims;
use assay_common::ids::{BatchId, Nonce, SessionId};
use assay_common::msg::{BatchResponse, NodeResponse, Page, ParamsVersion, QueryMsg};

use super::accusations::{self, State as Progress};
use super::build::{Accusation, Subject};
use super::{file, Accuser};
use crate::chain::{Account, Chain, Sender};
use crate::config::Config;
use crate::http::{AnswerResponse, ArtifactResponse};
use crate::request::State;
use crate::store::{Identity, Store};
use crate::validator::fetch;

/// Time that an executor has to give an artifact.
const FETCH_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// Proves a fraud on chain. Exit code 0: proven; 1: nothing to prove, or the chain did not accept it; 2: not known.
#[derive(Debug, clap::Args)]
pub struct AccuseArgs {
    /// A configuration (TOML) whose account accuses.
    #[arg(long, env = "ASSAY_CONFIG", default_value = "assayd.toml")]
    config: PathBuf,
    /// State file of `assayd request`: its receipt for --nonce is set against what was committed to.
    #[arg(long, requires = "nonce", conflicts_with_all = ["index", "draw"])]
    receipt: Option<PathBuf>,
    /// The nonce of that receipt.
    #[arg(long, requires = "receipt")]
    nonce: Option<u64>,
    /// The batch that holds the inference; with --receipt it may be left out and is looked for.
    #[arg(long)]
    batch: Option<u64>,
    /// Leaf number under the batch's root; with --evidence.
    #[arg(long, requires_all = ["batch", "evidence"], conflicts_with = "draw")]
    index: Option<u32>,
    /// Number of the sample that this node judged: its artifact is taken from the node's own store.
    #[arg(long, requires = "batch", conflicts_with = "evidence")]
    draw: Option<u32>,
    /// What an executor serves for the inference, as JSON: artifact, path, voucher. Without it the requester of --receipt
    /// asks the executor.
    #[arg(long)]
    evidence: Option<PathBuf>,
    /// Where the accusation is remembered; the node's own store where this is left out, which no other process may use.
    #[arg(long)]
    store: Option<PathBuf>,
}

/// Builds the proof, stores it, and brings it; the same call goes on where an earlier one was cut off.
///
/// # Errors
/// The arguments name nothing, a file or the chain cannot be read, or the store is in use.
pub async fn run(args: AccuseArgs) -> Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let chain = Chain::connect(&config.chain).await?;
    let account = Account::load(&config.chain.key_file, &config.chain.address_prefix)?;
    let identity = Identity {
        chain_id: config.chain.chain_id.clone(),
        contract: config.chain.contract.clone(),
        address: account.address().into(),
        model: None,
    };
    let store = Store::open(args.store.as_ref().unwrap_or(&config.store.path), &identity).await?;
    let sender = Sender::new(chain.clone(), account, &config.chain);
    let accuser = Accuser { chain, sender, store, poll: config.chain.poll };
    let found = match (&args.receipt, args.nonce, args.index, args.draw) {
        (Some(state), Some(nonce), _, _) => by_receipt(&accuser, &args, state, Nonce(nonce)).await?,
        (_, _, Some(index), _) => by_file(&accuser, &args, index).await?,
        (_, _, _, Some(draw)) => by_sample(&accuser, &args, draw).await?,
        _ => bail!("name what to accuse: --receipt and --nonce, --batch with --index and --evidence, or --batch with --draw"),
    };
    match found {
        Some(accusation) => bring(&accuser, &accusation).await,
        None => {
            println!("nothing to prove: an honest executor could have signed this");
            Ok(ExitCode::from(1))
        }
    }
}

async fn by_file(accuser: &Accuser, args: &AccuseArgs, index: u32) -> Result<Option<Accusation>> {
    let batch = BatchId(args.batch.context("--index needs --batch")?);
    let evidence = evidence_file(args.evidence.as_deref().context("--index needs --evidence")?)?;
    Ok(Subject::read(&accuser.chain, batch, index).await?.fraud(&evidence)?)
}

async fn by_sample(accuser: &Accuser, args: &AccuseArgs, draw: u32) -> Result<Option<Accusation>> {
    let batch = BatchId(args.batch.context("--draw needs --batch")?);
    let sample = accusations::judged(&accuser.store, assay_common::msg::SampleKey { batch, draw }).await?;
    let (case, evidence) = sample.with_context(|| {
        format!("the store has no artifact of sample {draw} of batch {batch}: only those of failed samples are kept once they are closed")
    })?;
    Ok(Subject::read(&accuser.chain, batch, case.index).await?.fraud(&evidence)?)
}

/// The receipt against the commitment, and where they agree, the committed rows.
async fn by_receipt(
    accuser: &Accuser,
    args: &AccuseArgs,
    path: &Path,
    nonce: Nonce,
) -> Result<Option<Accusation>> {
    let state = State::load(path)?.with_context(|| format!("there is no state file {}", path.display()))?;
    ensure!(
        state.domain == *accuser.chain.domain(),
        "{} is of contract {} on chain {}",
        path.display(),
        state.domain.contract,
        state.domain.chain_id
    );
    let session = state.session.with_context(|| format!("{} has no session", path.display()))?;
    let answer: &AnswerResponse = state
        .answers
        .get(&nonce)
        .with_context(|| format!("{} has no receipt for nonce {nonce}", path.display()))?;
    let (batch, index) = match args.batch {
        Some(batch) => in_batch(&accuser.chain, BatchId(batch), session, nonce).await?,
        None => look_for(&accuser.chain, session, nonce).await?,
    };
    let subject = Subject::read(&accuser.chain, batch, index).await?;
    let evidence = match &args.evidence {
        Some(file) => evidence_file(file)?,
        None => fetched(accuser, &subject, nonce).await?,
    };
    match subject.equivocation(&evidence, &answer.receipt, &answer.signed)? {
        Some(accusation) => Ok(Some(accusation)),
        None => Ok(subject.fraud(&evidence)?),
    }
}

async fn in_batch(chain: &Chain, id: BatchId, session: SessionId, nonce: Nonce) -> Result<(BatchId, u32)> {
    let batch: BatchResponse = chain.query(&QueryMsg::Batch { batch: id }).await?;
    let index = claims::leaf(&batch.claims, session, nonce);
    let index =
        index.with_context(|| format!("batch {id} does not hold nonce {nonce} of session {session}"))?;
    Ok((id, index))
}

/// Goes through all batches: a session does not know where its nonces are.
async fn look_for(chain: &Chain, session: SessionId, nonce: Nonce) -> Result<(BatchId, u32)> {
    let mut start_after = None;
    loop {
        let query = QueryMsg::Batches { start_after, limit: Some(100) };
        let page: Page<BatchResponse, BatchId> = chain.query(&query).await?;
        for batch in &page.items {
            if let Some(index) = claims::leaf(&batch.claims, session, nonce) {
                return Ok((batch.batch, index));
            }
        }
        start_after = page.next_start_after;
        ensure!(start_after.is_some(), "no batch holds nonce {nonce} of session {session} yet");
    }
}

/// The artifact, from the executor, which serves it to the requester who paid for it.
async fn fetched(accuser: &Accuser, subject: &Subject, nonce: Nonce) -> Result<ArtifactResponse> {
    let executor = subject.batch.executor.clone();
    let node: NodeResponse = accuser.chain.query(&QueryMsg::Node { address: executor.clone() }).await?;
    let query = QueryMsg::ParamsOf { epoch: subject.batch.epoch };
    let ParamsVersion { params, .. } = accuser.chain.query(&query).await?;
    let (batch, session) = (subject.batch.batch, subject.session.session);
    let asked = [("batch", batch.0), ("session", session.0), ("nonce", nonce.0)];
    let url = fetch::address(&node.endpoint, &subject.inference, &asked).map_err(anyhow::Error::msg)?;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
    let account = accuser.sender.account();
    let request = fetch::signed(
        client.get(url).timeout(FETCH_TIMEOUT),
        account,
        accuser.chain.domain(),
        &subject.inference,
    )
    .map_err(anyhow::Error::msg)?;
    let tokens = subject.session.max_prompt.saturating_add(subject.session.max_new);
    let given = fetch::read(request, fetch::cap(params.limits.artifact_bytes(tokens))).await;
    given.map_err(|miss| {
        anyhow!(
            "executor {executor} does not give the artifact ({miss}); a juror who has it can: use --evidence"
        )
    })
}

fn evidence_file(path: &Path) -> Result<ArtifactResponse> {
    let text =
        std::fs::read(path).with_context(|| format!("the evidence {} cannot be read", path.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("the evidence {} is not JSON of artifact, path and voucher", path.display()))
}

/// Brings a proof and waits for its end.
async fn bring(accuser: &Accuser, accusation: &Accusation) -> Result<ExitCode> {
    let number = accusations::add(&accuser.store, accusation).await?;
    let (batch, index) = accusation.proof.leaf();
    println!("found: {} in leaf {index} of batch {batch} of {}", accusation.finding, accusation.executor);
    loop {
        let stored = accusations::get(&accuser.store, number).await?;
        match stored.state {
            Progress::Proven => {
                println!("proven: epoch {} of {} is condemned", stored.epoch, stored.executor);
                return Ok(ExitCode::SUCCESS);
            }
            Progress::Ended => {
                println!("not accepted: {}", stored.reason.unwrap_or_default());
                return Ok(ExitCode::from(1));
            }
            Progress::Open | Progress::Sent => file::look(accuser).await?,
        }
        tokio::time::sleep(accuser.poll).await;
    }
}
