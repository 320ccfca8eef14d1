//! The executor's routes: answers for those who pay, artifacts for those who are to judge them.

use assay_common::ids::{BatchId, InferenceId, Nonce, SessionId};
use assay_common::merkle;
use assay_common::msg::{QueryMsg, SampleResponse, SessionResponse};
use assay_common::session::{fetch_digest, inference_id};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use cosmwasm_std::{Binary, HexBinary};
use serde::Deserialize;

use super::desk::{unix_now, Chained, Desk, DeskError};
use crate::chain::account::Signed;
use crate::chain::rpc::ChainError;
use crate::http::{AnswerRequest, AnswerResponse, ArtifactResponse, Refused};

/// Bytes of one token id in JSON: ten digits, a comma, and room for a space.
const JSON_BYTES_PER_TOKEN: usize = 12;
/// Bytes of everything else in a request.
const JSON_BYTES_FIXED: usize = 16 * 1024;
/// How far a juror's clock may be from ours; a signature that somebody overheard is worth nothing after.
pub const MAX_CLOCK_SECONDS: u64 = 60;

/// The headers with which a juror or a requester asks for an artifact.
pub const SIGNER_HEADER: &str = "x-assay-signer";
/// Unix seconds.
pub const TIME_HEADER: &str = "x-assay-time";
/// JSON of [`Signed`] over [`fetch_digest`].
pub const SIGNED_HEADER: &str = "x-assay-signed";

/// `?batch=1&draw=0`: the sample that a juror judges; `?batch=1&session=2&nonce=3`: what a requester paid for.
#[derive(Debug, Deserialize)]
struct Asked {
    batch: u64,
    draw: Option<u32>,
    session: Option<u64>,
    nonce: Option<u64>,
}

/// `POST /v1/answers` and `GET /v1/artifacts/{inference}`.
pub fn routes(desk: Desk) -> Router {
    let tokens = desk.shared.terms.params.limits.max_prompt as usize;
    let body = tokens.saturating_mul(JSON_BYTES_PER_TOKEN).saturating_add(JSON_BYTES_FIXED);
    Router::new()
        .route("/v1/answers", post(answers).layer(DefaultBodyLimit::max(body)))
        .route("/v1/artifacts/{inference}", get(artifacts))
        .with_state(desk)
}

async fn answers(
    State(desk): State<Desk>,
    asked: Result<Json<AnswerRequest>, JsonRejection>,
) -> Result<Json<AnswerResponse>, Refused> {
    let Json(asked) = asked.map_err(|rejection| Refused::new(rejection.status(), rejection.body_text()))?;
    let (session, nonce) = (asked.session, asked.nonce);
    let answer = desk.answer(asked).await.map_err(|error| {
        let status = status(&error);
        tracing::info!(session.id = %session, nonce = %nonce, http.status = status.as_u16(),
            error = %Chained(&error), "executor.refused");
        Refused::new(status, Chained(&error))
    })?;
    Ok(Json(answer))
}

