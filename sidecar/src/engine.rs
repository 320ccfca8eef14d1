//! The one thread that owns the model: it recomputes what others answered, and answers questions when none of that waits.
//!
//! A torch failure or panic fails the one job that met it; the thread, the model and every other job go on.

use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_common::artifact::Artifact;
use assay_common::ids::RunSeed;
use assay_common::judge::{Measurement, Platform};
use assay_common::session::{ModelSpec, Request};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::config::ModelConfig;
use crate::measure::{measure, MeasureError, Subject};
use crate::model::{Model, ModelError};

/// Why the engine could not start or do a job. None of these says anything about the party whose work is checked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the configuration names no model file")]
    NoModel,
    #[error("the model's thread cannot be started")]
    Thread(#[source] std::io::Error),
    #[error("the model")]
    Model(#[from] ModelError),
    #[error("recomputing")]
    Measure(#[from] MeasureError),
    #[error("the model's thread panicked: {0}")]
    Panic(String),
    #[error("{questions} questions got {artifacts} answers")]
    Count { questions: usize, artifacts: usize },
    #[error("the model's thread has ended")]
    Ended,
}

/// One question that a requester paid for, checked against its session.
#[derive(Clone, Debug)]
pub struct Question {
    pub request: Request,
    pub salt: [u8; 32],
    /// Token ids, the chat template applied.
    pub prompt: Vec<u32>,
    pub run_seed: RunSeed,
}

/// Who answers: the honest executor, or in the local net a cheat.
pub trait Answerer: Send {
    /// One artifact for each question, in their order.
    ///
    /// # Errors
    /// The model's own failures; then none of the questions is answered.
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError>;
}

/// Makes the answerer on the model's thread, once the model is loaded.
pub type AnswererFactory = Box<dyn FnOnce(&Model) -> Result<Box<dyn Answerer>, ModelError> + Send>;

/// What the thread does: a model with its answerer, or in tests a script.
pub trait Worker {
    fn answer(&mut self, questions: &[Question]) -> Result<Vec<Artifact>, ModelError>;
    fn recompute(&mut self, subject: &Subject) -> Result<Measurement, MeasureError>;
    fn encode(&mut self, text: &str) -> Result<Vec<u32>, ModelError>;
    fn decode(&mut self, ids: &[u32]) -> Result<String, ModelError>;
}

/// What is known of a worker once it is ready.
#[derive(Clone, Debug)]
pub struct Facts {
    pub spec: ModelSpec,
    /// The device in words.
    pub device: String,
    /// As calibrations name it.
    pub platform: Platform,
    /// The most tokens of prompt and answer together.
    pub context: u32,
}

/// How much the engine has done since it started, and in how many seconds of its thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    pub generated_tokens: u64,
    pub generate_seconds: f64,
    pub verified_tokens: u64,
    pub verify_seconds: f64,
    /// Bytes of the artifacts, and the answers' tokens in them.
    pub artifact_bytes: u64,
    pub artifact_tokens: u64,
}

#[derive(Default)]
struct Counters {
    generated_tokens: AtomicU64,
    generate_nanos: AtomicU64,
    verified_tokens: AtomicU64,
    verify_nanos: AtomicU64,
    artifact_bytes: AtomicU64,
}

type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

enum Job {
    Answer(Vec<Question>, Reply<Vec<Artifact>>),
    Recompute(Subject, Reply<Measurement>),
    Encode(String, Reply<Vec<u32>>),
    Decode(Vec<u32>, Reply<String>),
}

/// A handle of the model's thread, which ends with its last handle.
#[derive(Clone)]
pub struct Engine {
    jobs: mpsc::UnboundedSender<Job>,
    facts: Arc<Facts>,
    counters: Arc<Counters>,
}

impl Engine {
    /// Loads the model on a thread of its own; returns when it is loaded or has failed.
    ///
    /// # Errors
    /// No model is configured, or it cannot be loaded.
    pub async fn start(config: ModelConfig, answerer: AnswererFactory) -> Result<Self, EngineError> {
        Self::with_worker(move || ModelWorker::load(&config, None, answerer)).await
    }

    /// As [`Engine::start`], but refuses a file whose SHA-256 is none of `weights`.
    ///
    /// # Errors
    /// The file is another one, or [`Engine::start`]'s.
    pub async fn start_pinned(
        config: ModelConfig,
        weights: Vec<[u8; 32]>,
        answerer: AnswererFactory,
    ) -> Result<Self, EngineError> {
        Self::with_worker(move || ModelWorker::load(&config, Some(&weights), answerer)).await
    }

    /// Starts the thread with any worker, made on that thread.
    ///
    /// # Errors
    /// `make` failed or panicked.
    pub async fn with_worker<W: Worker>(
        make: impl FnOnce() -> Result<(W, Facts), EngineError> + Send + 'static,
    ) -> Result<Self, EngineError> {
        let (ready, started) = oneshot::channel();
        let (jobs, queue) = mpsc::unbounded_channel();
        let counters = Arc::new(Counters::default());
        let thread_counters = counters.clone();
        std::thread::Builder::new()
            .name("model".into())
            .spawn(move || match guarded(make) {
                Ok((worker, facts)) => {
                    // A caller that is gone has dropped the queue's sender too, so the loop ends at once.
                    if ready.send(Ok(facts)).is_ok() {
                        run(worker, queue, &thread_counters);
                    }
                }
                Err(error) => {
                    if let Err(unheard) = ready.send(Err(error)) {
                        tracing::warn!(error = ?unheard.err(), "engine.start_failed_unheard");
                    }
                }
            })
            .map_err(EngineError::Thread)?;
        let facts = started.await.map_err(|_| EngineError::Ended)??;
        Ok(Self { jobs, facts: Arc::new(facts), counters })
    }

    /// The model as its file describes it.
    pub fn spec(&self) -> &ModelSpec {
        &self.facts.spec
    }

    /// The device in words.
    pub fn device(&self) -> &str {
        &self.facts.device
    }

    /// What a calibration must have measured before this node may judge by it.
    pub fn platform(&self) -> &Platform {
        &self.facts.platform
    }

    /// The most tokens of prompt and answer together.
    pub fn context(&self) -> u32 {
        self.facts.context
    }

    /// One artifact for each question, in their order; the whole list is one batch.
    ///
    /// # Errors
    /// The model failed; then none of the questions is answered.
    pub async fn answer(&self, questions: Vec<Question>) -> Result<Vec<Artifact>, EngineError> {
        self.ask(|reply| Job::Answer(questions, reply)).await
    }

    /// Teacher-forced pass along the rows' tokens.
    ///
    /// # Errors
    /// A torch error or panic: ours, never the executor's.
    pub async fn recompute(&self, subject: Subject) -> Result<Measurement, EngineError> {
        self.ask(|reply| Job::Recompute(subject, reply)).await
    }

    /// Token ids of a text, with the leading BOS if the model wants one.
    ///
    /// # Errors
    /// The tokenizer's own.
    pub async fn encode(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        self.ask(|reply| Job::Encode(text.into(), reply)).await
    }

    /// The text of token ids.
    ///
    /// # Errors
    /// An id outside the vocabulary.
    pub async fn decode(&self, ids: &[u32]) -> Result<String, EngineError> {
        self.ask(|reply| Job::Decode(ids.into(), reply)).await
    }

    /// What has been done so far.
    pub fn speed(&self) -> Speed {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let seconds = |nanos: &AtomicU64| Duration::from_nanos(number(nanos)).as_secs_f64();
        Speed {
            generated_tokens: number(&self.counters.generated_tokens),
            generate_seconds: seconds(&self.counters.generate_nanos),
            verified_tokens: number(&self.counters.verified_tokens),
            verify_seconds: seconds(&self.counters.verify_nanos),
            artifact_bytes: number(&self.counters.artifact_bytes),
            artifact_tokens: number(&self.counters.generated_tokens),
        }
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).map_err(|_| EngineError::Ended)?;
        answer.await.map_err(|_| EngineError::Ended)?
    }
}

