//! The model against independent implementations: transformers for the numbers, SentencePiece for the token
//! ids.
//!
//! The vectors in `src/model/testdata` come from `scripts/peers/transformers_vector.py`.

#[path = "model/gguf.rs"]
mod gguf;
#[path = "model/passes.rs"]
mod passes;
#[path = "model/schemes.rs"]
mod schemes;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use assay_common::penalties::Penalties;
use assay_common::session::NumericScheme;
use assay_sidecar::model::surprisal::{most_probable, Distribution, CAP};
use assay_sidecar::model::{Arithmetic, DeviceChoice, Forced, Model, ModelError, Numerics, Opening};
use serde::Deserialize;
use tch::Tensor;

const WEIGHTS_SHA256: &str = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818";

fn model_path() -> PathBuf {
    let path = std::env::var_os("ASSAY_MODEL").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var_os("HOME").expect("HOME is set");
        PathBuf::from(home).join(".cache/assay/models/gemma-3-270m-q4_k_m.gguf")
    });
    assert!(path.is_file(), "no model at {}: run scripts/model, or set ASSAY_MODEL", path.display());
    path
}

fn load(scheme: NumericScheme) -> Model {
    Model::load(&model_path(), scheme, DeviceChoice::Cpu, Some(1)).expect("the model loads")
}

/// One copy of the weights for all tests, one test at a time on it; it computes as scheme bf16_f32 does.
fn model() -> MutexGuard<'static, Model> {
    static MODEL: OnceLock<Mutex<Model>> = OnceLock::new();
    let load = || Mutex::new(load(NumericScheme::Bf16F32));
    // Whatever a failed test that held the model left of it.
    let mut model = MODEL.get_or_init(load).lock().unwrap_or_else(PoisonError::into_inner);
    model.execute_as(Numerics::executing(NumericScheme::Bf16F32));
    model
}

/// The same, but it generates without any rounding below f32: what depends on batch, padding or positions then shows as an
/// error of the code, where rounding to bf16 would make noise of it.
fn unrounded_model() -> MutexGuard<'static, Model> {
    let mut model = model();
    model.execute_as(UNROUNDED);
    model
}

const UNROUNDED: Numerics = Numerics {
    arithmetic: Arithmetic::F32,
    attention: assay_sidecar::model::AttentionKernel::Fused,
    rounds_logits: false,
    cache: assay_sidecar::model::CachePrecision::Whole,
};

fn forced<'a>(prompt: &'a [u32], tokens: &'a [u32]) -> Forced<'a> {
    Forced { prompt, tokens, penalties: Penalties::NONE }
}

#[derive(Deserialize)]
struct GemmaVector {
    weights_sha256: String,
    texts: Vec<GemmaText>,
}

