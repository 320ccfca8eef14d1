//! A header and answers for tests.

use assay_common::ids::Digest;
use assay_common::judge::statistic::STATISTIC_VERSION;
use assay_common::judge::surprisal::Surprise;
use assay_common::judge::whitening::Whitened;
use assay_common::judge::{Cell, Comparators, Measurement, Platform, Position};
use assay_common::session::{ModelSpec, NumericScheme};

use super::header::{Header, FORMAT, SEED_TAG, VERSION};
use super::record::{Made, Record};
use crate::lab::executor::Role;
use crate::lab::prompts::Split;

pub fn header() -> Header {
    let spec = ModelSpec {
        name: "example".to_owned(),
        weights: Digest([1; 32]),
        scheme: NumericScheme::Bf16F32,
        constants: Digest([2; 32]),
        vocabulary: 1_000,
    };
    let platform = Platform { engine: "engine".to_owned(), device: "cpu".to_owned() };
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        code: "0".to_owned(),
        statistic_version: STATISTIC_VERSION,
        machine: "machine".to_owned(),
        model: spec.digest(),
        spec,
        name: "fused-b8".to_owned(),
        role: Role::Honest,
        cell: Cell { executor: platform.clone(), setting: "batches of 8".to_owned(), juror: platform },
        prompts: Digest([3; 32]),
        split: Split::Test,
        seed_tag: SEED_TAG.to_owned(),
        max_new: 8,
    }
}

/// A number in [0, 1) that looks random and is not.
pub fn fraction(seed: u64) -> f64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 29;
    mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 40) as f64 / (1u64 << 24) as f64
}

/// The first distance is ½; y follows the first feature, with noise, and stands `shift` higher.
pub fn shifted(prompt: u64, tokens: u32, shift: f64) -> Record {
    let mut measurement = Measurement::default();
    for position in 0..u64::from(tokens) {
        let at = |column: u64| fraction((prompt * 1_000 + position) * 31 + column);
        let features: [f64; 8] = std::array::from_fn(|feature| at(feature as u64));
        let noise = (0..6).map(|column| at(10 + column)).sum::<f64>() - 3.0;
        let distance = if position == 0 { 0.5 } else { 0.01 * at(20) };
        measurement.positions.push(Position { distance, margin: 0.02 * at(21) });
        measurement.whitened.push(Whitened {
            log_square: 2.0 * features[0] + 0.3 * noise + shift,
            direction: at(22) - 0.5,
            features,
        });
        let surprise = Some(Surprise { surprisal: 2.0 + noise, entropy: 2.0, variance: 1.0 });
        measurement.comparators.push(Comparators { relative: 0.001 * at(23), surprise });
    }
    let made = Made { prompt, bytes: 900, zstd: 700, generate_seconds: Some(1.5), verify_seconds: 0.5 };
    Record::new(made, &measurement, Vec::new())
}

pub fn record(prompt: u64, tokens: u32) -> Record {
    shifted(prompt, tokens, 0.0)
}
