//! Trees, digests, draws, juries, evidence.

use assay_common::evidence::{check_bins, Bins};
use assay_common::ids::{
    BatchId, Digest, DrawSeed, InferenceId, Nonce, Randomness, RequestDigest, RowsRoot, SessionId,
    TokensDigest, UserSeed,
};
use assay_common::merkle::{leaf_hash, path, root};
use assay_common::session::{ModelSpec, NumericScheme};
use rand_chacha::rand_core::RngCore;
use rand_chacha::ChaCha8Rng;

use super::sampler::sampling;
use super::{bytes, domain, ids, pick, Generated};
use crate::vectors::draw::{Draw, Jury};
use crate::vectors::evidence::{Audited, Shares};
use crate::vectors::hashes::{Answered, Asked, Seed, Signing};
use crate::vectors::trees::{Proof, Tree};
use crate::vectors::{Bytes, Text};

impl Generated for Tree {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let count = number % 41;
        let leaf = |_| {
            let length = random.next_u32() as usize % 33;
            Bytes(bytes(random)[..length.min(32)].to_vec())
        };
        let leaves: Vec<Bytes> = (0..count).map(leaf).collect();
        // Now and then the first index that is not there.
        Self { leaves, index: random.next_u32() % (count + 1) }
    }
}

impl Generated for Proof {
    /// Two of three hold.
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let count = 1 + number % 40;
        let hashes: Vec<[u8; 32]> = (0..count).map(|_| leaf_hash(&bytes(random))).collect();
        let index = random.next_u32() % count;
        let path = path(&hashes, index as usize).expect("the leaf is there");
        let (root, leaf) = (Digest(root(&hashes)), Digest(hashes[index as usize]));
        let mut given = Self { root, count, index, leaf, path: path.into_iter().map(Digest).collect() };
        match number % 18 {
            2 => given.index = random.next_u32() % (count + 1),
            5 => given.count += 1,
            8 => given.leaf.0[0] ^= 1,
            11 => drop(given.path.pop()),
            14 => given.path.push(Digest([7; 32])),
            17 => given.path.reverse(),
            _ => {}
        }
        given
    }
}

impl Generated for Seed {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let session = SessionId(random.next_u64() >> (number % 64));
        let nonce = Nonce(random.next_u64() >> (number * 7 % 64));
        Self { domain: domain(random), session, nonce, user_seed: UserSeed(bytes(random)) }
    }
}

impl Generated for Asked {
    fn case(_: u32, random: &mut ChaCha8Rng) -> Self {
        let name = pick(random, &["gemma-3-270m", "modèle", ""]).into();
        let vocabulary = pick(random, &[262_144, 32_000, 1]);
        let weights = Digest(bytes(random));
        let scheme = pick(random, &[NumericScheme::Bf16F32, NumericScheme::Bf16]);
        let constants = Digest(bytes(random));
        Self {
            model: ModelSpec { name, weights, scheme, constants, vocabulary },
            sampling: sampling(random),
            max_new: random.next_u32() % 4_097,
            stop_ids: ids(random, 3),
            salt: Digest(bytes(random)),
            prompt: ids(random, 40),
        }
    }
}

impl Generated for Answered {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let session = SessionId(random.next_u64() >> (number % 64));
        Self {
            domain: domain(random),
            session,
            nonce: Nonce(u64::from(number) + 1),
            inference: InferenceId(bytes(random)),
            request: RequestDigest(bytes(random)),
            tokens: ids(random, 40),
            rows: RowsRoot(bytes(random)),
        }
    }
}

impl Generated for Signing {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        Self {
            domain: domain(random),
            session: SessionId(random.next_u64() >> (number % 64)),
            nonce: Nonce(1 + (random.next_u64() >> (1 + number * 7 % 63))),
            inference: InferenceId(bytes(random)),
            request: RequestDigest(bytes(random)),
            tokens: TokensDigest(bytes(random)),
            rows: RowsRoot(bytes(random)),
            signer: format!("wasm1{}", hex::encode(&bytes(random)[..20])),
            unix_seconds: Text(1_700_000_000 + u64::from(random.next_u32())),
        }
    }
}