#[derive(Deserialize)]
struct GemmaText {
    name: String,
    text: String,
    ids: Vec<u32>,
    log_probs: Vec<f32>,
    top_ids: Vec<Vec<u32>>,
    top_log_probs: Vec<Vec<f32>>,
    bf16_top_log_probs: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct TokenizerVector {
    weights_sha256: String,
    texts: Vec<TokenizerText>,
}

#[derive(Deserialize)]
struct TokenizerText {
    text: String,
    ids: Vec<u32>,
}

fn gemma_vector() -> GemmaVector {
    serde_json::from_str(include_str!("../src/model/testdata/gemma_vector.json")).expect("a valid vector")
}

fn tokenizer_vector() -> TokenizerVector {
    serde_json::from_str(include_str!("../src/model/testdata/tokenizer_vector.json")).expect("a valid vector")
}

#[test]
fn log_probabilities_match_transformers() {
    let (model, vector) = (model(), gemma_vector());
    assert_eq!(vector.weights_sha256, WEIGHTS_SHA256);
    let mut positions = 0;
    for text in &vector.texts {
        let mut worst = 0f32;
        model
            .score_with(&forced(&text.ids[..1], &text.ids[1..]), UNROUNDED, |row| {
                let at = row.position as usize;
                worst = worst.max((row.log_probs[row.token as usize] - text.log_probs[at]).abs());
                for (id, reference) in text.top_ids[at].iter().zip(&text.top_log_probs[at]) {
                    worst = worst.max((row.log_probs[*id as usize] - reference).abs());
                }
                let [first, second] = [text.top_log_probs[at][0], text.top_log_probs[at][1]];
                if first - second > 0.01 {
                    assert_eq!(row.top(1)[0].id, text.top_ids[at][0], "argmax of {} at {at}", text.name);
                }
                positions += 1;
            })
            .expect("the vector's texts are scored");
        println!("{}: {} positions, largest difference {worst:.1e} nats", text.name, text.log_probs.len());
        assert!(worst <= 2e-4, "{}: {worst:.1e} nats from transformers", text.name);
    }
    assert!(positions > 900 && vector.texts.iter().any(|text| text.ids.len() > 512 + 200));
}

#[test]
fn token_ids_match_sentencepiece_and_decode_to_the_text() {
    let (model, vector) = (model(), tokenizer_vector());
    assert_eq!(vector.weights_sha256, WEIGHTS_SHA256);
    let long = gemma_vector().texts.into_iter().map(|text| TokenizerText { text: text.text, ids: text.ids });
    for TokenizerText { text, ids } in vector.texts.into_iter().chain(long) {
        assert_eq!(model.tokenizer().encode(&text).expect("encodes"), ids, "ids of {text:?}");
        // SentencePiece itself cannot tell its stand-in for a space from a space.
        let expected = text.replace('\u{2581}', " ");
        assert_eq!(model.tokenizer().decode(&ids).expect("decodes"), expected, "text of {ids:?}");
    }
}

#[test]
fn control_tokens_and_broken_characters_decode_without_harm() {
    let model = model();
    let tokenizer = model.tokenizer();
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(2), Some(1)));
    assert_eq!(tokenizer.decode(&[2, 9259, 1]).expect("decodes"), "Hello");
    // 482 is the byte F0, the start of a character that never ends.
    assert_eq!(tokenizer.decode(&[482, 9259]).expect("decodes"), "\u{fffd}Hello");
    assert!(tokenizer.decode(&[262_144]).is_err());
}

#[test]
fn the_loaded_file_is_the_pinned_one() {
    let model = model();
    let digest = model.spec().weights.to_string();
    assert_eq!(digest, WEIGHTS_SHA256);
    assert_eq!((model.vocabulary(), model.tokenizer().vocabulary()), (262_144, 262_144));
    assert_eq!((model.config().layers, model.config().window), (18, 512));
    assert!(model.device().starts_with("cpu"), "{}", model.device());
}

#[test]
fn another_digest_is_refused_with_both() {
    let error =
        Model::load_pinned(&model_path(), &[[0xab; 32]], NumericScheme::Bf16, DeviceChoice::Cpu, None)
            .err()
            .expect("refused");
    let message = error.to_string();
    assert!(message.contains(WEIGHTS_SHA256) && message.contains(&"ab".repeat(32)), "{message}");
}

/// Prompts of lengths 1 to 40 out of a text of the vector.
fn prompts(lengths: &[usize]) -> Vec<Vec<u32>> {
    let ids = &gemma_vector().texts[0].ids;
    lengths.iter().enumerate().map(|(i, length)| ids[i..i + length].to_vec()).collect()
}

/// Something like sampling, reproducible and different for each sequence: one of the four most probable.
fn pick(sequence: usize, position: u32, surprisals: &[u32]) -> u32 {
    most_probable(surprisals, 4)[(sequence * 7 + position as usize * 5) % 4].1
}

/// Surprisal rows that a decoding run saw, by sequence and position.
type Rows = Vec<Vec<Vec<u32>>>;

fn openings<'a>(prompts: &'a [Vec<u32>], max_new: &[usize]) -> Vec<Opening<'a>> {
    let pairs = prompts.iter().zip(max_new);
    pairs.map(|(prompt, max_new)| Opening { prompt, max_new: *max_new, penalties: Penalties::NONE }).collect()
}

fn decode(model: &Model, prompts: &[Vec<u32>], max_new: &[usize], names: &[usize]) -> (Vec<Vec<u32>>, Rows) {
    let mut rows: Rows = vec![Vec::new(); prompts.len()];
    let outputs = model
        .generate(&openings(prompts, max_new), &[], |sequence, position, surprisals| {
            assert_eq!(rows[sequence].len(), position as usize);
            rows[sequence].push(surprisals.to_vec());
            pick(names[sequence], position, surprisals)
        })
        .expect("the batch decodes");
    (outputs, rows)
}

/// How often two runs differ by 0, 1 and more steps of 1/256 bit, over the 20 most probable and over the
/// vocabulary.
#[derive(Debug, Default)]
struct Differences {
    top: [usize; 3],
    all: [usize; 3],
}

