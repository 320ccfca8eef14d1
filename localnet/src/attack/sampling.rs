//! The promised model, another draw: noise, temperature or top-p are not those that were asked for.

use assay_common::artifact::Artifact;
use assay_common::digest::tagged;
use assay_common::ids::RunSeed;
use assay_common::sampler::SamplingParams;
use assay_sidecar::engine::{Answerer, Question};
use assay_sidecar::executor::answer::{answer_rows, answer_with, draw, emitting};
use assay_sidecar::model::{Model, ModelError};

use super::promised_seeds;
use super::repair::Place;

/// What the temperature, or top-p, is multiplied by.
const TENTHS: u32 = 9;

/// Noise that no session fixes.
pub fn other_seed(seed: &RunSeed) -> RunSeed {
    RunSeed(tagged("another seed", &seed.0))
}

/// Draws with noise of its own.
pub struct WrongSeed;

impl Answerer for WrongSeed {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        let seeds: Vec<RunSeed> = promised_seeds(questions).iter().map(other_seed).collect();
        answer_with(model, questions, &seeds)
    }
}

/// Draws at a lower temperature; its rows are the honest ones, but for the token.
pub struct OtherTemperature;

impl Answerer for OtherTemperature {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        answer_rows(model, questions, |index, position, surprisals| {
            let Question { request, run_seed, .. } = &questions[index];
            let temperature_milli = request.sampling.temperature_milli * TENTHS / 10;
            let cooler = SamplingParams { temperature_milli, ..request.sampling };
            let candidates = Place::candidates(surprisals);
            let place = Place { candidates, sampling: &cooler, run_seed, position };
            let token = place.row().token;
            let honest = Place { sampling: &request.sampling, ..place };
            let emitted = honest.candidates.iter().find(|entry| entry.token == token).copied();
            emitting(honest.row(), emitted.expect("a drawn token is a candidate"))
        })
    }
}

/// Draws from fewer candidates; its rows say so in their cuts, and replay unless top-k shows that more are to be kept.
pub struct OtherTopP;

impl Answerer for OtherTopP {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        answer_rows(model, questions, |index, position, surprisals| {
            let Question { request, run_seed, .. } = &questions[index];
            let top_p_ppm = (request.sampling.top_p_ppm / 10 * TENTHS).max(1);
            let narrower = SamplingParams { top_p_ppm, ..request.sampling };
            draw(surprisals, &narrower, run_seed, position)
        })
    }
}
