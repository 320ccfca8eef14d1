//! Rows that list more than they need, so that what disagrees is divided by more.

use assay_common::artifact::Artifact;
use assay_common::row::{Entry, Row, Surprisal, TokenId, MAX_ENTRIES};
use assay_sidecar::engine::{Answerer, Question};
use assay_sidecar::executor::answer::{answer_rows, draw};
use assay_sidecar::model::{Model, ModelError};

/// Runs a cheap model, and fills its rows up with the least probable tokens: at 64 bits, or near them, everybody agrees.
pub struct Padding {
    cheap: Model,
}

impl Padding {
    pub fn new(cheap: Model) -> Self {
        Self { cheap }
    }
}

impl Answerer for Padding {
    fn answer(&mut self, _: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        answer_rows(&self.cheap, questions, |index, position, surprisals| {
            let Question { request, run_seed, .. } = &questions[index];
            padded(draw(surprisals, &request.sampling, run_seed, position), surprisals)
        })
    }
}

/// The row with as many entries as the format allows; nothing is added before the cut, where it could be drawn.
fn padded(mut row: Row, surprisals: &[u32]) -> Row {
    let entry = |(surprisal, token): (&u32, u32)| Entry {
        surprisal: Surprisal(*surprisal).min(Surprisal::MAX),
        token: TokenId(token),
    };
    let behind = row.entries.last().copied().max(Some(row.cut));
    let missing = MAX_ENTRIES.saturating_sub(row.entries.len());
    let mut least: Vec<Entry> = surprisals.iter().zip(0u32..).map(entry).collect();
    if missing < least.len() && missing > 0 {
        least.select_nth_unstable_by(missing - 1, |a, b| b.cmp(a));
        least.truncate(missing);
    }
    row.entries.extend(least.into_iter().take(missing).filter(|entry| Some(*entry) > behind));
    row.entries.sort_unstable();
    row
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use assay_common::ids::RunSeed;
    use assay_common::replay::{replay, Replay};
    use assay_common::sampler::SamplingParams;

    use super::*;

    #[test]
    fn a_padded_row_is_full_of_the_least_probable_and_replays() {
        let surprisals: Vec<u32> = (0..300).map(|id| 1_000 + id * 73 % 1_999 * 16).collect();
        let (sampling, seed) =
            (SamplingParams { top_p_ppm: 900_000, ..SamplingParams::OPEN }, RunSeed([1; 32]));
        let honest = draw(&surprisals, &sampling, &seed, 5);
        assert!(honest.entries.len() < MAX_ENTRIES);
        let row = padded(honest.clone(), &surprisals);
        assert_eq!(row.entries.len(), MAX_ENTRIES);
        assert_eq!(row.entries[..honest.entries.len()], honest.entries);
        assert_eq!(row.entries.last().unwrap().surprisal, Surprisal::MAX);
        assert_eq!(replay(&row, 5, 300, &sampling, &seed), Replay::Matches);
    }

    #[test]
    fn a_vocabulary_without_more_tokens_gives_no_padding() {
        let surprisals = [200u32; 6];
        let honest = draw(&surprisals, &SamplingParams::OPEN, &RunSeed([1; 32]), 0);
        assert_eq!(padded(honest.clone(), &surprisals), honest);
    }
}
