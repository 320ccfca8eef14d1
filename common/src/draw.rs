//! What follows from a beacon round: which inferences of a batch are checked, and by whom.

use crate::digest::{sha256, tagged, Domain};
use crate::ids::{BatchId, DrawSeed, Randomness};

/// Probability one, as a sampling rate.
pub const RATE_ONE: u64 = 1 << 32;
/// Rounds of the Feistel network; four make a strong pseudorandom permutation (Luby and Rackoff 1988).
const FEISTEL_ROUNDS: u8 = 4;
/// Draws for each seat before the table's own order fills the jury.
const TRIES_PER_SEAT: u32 = 64;

/// S = H("draw", chain, contract, batch, beacon). The root is left out: it must not be searched for a kind draw.
pub fn seed(domain: &Domain, batch: BatchId, beacon: &Randomness) -> DrawSeed {
    DrawSeed(tagged("draw", &(domain, batch, beacon)))
}

/// How many of `count` inferences are checked: ⌈rate · count / 2³²⌉, so a rate of one checks every one.
pub fn sample_count(rate_q32: u64, count: u32) -> u32 {
    let product = u128::from(rate_q32.min(RATE_ONE)).saturating_mul(u128::from(count));
    u32::try_from(product.div_ceil(u128::from(RATE_ONE))).unwrap_or(count)
}

/// The inference index of draw number `draw` out of `count`: a permutation of 0..count that needs no state.
///
/// A Feistel network on the smallest even bit width that holds `count`, walked until it lands inside (Black and
/// Rogaway 2002, cycle walking); the width exceeds `count` at most fourfold, so the walk takes four steps on average.
pub fn index(seed: &DrawSeed, count: u32, draw: u32) -> u32 {
    let half = half_bits(count);
    let mut value = draw;
    loop {
        value = feistel(seed, half, value);
        if value < count {
            return value;
        }
    }
}

fn half_bits(count: u32) -> u32 {
    let bits = 32u32.saturating_sub(count.saturating_sub(1).leading_zeros());
    bits.div_ceil(2).max(1)
}

fn feistel(seed: &DrawSeed, half: u32, value: u32) -> u32 {
    let mask = u32::MAX >> 32u32.saturating_sub(half);
    let (mut left, mut right) = (value >> half, value & mask);
    for round in 0..FEISTEL_ROUNDS {
        let hash = sha256(&[&seed.0, b"index", &[round], &right.to_le_bytes()]);
        let noise = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]) & mask;
        (left, right) = (right, left ^ noise);
    }
    (left << half) | right
}

/// The same for the second level of a jury, by a beacon that nobody knew when the first one spoke.
pub fn second_seed(domain: &Domain, batch: BatchId, beacon: &Randomness) -> DrawSeed {
    DrawSeed(tagged("second", &(domain, batch, beacon)))
}

/// The seats of a jury: distinct places in `table`, drawn by stake, never one of `excluded`.
///
/// `table` holds cumulative stakes, strictly rising; `excluded` are distinct places in it: the executor's, if it has one,
/// and at the second level those of the first. Returns fewer than `seats` only where fewer are eligible.
pub fn jury(seed: &DrawSeed, index: u32, table: &[u128], excluded: &[usize], seats: u32) -> Vec<usize> {
    let eligible = table.len().saturating_sub(excluded.len());
    let wanted = usize::try_from(seats).unwrap_or(usize::MAX).min(eligible);
    let total = table.last().copied().unwrap_or(0);
    let mut jury: Vec<usize> = Vec::with_capacity(wanted);
    for try_number in 0..seats.saturating_mul(TRIES_PER_SEAT) {
        if jury.len() == wanted {
            return jury;
        }
        let hash = sha256(&[&seed.0, b"seat", &index.to_le_bytes(), &try_number.to_le_bytes()]);
        let Some(at) = high_u128(&hash).checked_rem(total) else { break };
        let place = table.partition_point(|cumulative| *cumulative <= at);
        if !excluded.contains(&place) && !jury.contains(&place) {
            jury.push(place);
        }
    }
    let rest: Vec<usize> = (0..table.len()).filter(|p| !excluded.contains(p) && !jury.contains(p)).collect();
    jury.extend(rest);
    jury.truncate(wanted);
    jury
}

/// The first 16 bytes; the bias of a remainder below 2¹⁰⁰ is under 2⁻²⁸.
fn high_u128(hash: &[u8; 32]) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_rate_of_one_checks_every_inference_and_any_rate_at_least_one() {
        assert_eq!(sample_count(RATE_ONE, 12), 12);
        assert_eq!(sample_count(RATE_ONE, 65_536), 65_536);
        assert_eq!(sample_count(1, 65_536), 1);
        assert_eq!(sample_count(RATE_ONE / 100, 1_000), 10);
        assert_eq!(sample_count(RATE_ONE / 2, 0), 0);
    }

    proptest! {
        #[test]
        fn the_draw_is_a_permutation(count in 1u32..3_000, byte in any::<u8>()) {
            let seed = DrawSeed([byte; 32]);
            let seen: BTreeSet<u32> = (0..count).map(|draw| index(&seed, count, draw)).collect();
            prop_assert_eq!(seen.len(), count as usize);
            prop_assert!(seen.iter().all(|i| *i < count));
        }

        #[test]
        fn a_jury_holds_distinct_eligible_members(
            stakes in prop::collection::vec(1u128..1_000_000, 1..40), out in prop::collection::btree_set(0usize..40, 0..5),
            byte in any::<u8>(),
        ) {
            let table: Vec<u128> = stakes.iter().scan(0, |sum, s| { *sum += s; Some(*sum) }).collect();
            let excluded: Vec<usize> = out.into_iter().filter(|place| *place < table.len()).collect();
            let jury = jury(&DrawSeed([byte; 32]), 5, &table, &excluded, 3);
            let distinct: BTreeSet<usize> = jury.iter().copied().collect();
            let eligible = table.len() - excluded.len();
            prop_assert_eq!(distinct.len(), jury.len());
            prop_assert_eq!(jury.len(), eligible.min(3));
            prop_assert!(jury.iter().all(|p| *p < table.len() && !excluded.contains(p)));
        }
    }

    #[test]
    fn seats_follow_the_stake() {
        let table = [10, 20, 30, 130]; // the last node holds 100 of 130
        let hits = (0..2_000).filter(|i| jury(&DrawSeed([9; 32]), *i, &table, &[0], 1) == [3]).count();
        // Expected 100/120 of 2,000 = 1,667, sd 17: five sd on either side.
        assert!((1_582..=1_752).contains(&hits), "{hits}");
    }
}
