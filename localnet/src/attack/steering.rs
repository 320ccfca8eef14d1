//! Choosing the text within what the judge tolerates: the executor computes honestly, and now and then takes its second choice.

use assay_common::artifact::Artifact;
use assay_common::row::{Entry, Row};
use assay_sidecar::engine::{Answerer, Question};
use assay_sidecar::executor::answer::answer_rows;
use assay_sidecar::model::{Model, ModelError};

use super::repair::Place;

/// The most by which the second choice's log-probability is raised, in nats.
const TOLERANCE: f64 = 0.1;

/// Takes the second choice wherever that is possible, whatever it is: the most freedom that an executor with a purpose has.
pub struct Steering;

impl Answerer for Steering {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        answer_rows(model, questions, |index, position, surprisals| {
            let Question { request, run_seed, .. } = &questions[index];
            let candidates = Place::candidates(surprisals);
            steered(Place { candidates, sampling: &request.sampling, run_seed, position })
        })
    }
}

fn steered(place: Place<'_>) -> Row {
    let honest = place.row();
    let second = second_choice(&place, &honest);
    let repaired = second.and_then(|second| place.repaired(second, TOLERANCE));
    repaired.map_or(honest, |repaired| repaired.row)
}

/// What would be drawn if the drawn token did not exist.
fn second_choice(place: &Place<'_>, honest: &Row) -> Option<Entry> {
    let others = place.candidates.iter().filter(|entry| entry.token != honest.token).copied().collect();
    let without = Place { candidates: others, ..*place };
    if without.candidates.is_empty() {
        return None;
    }
    let token = without.row().token;
    without.candidates.iter().find(|entry| entry.token == token).copied()
}
