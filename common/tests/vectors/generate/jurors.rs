//! Probes, pages of verdicts, and how juries and jurors end.

use assay_common::ids::{BatchId, Digest, DrawSeed, Window};
use assay_common::probe::PROBES;
use assay_common::verdict::{AbstainReason, InvalidReason, Outcome, Score, UnavailableReason, Verdict};
use rand_chacha::rand_core::RngCore;
use rand_chacha::ChaCha8Rng;

use super::{bytes, domain, pick, Generated};
use crate::vectors::jurors::{Attendance, Page, Probed, Probes, Revealed, Salt};

impl Generated for Probed {
    /// Vocabularies down to those that a row lists whole, so that probes have to step over what is listed.
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let vocabulary = pick(random, &[1, 12, 21, 25, 30, 60, 262_144]);
        let row = |_| {
            let first = random.next_u32() % vocabulary;
            (0..vocabulary.min(20 + number % 5)).map(|step| (first + step) % vocabulary).collect()
        };
        let listed = (0..=number % 6).map(row).collect();
        Self { seed: DrawSeed(bytes(random)), index: random.next_u32() % 65_536, vocabulary, listed }
    }
}

impl Generated for Probes {
    /// Honest jurors near one another, liars far away, and some who told fewer places or none.
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let truth: Vec<u32> = (0..2 * PROBES).map(|_| random.next_u32() % 16_384).collect();
        let liars = pick(random, &[0, 0, 1, 3]);
        let told = |_| {
            let spread = if random.next_u32() % 4 < liars { 4_000 } else { pick(random, &[1, 8, 60]) };
            let places = pick(random, &[PROBES, PROBES, 2 * PROBES, 2 * PROBES, 3, 0]);
            let near = |truth: &u32| (truth + random.next_u32() % spread) as u16;
            truth.iter().take(places).map(near).collect()
        };
        Self { told: (0..number % 8).map(told).collect(), tolerance: pick(random, &[0, 7, 24, 60, u16::MAX]) }
    }
}

const REASONS: [InvalidReason; 6] = [
    InvalidReason::Replay,
    InvalidReason::Distance,
    InvalidReason::Perplexity,
    InvalidReason::End,
    InvalidReason::Request,
    InvalidReason::Voucher,
];

fn outcome(random: &mut ChaCha8Rng) -> Outcome {
    let reason = pick(random, &REASONS);
    let unavailable = pick(random, &[UnavailableReason::Absent, UnavailableReason::Mismatch]);
    let abstain =
        pick(random, &[AbstainReason::NoModel, AbstainReason::Recompute, AbstainReason::NoCalibration]);
    let choices = [
        Outcome::Valid,
        Outcome::Invalid { reason },
        Outcome::Malformed,
        Outcome::Unavailable { reason: unavailable },
        Outcome::Inconclusive { reason: abstain },
    ];
    pick(random, &choices)
}

impl Generated for Page {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let verdict = |place| {
            let outcome = outcome(random);
            let places = PROBES * pick(random, &[1, 1, 2]);
            let probes = (0..places).map(|_| random.next_u32() as u16 % 16_384).collect();
            let (bin, tokens) = (random.next_u32() as u8 % 8, random.next_u32() % 4_097);
            let score = Score { bin, tokens, probes };
            Verdict {
                batch: BatchId(random.next_u64() >> (number % 64)),
                draw: place,
                outcome,
                score: outcome.needs_score().then_some(score),
            }
        };
        let verdicts = (0..number % 6).map(verdict).collect();
        Self {
            domain: domain(random),
            juror: format!("wasm1{}", hex::encode(&bytes(random)[..20])),
            window: Window(random.next_u64() >> (number * 5 % 64)),
            page: random.next_u32() % 9,
            verdicts,
            salt: Digest(bytes(random)),
        }
    }
}

impl Generated for Salt {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        Self {
            key: Digest(bytes(random)),
            domain: domain(random),
            window: Window(random.next_u64() >> (number % 64)),
            page: random.next_u32() % 9,
            proof: Digest(bytes(random)),
        }
    }
}

impl Generated for Revealed {
    /// Most juries lean to one outcome, so that every end is reached.
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let (seats, stray) = (pick(random, &[3, 5, 7, 21]), pick(random, &[1, 2, 2, 4]));
        let (any, other) = (outcome(random), outcome(random));
        let reason = REASONS[(number / 3) as usize % REASONS.len()];
        let usual = [Outcome::Valid, Outcome::Invalid { reason }, any][number as usize % 3];
        let (quorum, silent) = (1 + random.next_u32() % seats.min(3), random.next_u32() % (1 + number % 3));
        let told = |_| {
            let any = outcome(random);
            if random.next_u32() % 6 < stray {
                pick(random, &[any, other])
            } else {
                usual
            }
        };
        let outcomes = (0..seats.saturating_sub(silent)).map(told).collect();
        Self { quorum, seats, outcomes }
    }
}

impl Generated for Attendance {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let missing = pick(random, &[0, 5, 10, 20, 40, 100]);
        Self {
            honest_miss_ppm: pick(random, &[100_000, 200_000, 10_000, 1]),
            false_bench_one_in: pick(random, &[1_000_000, 1_000, u32::MAX]),
            attended: (0..number).map(|_| random.next_u32() % 100 >= missing).collect(),
        }
    }
}
