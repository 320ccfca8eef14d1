//! The committed bytes, from the executor that committed to them or from a juror who has them from it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use assay_common::artifact::{Artifact, Commitment};
use assay_common::digest::Domain;
use assay_common::ids::InferenceId;
use assay_common::msg::{NodeResponse, QueryMsg};
use assay_common::session::fetch_digest;
use assay_common::verdict::{Outcome, UnavailableReason};
use cosmwasm_std::HexBinary;
use reqwest::{RequestBuilder, Url};

use super::jobs::{Job, Next};
use super::record::Record;
use super::relay::{self, Heard, Miss, Pace, Source};
use super::{Case, Juror};
use crate::artifacts::{SIGNED_HEADER, SIGNER_HEADER, TIME_HEADER};
use crate::chain::{Account, ChainError};
use crate::config::ValidatorConfig;
use crate::http::ArtifactResponse;

/// Bytes of a response besides the artifact: a path of 32 digests in hex, a voucher, and the frame.
const RESPONSE_FIXED: u64 = 16 * 1024;
/// Bytes of a refusal that are worth a line in the log.
const REFUSAL_BYTES: usize = 300;
/// Head starts in the time that one source has: after one of them the next source is asked as well.
const HEAD_STARTS: u32 = 4;
/// Wait after the first failed attempt; it doubles, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// Asks the executor and the other jurors once.
///
/// # Errors
/// The chain cannot be asked: then it is our outage, and says nothing about the executor.
pub async fn step(juror: &Juror, job: &Job) -> Result<Next, ChainError> {
    let record = Record::read(&juror.chain, job.seat.key).await?;
    let case = record.case(job.seat.window);
    if let Some(reason) = juror.abstains(&case).await? {
        let outcome = Outcome::Inconclusive { reason };
        return Ok(Next::Judged { case, outcome, report: None });
    }
    let sources = relay::sources(&record.sample, &case.executor, juror.address(), job.attempts);
    let begin = juror.chain.clock().await?.now;
    let pace = pace(&juror.config, sources.len(), latest(juror, job).saturating_sub(begin));
    let cap = cap(record.artifact_bytes());
    let ask = |source: Source| async {
        let answer = ask(juror, job, (&case, cap), &source).await;
        (source, answer)
    };
    let missed = match relay::first(sources, pace, ask).await? {
        Heard::Given(from, evidence) => {
            juror.traffic.fetched(&from);
            return Ok(Next::Fetched { case, evidence, from });
        }
        Heard::Missed(missed) => missed,
    };
    // Only a chain that answers now makes the executor's silence the executor's.
    let now = juror.chain.clock().await?.now;
    Ok(without(juror, job, case, missed, now))
}

/// The second of the chain's time from which on a verdict may be too late for its page.
fn latest(juror: &Juror, job: &Job) -> u64 {
    job.seat.deadline.saturating_sub(juror.config.commit_margin.as_secs())
}

/// What an attempt may take, with `left` seconds until it is too late; at the last moment, what one source may take.
pub fn pace(config: &ValidatorConfig, sources: usize, left: u64) -> Pace {
    let head_start = config.fetch_timeout / HEAD_STARTS;
    let later = u32::try_from(sources).unwrap_or(u32::MAX).saturating_sub(1);
    let needed = head_start.saturating_mul(later).saturating_add(config.fetch_timeout);
    Pace { head_start, whole: needed.min(Duration::from_secs(left).max(config.fetch_timeout)) }
}

/// What follows when nobody gave the committed bytes. Only the executor's own answer is held against it: a juror that
/// sends something else has proven nothing.
fn without(juror: &Juror, job: &Job, case: Case, missed: Vec<(Source, Miss)>, now: u64) -> Next {
    let text: Vec<String> = missed.iter().map(|(source, miss)| format!("{source}: {miss}")).collect();
    let text = if text.is_empty() { "nobody answered".into() } else { text.join("; ") };
    // An attempt that begins later would end when the page may be made already.
    let left = latest(juror, job).saturating_sub(now.saturating_add(juror.config.fetch_timeout.as_secs()));
    if left > 0 {
        return Next::Retry { after: wait(job.attempts).min(Duration::from_secs(left)), reason: text };
    }
    let of_executor = missed.into_iter().find_map(|(from, miss)| match from {
        Source::Executor(_) => Some((from, miss)),
        Source::Juror(_) => None,
    });
    let reason = match of_executor {
        // Its bytes stand, and nobody has a voucher for them.
        Some((from, Miss::Unvouched(evidence))) => return Next::Fetched { case, evidence, from },
        Some((_, Miss::Wrong(_))) => UnavailableReason::Mismatch,
        Some((_, Miss::Nothing(_))) | None => UnavailableReason::Absent,
    };
    let (batch, draw) = (job.seat.key.batch.0, job.seat.key.draw);
    tracing::info!(
        job.batch = batch,
        job.draw = draw,
        executor = case.executor,
        reason = text,
        "fetch.unavailable"
    );
    Next::Judged { case, outcome: Outcome::Unavailable { reason }, report: None }
}

/// Wait after a failed attempt, when `attempts` had failed before it.
pub fn wait(attempts: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1u32.checked_shl(attempts).unwrap_or(u32::MAX)).min(LONGEST_WAIT)
}

