//! Clocks, rounds, and the numbers that a standing is made of.

use assay_common::ids::Round;
use rand_chacha::rand_core::RngCore;
use rand_chacha::ChaCha8Rng;

use super::{bytes, pick, Generated};
use crate::vectors::evidence::{Length, Standing};
use crate::vectors::time::{Clock, Signed};
use crate::vectors::{Bytes, Text};

impl Generated for Clock {
    /// Beacons that began long before the clock, and some that begin after a window's end; now and then a moment before the
    /// start, or the first or last second of a window.
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let start = 1_700_000_000 + u64::from(random.next_u32() >> 4);
        let window_seconds = pick(random, &[15, 3_600, 7, 1]);
        let period_seconds = pick(random, &[1, 3, 30]).min(window_seconds);
        let windows = u64::from(random.next_u32() >> pick(random, &[8, 16, 30])) * u64::from(window_seconds);
        let any = random.next_u32() % window_seconds;
        let within = pick(random, &[0, window_seconds - 1, any]);
        let now = if number % 16 == 5 { start - 1 } else { start + windows + u64::from(within) };
        let genesis = pick(random, &[1_692_803_367, start, start - 2, start + 100_000]);
        Self {
            start: Text(start),
            window_seconds,
            windows_per_epoch: pick(random, &[6, 24, 1]),
            genesis: Text(genesis),
            period_seconds,
            delay_seconds: random.next_u32() % window_seconds,
            now: Text(now),
        }
    }
}

/// Round 1,000 of drand quicknet, as its public API serves it.
const QUICKNET: (u64, &str) = (
    1_000,
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
);

impl Generated for Signed {
    /// The first is a real one; what the others have for a signature is of the right length.
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        if number == 0 {
            let signature = hex::decode(QUICKNET.1).expect("the constant is hexadecimal");
            return Self { round: Round(QUICKNET.0), signature: Bytes(signature) };
        }
        let signature = [&bytes(random)[..], &bytes(random)[..16]].concat();
        Self { round: Round(1 + (random.next_u64() >> (number % 64))), signature: Bytes(signature) }
    }
}

impl Generated for Length {
    fn case(number: u32, random: &mut ChaCha8Rng) -> Self {
        let tokens = match number {
            0..200 => number,
            200..206 => 253 + number - 200,
            206..212 => 509 + number - 206,
            212 => u32::MAX,
            _ => random.next_u32() >> (random.next_u32() % 32),
        };
        Self { tokens }
    }
}

impl Generated for Standing {
    fn case(_: u32, random: &mut ChaCha8Rng) -> Self {
        let any = random.next_u32() % 1_000_001;
        let checked = random.next_u32() % 12;
        Self {
            step_ppm: pick(random, &[200_000, 33_333, 1_000_000]),
            min_checked: pick(random, &[4, 32, 1]),
            min_conclusive_ppm: pick(random, &[800_000, 1_000_000, 1]),
            base_rate_ppm: pick(random, &[10_000, 1, 1_000_000]),
            reputation: pick(random, &[0, 999_999, 1_000_000, any, any]),
            checked: checked * pick(random, &[1, 5]),
            conclusive: random.next_u32() % (checked + 1),
        }
    }
}
