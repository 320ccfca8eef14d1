//! Answers drawn by the sampler itself, batches that commit to them, and proofs of them.

use assay_common::artifact::Artifact;
use assay_common::digest::sha256;
use assay_common::ids::{BatchId, BatchRoot, Digest, InferenceId, Nonce, RunSeed, SessionId, UserSeed};
use assay_common::merkle;
use assay_common::msg::ExecuteMsg;
use assay_common::proof::{accusation, EquivocationProof, FraudProof, Place};
use assay_common::row::{decode_leaf, encode_leaf, Row};
use assay_common::sampler::{sample_full, top_candidates, SamplingParams, MAX_CANDIDATES};
use assay_common::session::{batch_leaf, inference_id, prompt_digest, run_seed, Receipt, Request};
use cosmwasm_std::{Addr, Api, CanonicalAddr, HexBinary};
use cw_multi_test::AppResponse;
use k256::ecdsa::signature::hazmat::PrehashSigner;
use k256::ecdsa::{Signature, SigningKey};
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ripemd::{Digest as _, Ripemd160};

use super::{public_key, spec, Suite, FEE, MIN_STAKE};

/// What a forfeit takes of the stake of a node that bonded twice the least, and what of it goes to an accuser.
pub const SLASH: u128 = 2 * MIN_STAKE / 10;
pub const BOUNTY: u128 = SLASH / 20;

/// The seed of every session that [`Suite::opening`] opens.
pub const USER_SEED: UserSeed = UserSeed([5; 32]);
/// Token ids of the suite's model are below this.
pub const VOCABULARY: u32 = 1_000;
/// Tokens of an answer.
pub const ANSWER: u32 = 5;

pub const OPEN: SamplingParams = SamplingParams::OPEN;

/// A batch whose artifacts are known.
pub struct Committed {
    pub batch: BatchId,
    pub artifacts: Vec<Artifact>,
    pub receipts: Vec<Receipt>,
}

impl Committed {
    pub fn place(&self, index: u32) -> Place {
        let path = merkle::path(&leaves(&self.receipts), index as usize).unwrap();
        Place { batch: self.batch, index, path: path.into_iter().map(Digest).collect() }
    }

    pub fn proof(&self, index: u32, position: u32) -> FraudProof {
        FraudProof::open(&self.artifacts[index as usize], &self.place(index), position).unwrap()
    }

    /// A receipt that `key` signed, against the leaf of the same index.
    pub fn against(
        &self,
        suite: &Suite,
        index: u32,
        receipt: Receipt,
        key: &SigningKey,
    ) -> EquivocationProof {
        let Place { batch, index, path } = self.place(index);
        EquivocationProof {
            receipt,
            public_key: public_key(key),
            signature: sign(key, &receipt.digest(&suite.domain())),
            batch,
            index,
            leaf: Digest(leaves(&self.receipts)[index as usize]),
            path,
        }
    }
}

/// The hashes of a batch's leaves.
pub fn leaves(receipts: &[Receipt]) -> Vec<[u8; 32]> {
    let leaf = |receipt: &Receipt| merkle::leaf_hash(&batch_leaf(&receipt.inference, &receipt.artifact()));
    receipts.iter().map(leaf).collect()
}

pub fn sign(key: &SigningKey, digest: &Digest) -> HexBinary {
    let signature: Signature = key.sign_prehash(&digest.0).unwrap();
    signature.to_bytes().to_vec().into()
}

/// An honest answer of `tokens` tokens to a request of the suite's model; `random` stands for the model's numbers.
pub fn answer(seed: &RunSeed, sampling: SamplingParams, tokens: u32, random: u64) -> Artifact {
    let mut random = ChaCha8Rng::seed_from_u64(random);
    let row = |position| {
        let surprisals = surprisals(&mut random);
        let candidates = top_candidates(&surprisals, MAX_CANDIDATES);
        sample_full(&candidates, &sampling, seed, position).unwrap().row
    };
    let rows: Vec<Row> = (0..tokens).map(row).collect();
    let (salt, prompt) = ([4; 32], vec![1, 2, 3]);
    let request = Request {
        model: spec("model").digest(),
        sampling,
        max_new: 20,
        stop_ids: vec![0],
        prompt: prompt_digest(&salt, &prompt),
    };
    Artifact {
        request,
        salt,
        prompt,
        tokens: rows.iter().map(|row| row.token.0).collect(),
        leaves: (0..).zip(&rows).map(|(position, row)| encode_leaf(position, row)).collect(),
    }
}

/// Random numbers of a model, in 1/256 bit; those that a row lists add up to at most one. From peaked to nearly flat.
fn surprisals(random: &mut ChaCha8Rng) -> Vec<u32> {
    let spread = [300, 1_200, 4_000][random.next_u32() as usize % 3];
    // The favourites take at most 7/8, and the 24 that a row lists at most 1/2048 each.
    let mut found: Vec<u32> = (0..VOCABULARY).map(|_| 2_816 + random.next_u32() % spread).collect();
    for favourite in [1, 2, 3].map(|bits| bits * 256 + random.next_u32() % 256) {
        found[(random.next_u32() % VOCABULARY) as usize] = favourite;
    }
    found
}

/// An honest answer of the requester's plainest request.
pub fn honest_answer(seed: &RunSeed, number: u32) -> Artifact {
    answer(seed, OPEN, ANSWER, number.into())
}

