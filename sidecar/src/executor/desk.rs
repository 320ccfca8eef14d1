//! From an admitted request to a stored answer: gathers what arrives together, answers it as one batch, stores it, and
//! only then signs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use assay_common::artifact::{Artifact, Mismatch};
use assay_common::ids::{Epoch, InferenceId, Nonce, SessionId};
use assay_common::msg::{ParamsVersion, QueryMsg, SessionResponse};
use assay_common::params::LimitParams;
use assay_common::session::inference_id;
use tokio::sync::{mpsc, watch};
use tokio::time::{timeout_at, Instant};

use super::admit::{admit, Refusal, Terms};
use super::inferences::{Inferences, InferencesError, NewInference, Stored};
use super::Contract;
use crate::chain::account::Account;
use crate::chain::rpc::ChainError;
use crate::config::ExecutorConfig;
use crate::engine::{Engine, EngineError, Question};
use crate::http::{AnswerRequest, AnswerResponse};

/// Admitted requests that wait for the model; more are turned away.
const MAX_WAITING: usize = 1024;
/// Session records kept; above it all are dropped and read again.
const MAX_SESSIONS: usize = 65_536;

/// What the executor works with.
pub struct Parts {
    pub contract: Contract,
    pub account: Account,
    pub engine: Engine,
    pub inferences: Inferences,
    pub terms: Terms,
    pub config: ExecutorConfig,
}

/// The executor's side of the HTTP routes. Clones share everything; its task ends with the last clone.
#[derive(Clone)]
pub struct Desk {
    pub(super) shared: Arc<Shared>,
    queue: mpsc::Sender<Item>,
}

pub(super) struct Shared {
    pub(super) contract: Contract,
    pub(super) account: Account,
    pub(super) inferences: Inferences,
    pub(super) terms: Terms,
    engine: Engine,
    gather: Duration,
    max_batch: usize,
    /// Maps a session to the epoch in which its record was read and the record. It is read again where it refuses a
    /// request, and in each epoch: a requester may close a session, and claims are taken for some epochs after that.
    sessions: Mutex<BTreeMap<SessionId, (Epoch, SessionResponse)>>,
    /// The limits of the epoch in which they were asked for: governance may change them with the next.
    limits: Mutex<Option<(Epoch, LimitParams)>>,
    /// Maps an inference that is being answered to its outcome.
    flights: Mutex<BTreeMap<InferenceId, watch::Receiver<Outcome>>>,
}

type Outcome = Option<Result<(), Arc<WorkError>>>;

