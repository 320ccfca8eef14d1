//! A synthetic model with a head: an executor's body errs by a little, and so do both passes of the validator.

use std::sync::LazyLock;

use assay_common::artifact::Artifact;
use assay_common::digest::sha256;
use assay_common::ids::{Digest, RunSeed};
use assay_common::judge::whitening::{whiten, Passes, State};
use assay_common::judge::{measure_reference, Distribution, Measurement};
use assay_common::row::{encode_leaf, Entry};
use assay_common::sampler::{sample_full, top_candidates, SamplingParams, MAX_CANDIDATES};
use assay_common::session::{prompt_digest, ModelSpec, NumericScheme, Request};

pub const VOCABULARY: u32 = 600;
pub const TOKENS: u32 = 24;
/// More than the tokens that are compared, as in any real model.
const HIDDEN: usize = 48;
/// By how much the validator's second pass errs, as a share of what an honest executor of the louder cell errs by.
const SECOND_NOISE: f64 = 0.006;

pub type Hidden = [f64; HIDDEN];

/// Uniform in [−1, 1].
fn uniform(name: &str, numbers: [u64; 3]) -> f64 {
    let bytes = numbers.map(u64::to_le_bytes).concat();
    let hash = sha256(&[name.as_bytes(), &bytes]);
    f64::from(u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])) / f64::from(u32::MAX) * 2.0 - 1.0
}

static HEAD: LazyLock<Vec<Hidden>> = LazyLock::new(|| {
    (0..u64::from(VOCABULARY))
        .map(|token| std::array::from_fn(|at| uniform("head", [token, at as u64, 0])))
        .collect()
});

/// The final hidden state of a position, with noise from a stream of this name; positions differ threefold in how
/// sensitive they are, for everybody alike.
pub fn hidden(answer: u64, position: u32, name: &str, noise: f64) -> Hidden {
    let place = u64::from(position);
    let sensitivity = uniform("sensitivity", [answer, place, 0]).exp();
    std::array::from_fn(|at| {
        let exact = 1.4 * uniform("state", [answer, place, at as u64]);
        exact + noise * sensitivity * uniform(name, [answer, place, at as u64])
    })
}

pub fn log_probabilities(hidden: &Hidden) -> Vec<f32> {
    let logit = |row: &Hidden| row.iter().zip(hidden).map(|(e, h)| e * h).sum::<f64>();
    let logits: Vec<f64> = HEAD.iter().map(logit).collect();
    let total = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
    logits.iter().map(|logit| (logit - total) as f32).collect()
}

pub fn surprisals(log_probabilities: &[f32]) -> Vec<u32> {
    let bits = |log: &f32| ((-f64::from(*log) / std::f64::consts::LN_2 * 256.0).round() as u32).min(16_384);
    log_probabilities.iter().map(bits).collect()
}

pub fn spec() -> ModelSpec {
    let weights = Digest([2; 32]);
    let constants = Digest([3; 32]);
    ModelSpec {
        name: "synthetic".into(),
        weights,
        scheme: NumericScheme::Bf16F32,
        constants,
        vocabulary: VOCABULARY,
    }
}

pub fn seed(answer: u64) -> RunSeed {
    RunSeed(sha256(&[b"seed", &answer.to_le_bytes()]))
}

/// An answer drawn from what `signed` says of each position: the candidates, in order.
pub fn answer(number: u64, signed: impl Fn(u32) -> Vec<Entry>) -> Artifact {
    answer_at(number, SamplingParams::OPEN, signed)
}

/// As [`answer`], drawn in this way.
pub fn answer_at(number: u64, sampling: SamplingParams, signed: impl Fn(u32) -> Vec<Entry>) -> Artifact {
    let (salt, prompt) = ([7; 32], vec![1, 2, 3]);
    let (mut tokens, mut leaves) = (Vec::new(), Vec::new());
    for position in 0..TOKENS {
        let row = sample_full(&signed(position), &sampling, &seed(number), position).expect("candidates").row;
        tokens.push(row.token.0);
        leaves.push(encode_leaf(position, &row));
    }
    let prompt_digest = prompt_digest(&salt, &prompt);
    let request = Request {
        model: spec().digest(),
        sampling,
        max_new: TOKENS,
        stop_ids: Vec::new(),
        prompt: prompt_digest,
    };
    Artifact { request, salt, prompt, tokens, leaves }
}

pub fn candidates(log_probabilities: &[f32]) -> Vec<Entry> {
    top_candidates(&surprisals(log_probabilities), MAX_CANDIDATES)
}

/// The answer of an executor whose body errs by `noise`.
pub fn plain_answer(number: u64, noise: f64) -> Artifact {
    answer(number, |position| candidates(&log_probabilities(&hidden(number, position, "executor", noise))))
}

/// What a juror of the true model measures.
pub fn measured(number: u64, artifact: &Artifact) -> Measurement {
    measured_under(number, artifact, &seed(number))
}

/// As [`measured`], where the session's seed is this one.
pub fn measured_under(number: u64, artifact: &Artifact, seed: &RunSeed) -> Measurement {
    let rows = artifact.rows(VOCABULARY).expect("well formed");
    let mut measurement = Measurement::default();
    for (position, row) in (0u32..).zip(&rows) {
        let states = [("reference", 0.0), ("second", SECOND_NOISE)]
            .map(|(name, noise)| hidden(number, position, name, noise));
        let [reference, second] = states.map(|state| log_probabilities(&state));
        let surprisals = surprisals(&reference);
        let distribution = Distribution { surprisals: &surprisals, log_probabilities: &reference };
        let sampling = &artifact.request.sampling;
        let referenced = measure_reference(row, position, distribution, sampling, seed);
        let at = |logs: &[f32]| -> Vec<f32> {
            referenced.compared.iter().map(|entry| logs[entry.token.0 as usize]).collect()
        };
        let passes = Passes {
            reference: &at(&reference),
            second: &at(&second),
            gram: &gram(&referenced.compared),
            state: state(&states, &reference),
        };
        measurement.whitened.push(whiten(&referenced.compared, &passes).expect("finite numbers"));
        measurement.positions.push(referenced.position);
        measurement.comparators.push(referenced.comparators);
    }
    measurement
}

fn gram(compared: &[Entry]) -> Vec<f32> {
    let rows = || compared.iter().map(|entry| HEAD[entry.token.0 as usize]);
    let product = |a: Hidden, b: Hidden| a.iter().zip(&b).map(|(a, b)| a * b).sum::<f64>() / HIDDEN as f64;
    rows().flat_map(|a| rows().map(move |b| product(a, b) as f32)).collect()
}

fn state([reference, second]: &[Hidden; 2], log_probabilities: &[f32]) -> State {
    let entropy = log_probabilities.iter().map(|log| f64::from(*log)).map(|log| -log * log.exp()).sum();
    State {
        difference_square: reference.iter().zip(second).map(|(v, u)| (u - v).powi(2)).sum(),
        reference_square: reference.iter().map(|v| v * v).sum(),
        entropy,
        top_logit: f64::from(log_probabilities.iter().copied().fold(f32::NEG_INFINITY, f32::max)),
    }
}
