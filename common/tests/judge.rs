//! The judge on whole answers of a synthetic model: what an honest executor, a coarser one and several cheats look like.

#[path = "judge/synthetic.rs"]
mod synthetic;
#[path = "judge/two_pass.rs"]
mod two_pass;
#[path = "judge/vectors.rs"]
mod vectors;

use assay_common::artifact::Artifact;
use assay_common::digest::sha256;
use assay_common::ids::{Digest, RunSeed};
use assay_common::judge::{calibrate, judge, measure, Calibration, Cell, HonestRun, Measurement, Report};
use assay_common::row::encode_leaf;
use assay_common::sampler::{sample_full, top_candidates, SamplingParams, MAX_CANDIDATES};
use assay_common::session::{constants_digest, prompt_digest, ModelSpec, NumericScheme, Request};
use assay_common::verdict::{InvalidReason, Outcome};
use std::sync::LazyLock;

const VOCABULARY: u32 = 2_000;
const TOKENS: u32 = 24;
const STOP: u32 = VOCABULARY - 1;

/// Natural log-probabilities of a position: Zipf-like, shuffled by the position, each logit moved by up to `noise` nats.
fn log_probabilities(answer: u64, position: u32, noise: f64) -> Vec<f32> {
    let logits: Vec<f64> = (0..VOCABULARY)
        .map(|token| {
            let hash = sha256(&[&answer.to_le_bytes(), &position.to_le_bytes(), &token.to_le_bytes()]);
            let rank = u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]) % VOCABULARY;
            let wobble = f64::from(hash[4]) / 127.5 - 1.0;
            -1.3 * f64::from(rank + 1).ln() + noise * wobble
        })
        .collect();
    let total = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
    logits.iter().map(|logit| (logit - total) as f32).collect()
}

fn surprisals(log_probabilities: &[f32]) -> Vec<u32> {
    let bits = |log: &f32| (-f64::from(*log) / std::f64::consts::LN_2 * 256.0).round() as u32;
    log_probabilities.iter().map(bits).collect()
}

fn sampling(temperature_milli: u32) -> SamplingParams {
    SamplingParams { temperature_milli, ..SamplingParams::OPEN }
}

/// An answer of the model with this much noise in its logits, drawn under `seed`.
fn answer(number: u64, noise: f64, seed: &RunSeed, sampling: SamplingParams) -> Artifact {
    let (salt, prompt) = ([7; 32], vec![1, 2, 3]);
    let (mut tokens, mut leaves) = (Vec::new(), Vec::new());
    for position in 0..TOKENS {
        let own = surprisals(&log_probabilities(number, position, noise));
        let candidates = top_candidates(&own, MAX_CANDIDATES);
        let row = sample_full(&candidates, &sampling, seed, position).expect("parameters in range").row;
        tokens.push(row.token.0);
        leaves.push(encode_leaf(position, &row));
    }
    let request = Request {
        model: spec().digest(),
        sampling,
        max_new: TOKENS,
        stop_ids: vec![STOP],
        prompt: prompt_digest(&salt, &prompt),
    };
    Artifact { request, salt, prompt, tokens, leaves }
}

fn spec() -> ModelSpec {
    ModelSpec {
        name: "synthetic".into(),
        weights: Digest([1; 32]),
        scheme: NumericScheme::Bf16F32,
        constants: constants_digest("synthetic", &[]),
        vocabulary: VOCABULARY,
    }
}

/// What a juror with the true model measures.
fn measured(number: u64, artifact: &Artifact, seed: &RunSeed) -> Measurement {
    let rows = artifact.rows(VOCABULARY).expect("well formed");
    let positions = (0u32..).zip(&rows).map(|(position, row)| {
        let own = log_probabilities(number, position, 0.0);
        measure(row, position, &surprisals(&own), &own, &artifact.request.sampling, seed)
    });
    Measurement { positions: positions.collect(), probes: Vec::new() }
}

fn seed(number: u64) -> RunSeed {
    RunSeed(sha256(&[b"seed", &number.to_le_bytes()]))
}

