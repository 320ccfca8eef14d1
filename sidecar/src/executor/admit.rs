//! Which requests an executor answers: those that it could be paid for and that no juror would find at fault.

use assay_common::digest::Domain;
use assay_common::ids::{Epoch, ModelDigest, Nonce, SessionId};
use assay_common::msg::{SessionResponse, SessionStatus};
use assay_common::params::{ClockParams, LimitParams};
use assay_common::sampler::ParamsRule;
use assay_common::session::{inference_id, prompt_digest, run_seed, voucher_digest};
use axum::http::StatusCode;
use cosmwasm_std::Uint128;

use crate::chain::account::{verify, SignatureError};
use crate::engine::Question;
use crate::http::AnswerRequest;

/// How far beyond the last nonce paid on chain a session may go: it bounds what one session makes an executor keep unpaid.
pub const MAX_AHEAD: u64 = 1024;
/// Stop tokens of one request; the artifact repeats them.
pub const MAX_STOP_IDS: usize = 64;

/// What the executor promises, and what it is held to.
#[derive(Clone, Debug)]
pub struct Terms {
    pub domain: Domain,
    /// Our own.
    pub address: String,
    pub model: ModelDigest,
    pub vocabulary: u32,
    /// The most tokens of prompt and answer together.
    pub context: u32,
    /// When epochs begin, which governance cannot change; what it can is asked for in each epoch.
    pub clock: ClockParams,
    /// The least fee for one inference.
    pub min_fee: Uint128,
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the salt has {found} bytes, 32 are expected")]
    Salt { found: usize },
    #[error("salt and prompt do not give the prompt digest of the request")]
    Prompt,
    #[error("the prompt is empty")]
    EmptyPrompt,
    #[error("token {token} of the prompt is outside the vocabulary of {vocabulary}")]
    Vocabulary { token: u32, vocabulary: u32 },
    #[error("{found} stop tokens, at most {MAX_STOP_IDS} are taken")]
    StopIds { found: usize },
    #[error("the sampling parameters are out of range: {0}")]
    Sampling(ParamsRule),
    #[error("session {session} is with the executor {executor}, this one is {us}")]
    Executor { session: SessionId, executor: String, us: String },
    #[error("session {session} is for the model {session_model}, this executor runs {ours}")]
    SessionModel { session: SessionId, session_model: ModelDigest, ours: ModelDigest },
    #[error("the request is for the model {found}, its session is for {expected}")]
    RequestModel { found: ModelDigest, expected: ModelDigest },
    #[error("the voucher is not the session key's for this request: {0}")]
    Voucher(SignatureError),
    #[error("session {session} expired with epoch {expires}, it is epoch {now}")]
    Expired { session: SessionId, expires: Epoch, now: Epoch },
    #[error("session {session} was closed: what is asked now may never be paid")]
    Closing { session: SessionId },
    #[error("the prompt has {found} tokens, the session allows {max_prompt}")]
    PromptTooLong { found: usize, max_prompt: u32 },
    #[error("an answer of {found} tokens is asked for, the session allows 1 to {max_new}")]
    AnswerLength { found: u32, max_new: u32 },
    #[error("prompt and answer of {length} tokens exceed the model's context of {context}")]
    Context { length: u64, context: u32 },
    #[error("nonce {nonce} is already paid for on chain, as is every one up to {paid}")]
    Paid { nonce: Nonce, paid: Nonce },
    #[error("nonce {nonce} is more than {MAX_AHEAD} ahead of {paid}, the last one paid on chain")]
    TooFarAhead { nonce: Nonce, paid: Nonce },
    #[error("the session pays {fee} for an inference, this executor asks for at least {least}")]
    Fee { fee: Uint128, least: Uint128 },
    #[error("the escrow of {escrow} does not cover {count} inferences at {fee}, up to nonce {nonce}")]
    Escrow { escrow: Uint128, count: u64, fee: Uint128, nonce: Nonce },
}

impl Refusal {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Salt { .. }
            | Self::Prompt
            | Self::EmptyPrompt
            | Self::Vocabulary { .. }
            | Self::StopIds { .. }
            | Self::Sampling(_)
            | Self::PromptTooLong { .. }
            | Self::AnswerLength { .. }
            | Self::Context { .. }
            | Self::RequestModel { .. } => StatusCode::BAD_REQUEST,
            Self::Escrow { .. } | Self::Fee { .. } => StatusCode::PAYMENT_REQUIRED,
            Self::Executor { .. } | Self::SessionModel { .. } | Self::Voucher(_) => StatusCode::FORBIDDEN,
            Self::Paid { .. } | Self::TooFarAhead { .. } => StatusCode::CONFLICT,
            Self::Expired { .. } | Self::Closing { .. } => StatusCode::GONE,
        }
    }

    /// Whether it rests on what changes on chain, so that a newer record of the session may lift it.
    pub fn may_be_stale(&self) -> bool {
        matches!(self, Self::TooFarAhead { .. } | Self::Escrow { .. })
    }
}