impl Differences {
    fn add(&mut self, a: &[u32], b: &[u32]) {
        for (_, id) in most_probable(a, 20) {
            self.top[a[id as usize].abs_diff(b[id as usize]).min(2) as usize] += 1;
        }
        for (a, b) in a.iter().zip(b) {
            self.all[a.abs_diff(*b).min(2) as usize] += 1;
        }
    }

    /// Rounding noise moves a value over the border between two steps now and then, never further.
    fn assert_noise(&self, what: &str) {
        println!("{what}: {self:?}");
        let count: usize = self.all.iter().sum();
        assert!(count > 0);
        assert_eq!((self.top[2], self.all[2]), (0, 0), "{what}: more than one step apart");
        assert!(self.all[1] * 50 <= count, "{what}: {} of {count} differ", self.all[1]);
    }
}

#[test]
fn batched_decoding_sees_what_prefill_sees() {
    let model = unrounded_model();
    let prompts = prompts(&[24, 1, 40, 7, 24, 13]);
    let (outputs, rows) = decode(&model, &prompts, &[8, 6, 4, 8, 1, 8], &[0, 1, 2, 3, 4, 5]);
    let mut differences = Differences::default();
    for ((prompt, output), rows) in prompts.iter().zip(&outputs).zip(&rows) {
        model
            .score_with(&forced(prompt, output), UNROUNDED, |row| {
                differences.add(&rows[row.position as usize], row.surprisals);
            })
            .expect("scores");
    }
    assert_eq!(outputs.iter().map(Vec::len).collect::<Vec<_>>(), [8, 6, 4, 8, 1, 8]);
    differences.assert_noise("decoding and prefill");
}

#[test]
fn decoding_beyond_the_sliding_window_sees_what_prefill_sees() {
    let model = unrounded_model();
    let long = &gemma_vector().texts[2].ids;
    // The short row's padding is longer than the window; the long one leaves the window while decoding.
    let prompts = [long[..3].to_vec(), long[..540].to_vec(), long[..510].to_vec()];
    let (outputs, rows) = decode(&model, &prompts, &[4, 4, 4], &[0, 1, 2]);
    let mut differences = Differences::default();
    for ((prompt, output), rows) in prompts.iter().zip(&outputs).zip(&rows) {
        model
            .score_with(&forced(prompt, output), UNROUNDED, |row| {
                differences.add(&rows[row.position as usize], row.surprisals);
            })
            .expect("scores");
    }
    differences.assert_noise("decoding and prefill beyond the window");
}

#[test]
fn a_sequence_in_a_batch_equals_the_sequence_alone() {
    let model = unrounded_model();
    let prompts = prompts(&[30, 5, 17, 24]);
    let (together, together_rows) = decode(&model, &prompts, &[5, 2, 6, 4], &[0, 1, 2, 3]);
    let mut differences = Differences::default();
    for (sequence, (length, max_new)) in [(30, 5), (5, 2), (17, 6), (24, 4)].into_iter().enumerate() {
        assert_eq!(prompts[sequence].len(), length);
        let alone = decode(&model, &prompts[sequence..=sequence], &[max_new], &[sequence]);
        assert_eq!(alone.0[0], together[sequence], "tokens of sequence {sequence}");
        for (a, b) in alone.1[0].iter().zip(&together_rows[sequence]) {
            differences.add(a, b);
        }
    }
    differences.assert_noise("in a batch and alone");
}

#[test]
fn generation_stops_at_stop_tokens_and_limits() {
    let model = model();
    let prompts = prompts(&[4, 9, 6]);
    let mut asked = Vec::new();
    let outputs = model
        .generate(&openings(&prompts, &[5, 0, 3]), &[77], |sequence, position, _| {
            asked.push((sequence, position));
            if (sequence, position) == (0, 1) {
                77
            } else {
                500 + position
            }
        })
        .expect("generates");
    assert_eq!(outputs, [vec![500, 77], vec![], vec![500, 501, 502]]);
    assert_eq!(asked, [(0, 0), (2, 0), (0, 1), (2, 1), (2, 2)]);
    assert_eq!(model.generate(&[], &[], |_, _, _| 0).expect("an empty batch"), Vec::<Vec<u32>>::new());
}

