//! Proofs that anyone can bring: what shows a contract, in integers, that an executor signed what an honest one cannot.
//!
//! A [`FraudProof`] opens one row of a committed artifact and the header above it, never the prompt. An
//! [`EquivocationProof`] sets a signed receipt against the leaf that was committed to. An honest artifact has no proof.

use borsh::BorshSerialize;
use cosmwasm_schema::cw_schema::Schemaifier;
use cosmwasm_schema::cw_serde;
use cosmwasm_std::HexBinary;

mod bytes;

pub use bytes::BadProof;

use crate::artifact::Artifact;
use crate::digest::{tagged, Domain};
use crate::ids::{BatchId, Digest, InferenceId, ModelDigest, RunSeed, TokensDigest};
use crate::merkle;
use crate::replay::{replay_leaf, Replay, SamplerVersion};
use crate::session::{batch_leaf, rows_root, Receipt, Request};

/// What a proof shows.
#[cw_serde]
#[derive(Eq, Copy, PartialOrd, Ord)]
pub enum Finding {
    /// Numbers and seed do not give the signed token, or the filters not the signed cut.
    Replay,
    /// The row breaks a rule of the format, or there are more rows than the request allows tokens.
    Malformed,
    /// The sampling parameters are out of their range.
    Sampling,
    /// The request is for another model, or for a longer answer, than the session.
    Request,
    /// What was delivered under a receipt is not what was committed to.
    Equivocation,
}

impl std::fmt::Display for Finding {
    /// One word, for events and tables.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Finding::Replay => "replay",
            Finding::Malformed => "malformed",
            Finding::Sampling => "sampling",
            Finding::Request => "request",
            Finding::Equivocation => "equivocation",
        })
    }
}

/// The proof that was brought against an executor's epoch.
#[cw_serde]
#[derive(Eq)]
pub struct Accusation {
    pub accuser: String,
    pub finding: Finding,
    pub batch: BatchId,
    /// Leaf number under the batch's root.
    pub index: u32,
}

/// What the chain knows about the inference that a proof is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The version that the batch was committed under.
    pub sampler: SamplerVersion,
    pub model: ModelDigest,
    /// Token ids of the model are below this.
    pub vocabulary: u32,
    /// Tokens of an answer that the session allows.
    pub max_new: u32,
    pub run_seed: RunSeed,
}

/// A sampler that this build cannot replay: nothing follows about anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sampler version {} is not known here", version.0)]
pub struct UnknownSampler {
    pub version: SamplerVersion,
}

/// Where a batch holds an inference, and the way up from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub batch: BatchId,
    /// Leaf number under the batch's root.
    pub index: u32,
    pub path: Vec<Digest>,
}

/// One row of an artifact, opened up to the root of the batch that commits to it; in JSON [its bytes](FraudProof::encode).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, Schemaifier)]
#[schemaifier(crate = "cosmwasm_schema::cw_schema", type = cosmwasm_schema::cw_schema::NodeType::Binary)]
pub struct FraudProof {
    pub batch: BatchId,
    /// Leaf number under the batch's root.
    pub index: u32,
    /// Siblings from that leaf to the batch's root, at most [`merkle::MAX_DEPTH`].
    pub batch_path: Vec<Digest>,
    pub request: Request,
    pub tokens: TokensDigest,
    /// Rows of the artifact; its rows root binds the number.
    pub rows: u32,
    /// The row's number, from 0.
    pub position: u32,
    /// The row's bytes as committed, see [`crate::row`].
    pub row: Vec<u8>,
    /// Siblings from the row to the root of the rows' tree, at most [`merkle::MAX_DEPTH`].
    pub row_path: Vec<Digest>,
}

/// An executor's receipt for an inference, and the leaf that it committed to for the same one.
#[cw_serde]
#[derive(Eq)]
pub struct EquivocationProof {
    pub receipt: Receipt,
    /// The executor's compressed secp256k1 key, 33 bytes: its address follows from it.
    pub public_key: HexBinary,
    /// Over the receipt's digest, r ‖ s, 64 bytes.
    pub signature: HexBinary,
    pub batch: BatchId,
    /// Leaf number under the batch's root.
    pub index: u32,
    /// Hash of that leaf, whatever its bytes are.
    pub leaf: Digest,
    /// Siblings from it to the batch's root, at most [`merkle::MAX_DEPTH`].
    pub path: Vec<Digest>,
}

