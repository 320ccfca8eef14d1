//! The numeric schemes: how far each one's honest numbers lie from its reference, from transformers and from themselves.

use assay_common::ids::RunSeed;
use assay_common::sampler::{sample_full, top_candidates, SamplingParams, MAX_CANDIDATES};
use assay_common::session::NumericScheme;
use assay_sidecar::model::surprisal::most_probable;
use assay_sidecar::model::{AttentionKernel, Model, Numerics};

use serde::Deserialize;

use super::{forced, gemma_vector, load, model, openings, prompts, GemmaText, WEIGHTS_SHA256};

/// Nats of 1/256 bit.
const NATS: f64 = std::f64::consts::LN_2 / 256.0;

/// Differences of log-probabilities in nats.
#[derive(Default)]
struct Noise {
    differences: Vec<f64>,
}

impl Noise {
    fn mean(&self) -> f64 {
        self.differences.iter().map(|difference| difference.abs()).sum::<f64>()
            / self.differences.len() as f64
    }

    /// Says it, and gives the mean.
    fn report(&self, what: &str) -> f64 {
        let mean = self.mean();
        let largest =
            self.differences.iter().fold(0.0, |largest: f64, difference| largest.max(difference.abs()));
        println!("{what}: mean {mean:.4}, largest {largest:.3} nats over {}", self.differences.len());
        mean
    }
}

/// Twelve prompts of 16 tokens, each with the leading token without which the model's numbers are far more sensitive.
fn beginnings() -> Vec<Vec<u32>> {
    let ids = &gemma_vector().texts[2].ids;
    (0..12).map(|at| [&ids[..1], &ids[1 + 60 * at..][..15]].concat()).collect()
}

/// Samples 32 tokens behind each of 12 prompts, and compares its 20 most probable with `numerics` over the same tokens.
fn executor_against(model: &Model, numerics: Numerics) -> Noise {
    let prompts = beginnings();
    let mut rows = vec![Vec::new(); prompts.len()];
    let tokens = model
        .generate(&openings(&prompts, &[32; 12]), &[], |sequence, position, surprisals| {
            rows[sequence].push(surprisals.to_vec());
            let candidates = top_candidates(surprisals, MAX_CANDIDATES);
            let seed = RunSeed([sequence as u8; 32]);
            let sampled = sample_full(&candidates, &SamplingParams::OPEN, &seed, position);
            sampled.expect("parameters in range").row.token.0
        })
        .expect("generates");
    let mut noise = Noise::default();
    for ((prompt, tokens), rows) in prompts.iter().zip(&tokens).zip(&rows) {
        model
            .score_with(&forced(prompt, tokens), numerics, |row| {
                let signed = &rows[row.position as usize];
                noise.differences.extend(most_probable(signed, 20).iter().map(|(surprisal, id)| {
                    -f64::from(*surprisal) * NATS - f64::from(row.log_probs[*id as usize])
                }));
            })
            .expect("scores");
    }
    noise
}

#[test]
fn bf16_f32_is_as_near_to_the_f32_pass_as_science_says() {
    let model = model();
    let mean = executor_against(&model, model.reference()).report("bf16_f32 decoding, against f32");
    assert!((0.008..0.020).contains(&mean), "science.md: .0128, {mean}");
}

#[test]
fn decoding_in_bf16_f32_differs_from_prefill_by_no_more_than_two_roundings() {
    let model = model();
    let against_itself =
        executor_against(&model, model.executing()).report("bf16_f32 decoding, against its own prefill");
    assert!((0.0..0.025).contains(&against_itself), "science.md: .016, {against_itself}");
}

#[test]
fn bf16_is_as_near_to_its_reference_as_science_says() {
    let model = load(NumericScheme::Bf16);
    let mean =
        executor_against(&model, model.reference()).report("bf16 decoding, against bf16 with an f32 head");
    assert!((0.03..0.07).contains(&mean), "science.md: .049 within one kernel, {mean}");
}

/// Another engine's log-probabilities for one text of the vector, at transformers' five most probable tokens.
type Theirs<'a> = &'a dyn Fn(usize, &GemmaText) -> Vec<Vec<f32>>;

/// Log-probabilities at transformers' five most probable tokens, less the other engine's.
fn against(model: &Model, numerics: Numerics, theirs: Theirs<'_>) -> Noise {
    let mut noise = Noise::default();
    for (number, text) in gemma_vector().texts.iter().enumerate() {
        let theirs = theirs(number, text);
        model
            .score_with(&forced(&text.ids[..1], &text.ids[1..]), numerics, |row| {
                let at = row.position as usize;
                let pairs = text.top_ids[at].iter().zip(&theirs[at]);
                noise.differences.extend(
                    pairs.map(|(id, log_prob)| f64::from(row.log_probs[*id as usize]) - f64::from(*log_prob)),
                );
            })
            .expect("scores");
    }
    noise
}

