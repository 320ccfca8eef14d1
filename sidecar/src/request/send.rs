//! One request over HTTP, sent again under the same nonce while the way to the executor is blocked.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::StatusCode;

use crate::http::{AnswerRequest, AnswerResponse, ErrorResponse};

/// Time that one answer may take, the wait for its turn included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts of one request, with growing pauses that add up to about a minute.
const ATTEMPTS: usize = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// Bytes of an answer's JSON: for each token, and for everything else.
const JSON_BYTES_PER_TOKEN: usize = 12;
const JSON_BYTES_FIXED: usize = 16 * 1024;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("the executor cannot be reached")]
    Transport(#[from] reqwest::Error),
    #[error("the executor refuses with {status}: {reason}")]
    Refused { status: StatusCode, reason: String },
    #[error("the executor's answer has more than {most} bytes")]
    TooLong { most: usize },
    #[error("the executor's answer cannot be read")]
    Unreadable(#[from] serde_json::Error),
}

impl SendError {
    /// Whether the same request may succeed later.
    fn is_passing(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::TooLong { .. } | Self::Unreadable(_) => false,
        }
    }
}

pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    // A voucher is for one executor: it must not send us elsewhere.
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    client.timeout(ANSWER_TIMEOUT).connect_timeout(CONNECT_TIMEOUT).build()
}

/// Posts a request, and again as long as what is in the way may pass.
pub(super) async fn send_with_retries(
    client: &reqwest::Client,
    endpoint: &str,
    asked: &AnswerRequest,
) -> Result<AnswerResponse, SendError> {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_max_times(ATTEMPTS - 1);
    let attempt = || send(client, endpoint, asked);
    attempt
        .retry(pauses)
        .when(SendError::is_passing)
        .notify(|error, pause| {
            tracing::info!(nonce = %asked.nonce, error = %error, pause_ms = pause.as_millis(), "request.retry");
        })
        .await
}

async fn send(
    client: &reqwest::Client,
    endpoint: &str,
    asked: &AnswerRequest,
) -> Result<AnswerResponse, SendError> {
    let response = client.post(format!("{endpoint}/v1/answers")).json(asked).send().await?;
    let status = response.status();
    let tokens = asked.request.max_new as usize;
    let most = tokens.saturating_mul(JSON_BYTES_PER_TOKEN).saturating_add(JSON_BYTES_FIXED);
    let body = read_body(response, most).await?;
    if status.is_success() {
        return Ok(serde_json::from_slice(&body)?);
    }
    let reason = match serde_json::from_slice(&body) {
        Ok(ErrorResponse { error }) => error,
        Err(_) => String::from_utf8_lossy(&body).into_owned(),
    };
    Err(SendError::Refused { status, reason })
}

async fn read_body(mut response: reqwest::Response, most: usize) -> Result<Vec<u8>, SendError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > most {
            return Err(SendError::TooLong { most });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
