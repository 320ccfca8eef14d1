//! The requester's client: it pays an executor by vouchers, and keeps every receipt.
//!
//! The state file is written before anything is sent, so that a request that got lost on the way is sent again, under the
//! same nonce: a nonce without an answer would keep the executor from being paid for the later ones.

mod command;
mod receipt;
mod send;
mod state;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context};
use assay_common::event::Event;
use assay_common::ids::{Epoch, ModelDigest, Nonce, SessionId};
use assay_common::msg::{ClockResponse, ExecuteMsg, NodeResponse, QueryMsg, SessionResponse};
use assay_common::sampler::SamplingParams;
use assay_common::session::{prompt_digest, voucher_digest, Receipt, Request};
use cosmwasm_std::{HexBinary, Uint128};
use futures::stream::StreamExt;
use k256::ecdsa::signature::hazmat::PrehashSigner;
use k256::ecdsa::{Signature, SigningKey};
use rand::rngs::OsRng;
use rand::RngCore;

use crate::chain::account::Signed;
use crate::chain::rpc::Chain;
use crate::chain::tx::{Call, Confirmation, Pending, Sender, TxError};
use crate::http::{AnswerRequest, AnswerResponse};

pub use command::{run, RequestArgs};
pub use receipt::{check_receipt, ReceiptError};
pub use send::SendError;
pub use state::{BadAnswer, State, StateError};

/// Requests under way at once.
const CONCURRENT: usize = 256;

/// How a session is opened.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Address.
    pub executor: String,
    pub model: ModelDigest,
    /// Paid for each inference.
    pub fee: u128,
    /// The session's escrow.
    pub deposit: u128,
    pub max_prompt: u32,
    pub max_new: u32,
    /// How many epochs after the present one it lasts.
    pub epochs: u64,
}

/// An answer whose receipt is in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub nonce: Nonce,
    pub tokens: Vec<u32>,
    pub receipt: Receipt,
    pub signed: Signed,
}

/// One session with one executor.
pub struct Requester {
    client: reqwest::Client,
    /// The executor's, such as `http://127.0.0.1:8080`.
    endpoint: String,
    session: SessionId,
    key: SigningKey,
    max_prompt: u32,
    max_new: u32,
    state: State,
    state_file: PathBuf,
}

impl Requester {
    /// Opens a session, or resumes the one in `state_file`.
    ///
    /// # Errors
    /// The file belongs to another executor, model or chain; the session has expired; or the chain refuses.
    pub async fn open(
        chain: &Chain,
        sender: &Sender,
        options: SessionOptions,
        state_file: &Path,
    ) -> anyhow::Result<Self> {
        let requester = sender.account().address();
        let wanted = State::new(chain.domain().clone(), requester, &options.executor, options.model);
        let mut state = match State::load(state_file)? {
            Some(state) => {
                state.check_same(&wanted, state_file)?;
                state
            }
            None => {
                wanted.save(state_file)?;
                wanted
            }
        };
        let clock: ClockResponse = chain.query(&QueryMsg::Clock {}).await?;
        let epoch = clock.epoch.unwrap_or_default();
        let session = match state.session {
            Some(session) => session,
            None => {
                let session = open_session(sender, &options, epoch, (&mut state, state_file)).await?;
                state.session = Some(session);
                state.save(state_file)?;
                session
            }
        };
        let record: SessionResponse = chain.query(&QueryMsg::Session { session }).await?;
        ensure!(
            epoch <= record.expires,
            "session {session} expired with epoch {}, it is epoch {epoch}; use another state file than {}",
            record.expires,
            state_file.display()
        );
        let node: NodeResponse = chain.query(&QueryMsg::Node { address: options.executor }).await?;
        Self::resume(state, state_file, &node.endpoint, (record.max_prompt, record.max_new))
    }

