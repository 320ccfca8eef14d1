//! What requester and executor sign: requests, vouchers, receipts, and the seed that follows from them.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmwasm_schema::cw_serde;

use crate::digest::{sha256, tagged, Domain};
use crate::ids::{
    ArtifactDigest, Digest, InferenceId, ModelDigest, Nonce, PromptDigest, RequestDigest, RowsRoot, RunSeed,
    SessionId, TokensDigest, UserSeed,
};
use crate::sampler::SamplingParams;

/// How a model's numbers are computed; part of the model, since a juror holds everyone to it.
#[cw_serde]
#[derive(Eq, Copy, BorshSerialize, BorshDeserialize)]
pub enum NumericScheme {
    /// Weights as stored, dequantised to f32; every operation in f32.
    F32,
}

/// Which model an executor promises to run, exactly.
#[cw_serde]
#[derive(Eq, BorshSerialize, BorshDeserialize)]
pub struct ModelSpec {
    pub name: String,
    /// SHA-256 of the weights file; the tokenizer of a GGUF file is in it.
    pub weights: Digest,
    pub scheme: NumericScheme,
    /// Token ids are below this.
    pub vocabulary: u32,
}

impl ModelSpec {
    pub fn digest(&self) -> ModelDigest {
        ModelDigest(tagged("model", self))
    }
}

/// What a requester asks for; the prompt itself stays between the two and those who check.
#[cw_serde]
#[derive(Eq, BorshSerialize, BorshDeserialize)]
pub struct Request {
    pub model: ModelDigest,
    pub sampling: SamplingParams,
    /// The answer ends after so many tokens, or with the first of `stop_ids`.
    pub max_new: u32,
    pub stop_ids: Vec<u32>,
    pub prompt: PromptDigest,
}

impl Request {
    pub fn digest(&self) -> RequestDigest {
        RequestDigest(tagged("request", self))
    }
}

/// H("prompt", salt, token ids): the salt keeps short prompts from being guessed.
pub fn prompt_digest(salt: &[u8; 32], prompt: &[u32]) -> PromptDigest {
    PromptDigest(tagged("prompt", &(salt, prompt)))
}

pub fn tokens_digest(tokens: &[u32]) -> TokensDigest {
    TokensDigest(tagged("tokens", &tokens))
}

/// H("rows", number of rows, root of their tree): with the number bound, nobody can show a row under another position.
pub fn rows_root(count: u32, tree: &[u8; 32]) -> RowsRoot {
    RowsRoot(tagged("rows", &(count, tree)))
}

/// H("inference", chain, contract, session, nonce).
pub fn inference_id(domain: &Domain, session: SessionId, nonce: Nonce) -> InferenceId {
    InferenceId(tagged("inference", &(domain, session, nonce)))
}

/// SHA-256(user_seed ‖ inference_id), the one hash without a tag: it is published in this form.
pub fn run_seed(user_seed: &UserSeed, inference: &InferenceId) -> RunSeed {
    RunSeed(sha256(&[&user_seed.0, &inference.0]))
}

/// What the session key signs: payment for every nonce up to this one, and the request of this one.
pub fn voucher_digest(domain: &Domain, session: SessionId, nonce: Nonce, request: &RequestDigest) -> Digest {
    Digest(tagged("voucher", &(domain, session, nonce, request)))
}

/// What the executor delivers and will commit to, signed by its account key; one for each inference, ever.
#[cw_serde]
#[derive(Eq, Copy, BorshSerialize, BorshDeserialize)]
pub struct Receipt {
    pub inference: InferenceId,
    pub request: RequestDigest,
    pub tokens: TokensDigest,
    pub rows: RowsRoot,
}

impl Receipt {
    /// What the executor signs.
    pub fn digest(&self, domain: &Domain) -> Digest {
        Digest(tagged("receipt", &(domain, self)))
    }

    /// What the batch commits to.
    pub fn artifact(&self) -> ArtifactDigest {
        ArtifactDigest(tagged("artifact", &(self.request, self.tokens, self.rows)))
    }
}

/// The bytes of a batch leaf: inference_id ‖ artifact_digest (hashed under 0x00 by [`crate::merkle::leaf_hash`]).
pub fn batch_leaf(inference: &InferenceId, artifact: &ArtifactDigest) -> [u8; 64] {
    let mut leaf = [0; 64];
    leaf[..32].copy_from_slice(&inference.0);
    leaf[32..].copy_from_slice(&artifact.0);
    leaf
}

/// What a juror signs to be served an artifact: H("fetch", chain, contract, inference, juror, time).
pub fn fetch_digest(domain: &Domain, inference: &InferenceId, juror: &str, unix_seconds: u64) -> Digest {
    Digest(tagged("fetch", &(domain, inference, juror, unix_seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(chain_id: &str) -> Domain {
        Domain { chain_id: chain_id.into(), contract: "contract".into() }
    }

    #[test]
    fn an_inference_has_another_id_on_every_chain_session_and_nonce() {
        let id = inference_id(&domain("a"), SessionId(1), Nonce(1));
        assert_ne!(id, inference_id(&domain("b"), SessionId(1), Nonce(1)));
        assert_ne!(id, inference_id(&domain("a"), SessionId(2), Nonce(1)));
        assert_ne!(id, inference_id(&domain("a"), SessionId(1), Nonce(2)));
    }

    #[test]
    fn the_run_seed_is_the_plain_hash_of_user_seed_and_inference_id() {
        let id = InferenceId([2; 32]);
        let mut bytes = [1u8; 64];
        bytes[32..].fill(2);
        assert_eq!(run_seed(&UserSeed([1; 32]), &id).0, sha256(&[&bytes]));
    }
}
