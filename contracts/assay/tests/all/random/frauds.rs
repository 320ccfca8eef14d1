//! Proofs of fraud, true ones and false ones: what each of them is, is known from how it was made.

use assay_common::artifact::Artifact;
use assay_common::ids::{BatchId, Digest, InferenceId, ModelDigest};
use assay_common::msg::ExecuteMsg;
use assay_common::proof::{accusation, Finding, FraudProof};
use assay_contract::error::ContractError;
use cosmwasm_std::{Addr, HexBinary};
use k256::ecdsa::SigningKey;

use super::chain::Chain;
use crate::model::{Exhibit, Funds};
use crate::suite::*;

/// Something to show in a later block.
pub struct Shown {
    accuser: Addr,
    msg: ExecuteMsg,
    exhibit: Exhibit,
    height: u64,
}

fn digest_of(msg: &ExecuteMsg) -> Digest {
    match msg {
        ExecuteMsg::ProveFraud { proof, .. } => proof.digest(),
        ExecuteMsg::ProveEquivocation { proof, .. } => proof.digest(),
        other => panic!("{other:?} is no proof"),
    }
}

/// What a row of an artifact of [`Chain::bend_artifact`] shows, to go by the marks of the bending.
fn finding(artifact: &Artifact, model: ModelDigest, position: u32) -> Option<Finding> {
    let request = &artifact.request;
    if request.model != model || request.max_new > 100 {
        return Some(Finding::Request);
    }
    if request.max_new < 2 {
        return Some(Finding::Malformed);
    }
    match position {
        _ if request.sampling.temperature_milli > 100_000 => Some(Finding::Sampling),
        0 if request.stop_ids == [1] => Some(Finding::Replay),
        1 if request.stop_ids == [2] => Some(Finding::Malformed),
        _ => None,
    }
}

impl Chain {
    /// Leaves an artifact honest, or makes a fraud of it that [`finding`] can tell.
    pub fn bend_artifact(&mut self, artifact: &mut Artifact) {
        match self.dice.below(12) {
            0 | 1 => {
                tamper(artifact, 0, swap_token);
                artifact.request.stop_ids = vec![1];
            }
            2 | 3 => {
                artifact.leaves[1].push(0);
                artifact.request.stop_ids = vec![2];
            }
            4 => artifact.request.sampling.temperature_milli = 100_001,
            5 => artifact.request.max_new = 101,
            6 => artifact.request.model = ModelDigest([1; 32]),
            7 => artifact.request.max_new = 1,
            _ => {}
        }
    }

    /// Mostly one of late, of an epoch that nobody has accused.
    fn known_batch(&mut self) -> Option<BatchId> {
        let is_free = |id: &&BatchId| {
            let batch = &self.world.batches[*id];
            let account = &self.world.accounts[&(batch.executor.clone(), batch.epoch.0)];
            !batch.gone && account.accusation.is_none() && account.slashed == 0
        };
        let free: Vec<BatchId> = self.known.keys().filter(is_free).copied().collect();
        if self.dice.percent(85) {
            return self.dice.pick(&free).copied();
        }
        let all: Vec<BatchId> = self.known.keys().copied().collect();
        self.dice.pick(&all).copied()
    }

    /// A proof against a row, and what it comes to.
    fn row_proof(&mut self) -> Option<(ExecuteMsg, Exhibit)> {
        let batch = self.known_batch()?;
        let (count, model) = (self.known[&batch].artifacts.len() as u64, self.world.batches[&batch].model);
        let mut chosen = (self.dice.below(count) as usize, self.dice.below(2) as u32);
        if self.dice.percent(70) {
            let artifacts = self.known[&batch].artifacts.iter().enumerate();
            let mut bad = artifacts.flat_map(|(index, artifact)| {
                (0..2).filter(move |at| finding(artifact, model, *at).is_some()).map(move |at| (index, at))
            });
            chosen = bad.next().unwrap_or(chosen);
        }
        let (index, position) = chosen;
        let committed = &self.known[&batch];
        let mut proof = committed.proof(index as u32, position);
        let nothing = ContractError::NothingProven { batch, index: index as u32, position };
        let mut exhibit = finding(&committed.artifacts[index], model, position).ok_or(nothing);
        if self.dice.percent(20) {
            exhibit = Err(self.bend_proof(&mut proof));
        }
        let salt = proof_salt();
        Some((ExecuteMsg::ProveFraud { proof, salt }, exhibit))
    }

    fn bend_proof(&mut self, proof: &mut FraudProof) -> ContractError {
        let &mut FraudProof { batch, index, position, rows, .. } = proof;
        match self.dice.below(4) {
            0 => {
                proof.row_path.push(Digest([1; 32]));
                ContractError::BadRowPath { position, rows, length: proof.row_path.len() }
            }
            1 => {
                proof.index += 1_000;
                let count = self.world.batches[&batch].count();
                ContractError::NoSuchLeaf { batch, index: proof.index, count }
            }
            2 => {
                proof.batch_path.push(Digest([1; 32]));
                ContractError::NotUnderRoot { batch, index }
            }
            _ => {
                proof.request.max_new += 1;
                ContractError::NotUnderRoot { batch, index }
            }
        }
    }

