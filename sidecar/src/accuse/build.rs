//! From an artifact, or a receipt, to a proof: everything that the contract checks is checked here first.

use assay_common::artifact::Commitment;
use assay_common::claims;
use assay_common::ids::{BatchId, Digest, Epoch, InferenceId};
use assay_common::merkle;
use assay_common::msg::{BatchResponse, ExecuteMsg, ModelResponse, QueryMsg, SessionResponse};
use assay_common::proof::{self, EquivocationProof, Finding, FraudProof, Place, Terms, UnknownSampler};
use assay_common::session::{batch_leaf, inference_id, run_seed, Receipt};
use cosmwasm_std::HexBinary;
use serde::{Deserialize, Serialize};

use crate::chain::{Chain, ChainError, Signed};
use crate::http::ArtifactResponse;
use crate::validator::fetch;

/// Why no proof could be made, which says nothing about the executor.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("batch {batch} has {count} leaves, there is no leaf {index}")]
    NoSuchLeaf { batch: BatchId, index: u32, count: u32 },
    #[error("these bytes are not what was committed to: {reason}")]
    Mismatch { reason: String },
    #[error(transparent)]
    Sampler(#[from] UnknownSampler),
    #[error("the receipt is for inference {found}, leaf {index} of batch {batch} is inference {expected}")]
    OtherInference { batch: BatchId, index: u32, expected: InferenceId, found: InferenceId },
}

/// A proof as it is brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    Fraud(FraudProof),
    Equivocation(EquivocationProof),
}

impl Proof {
    /// What the accusation hashes of it.
    pub fn digest(&self) -> Digest {
        match self {
            Proof::Fraud(proof) => proof.digest(),
            Proof::Equivocation(proof) => proof.digest(),
        }
    }

    /// The leaf that it is about.
    pub fn leaf(&self) -> (BatchId, u32) {
        match self {
            Proof::Fraud(proof) => (proof.batch, proof.index),
            Proof::Equivocation(proof) => (proof.batch, proof.index),
        }
    }

    /// The message that shows it.
    pub fn message(&self, salt: HexBinary) -> ExecuteMsg {
        match self.clone() {
            Proof::Fraud(proof) => ExecuteMsg::ProveFraud { proof, salt },
            Proof::Equivocation(proof) => ExecuteMsg::ProveEquivocation { proof, salt },
        }
    }
}

/// A proof, and whose epoch it condemns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accusation {
    pub executor: String,
    pub epoch: Epoch,
    pub finding: Finding,
    pub proof: Proof,
}

/// What the chain says about one leaf of a batch.
#[derive(Clone, Debug)]
pub struct Subject {
    pub batch: BatchResponse,
    pub index: u32,
    pub session: SessionResponse,
    pub inference: InferenceId,
    terms: Terms,
}

impl Subject {
    /// Reads batch, session and model.
    ///
    /// # Errors
    /// The chain cannot be asked, or the batch has no such leaf.
    pub async fn read(chain: &Chain, id: BatchId, index: u32) -> Result<Self, BuildError> {
        let batch: BatchResponse = chain.query(&QueryMsg::Batch { batch: id }).await?;
        let count = batch.count;
        let (session, nonce) = claims::inference(&batch.claims, index).ok_or(BuildError::NoSuchLeaf {
            batch: id,
            index,
            count,
        })?;
        let session: SessionResponse = chain.query(&QueryMsg::Session { session }).await?;
        let model: ModelResponse = chain.query(&QueryMsg::Model { model: batch.model }).await?;
        let inference = inference_id(chain.domain(), session.session, nonce);
        let terms = Terms {
            sampler: batch.sampler,
            model: batch.model,
            vocabulary: model.spec.vocabulary,
            max_new: session.max_new,
            run_seed: run_seed(&session.user_seed, &inference),
        };
        Ok(Self { batch, index, session, inference, terms })
    }

    /// Where the batch commits to the inference.
    pub fn commitment(&self) -> Commitment {
        let BatchResponse { root, count, .. } = self.batch;
        Commitment { root, count, index: self.index, inference: self.inference }
    }

    /// The first row of the artifact that proves a fraud; `None` where none does.
    ///
    /// # Errors
    /// The bytes are not what was committed to, or the batch is of a sampler that this build does not know.
    pub fn fraud(&self, evidence: &ArtifactResponse) -> Result<Option<Accusation>, BuildError> {
        let artifact =
            fetch::open(evidence, &self.commitment()).map_err(|reason| BuildError::Mismatch { reason })?;
        let found = proof::find(&artifact, &self.place(evidence)?, &self.terms)?;
        Ok(found.map(|(proof, finding)| self.accusation(Proof::Fraud(proof), finding)))
    }

    /// A receipt against what was committed to; `None` where both are of one artifact.
    ///
    /// # Errors
    /// The bytes are not what was committed to, or the receipt is for another inference.
    pub fn equivocation(
        &self,
        evidence: &ArtifactResponse,
        receipt: &Receipt,
        signed: &Signed,
    ) -> Result<Option<Accusation>, BuildError> {
        let (batch, index) = (self.batch.batch, self.index);
        if receipt.inference != self.inference {
            let (expected, found) = (self.inference, receipt.inference);
            return Err(BuildError::OtherInference { batch, index, expected, found });
        }
        let artifact =
            fetch::open(evidence, &self.commitment()).map_err(|reason| BuildError::Mismatch { reason })?;
        let committed = artifact.receipt(self.inference).artifact();
        let proof = EquivocationProof {
            receipt: *receipt,
            public_key: signed.public_key.clone(),
            signature: signed.signature.clone(),
            batch,
            index,
            leaf: Digest(merkle::leaf_hash(&batch_leaf(&self.inference, &committed))),
            path: self.place(evidence)?.path,
        };
        let differs = proof.differs();
        Ok(differs.then(|| self.accusation(Proof::Equivocation(proof), Finding::Equivocation)))
    }

    fn accusation(&self, proof: Proof, finding: Finding) -> Accusation {
        let (executor, epoch) = (self.batch.executor.clone(), self.batch.epoch);
        Accusation { executor, epoch, finding, proof }
    }

    fn place(&self, evidence: &ArtifactResponse) -> Result<Place, BuildError> {
        let path = fetch::path(evidence).map_err(|reason| BuildError::Mismatch { reason })?;
        let path = path.into_iter().map(Digest).collect();
        Ok(Place { batch: self.batch.batch, index: self.index, path })
    }
}
