//! Whether a receipt covers what was asked and what was delivered.

use assay_common::digest::Domain;
use assay_common::ids::{InferenceId, RequestDigest, TokensDigest};
use assay_common::session::{inference_id, tokens_digest};

use crate::chain::account::SignatureError;
use crate::http::{AnswerRequest, AnswerResponse};

/// A receipt that does not cover what was asked and what was delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    #[error("the receipt is for inference {found}, {expected} was asked for")]
    Inference { expected: InferenceId, found: InferenceId },
    #[error("the receipt is for the request {found}, ours is {expected}")]
    Request { expected: RequestDigest, found: RequestDigest },
    #[error("the receipt is for tokens with the digest {found}, those delivered have {expected}")]
    Tokens { expected: TokensDigest, found: TokensDigest },
    #[error("the receipt's signature: {0}")]
    Signature(#[from] SignatureError),
    #[error("the receipt is signed by {found}, the executor is {expected}")]
    Signer { expected: String, found: String },
}

/// Whether a receipt covers what was asked and what was delivered, and is the executor's.
///
/// # Errors
/// The first thing that differs.
pub fn check_receipt(
    domain: &Domain,
    executor: &str,
    asked: &AnswerRequest,
    answer: &AnswerResponse,
) -> Result<(), ReceiptError> {
    let found = &answer.receipt;
    let expected = inference_id(domain, asked.session, asked.nonce);
    if found.inference != expected {
        return Err(ReceiptError::Inference { expected, found: found.inference });
    }
    let expected = asked.request.digest();
    if found.request != expected {
        return Err(ReceiptError::Request { expected, found: found.request });
    }
    let expected = tokens_digest(&answer.tokens);
    if found.tokens != expected {
        return Err(ReceiptError::Tokens { expected, found: found.tokens });
    }
    let prefix = executor.rsplit_once('1').map_or("", |(prefix, _)| prefix);
    let signer = answer.signed.signer(&found.digest(domain).0, prefix)?;
    if signer != executor {
        return Err(ReceiptError::Signer { expected: executor.into(), found: signer });
    }
    Ok(())
}
