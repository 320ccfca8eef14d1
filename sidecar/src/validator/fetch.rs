//! The committed bytes, from the executor that committed to them.

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
use super::{Case, Juror};
use crate::chain::{Account, ChainError};
use crate::executor::serve::{SIGNED_HEADER, SIGNER_HEADER, TIME_HEADER};
use crate::http::ArtifactResponse;

/// Bytes of a response besides the artifact: a path of 32 digests in hex, a voucher, and the frame.
const RESPONSE_FIXED: u64 = 16 * 1024;
/// Bytes of a refusal that are worth a line in the log.
const REFUSAL_BYTES: usize = 300;
/// Wait after the first failed attempt; it doubles, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// What an executor gave.
#[derive(Debug)]
pub enum Answer {
    Given(ArtifactResponse),
    /// Something, but not what it committed to.
    Wrong(String),
    /// Nothing, or a refusal.
    Nothing(String),
}

/// Asks the executor once.
///
/// # Errors
/// The chain cannot be asked: then it is our outage, and says nothing about the executor.
pub async fn step(juror: &Juror, job: &Job) -> Result<Next, ChainError> {
    let case = Case::read(&juror.chain, job.seat.key, job.seat.window).await?;
    if let Some(reason) = juror.abstains(&case) {
        let outcome = Outcome::Inconclusive { reason };
        return Ok(Next::Judged { case, outcome, report: None });
    }
    let query = QueryMsg::Node { address: case.executor.clone() };
    let node: NodeResponse = juror.chain.query(&query).await?;
    let answer = match ask(juror, job, &case, &node.endpoint).await {
        Answer::Given(evidence) => match open(&evidence, &case.commitment()) {
            Ok(_) => return Ok(Next::Fetched { case, evidence }),
            Err(reason) => Answer::Wrong(reason),
        },
        other => other,
    };
    // Only a chain that answers now makes the executor's silence the executor's.
    let now = juror.chain.clock().await?.now;
    Ok(without(juror, job, case, answer, now))
}

/// What follows from an answer without the committed bytes.
fn without(juror: &Juror, job: &Job, case: Case, answer: Answer, now: u64) -> Next {
    let last = job.seat.deadline.saturating_sub(juror.config.commit_margin.as_secs());
    let (reason, text, final_answer) = match answer {
        // Once more, in case the bytes were damaged on the way.
        Answer::Wrong(text) => (UnavailableReason::Mismatch, text, job.attempts > 0 || now >= last),
        Answer::Nothing(text) => (UnavailableReason::Absent, text, now >= last),
        Answer::Given(evidence) => return Next::Fetched { case, evidence },
    };
    let key = job.seat.key;
    if final_answer {
        tracing::info!(
            job.batch = key.batch.0,
            job.draw = key.draw,
            executor = case.executor,
            reason = text,
            "fetch.unavailable"
        );
        return Next::Judged { case, outcome: Outcome::Unavailable { reason }, report: None };
    }
    let left = Duration::from_secs(last.saturating_sub(now));
    Next::Retry { after: wait(job.attempts).min(left), reason: format!("{}: {text}", case.executor) }
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

async fn ask(juror: &Juror, job: &Job, case: &Case, endpoint: &str) -> Answer {
    let key = job.seat.key;
    let asked = [("batch", key.batch.0), ("draw", key.draw.into())];
    let request = address(endpoint, &case.inference, &asked).and_then(|url| {
        let request = juror.client.get(url).timeout(juror.config.fetch_timeout);
        signed(request, juror.sender.account(), juror.chain.domain(), &case.inference)
    });
    let tokens = case.max_prompt.saturating_add(case.max_new);
    match request {
        Ok(request) => read(request, cap(juror.params.limits.artifact_bytes(tokens))).await,
        Err(reason) => Answer::Nothing(reason),
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
pub async fn read(request: reqwest::RequestBuilder, cap: usize) -> Answer {
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Answer::Nothing(chained(&error)),
    };
    let status = response.status();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return Answer::Nothing(chained(&error)),
        }
        if body.len() > cap {
            let text = format!("more than {cap} bytes");
            return if status.is_success() { Answer::Wrong(text) } else { Answer::Nothing(text) };
        }
    }
    if !status.is_success() {
        body.truncate(REFUSAL_BYTES);
        return Answer::Nothing(format!("{status}: {}", String::from_utf8_lossy(&body)));
    }
    match serde_json::from_slice(&body) {
        Ok(evidence) => Answer::Given(evidence),
        Err(error) => Answer::Wrong(format!("no artifact response: {error}")),
    }
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