    /// A receipt against a leaf, and what it comes to.
    fn receipt_proof(&mut self) -> Option<(ExecuteMsg, Exhibit)> {
        let batch = self.known_batch()?;
        let index = self.dice.below(self.known[&batch].artifacts.len() as u64) as u32;
        let executor = self.world.batches[&batch].executor.clone();
        let key = |address: &str| {
            let found = self.nodes.iter().find(|(node, _)| node.as_str() == address);
            found.map(|(_, key)| key.clone()).expect("every executor's key is known")
        };
        let (right, other) = (key(&executor), SigningKey::from_slice(&[19; 32]).expect("a scalar"));
        let bend = self.dice.below(18);
        let committed = &self.known[&batch];
        let mut delivered = committed.artifacts[index as usize].clone();
        delivered.tokens[0] ^= 1;
        let expected = committed.receipts[index as usize].inference;
        let mut receipt = delivered.receipt(expected);
        let mut exhibit = Ok(Finding::Equivocation);
        match bend {
            0 => {
                receipt = committed.receipts[index as usize];
                exhibit = Err(ContractError::ReceiptKept { batch, index });
            }
            1 => {
                let found = InferenceId([3; 32]);
                receipt.inference = found;
                exhibit = Err(ContractError::ReceiptOfOther { batch, index, expected, found });
            }
            _ => {}
        }
        let mut proof =
            committed.against(&self.suite, index, receipt, if bend == 2 { &other } else { &right });
        match bend {
            2 => {
                let signer = self.suite.key_address(&other).into_string();
                exhibit = Err(ContractError::ReceiptSigner { signer, executor });
            }
            3 => {
                proof.signature = sign(&right, &Digest([5; 32]));
                exhibit = Err(ContractError::ReceiptUnsigned { key: proof.public_key.to_hex() });
            }
            4 => {
                proof.leaf = Digest([6; 32]);
                exhibit = Err(ContractError::NotUnderRoot { batch, index });
            }
            5 => {
                proof.signature = HexBinary::default();
                exhibit = Err(ContractError::ReceiptUnsigned { key: proof.public_key.to_hex() });
            }
            _ => {}
        }
        let salt = proof_salt();
        Some((ExecuteMsg::ProveEquivocation { proof, salt }, exhibit))
    }

    fn some_proof(&mut self) -> Option<(ExecuteMsg, Exhibit)> {
        if self.dice.percent(50) {
            self.row_proof()
        } else {
            self.receipt_proof()
        }
    }

    pub fn accuse(&mut self) {
        let Some((msg, exhibit)) = self.some_proof() else { return };
        // An executor may accuse itself, for no bounty.
        let accuser = self.anyone();
        let salt = proof_salt();
        let hash = accusation(&self.world.domain, accuser.as_str(), &digest_of(&msg), &salt);
        if self.send(&accuser, ExecuteMsg::CommitFraud { hash }, 0) {
            let height = self.world.height;
            self.to_show.push(Shown { accuser, msg, exhibit, height });
        }
    }

    /// Shows what was committed to in an earlier block.
    pub fn show_proof(&mut self) {
        let (height, count) = (self.world.height, self.to_show.len() as u64);
        if count == 0 {
            return;
        }
        let at = usize::try_from(self.dice.below(count)).expect("a place");
        if self.to_show[at].height >= height && self.dice.percent(80) {
            return;
        }
        let Shown { accuser, msg, exhibit, height: committed } = self.to_show.swap_remove(at);
        let again =
            Shown { accuser: accuser.clone(), msg: msg.clone(), exhibit: exhibit.clone(), height: committed };
        let found = exhibit.clone().map(|finding| format!("found {finding}"));
        let batch = match &msg {
            ExecuteMsg::ProveFraud { proof, .. } => proof.batch,
            ExecuteMsg::ProveEquivocation { proof, .. } => proof.batch,
            other => panic!("{other:?} is no proof"),
        };
        if self.send_with(&accuser, msg, Funds::Units(0), Some(exhibit)) {
            *self.reach.ends.entry(found.expect("it was accepted")).or_default() += 1;
            let of = &self.world.batches[&batch];
            let account = &self.world.accounts[&(of.executor.clone(), of.epoch.0)];
            if account.status.is_settled() {
                *self.reach.ends.entry("slashed after it was settled".into()).or_default() += 1;
            }
        } else if committed == height {
            self.to_show.push(again);
        }
    }

    /// A commitment made twice, or a proof without one.
    pub fn wrong_accusation(&mut self) {
        if self.dice.percent(50) {
            let standing: Vec<(String, Digest)> =
                self.world.accusations.keys().map(|(_, accuser, hash)| (accuser.clone(), *hash)).collect();
            let Some((accuser, hash)) = self.dice.pick(&standing).cloned() else { return };
            self.send(&Addr::unchecked(accuser), ExecuteMsg::CommitFraud { hash }, 0);
        } else {
            let Some((msg, exhibit)) = self.some_proof() else { return };
            let accuser = self.anyone();
            self.send_with(&accuser, msg, Funds::Units(0), Some(exhibit));
        }
    }
}
