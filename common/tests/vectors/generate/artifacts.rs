//! Artifacts, honest and broken, and the claims that order them in a batch.

use assay_common::artifact::Artifact;
use assay_common::ids::{Digest, InferenceId, ModelDigest, Nonce, RunSeed, SessionId};
use assay_common::row::{decode_leaf, encode_leaf};
use assay_common::session::prompt_digest;
use rand_chacha::rand_core::RngCore;
use rand_chacha::ChaCha8Rng;

use super::sampler::{broken, sampling, surprisals};
use super::{bytes, ids, Generated};
use crate::vectors::artifacts::{ArtifactBytes, Claimed, Claims, Parts, Rows};
use crate::vectors::sampling::Sampling;
use crate::vectors::{Bytes, Given};

/// What an honest executor makes of a request, over a vocabulary so small that the file stays short.
pub struct Honest {
    pub parts: Parts,
    pub vocabulary: u32,
    pub run_seed: RunSeed,
}

pub fn honest(rows: u32, random: &mut ChaCha8Rng) -> Honest {
    let (vocabulary, run_seed, sampling) =
        (4 + random.next_u32() % 9, RunSeed(bytes(random)), sampling(random));
    let row = |position| {
        let surprisals = surprisals(vocabulary, random);
        Sampling { sampling, run_seed, position, surprisals }.outcome()
    };
    let drawn: Vec<_> = (0..rows).map(row).collect();
    let prompt: Vec<u32> = (0..=random.next_u32() % 4).map(|_| random.next_u32() % vocabulary).collect();
    let salt = Digest(bytes(random));
    let parts = Parts {
        model: ModelDigest(bytes(random)),
        sampling,
        max_new: rows + random.next_u32() % 3,
        stop_ids: ids(random, 2),
        prompt_digest: prompt_digest(&salt.0, &prompt),
        salt,
        prompt,
        tokens: drawn.iter().map(|drawn| drawn.token).collect(),
        leaves: drawn.into_iter().map(|drawn| drawn.leaf).collect(),
        inference: InferenceId(bytes(random)),
    };
    Honest { parts, vocabulary, run_seed }
}

impl Generated for Rows {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let leaf = |_| Bytes(bytes(random)[..(number % 33) as usize].to_vec());
        Self { leaves: (0..number % 20).map(leaf).collect() }
    }
}

impl Generated for Parts {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        honest(number % 4, random).parts
    }
}

impl Generated for ArtifactBytes {
    /// Half as an honest executor makes them; the others break each rule in turn.
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let Honest { parts, vocabulary, .. } = honest(1 + number % 3, random);
        let mut artifact = parts.artifact();
        let rule = if number % 2 == 1 { number / 2 % 20 } else { u32::MAX };
        break_artifact(rule, &mut artifact, vocabulary);
        let mut bytes = artifact.encode();
        break_bytes(rule, &mut bytes, random);
        Self { vocabulary, bytes: Bytes(bytes) }
    }
}

fn break_artifact(rule: u32, artifact: &mut Artifact, vocabulary: u32) {
    let last = artifact.leaves.len() - 1;
    match rule {
        0 => artifact.request.sampling = broken(artifact.request.sampling, vocabulary as usize),
        1 => artifact.prompt.clear(),
        2 => artifact.tokens.clear(),
        3 => artifact.request.max_new = last as u32,
        4 => artifact.prompt[0] = vocabulary,
        5 => artifact.tokens[last] = vocabulary,
        6 => drop(artifact.leaves.pop()),
        7 => artifact.tokens[last] = (artifact.tokens[last] + 1) % vocabulary,
        8 => artifact.leaves[last].push(0),
        9 => artifact.leaves[0][0] ^= 1,
        10 => drop(artifact.leaves[last].pop()),
        11 => artifact.leaves[last].splice(16..17, [0x84, 0]).for_each(drop),
        12 => artifact.leaves[last].splice(17..18, [0xff, 0xff, 0xff, 0xff, 0x1f]).for_each(drop),
        13 => {
            let mut leaf = decode_leaf(&artifact.leaves[last]).expect("an honest leaf decodes");
            leaf.row.entries.swap(0, 1);
            leaf.row.entries[1].surprisal = leaf.row.entries[0].surprisal;
            artifact.leaves[last] = encode_leaf(leaf.position, &leaf.row);
        }
        _ => {}
    }
}

/// Breaks the framing, at the end or at a length; or a bit anywhere.
fn break_bytes(rule: u32, bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    match rule {
        14 => drop(bytes.pop()),
        15 => bytes.push(0),
        16 => bytes.truncate(random.next_u32() as usize % bytes.len()),
        // The number of stop ids, behind the model, seven numbers and max_new.
        17 => bytes[64..68].fill(0xff),
        18 => {
            let place = random.next_u32() as usize % bytes.len();
            bytes[place] ^= 1 << (place % 8);
        }
        19 => bytes.clear(),
        _ => {}
    }
}

impl Generated for Claims {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let claimed = |place: u32| {
            let (from, more) =
                (1 + (random.next_u64() >> (number % 64)) / 2, u64::from(random.next_u32() % 7));
            Claimed {
                session: SessionId(u64::from(place * 3 + number)),
                from: Nonce(from),
                to: Nonce(from + more),
            }
        };
        let claims: Vec<Claimed> = (0..number % 8).map(claimed).collect();
        let leaves: u64 = claims.iter().map(|claim| claim.to.0 - claim.from.0 + 1).sum();
        // Now and then the first leaf that is not there.
        Self { claims, index: random.next_u32() % (leaves as u32 + 1) }
    }
}