/// H("accusation", chain, contract, accuser, proof, salt): what an accuser commits to before it shows the proof.
pub fn accusation(domain: &Domain, accuser: &str, proof: &Digest, salt: &HexBinary) -> Digest {
    Digest(tagged("accusation", &(domain, accuser, proof, salt.as_slice())))
}

impl FraudProof {
    /// Opens one row of an artifact; `None` where it has no such row.
    pub fn open(artifact: &Artifact, place: &Place, position: u32) -> Option<Self> {
        let at = usize::try_from(position).unwrap_or(usize::MAX);
        let hashes: Vec<[u8; 32]> = artifact.leaves.iter().map(|leaf| merkle::leaf_hash(leaf)).collect();
        let row_path = merkle::path(&hashes, at)?.into_iter().map(Digest).collect();
        Some(Self {
            batch: place.batch,
            index: place.index,
            batch_path: place.path.clone(),
            request: artifact.request.clone(),
            tokens: artifact.tokens_digest(),
            rows: count(artifact),
            position,
            row: artifact.leaves[at].clone(),
            row_path,
        })
    }

    /// H("fraud", every field): which proof an accusation is of.
    pub fn digest(&self) -> Digest {
        Digest(tagged("fraud", self))
    }

    /// Hash of the batch's leaf that the row leads up to; `None` where the path to the rows' root has the wrong length.
    pub fn leaf(&self, inference: &InferenceId) -> Option<[u8; 32]> {
        let row = merkle::leaf_hash(&self.row);
        let tree = merkle::climb(self.rows.into(), self.position.into(), row, &hashes(&self.row_path))?;
        let rows = rows_root(self.rows, &tree);
        let receipt =
            Receipt { inference: *inference, request: self.request.digest(), tokens: self.tokens, rows };
        Some(merkle::leaf_hash(&batch_leaf(inference, &receipt.artifact())))
    }

    /// What the opened row shows; `None`: what an honest executor would have signed.
    ///
    /// # Errors
    /// The batch is of a sampler that this build does not know.
    pub fn finding(&self, terms: &Terms) -> Result<Option<Finding>, UnknownSampler> {
        finding(&self.request, self.rows, (self.position, &self.row), terms)
    }
}

/// The first row of an artifact that proves a fraud, opened; `None` where none does.
///
/// # Errors
/// The batch is of a sampler that this build does not know.
pub fn find(
    artifact: &Artifact,
    place: &Place,
    terms: &Terms,
) -> Result<Option<(FraudProof, Finding)>, UnknownSampler> {
    let rows = count(artifact);
    for (position, row) in (0..rows).zip(&artifact.leaves) {
        if let Some(found) = finding(&artifact.request, rows, (position, row), terms)? {
            return Ok(FraudProof::open(artifact, place, position).map(|proof| (proof, found)));
        }
    }
    Ok(None)
}

fn finding(
    request: &Request,
    rows: u32,
    (position, row): (u32, &[u8]),
    terms: &Terms,
) -> Result<Option<Finding>, UnknownSampler> {
    if request.model != terms.model || request.max_new > terms.max_new {
        return Ok(Some(Finding::Request));
    }
    if rows > request.max_new {
        return Ok(Some(Finding::Malformed));
    }
    let replayed = match terms.sampler {
        SamplerVersion(1) => replay_leaf(row, position, terms.vocabulary, &request.sampling, &terms.run_seed),
        version => return Err(UnknownSampler { version }),
    };
    Ok(match replayed {
        Replay::Matches => None,
        Replay::Differs { .. } | Replay::CutDiffers { .. } => Some(Finding::Replay),
        Replay::Malformed(_) => Some(Finding::Malformed),
        Replay::ParamsOutOfRange(_) => Some(Finding::Sampling),
    })
}

impl EquivocationProof {
    /// H("equivocation", every field): which proof an accusation is of.
    pub fn digest(&self) -> Digest {
        let Self { receipt, public_key, signature, batch, index, leaf, path } = self;
        let signed = (receipt, public_key.as_slice(), signature.as_slice());
        Digest(tagged("equivocation", &(signed, batch, index, leaf, path)))
    }

    /// Whether the leaf is another than the one that the receipt promises.
    pub fn differs(&self) -> bool {
        let promised = batch_leaf(&self.receipt.inference, &self.receipt.artifact());
        self.leaf.0 != merkle::leaf_hash(&promised)
    }
}

fn count(artifact: &Artifact) -> u32 {
    u32::try_from(artifact.leaves.len()).unwrap_or(u32::MAX)
}

