//! Half an answer for a whole fee.

use assay_common::artifact::Artifact;
use assay_common::row::{Entry, Row, Surprisal, TokenId};
use assay_sidecar::engine::{Answerer, Question};
use assay_sidecar::executor::answer::{answer_rows, emitting};
use assay_sidecar::model::{Model, ModelError};

use super::repair::{Place, ANY};

/// How the answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// In the middle of the text.
    Early,
    /// With a stop token that its row seems to give. Without stop tokens in the request there is none to emit: such answers
    /// are honest.
    Forged,
}

impl Stop {
    /// Tokens of the answer at most.
    fn limit(self, question: &Question) -> u32 {
        let whole = question.request.max_new;
        match self {
            Stop::Forged if question.request.stop_ids.is_empty() => whole,
            Stop::Early | Stop::Forged => whole.div_ceil(2),
        }
    }
}

impl Answerer for Stop {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        let mut shortened = questions.to_vec();
        for question in &mut shortened {
            question.request.max_new = self.limit(question);
        }
        let mut artifacts = answer_rows(model, &shortened, |index, position, surprisals| {
            let Question { request, run_seed, .. } = &shortened[index];
            let candidates = Place::candidates(surprisals);
            let place = Place { candidates, sampling: &request.sampling, run_seed, position };
            let ends = position + 1 == request.max_new && *self == Stop::Forged;
            match ends.then(|| most_probable(&request.stop_ids, surprisals)).flatten() {
                Some(stop) => stopping(&place, stop),
                None => place.row(),
            }
        })?;
        for (artifact, question) in artifacts.iter_mut().zip(questions) {
            artifact.request.clone_from(&question.request);
        }
        Ok(artifacts)
    }
}

/// The stop token that needs the least.
fn most_probable(stop_ids: &[u32], surprisals: &[u32]) -> Option<Entry> {
    let entry = |id: &u32| {
        let surprisal = Surprisal(*surprisals.get(*id as usize)?).min(Surprisal::MAX);
        Some(Entry { surprisal, token: TokenId(*id) })
    };
    stop_ids.iter().filter_map(entry).min()
}

fn stopping(place: &Place<'_>, stop: Entry) -> Row {
    match place.repaired(stop, ANY) {
        Some(repaired) => repaired.row,
        // A temperature so high that 64 bits are not enough: the replay will show it.
        None => emitting(place.row(), stop),
    }
}
