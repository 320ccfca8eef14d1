//! From an artifact to a line of a trace, by the functions that a juror measures with.

use std::time::Instant;

use anyhow::{Context, Result};
use assay_common::artifact::Artifact;
use assay_common::digest::tagged;
use assay_common::ids::{DrawSeed, RunSeed};
use assay_common::judge::Exact;
use assay_common::probe::places_outside;
use assay_common::sampler::SamplingParams;
use assay_common::session::{prompt_digest, Request};
use assay_sidecar::engine::Question;
use assay_sidecar::measure::{measure, measure_with_deviations, Subject};
use assay_sidecar::model::Model;

use super::super::prompts::Prompt;
use super::header::SEED_TAG;
use super::record::{Made, Record};

/// A request at temperature 1 without filters or penalties and without stop tokens, its salt and seed from the prompt's number.
///
/// # Errors
/// The tokenizer's own.
pub fn question(model: &Model, prompt: Prompt<'_>, max_new: u32) -> Result<Question> {
    let ids = model.tokenizer().encode(prompt.text)?;
    let salt = tagged("trace-salt", &prompt.number);
    let digest = prompt_digest(&salt, &ids);
    let request = Request {
        model: model.spec().digest(),
        sampling: SamplingParams::OPEN,
        max_new,
        stop_ids: Vec::new(),
        prompt: digest,
    };
    Ok(Question { request, salt, prompt: ids, run_seed: RunSeed(tagged(SEED_TAG, &prompt.number)) })
}

/// Measures an answer; `probed` asks for the deviations that a calibration's probes need.
///
/// # Errors
/// The artifact breaks a rule of the format, or the model fails.
pub fn measured(
    model: &Model,
    (prompt, question): (u64, &Question),
    artifact: &Artifact,
    generate_seconds: Option<f32>,
    probed: bool,
) -> Result<Record> {
    let vocabulary = model.spec().vocabulary;
    let rows = artifact.rows(vocabulary).with_context(|| format!("the answer to prompt {prompt}"))?;
    let (sampling, run_seed) = (question.request.sampling, question.run_seed);
    let mismatches = Exact::of(artifact, &rows, &run_seed, vocabulary).mismatches;
    let bytes = artifact.encode();
    let zstd = zstd::bulk::compress(&bytes, zstd::DEFAULT_COMPRESSION_LEVEL)?.len();
    let probes = match probed {
        true => places_outside(&DrawSeed(tagged("trace-probes", &prompt)), 0, &rows, vocabulary),
        false => Vec::new(),
    };
    let subject = Subject { prompt: question.prompt.clone(), rows, sampling, run_seed, probes };
    let began = Instant::now();
    let (measurement, deviations) = match probed {
        true => measure_with_deviations(model, &subject),
        false => measure(model, &subject).map(|measurement| (measurement, Vec::new())),
    }
    .with_context(|| format!("the answer to prompt {prompt}"))?;
    let verify_seconds = began.elapsed().as_secs_f32();
    let made = Made { prompt, bytes: bytes.len(), zstd, generate_seconds, verify_seconds };
    Ok(Record { deviations, ..Record::new(made, &measurement, mismatches) })
}