/// Why an admitted request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error("the model failed")]
    Engine(#[from] EngineError),
    #[error("the answer could not be stored")]
    Store(#[from] InferencesError),
}

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the contract knows no session {session}: {log}")]
    UnknownSession { session: SessionId, log: String },
    #[error("nonce {nonce} of session {session} was answered for another request; ask under a new nonce")]
    NonceUsed { session: SessionId, nonce: Nonce },
    #[error("{MAX_WAITING} requests already wait; try again")]
    Busy,
    #[error("the executor is stopping; try again")]
    Stopping,
    #[error("the chain cannot be asked about session {session}")]
    Chain {
        session: SessionId,
        #[source]
        source: ChainError,
    },
    #[error("the chain cannot be asked for the parameters of epoch {epoch}")]
    Params {
        epoch: Epoch,
        #[source]
        source: ChainError,
    },
    #[error("the model could not answer")]
    Work(#[source] Arc<WorkError>),
    #[error("the stored answers")]
    Store(#[from] InferencesError),
    #[error("the stored answer is damaged: {0}")]
    Damaged(Mismatch),
    #[error("this machine's clock stands before the start of the protocol")]
    Clock,
}

struct Item {
    id: InferenceId,
    session: SessionId,
    nonce: Nonce,
    question: Question,
    voucher: Vec<u8>,
    outcome: watch::Sender<Outcome>,
}

impl Desk {
    /// Starts the task that answers.
    pub fn open(parts: Parts) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let shared = Arc::new(Shared {
            contract: parts.contract,
            account: parts.account,
            inferences: parts.inferences,
            terms: parts.terms,
            engine: parts.engine,
            gather: parts.config.gather,
            max_batch: parts.config.max_batch.max(1),
            sessions: Mutex::default(),
            limits: Mutex::default(),
            flights: Mutex::default(),
        });
        tokio::spawn(gather(waiting, shared.clone()));
        Self { shared, queue }
    }

    /// Answers a request, once: the same request again gets the stored answer.
    ///
    /// # Errors
    /// The request is refused, or we cannot answer it.
    pub async fn answer(&self, asked: AnswerRequest) -> Result<AnswerResponse, DeskError> {
        let id = inference_id(&self.shared.terms.domain, asked.session, asked.nonce);
        if let Some(stored) = self.shared.inferences.get(&id).await? {
            return self.shared.respond(&asked, &stored);
        }
        let question = self.shared.admit(&asked).await?;
        let mut outcome = self.take_off(id, question, &asked)?;
        let landed = outcome.wait_for(Option::is_some).await.map(|landed| landed.clone());
        match landed {
            Ok(Some(Err(error))) => return Err(DeskError::Work(error)),
            Ok(_) => {}
            Err(_) => return Err(DeskError::Stopping),
        }
        let stored = self.shared.inferences.get(&id).await?.ok_or(DeskError::Stopping)?;
        self.shared.respond(&asked, &stored)
    }

    /// The limits of this epoch.
    ///
    /// # Errors
    /// The chain cannot be asked for them.
    pub async fn limits(&self) -> Result<LimitParams, DeskError> {
        self.shared.limits(self.shared.epoch()?).await
    }

    /// Queues a question, unless its inference is already being answered.
    fn take_off(
        &self,
        id: InferenceId,
        question: Question,
        asked: &AnswerRequest,
    ) -> Result<watch::Receiver<Outcome>, DeskError> {
        let mut flights = lock(&self.shared.flights);
        if let Some(outcome) = flights.get(&id) {
            return Ok(outcome.clone());
        }
        let (sender, outcome) = watch::channel(None);
        let voucher = asked.voucher.to_vec();
        let item =
            Item { id, session: asked.session, nonce: asked.nonce, question, voucher, outcome: sender };
        self.queue.try_send(item).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => DeskError::Busy,
            mpsc::error::TrySendError::Closed(_) => DeskError::Stopping,
        })?;
        flights.insert(id, outcome.clone());
        Ok(outcome)
    }
}

impl Shared {
    async fn admit(&self, asked: &AnswerRequest) -> Result<Question, DeskError> {
        let now = self.epoch()?;
        let limits = self.limits(now).await?;
        let known = lock(&self.sessions).get(&asked.session).filter(|(read, _)| *read == now).cloned();
        let session = match &known {
            Some((_, session)) => session.clone(),
            None => self.read_session(asked.session, now).await?,
        };
        match admit(asked, &session, now, (&self.terms, &limits)) {
            Err(refusal) if known.is_some() && refusal.may_be_stale() => {
                let session = self.read_session(asked.session, now).await?;
                Ok(admit(asked, &session, now, (&self.terms, &limits))?)
            }
            outcome => Ok(outcome?),
        }
    }

    async fn read_session(&self, session: SessionId, now: Epoch) -> Result<SessionResponse, DeskError> {
        let record: SessionResponse =
            self.contract.query(QueryMsg::Session { session }).await.map_err(|source| match source {
                ChainError::Query { log, .. } => DeskError::UnknownSession { session, log },
                source => DeskError::Chain { session, source },
            })?;
        let mut sessions = lock(&self.sessions);
        if sessions.len() >= MAX_SESSIONS {
            sessions.clear();
        }
        sessions.insert(session, (now, record.clone()));
        Ok(record)
    }

