//! The part of the scripted contract that takes accusations.

use std::collections::BTreeMap;

use assay_common::digest::Domain;
use assay_common::ids::{BatchId, Digest, Epoch};
use assay_common::msg::{EpochResponse, EpochStatus, ExecuteMsg, FraudCommitmentResponse, Tallies};
use assay_common::proof::{accusation, Accusation, Finding};
use cosmwasm_std::Uint128;

/// Commitments to proofs, and the proofs that were accepted.
#[derive(Default)]
pub struct Court {
    /// Maps a hash to its block.
    pub commitments: BTreeMap<Digest, u64>,
    /// The first condemns every epoch.
    pub proven: Vec<(String, BatchId, u32)>,
    /// Refuses everything, for this reason.
    pub closed: Option<&'static str>,
}

impl Court {
    pub fn committed(&self, hash: &Digest) -> FraudCommitmentResponse {
        FraudCommitmentResponse { height: self.commitments.get(hash).copied() }
    }

    pub fn epoch(&self, executor: String, epoch: Epoch) -> EpochResponse {
        let accusation = self.proven.first().map(|(accuser, batch, index)| Accusation {
            accuser: accuser.clone(),
            finding: Finding::Replay,
            batch: *batch,
            index: *index,
        });
        let zero = Uint128::zero();
        EpochResponse {
            executor,
            epoch,
            status: if accusation.is_some() { EpochStatus::Condemned } else { EpochStatus::Open },
            batches: 1,
            inferences: 2,
            sampled: 2,
            closed: Tallies::default(),
            folded: 0,
            fees: zero,
            reserve: zero,
            checks: zero,
            pending: zero,
            reward: zero,
            refunded: zero,
            slashed: zero,
            bounty: zero,
            accusation,
        }
    }

    /// As the contract would: a proof is shown after the block of its commitment, and condemns once.
    pub fn check(&self, at: (&Domain, u64), sender: &str, msg: &ExecuteMsg) -> Result<(), String> {
        let (domain, height) = at;
        let (digest, salt) = match msg {
            ExecuteMsg::CommitFraud { hash } => {
                return match (self.closed, self.commitments.contains_key(hash)) {
                    (Some(reason), _) => Err(reason.into()),
                    (None, true) => Err("already committed".into()),
                    (None, false) => Ok(()),
                }
            }
            ExecuteMsg::ProveFraud { proof, salt } => (proof.digest(), salt),
            ExecuteMsg::ProveEquivocation { proof, salt } => (proof.digest(), salt),
            _ => return Ok(()),
        };
        let hash = accusation(domain, sender, &digest, salt);
        match self.commitments.get(&hash) {
            None => Err("no standing commitment".into()),
            Some(committed) if *committed >= height => Err("too early".into()),
            Some(_) if !self.proven.is_empty() => Err("condemned already".into()),
            Some(_) => Ok(()),
        }
    }

    pub fn apply(&mut self, height: u64, sender: String, msg: ExecuteMsg) {
        match msg {
            ExecuteMsg::CommitFraud { hash } => {
                self.commitments.insert(hash, height);
            }
            ExecuteMsg::ProveFraud { proof, .. } => self.proven.push((sender, proof.batch, proof.index)),
            ExecuteMsg::ProveEquivocation { proof, .. } => {
                self.proven.push((sender, proof.batch, proof.index));
            }
            _ => {}
        }
    }
}