#[test]
fn each_scheme_is_within_its_noise_of_transformers_on_the_same_weights() {
    let exact = model();
    let pinned = exact.executing();
    let noise = against(&exact, pinned, &|_, text| text.top_log_probs.clone());
    let mean = noise.report("bf16_f32, against transformers in f32");
    assert!(mean < 0.020, "{mean}");
    drop(exact);
    let model = load(NumericScheme::Bf16);
    let native = model.executing();
    let noise = against(&model, native, &|_, text| text.bf16_top_log_probs.clone());
    let mean = noise.report("bf16, against transformers in bf16");
    assert!(mean < 0.07, "{mean}");
}

#[derive(Deserialize)]
struct LlamaVector {
    weights_sha256: String,
    texts: Vec<LlamaText>,
}

#[derive(Deserialize)]
struct LlamaText {
    name: String,
    bf16_top_log_probs: Vec<Vec<f32>>,
    bf16_f32head_top_log_probs: Vec<Vec<f32>>,
    f32_top_log_probs: Vec<Vec<f32>>,
}

#[test]
fn bf16_f32_is_within_its_noise_of_llama_cpp_on_the_same_weights() {
    let vector: LlamaVector =
        serde_json::from_str(include_str!("../../src/model/testdata/llama_vector.json"))
            .expect("a valid vector");
    assert_eq!(vector.weights_sha256, WEIGHTS_SHA256);
    let model = model();
    let text_of = |number: usize, text: &GemmaText| {
        assert_eq!(vector.texts[number].name, text.name);
        &vector.texts[number]
    };
    let exact = against(&model, super::UNROUNDED, &|n, text| text_of(n, text).f32_top_log_probs.clone());
    let exact = exact.report("f32, against llama.cpp F32 with cached f16");
    assert!(exact < 0.005, "{exact}");
    let bf16 = |n: usize, text: &GemmaText| text_of(n, text).bf16_top_log_probs.clone();
    let to_reference = against(&model, model.reference(), &bf16).report("f32, against llama.cpp BF16");
    assert!((0.005..0.020).contains(&to_reference), "science.md: .0128, {to_reference}");
    let both = against(&model, model.executing(), &bf16).report("bf16_f32, against llama.cpp BF16");
    assert!(both < 0.028, "two roundings: {both}");
    let conforming =
        against(&model, model.executing(), &|n, text| text_of(n, text).bf16_f32head_top_log_probs.clone());
    let conforming = conforming.report("bf16_f32, against llama.cpp BF16 with an f32 head");
    assert!(conforming < 0.028, "two roundings: {conforming}");
}

#[test]
fn both_attention_kernels_compute_the_same() {
    let model = model();
    let long = &gemma_vector().texts[2].ids;
    // Beyond the sliding window, and over more than one piece of queries.
    let exact = |attention| Numerics { attention, ..super::UNROUNDED };
    let mut fused = Vec::new();
    let text = forced(&long[..500], &long[500..600]);
    model
        .score_with(&text, exact(AttentionKernel::Fused), |row| fused.push(row.log_probs[row.token as usize]))
        .expect("scores");
    let mut worst = 0f32;
    model
        .score_with(&text, exact(AttentionKernel::Explicit), |row| {
            worst = worst.max((row.log_probs[row.token as usize] - fused[row.position as usize]).abs());
        })
        .expect("scores");
    println!("fused and explicit attention: largest difference {worst:.1e} nats");
    assert!(worst < 1e-4, "{worst}");
}

#[test]
fn prefilling_in_a_batch_equals_prefilling_alone() {
    let mut model = model();
    let equal = prompts(&[24, 24, 24, 24]);
    let padded = prompts(&[24, 3, 17, 24]);
    let first_rows = |model: &Model, prompts: &[Vec<u32>]| {
        let mut rows = vec![Vec::new(); prompts.len()];
        let limits = vec![1; prompts.len()];
        model
            .generate(&openings(prompts, &limits), &[], |sequence, _, surprisals| {
                rows[sequence] = surprisals.to_vec();
                0
            })
            .expect("prefills");
        rows
    };
    let alone = |model: &Model, prompts: &[Vec<u32>]| -> Vec<Vec<u32>> {
        prompts.chunks(1).flat_map(|prompt| first_rows(model, prompt)).collect()
    };
    let worst = |a: &[Vec<u32>], b: &[Vec<u32>]| {
        let pairs = a.iter().flatten().zip(b.iter().flatten());
        pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
    };
    let pinned = worst(&first_rows(&model, &equal), &alone(&model, &equal));
    println!("bf16_f32 prefill of equal lengths, in a batch and alone: {pinned}/256 bit at most");
    for numerics in [super::UNROUNDED, Numerics { attention: AttentionKernel::Explicit, ..super::UNROUNDED }]
    {
        model.execute_as(numerics);
        let steps = worst(&first_rows(&model, &padded), &alone(&model, &padded));
        assert!(steps <= 1, "{numerics:?}: {steps}/256 bit");
    }
}
