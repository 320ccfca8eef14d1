//! Filters, drawing, replaying, and the bytes of leaves.

use assay_common::fixed::{exp2_neg, ONE_Q32};
use assay_common::ids::RunSeed;
use assay_common::penalties::Penalties;
use assay_common::row::{decode_leaf, encode_leaf, Leaf, Row, Surprisal};
use assay_common::sampler::SamplingParams;
use rand_chacha::rand_core::RngCore;
use rand_chacha::ChaCha8Rng;

use super::{bytes, pick, Generated};
use crate::vectors::leaves::LeafBytes;
use crate::vectors::sampling::{Replayed, Sampling, Truncation};
use crate::vectors::{Bytes, Given};

/// Vocabulary of a case whose most probable tokens go beyond the cap on candidates.
const BEYOND_CAP: u32 = 4_200;

pub fn sampling(random: &mut ChaCha8Rng) -> SamplingParams {
    let penalties = Penalties {
        repetition_milli: pick(random, &[1_000, 1_000, 500, 1_100, 2_000]),
        frequency_milli: pick(random, &[0, 0, -2_000, 300]),
        presence_milli: pick(random, &[0, 0, 2_000, -150]),
    };
    SamplingParams {
        temperature_milli: pick(random, &[0, 1, 100, 300, 700, 1_000, 1_000, 1_300, 2_000, 100_000]),
        top_k: pick(random, &[0, 0, 1, 5, 19, 20, 21, 50, 4_096, 5_000]),
        top_p_ppm: pick(random, &[1_000_000, 1_000_000, 999_999, 950_000, 900_000, 500_000, 1]),
        min_p_ppm: pick(random, &[0, 0, 0, 1, 1_000, 50_000, 1_000_000]),
        penalties,
    }
}

/// Surprisals by token id that a model could give: their probabilities add up to about 1, with ties and far tails.
pub fn surprisals(vocabulary: u32, random: &mut ChaCha8Rng) -> Vec<u32> {
    let spread = pick(random, &[1, 3, 40, 256, 2_000, 20_000]);
    let mut surprisals: Vec<u32> = (0..vocabulary).map(|_| random.next_u32() % spread).collect();
    loop {
        let capped = surprisals.iter().map(|s| Surprisal(*s).min(Surprisal::MAX));
        if capped.map(|s| exp2_neg(s.q24())).sum::<u64>() <= ONE_Q32 + (ONE_Q32 >> 9) {
            return surprisals;
        }
        surprisals.iter_mut().for_each(|s| *s += 8);
    }
}

/// Mostly small vocabularies; some under the 20 that a row lists, and some over the 4,096 that are looked at.
fn vocabulary(number: u32, random: &mut ChaCha8Rng) -> u32 {
    match number {
        0..3 => BEYOND_CAP,
        3..40 => 1 + random.next_u32() % 24,
        _ => 20 + random.next_u32() % 80,
    }
}

impl Generated for Truncation {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let mut sampling = sampling(random);
        if number < 3 {
            sampling = SamplingParams {
                top_p_ppm: [1_000_000, 999_999, 600_000][number as usize],
                ..SamplingParams::OPEN
            };
        }
        let vocabulary = vocabulary(number, random);
        Self { sampling, surprisals: surprisals(vocabulary, random) }
    }
}

impl Generated for Sampling {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let Truncation { sampling, surprisals } = Truncation::case(number, random);
        let position = random.next_u32() >> pick(random, &[0, 20, 28]);
        Self { sampling, run_seed: RunSeed(bytes(random)), position, surprisals }
    }
}

