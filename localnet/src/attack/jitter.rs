//! Honest numbers with noise on them: a stack that nobody certified, or somebody who hides a cheaper one in it.

use assay_common::artifact::Artifact;
use assay_common::digest::tagged;
use assay_common::ids::RunSeed;
use assay_common::row::{Entry, Surprisal};
use assay_sidecar::engine::{Answerer, Question};
use assay_sidecar::executor::answer::answer_rows;
use assay_sidecar::model::{Model, ModelError};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::candidates::{mass, of_mass, NATS_PER_STEP};
use super::repair::Place;

/// Standard deviation of what is added to each log-probability, in nats.
const SD: f64 = 0.03;

/// Adds noise to every candidate, and draws from what comes out: its rows replay.
pub struct Jitter;

impl Answerer for Jitter {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        answer_rows(model, questions, |index, position, surprisals| {
            let Question { request, run_seed, .. } = &questions[index];
            let candidates = jittered(Place::candidates(surprisals), run_seed, position);
            Place { candidates, sampling: &request.sampling, run_seed, position }.row()
        })
    }
}

/// The same noise for the same position: an answer can be given twice.
fn jittered(mut candidates: Vec<Entry>, run_seed: &RunSeed, position: u32) -> Vec<Entry> {
    let whole = mass(&candidates);
    let mut rng = StdRng::from_seed(tagged("jitter", &(run_seed.0, position)));
    for entry in &mut candidates {
        let steps = (SD / NATS_PER_STEP * normal(&mut rng)).round() as i32;
        entry.surprisal = Surprisal(entry.surprisal.0.saturating_add_signed(steps)).min(Surprisal::MAX);
    }
    of_mass(candidates, whole)
}

/// Box and Muller.
fn normal(rng: &mut StdRng) -> f64 {
    let (radius, turn): (f64, f64) = (1.0 - rng.gen::<f64>(), rng.gen());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * turn).cos()
}

#[cfg(test)]
mod tests {
    use assay_common::row::TokenId;

    use super::*;

    #[test]
    fn jitter_has_its_standard_deviation_leaves_the_mass_and_repeats_itself() {
        let before: Vec<Entry> =
            (0..3_000).map(|id| Entry { surprisal: Surprisal(2_957 + id / 8), token: TokenId(id) }).collect();
        let after = jittered(before.clone(), &RunSeed([1; 32]), 4);
        assert_eq!(after, jittered(before.clone(), &RunSeed([1; 32]), 4));
        assert_ne!(after, jittered(before.clone(), &RunSeed([1; 32]), 5));
        assert!(after.is_sorted() && mass(&after) <= mass(&before));
        let moved = |entry: &Entry| f64::from(entry.surprisal.0) - f64::from(2_957 + entry.token.0 / 8);
        let mean = after.iter().map(moved).sum::<f64>() / 3_000.0;
        let square = after.iter().map(|entry| (moved(entry) - mean).powi(2)).sum::<f64>() / 3_000.0;
        assert!((square.sqrt() * NATS_PER_STEP - SD).abs() < 0.002, "{}", square.sqrt() * NATS_PER_STEP);
    }
}
