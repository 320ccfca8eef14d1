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
///
/// In every scheme weight matrices are rounded once to bf16 (nearest, ties to even), norm weights stay as stored, and norms
/// compute in f32. `docs/schemes.md` says where else each one rounds.
#[cw_serde]
#[derive(Eq, Copy, Default, BorshSerialize, BorshDeserialize)]
pub enum NumericScheme {
    /// What enters a matrix product is rounded to bf16, what leaves it is f32, and so is everything else: residual stream,
    /// softmax, head.
    #[default]
    Bf16F32,
    /// Every tensor is bf16, logits included, as common stacks compute; sums inside an operation are f32.
    Bf16,
}

impl NumericScheme {
    pub const ALL: [NumericScheme; 2] = [NumericScheme::Bf16F32, NumericScheme::Bf16];

    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            NumericScheme::Bf16F32 => "bf16_f32",
            NumericScheme::Bf16 => "bf16",
        }
    }
}

impl std::fmt::Display for NumericScheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no scheme has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scheme `{0}` is neither bf16_f32 nor bf16")]
pub struct UnknownScheme(String);

impl std::str::FromStr for NumericScheme {
    type Err = UnknownScheme;

    fn from_str(name: &str) -> Result<Self, UnknownScheme> {
        let named = Self::ALL.into_iter().find(|scheme| scheme.name() == name);
        named.ok_or_else(|| UnknownScheme(name.to_owned()))
    }
}

/// Which model an executor promises to run, exactly.
#[cw_serde]
#[derive(Eq, BorshSerialize, BorshDeserialize)]
pub struct ModelSpec {
    pub name: String,
    /// SHA-256 of the weights file; the tokenizer of a GGUF file is in it.
    pub weights: Digest,
    pub scheme: NumericScheme,
    /// [`constants_digest`] of the numbers beside the weights that the outputs depend on.
    pub constants: Digest,
    /// Token ids are below this.
    pub vocabulary: u32,
}

impl ModelSpec {
    pub fn digest(&self) -> ModelDigest {
        ModelDigest(tagged("model", self))
    }
}

/// H("constants", architecture, list of (name, value)): values are the bits of an IEEE 754 double, names ascend.
pub fn constants_digest(architecture: &str, constants: &[(&str, u64)]) -> Digest {
    Digest(tagged("constants", &(architecture, constants)))
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
    fn a_model_with_another_scheme_or_another_constant_is_another_model() {
        let spec = |scheme, constants: &[(&str, u64)]| {
            let constants = constants_digest("gemma3", constants);
            ModelSpec { name: "m".into(), weights: Digest([1; 32]), scheme, constants, vocabulary: 2 }
                .digest()
        };
        let epsilon = ("norm.epsilon", 1e-6f64.to_bits());
        let model = spec(NumericScheme::Bf16F32, &[epsilon]);
        assert_ne!(model, spec(NumericScheme::Bf16, &[epsilon]));
        assert_ne!(model, spec(NumericScheme::Bf16F32, &[("norm.epsilon", 1e-5f64.to_bits())]));
        assert_ne!(model, spec(NumericScheme::Bf16F32, &[]));
        assert_ne!(constants_digest("gemma3", &[epsilon]), constants_digest("gemma2", &[epsilon]));
    }

    #[test]
    fn a_scheme_is_called_as_in_json_and_no_other_name_is_one() {
        for scheme in NumericScheme::ALL {
            assert_eq!(scheme.to_string().parse(), Ok(scheme));
            assert_eq!(serde_json::to_string(&scheme).ok(), Some(format!("\"{scheme}\"")));
        }
        let unknown = "f32".parse::<NumericScheme>();
        assert_eq!(unknown, Err(UnknownScheme("f32".into())));
    }

    #[test]
    fn the_run_seed_is_the_plain_hash_of_user_seed_and_inference_id() {
        let id = InferenceId([2; 32]);
        let mut bytes = [1u8; 64];
        bytes[32..].fill(2);
        assert_eq!(run_seed(&UserSeed([1; 32]), &id).0, sha256(&[&bytes]));
    }
}
