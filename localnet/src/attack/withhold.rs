//! An honest node behind a door that lets one juror to each artifact: the first who asks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use assay_sidecar::artifacts::SIGNER_HEADER;
use assay_sidecar::http::Refused;
use axum::body::{to_bytes, Body};
use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::Router;

/// Bytes of a request that are passed on.
const MOST_BYTES: usize = 1024 * 1024;

#[derive(Clone)]
struct Door {
    inner: SocketAddr,
    client: reqwest::Client,
    /// Maps the path of an artifact to the one who gets it.
    let_in: Arc<Mutex<BTreeMap<String, String>>>,
}

/// Passes on to `inner` what comes to `outer`, but of each artifact only what its first juror asks.
pub async fn serve(outer: SocketAddr, inner: SocketAddr) -> Result<()> {
    let door = Door { inner, client: reqwest::Client::builder().no_proxy().build()?, let_in: Arc::default() };
    let listener = tokio::net::TcpListener::bind(outer).await;
    let listener = listener.with_context(|| format!("cannot listen on {outer}"))?;
    Ok(axum::serve(listener, Router::new().fallback(pass).with_state(door)).await?)
}

async fn pass(State(door): State<Door>, request: Request) -> Response {
    if !door.opens(&request) {
        return Refused::new(StatusCode::FORBIDDEN, "somebody else was here before").into_response();
    }
    match door.forward(request).await {
        Ok(response) => response,
        Err(error) => Refused::new(StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

impl Door {
    fn opens(&self, request: &Request) -> bool {
        let path = request.uri().path();
        let Some(signer) = request.headers().get(SIGNER_HEADER).and_then(|value| value.to_str().ok()) else {
            return true;
        };
        let mut let_in = self.let_in.lock().unwrap_or_else(PoisonError::into_inner);
        let_in.entry(path.into()).or_insert_with(|| signer.into()) == signer
    }

    async fn forward(&self, request: Request) -> Result<Response> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers = parts.headers;
        headers.remove(HOST);
        let asked = self.client.request(parts.method, format!("http://{}{path}", self.inner));
        let answer = asked.headers(headers).body(to_bytes(body, MOST_BYTES).await?).send().await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(kind) = answer.headers().get("content-type") {
            response = response.header("content-type", kind);
        }
        Ok(response.body(Body::from(answer.bytes().await?))?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_juror_of_an_artifact_is_let_in_and_no_other() {
        let inner = SocketAddr::from(([127, 0, 0, 1], 1));
        let door = Door { inner, client: reqwest::Client::new(), let_in: Arc::default() };
        let asks = |path: &str, signer: &str| {
            let request = Request::builder().uri(path).header(SIGNER_HEADER, signer);
            door.opens(&request.body(Body::empty()).unwrap())
        };
        assert!(asks("/v1/artifacts/aa?batch=1&draw=0", "alder"));
        assert!(!asks("/v1/artifacts/aa?batch=1&draw=0", "birch"));
        assert!(asks("/v1/artifacts/aa?batch=1&draw=0", "alder"));
        assert!(asks("/v1/artifacts/bb?batch=1&draw=1", "birch"));
        assert!(door.opens(&Request::builder().uri("/health").body(Body::empty()).unwrap()));
    }
}
