//! Compiled to wasm, the sampler and the hashes give the outcomes of the native code, to the last byte.

mod positions;
#[macro_use]
mod vectors;
#[path = "vectors/published.rs"]
mod published;
mod wasm_guest;

use positions::{answers, Position, ANSWER};
use vectors::Case;
use wasm_guest::{replay, Guest};

/// 100,008 positions.
const ANSWERS: usize = 4_167;

#[test]
fn every_published_outcome_is_the_one_computed_in_wasm() {
    let mut guest = Guest::load();
    for (name, vectors) in published::published() {
        let (cases, expected): (Vec<Case>, Vec<Vec<u8>>) = vectors.into_iter().unzip();
        for (number, (outcome, expected)) in guest.outcomes(&cases).iter().zip(&expected).enumerate() {
            assert_eq!(outcome, expected, "{name}, case {number}");
        }
    }
}

/// Every position as it was signed, and of every tenth also one altered bit: of the leaf, or of the seed.
#[test]
fn replays_of_honest_and_of_altered_positions_are_the_same_bytes() {
    let mut guest = Guest::load();
    let honest: Vec<Position> = answers().take(ANSWERS).flatten().collect();
    assert_eq!(honest.len(), ANSWERS * ANSWER);
    let altered = honest.iter().enumerate().filter_map(|(index, position)| altered(index, position));
    let cases: Vec<Case> = honest.iter().map(replay).chain(altered).collect();
    for (number, (wasm, case)) in guest.outcomes(&cases).iter().zip(&cases).enumerate() {
        assert_eq!(*wasm, case.outcome(), "case {number}");
    }
}

fn altered(index: usize, position: &Position) -> Option<Case> {
    let mut altered = position.clone();
    match index % 20 {
        3 => altered.leaf[index / 20 % position.leaf.len()] ^= 1 << (index % 8),
        13 => altered.run_seed.0[index / 20 % 32] ^= 1 << (index % 8),
        _ => return None,
    }
    Some(replay(&altered))
}