#[test]
fn bad_input_is_refused_by_name() {
    let model = model();
    let nobody = |_: usize, _: u32, _: &[u32]| -> u32 { panic!("not asked") };
    assert!(matches!(model.score(&[], &[1]), Err(ModelError::EmptyPrompt)));
    assert!(matches!(model.score(&[2, 262_144], &[1]), Err(ModelError::OutOfVocabulary { position: 1, .. })));
    assert!(matches!(
        model.score(&[2], &[5, u32::MAX]),
        Err(ModelError::OutOfVocabulary { id: u32::MAX, .. })
    ));
    assert!(matches!(
        model.score(&[2; 20_000], &[5; 20_000]),
        Err(ModelError::TooLong { length: 40_000, .. })
    ));
    assert!(model.score(&[2], &[]).expect("nothing to score").is_empty());
    let opening = |prompt, max_new| [Opening { prompt, max_new, penalties: Penalties::NONE }];
    assert!(matches!(model.generate(&opening(&[], 1), &[], nobody), Err(ModelError::EmptyPrompt)));
    assert!(matches!(
        model.generate(&opening(&[2], usize::MAX), &[], nobody),
        Err(ModelError::TooLong { .. })
    ));
    assert!(matches!(
        model.generate(&opening(&[2], 2), &[], |_, _, _| 262_144),
        Err(ModelError::OutOfVocabulary { id: 262_144, .. })
    ));
}

#[test]
fn mapped_projections_change_the_model_and_a_wrong_shape_is_refused() {
    let mut model = model();
    let (prompt, tokens) = ([2u32, 9259, 236_764], [1902u32, 236_888]);
    let before = model.score(&prompt, &tokens).expect("scores");
    model.map_projections(|weight| weight.f_mul_scalar(2.0)).expect("maps");
    let doubled = model.score(&prompt, &tokens).expect("scores");
    let error = model.map_projections(|weight| weight.f_narrow(0, 0, 1));
    model.map_projections(|weight| weight.f_mul_scalar(0.5)).expect("maps");
    let after = model.score(&prompt, &tokens).expect("scores");
    assert!(matches!(error, Err(ModelError::Mapped { .. })));
    assert_ne!(before, doubled);
    assert_eq!(before, after, "doubling and halving are exact");
}

#[test]
fn surprisals_are_rounded_bits_with_a_cap() {
    let mut distribution = Distribution::default();
    // Probabilities 1/2, 1/4, 1/8, 1/8 and one far below 2⁻⁶⁴.
    let bits = [1.0f32, 2.0, 3.0, 3.0, 200.0];
    let logits: Vec<f32> = bits.iter().map(|bits| 7.0 - bits * std::f32::consts::LN_2).collect();
    distribution.fill_both(Tensor::from_slice(&logits)).expect("finite");
    assert_eq!(distribution.surprisals, [256, 512, 768, 768, CAP]);
    assert!((distribution.log_probs[1] - 0.25f32.ln()).abs() < 1e-6);
    assert_eq!(most_probable(&distribution.surprisals, 3), [(256, 0), (512, 1), (768, 2)]);
    assert_eq!(most_probable(&distribution.surprisals, 9).len(), 5);
    assert!(most_probable(&distribution.surprisals, 0).is_empty());
}

#[test]
fn a_logit_that_is_not_finite_is_an_error() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let filled = Distribution::default().fill(Tensor::from_slice(&[0.5, bad, 1.0]));
        assert!(matches!(filled, Err(ModelError::NotFinite)), "{bad}");
    }
}

#[test]
fn a_gpu_that_is_absent_is_an_error_and_never_the_cpu() {
    let error = DeviceChoice::Cuda(4096).open().expect_err("no machine has so many").to_string();
    assert!(error.contains("cuda:4096 was asked for"), "{error}");
    for name in ["gpu", "cuda", "cuda:", "cuda:-1", "CPU", ""] {
        let error = name.parse::<DeviceChoice>().expect_err(name).to_string();
        assert!(error.contains("`cuda:N`"), "{error}");
    }
    for name in ["cpu", "cuda:3", "auto"] {
        assert_eq!(name.parse::<DeviceChoice>().expect(name).to_string(), name);
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_with_its_path() {
    let load = |threads| {
        let (scheme, device) = (NumericScheme::Bf16F32, DeviceChoice::Cpu);
        Model::load("/nonexistent/model.gguf".as_ref(), scheme, device, threads).err()
    };
    let error = load(None).expect("refused");
    assert!(error.to_string().contains("/nonexistent/model.gguf"), "{error}");
    let threads = load(Some(0));
    assert!(matches!(threads, Some(ModelError::Threads { threads: 0 })));
}