    /// Takes up a session that is open; `limits` are its tokens of a prompt and of an answer.
    ///
    /// # Errors
    /// The state has no session or no key.
    pub fn resume(
        state: State,
        state_file: &Path,
        endpoint: &str,
        limits: (u32, u32),
    ) -> anyhow::Result<Self> {
        Ok(Self {
            client: send::client().context("the HTTP client")?,
            endpoint: endpoint.trim_end_matches('/').into(),
            session: state.session.with_context(|| format!("{} has no session", state_file.display()))?,
            key: state.key(state_file)?,
            max_prompt: limits.0,
            max_new: limits.1,
            state,
            state_file: state_file.into(),
        })
    }

    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Everything that was asked and answered in this session.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Sends prompts (token ids) all at once, with those of earlier calls that got no answer, and checks every receipt.
    ///
    /// Answers come in the order of the prompts. Every answer is in the state file before this returns, those of a call
    /// that fails too.
    ///
    /// # Errors
    /// A prompt or parameter is outside the session's limits (then nothing is sent), an executor that refuses or stays
    /// out of reach, or a receipt that does not hold (the answer is kept as evidence).
    pub async fn ask(
        &mut self,
        prompts: &[Vec<u32>],
        sampling: SamplingParams,
        max_new: u32,
        stop_ids: &[u32],
    ) -> anyhow::Result<Vec<Answer>> {
        self.check_limits(prompts, sampling, max_new)?;
        let first = self.state.next_nonce;
        for prompt in prompts {
            let asked = self.request(prompt, sampling, max_new, stop_ids);
            self.state.unanswered.insert(asked.nonce, asked);
            self.state.next_nonce = self.state.next_nonce.next();
        }
        self.state.save(&self.state_file)?;
        self.send_unanswered().await?;
        let answers = self.state.answers.range(first..self.state.next_nonce);
        Ok(answers.map(|(nonce, answer)| answered(*nonce, answer)).collect())
    }

    fn check_limits(
        &self,
        prompts: &[Vec<u32>],
        sampling: SamplingParams,
        max_new: u32,
    ) -> anyhow::Result<()> {
        sampling.check().context("sampling parameters")?;
        let most = self.max_new;
        ensure!(
            (1..=most).contains(&max_new),
            "an answer of {max_new} tokens; the session allows 1 to {most}"
        );
        for (index, prompt) in prompts.iter().enumerate() {
            let (found, most) = (prompt.len(), self.max_prompt);
            ensure!(
                (1..=most as usize).contains(&found),
                "prompt {index} has {found} tokens, the session allows 1 to {most}"
            );
        }
        Ok(())
    }

    /// The next nonce's request, with its voucher.
    fn request(
        &self,
        prompt: &[u32],
        sampling: SamplingParams,
        max_new: u32,
        stop_ids: &[u32],
    ) -> AnswerRequest {
        let (model, nonce) = (self.state.model, self.state.next_nonce);
        let mut salt = [0; 32];
        OsRng.fill_bytes(&mut salt);
        let prompt_digest = prompt_digest(&salt, prompt);
        let request = Request { model, sampling, max_new, stop_ids: stop_ids.into(), prompt: prompt_digest };
        let digest = voucher_digest(&self.state.domain, self.session, nonce, &request.digest());
        let voucher: Signature =
            self.key.sign_prehash(&digest.0).expect("a digest of 32 bytes is always signable");
        let voucher = voucher.normalize_s().unwrap_or(voucher);
        AnswerRequest {
            session: self.session,
            nonce,
            request,
            salt: HexBinary::from(salt.as_slice()),
            prompt: prompt.into(),
            voucher: HexBinary::from(voucher.to_bytes().to_vec()),
        }
    }

