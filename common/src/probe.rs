//! Probes: a juror's proof that it ran the model.
//!
//! "Valid" is right most of the time, so a juror that always says it would earn its pay unseen. Each verdict therefore
//! carries the juror's own surprisals of tokens that the artifact does not list, at places that a beacon chose after the
//! batch was committed: only a forward pass knows them, and honest ones agree.

use cosmwasm_schema::cw_serde;

use crate::digest::sha256;
use crate::ids::DrawSeed;
use crate::row::{Row, MAX_ENTRIES};

/// Places that one seed chooses in one answer.
pub const PROBES: usize = 8;
/// How many of them must agree with the jury's median.
pub const PROBES_NEEDED: usize = 6;

/// A token that the row of this position does not list.
#[cw_serde]
#[derive(Eq, Copy)]
pub struct ProbePlace {
    pub position: u32,
    pub token: u32,
}

/// The places of leaf number `index` in an answer of `tokens` tokens over `vocabulary` ids; `listed` says whether the row
/// of a position holds a token.
///
/// Position and token are the remainders of two halves of a hash; from a listed token on, the next that is not listed.
pub fn places(
    seed: &DrawSeed,
    index: u32,
    (tokens, vocabulary): (u32, u32),
    listed: impl Fn(u32, u32) -> bool,
) -> Vec<ProbePlace> {
    let place = |number: u8| {
        let hash = sha256(&[&seed.0, b"probe", &index.to_le_bytes(), &[number]]);
        let (position, first) = (remainder(&hash[..8], tokens), remainder(&hash[8..16], vocabulary));
        // A row lists at most MAX_ENTRIES tokens, so among one more there is one that it does not.
        let steps = 0..=u32::try_from(MAX_ENTRIES).unwrap_or(u32::MAX);
        let mut candidates = steps.map(|step| first.wrapping_add(step).checked_rem(vocabulary).unwrap_or(0));
        let token = candidates.find(|token| !listed(position, *token)).unwrap_or(first);
        ProbePlace { position, token }
    };
    (0u8..).take(PROBES).map(place).collect()
}

/// As [`places`], in an answer with these rows.
pub fn places_outside(seed: &DrawSeed, index: u32, rows: &[Row], vocabulary: u32) -> Vec<ProbePlace> {
    let tokens = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let listed = |position: u32, token: u32| {
        let row = rows.get(position as usize);
        row.is_some_and(|row| row.entries.iter().any(|entry| entry.token.0 == token))
    };
    places(seed, index, (tokens, vocabulary), listed)
}

/// The bias of a remainder below 2³² is under 2⁻³².
fn remainder(bytes: &[u8], of: u32) -> u32 {
    let number = bytes.iter().rev().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
    u32::try_from(number.checked_rem(u64::from(of)).unwrap_or(0)).unwrap_or(0)
}

/// The lower median of every place over the jurors' surprisals, in 1/256 bit: `[jurors][places]` → `[places]`.
///
/// A juror that tells fewer places than another does not count at the others'.
pub fn medians(told: &[&[u16]]) -> Vec<u16> {
    let places = told.iter().map(|probes| probes.len()).max().unwrap_or(0);
    let median = |place: usize| {
        let mut values: Vec<u16> = told.iter().filter_map(|probes| probes.get(place)).copied().collect();
        values.sort_unstable();
        values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0)
    };
    (0..places).map(median).collect()
}

/// Whether a juror's probes agree with the medians: of each seed's [`PROBES`] at least [`PROBES_NEEDED`] within `tolerance`.
pub fn agree(told: &[u16], medians: &[u16], tolerance: u16) -> bool {
    let within = |(own, median): (&u16, &u16)| own.abs_diff(*median) <= tolerance;
    !told.is_empty()
        && told.chunks(PROBES).zip(medians.chunks(PROBES)).all(|(own, medians)| {
            own.iter().zip(medians).filter(|pair| within(*pair)).count() >= PROBES_NEEDED
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_lie_in_the_answer_and_outside_its_rows(
            byte in any::<u8>(), index in any::<u32>(), tokens in 1u32..5_000, vocabulary in 40u32..300_000,
        ) {
            // Every row lists 24 tokens in a run, the longest detour.
            let first = u32::from(byte);
            let listed = |_: u32, token: u32| (first..first + 24).contains(&token);
            let found = places(&DrawSeed([byte; 32]), index, (tokens, vocabulary), listed);
            prop_assert_eq!(found.len(), PROBES);
            for ProbePlace { position, token } in found {
                prop_assert!(position < tokens && token < vocabulary && !listed(position, token));
            }
        }
    }

    #[test]
    fn one_liar_of_three_moves_no_median_beyond_the_honest() {
        let (honest, near, liar) = ([100u16; PROBES], [104u16; PROBES], [9_000u16; PROBES]);
        let medians = medians(&[&honest, &liar, &near]);
        assert_eq!(medians, [104; PROBES]);
        assert!(agree(&honest, &medians, 4) && agree(&near, &medians, 4));
        assert!(!agree(&liar, &medians, 4));
    }

    #[test]
    fn six_of_eight_are_enough_and_five_are_not() {
        let medians = [50u16; PROBES];
        let mut told = [50u16; PROBES];
        (told[0], told[1]) = (80, 20);
        assert!(agree(&told, &medians, 10));
        told[2] = 61;
        assert!(!agree(&told, &medians, 10));
        assert!(!agree(&[], &medians, 10));
    }

    #[test]
    fn both_seeds_places_must_agree() {
        let medians = [50u16; 2 * PROBES];
        let mut told = [50u16; 2 * PROBES];
        assert!(agree(&told, &medians, 0));
        told[PROBES..].fill(60);
        assert!(!agree(&told, &medians, 5));
        assert!(agree(&told[..PROBES], &medians, 5));
    }
}
