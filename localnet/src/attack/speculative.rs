//! Pre-filling that stays below what the judge can see: speculative decoding whose acceptance is a little too generous.

use assay_common::artifact::Artifact;
use assay_common::row::{encode_leaf, Entry, Row, Surprisal, TokenId};
use assay_sidecar::engine::{Answerer, Question};
use assay_sidecar::executor::answer::{artifact, draw};
use assay_sidecar::model::{Forced, Model, ModelError, Opening, Row as Scored};

use super::repair::Place;

/// The most by which an emitted token's log-probability is raised, in nats.
const TAU: f64 = 0.1;
/// Tokens that the cheap model writes ahead.
const AHEAD: usize = 8;

/// Takes a drafted token where a repair of at most [`TAU`] makes it the drawn one, and the honest token elsewhere.
pub struct BelowTau {
    draft: Model,
}

/// An answer under way.
struct Growing<'a> {
    question: &'a Question,
    tokens: Vec<u32>,
    leaves: Vec<Vec<u8>>,
}

impl BelowTau {
    pub fn new(draft: Model) -> Self {
        Self { draft }
    }

    /// What the cheap model would go on with, for all that are under way.
    ///
    /// Penalties count the answer so far as prompt here: a draft may be wrong.
    fn ahead(&self, growing: &[&mut Growing<'_>]) -> Result<Vec<Vec<u32>>, ModelError> {
        let texts: Vec<Vec<u32>> = growing
            .iter()
            .map(|answer| [answer.question.prompt.as_slice(), &answer.tokens].concat())
            .collect();
        let openings: Vec<Opening> = growing
            .iter()
            .zip(&texts)
            .map(|(answer, prompt)| Opening {
                prompt,
                max_new: AHEAD.min(answer.missing()),
                penalties: answer.question.request.sampling.penalties,
            })
            .collect();
        self.draft.generate(&openings, &[], |index, ahead, surprisals| {
            let Growing { question, tokens, .. } = &growing[index];
            let position = tokens.len() as u32 + ahead;
            draw(surprisals, &question.request.sampling, &question.run_seed, position).token.0
        })
    }
}

impl Growing<'_> {
    fn missing(&self) -> usize {
        let ended = self.tokens.last().is_some_and(|token| self.question.request.stop_ids.contains(token));
        if ended {
            0
        } else {
            (self.question.request.max_new as usize).saturating_sub(self.tokens.len())
        }
    }

    /// Takes the drafted tokens up to the first that needs too much, and the honest one there.
    fn grow(&mut self, model: &Model, drafted: &[u32]) -> Result<(), ModelError> {
        let known = self.tokens.len();
        let tokens = [self.tokens.as_slice(), drafted].concat();
        let penalties = self.question.request.sampling.penalties;
        let forced = Forced { prompt: &self.question.prompt, tokens: &tokens, penalties };
        let mut follows = true;
        model.score_from(&forced, known, model.executing(), |scored| {
            if !follows || self.missing() == 0 {
                return;
            }
            let row = self.row(&scored);
            follows = row.token.0 == scored.token;
            self.leaves.push(encode_leaf(scored.position, &row));
            self.tokens.push(row.token.0);
        })
    }

    fn row(&self, scored: &Scored<'_>) -> Row {
        let Question { request, run_seed, .. } = self.question;
        let candidates = Place::candidates(scored.surprisals);
        let place = Place { candidates, sampling: &request.sampling, run_seed, position: scored.position };
        let surprisal = Surprisal(scored.surprisals[scored.token as usize]).min(Surprisal::MAX);
        let drafted = Entry { surprisal, token: TokenId(scored.token) };
        place.repaired(drafted, TAU).map_or_else(|| place.row(), |repaired| repaired.row)
    }
}

impl Answerer for BelowTau {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        let begin = |question| Growing { question, tokens: Vec::new(), leaves: Vec::new() };
        let mut answers: Vec<Growing> = questions.iter().map(begin).collect();
        loop {
            let mut open: Vec<&mut Growing> =
                answers.iter_mut().filter(|answer| answer.missing() > 0).collect();
            if open.is_empty() {
                break;
            }
            let drafts = self.ahead(&open)?;
            for (answer, drafted) in open.iter_mut().zip(drafts) {
                answer.grow(model, &drafted)?;
            }
        }
        Ok(answers
            .into_iter()
            .map(|answer| artifact(answer.question, answer.tokens, answer.leaves))
            .collect())
    }
}
