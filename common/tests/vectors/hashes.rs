//! Ids and digests, from the model's to the leaf of a batch.

use assay_common::digest::{sha256, Domain};
use assay_common::ids::{
    ArtifactDigest, Digest, InferenceId, ModelDigest, Nonce, PromptDigest, RequestDigest, RowsRoot, RunSeed,
    SessionId, TokensDigest, UserSeed,
};
use assay_common::merkle::leaf_hash;
use assay_common::sampler::SamplingParams;
use assay_common::session::{
    batch_leaf, fetch_digest, inference_id, prompt_digest, run_seed, tokens_digest, voucher_digest,
    ModelSpec, Receipt, Request,
};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Bytes, Given, Text};

#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Seed {
    pub domain: Domain,
    pub session: SessionId,
    pub nonce: Nonce,
    pub user_seed: UserSeed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct SeedOutcome {
    pub inference: InferenceId,
    pub run_seed: RunSeed,
}

impl Given for Seed {
    type Outcome = SeedOutcome;
    fn outcome(&self) -> SeedOutcome {
        let inference = inference_id(&self.domain, self.session, self.nonce);
        SeedOutcome { inference, run_seed: run_seed(&self.user_seed, &inference) }
    }
}

/// A request with what its digests stand for.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Asked {
    pub model: ModelSpec,
    pub sampling: SamplingParams,
    pub max_new: u32,
    pub stop_ids: Vec<u32>,
    pub salt: Digest,
    pub prompt: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct AskedOutcome {
    pub model: ModelDigest,
    pub prompt: PromptDigest,
    pub request: RequestDigest,
}

impl Given for Asked {
    type Outcome = AskedOutcome;
    fn outcome(&self) -> AskedOutcome {
        let model = self.model.digest();
        let prompt = prompt_digest(&self.salt.0, &self.prompt);
        let Self { sampling, max_new, stop_ids, .. } = self.clone();
        let request = Request { model, sampling, max_new, stop_ids, prompt }.digest();
        AskedOutcome { model, prompt, request }
    }
}

/// What requester and executor sign of one inference.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Answered {
    pub domain: Domain,
    pub session: SessionId,
    pub nonce: Nonce,
    pub inference: InferenceId,
    pub request: RequestDigest,
    pub tokens: Vec<u32>,
    pub rows: RowsRoot,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct AnsweredOutcome {
    pub voucher: Digest,
    pub tokens: TokensDigest,
    pub receipt: Digest,
    pub artifact: ArtifactDigest,
    /// Hash of the inference's leaf in its batch.
    pub batch_leaf: Digest,
}

impl Given for Answered {
    type Outcome = AnsweredOutcome;
    fn outcome(&self) -> AnsweredOutcome {
        let Self { domain, session, nonce, inference, request, rows, .. } = self;
        let tokens = tokens_digest(&self.tokens);
        let receipt = Receipt { inference: *inference, request: *request, tokens, rows: *rows };
        let artifact = receipt.artifact();
        AnsweredOutcome {
            voucher: voucher_digest(domain, *session, *nonce, request),
            tokens,
            receipt: receipt.digest(domain),
            artifact,
            batch_leaf: Digest(leaf_hash(&batch_leaf(inference, &artifact))),
        }
    }
}

/// What is signed with a key: by the requester's session key, by the executor's account, by whoever fetches an artifact.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Signing {
    pub domain: Domain,
    pub session: SessionId,
    pub nonce: Nonce,
    pub inference: InferenceId,
    pub request: RequestDigest,
    pub tokens: TokensDigest,
    pub rows: RowsRoot,
    /// Address of whoever fetches.
    pub signer: String,
    pub unix_seconds: Text<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct SigningOutcome {
    pub voucher: Signable,
    pub receipt: Signable,
    pub fetch: Signable,
}

/// Bytes, and their SHA-256: what the signature is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Signable {
    pub bytes: Bytes,
    pub digest: Digest,
}

impl Signable {
    fn new<T: BorshSerialize>(name: &str, content: &T, digest: Digest) -> Self {
        let tagged = (format!("assay/{name}/1"), content);
        let bytes = borsh::to_vec(&tagged).expect("writing to memory does not fail");
        assert_eq!(sha256(&[&bytes]), digest.0, "the bytes are those of the digest");
        Self { bytes: Bytes(bytes), digest }
    }
}

impl Given for Signing {
    type Outcome = SigningOutcome;
    fn outcome(&self) -> SigningOutcome {
        let Self { domain, session, nonce, inference, request, tokens, rows, signer, .. } = self;
        let time = self.unix_seconds.0;
        let receipt = Receipt { inference: *inference, request: *request, tokens: *tokens, rows: *rows };
        SigningOutcome {
            voucher: Signable::new(
                "voucher",
                &(domain, session, nonce, request),
                voucher_digest(domain, *session, *nonce, request),
            ),
            receipt: Signable::new("receipt", &(domain, receipt), receipt.digest(domain)),
            fetch: Signable::new(
                "fetch",
                &(domain, inference, signer, time),
                fetch_digest(domain, inference, signer, time),
            ),
        }
    }
}
