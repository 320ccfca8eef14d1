//! Pre-filling: a cheap model writes, and the promised model's numbers, which cost one pass over the text, are laid over it.

use assay_common::artifact::Artifact;
use assay_common::ids::RunSeed;
use assay_common::row::{encode_leaf, Entry, Row, Surprisal, TokenId};
use assay_sidecar::engine::{Answerer, Question};
use assay_sidecar::executor::answer::{answer_with, artifact, emitting, rows_for};
use assay_sidecar::model::{Forced, Model, ModelError};

use super::repair::{Place, ANY};
use super::sampling::other_seed;
use super::written_by;

/// What is done so that the rows give the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forging {
    /// Nothing; not even the noise is the promised one.
    OwnNoise,
    /// The cheap model draws with the promised noise, so that most tokens are those that the promised model would draw.
    PromisedNoise,
    /// The same, and each emitted token's number is raised until its row replays.
    Repaired,
}

/// Lets `draft` write.
pub struct Prefill {
    draft: Model,
    forging: Forging,
}

impl Prefill {
    pub fn new(draft: Model, forging: Forging) -> Self {
        Self { draft, forging }
    }
}

impl Answerer for Prefill {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        let written = match self.forging {
            Forging::OwnNoise => {
                let seeds: Vec<RunSeed> =
                    questions.iter().map(|question| other_seed(&question.run_seed)).collect();
                answer_with(&self.draft, questions, &seeds)?
            }
            Forging::PromisedNoise | Forging::Repaired => written_by(&self.draft, questions)?,
        };
        let lay_over = |(question, written): (&Question, Artifact)| match self.forging {
            Forging::OwnNoise | Forging::PromisedNoise => rows_for(model, question, &written.tokens),
            Forging::Repaired => {
                let rows = repaired_rows(model, question, &written.tokens)?;
                let leaves = (0u32..).zip(&rows).map(|(position, row)| encode_leaf(position, row)).collect();
                Ok(artifact(question, written.tokens, leaves))
            }
        };
        questions.iter().zip(written).map(lay_over).collect()
    }
}

/// The promised model's rows for these tokens, each repaired as far as it needs.
pub fn repaired_rows(model: &Model, question: &Question, tokens: &[u32]) -> Result<Vec<Row>, ModelError> {
    let sampling = &question.request.sampling;
    let forced = Forced { prompt: &question.prompt, tokens, penalties: sampling.penalties };
    let mut rows = Vec::with_capacity(tokens.len());
    model.score_with(&forced, model.executing(), |scored| {
        let candidates = Place::candidates(scored.surprisals);
        let (run_seed, position) = (&question.run_seed, scored.position);
        let place = Place { candidates, sampling, run_seed, position };
        let surprisal = Surprisal(scored.surprisals[scored.token as usize]).min(Surprisal::MAX);
        let emitted = Entry { surprisal, token: TokenId(scored.token) };
        let row = match place.repaired(emitted, ANY) {
            Some(repaired) => repaired.row,
            None => emitting(place.row(), emitted),
        };
        rows.push(row);
    })?;
    Ok(rows)
}
