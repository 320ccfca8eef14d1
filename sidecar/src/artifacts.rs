//! `GET /v1/artifacts/{inference}`: to the jurors of a sample, and to the requester who paid.
//!
//! An executor serves what it answered, and every juror what it fetched to judge it, so that an executor gains nothing by
//! answering one of a jury alone. Who asks is checked alike by both, and nothing is fetched or stored for anybody here.

use std::sync::Arc;

use assay_common::digest::Domain;
use assay_common::ids::{BatchId, InferenceId, Nonce, SessionId};
use assay_common::merkle;
use assay_common::msg::{QueryMsg, SampleKey, SampleResponse, SessionResponse};
use assay_common::session::{fetch_digest, inference_id};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use cosmwasm_std::{Binary, HexBinary};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::chain::account::Signed;
use crate::chain::rpc::ChainError;
use crate::executor::desk::{unix_now, Chained};
use crate::executor::inferences::Inferences;
use crate::executor::Contract;
use crate::http::{ArtifactResponse, Refused};
use crate::store::Store;
use crate::validator::keep;
use crate::validator::relay::Traffic;

/// Requests whose right is checked, or whose artifact is read, at once; more are told to come again.
const AT_ONCE: usize = 32;
/// How far a juror's clock may be from ours; a signature that somebody overheard is worth nothing after.
pub const MAX_CLOCK_SECONDS: u64 = 60;

/// The headers with which a juror or a requester asks for an artifact.
pub const SIGNER_HEADER: &str = "x-assay-signer";
/// Unix seconds.
pub const TIME_HEADER: &str = "x-assay-time";
/// JSON of [`Signed`] over [`fetch_digest`].
pub const SIGNED_HEADER: &str = "x-assay-signed";

/// Where the artifacts of this node are, and what it takes to know who may have them. Clones share the turns.
#[derive(Clone)]
pub struct Shelf {
    contract: Contract,
    domain: Domain,
    /// Bech32 prefix of addresses.
    prefix: String,
    store: Store,
    traffic: Arc<Traffic>,
    turns: Arc<Semaphore>,
}

impl Shelf {
    /// The artifacts in `store`, of the contract in `domain`.
    pub fn new(
        (contract, domain): (Contract, Domain),
        prefix: &str,
        store: Store,
        traffic: Arc<Traffic>,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Self { contract, domain, prefix: prefix.into(), store, traffic, turns }
    }
}

/// `?batch=1&draw=0`: the sample that a juror judges; `?batch=1&session=2&nonce=3`: what a requester paid for.
#[derive(Debug, Deserialize)]
struct Asked {
    batch: u64,
    draw: Option<u32>,
    session: Option<u64>,
    nonce: Option<u64>,
}

pub fn routes(shelf: Shelf) -> Router {
    Router::new().route("/v1/artifacts/{inference}", get(artifacts)).with_state(shelf)
}

async fn artifacts(
    State(shelf): State<Shelf>,
    inference: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<ArtifactResponse>, Refused> {
    let Path(inference) = inference.map_err(|rejection| bad_request(rejection.body_text()))?;
    let inference: InferenceId = inference.parse().map_err(bad_request)?;
    let Query(asked) = asked.map_err(|rejection| bad_request(rejection.body_text()))?;
    let signer = signer(&shelf, &inference, &headers)?;
    let Ok(_turn) = shelf.turns.try_acquire() else {
        let reason = format!("{AT_ONCE} others ask for artifacts just now; try again");
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, reason));
    };
    let batch = BatchId(asked.batch);
    let found = match (asked.draw, asked.session, asked.nonce) {
        (Some(draw), None, None) => {
            let key = SampleKey { batch, draw };
            check_seat(&shelf, &inference, &signer, key).await?;
            match relayed(&shelf, &inference, key).await? {
                None => answered(&shelf, &inference, batch).await?,
                relayed => relayed,
            }
        }
        (None, Some(session), Some(nonce)) => {
            check_payer(&shelf, &inference, &signer, (SessionId(session), Nonce(nonce))).await?;
            answered(&shelf, &inference, batch).await?
        }
        _ => return Err(bad_request("a juror names batch and draw, a requester batch, session and nonce")),
    };
    let artifact = found.ok_or_else(|| {
        Refused::new(StatusCode::NOT_FOUND, format!("this node does not have inference {inference}"))
    })?;
    tracing::info!(inference.id = %inference, signer.address = signer, "artifacts.served");
    Ok(Json(artifact))
}