    async fn limits(&self, epoch: Epoch) -> Result<LimitParams, DeskError> {
        let known = *lock(&self.limits);
        if let Some((_, limits)) = known.filter(|(read, _)| *read == epoch) {
            return Ok(limits);
        }
        let version: ParamsVersion = self
            .contract
            .query(QueryMsg::ParamsOf { epoch })
            .await
            .map_err(|source| DeskError::Params { epoch, source })?;
        let limits = version.params.limits;
        *lock(&self.limits) = Some((epoch, limits));
        Ok(limits)
    }

    fn epoch(&self) -> Result<Epoch, DeskError> {
        let clock = &self.terms.clock;
        clock.window(unix_now()).map(|window| clock.epoch(window)).ok_or(DeskError::Clock)
    }

    /// Signs what is stored; the signature is deterministic, so a receipt never has two.
    fn respond(&self, asked: &AnswerRequest, stored: &Stored) -> Result<AnswerResponse, DeskError> {
        if stored.receipt.request != asked.request.digest() {
            return Err(DeskError::NonceUsed { session: asked.session, nonce: asked.nonce });
        }
        let artifact = Artifact::decode(&stored.artifact).map_err(DeskError::Damaged)?;
        let signed = self.account.sign(&stored.receipt.digest(&self.terms.domain).0);
        Ok(AnswerResponse { tokens: artifact.tokens, receipt: stored.receipt, signed })
    }

    /// Answers as one batch; where that fails, one by one, so that one bad question spoils no other.
    async fn work(&self, items: Vec<Item>) {
        let questions = |items: &[Item]| items.iter().map(|item| item.question.clone()).collect();
        let together = self.engine.answer(questions(&items)).await;
        match together {
            Err(error) if items.len() > 1 => {
                tracing::warn!(error = %Chained(&error), batch.size = items.len(), "executor.batch_failed");
                for item in items {
                    let alone = self.engine.answer(questions(std::slice::from_ref(&item))).await;
                    self.land(vec![item], alone).await;
                }
            }
            outcome => self.land(items, outcome).await,
        }
    }

    /// Stores the answers, then tells those who wait.
    async fn land(&self, items: Vec<Item>, outcome: Result<Vec<Artifact>, EngineError>) {
        let stored = match outcome {
            Ok(artifacts) => self.store(&items, artifacts).await.map_err(WorkError::Store),
            Err(error) => Err(WorkError::Engine(error)),
        };
        let outcome = stored.map_err(Arc::new);
        if let Err(error) = &outcome {
            tracing::error!(error = %Chained(error.as_ref()), answers.lost = items.len(), "executor.answer_failed");
        }
        for item in items {
            lock(&self.flights).remove(&item.id);
            item.outcome.send_replace(Some(outcome.clone()));
        }
    }

    async fn store(&self, items: &[Item], artifacts: Vec<Artifact>) -> Result<(), InferencesError> {
        let lay_out = |(item, artifact): (&Item, Artifact)| NewInference {
            session: item.session,
            nonce: item.nonce,
            receipt: artifact.receipt(item.id),
            artifact: artifact.encode(),
            voucher: item.voucher.clone(),
        };
        let answers: Vec<NewInference> = items.iter().zip(artifacts).map(lay_out).collect();
        self.inferences.insert(&answers, unix_now()).await?;
        tracing::info!(batch.size = answers.len(), "executor.answered");
        Ok(())
    }
}

async fn gather(mut waiting: mpsc::Receiver<Item>, shared: Arc<Shared>) {
    while let Some(first) = waiting.recv().await {
        let mut items = vec![first];
        let deadline = Instant::now() + shared.gather;
        while items.len() < shared.max_batch {
            match timeout_at(deadline, waiting.recv()).await {
                Ok(Some(item)) => items.push(item),
                Ok(None) | Err(_) => break,
            }
        }
        shared.work(items).await;
    }
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// What is behind these locks is whole between any two statements, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error with its causes, on one line.
pub(crate) struct Chained<'a>(pub &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chained<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