fn status(error: &DeskError) -> StatusCode {
    match error {
        DeskError::Refused(refusal) => refusal.status(),
        DeskError::UnknownSession { .. } => StatusCode::NOT_FOUND,
        DeskError::NonceUsed { .. } => StatusCode::CONFLICT,
        DeskError::Busy | DeskError::Stopping | DeskError::Clock => StatusCode::SERVICE_UNAVAILABLE,
        DeskError::Chain { .. } => StatusCode::BAD_GATEWAY,
        DeskError::Work(_) | DeskError::Store(_) | DeskError::Damaged(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn artifacts(
    State(desk): State<Desk>,
    inference: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<ArtifactResponse>, Refused> {
    let Path(inference) = inference.map_err(|rejection| bad_request(rejection.body_text()))?;
    let inference: InferenceId = inference.parse().map_err(bad_request)?;
    let Query(asked) = asked.map_err(|rejection| bad_request(rejection.body_text()))?;
    let signer = signer(&desk, &inference, &headers)?;
    let batch = BatchId(asked.batch);
    match (asked.draw, asked.session, asked.nonce) {
        (Some(draw), None, None) => check_seat(&desk, &inference, &signer, batch, draw).await?,
        (None, Some(session), Some(nonce)) => {
            check_payer(&desk, &inference, &signer, (SessionId(session), Nonce(nonce))).await?;
        }
        _ => return Err(bad_request("a juror names batch and draw, a requester batch, session and nonce")),
    }
    let artifact = opened(&desk, &inference, batch).await?;
    tracing::info!(inference.id = %inference, signer.address = signer, "executor.artifact_served");
    Ok(Json(artifact))
}

/// Whom the headers name, if it signed them now.
fn signer(desk: &Desk, inference: &InferenceId, headers: &HeaderMap) -> Result<String, Refused> {
    let named = header(headers, SIGNER_HEADER)?;
    let time: u64 = header(headers, TIME_HEADER)?
        .parse()
        .map_err(|_| bad_request(format!("{TIME_HEADER} is not a number of seconds")))?;
    let signed: Signed = serde_json::from_str(header(headers, SIGNED_HEADER)?)
        .map_err(|error| bad_request(format!("{SIGNED_HEADER}: {error}")))?;
    let apart = unix_now().abs_diff(time);
    if apart > MAX_CLOCK_SECONDS {
        return Err(forbidden(format!(
            "the request was signed {apart} s from now by this node's clock, {MAX_CLOCK_SECONDS} s are allowed"
        )));
    }
    let shared = &desk.shared;
    let digest = fetch_digest(&shared.terms.domain, inference, named, time);
    let signer = signed.signer(&digest.0, &shared.prefix).map_err(forbidden)?;
    if signer != named {
        return Err(forbidden(format!("the request names {named} but is signed by {signer}")));
    }
    Ok(signer)
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Refused> {
    let value = headers.get(name).ok_or_else(|| bad_request(format!("the header {name} is missing")))?;
    value.to_str().map_err(|_| bad_request(format!("the header {name} is not text")))
}

/// Whether the chain gave this juror a seat over this inference.
async fn check_seat(
    desk: &Desk,
    inference: &InferenceId,
    juror: &str,
    batch: BatchId,
    draw: u32,
) -> Result<(), Refused> {
    let query = QueryMsg::Sample { batch, draw };
    let sample: SampleResponse = desk.shared.contract.query(query).await.map_err(|error| match error {
        ChainError::Query { log, .. } => {
            forbidden(format!("the contract knows no sample {draw} of batch {batch}: {log}"))
        }
        error => Refused::new(StatusCode::BAD_GATEWAY, Chained(&error)),
    })?;
    if sample.inference != *inference {
        let found = sample.inference;
        return Err(forbidden(format!(
            "sample {draw} of batch {batch} is inference {found}, not {inference}"
        )));
    }
    if sample.seats.iter().any(|seat| seat.juror == juror) {
        Ok(())
    } else {
        Err(forbidden(format!("{juror} has no seat in the jury of sample {draw} of batch {batch}")))
    }
}

/// Whether this is the requester that paid for this inference: the prompt in the artifact is its own.
async fn check_payer(
    desk: &Desk,
    inference: &InferenceId,
    requester: &str,
    (session, nonce): (SessionId, Nonce),
) -> Result<(), Refused> {
    let expected = inference_id(&desk.shared.terms.domain, session, nonce);
    if expected != *inference {
        return Err(forbidden(format!(
            "nonce {nonce} of session {session} is inference {expected}, not {inference}"
        )));
    }
    let query = QueryMsg::Session { session };
    let found: SessionResponse = desk.shared.contract.query(query).await.map_err(|error| match error {
        ChainError::Query { log, .. } => forbidden(format!("the contract knows no session {session}: {log}")),
        error => Refused::new(StatusCode::BAD_GATEWAY, Chained(&error)),
    })?;
    if found.requester == requester {
        Ok(())
    } else {
        Err(forbidden(format!("session {session} is of {}, not of {requester}", found.requester)))
    }
}

async fn opened(desk: &Desk, inference: &InferenceId, batch: BatchId) -> Result<ArtifactResponse, Refused> {
    let internal = |error: String| {
        tracing::error!(inference.id = %inference, error, "executor.artifact_lost");
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    };
    let inferences = &desk.shared.inferences;
    let stored = inferences.get(inference).await.map_err(|error| internal(Chained(&error).to_string()))?;
    let place = inferences.place(inference).await.map_err(|error| internal(Chained(&error).to_string()))?;
    let (Some(stored), Some(place)) = (stored, place) else {
        return Err(Refused::new(StatusCode::NOT_FOUND, format!("no batch of this node has {inference}")));
    };
    if let Some(ours) = place.batch.filter(|ours| *ours != batch) {
        return Err(internal(format!("inference {inference} is stored in batch {ours}, not {batch}")));
    }
    let path = merkle::path(&place.leaves, place.index)
        .ok_or_else(|| internal(format!("inference {inference} has no leaf in its batch")))?;
    Ok(ArtifactResponse {
        artifact: Binary::from(stored.artifact),
        path: path.iter().map(|hash| HexBinary::from(hash.as_slice())).collect(),
        voucher: HexBinary::from(stored.voucher),
    })
}

fn bad_request(reason: impl ToString) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, reason)
}

fn forbidden(reason: impl ToString) -> Refused {
    Refused::new(StatusCode::FORBIDDEN, reason)
}