/// Works off the queue until the last handle is gone.
fn run(mut worker: impl Worker, mut queue: mpsc::UnboundedReceiver<Job>, counters: &Counters) {
    let mut answers = VecDeque::new();
    loop {
        let Some(job) = next(&mut queue, &mut answers) else { return };
        match job {
            Job::Answer(questions, reply) => hand_over(reply, || answer(&mut worker, &questions, counters)),
            Job::Recompute(subject, reply) => hand_over(reply, || recompute(&mut worker, &subject, counters)),
            Job::Encode(text, reply) => hand_over(reply, || Ok(worker.encode(&text)?)),
            Job::Decode(ids, reply) => hand_over(reply, || Ok(worker.decode(&ids)?)),
        }
    }
}

/// The next job: recomputations have deadlines on the chain, so answers wait for them. `None` once the last handle is gone.
fn next(queue: &mut mpsc::UnboundedReceiver<Job>, answers: &mut VecDeque<Job>) -> Option<Job> {
    loop {
        match queue.try_recv() {
            Ok(job @ Job::Answer(..)) => answers.push_back(job),
            Ok(job) => return Some(job),
            Err(_) => break,
        }
    }
    answers.pop_front().or_else(|| queue.blocking_recv())
}

/// Does a job unless nobody waits for it any more.
fn hand_over<T>(reply: Reply<T>, work: impl FnOnce() -> Result<T, EngineError>) {
    if reply.is_closed() {
        tracing::debug!("engine.job_given_up");
    } else if reply.send(guarded(work)).is_err() {
        tracing::debug!("engine.result_given_up");
    }
}

