//! The executor's route: answers for those who pay.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};

use super::desk::{Chained, Desk, DeskError};
use crate::http::{AnswerRequest, AnswerResponse, Refused};

/// Bytes of one token id in JSON: ten digits, a comma, and room for a space.
const JSON_BYTES_PER_TOKEN: usize = 12;
/// Bytes of everything else in a request.
const JSON_BYTES_FIXED: usize = 16 * 1024;
/// `POST /v1/answers`.
pub fn routes(desk: Desk) -> Router {
    let limited = middleware::from_fn_with_state(desk.clone(), limited);
    Router::new().route("/v1/answers", post(answers).layer(limited)).with_state(desk)
}

/// Lets in as long a request as the parameters of this epoch allow.
async fn limited(State(desk): State<Desk>, mut request: Request, next: Next) -> Result<Response, Refused> {
    let limits = desk.limits().await.map_err(|error| Refused::new(status(&error), Chained(&error)))?;
    let tokens = limits.max_prompt as usize;
    let body = tokens.saturating_mul(JSON_BYTES_PER_TOKEN).saturating_add(JSON_BYTES_FIXED);
    DefaultBodyLimit::max(body).apply(&mut request);
    Ok(next.run(request).await)
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
        DeskError::Chain { .. } | DeskError::Params { .. } => StatusCode::BAD_GATEWAY,
        DeskError::Work(_) | DeskError::Store(_) | DeskError::Damaged(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
