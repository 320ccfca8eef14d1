//! The node's HTTP interface: health, artifacts, and on an executor answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use assay_common::ids::{ModelDigest, Nonce, SessionId};
use assay_common::session::{Receipt, Request};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use cosmwasm_std::{Binary, HexBinary};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::artifacts::{self, Shelf};
use crate::chain::account::Signed;
use crate::engine::{Engine, Speed};
use crate::executor::desk::Desk;
use crate::executor::serve;
use crate::validator::relay::{Relayed, Traffic};

/// How long requests that are being answered may hold up a shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// Body of `POST /v1/answers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRequest {
    pub session: SessionId,
    pub nonce: Nonce,
    pub request: Request,
    /// 32 bytes.
    pub salt: HexBinary,
    /// Token ids, the chat template applied.
    pub prompt: Vec<u32>,
    /// The session key's signature over [`assay_common::session::voucher_digest`], r ‖ s.
    pub voucher: HexBinary,
}

/// What it is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerResponse {
    pub tokens: Vec<u32>,
    pub receipt: Receipt,
    /// The executor's signature over the receipt's digest.
    pub signed: Signed,
}

/// What a juror, or the requester who paid, gets from `GET /v1/artifacts/{inference}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactResponse {
    /// Canonical bytes.
    pub artifact: Binary,
    /// Siblings from the inference's leaf to the batch's root, 32 bytes each.
    pub path: Vec<HexBinary>,
    /// The requester's voucher for this inference.
    pub voucher: HexBinary,
}

/// Body of everything that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorResponse {
    pub error: String,
}

/// Body of `GET /health`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    pub address: String,
    pub chain_id: String,
    /// Absent on a node without a model.
    pub model: Option<ModelDigest>,
    /// Device of the model, in words.
    pub device: Option<String>,
    pub speed: Option<Speed>,
    /// Artifacts since the start.
    pub artifacts: Relayed,
}

/// Who this node is.
#[derive(Clone)]
pub struct Identity {
    pub address: String,
    pub chain_id: String,
    /// The model's digest on chain, and what runs it.
    pub model: Option<(ModelDigest, Engine)>,
    pub traffic: Arc<Traffic>,
}

/// The node cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("cannot listen on {address}")]
    Bind {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("serving on {address} failed")]
    Serve {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

/// A refusal: its status and, as JSON, its reason.
#[derive(Debug)]
pub struct Refused {
    pub status: StatusCode,
    pub error: String,
}

impl Refused {
    pub fn new(status: StatusCode, error: impl ToString) -> Self {
        Self { status, error: error.to_string() }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(ErrorResponse { error: self.error })).into_response()
    }
}

/// All routes of a node; the executor's where there is one.
pub fn router(identity: Identity, shelf: Shelf, executor: Option<Desk>) -> Router {
    let router = Router::new().route("/health", get(health)).with_state(identity);
    let router = router.merge(artifacts::routes(shelf));
    let router = match executor {
        Some(desk) => router.merge(serve::routes(desk)),
        None => router,
    };
    router.fallback(|| async { Refused::new(StatusCode::NOT_FOUND, "no such route on this node") })
}

async fn health(State(identity): State<Identity>) -> Json<Health> {
    let engine = identity.model.as_ref().map(|(_, engine)| engine);
    Json(Health {
        model: identity.model.as_ref().map(|(model, _)| *model),
        device: engine.map(|engine| engine.device().to_owned()),
        speed: engine.map(Engine::speed),
        artifacts: identity.traffic.now(),
        address: identity.address,
        chain_id: identity.chain_id,
    })
}

/// Listens on `address`; port 0 takes a free one.
///
/// # Errors
/// The address is taken or not this machine's.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address).await.map_err(|source| HttpError::Bind { address, source })
}

/// Serves until `stop`; then takes no more requests, and leaves those at hand a few seconds.
///
/// # Errors
/// The listener failed.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> Result<(), HttpError> {
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    let address = listener.local_addr().map_err(|source| HttpError::Serve { address: unknown, source })?;
    tracing::info!(http.address = %address, "http.listening");
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = server => ended.map_err(|source| HttpError::Serve { address, source }),
        () = overdue => {
            tracing::warn!(http.grace_seconds = GRACE.as_secs(), "http.requests_cut_off");
            Ok(())
        }
    }
}