impl Generated for Replayed {
    /// Half as an honest executor signs them; of the others one thing is altered.
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let drawn = Sampling::case(3 + number, random);
        let leaf = drawn.outcome().leaf;
        let vocabulary = drawn.surprisals.len() as u32;
        let Sampling { sampling, run_seed, position, .. } = drawn;
        let mut given = Self { vocabulary, sampling, run_seed, position, leaf };
        let place = random.next_u32() as usize;
        match number % 12 {
            1 => given.leaf.0[4] ^= 1 << (place % 3),
            3 => given.run_seed.0[place % 32] ^= 1,
            5 => given.leaf = with_another_cut(&given.leaf, place),
            7 => given.position ^= 1,
            9 => given.sampling = broken(given.sampling, place),
            11 => {
                let place = place % given.leaf.0.len();
                given.leaf.0[place] ^= 1 << (number % 8);
            }
            _ => {}
        }
        given
    }
}

fn with_another_cut(leaf: &Bytes, place: usize) -> Bytes {
    let Leaf { position, mut row } = decode_leaf(&leaf.0).expect("an honest leaf decodes");
    row.cut = row.entries[place % row.entries.len()];
    Bytes(encode_leaf(position, &row))
}

/// The parameters with one of them just outside its range.
pub fn broken(sampling: SamplingParams, place: usize) -> SamplingParams {
    let penalties = sampling.penalties;
    match place % 8 {
        0 => SamplingParams { temperature_milli: 100_001, ..sampling },
        1 => SamplingParams { top_p_ppm: 0, ..sampling },
        2 => SamplingParams { top_p_ppm: 1_000_001, ..sampling },
        3 => SamplingParams { min_p_ppm: 1_000_001, ..sampling },
        4 => SamplingParams { penalties: Penalties { repetition_milli: 499, ..penalties }, ..sampling },
        5 => SamplingParams { penalties: Penalties { repetition_milli: 2_001, ..penalties }, ..sampling },
        6 => SamplingParams { penalties: Penalties { frequency_milli: -2_001, ..penalties }, ..sampling },
        _ => SamplingParams { penalties: Penalties { presence_milli: 2_001, ..penalties }, ..sampling },
    }
}

impl Generated for LeafBytes {
    /// Half as an honest executor signs them; the others break each rule in turn.
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let drawn = Sampling::case(3 + number, random);
        let vocabulary = drawn.surprisals.len() as u32;
        let mut bytes = drawn.outcome().leaf.0;
        if number % 2 == 1 {
            let leaf = decode_leaf(&bytes).expect("an honest leaf decodes");
            let mut row = leaf.row;
            let rule = number / 2 % 16;
            break_row(rule, &mut row, vocabulary);
            bytes = encode_leaf(leaf.position, &row);
            break_bytes(rule, &mut bytes);
        }
        Self { vocabulary, bytes: Bytes(bytes) }
    }
}

fn break_row(rule: u32, row: &mut Row, vocabulary: u32) {
    let last = row.entries.len() - 1;
    match rule {
        0 => drop(row.entries.pop()),
        1 => row.entries[last].token.0 = vocabulary,
        2 => row.entries[last].surprisal.0 = Surprisal::MAX.0 + 1,
        3 => row.entries[last] = row.entries[0],
        4 => row.entries[last].token = row.entries[0].token,
        5 => row.entries.iter_mut().for_each(|entry| entry.surprisal.0 /= 4),
        6 => row.cut.token.0 = vocabulary,
        7 => row.cut.surprisal.0 = Surprisal::MAX.0 + 1,
        8 => row.cut.surprisal.0 ^= 1,
        9 => row.entries.extend([row.entries[last]; 5]),
        _ => {}
    }
}

/// What follows the head of 16 bytes is the number of entries, then the first step in surprisal.
fn break_bytes(rule: u32, bytes: &mut Vec<u8>) {
    match rule {
        10 => bytes.push(0),
        11 => drop(bytes.pop()),
        12 => bytes.truncate(7),
        13 => bytes.splice(16..17, [bytes[16] | 0x80, 0]).for_each(drop),
        14 => bytes.splice(17..18, [0xff, 0xff, 0xff, 0xff, 0x1f]).for_each(drop),
        15 => {
            let last = bytes.len() - 1;
            bytes[last] |= 0x80;
        }
        _ => {}
    }
}
