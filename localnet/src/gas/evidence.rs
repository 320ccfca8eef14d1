//! Batches whose first leaf is a forged answer: what a proof of fraud opens, and what a receipt is set against.

use anyhow::{Context, Result};
use assay_common::artifact::Artifact;
use assay_common::digest::{sha256, Domain};
use assay_common::ids::{
    ArtifactDigest, BatchId, BatchRoot, Digest, InferenceId, Nonce, RowsRoot, RunSeed, SessionId, UserSeed,
};
use assay_common::merkle;
use assay_common::msg::Claim;
use assay_common::proof::{EquivocationProof, FraudProof, Place};
use assay_common::row::{encode_leaf, Entry, Row};
use assay_common::sampler::{sample_full, top_candidates, SamplingParams, MAX_CANDIDATES};
use assay_common::session::{
    batch_leaf, inference_id, prompt_digest, run_seed, voucher_digest, Receipt, Request,
};
use assay_sidecar::chain::Account;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::plan;
use super::world::World;

/// The seed of every session here.
pub const USER_SEED: UserSeed = UserSeed([5; 32]);
/// The row that the forger changed, in the middle of the answer.
const FORGED: u32 = plan::ANSWER_TOKENS / 2;
/// The leaf that receipts are set against.
const DENIED: u32 = 1;

/// A model's numbers for each position of an answer, the same for every seed.
pub struct Numbers(Vec<Vec<Entry>>);

impl Numbers {
    /// Random ones: three favourites, and a tail over the whole vocabulary.
    pub fn draw() -> Self {
        let mut random = StdRng::seed_from_u64(1);
        Self((0..plan::ANSWER_TOKENS).map(|_| candidates(&mut random)).collect())
    }

    /// An honest answer, but for one token: not the one that the seed gives.
    fn forged(&self, world: &World, seed: &RunSeed) -> Result<Artifact> {
        let sampling = SamplingParams::OPEN;
        let mut rows = Vec::with_capacity(self.0.len());
        for (position, candidates) in (0u32..).zip(&self.0) {
            rows.push(sample_full(candidates, &sampling, seed, position)?.row);
        }
        swap_token(rows.get_mut(FORGED as usize).context("the answer is too short to forge")?);
        let (salt, prompt) = ([4; 32], vec![1, 2, 3]);
        let request = Request {
            model: world.model.digest(),
            sampling,
            max_new: plan::ANSWER_TOKENS,
            stop_ids: vec![1, 106],
            prompt: prompt_digest(&salt, &prompt),
        };
        Ok(Artifact {
            request,
            salt,
            prompt,
            tokens: rows.iter().map(|row| row.token.0).collect(),
            leaves: (0..).zip(&rows).map(|(position, row)| encode_leaf(position, row)).collect(),
        })
    }
}

fn candidates(random: &mut StdRng) -> Vec<Entry> {
    // About 17 to 25 bits each: together less than one.
    let mut surprisals: Vec<u32> = (0..plan::VOCABULARY).map(|_| random.gen_range(4_400..6_400)).collect();
    for bits in 1..=3 {
        let favourite = random.gen_range(0..surprisals.len());
        surprisals[favourite] = bits * 256 + random.gen_range(0..256);
    }
    top_candidates(&surprisals, MAX_CANDIDATES)
}

fn swap_token(row: &mut Row) {
    let other = row.entries.iter().map(|entry| entry.token).find(|token| *token != row.token);
    row.token = other.expect("an honest row lists twenty tokens");
}

/// What an executor commits to, with what shows that it should not have.
pub struct Work {
    pub claims: Vec<Claim>,
    pub root: BatchRoot,
    /// Of the inference of leaf 0.
    forged: Artifact,
    inferences: Vec<InferenceId>,
    leaves: Vec<[u8; 32]>,
}

impl Work {
    /// The first nonces of these sessions, so many of each; answers but the first are stood for by digests.
    pub fn new(world: &World, numbers: &Numbers, sessions: &[SessionId], each: u32) -> Result<Self> {
        let domain = world.chain.domain();
        let nonces = |session: &SessionId| {
            let session = *session;
            (1..=each).map(move |nonce| inference_id(domain, session, Nonce(nonce.into())))
        };
        let inferences: Vec<InferenceId> = sessions.iter().flat_map(nonces).collect();
        let first = inferences.first().context("a batch has an inference")?;
        let forged = numbers.forged(world, &run_seed(&USER_SEED, first))?;
        let artifact = |inference: &InferenceId| match inference == first {
            true => forged.receipt(*inference).artifact(),
            false => ArtifactDigest(sha256(&[&inference.0])),
        };
        let leaf = |inference: &InferenceId| merkle::leaf_hash(&batch_leaf(inference, &artifact(inference)));
        let leaves: Vec<[u8; 32]> = inferences.iter().map(leaf).collect();
        let key = &world.cast.session_key;
        let claims = sessions.iter().map(|session| claim(domain, key, *session, &forged, each)).collect();
        Ok(Self { claims, root: BatchRoot(merkle::root(&leaves)), forged, inferences, leaves })
    }

    fn place(&self, batch: BatchId, index: u32) -> Result<Place> {
        let path = merkle::path(&self.leaves, index as usize).context("the batch has no such leaf")?;
        Ok(Place { batch, index, path: path.into_iter().map(Digest).collect() })
    }

    /// Opens the forged row.
    pub fn fraud(&self, batch: BatchId) -> Result<FraudProof> {
        let proof = FraudProof::open(&self.forged, &self.place(batch, 0)?, FORGED);
        proof.context("the forged answer has no such row")
    }

    /// A receipt of the executor for another answer than the one that it committed to.
    pub fn equivocation(
        &self,
        world: &World,
        batch: BatchId,
        executor: &Account,
    ) -> Result<EquivocationProof> {
        let Place { batch, index, path } = self.place(batch, DENIED)?;
        let inference = *self.inferences.get(DENIED as usize).context("the batch has one inference")?;
        let receipt = Receipt { rows: RowsRoot([7; 32]), ..self.forged.receipt(inference) };
        let signed = executor.sign(&receipt.digest(world.chain.domain()).0);
        Ok(EquivocationProof {
            receipt,
            public_key: signed.public_key,
            signature: signed.signature,
            batch,
            index,
            leaf: Digest(self.leaves[DENIED as usize]),
            path,
        })
    }
}

fn claim(domain: &Domain, key: &Account, session: SessionId, answer: &Artifact, each: u32) -> Claim {
    let (nonce_to, request) = (Nonce(each.into()), answer.request.digest());
    let digest = voucher_digest(domain, session, nonce_to, &request);
    Claim { session, nonce_to, request, signature: key.sign(&digest.0).signature }
}
