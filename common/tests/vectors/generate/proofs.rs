//! Proofs of fraud and of equivocation, those that show something and those that do not.

use assay_common::ids::{BatchId, Digest, InferenceId, ModelDigest, RequestDigest, RowsRoot, TokensDigest};
use assay_common::merkle::{leaf_hash, path};
use assay_common::session::{batch_leaf, Receipt};
use rand_chacha::rand_core::RngCore;
use rand_chacha::ChaCha8Rng;

use super::artifacts::{honest, Honest};
use super::sampler::broken;
use super::{bytes, domain, pick, Generated};
use crate::vectors::proofs::{Accuser, Equivocation, Fraud, Known};
use crate::vectors::Bytes;

fn accuser(random: &mut ChaCha8Rng) -> Accuser {
    let address = format!("wasm1{}", hex::encode(&bytes(random)[..20]));
    Accuser { domain: domain(random), address, salt: Digest(bytes(random)) }
}

/// Place and path of `leaf` in a tree that is otherwise of others.
fn placed(leaf: [u8; 32], random: &mut ChaCha8Rng) -> (u32, Vec<Digest>) {
    let count = 1 + random.next_u32() % 12;
    let index = random.next_u32() % count;
    let mut leaves: Vec<[u8; 32]> = (0..count).map(|_| bytes(random)).collect();
    leaves[index as usize] = leaf;
    (index, digests(&leaves, index))
}

fn digests(leaves: &[[u8; 32]], index: u32) -> Vec<Digest> {
    path(leaves, index as usize).expect("the leaf is there").into_iter().map(Digest).collect()
}

impl Generated for Fraud {
    /// A third as an honest executor is accused in vain; of the others one thing is altered.
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let rows = 1 + number % 5;
        let Honest { parts, vocabulary, run_seed } = honest(rows, random);
        let position = random.next_u32() % rows;
        let receipt = parts.artifact().receipt(parts.inference);
        let hashes: Vec<[u8; 32]> = parts.leaves.iter().map(|leaf| leaf_hash(&leaf.0)).collect();
        let leaf = leaf_hash(&batch_leaf(&parts.inference, &receipt.artifact()));
        let (index, batch_path) = placed(leaf, random);
        let (model, max_new) = (parts.model, parts.max_new);
        let mut given = Self {
            accuser: accuser(random),
            batch: BatchId(random.next_u64() >> (number % 64)),
            index,
            batch_path,
            model,
            sampling: parts.sampling,
            max_new,
            stop_ids: parts.stop_ids,
            prompt: parts.prompt_digest,
            tokens: receipt.tokens,
            rows,
            position,
            row: parts.leaves[position as usize].clone(),
            row_path: digests(&hashes, position),
            inference: parts.inference,
            chain: Known { sampler: 1, model, vocabulary, max_new, run_seed },
        };
        alter(number % 18, &mut given, random);
        given
    }
}

fn alter(what: u32, given: &mut Fraud, random: &mut ChaCha8Rng) {
    match what {
        1 => given.row.0[4] = (given.row.0[4] + 1) % given.chain.vocabulary as u8,
        2 => given.chain.run_seed.0[0] ^= 1,
        3 => given.max_new = given.chain.max_new + 1,
        4 => given.rows = given.max_new + 1,
        5 => given.sampling = broken(given.sampling, random.next_u32() as usize),
        6 => given.chain.model = ModelDigest(bytes(random)),
        7 => given.chain.sampler = pick(random, &[0, 2]),
        8 => given.row_path.push(Digest(bytes(random))),
        9 => given.position += 1,
        10 => given.row.0.push(0),
        11 => {
            let place = random.next_u32() as usize % given.row.0.len();
            given.row.0[place] ^= 1 << (place % 8);
        }
        12 => given.inference = InferenceId(bytes(random)),
        _ => {}
    }
}

impl Generated for Equivocation {
    /// A third of the receipts were kept.
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let (inference, request) = (InferenceId(bytes(random)), RequestDigest(bytes(random)));
        let (tokens, rows) = (TokensDigest(bytes(random)), RowsRoot(bytes(random)));
        let kept = Receipt { inference, request, tokens, rows };
        let committed = match number % 3 {
            0 => kept,
            1 => Receipt { tokens: TokensDigest(bytes(random)), ..kept },
            _ => Receipt { inference: InferenceId(bytes(random)), ..kept },
        };
        let leaf = leaf_hash(&batch_leaf(&committed.inference, &committed.artifact()));
        let (index, path) = placed(leaf, random);
        Self {
            accuser: accuser(random),
            inference,
            request,
            tokens,
            rows,
            public_key: Bytes([&[2][..], &bytes(random)].concat()),
            signature: Bytes([bytes(random), bytes(random)].concat()),
            batch: BatchId(random.next_u64() >> (number % 64)),
            index,
            leaf: Digest(leaf),
            path,
        }
    }
}