/// What this node fetched as a juror of the same sample, and has kept.
async fn relayed(
    shelf: &Shelf,
    inference: &InferenceId,
    key: SampleKey,
) -> Result<Option<ArtifactResponse>, Refused> {
    let held = keep::held(&shelf.store, key, inference).await;
    let held = held.map_err(|error| lost(inference, Chained(&error).to_string()))?;
    if held.is_some() {
        shelf.traffic.served();
    }
    Ok(held)
}

/// What this node answered as executor, with the way to its batch's root.
async fn answered(
    shelf: &Shelf,
    inference: &InferenceId,
    batch: BatchId,
) -> Result<Option<ArtifactResponse>, Refused> {
    let internal = |error: String| lost(inference, error);
    let inferences = Inferences::new(shelf.store.clone());
    let stored = inferences.get(inference).await.map_err(|error| internal(Chained(&error).to_string()))?;
    let place = inferences.place(inference).await.map_err(|error| internal(Chained(&error).to_string()))?;
    let (Some(stored), Some(place)) = (stored, place) else { return Ok(None) };
    if let Some(ours) = place.batch.filter(|ours| *ours != batch) {
        return Err(internal(format!("inference {inference} is stored in batch {ours}, not {batch}")));
    }
    let path = merkle::path(&place.leaves, place.index)
        .ok_or_else(|| internal(format!("inference {inference} has no leaf in its batch")))?;
    Ok(Some(ArtifactResponse {
        artifact: Binary::from(stored.artifact),
        path: path.iter().map(|hash| HexBinary::from(hash.as_slice())).collect(),
        voucher: HexBinary::from(stored.voucher),
    }))
}

fn lost(inference: &InferenceId, error: String) -> Refused {
    tracing::error!(inference.id = %inference, error, "artifacts.lost");
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error)
}

/// Whom the headers name, if it signed them now.
fn signer(shelf: &Shelf, inference: &InferenceId, headers: &HeaderMap) -> Result<String, Refused> {
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
    let digest = fetch_digest(&shelf.domain, inference, named, time);
    let signer = signed.signer(&digest.0, &shelf.prefix).map_err(forbidden)?;
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
    shelf: &Shelf,
    inference: &InferenceId,
    juror: &str,
    SampleKey { batch, draw }: SampleKey,
) -> Result<(), Refused> {
    let query = QueryMsg::Sample { batch, draw };
    let sample: SampleResponse = shelf.contract.query(query).await.map_err(|error| match error {
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
    shelf: &Shelf,
    inference: &InferenceId,
    requester: &str,
    (session, nonce): (SessionId, Nonce),
) -> Result<(), Refused> {
    let expected = inference_id(&shelf.domain, session, nonce);
    if expected != *inference {
        return Err(forbidden(format!(
            "nonce {nonce} of session {session} is inference {expected}, not {inference}"
        )));
    }
    let query = QueryMsg::Session { session };
    let found: SessionResponse = shelf.contract.query(query).await.map_err(|error| match error {
        ChainError::Query { log, .. } => forbidden(format!("the contract knows no session {session}: {log}")),
        error => Refused::new(StatusCode::BAD_GATEWAY, Chained(&error)),
    })?;
    if found.requester == requester {
        Ok(())
    } else {
        Err(forbidden(format!("session {session} is of {}, not of {requester}", found.requester)))
    }
}

fn bad_request(reason: impl ToString) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, reason)
}

fn forbidden(reason: impl ToString) -> Refused {
    Refused::new(StatusCode::FORBIDDEN, reason)
}
