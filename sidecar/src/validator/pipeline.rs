//! The order of the steps, written nowhere else: one `match` on the stored state, then a compare-and-set.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use assay_common::verdict::{AbstainReason, Outcome};
use futures::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::jobs::{self, Job, Next, State};
use super::{fetch, judge, recompute, Bench, Case, Juror};
use crate::chain::ChainError;
use crate::http::ArtifactResponse;
use crate::store::StoreError;

/// Jobs at hand at once: enough to fetch many while the model works through the others.
const AT_ONCE: usize = 16;
/// A job is free again after so long, should its step never end.
const LEASE: Duration = Duration::from_secs(600);
/// Time between two looks at the queue when it is empty.
const IDLE: Duration = Duration::from_millis(250);
/// Wait before a step is tried again that failed through no fault of the executor.
const AFTER_OUTAGE: Duration = Duration::from_secs(2);

/// Why a step came to nothing; the job waits and is tried again.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("the job is {state}, but {missing} is missing")]
    Incomplete { state: &'static str, missing: &'static str },
}

/// Works until it is told to stop.
///
/// # Errors
/// The store fails.
pub async fn run(juror: Arc<Juror>, stop: CancellationToken) -> anyhow::Result<()> {
    jobs::release(&juror.store).await?;
    let mut working: JoinSet<Result<(), StoreError>> = JoinSet::new();
    loop {
        while working.len() < AT_ONCE {
            let Some(job) = jobs::claim(&juror.store, now_ms()?, LEASE).await? else { break };
            working.spawn(work(juror.clone(), job));
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(ended) = working.join_next() => ended??,
            () = tokio::time::sleep(IDLE) => {}
        }
    }
}

/// Does the step that a claimed job waits for, and stores what it came to.
///
/// # Errors
/// The store fails.
pub async fn work(juror: Arc<Juror>, job: Job) -> Result<(), StoreError> {
    // A bug in reading what an executor gave must not stop the node.
    let step = AssertUnwindSafe(step(&juror, &job)).catch_unwind().await;
    let next = match step {
        Ok(Ok(next)) => next,
        Ok(Err(error)) => failed(&job, &format!("{:#}", anyhow::Error::from(error))),
        Err(_) => panicked(&job),
    };
    let now =
        now_ms().map_err(|error| StoreError::Unreadable { what: "the clock", reason: error.to_string() })?;
    if !jobs::advance(&juror.store, &job, &next, now).await? {
        tracing::debug!(
            job.batch = job.seat.key.batch.0,
            job.draw = job.seat.key.draw,
            "job.moved_meanwhile"
        );
    }
    Ok(())
}

fn failed(job: &Job, reason: &str) -> Next {
    tracing::warn!(job.batch = job.seat.key.batch.0, job.draw = job.seat.key.draw, reason, "job.step_failed");
    Next::Retry { after: AFTER_OUTAGE, reason: reason.into() }
}

/// A panic is ours, never the executor's: once more, then we abstain.
fn panicked(job: &Job) -> Next {
    match &job.case {
        Some(case) if job.attempts > 0 => {
            let outcome = Outcome::Inconclusive { reason: AbstainReason::Recompute };
            Next::Judged { case: case.clone(), outcome, report: None }
        }
        _ => failed(job, "the step panicked; this is a bug"),
    }
}

async fn step(juror: &Juror, job: &Job) -> Result<Next, StepError> {
    match job.state {
        State::Sampled => Ok(fetch::step(juror, job).await?),
        State::Fetched => {
            let (case, evidence) = learnt(job)?;
            Ok(recompute::step(juror, job, case, evidence).await)
        }
        State::Recomputed => decide(juror, job),
        // Pages move these; see `submit`.
        State::Judged | State::Submitted | State::Confirmed | State::Expired | State::Abstained => {
            Err(StepError::Incomplete { state: job.state.name(), missing: "a step of the pipeline" })
        }
    }
}

fn decide(juror: &Juror, job: &Job) -> Result<Next, StepError> {
    let (case, evidence) = learnt(job)?;
    let missing = |missing| StepError::Incomplete { state: job.state.name(), missing };
    let measurement = job.measurement.as_ref().ok_or_else(|| missing("the measurement"))?;
    let Bench { calibrations, .. } = juror.bench.as_ref().ok_or_else(|| missing("the model"))?;
    let calibration = calibrations.get(&case.calibration).ok_or_else(|| missing("the calibration"))?;
    let (outcome, report) = judge::decide(juror.chain.domain(), case, evidence, measurement, &calibration);
    Ok(Next::Judged { case: case.clone(), outcome, report })
}

fn learnt(job: &Job) -> Result<(&Case, &ArtifactResponse), StepError> {
    let missing = |missing| StepError::Incomplete { state: job.state.name(), missing };
    let case = job.case.as_ref().ok_or_else(|| missing("the case"))?;
    let evidence = job.evidence.as_ref().ok_or_else(|| missing("the artifact"))?;
    Ok((case, evidence))
}

fn now_ms() -> anyhow::Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}
