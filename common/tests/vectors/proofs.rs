//! Proofs that anyone can bring: what names them, what hides them, what they show.

use assay_common::digest::Domain;
use assay_common::ids::{
    BatchId, Digest, InferenceId, ModelDigest, PromptDigest, RequestDigest, RowsRoot, RunSeed, TokensDigest,
};
use assay_common::proof::{accusation, EquivocationProof, FraudProof, Terms};
use assay_common::replay::SamplerVersion;
use assay_common::sampler::SamplingParams;
use assay_common::session::{Receipt, Request};
use borsh::{BorshDeserialize, BorshSerialize};
use cosmwasm_std::HexBinary;
use serde::{Deserialize, Serialize};

use super::{Bytes, Given};

/// Who accuses, where, and how the accusation is hidden.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Accuser {
    pub domain: Domain,
    pub address: String,
    pub salt: Digest,
}

impl Accuser {
    fn commitment(&self, proof: &Digest) -> Digest {
        accusation(&self.domain, &self.address, proof, &HexBinary::from(self.salt.0))
    }
}

/// A row with its two paths, and what the chain knows of the inference.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Fraud {
    pub accuser: Accuser,
    pub batch: BatchId,
    pub index: u32,
    pub batch_path: Vec<Digest>,
    pub model: ModelDigest,
    pub sampling: SamplingParams,
    pub max_new: u32,
    pub stop_ids: Vec<u32>,
    pub prompt: PromptDigest,
    pub tokens: TokensDigest,
    pub rows: u32,
    pub position: u32,
    pub row: Bytes,
    pub row_path: Vec<Digest>,
    pub inference: InferenceId,
    pub chain: Known,
}

/// What holds for the inference by the chain's own records.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Known {
    pub sampler: u32,
    pub model: ModelDigest,
    pub vocabulary: u32,
    pub max_new: u32,
    pub run_seed: RunSeed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct FraudOutcome {
    pub proof: Digest,
    pub accusation: Digest,
    /// Hash of the batch's leaf; none where the row's path has the wrong length.
    pub leaf: Option<Digest>,
    /// `nothing`, what is shown, or `unknown sampler`.
    pub finding: String,
}

impl Fraud {
    fn proof(&self) -> FraudProof {
        let Self { model, sampling, max_new, stop_ids, prompt, .. } = self.clone();
        FraudProof {
            batch: self.batch,
            index: self.index,
            batch_path: self.batch_path.clone(),
            request: Request { model, sampling, max_new, stop_ids, prompt },
            tokens: self.tokens,
            rows: self.rows,
            position: self.position,
            row: self.row.0.clone(),
            row_path: self.row_path.clone(),
        }
    }
}

impl Given for Fraud {
    type Outcome = FraudOutcome;
    fn outcome(&self) -> FraudOutcome {
        let (proof, known) = (self.proof(), &self.chain);
        let terms = Terms {
            sampler: SamplerVersion(known.sampler),
            model: known.model,
            vocabulary: known.vocabulary,
            max_new: known.max_new,
            run_seed: known.run_seed,
        };
        let finding = match proof.finding(&terms) {
            Ok(None) => "nothing".into(),
            Ok(Some(finding)) => finding.to_string(),
            Err(_) => "unknown sampler".into(),
        };
        let digest = proof.digest();
        FraudOutcome {
            proof: digest,
            accusation: self.accuser.commitment(&digest),
            leaf: proof.leaf(&self.inference).map(Digest),
            finding,
        }
    }
}

/// A receipt, and the leaf that was committed to.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Equivocation {
    pub accuser: Accuser,
    pub inference: InferenceId,
    pub request: RequestDigest,
    pub tokens: TokensDigest,
    pub rows: RowsRoot,
    pub public_key: Bytes,
    pub signature: Bytes,
    pub batch: BatchId,
    pub index: u32,
    pub leaf: Digest,
    pub path: Vec<Digest>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct EquivocationOutcome {
    /// What the signature must be of.
    pub receipt: Digest,
    pub proof: Digest,
    pub accusation: Digest,
    /// Whether the leaf is another than the promised one.
    pub differs: bool,
}

impl Given for Equivocation {
    type Outcome = EquivocationOutcome;
    fn outcome(&self) -> EquivocationOutcome {
        let Self { inference, request, tokens, rows, batch, index, leaf, .. } = *self;
        let proof = EquivocationProof {
            receipt: Receipt { inference, request, tokens, rows },
            public_key: HexBinary::from(self.public_key.0.as_slice()),
            signature: HexBinary::from(self.signature.0.as_slice()),
            batch,
            index,
            leaf,
            path: self.path.clone(),
        };
        let digest = proof.digest();
        EquivocationOutcome {
            receipt: proof.receipt.digest(&self.accuser.domain),
            proof: digest,
            accusation: self.accuser.commitment(&digest),
            differs: proof.differs(),
        }
    }
}