/// Checks a request against its session's record and lays out the question.
///
/// # Errors
/// The first check that fails; what needs no record comes first, and what may be stale last.
pub fn admit(
    asked: &AnswerRequest,
    session: &SessionResponse,
    now: Epoch,
    (terms, limits): (&Terms, &LimitParams),
) -> Result<Question, Refusal> {
    let salt = check_content(asked, terms)?;
    check_session(asked, session, now, terms)?;
    check_lengths(asked, session, (terms, limits))?;
    check_payment(asked, session, terms)?;
    let inference = inference_id(&terms.domain, asked.session, asked.nonce);
    Ok(Question {
        request: asked.request.clone(),
        salt,
        prompt: asked.prompt.clone(),
        run_seed: run_seed(&session.user_seed, &inference),
    })
}

fn check_content(asked: &AnswerRequest, terms: &Terms) -> Result<[u8; 32], Refusal> {
    let salt: [u8; 32] =
        asked.salt.as_slice().try_into().map_err(|_| Refusal::Salt { found: asked.salt.len() })?;
    if prompt_digest(&salt, &asked.prompt) != asked.request.prompt {
        return Err(Refusal::Prompt);
    }
    if asked.prompt.is_empty() {
        return Err(Refusal::EmptyPrompt);
    }
    let vocabulary = terms.vocabulary;
    if let Some(token) = asked.prompt.iter().copied().find(|token| *token >= vocabulary) {
        return Err(Refusal::Vocabulary { token, vocabulary });
    }
    let found = asked.request.stop_ids.len();
    if found > MAX_STOP_IDS {
        return Err(Refusal::StopIds { found });
    }
    asked.request.sampling.check().map_err(Refusal::Sampling)?;
    Ok(salt)
}

fn check_session(
    asked: &AnswerRequest,
    session: &SessionResponse,
    now: Epoch,
    terms: &Terms,
) -> Result<(), Refusal> {
    if session.executor != terms.address {
        let (executor, us) = (session.executor.clone(), terms.address.clone());
        return Err(Refusal::Executor { session: session.session, executor, us });
    }
    if session.model != terms.model {
        let (session_model, ours) = (session.model, terms.model);
        return Err(Refusal::SessionModel { session: session.session, session_model, ours });
    }
    if asked.request.model != session.model {
        return Err(Refusal::RequestModel { found: asked.request.model, expected: session.model });
    }
    let digest = voucher_digest(&terms.domain, asked.session, asked.nonce, &asked.request.digest());
    verify(&session.session_key, &asked.voucher, &digest.0).map_err(Refusal::Voucher)?;
    if now > session.expires {
        return Err(Refusal::Expired { session: session.session, expires: session.expires, now });
    }
    if session.status != SessionStatus::Open {
        return Err(Refusal::Closing { session: session.session });
    }
    Ok(())
}

fn check_lengths(
    asked: &AnswerRequest,
    session: &SessionResponse,
    (terms, limits): (&Terms, &LimitParams),
) -> Result<(), Refusal> {
    let max_prompt = session.max_prompt.min(limits.max_prompt);
    let found = asked.prompt.len();
    if found > max_prompt as usize {
        return Err(Refusal::PromptTooLong { found, max_prompt });
    }
    let max_new = session.max_new.min(limits.max_new);
    let asked_new = asked.request.max_new;
    if asked_new == 0 || asked_new > max_new {
        return Err(Refusal::AnswerLength { found: asked_new, max_new });
    }
    let length = (found as u64).saturating_add(u64::from(asked_new));
    if length > u64::from(terms.context) {
        return Err(Refusal::Context { length, context: terms.context });
    }
    Ok(())
}

fn check_payment(asked: &AnswerRequest, session: &SessionResponse, terms: &Terms) -> Result<(), Refusal> {
    if session.fee < terms.min_fee {
        return Err(Refusal::Fee { fee: session.fee, least: terms.min_fee });
    }
    let (nonce, paid) = (asked.nonce, session.nonce);
    let count = nonce.0.saturating_sub(paid.0);
    if count == 0 {
        return Err(Refusal::Paid { nonce, paid });
    }
    if count > MAX_AHEAD {
        return Err(Refusal::TooFarAhead { nonce, paid });
    }
    let (escrow, fee) = (session.escrow, session.fee);
    // A payment that overflows is covered by no escrow.
    let covered = fee.checked_mul(Uint128::from(count)).is_ok_and(|needed| needed <= escrow);
    if covered {
        Ok(())
    } else {
        Err(Refusal::Escrow { escrow, count, fee, nonce })
    }
}
