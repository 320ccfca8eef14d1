//! Answering: generation whose tokens are drawn from the very integers that the artifact signs.

use std::collections::BTreeMap;

use assay_common::artifact::Artifact;
use assay_common::ids::RunSeed;
use assay_common::row::{encode_leaf, Entry, Row, Surprisal, TokenId, MAX_ENTRIES};
use assay_common::sampler::{sample_full, top_candidates, SamplingParams, MAX_CANDIDATES};
use assay_common::session::Request;

use crate::engine::{Answerer, AnswererFactory, Question};
use crate::model::{Forced, Model, ModelError, Opening};

/// The executor that runs the model it promised, with the seed that the session fixes.
pub struct Honest;

impl Answerer for Honest {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        let seeds: Vec<RunSeed> = questions.iter().map(|question| question.run_seed).collect();
        answer_with(model, questions, &seeds)
    }
}

/// For `assayd run`.
pub fn honest_factory() -> AnswererFactory {
    Box::new(|_| Ok(Box::new(Honest)))
}

/// Generates an answer to each question, its noise from the seed of the same place in `seeds`.
///
/// Questions with the same stop tokens go through the model as one batch. The sampling parameters are in range, and there is
/// one seed for each question.
///
/// # Errors
/// The model's own failures.
pub fn answer_with(
    model: &Model,
    questions: &[Question],
    seeds: &[RunSeed],
) -> Result<Vec<Artifact>, ModelError> {
    answer_rows(model, questions, |index, position, surprisals| {
        draw(surprisals, &questions[index].request.sampling, &seeds[index], position)
    })
}

/// As [`answer_with`], but `lay` makes the row of each position, whose token is emitted: from the question's index, the
/// position and the model's surprisals [vocabulary].
///
/// # Errors
/// The model's own failures.
pub fn answer_rows(
    model: &Model,
    questions: &[Question],
    mut lay: impl FnMut(usize, u32, &[u32]) -> Row,
) -> Result<Vec<Artifact>, ModelError> {
    let mut by_stop: BTreeMap<&[u32], Vec<usize>> = BTreeMap::new();
    for (index, question) in questions.iter().enumerate() {
        by_stop.entry(&question.request.stop_ids).or_default().push(index);
    }
    let mut artifacts: BTreeMap<usize, Artifact> = BTreeMap::new();
    for (stop_ids, members) in by_stop {
        let openings: Vec<Opening> = members.iter().map(|index| opening(&questions[*index])).collect();
        let mut leaves = vec![Vec::new(); members.len()];
        let tokens = model.generate(&openings, stop_ids, |member, position, surprisals| {
            let row = lay(members[member], position, surprisals);
            leaves[member].push(encode_leaf(position, &row));
            row.token.0
        })?;
        for ((index, tokens), leaves) in members.into_iter().zip(tokens).zip(leaves) {
            artifacts.insert(index, artifact(&questions[index], tokens, leaves));
        }
    }
    Ok(artifacts.into_values().collect())
}

/// Lays given tokens out as an answer of `model`: the numbers are the model's, the tokens are the caller's.
///
/// Each row lists what an honest one would, and the emitted token beside it. Replay shows where another token would have
/// been drawn: this is what a pre-filling cheat can do best.
///
/// # Errors
/// The model's own failures.
pub fn rows_for(model: &Model, question: &Question, tokens: &[u32]) -> Result<Artifact, ModelError> {
    let mut leaves = Vec::with_capacity(tokens.len());
    let sampling = &question.request.sampling;
    let forced = Forced { prompt: &question.prompt, tokens, penalties: sampling.penalties };
    model.score_with(&forced, model.executing(), |scored| {
        let row = draw(scored.surprisals, sampling, &question.run_seed, scored.position);
        let surprisal = Surprisal(scored.surprisals[scored.token as usize]).min(Surprisal::MAX);
        let emitted = Entry { surprisal, token: TokenId(scored.token) };
        leaves.push(encode_leaf(scored.position, &emitting(row, emitted)));
    })?;
    Ok(artifact(question, tokens.to_vec(), leaves))
}

fn opening(question: &Question) -> Opening<'_> {
    let Request { max_new, sampling, .. } = &question.request;
    Opening { prompt: &question.prompt, max_new: *max_new as usize, penalties: sampling.penalties }
}

/// The row with `emitted` for its token, listed if it was not; its replay gives the token that it had.
pub fn emitting(mut row: Row, emitted: Entry) -> Row {
    row.token = emitted.token;
    if let Err(place) = row.entries.binary_search(&emitted) {
        row.entries.insert(place, emitted);
        if row.entries.len() > MAX_ENTRIES {
            // The least probable that is not the emitted one makes room.
            let last = row.entries.len() - 1;
            row.entries.remove(if row.entries[last] == emitted { last - 1 } else { last });
        }
    }
    row
}

/// The row of a position from the model's surprisals [vocabulary]; the sampling parameters are in range.
pub fn draw(surprisals: &[u32], sampling: &SamplingParams, run_seed: &RunSeed, position: u32) -> Row {
    let candidates = top_candidates(surprisals, MAX_CANDIDATES);
    let sampled = sample_full(&candidates, sampling, run_seed, position);
    sampled.expect("parameters in range over a vocabulary give a token").row
}

/// What is committed to for these tokens and leaves.
pub fn artifact(question: &Question, tokens: Vec<u32>, leaves: Vec<Vec<u8>>) -> Artifact {
    Artifact {
        request: question.request.clone(),
        salt: question.salt,
        prompt: question.prompt.clone(),
        tokens,
        leaves,
    }
}
