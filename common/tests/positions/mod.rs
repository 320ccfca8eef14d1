//! Random positions from the executor's side over a whole vocabulary, shared by all who replay them.

use assay_common::ids::RunSeed;
use assay_common::row::{decode_leaf, encode_leaf, Leaf};
use assay_common::sampler::{sample_full, top_candidates, SamplingParams, MAX_CANDIDATES};
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub const VOCAB: u32 = 32_768;

/// Tokens of one answer: they share a seed and parameters.
pub const ANSWER: usize = 24;

#[derive(Clone)]
pub struct Position {
    pub params: SamplingParams,
    pub run_seed: RunSeed,
    pub position: u32,
    pub leaf: Vec<u8>,
}

/// Answers without end, the same ones at every run.
pub fn answers() -> impl Iterator<Item = Vec<Position>> {
    let profiles = profiles();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    std::iter::repeat_with(move || answer(&profiles, &mut random))
}

fn answer(profiles: &[Vec<u32>], random: &mut ChaCha8Rng) -> Vec<Position> {
    let params = params(random);
    let mut run_seed = RunSeed([0; 32]);
    random.fill_bytes(&mut run_seed.0);
    let position = |position| {
        let profile: &Vec<u32> = pick(random, profiles);
        let surprisals = shuffled(profile, random);
        let candidates = top_candidates(&surprisals, MAX_CANDIDATES);
        let row = sample_full(&candidates, &params, &run_seed, position).expect("parameters in range").row;
        let leaf = encode_leaf(position, &row);
        assert_eq!(decode_leaf(&leaf), Ok(Leaf { position, row }), "what is signed is what was drawn");
        Position { params, run_seed, position, leaf }
    };
    (0..ANSWER as u32).map(position).collect()
}

pub fn pick<'a, T>(random: &mut ChaCha8Rng, choices: &'a [T]) -> &'a T {
    &choices[random.next_u32() as usize % choices.len()]
}

fn params(random: &mut ChaCha8Rng) -> SamplingParams {
    SamplingParams {
        temperature_milli: *pick(random, &[0, 300, 700, 1000, 1000, 1300, 2000]),
        top_k: *pick(random, &[0, 0, 1, 5, 20, 21, 50, 1000]),
        top_p_ppm: *pick(random, &[1_000_000, 1_000_000, 950_000, 900_000, 500_000, 1]),
        min_p_ppm: *pick(random, &[0, 0, 0, 1_000, 50_000, 1_000_000]),
        ..SamplingParams::OPEN
    }
}

/// Surprisals by rank: from one near certainty to all tokens alike, with many ties.
fn profiles() -> Vec<Vec<u32>> {
    let shapes: [fn(f64) -> f64; 8] = [
        |rank| if rank == 0.0 { 1.0 } else { 1e-4 / rank },
        |rank| (-rank / 3.0).exp2(),
        |rank| (-(rank / 3.0).floor()).exp2(),
        |rank| (-rank / 100.0).exp2(),
        |rank| (rank + 1.0).powf(-2.5),
        |rank| (rank + 1.0).powf(-1.5),
        |rank| (rank + 2.7).powf(-1.05),
        |_| 1.0,
    ];
    shapes.iter().map(profile).collect()
}

fn profile(shape: impl Fn(f64) -> f64) -> Vec<u32> {
    let total: f64 = (0..VOCAB).map(|rank| shape(f64::from(rank))).sum();
    let bits = |rank: u32| -(shape(f64::from(rank)) / total).log2();
    (0..VOCAB).map(|rank| (bits(rank) * 256.0).round() as u32).collect()
}

/// The profile under a random assignment of ranks to ids; an odd factor permutes the powers of two.
fn shuffled(profile: &[u32], random: &mut ChaCha8Rng) -> Vec<u32> {
    let (factor, offset) = (random.next_u32() | 1, random.next_u32());
    let rank = |id: u32| id.wrapping_mul(factor).wrapping_add(offset) % VOCAB;
    (0..VOCAB).map(|id| profile[rank(id) as usize]).collect()
}