static CALIBRATION: LazyLock<Calibration> = LazyLock::new(|| {
    let honest = (0..40u64).map(|number| {
        let artifact = answer(number, 1e-6, &seed(number), sampling(1_000));
        HonestRun { prompt: number as usize, measurement: measured(number, &artifact, &seed(number)) }
    });
    let cell = Cell { engine: "synthetic".into(), device: "none".into() };
    calibrate(spec(), cell, &honest.collect::<Vec<_>>()).expect("forty honest answers")
});

fn report(number: u64, artifact: &Artifact, seed: &RunSeed) -> Report {
    let rows = artifact.rows(VOCABULARY).expect("well formed");
    judge(artifact, &rows, seed, &measured(number, artifact, seed), &CALIBRATION)
}

fn invalid(reason: InvalidReason) -> Outcome {
    Outcome::Invalid { reason }
}

#[test]
fn honest_answers_that_were_not_calibrated_on_are_valid_at_every_temperature() {
    for number in 100..130 {
        for temperature in [0, 700, 1_000] {
            let artifact = answer(number, 1e-6, &seed(number), sampling(temperature));
            let report = report(number, &artifact, &seed(number));
            assert_eq!(report.outcome, Outcome::Valid, "{report}");
            assert_eq!(report.perplexity.is_none(), temperature == 0);
        }
    }
}

#[test]
fn a_model_a_few_percent_off_replays_and_fails_by_its_distance() {
    for number in 200..210 {
        let artifact = answer(number, 0.05, &seed(number), sampling(1_000));
        let report = report(number, &artifact, &seed(number));
        assert_eq!(report.replay_mismatches, 0);
        assert_eq!(report.outcome, invalid(InvalidReason::Distance), "{report}");
    }
}

#[test]
fn another_seed_fails_by_replay_though_every_number_is_true() {
    let artifact = answer(300, 1e-6, &seed(300), sampling(1_000));
    let report = report(300, &artifact, &seed(301));
    assert!(report.distance.passes());
    assert!(report.replay_mismatches > 0);
    assert_eq!(report.outcome, invalid(InvalidReason::Replay));
}

#[test]
fn a_pre_filled_answer_fails_by_replay_and_its_perplexity_is_high() {
    let (cheap, mut claimed) =
        (answer(400, 2.0, &seed(400), sampling(1_000)), answer(400, 1e-6, &seed(400), sampling(1_000)));
    for (position, token) in (0u32..).zip(&cheap.tokens) {
        let mut row = claimed.rows(VOCABULARY).expect("well formed").remove(position as usize);
        row.token.0 = *token;
        claimed.leaves[position as usize] = encode_leaf(position, &row);
        claimed.tokens[position as usize] = *token;
    }
    let report = report(400, &claimed, &seed(400));
    assert_eq!(report.outcome, invalid(InvalidReason::Replay), "{report}");
    assert!(report.perplexity.is_some_and(|check| check.value > 0.4), "{report}");
}

#[test]
fn an_answer_must_end_at_its_first_stop_token_or_at_the_limit() {
    let whole = answer(500, 1e-6, &seed(500), sampling(1_000));
    let mut early = whole.clone();
    early.tokens.truncate(10);
    early.leaves.truncate(10);
    assert_eq!(report(500, &early, &seed(500)).outcome, invalid(InvalidReason::End));
    let mut stops = early.clone();
    stops.request.stop_ids = vec![stops.tokens[9]];
    let first = stops.tokens.iter().position(|token| *token == stops.tokens[9]);
    let expected = if first == Some(9) { Outcome::Valid } else { invalid(InvalidReason::End) };
    assert_eq!(report(500, &stops, &seed(500)).outcome, expected);
    let mut beyond = whole;
    beyond.request.stop_ids = vec![beyond.tokens[3]];
    assert_eq!(report(500, &beyond, &seed(500)).outcome, invalid(InvalidReason::End));
}

#[test]
fn a_temperature_that_is_not_the_requested_one_fails_by_replay() {
    let mut artifact = answer(600, 1e-6, &seed(600), sampling(500));
    artifact.request.sampling = sampling(1_500);
    let report = report(600, &artifact, &seed(600));
    assert_eq!(report.outcome, invalid(InvalidReason::Replay), "{report}");
}
