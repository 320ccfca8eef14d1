//! The canonical bytes of what an executor signs for one inference, and how a juror opens them.
//!
//! Two questions are kept apart. *Are these the bytes that were committed to?* If not, they prove nothing, and the
//! artifact is unavailable. *Do the committed bytes keep the format's rules?* If not, that alone is a fraud.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::ids::{BatchRoot, InferenceId, RowsRoot, TokensDigest};
use crate::merkle;
use crate::row::{decode_leaf, Row, RowRule};
use crate::sampler::ParamsRule;
use crate::session::{batch_leaf, prompt_digest, rows_root, tokens_digest, Receipt, Request};

/// Everything that a juror needs to judge one inference.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Artifact {
    pub request: Request,
    pub salt: [u8; 32],
    /// Token ids, the chat template applied.
    pub prompt: Vec<u32>,
    /// The answer's token ids.
    pub tokens: Vec<u32>,
    /// For each answered token the leaf bytes of [`crate::row`].
    pub leaves: Vec<Vec<u8>>,
}

/// Where a batch commits to one inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment {
    pub root: BatchRoot,
    pub count: u32,
    pub index: u32,
    pub inference: InferenceId,
}

/// Bytes that are not those of the commitment, and how that shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the bytes are not framed as an artifact: {0}")]
    Framing(String),
    #[error("salt and prompt do not give the prompt digest of the request")]
    Prompt,
    #[error("the artifact's digest is not under the batch's root")]
    Root,
}

/// A rule of the format that committed bytes break, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {rule}")]
pub struct Malformed {
    /// From the start of the artifact.
    pub offset: usize,
    pub rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    #[error("sampling parameters out of range: {0}")]
    Sampling(ParamsRule),
    #[error("the prompt is empty")]
    EmptyPrompt,
    #[error("the answer is empty")]
    EmptyAnswer,
    #[error("the answer has {found} tokens, the request allows {max_new}")]
    AnswerTooLong { found: usize, max_new: u32 },
    #[error("token {token} is outside the vocabulary of {vocabulary}")]
    OutsideVocabulary { token: u32, vocabulary: u32 },
    #[error("{leaves} rows for {tokens} tokens")]
    RowCount { leaves: usize, tokens: usize },
    #[error("row {position} is for token {found}, the answer has {expected}")]
    WrongToken { position: u32, found: u32, expected: u32 },
    #[error("row {position}: {rule}")]
    Row { position: u32, rule: RowRule },
}

impl Artifact {
    /// Canonical bytes (borsh).
    pub fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("writing to memory does not fail")
    }

    /// Reads canonical bytes; what it accepts, [`Artifact::encode`] gives back byte for byte.
    ///
    /// # Errors
    /// Truncated, over-long or unframed bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Mismatch> {
        borsh::from_slice(bytes).map_err(|error| Mismatch::Framing(error.to_string()))
    }

    /// Digest of the answer's token ids.
    pub fn tokens_digest(&self) -> TokensDigest {
        tokens_digest(&self.tokens)
    }

    /// What commits to the leaves and their number.
    pub fn rows_root(&self) -> RowsRoot {
        let hashes: Vec<[u8; 32]> = self.leaves.iter().map(|leaf| merkle::leaf_hash(leaf)).collect();
        // Both come out of a request's `u32`; bytes of a file hold no more leaves either.
        let count = u32::try_from(hashes.len()).expect("the leaves of an artifact are counted by a u32");
        rows_root(count, &merkle::root(&hashes))
    }

    /// What the executor signs and commits to.
    pub fn receipt(&self, inference: InferenceId) -> Receipt {
        Receipt {
            inference,
            request: self.request.digest(),
            tokens: self.tokens_digest(),
            rows: self.rows_root(),
        }
    }

    /// Opens bytes against a commitment; `path` leads from the inference's leaf to the batch's root.
    ///
    /// # Errors
    /// These are not the bytes that were committed to.
    pub fn open(bytes: &[u8], path: &[[u8; 32]], commitment: &Commitment) -> Result<Self, Mismatch> {
        let artifact = Self::decode(bytes)?;
        if prompt_digest(&artifact.salt, &artifact.prompt) != artifact.request.prompt {
            return Err(Mismatch::Prompt);
        }
        let digest = artifact.receipt(commitment.inference).artifact();
        let leaf = merkle::leaf_hash(&batch_leaf(&commitment.inference, &digest));
        let (count, index) = (u64::from(commitment.count), u64::from(commitment.index));
        if merkle::verify(&commitment.root.0, count, index, leaf, path) {
            Ok(artifact)
        } else {
            Err(Mismatch::Root)
        }
    }

    /// The rows, one for each token, if every rule of the format is kept.
    ///
    /// # Errors
    /// The first broken rule in the order of the bytes.
    pub fn rows(&self, vocabulary: u32) -> Result<Vec<Row>, Malformed> {
        let places = self.places();
        let broken = |offset, rule| Err(Malformed { offset, rule });
        if let Err(rule) = self.request.sampling.check() {
            return broken(0, Rule::Sampling(rule));
        }
        if self.prompt.is_empty() {
            return broken(places.prompt, Rule::EmptyPrompt);
        }
        let max_new = self.request.max_new;
        if self.tokens.is_empty() {
            return broken(places.tokens, Rule::EmptyAnswer);
        }
        if self.tokens.len() > max_new as usize {
            return broken(places.tokens, Rule::AnswerTooLong { found: self.tokens.len(), max_new });
        }
        for (start, tokens) in [(places.prompt, &self.prompt), (places.tokens, &self.tokens)] {
            if let Some(at) = tokens.iter().position(|token| *token >= vocabulary) {
                let token = tokens[at];
                return broken(start + 4 + 4 * at, Rule::OutsideVocabulary { token, vocabulary });
            }
        }
        if self.leaves.len() != self.tokens.len() {
            let (leaves, tokens) = (self.leaves.len(), self.tokens.len());
            return broken(places.leaves, Rule::RowCount { leaves, tokens });
        }
        self.checked_rows(vocabulary, places.leaves + 4)
    }

    fn checked_rows(&self, vocabulary: u32, mut offset: usize) -> Result<Vec<Row>, Malformed> {
        let mut rows = Vec::with_capacity(self.leaves.len());
        for ((position, token), bytes) in (0u32..).zip(&self.tokens).zip(&self.leaves) {
            offset += 4;
            let broken = |rule: RowRule| Malformed {
                offset: offset + rule.offset().unwrap_or(0),
                rule: Rule::Row { position, rule },
            };
            let leaf = decode_leaf(bytes).map_err(broken)?;
            if leaf.position != position {
                let rule = RowRule::WrongPosition { found: leaf.position, expected: position };
                return Err(broken(rule));
            }
            leaf.row.check(vocabulary).map_err(broken)?;
            if leaf.row.token.0 != *token {
                let rule = Rule::WrongToken { position, found: leaf.row.token.0, expected: *token };
                return Err(Malformed { offset, rule });
            }
            rows.push(leaf.row);
            offset += bytes.len();
        }
        Ok(rows)
    }

    /// Where the parts begin in the canonical bytes.
    fn places(&self) -> Places {
        let prompt = borsh::object_length(&self.request).expect("a request has a length") + self.salt.len();
        let tokens = prompt + 4 + 4 * self.prompt.len();
        Places { prompt, tokens, leaves: tokens + 4 + 4 * self.tokens.len() }
    }
}

struct Places {
    prompt: usize,
    tokens: usize,
    leaves: usize,
}
