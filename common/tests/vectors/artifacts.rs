//! The bytes of an artifact, what its rows commit to, and which leaf of a batch it is.

use assay_common::artifact::{Artifact, Malformed, Rule};
use assay_common::claims;
use assay_common::ids::{
    ArtifactDigest, Digest, InferenceId, ModelDigest, Nonce, PromptDigest, RowsRoot, SessionId, TokensDigest,
};
use assay_common::merkle::{leaf_hash, root};
use assay_common::msg::ClaimedRange;
use assay_common::sampler::SamplingParams;
use assay_common::session::{rows_root, Request};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::leaves::rule_name;
use super::{Bytes, Given};

/// The leaves of an artifact, whatever is in them.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Rows {
    pub leaves: Vec<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct RowsOutcome {
    /// Root of the leaves' tree.
    pub tree: Digest,
    pub rows: RowsRoot,
}

impl Given for Rows {
    type Outcome = RowsOutcome;
    fn outcome(&self) -> RowsOutcome {
        let hashes: Vec<[u8; 32]> = self.leaves.iter().map(|leaf| leaf_hash(&leaf.0)).collect();
        let tree = root(&hashes);
        RowsOutcome { tree: Digest(tree), rows: rows_root(hashes.len() as u32, &tree) }
    }
}

/// The parts of an artifact, and the inference that it is the answer of.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Parts {
    pub model: ModelDigest,
    pub sampling: SamplingParams,
    pub max_new: u32,
    pub stop_ids: Vec<u32>,
    /// What the request says of salt and prompt.
    pub prompt_digest: PromptDigest,
    pub salt: Digest,
    pub prompt: Vec<u32>,
    pub tokens: Vec<u32>,
    pub leaves: Vec<Bytes>,
    pub inference: InferenceId,
}

impl Parts {
    pub fn artifact(&self) -> Artifact {
        let Self { model, sampling, max_new, stop_ids, prompt_digest: prompt, .. } = self.clone();
        Artifact {
            request: Request { model, sampling, max_new, stop_ids, prompt },
            salt: self.salt.0,
            prompt: self.prompt.clone(),
            tokens: self.tokens.clone(),
            leaves: self.leaves.iter().map(|leaf| leaf.0.clone()).collect(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct PartsOutcome {
    pub bytes: Bytes,
    pub tokens: TokensDigest,
    pub rows: RowsRoot,
    pub artifact: ArtifactDigest,
}

impl Given for Parts {
    type Outcome = PartsOutcome;
    fn outcome(&self) -> PartsOutcome {
        let artifact = self.artifact();
        let receipt = artifact.receipt(self.inference);
        PartsOutcome {
            bytes: Bytes(artifact.encode()),
            tokens: receipt.tokens,
            rows: receipt.rows,
            artifact: receipt.artifact(),
        }
    }
}

/// Bytes that may be an artifact.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct ArtifactBytes {
    pub vocabulary: u32,
    pub bytes: Bytes,
}

/// Whether the bytes are framed as an artifact, and the first rule that a framed one breaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct ArtifactOutcome {
    pub framed: bool,
    pub broken: Option<Broken>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Broken {
    pub rule: String,
    /// From the start of the artifact.
    pub offset: u32,
}

impl Given for ArtifactBytes {
    type Outcome = ArtifactOutcome;
    fn outcome(&self) -> ArtifactOutcome {
        let Ok(artifact) = Artifact::decode(&self.bytes.0) else {
            return ArtifactOutcome { framed: false, broken: None };
        };
        let broken = artifact
            .rows(self.vocabulary)
            .err()
            .map(|Malformed { offset, rule }| Broken { rule: name(&rule), offset: offset as u32 });
        ArtifactOutcome { framed: true, broken }
    }
}

fn name(rule: &Rule) -> String {
    match rule {
        Rule::Sampling(_) => "Sampling".into(),
        Rule::EmptyPrompt => "EmptyPrompt".into(),
        Rule::EmptyAnswer => "EmptyAnswer".into(),
        Rule::AnswerTooLong { .. } => "AnswerTooLong".into(),
        Rule::OutsideVocabulary { .. } => "TokenOutsideVocabulary".into(),
        Rule::RowCount { .. } => "RowCount".into(),
        Rule::WrongToken { .. } => "WrongToken".into(),
        Rule::Row { rule, .. } => rule_name(*rule),
    }
}

/// The claims of a batch, and one of its leaves.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Claims {
    pub claims: Vec<Claimed>,
    pub index: u32,
}

/// The nonces of one session from `from` to `to`, both included.
#[derive(Clone, Copy, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Claimed {
    pub session: SessionId,
    pub from: Nonce,
    pub to: Nonce,
}

impl Given for Claims {
    /// Session and nonce; none where the batch has no such leaf.
    type Outcome = Option<(SessionId, Nonce)>;
    fn outcome(&self) -> Option<(SessionId, Nonce)> {
        let range = |claim: &Claimed| {
            let Claimed { session, from, to } = *claim;
            ClaimedRange { session, from, to }
        };
        let claims: Vec<ClaimedRange> = self.claims.iter().map(range).collect();
        claims::inference(&claims, self.index)
    }
}