/// Changes the row at a position and keeps everything above it in step.
pub fn tamper(artifact: &mut Artifact, position: usize, change: impl FnOnce(&mut Row)) {
    let mut leaf = decode_leaf(&artifact.leaves[position]).unwrap();
    change(&mut leaf.row);
    artifact.tokens[position] = leaf.row.token.0;
    artifact.leaves[position] = encode_leaf(leaf.position, &leaf.row);
}

/// Emits another listed token than the seed gives.
pub fn swap_token(row: &mut Row) {
    row.token = row.entries.iter().map(|entry| entry.token).find(|token| *token != row.token).unwrap();
}

impl Suite {
    /// An account that is that of a key.
    pub fn key_account(&mut self, key: &SigningKey) -> Addr {
        let address = self.key_address(key);
        self.endow(&address);
        address
    }

    /// The address of a key's account.
    pub fn key_address(&self, key: &SigningKey) -> Addr {
        let hashed: [u8; 20] = Ripemd160::digest(sha256(&[&public_key(key)])).into();
        self.app.api().addr_humanize(&CanonicalAddr::from(hashed)).unwrap()
    }

    pub fn run_seed(&self, inference: &InferenceId) -> RunSeed {
        run_seed(&USER_SEED, inference)
    }

    /// A new session of `count` inferences, and the batch that commits to `answer(seed, number)` for each.
    pub fn commit_answers(
        &mut self,
        executor: &Addr,
        count: u32,
        answer: impl Fn(&RunSeed, u32) -> Artifact,
    ) -> Committed {
        let session = self.open_session(executor, 2 * u128::from(count) * FEE);
        self.commit_answers_of(executor, session, count, answer)
    }

    pub fn commit_answers_of(
        &mut self,
        executor: &Addr,
        session: SessionId,
        count: u32,
        answer: impl Fn(&RunSeed, u32) -> Artifact,
    ) -> Committed {
        let paid = self.session(session).nonce.0;
        let (mut artifacts, mut receipts) = (Vec::new(), Vec::new());
        for number in 0..count {
            let nonce = Nonce(paid + 1 + u64::from(number));
            let inference = inference_id(&self.domain(), session, nonce);
            let artifact = answer(&self.run_seed(&inference), number);
            receipts.push(artifact.receipt(inference));
            artifacts.push(artifact);
        }
        let claims = vec![self.claim(session, paid + u64::from(count))];
        let root = BatchRoot(merkle::root(&leaves(&receipts)));
        let msg = ExecuteMsg::CommitBatch { model: self.model, root, claims };
        let response = self.accepted(executor, &msg, 0);
        let batch = super::attribute(&response, "assay_batch_committed", "batch").parse().unwrap();
        Committed { batch, artifacts, receipts }
    }

    // --- accusations ---

    pub fn next_block(&mut self) {
        self.app.update_block(|block| block.height += 1);
    }

    /// Commits to a proof and goes to the next block.
    pub fn commit_proof(&mut self, accuser: &Addr, proof: &Digest) {
        let hash = accusation(&self.domain(), accuser.as_str(), proof, &proof_salt());
        self.accepted(accuser, &ExecuteMsg::CommitFraud { hash }, 0);
        self.next_block();
    }

    /// Commits to a proof and shows it a block later.
    ///
    /// # Errors
    /// The contract's refusal of the proof.
    pub fn prove(&mut self, accuser: &Addr, proof: &FraudProof) -> Result<AppResponse, String> {
        self.commit_proof(accuser, &proof.digest());
        self.send(accuser, &proving(proof), 0)
    }

    /// The same for a receipt.
    ///
    /// # Errors
    /// The contract's refusal of the proof.
    pub fn prove_receipt(
        &mut self,
        accuser: &Addr,
        proof: &EquivocationProof,
    ) -> Result<AppResponse, String> {
        self.commit_proof(accuser, &proof.digest());
        self.send(accuser, &proving_receipt(proof), 0)
    }
}

/// The salt of every accusation here; a real accuser's is secret.
pub fn proof_salt() -> HexBinary {
    [9; 32].into()
}

pub fn proving(proof: &FraudProof) -> ExecuteMsg {
    ExecuteMsg::ProveFraud { proof: proof.clone(), salt: proof_salt() }
}

pub fn proving_receipt(proof: &EquivocationProof) -> ExecuteMsg {
    ExecuteMsg::ProveEquivocation { proof: proof.clone(), salt: proof_salt() }
}

/// Proofs of the right shape that open nothing.
pub fn some_fraud_proof() -> FraudProof {
    let artifact = answer(&RunSeed([0; 32]), OPEN, 1, 0);
    let place = Place { batch: BatchId(1), index: 0, path: Vec::new() };
    FraudProof::open(&artifact, &place, 0).unwrap()
}

pub fn some_equivocation_proof() -> EquivocationProof {
    EquivocationProof {
        receipt: answer(&RunSeed([0; 32]), OPEN, 1, 0).receipt(InferenceId([0; 32])),
        public_key: HexBinary::default(),
        signature: HexBinary::default(),
        batch: BatchId(1),
        index: 0,
        leaf: Digest([0; 32]),
        path: Vec::new(),
    }
}

/// A cheat's batch of three inferences, the second of which has one token swapped.
pub fn cheated(suite: &mut Suite) -> (Addr, Committed) {
    let executor = suite.nodes[0].clone();
    let committed = suite.commit_answers(&executor, 3, |seed, number| {
        let mut artifact = honest_answer(seed, number);
        if number == 1 {
            tamper(&mut artifact, 2, swap_token);
        }
        artifact
    });
    (executor, committed)
}