fn answer(
    worker: &mut impl Worker,
    questions: &[Question],
    counters: &Counters,
) -> Result<Vec<Artifact>, EngineError> {
    let start = Instant::now();
    let artifacts = worker.answer(questions)?;
    if artifacts.len() != questions.len() {
        return Err(EngineError::Count { questions: questions.len(), artifacts: artifacts.len() });
    }
    let tokens = artifacts.iter().map(|artifact| artifact.tokens.len()).sum();
    count(tokens, start, &counters.generated_tokens, &counters.generate_nanos);
    let bytes = |artifact| borsh::object_length(artifact).expect("an artifact has a length") as u64;
    let bytes = artifacts.iter().map(bytes).sum();
    counters.artifact_bytes.fetch_add(bytes, Ordering::Relaxed);
    Ok(artifacts)
}

fn recompute(
    worker: &mut impl Worker,
    subject: &Subject,
    counters: &Counters,
) -> Result<Measurement, EngineError> {
    let start = Instant::now();
    let measurement = worker.recompute(subject)?;
    count(subject.rows.len(), start, &counters.verified_tokens, &counters.verify_nanos);
    Ok(measurement)
}

fn count(tokens: usize, start: Instant, total: &AtomicU64, nanos: &AtomicU64) {
    let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    total.fetch_add(tokens as u64, Ordering::Relaxed);
    nanos.fetch_add(elapsed, Ordering::Relaxed);
}

/// Turns a panic into an error. The model holds no state between jobs, so none is left half changed.
fn guarded<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(EngineError::Panic(text.unwrap_or("no message").into()))
    })
}

/// The real worker.
struct ModelWorker {
    model: Model,
    answerer: Box<dyn Answerer>,
}

impl ModelWorker {
    fn load(
        config: &ModelConfig,
        weights: Option<&[[u8; 32]]>,
        answerer: AnswererFactory,
    ) -> Result<(Self, Facts), EngineError> {
        let path = config.path.as_deref().ok_or(EngineError::NoModel)?;
        let device = config.device.parse().map_err(ModelError::Device)?;
        let model = match weights {
            Some(weights) => Model::load_pinned(path, weights, config.scheme, device, config.threads)?,
            None => Model::load(path, config.scheme, device, config.threads)?,
        };
        let facts = Facts {
            spec: model.spec().clone(),
            device: model.device(),
            platform: model.platform(),
            context: u32::try_from(model.config().context).unwrap_or(0),
        };
        let answerer = answerer(&model)?;
        Ok((Self { model, answerer }, facts))
    }
}

impl Worker for ModelWorker {
    fn answer(&mut self, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        self.answerer.answer(&self.model, questions)
    }

    fn recompute(&mut self, subject: &Subject) -> Result<Measurement, MeasureError> {
        measure(&self.model, subject)
    }

    fn encode(&mut self, text: &str) -> Result<Vec<u32>, ModelError> {
        Ok(self.model.tokenizer().encode(text)?)
    }

    fn decode(&mut self, ids: &[u32]) -> Result<String, ModelError> {
        Ok(self.model.tokenizer().decode(ids)?)
    }
}
