//! The published vectors, made by `scripts/peers/judge_from_spec.py` in numpy from the text of `docs/science.md`.

use std::path::Path;

use assay_common::judge::fit::fit;
use assay_common::judge::statistic::Scorer;
use assay_common::judge::whitening::{whiten, Passes, State, Whitened, FEATURES};
use assay_common::row::{Entry, Surprisal, TokenId};
use serde::de::DeserializeOwned;
use serde::Deserialize;

/// Relative, and absolute where the number is about zero.
const TOLERANCE: (f64, f64) = (1e-9, 1e-12);

#[derive(Deserialize)]
struct Vector<C, O> {
    case: C,
    outcome: O,
}

#[derive(Deserialize)]
struct WhiteningCase {
    signed: Vec<u32>,
    /// In −1/4096 nat.
    reference: Vec<u32>,
    second: Vec<u32>,
    /// Rows of i8 in 1/64, as hexadecimal digits.
    head: String,
    state: StateNumbers,
}

#[derive(Deserialize)]
struct StateNumbers {
    difference_square: f64,
    reference_square: f64,
    entropy: f64,
    top_logit: f64,
}

#[derive(Deserialize)]
struct StatisticCase {
    scorer: Scorer,
    position: Whitened,
}

#[derive(Deserialize)]
struct StatisticOutcome {
    magnitude: f64,
    directed: f64,
}

#[derive(Deserialize)]
struct FitCase {
    seed: u64,
    positions: usize,
}

fn published<C: DeserializeOwned, O: DeserializeOwned>(name: &str) -> Vec<Vector<C, O>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    let text = std::fs::read_to_string(&path).expect("the file is committed");
    let vectors: Vec<_> = serde_json::from_str(&text).expect("the file holds vectors");
    assert!(vectors.len() >= 200, "{name}: {}", vectors.len());
    vectors
}

fn assert_near(found: f64, expected: f64, place: &str) {
    let allowed = TOLERANCE.0 * expected.abs() + TOLERANCE.1;
    assert!((found - expected).abs() <= allowed, "{place}: {found} is not {expected}");
}

fn whitened(case: &WhiteningCase) -> Whitened {
    let k = case.signed.len();
    let bytes = hex::decode(&case.head).expect("hexadecimal digits");
    let head: Vec<f64> = bytes.iter().map(|byte| f64::from(byte.cast_signed()) / 64.0).collect();
    let width = head.len() / k;
    let row = |i: usize| &head[i * width..(i + 1) * width];
    // Products of multiples of 1/64 over a power of two: exact in f32.
    let product =
        |i: usize, j: usize| row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum::<f64>() / width as f64;
    let gram: Vec<f32> = (0..k * k).map(|at| product(at / k, at % k) as f32).collect();
    let nats = |numbers: &[u32]| numbers.iter().map(|number| *number as f32 / -4096.0).collect::<Vec<f32>>();
    let (reference, second) = (nats(&case.reference), nats(&case.second));
    let entry =
        |(token, surprisal): (u32, &u32)| Entry { surprisal: Surprisal(*surprisal), token: TokenId(token) };
    let signed: Vec<Entry> = (0u32..).zip(&case.signed).map(entry).collect();
    let StateNumbers { difference_square, reference_square, entropy, top_logit } = case.state;
    let state = State { difference_square, reference_square, entropy, top_logit };
    let passes = Passes { reference: &reference, second: &second, gram: &gram, state };
    whiten(&signed, &passes).expect("finite numbers")
}

/// The generator of `positions` in the script.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as f64 / 4_294_967_296.0
    }

    fn spread(&mut self, width: f64) -> f64 {
        width * (2.0 * self.next() - 1.0)
    }
}

fn honest_positions(case: &FitCase) -> Vec<Whitened> {
    let mut numbers = Numbers(case.seed);
    let position = |_| {
        let features: [f64; FEATURES] =
            std::array::from_fn(|j| numbers.spread(1.0 + j as f64) - 2.0 * j as f64);
        let direction = numbers.spread(0.9);
        let wild = if (numbers.next() * 40.0).floor() == 0.0 { 9.0 } else { 0.0 };
        let explained = 0.6 * features[0] - 0.05 * features[1].powi(2) + 0.3 * features[5];
        Whitened { log_square: explained + numbers.spread(0.8) + wild, direction, features }
    };
    (0..case.positions).map(position).collect()
}

#[test]
fn whitened_positions_are_those_of_the_other_implementation() {
    for (number, vector) in published::<WhiteningCase, Whitened>("judge/whitening.json").iter().enumerate() {
        let (found, expected) = (whitened(&vector.case), vector.outcome);
        let place = |name: &str| format!("case {number}, {name}");
        assert_near(found.log_square, expected.log_square, &place("y"));
        assert_near(found.direction, expected.direction, &place("rho"));
        for (at, (found, expected)) in found.features.iter().zip(expected.features).enumerate() {
            assert_near(*found, expected, &place(&format!("feature {at}")));
        }
    }
}

#[test]
fn statistics_are_those_of_the_other_implementation() {
    let vectors = published::<StatisticCase, StatisticOutcome>("judge/statistic.json");
    for (number, Vector { case, outcome }) in vectors.iter().enumerate() {
        assert_near(case.scorer.magnitude(&case.position), outcome.magnitude, &format!("case {number}, s"));
        assert_near(case.scorer.directed(&case.position), outcome.directed, &format!("case {number}, t"));
    }
}

#[test]
fn fits_are_those_of_the_other_implementation() {
    for (number, Vector { case, outcome }) in
        published::<FitCase, Scorer>("judge/fit.json").iter().enumerate()
    {
        let found = fit(&honest_positions(case)).expect("enough positions");
        let numbers = |scorer: &Scorer| {
            let moments = scorer.predictor.features.into_iter().chain([scorer.magnitude, scorer.direction]);
            moments.flat_map(|m| [m.mean, m.sd]).chain(scorer.predictor.weights).collect::<Vec<_>>()
        };
        for (at, (found, expected)) in numbers(&found).into_iter().zip(numbers(outcome)).enumerate() {
            assert_near(found, expected, &format!("case {number}, number {at}"));
        }
    }
}