    /// Stores every answer as it comes; the first failure by nonce is told once all are through.
    async fn send_unanswered(&mut self) -> anyhow::Result<()> {
        let asked: Vec<AnswerRequest> = self.state.unanswered.values().cloned().collect();
        let (client, endpoint) = (self.client.clone(), self.endpoint.clone());
        let send = |asked: AnswerRequest| {
            let (client, endpoint) = (client.clone(), endpoint.clone());
            async move {
                let answer = send::send_with_retries(&client, &endpoint, &asked).await;
                (asked, answer)
            }
        };
        let mut answers = futures::stream::iter(asked).map(send).buffer_unordered(CONCURRENT);
        let mut failures = BTreeMap::new();
        while let Some((asked, answer)) = answers.next().await {
            let nonce = asked.nonce;
            let kept = match answer {
                Ok(answer) => self.keep(asked, answer)?,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = kept {
                tracing::warn!(nonce = %nonce, error = format!("{error:#}"), "request.failed");
                failures.insert(nonce, error);
            }
        }
        let count = failures.len();
        match failures.pop_first() {
            None => Ok(()),
            Some((nonce, error)) => {
                Err(error.context(format!("nonce {nonce} of session {} ({count} failed)", self.session)))
            }
        }
    }

    /// Checks and stores an answer; the inner error is a bad receipt, which is stored as such.
    fn keep(&mut self, asked: AnswerRequest, answer: AnswerResponse) -> anyhow::Result<anyhow::Result<()>> {
        let nonce = asked.nonce;
        let checked = check_receipt(&self.state.domain, &self.state.executor, &asked, &answer);
        self.state.unanswered.remove(&nonce);
        if let Err(error) = &checked {
            self.state.bad_answers.push(BadAnswer { asked, answer, reason: error.to_string() });
        } else {
            self.state.answers.insert(nonce, answer);
        }
        self.state.save(&self.state_file)?;
        Ok(checked.map_err(Into::into))
    }
}

fn answered(nonce: Nonce, answer: &AnswerResponse) -> Answer {
    let AnswerResponse { tokens, receipt, signed } = answer.clone();
    Answer { nonce, tokens, receipt, signed }
}

/// Opens a session with the state's key, or finds out what became of the transaction of a run that was cut off.
async fn open_session(
    sender: &Sender,
    options: &SessionOptions,
    epoch: Epoch,
    (state, path): (&mut State, &Path),
) -> anyhow::Result<SessionId> {
    loop {
        let pending = match state.opening.clone() {
            Some(pending) => pending,
            None => send_opening(sender, options, epoch, (state, path)).await?,
        };
        let confirmation = sender.confirm(&pending).await?;
        if let Confirmation::Included(included) = confirmation {
            let opened = included.events.iter().find_map(|event| match event {
                Event::SessionOpened { session, .. } => Some(*session),
                _ => None,
            });
            return opened.with_context(|| format!("the transaction {} opened no session", pending.hash));
        }
        state.opening = None;
        state.save(path)?;
        if let Confirmation::Rejected { code, log } = confirmation {
            bail!("the chain rejects the session with code {code}: {log}");
        }
    }
}

async fn send_opening(
    sender: &Sender,
    options: &SessionOptions,
    epoch: Epoch,
    (state, path): (&mut State, &Path),
) -> anyhow::Result<Pending> {
    let key = state.key(path)?;
    let msg = ExecuteMsg::OpenSession {
        executor: options.executor.clone(),
        model: options.model,
        user_seed: state.user_seed,
        session_key: HexBinary::from(key.verifying_key().to_sec1_bytes().to_vec()),
        fee: Uint128::from(options.fee),
        max_prompt: options.max_prompt,
        max_new: options.max_new,
        expires: Epoch(epoch.0.saturating_add(options.epochs)),
    };
    let persist = |pending| {
        state.opening = Some(pending);
        let saved = state.save(path);
        async move { Ok(saved?) }
    };
    let sent = sender.broadcast(vec![Call { msg, funds: options.deposit }], persist).await;
    if matches!(sent, Err(TxError::Rejected { .. } | TxError::Sequence { .. })) {
        state.opening = None;
        state.save(path)?;
    }
    Ok(sent?)
}
