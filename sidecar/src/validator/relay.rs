//! Who is asked for the committed bytes, and when: the executor first, then the other jurors of the sample.
//!
//! One that is silent costs a head start, not the whole of its time: then the next is asked as well, and the first bytes
//! that open against the commitment end the asking (as RFC 8305 has it for addresses). An executor that answers is thus the
//! only one that is asked, and one that answers a single juror has answered all of them.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use assay_common::digest::sha256;
use assay_common::msg::SampleResponse;
use futures::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep_until, Instant};

use crate::chain::ChainError;
use crate::http::ArtifactResponse;

/// Sources of one artifact that are asked at once: each may send as much as the largest artifact has.
const AT_ONCE: usize = 4;

/// Who may have an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Executor(String),
    /// Another one with a seat on the sample.
    Juror(String),
}

impl Source {
    pub fn address(&self) -> &str {
        match self {
            Source::Executor(address) | Source::Juror(address) => address,
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Executor(address) => write!(f, "executor {address}"),
            Source::Juror(address) => write!(f, "juror {address}"),
        }
    }
}

/// The executor, then every other juror of both levels in an order of this attempt's own: no juror is everybody's first
/// choice, and those who were silent at one attempt are not the first of the next.
pub fn sources(sample: &SampleResponse, executor: &str, me: &str, attempt: u32) -> Vec<Source> {
    let place = |juror: &str| {
        let sample = [sample.batch.0.to_le_bytes(), u64::from(sample.draw).to_le_bytes()].concat();
        sha256(&[&sample, &attempt.to_le_bytes(), me.as_bytes(), b"/", juror.as_bytes()])
    };
    let seats = sample.seats.iter().map(|seat| seat.juror.clone());
    let mut jurors: Vec<String> = seats.filter(|juror| juror != me && juror != executor).collect();
    jurors.sort_unstable_by_key(|juror| place(juror));
    jurors.dedup();
    std::iter::once(Source::Executor(executor.into())).chain(jurors.into_iter().map(Source::Juror)).collect()
}

/// An answer that is not the committed artifact, with everything that belongs to it.
#[derive(Clone, Debug)]
pub enum Miss {
    /// Something, but not what was committed to.
    Wrong(String),
    /// The committed bytes, without a voucher for them.
    Unvouched(ArtifactResponse),
    /// Nothing, or a refusal.
    Nothing(String),
}

impl std::fmt::Display for Miss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Miss::Wrong(reason) | Miss::Nothing(reason) => f.write_str(reason),
            Miss::Unvouched(_) => f.write_str("the voucher is not the session key's"),
        }
    }
}

/// What came of asking everybody once.
#[derive(Debug)]
pub enum Heard {
    Given(Source, ArtifactResponse),
    /// In the order in which they answered; who is not there was silent.
    Missed(Vec<(Source, Miss)>),
}

/// The time that asking may take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A source that has not answered after so long is not waited for alone.
    pub head_start: Duration,
    /// For all of them together.
    pub whole: Duration,
}

/// Asks one source after the other until one gives the artifact.
///
/// # Errors
/// Nobody gave it, and of somebody the chain did not say where to ask: that is our outage.
pub async fn first<Asking>(
    sources: Vec<Source>,
    pace: Pace,
    ask: impl Fn(Source) -> Asking,
) -> Result<Heard, ChainError>
where
    Asking: Future<Output = (Source, Result<Result<ArtifactResponse, Miss>, ChainError>)>,
{
    let begin = Instant::now();
    let (end, mut next) = (begin + pace.whole, begin);
    let mut waiting = sources.into_iter();
    let mut asked = FuturesUnordered::new();
    let (mut missed, mut outage) = (Vec::new(), None);
    while waiting.len() > 0 || !asked.is_empty() {
        tokio::select! {
            biased;
            Some((source, answer)) = asked.next(), if !asked.is_empty() => {
                match answer {
                    Ok(Ok(evidence)) => return Ok(Heard::Given(source, evidence)),
                    Ok(Err(miss)) => missed.push((source, miss)),
                    Err(error) => outage = outage.or(Some(error)),
                }
                next = Instant::now();
            }
            () = sleep_until(end) => break,
            () = sleep_until(next), if waiting.len() > 0 && asked.len() < AT_ONCE => {
                asked.extend(waiting.next().map(&ask));
                next = Instant::now() + pace.head_start;
            }
        }
    }
    match outage {
        Some(error) => Err(error),
        None => Ok(Heard::Missed(missed)),
    }
}

/// Artifacts that went through this node since its start.
#[derive(Debug, Default)]
pub struct Traffic {
    from_executors: AtomicU64,
    from_jurors: AtomicU64,
    to_jurors: AtomicU64,
}

/// [`Traffic`] at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relayed {
    /// Fetched to be judged: from those who had committed to them, and from other jurors.
    pub fetched_from_executors: u64,
    pub fetched_from_jurors: u64,
    /// Of what was fetched, served to other jurors.
    pub served_to_jurors: u64,
}

impl Traffic {
    pub fn fetched(&self, from: &Source) {
        let count = match from {
            Source::Executor(_) => &self.from_executors,
            Source::Juror(_) => &self.from_jurors,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub fn served(&self) {
        self.to_jurors.fetch_add(1, Ordering::Relaxed);
    }

    pub fn now(&self) -> Relayed {
        Relayed {
            fetched_from_executors: self.from_executors.load(Ordering::Relaxed),
            fetched_from_jurors: self.from_jurors.load(Ordering::Relaxed),
            served_to_jurors: self.to_jurors.load(Ordering::Relaxed),
        }
    }
}
