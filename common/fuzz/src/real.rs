//! Real values: an honest artifact, what commits to it, and the messages about it. They begin each target's corpus.

use assay_common::artifact::Artifact;
use assay_common::digest::Domain;
use assay_common::ids::{BatchId, InferenceId, ModelDigest, RunSeed};
use assay_common::merkle::leaf_hash;
use assay_common::proof::{FraudProof, Place};
use assay_common::row::encode_leaf;
use assay_common::sampler::{sample_full, top_candidates, SamplingParams};
use assay_common::session::{batch_leaf, prompt_digest, Request};

pub const VOCABULARY: u32 = 64;
pub const SEED: RunSeed = RunSeed([3; 32]);
pub const INFERENCE: InferenceId = InferenceId([7; 32]);
/// Tokens of the answer.
pub const ROWS: u32 = 5;

pub fn domain() -> Domain {
    Domain { chain_id: "assay-1".into(), contract: "wasm1contract".into() }
}

/// Several ways to draw: without filters, with all of them, and without chance.
pub fn samplings() -> [SamplingParams; 3] {
    let open = SamplingParams::OPEN;
    let filtered =
        SamplingParams { temperature_milli: 700, top_k: 12, top_p_ppm: 900_000, min_p_ppm: 20_000, ..open };
    [open, filtered, SamplingParams { temperature_milli: 0, ..open }]
}

/// An honest answer.
pub fn artifact(sampling: SamplingParams) -> Artifact {
    let row = |position: u32| {
        let surprisals: Vec<u32> = (0..VOCABULARY).map(|id| 1_400 + (id * 37 + position) % 211).collect();
        let candidates = top_candidates(&surprisals, VOCABULARY as usize);
        sample_full(&candidates, &sampling, &SEED, position).expect("the parameters are in range").row
    };
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    let (salt, prompt) = ([5; 32], vec![2, 9, 30]);
    let request = Request {
        model: ModelDigest([1; 32]),
        sampling,
        max_new: 8,
        stop_ids: vec![1],
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

/// Hash of the leaf that commits to an artifact.
pub fn committed(artifact: &Artifact) -> [u8; 32] {
    leaf_hash(&batch_leaf(&INFERENCE, &artifact.receipt(INFERENCE).artifact()))
}

/// One row of it, opened.
pub fn proof(artifact: &Artifact, position: u32) -> FraudProof {
    let place = Place { batch: BatchId(1), index: 0, path: Vec::new() };
    FraudProof::open(artifact, &place, position).expect("the artifact has this row")
}
