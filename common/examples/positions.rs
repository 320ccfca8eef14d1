//! Replays random honest positions natively and in wasm: `cargo run -p assay-common --example positions -- 1000000`, after
//! scripts/contract has built the wasm. Ends with an error at the first that does not replay, or not the same on both.

#[path = "../tests/positions/mod.rs"]
mod positions;
#[path = "../tests/vectors/mod.rs"]
mod vectors;
#[path = "../tests/wasm_guest/mod.rs"]
mod wasm_guest;

use positions::{answers, Position};
use vectors::Case;
use wasm_guest::{replay, Guest};

/// Answers generated, then replayed, at a time.
const PAGE: usize = 300;

fn main() -> Result<(), String> {
    let wanted = std::env::args().nth(1).ok_or("how many positions?")?;
    let wanted: usize = wanted.parse().map_err(|error| format!("{wanted} positions: {error}"))?;
    let mut guest = Guest::load();
    let mut answers = answers();
    let mut replayed = 0;
    while replayed < wanted {
        let page: Vec<Position> = answers.by_ref().take(PAGE).flatten().take(wanted - replayed).collect();
        check(&mut guest, &page, replayed)?;
        replayed += page.len();
        eprintln!("{replayed} positions");
    }
    println!("{replayed} honest positions: each replays, and natively as in wasm");
    Ok(())
}

fn check(guest: &mut Guest, page: &[Position], first: usize) -> Result<(), String> {
    let matches = borsh::to_vec("matches").map_err(|error| error.to_string())?;
    let cases: Vec<Case> = page.iter().map(replay).collect();
    let outcomes = guest.outcomes(&cases);
    for (number, (case, wasm)) in (first..).zip(cases.iter().zip(outcomes)) {
        let native = case.outcome();
        if native != wasm {
            return Err(format!("position {number}: natively {native:?}, in wasm {wasm:?}"));
        }
        if native != matches {
            return Err(format!("position {number} does not replay: {}", String::from_utf8_lossy(&native)));
        }
    }
    Ok(())
}
