//! Proofs of fraud: what is found is what the rules say, and a commitment opens to nothing but what it is of.

use std::sync::LazyLock;

use assay_common::artifact::Artifact;
use assay_common::ids::{BatchId, Digest, InferenceId, ModelDigest, RunSeed, TokensDigest};
use assay_common::merkle;
use assay_common::proof::{hashes, Finding, FraudProof, Terms, UnknownSampler};
use assay_common::replay::SamplerVersion;
use assay_common::session::Request;
use borsh::{BorshDeserialize, BorshSerialize};
use cosmwasm_std::{from_json, to_json_vec};

use crate::plain::{self, Shown};
use crate::{memory, real};

/// A proof, and what the chain knows.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
struct Input {
    request: Request,
    tokens: TokensDigest,
    rows: u32,
    position: u32,
    row: Vec<u8>,
    row_path: Vec<Digest>,
    inference: InferenceId,
    sampler: u32,
    model: ModelDigest,
    vocabulary: u32,
    max_new: u32,
    run_seed: RunSeed,
}

static COMMITTED: LazyLock<(Artifact, [u8; 32])> = LazyLock::new(|| {
    let artifact = real::artifact(real::samplings()[1]);
    let leaf = real::committed(&artifact);
    (artifact, leaf)
});

/// A proof with what the chain knows; whatever the bytes are, as those of a proof they are read canonically or not at all.
pub fn check(bytes: &[u8]) {
    if let Ok(proof) = memory::bounded(bytes.len(), || FraudProof::decode(bytes)) {
        assert_eq!(proof.encode(), bytes);
    }
    let Ok(input) = memory::bounded(bytes.len(), || borsh::from_slice::<Input>(bytes)) else { return };
    let proof = FraudProof {
        batch: BatchId(1),
        index: 0,
        batch_path: Vec::new(),
        request: input.request.clone(),
        tokens: input.tokens,
        rows: input.rows,
        position: input.position,
        row: input.row.clone(),
        row_path: input.row_path.clone(),
    };
    let terms = Terms {
        sampler: SamplerVersion(input.sampler),
        model: input.model,
        vocabulary: input.vocabulary,
        max_new: input.max_new,
        run_seed: input.run_seed,
    };
    assert_eq!(proof.finding(&terms), finding(&input));
    opens_as_committed(&proof, &input);
    let json = to_json_vec(&proof).expect("a proof is plain data");
    let again: FraudProof = from_json(json).expect("it was written");
    assert_eq!((again.digest(), &again), (proof.digest(), &proof));
}

/// The rules in their order.
fn finding(input: &Input) -> Result<Option<Finding>, UnknownSampler> {
    let Input { request, rows, position, row, vocabulary, run_seed, .. } = input;
    if request.model != input.model || request.max_new > input.max_new {
        return Ok(Some(Finding::Request));
    }
    if *rows > request.max_new {
        return Ok(Some(Finding::Malformed));
    }
    if input.sampler != 1 {
        return Err(UnknownSampler { version: SamplerVersion(input.sampler) });
    }
    Ok(match plain::replay(row, *position, *vocabulary, &request.sampling, run_seed) {
        Shown::Honest => None,
        Shown::Replay => Some(Finding::Replay),
        Shown::Malformed => Some(Finding::Malformed),
        Shown::Sampling => Some(Finding::Sampling),
    })
}

fn opens_as_committed(proof: &FraudProof, input: &Input) {
    let path = hashes(&input.row_path);
    let row = merkle::leaf_hash(&input.row);
    let tree = plain::climb(input.rows.into(), input.position.into(), row, &path);
    let leaf = proof.leaf(&input.inference);
    assert_eq!(leaf.is_some(), tree.is_some());
    let (artifact, committed) = &*COMMITTED;
    if leaf == Some(*committed) {
        assert_eq!(input.inference, real::INFERENCE);
        assert_eq!(input.request, artifact.request);
        assert_eq!(input.tokens, artifact.tokens_digest());
        assert_eq!(input.rows as usize, artifact.leaves.len());
        assert_eq!(input.row, artifact.leaves[input.position as usize]);
    }
}

/// Honest rows, and one thing altered in each way that is found.
pub fn seeds() -> Vec<Vec<u8>> {
    let of = |artifact: &Artifact, position: u32| {
        let proof = real::proof(artifact, position);
        Input {
            request: proof.request.clone(),
            tokens: proof.tokens,
            rows: proof.rows,
            position,
            row: proof.row,
            row_path: proof.row_path,
            inference: real::INFERENCE,
            sampler: 1,
            model: proof.request.model,
            vocabulary: real::VOCABULARY,
            max_new: proof.request.max_new,
            run_seed: real::SEED,
        }
    };
    let honest = real::samplings().map(|sampling| of(&real::artifact(sampling), 3)).into_iter();
    let opened = of(&COMMITTED.0, 0);
    let other_seed = Input { run_seed: RunSeed([4; 32]), ..of(&COMMITTED.0, 1) };
    let longer = Input { max_new: 1, ..opened.clone() };
    let inputs = honest.chain([opened, other_seed, longer]);
    let bytes = inputs.map(|input| borsh::to_vec(&input).expect("writing to memory does not fail"));
    bytes.chain([real::proof(&COMMITTED.0, 0).encode()]).collect()
}
