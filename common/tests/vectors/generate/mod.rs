//! Makes the published cases, the same ones at every run.

mod artifacts;
mod chain;
mod jurors;
mod proofs;
mod sampler;
mod time;

use assay_common::digest::Domain;
use assay_common::fixed::tables::{EXP2_NEG, LOG2, TAIL};
use assay_common::ids::RunSeed;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::published::Vector;
use crate::vectors::numbers::{Exp2, Log2, Noise, Word};
use crate::vectors::{Given, Text};

/// Cases of each kind.
const CASES: u32 = 240;

/// A kind that has a generator; `number` runs from 0 to [`CASES`].
pub trait Generated: Given + Sized {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self;
}

/// The text of every file: one case a line.
pub fn files() -> Vec<(&'static str, String)> {
    macro_rules! text {
        ($($module:ident::$kind:ident: $file:literal,)*) => {
            vec![("tables", tables()), $(($file, text::<crate::vectors::$module::$kind>($file))),*]
        };
    }
    each_kind!(text)
}

/// The tables of cubics: one cubic a line.
fn tables() -> String {
    let table = |(name, cubics): (&str, &[[i64; 4]; 64])| {
        let lines = cubics.iter().map(|cubic| format!("{cubic:?}"));
        format!("\"{name}\":[\n{}\n]", lines.collect::<Vec<_>>().join(",\n"))
    };
    let tables = [("log2", &LOG2), ("exp2", &EXP2_NEG), ("tail", &TAIL)].map(table);
    format!("{{\n{}\n}}\n", tables.join(",\n"))
}

fn text<G: Generated<Outcome: Serialize> + Serialize>(name: &str) -> String {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    let mut random = ChaCha8Rng::from_seed(seed);
    let line = |number| {
        let given = G::case(number, &mut random);
        let expected = given.outcome();
        serde_json::to_string(&Vector { given, expected }).expect("a case is plain data")
    };
    format!("[\n{}\n]\n", (0..CASES).map(line).collect::<Vec<_>>().join(",\n"))
}

fn pick<T: Copy>(random: &mut ChaCha8Rng, choices: &[T]) -> T {
    choices[random.next_u32() as usize % choices.len()]
}

fn bytes(random: &mut ChaCha8Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    random.fill_bytes(&mut bytes);
    bytes
}

fn ids(random: &mut ChaCha8Rng, most: u32) -> Vec<u32> {
    (0..random.next_u32() % (most + 1)).map(|_| random.next_u32() >> (random.next_u32() % 32)).collect()
}

fn domain(random: &mut ChaCha8Rng) -> Domain {
    let chain_id = pick(random, &["assay-1", "local", "", "größer-2"]).into();
    Domain { chain_id, contract: format!("wasm1{}", hex::encode(&bytes(random)[..20])) }
}

/// Small and large words: shifts reach the former, complements the latter.
fn word(random: &mut ChaCha8Rng) -> u64 {
    let word = random.next_u64() >> (random.next_u32() % 64);
    pick(random, &[word, !word])
}

impl Generated for Log2 {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let x = match number {
            0..64 => 1 << number,
            64..96 => (1 << (number - 32)) - 1,
            _ => word(random).max(1),
        };
        Self { x: Text(x) }
    }
}

impl Generated for Exp2 {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let e = match number {
            0..40 => u64::from(number) << 24,
            40..80 => (u64::from(number - 39) << 24) - 1,
            80..84 => pick(random, &[u64::MAX, 1 << 63, 1 << 40]),
            _ => u64::from(random.next_u32()) % (37 << 24),
        };
        Self { e_q24: Text(e) }
    }
}

impl Generated for Word {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let token = match number {
            0..32 => number,
            32..36 => u32::MAX - (number - 32),
            _ => random.next_u32() >> (random.next_u32() % 32),
        };
        let position = random.next_u32() >> pick(random, &[0, 20, 28, 31]);
        Self { run_seed: RunSeed(bytes(random)), position, token }
    }
}

impl Generated for Noise {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let word = match number {
            0 => 0,
            1 => u64::MAX,
            2..4 => (1 << 63) - u64::from(number - 2),
            4..67 => 1 << (number - 4),
            67..130 => !(1 << (number - 67)),
            _ => word(random),
        };
        Self { word: Text(word) }
    }
}
