//! Forging a row: the emitted token's number is raised by as little as makes it win under the promised noise.

use assay_common::ids::RunSeed;
use assay_common::row::{Entry, Row, Surprisal};
use assay_common::sampler::{sample_full, top_candidates, SamplingParams, MAX_CANDIDATES};

use super::candidates::{mass, of_mass, NATS_PER_STEP};

/// More than any repair can take: from 64 bits to 0, and all others from 0 to 64 bits.
pub const ANY: f64 = 2.0 * 64.0 * std::f64::consts::LN_2;

/// One position, with the numbers that the forger starts from.
pub struct Place<'a> {
    /// Ordered by (surprisal, id), at most [`MAX_CANDIDATES`].
    pub candidates: Vec<Entry>,
    pub sampling: &'a SamplingParams,
    pub run_seed: &'a RunSeed,
    pub position: u32,
}

/// A row that replays.
#[derive(Clone, Debug, PartialEq)]
pub struct Repaired {
    pub row: Row,
    /// By how much the emitted token's log-probability was raised against all others.
    pub nats: f64,
}

impl Place<'_> {
    /// The candidates of a distribution [vocabulary].
    pub fn candidates(surprisals: &[u32]) -> Vec<Entry> {
        top_candidates(surprisals, MAX_CANDIDATES)
    }

    /// The row that these numbers give.
    pub fn row(&self) -> Row {
        self.sample(&self.candidates)
    }

    /// The row for `emitted`, which need not be a candidate; none if that takes more than so many nats.
    pub fn repaired(&self, emitted: Entry, most_nats: f64) -> Option<Repaired> {
        let wins = |steps| self.sample(&self.raised(emitted, steps)).token == emitted.token;
        // A number that wins wins all the more where it is higher.
        let (mut losing, mut winning) = (0, (most_nats / NATS_PER_STEP) as u32);
        if wins(0) {
            winning = 0;
        } else if !wins(winning) {
            return None;
        }
        while winning > losing + 1 {
            let middle = losing + (winning - losing) / 2;
            if wins(middle) {
                winning = middle;
            } else {
                losing = middle;
            }
        }
        let whole = mass(&self.candidates);
        let row = self.sample(&of_mass(self.raised(emitted, winning), whole));
        Some(Repaired { row, nats: f64::from(winning) * NATS_PER_STEP })
    }

    /// The candidates with `emitted` more probable by so many steps; what does not fit above 0 bits, the others lose.
    fn raised(&self, emitted: Entry, steps: u32) -> Vec<Entry> {
        let beyond = steps.saturating_sub(emitted.surprisal.0);
        let lowered = |entry: &Entry| {
            let surprisal = Surprisal(entry.surprisal.0.saturating_add(beyond)).min(Surprisal::MAX);
            Entry { surprisal, ..*entry }
        };
        let others = self.candidates.iter().filter(|entry| entry.token != emitted.token).map(lowered);
        let surprisal = Surprisal(emitted.surprisal.0.saturating_sub(steps));
        let mut raised: Vec<Entry> = std::iter::once(Entry { surprisal, ..emitted }).chain(others).collect();
        raised.sort_unstable();
        raised.truncate(MAX_CANDIDATES);
        raised
    }

    fn sample(&self, candidates: &[Entry]) -> Row {
        let sampled = sample_full(candidates, self.sampling, self.run_seed, self.position);
        sampled.expect("parameters in range and a candidate give a token").row
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use assay_common::replay::{replay, Replay};
    use assay_common::row::TokenId;

    use super::*;

    const VOCABULARY: u32 = 300;

    /// Of a distribution: together not quite 1.
    fn surprisals() -> Vec<u32> {
        (0..VOCABULARY).map(|id| 1_200 + id * 791 % 4_999).collect()
    }

    fn filters() -> [SamplingParams; 5] {
        let open = SamplingParams::OPEN;
        [
            open,
            SamplingParams { temperature_milli: 0, ..open },
            SamplingParams { top_k: 8, ..open },
            SamplingParams { temperature_milli: 700, top_p_ppm: 600_000, ..open },
            SamplingParams { min_p_ppm: 200_000, ..open },
        ]
    }

    #[test]
    fn a_repaired_row_replays_for_any_token_under_any_filter() {
        let surprisals = surprisals();
        for sampling in filters() {
            for (position, token) in [(0u32, 0u32), (1, 7), (2, 299), (3, 150)] {
                let run_seed = RunSeed([9; 32]);
                let candidates = Place::candidates(&surprisals);
                let place = Place { candidates, sampling: &sampling, run_seed: &run_seed, position };
                let emitted =
                    Entry { surprisal: Surprisal(surprisals[token as usize]), token: TokenId(token) };
                let Repaired { row, nats } = place.repaired(emitted, ANY).unwrap();
                assert_eq!(row.token, emitted.token);
                assert_eq!(replay(&row, position, VOCABULARY, &sampling, &run_seed), Replay::Matches);
                // No less would do.
                assert_eq!(nats > 0.0, place.row().token != emitted.token, "{sampling:?}");
                assert!(nats == 0.0 || place.repaired(emitted, nats - NATS_PER_STEP).is_none());
            }
        }
    }

    #[test]
    fn the_seeds_own_token_needs_no_repair() {
        let (sampling, run_seed) = (SamplingParams::OPEN, RunSeed([3; 32]));
        for position in 0..20 {
            let candidates = Place::candidates(&surprisals());
            let place = Place { candidates, sampling: &sampling, run_seed: &run_seed, position };
            let honest = place.row();
            let emitted = *place.candidates.iter().find(|entry| entry.token == honest.token).unwrap();
            assert_eq!(place.repaired(emitted, 0.0), Some(Repaired { row: honest, nats: 0.0 }));
        }
    }
}