impl Generated for Draw {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let count = match number {
            0..20 => number + 1,
            20..40 => 1 << (number % 17),
            40..60 => (1 << (number % 17)) + 1,
            _ => 1 + random.next_u32() % 65_536,
        };
        let any = u64::from(random.next_u32());
        let rate = pick(random, &[1 << 32, 1, (1 << 32) / 100, 1 << 31, any]);
        Self {
            domain: domain(random),
            batch: BatchId(random.next_u64() >> (number % 64)),
            beacon: Randomness(bytes(random)),
            count,
            rate_q32: Text(rate),
            draw: random.next_u32() % count,
        }
    }
}

impl Generated for Jury {
    /// Tables from empty to larger than a jury, with equal and with very unequal stakes.
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let nodes = number % 24;
        let spread = pick(random, &[1, 1 << 20, u128::MAX >> 10]);
        let mut wide = || u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
        let stakes = (0..nodes).map(|_| Text(1 + wide() % spread)).collect();
        let excluded = (0..nodes).filter(|_| random.next_u32().is_multiple_of(8)).collect();
        Self {
            seed: DrawSeed(bytes(random)),
            index: random.next_u32() % 65_536,
            stakes,
            excluded,
            seats: pick(random, &[1, 3, 3, 7, 21]),
        }
    }
}

/// A table of two to four bins, and like it one for each size class, in which the honest fail the less the longer the answer.
fn classes(random: &mut ChaCha8Rng) -> Vec<Shares> {
    let shares = |passes: &[u32]| {
        let failed = 1_000_000 - passes.iter().sum::<u32>();
        passes.iter().copied().chain([failed]).collect::<Vec<u32>>()
    };
    let [honest, low, middle, high]: [&[u32]; 4] = pick(
        random,
        &[
            [&[990_000], &[970_000], &[900_000], &[600_000]],
            [&[940_000, 50_000], &[910_000, 60_000], &[800_000, 100_000], &[200_000, 400_000]],
            [
                &[800_000, 150_000, 40_000],
                &[760_000, 150_000, 60_000],
                &[1, 1, 2],
                &[100_000, 100_000, 100_000],
            ],
        ],
    );
    let alternatives_ppm = [low, middle, high].map(shares);
    let class = |class: u32| {
        let mut honest_ppm = shares(honest);
        let last = honest_ppm.len() - 1;
        honest_ppm[last] -= 1_000 * class;
        honest_ppm[last - 1] += 1_000 * class;
        Shares { honest_ppm, alternatives_ppm: alternatives_ppm.clone() }
    };
    (0..pick(random, &[1, 8])).map(class).collect()
}

impl Generated for Audited {
    /// From the honest to the one who always cheats, an audit or some hundreds; now and then a class or a bin too high.
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let classes = classes(random);
        let bins: Vec<Bins> = classes.iter().map(Shares::bins).collect();
        check_bins(&bins).expect("a table that governance could register");
        let failing = pick(random, &[0, 1, 5, 30, 60, 100]);
        let shortest: u8 = pick(random, &[0, 0, 6]);
        let outcome = |_| {
            let class = shortest + pick(random, &[0, 1, 1, 2]) + pick(random, &[0, 0, 1]);
            let fails = random.next_u32() % 100 < failing;
            (class, (!fails).then(|| pick::<u8>(random, &[0, 0, 0, 1, 1, 2, 5])))
        };
        let outcomes = (0..number).map(outcome).collect();
        Self {
            audits: Text(pick(random, &[10_000, 1_000, 1])),
            false_forfeit_one_in: Text(pick(random, &[1_000_000_000, 1_000, u64::MAX])),
            full_weight_tokens: pick(random, &[512, 32, 1, 1_000]),
            classes,
            outcomes,
        }
    }
}
