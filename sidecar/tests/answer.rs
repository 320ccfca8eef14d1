//! The honest executor with the real model: what it signs, anybody can replay.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use assay_common::artifact::{Artifact, Commitment};
use assay_common::digest::Domain;
use assay_common::ids::{BatchRoot, InferenceId, Nonce, RunSeed, SessionId, UserSeed};
use assay_common::merkle;
use assay_common::penalties::Penalties;
use assay_common::replay::{replay, Replay};
use assay_common::sampler::SamplingParams;
use assay_common::session::{batch_leaf, inference_id, prompt_digest, run_seed, NumericScheme, Request};
use assay_sidecar::config::ModelConfig;
use assay_sidecar::engine::{Answerer, Engine, Question};
use assay_sidecar::executor::answer::{honest_factory, rows_for};
use assay_sidecar::measure::Subject;
use assay_sidecar::model::{Model, ModelError};

const PROMPTS: [&str; 3] = [
    "The capital of France is",
    "Once upon a time, in a village by the sea, there lived an old fisherman who",
    "Water boils",
];

fn model_config() -> ModelConfig {
    let path = std::env::var_os("ASSAY_MODEL").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var_os("HOME").expect("HOME is set");
        PathBuf::from(home).join(".cache/assay/models/gemma-3-270m-q4_k_m.gguf")
    });
    assert!(path.is_file(), "no model at {}: run scripts/model, or set ASSAY_MODEL", path.display());
    ModelConfig {
        path: Some(path),
        calibration: None,
        next_calibration: None,
        scheme: NumericScheme::default(),
        device: "cpu".into(),
        threads: Some(1),
    }
}

fn inference(nonce: u64) -> InferenceId {
    let domain = Domain { chain_id: "test-1".into(), contract: "contract".into() };
    inference_id(&domain, SessionId(1), Nonce(nonce))
}

async fn questions(engine: &Engine, sampling: SamplingParams) -> Vec<Question> {
    let mut questions = Vec::new();
    for (text, nonce) in PROMPTS.into_iter().zip(1..) {
        let prompt = engine.encode(text).await.unwrap();
        let salt = [nonce as u8; 32];
        let request = Request {
            model: engine.spec().digest(),
            sampling,
            max_new: 6 + 2 * nonce as u32,
            // A full stop in one of them, so that two batches are needed.
            stop_ids: if nonce == 2 { vec![1, 236761] } else { vec![1] },
            prompt: prompt_digest(&salt, &prompt),
        };
        let run_seed = run_seed(&UserSeed([2; 32]), &inference(nonce));
        questions.push(Question { request, salt, prompt, run_seed });
    }
    questions
}

/// Positions whose token the signed numbers do not give.
fn mismatches(artifact: &Artifact, vocabulary: u32, seed: &RunSeed) -> usize {
    let rows = artifact.rows(vocabulary).unwrap();
    let sampling = &artifact.request.sampling;
    let differs = |(position, row)| replay(row, position, vocabulary, sampling, seed) != Replay::Matches;
    (0u32..).zip(&rows).filter(|pair| differs(*pair)).count()
}

