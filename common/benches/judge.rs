//! What judging costs a token beside the model: `cargo bench -p assay-common --features judge --profile dev --bench judge`
//! (the profile that the local net runs in; in it this crate is fully optimised).

use std::hint::black_box;
use std::time::{Duration, Instant};

use assay_common::digest::sha256;
use assay_common::ids::RunSeed;
use assay_common::judge::distance::normalised;
use assay_common::judge::statistic::{Moments, Predictor, Scorer, Statistic, TERMS};
use assay_common::judge::whitening::{compared, whiten, Passes, State, FEATURES};
use assay_common::judge::{measure_reference, Distribution};
use assay_common::replay::{replay, Replay};
use assay_common::row::{Entry, Row, LISTED};
use assay_common::sampler::{sample_full, top_candidates, SamplingParams, MAX_CANDIDATES};

/// The vocabulary of the model that the local net runs.
const VOCABULARY: u32 = 262_144;
/// Positions that are measured in turn, so that no single row stays in the cache.
const POSITIONS: usize = 16;
const ROUND: Duration = Duration::from_millis(400);
const ROUNDS: usize = 5;
/// Goal for what the statistics cost; the walks over the vocabulary and its candidates' noise are told beside it.
const GOAL_MICROS: f64 = 20.0;

struct Subject {
    position: u32,
    row: Row,
    own: Vec<Entry>,
    surprisals: Vec<u32>,
    log_probabilities: Vec<f32>,
    compared: Vec<Entry>,
    reference: Vec<f32>,
    second: Vec<f32>,
    gram: Vec<f32>,
}

const SEED: RunSeed = RunSeed([9; 32]);
const SAMPLING: SamplingParams = SamplingParams { top_k: LISTED as u32, ..SamplingParams::OPEN };

fn uniform(name: &str, numbers: [u32; 2]) -> f32 {
    let hash = sha256(&[name.as_bytes(), &numbers[0].to_le_bytes(), &numbers[1].to_le_bytes()]);
    u32::from_le_bytes([hash[0], hash[1], hash[2], 0]) as f32 / (1 << 24) as f32
}

fn subject(position: u32) -> Subject {
    let logit = |token: u32| {
        -3.0 * (1.0 + (token ^ 0x2_a5a5) as f32).ln() / 2.0 + uniform("logit", [position, token / 64])
    };
    let logits: Vec<f32> = (0..VOCABULARY).map(logit).collect();
    let total = logits.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln() as f32;
    let log_probabilities: Vec<f32> = logits.iter().map(|logit| logit - total).collect();
    let bits = |log: &f32| ((-f64::from(*log) / std::f64::consts::LN_2 * 256.0).round() as u32).min(16_384);
    let surprisals: Vec<u32> = log_probabilities.iter().map(bits).collect();
    let own = top_candidates(&surprisals, MAX_CANDIDATES);
    let row = sample_full(&own, &SAMPLING, &SEED, position).expect("parameters in range").row;
    let compared = compared(&row, &own);
    let k = compared.len();
    let head: Vec<f32> = (0..k as u32 * 64).map(|at| uniform("head", [position, at]) - 0.5).collect();
    let product =
        |i: usize, j: usize| (0..64).map(|at| head[64 * i + at] * head[64 * j + at]).sum::<f32>() / 64.0;
    let gram = (0..k * k).map(|at| product(at / k, at % k)).collect();
    let reference: Vec<f32> = compared
        .iter()
        .map(|entry| {
            log_probabilities[entry.token.0 as usize] + 0.01 * uniform("v", [position, entry.token.0])
        })
        .collect();
    let second =
        reference.iter().zip(0u32..).map(|(v, at)| v + 0.02 * uniform("u", [position, at])).collect();
    Subject { position, row, own, surprisals, log_probabilities, compared, reference, second, gram }
}

fn scorer() -> Scorer {
    let unit = Moments { mean: 0.0, sd: 1.0 };
    let predictor = Predictor { features: [unit; FEATURES], weights: [0.01; TERMS] };
    Scorer { predictor, magnitude: unit, direction: unit }
}

/// The least mean time of a call over several rounds, in microseconds.
fn micros(subjects: &[Subject], mut call: impl FnMut(&Subject)) -> f64 {
    let mut round = || {
        let (start, mut calls) = (Instant::now(), 0u32);
        while start.elapsed() < ROUND {
            subjects.iter().for_each(&mut call);
            calls += subjects.len() as u32;
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

fn machine() -> String {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{}, {cores} cores", model.map_or(std::env::consts::ARCH, |(_, name)| name))
}

fn main() {
    let subjects: Vec<Subject> = (0..POSITIONS as u32).map(subject).collect();
    let scorer = scorer();
    let state = State { difference_square: 0.3, reference_square: 400.0, entropy: 3.0, top_logit: 20.0 };
    let whitened = micros(&subjects, |subject| {
        let Subject { compared, reference, second, gram, .. } = subject;
        let position = whiten(compared, &Passes { reference, second, gram, state }).expect("finite numbers");
        black_box((scorer.value(Statistic::Directed, &position), scorer.is_far(&position)));
    });
    let distance = micros(&subjects, |subject| {
        black_box(normalised(&subject.row, &subject.own, None, &subject.log_probabilities));
    });
    let listing = micros(&subjects, |subject| {
        black_box(compared(&subject.row, &subject.own));
    });
    let replayed = micros(&subjects, |subject| {
        let replay = replay(&subject.row, subject.position, VOCABULARY, &SAMPLING, &SEED);
        assert_eq!(replay, Replay::Matches);
    });
    let walks = micros(&subjects, |subject| {
        let reference =
            Distribution { surprisals: &subject.surprisals, log_probabilities: &subject.log_probabilities };
        black_box(measure_reference(&subject.row, subject.position, reference, &SamplingParams::OPEN, &SEED));
    });
    let sorting = micros(&subjects, |subject| {
        black_box(top_candidates(&subject.surprisals, MAX_CANDIDATES));
    });
    let judging = whitened + distance + listing + replayed;
    println!("machine     {}", machine());
    println!("compared    {} tokens at a position", subjects[0].compared.len());
    println!("whitened    {whitened:.2} µs a token: whitening, s, t, far");
    println!(
        "distance    {distance:.2} µs a token: the articles'; whitened is {:.2} times it",
        whitened / distance
    );
    println!("compared    {listing:.2} µs a token: which tokens to compare");
    println!("replay      {replayed:.2} µs a token, of {LISTED} candidates");
    println!("judging     {judging:.2} µs a token, goal {GOAL_MICROS} µs");
    println!(
        "candidates  {sorting:.1} µs a token: the {MAX_CANDIDATES} best of {VOCABULARY}; not in the above"
    );
    println!("reference   {walks:.1} µs a token: these, the margin under their noise, distance, comparators");
}