/// Opens the bytes against the batch's commitment.
///
/// # Errors
/// They are not what was committed to; how that shows.
pub fn open(evidence: &ArtifactResponse, commitment: &Commitment) -> Result<Artifact, String> {
    let path = path(evidence)?;
    Artifact::open(&evidence.artifact, &path, commitment).map_err(|mismatch| mismatch.to_string())
}

/// The way from the inference's leaf to the batch's root.
///
/// # Errors
/// A sibling that is no digest.
pub fn path(evidence: &ArtifactResponse) -> Result<Vec<[u8; 32]>, String> {
    let digest = |sibling: &HexBinary| {
        let bytes = sibling.as_slice();
        bytes.try_into().map_err(|_| format!("a digest of the path has {} bytes", bytes.len()))
    };
    evidence.path.iter().map(digest).collect()
}

/// Asks one source. What it gives is looked at in the same way whoever it is.
async fn ask(
    juror: &Juror,
    job: &Job,
    (case, cap): (&Case, usize),
    source: &Source,
) -> Result<Result<ArtifactResponse, Miss>, ChainError> {
    let node = juror.chain.query(&QueryMsg::Node { address: source.address().into() }).await;
    let node: NodeResponse = match node {
        Err(ChainError::Query { log, .. }) => return Ok(Err(Miss::Nothing(format!("no such node: {log}")))),
        node => node?,
    };
    let key = job.seat.key;
    let asked = [("batch", key.batch.0), ("draw", key.draw.into())];
    let request = address(&node.endpoint, &case.inference, &asked).and_then(|url| {
        let request = juror.client.get(url).timeout(juror.config.fetch_timeout);
        signed(request, juror.sender.account(), juror.chain.domain(), &case.inference)
    });
    Ok(match request {
        Ok(request) => read(request, cap).await.and_then(|given| checked(juror.chain.domain(), case, given)),
        Err(reason) => Err(Miss::Nothing(reason)),
    })
}

/// What was given, if it is what the batch commits to and comes with the requester's voucher. The voucher is under no
/// root, so a juror that relays the right bytes could pass on a false one.
///
/// # Errors
/// It is something else.
pub fn checked(domain: &Domain, case: &Case, given: ArtifactResponse) -> Result<ArtifactResponse, Miss> {
    let artifact = open(&given, &case.commitment()).map_err(Miss::Wrong)?;
    match case.check_voucher(domain, &artifact.request.digest(), &given.voucher) {
        Ok(()) => Ok(given),
        Err(_) => Err(Miss::Unvouched(given)),
    }
}

/// A request for an artifact, signed by this account now.
///
/// # Errors
/// This machine's clock, or an account that cannot be written as JSON.
pub fn signed(
    request: RequestBuilder,
    account: &Account,
    domain: &Domain,
    inference: &InferenceId,
) -> Result<RequestBuilder, String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since.map_err(|error| format!("this machine's clock: {error}"))?.as_secs();
    let digest = fetch_digest(domain, inference, account.address(), now);
    let signed = serde_json::to_string(&account.sign(&digest.0)).map_err(|error| error.to_string())?;
    let headers =
        [(SIGNER_HEADER, account.address()), (TIME_HEADER, &now.to_string()), (SIGNED_HEADER, &signed)];
    Ok(headers.into_iter().fold(request, |request, (name, value)| request.header(name, value)))
}

/// Most bytes of a response with an artifact of `artifact` bytes: base64 makes four of three.
pub fn cap(artifact: u64) -> usize {
    let bytes = artifact.div_ceil(3).saturating_mul(4).saturating_add(RESPONSE_FIXED);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Where an endpoint has an artifact; `asked` says by which right.
///
/// # Errors
/// The endpoint is no URL.
pub fn address(endpoint: &str, inference: &InferenceId, asked: &[(&str, u64)]) -> Result<Url, String> {
    let text = format!("{}/v1/artifacts/{inference}", endpoint.trim_end_matches('/'));
    let mut url = Url::parse(&text).map_err(|error| format!("endpoint {endpoint:?}: {error}"))?;
    for (name, value) in asked {
        url.query_pairs_mut().append_pair(name, &value.to_string());
    }
    Ok(url)
}

/// Sends a request and reads at most `cap` bytes.
///
/// # Errors
/// What came is no artifact.
pub async fn read(request: RequestBuilder, cap: usize) -> Result<ArtifactResponse, Miss> {
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Err(Miss::Nothing(chained(&error))),
    };
    let status = response.status();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return Err(Miss::Nothing(chained(&error))),
        }
        if body.len() > cap {
            let text = format!("more than {cap} bytes");
            return Err(if status.is_success() { Miss::Wrong(text) } else { Miss::Nothing(text) });
        }
    }
    if !status.is_success() {
        body.truncate(REFUSAL_BYTES);
        return Err(Miss::Nothing(format!("{status}: {}", String::from_utf8_lossy(&body))));
    }
    serde_json::from_slice(&body).map_err(|error| Miss::Wrong(format!("no artifact response: {error}")))
}

/// An error with its causes: reqwest's own text hides them.
fn chained(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