#[tokio::test]
async fn an_honest_answer_replays_from_its_bytes_repeats_itself_and_opens_against_its_batch() {
    let engine = Engine::start(model_config(), honest_factory()).await.unwrap();
    let vocabulary = engine.spec().vocabulary;
    let open = SamplingParams::OPEN;
    let filtered = SamplingParams { temperature_milli: 800, top_k: 15, top_p_ppm: 950_000, ..open };
    for sampling in [open, filtered] {
        let questions = questions(&engine, sampling).await;
        let answers = engine.answer(questions.clone()).await.unwrap();
        assert_eq!(
            engine.answer(questions.clone()).await.unwrap(),
            answers,
            "the same batch, the same bytes"
        );
        let leaves: Vec<[u8; 32]> =
            answers.iter().zip(1..).map(|(answer, nonce)| leaf(answer, nonce)).collect();
        let root = BatchRoot(merkle::root(&leaves));
        for (index, (answer, question)) in answers.iter().zip(&questions).enumerate() {
            let path = merkle::path(&leaves, index).unwrap();
            let (index, inference) = (index as u32, inference(index as u64 + 1));
            let commitment = Commitment { root, count: 3, index, inference };
            let opened = Artifact::open(&answer.encode(), &path, &commitment).unwrap();
            assert_eq!((&opened.request, &opened.prompt), (&question.request, &question.prompt));
            assert_eq!(mismatches(&opened, vocabulary, &question.run_seed), 0);
            assert!(mismatches(&opened, vocabulary, &RunSeed([0; 32])) > 0, "another seed, other tokens");
            let stops = opened.tokens.iter().position(|token| question.request.stop_ids.contains(token));
            let ends = stops.map_or(question.request.max_new as usize, |stop| stop + 1);
            assert_eq!(opened.tokens.len(), ends);
        }
    }
    let speed = engine.speed();
    assert!(speed.generated_tokens > 0 && speed.generate_seconds > 0.0 && speed.artifact_bytes > 0);
    assert_eq!(speed.verified_tokens, 0);
}

fn leaf(answer: &Artifact, nonce: u64) -> [u8; 32] {
    let inference = inference(nonce);
    merkle::leaf_hash(&batch_leaf(&inference, &answer.receipt(inference).artifact()))
}

#[tokio::test]
async fn an_answer_under_penalties_replays_and_its_recomputation_agrees() {
    let engine = Engine::start(model_config(), honest_factory()).await.unwrap();
    let penalties = Penalties { repetition_milli: 1_300, frequency_milli: 400, presence_milli: -250 };
    let penalised = SamplingParams { penalties, ..SamplingParams::OPEN };
    let questions = questions(&engine, penalised).await;
    let answers = engine.answer(questions.clone()).await.unwrap();
    for (answer, question) in answers.iter().zip(&questions) {
        let rows = answer.rows(engine.spec().vocabulary).unwrap();
        assert_eq!(mismatches(answer, engine.spec().vocabulary, &question.run_seed), 0);
        let measured = |sampling| {
            let (prompt, rows) = (question.prompt.clone(), rows.clone());
            engine.recompute(Subject {
                prompt,
                rows,
                sampling,
                run_seed: question.run_seed,
                probes: Vec::new(),
            })
        };
        let honest = measured(penalised).await.unwrap();
        let forgotten = measured(SamplingParams::OPEN).await.unwrap();
        println!("distance {:.6}, without the penalties {:.6}", honest.distance(), forgotten.distance());
        // The scheme's rounding, not only that of the signed numbers.
        assert!(honest.distance() < 0.012 && honest.margin() < 0.01, "{honest:?}");
        assert!(forgotten.distance() > 0.02, "{forgotten:?}");
        assert!(forgotten.distance() > 3.0 * honest.distance(), "{honest:?}");
    }
}

/// Lays the same three tokens out for every question, as a pre-filling cheat would.
struct Prefill;

impl Answerer for Prefill {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        questions.iter().map(|question| rows_for(model, question, &[1, 100_000, 5])).collect()
    }
}

#[tokio::test]
async fn rows_laid_out_for_foreign_tokens_keep_the_format_and_fail_the_replay() {
    let engine = Engine::start(model_config(), Box::new(|_| Ok(Box::new(Prefill)))).await.unwrap();
    let questions = questions(&engine, SamplingParams::OPEN).await;
    for (artifact, question) in engine.answer(questions.clone()).await.unwrap().iter().zip(&questions) {
        assert_eq!(artifact.tokens, [1, 100_000, 5]);
        assert_eq!(mismatches(artifact, engine.spec().vocabulary, &question.run_seed), 3);
    }
}