/// A path as the tree's functions take it.
pub fn hashes(path: &[Digest]) -> Vec<[u8; 32]> {
    path.iter().map(|sibling| sibling.0).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ids::PromptDigest;
    use crate::row::encode_leaf;
    use crate::sampler::{sample_full, top_candidates, SamplingParams};

    const SEED: RunSeed = RunSeed([3; 32]);
    const VOCABULARY: u32 = 64;

    fn terms(sampler: SamplerVersion) -> Terms {
        Terms { sampler, model: ModelDigest([1; 32]), vocabulary: VOCABULARY, max_new: 8, run_seed: SEED }
    }

    fn artifact() -> Artifact {
        let sampling = SamplingParams::OPEN;
        let surprisals: Vec<u32> = (0..VOCABULARY).map(|id| 1_536 + id % 7).collect();
        let candidates = top_candidates(&surprisals, VOCABULARY as usize);
        let row = |position| sample_full(&candidates, &sampling, &SEED, position).unwrap().row;
        let rows: Vec<_> = (0..5).map(row).collect();
        let request = Request {
            model: ModelDigest([1; 32]),
            sampling,
            max_new: 8,
            stop_ids: vec![],
            prompt: PromptDigest([2; 32]),
        };
        Artifact {
            request,
            salt: [0; 32],
            prompt: vec![1],
            tokens: rows.iter().map(|row| row.token.0).collect(),
            leaves: (0..).zip(&rows).map(|(position, row)| encode_leaf(position, row)).collect(),
        }
    }

    fn place() -> Place {
        Place { batch: BatchId(1), index: 0, path: vec![] }
    }

    #[test]
    fn every_row_opens_to_the_leaf_that_the_batch_commits_to_and_to_no_other() {
        let (artifact, inference) = (artifact(), InferenceId([7; 32]));
        let digest = artifact.receipt(inference).artifact();
        let leaf = merkle::leaf_hash(&batch_leaf(&inference, &digest));
        for position in 0..5 {
            let proof = FraudProof::open(&artifact, &place(), position).unwrap();
            assert_eq!(proof.leaf(&inference), Some(leaf));
            assert_ne!(proof.leaf(&InferenceId([8; 32])), Some(leaf));
            // The same path leads up in trees of other sizes too, but the number of rows is part of the root.
            for (rows, position) in (1..12).flat_map(|rows| (0..rows).map(move |at| (rows, at))) {
                let bent = FraudProof { rows, position, ..proof.clone() };
                let same = (rows, position) == (proof.rows, proof.position);
                assert_eq!(bent.leaf(&inference) == Some(leaf), same, "{position} of {rows}");
            }
        }
        assert_eq!(FraudProof::open(&artifact, &place(), 5), None);
    }

    #[test]
    fn an_honest_artifact_gives_no_proof_and_a_changed_one_names_its_first_bad_row() {
        let mut artifact = artifact();
        let current = terms(SamplerVersion::CURRENT);
        assert_eq!(find(&artifact, &place(), &current), Ok(None));
        artifact.leaves[3].push(0);
        let (proof, found) = find(&artifact, &place(), &current).unwrap().unwrap();
        assert_eq!((proof.position, found), (3, Finding::Malformed));
    }

    #[test]
    fn a_sampler_of_another_version_is_refused_not_replayed() {
        for version in [SamplerVersion(0), SamplerVersion(2)] {
            let found = find(&artifact(), &place(), &terms(version));
            assert_eq!(found, Err(UnknownSampler { version }));
        }
    }

    #[test]
    fn an_accusation_is_bound_to_accuser_proof_salt_chain_and_contract() {
        let domain =
            |chain_id: &str, contract: &str| Domain { chain_id: chain_id.into(), contract: contract.into() };
        let of = |domain: Domain, accuser, proof, salt: u8| {
            accusation(&domain, accuser, &Digest([proof; 32]), &HexBinary::from([salt; 32]))
        };
        let hashes = [
            of(domain("a", "b"), "me", 1, 1),
            of(domain("c", "b"), "me", 1, 1),
            of(domain("a", "c"), "me", 1, 1),
            of(domain("a", "b"), "you", 1, 1),
            of(domain("a", "b"), "me", 2, 1),
            of(domain("a", "b"), "me", 1, 2),
        ];
        let distinct: std::collections::BTreeSet<Digest> = hashes.into_iter().collect();
        assert_eq!(distinct.len(), hashes.len());
    }
}
