//! Every attack with the real model: what it signs keeps the format, and replays or not as `docs/attacks.md` says.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use assay_common::artifact::Artifact;
use assay_common::digest::tagged;
use assay_common::ids::RunSeed;
use assay_common::replay::{replay, Replay};
use assay_common::row::{Row, MAX_ENTRIES};
use assay_common::sampler::SamplingParams;
use assay_common::session::{prompt_digest, NumericScheme, Request};
use assay_localnet::attack::adaptive::Known;
use assay_localnet::attack::{answerer, Attack, Cheat, Share};
use assay_sidecar::config::ModelConfig;
use assay_sidecar::engine::Question;
use assay_sidecar::executor::answer::answer_with;
use assay_sidecar::model::{Forced, Model};

const PROMPTS: [&str; 4] = [
    "The capital of France is a city that",
    "Once upon a time, in a village by the sea, there lived an old fisherman who",
    "def mean(values):\n    \"\"\"The arithmetic mean.\"\"\"\n",
    "Water boils at a hundred degrees because",
];
/// Tokens of an answer, where nothing else is said.
const TOKENS: u32 = 12;
/// Nats of 1/256 bit.
const NATS_PER_STEP: f64 = std::f64::consts::LN_2 / 256.0;

fn config() -> ModelConfig {
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

/// The promised model, one test at a time on it.
fn model() -> MutexGuard<'static, Model> {
    static MODEL: OnceLock<Mutex<Model>> = OnceLock::new();
    let load = || {
        let ModelConfig { path, scheme, device, threads, .. } = config();
        let device = device.parse().unwrap();
        Mutex::new(Model::load(&path.unwrap(), scheme, device, threads).expect("the model loads"))
    };
    MODEL.get_or_init(load).lock().unwrap_or_else(PoisonError::into_inner)
}

fn questions(model: &Model, count: usize, max_new: u32, sampling: SamplingParams) -> Vec<Question> {
    let question = |(text, number): (&&str, u8)| {
        let prompt = model.tokenizer().encode(text).unwrap();
        let salt = [number; 32];
        let request = Request {
            model: model.spec().digest(),
            sampling,
            max_new,
            stop_ids: vec![1],
            prompt: prompt_digest(&salt, &prompt),
        };
        Question { request, salt, prompt, run_seed: RunSeed(tagged("test", &number)) }
    };
    PROMPTS[..count].iter().zip(0u8..).map(question).collect()
}

fn open_questions(model: &Model, count: usize) -> Vec<Question> {
    questions(model, count, TOKENS, SamplingParams::OPEN)
}

fn answers_of(model: &Model, config: &ModelConfig, cheat: Cheat, questions: &[Question]) -> Vec<Artifact> {
    let mut answerer = answerer(config, cheat).unwrap()(model).unwrap();
    let artifacts = answerer.answer(model, questions).unwrap();
    assert_eq!(artifacts.len(), questions.len());
    for (artifact, question) in artifacts.iter().zip(questions) {
        // It opens as the answer to what was asked.
        assert_eq!((&artifact.request, &artifact.prompt), (&question.request, &question.prompt));
        assert_eq!(&Artifact::decode(&artifact.encode()).unwrap(), artifact);
        assert_eq!(rows(model, artifact).len(), artifact.tokens.len());
    }
    artifacts
}

fn answers(model: &Model, attack: Attack, questions: &[Question]) -> Vec<Artifact> {
    answers_of(model, &config(), Cheat::new(attack, Share::ALL).unwrap(), questions)
}

fn honest(model: &Model, questions: &[Question]) -> Vec<Artifact> {
    let seeds: Vec<RunSeed> = questions.iter().map(|question| question.run_seed).collect();
    answer_with(model, questions, &seeds).unwrap()
}

/// The rows, all of which keep the format.
fn rows(model: &Model, artifact: &Artifact) -> Vec<Row> {
    artifact.rows(model.spec().vocabulary).unwrap()
}

fn replays(model: &Model, artifact: &Artifact, question: &Question) -> Vec<Replay> {
    let (vocabulary, sampling) = (model.spec().vocabulary, &question.request.sampling);
    let one = |(position, row): (u32, &Row)| replay(row, position, vocabulary, sampling, &question.run_seed);
    (0u32..).zip(&rows(model, artifact)).map(one).collect()
}

/// Positions whose rows do not give their tokens, and all positions.
fn mismatches(model: &Model, artifacts: &[Artifact], questions: &[Question]) -> (usize, usize) {
    let all =
        artifacts.iter().zip(questions).flat_map(|(artifact, question)| replays(model, artifact, question));
    all.fold((0, 0), |(differ, all), replay| (differ + usize::from(replay != Replay::Matches), all + 1))
}

/// Mean difference in nats of the signed numbers from the reference pass's, and the largest of the emitted tokens'.
fn differences(model: &Model, artifacts: &[Artifact]) -> (f64, f64) {
    let (mut sum, mut count, mut emitted) = (0.0, 0u32, 0f64);
    for artifact in artifacts {
        let rows = rows(model, artifact);
        let penalties = artifact.request.sampling.penalties;
        let forced = Forced { prompt: &artifact.prompt, tokens: &artifact.tokens, penalties };
        let visit = |scored: assay_sidecar::model::Row<'_>| {
            for entry in &rows[scored.position as usize].entries {
                let own = scored.surprisals[entry.token.0 as usize];
                let nats = f64::from(own.abs_diff(entry.surprisal.0)) * NATS_PER_STEP;
                (sum, count) = (sum + nats, count + 1);
                if entry.token.0 == scored.token {
                    emitted = emitted.max(nats);
                }
            }
        };
        model.score_with(&forced, model.reference(), visit).unwrap();
    }
    (sum / f64::from(count), emitted)
}

/// Answers whose tokens are not those of the other list.
fn departures(artifacts: &[Artifact], others: &[Artifact]) -> usize {
    artifacts.iter().zip(others).filter(|(one, other)| one.tokens != other.tokens).count()
}

#[test]
fn a_cheaper_model_signs_its_own_numbers_which_replay_and_lie_further_off_than_honest_ones() {
    let model = model();
    let questions = open_questions(&model, 2);
    let (rounding, _) = differences(&model, &honest(&model, &questions));
    println!("honest: {rounding:.4} nats");
    let coarser_last = [
        Attack::Int8G32F32,
        Attack::Int8G128,
        Attack::Int8Row,
        Attack::Fp8,
        Attack::Int4G32,
        Attack::Int4G128,
    ];
    let others = [Attack::KvInt8, Attack::KvInt4, Attack::Prune25, Attack::DropLayers];
    let mut distances = Vec::new();
    for attack in coarser_last.into_iter().chain(others) {
        let artifacts = answers(&model, attack, &questions);
        assert_eq!(mismatches(&model, &artifacts, &questions).0, 0, "{attack:?}");
        let (distance, _) = differences(&model, &artifacts);
        println!("{}: {distance:.4} nats", attack.name());
        assert!(distance > 1.5 * rounding, "{attack:?}: {distance}");
        distances.push(distance);
    }
    let (int8, fp8, int4) = (distances[2], distances[3], distances[4]);
    assert!(distances[0] < int8 && int8 < fp8 && fp8 < int4, "{distances:?}");
    assert!(distances[7] > 2.0 * distances[6], "4 bits of cache against 8: {distances:?}");
}

#[test]
fn another_noise_temperature_or_writer_leaves_rows_that_do_not_replay() {
    let model = model();
    let questions = questions(&model, 3, 24, SamplingParams::OPEN);
    let share = |attack| {
        let artifacts = answers(&model, attack, &questions);
        let (differ, all) = mismatches(&model, &artifacts, &questions);
        println!("{}: {differ} of {all} do not replay", attack.name());
        assert!(differ > 0, "{attack:?}");
        differ as f64 / all as f64
    };
    assert!(share(Attack::WrongSeed) > 0.3);
    let (own, same, cooler) =
        (share(Attack::Prefill), share(Attack::PrefillSameNoise), share(Attack::Temperature));
    assert!(own > same && same > cooler, "{own}, {same}, {cooler}");
}

#[test]
fn a_smaller_top_p_replays_by_its_cut_unless_top_k_shows_what_is_kept() {
    let model = model();
    let open = open_questions(&model, 2);
    let narrowed = answers(&model, Attack::TopP, &open);
    assert_eq!(mismatches(&model, &narrowed, &open).0, 0);
    // The reference would have kept 4,096 candidates.
    let cut = |artifact: &Artifact| rows(&model, artifact).iter().map(|row| row.cut.surprisal).max().unwrap();
    for (narrowed, honest) in narrowed.iter().zip(honest(&model, &open)) {
        assert!(cut(narrowed) < cut(&honest));
    }
    let sampling = SamplingParams { top_k: 15, top_p_ppm: 900_000, ..SamplingParams::OPEN };
    let filtered = questions(&model, 2, TOKENS, sampling);
    let artifacts = answers(&model, Attack::TopP, &filtered);
    let all =
        artifacts.iter().zip(&filtered).flat_map(|(artifact, question)| replays(&model, artifact, question));
    let cuts = all.filter(|replay| matches!(replay, Replay::CutDiffers { .. })).count();
    assert!(cuts > 0);
}

#[test]
fn another_context_replays_and_is_far_from_what_the_model_says_of_the_prompt() {
    let model = model();
    let questions = open_questions(&model, 2);
    for attack in [Attack::HalfContext, Attack::SystemPrompt] {
        let artifacts = answers(&model, attack, &questions);
        assert_eq!(mismatches(&model, &artifacts, &questions).0, 0, "{attack:?}");
        let (distance, _) = differences(&model, &artifacts);
        println!("{}: {distance:.3} nats", attack.name());
        assert!(distance > 0.1, "{attack:?}: {distance}");
    }
}

#[test]
fn half_an_answer_ends_where_it_should_not_or_with_a_stop_token_that_replays() {
    let model = model();
    let questions = open_questions(&model, 2);
    let whole = honest(&model, &questions);
    assert!(whole.iter().all(|artifact| artifact.tokens.len() == TOKENS as usize));
    let half = TOKENS as usize / 2;
    let early = answers(&model, Attack::EarlyStop, &questions);
    let forged = answers(&model, Attack::ForgedStop, &questions);
    for artifacts in [&early, &forged] {
        assert_eq!(mismatches(&model, artifacts, &questions).0, 0);
        assert!(artifacts.iter().all(|artifact| artifact.tokens.len() == half));
    }
    assert!(early.iter().all(|artifact| artifact.tokens[half - 1] != 1));
    assert!(forged.iter().all(|artifact| artifact.tokens[half - 1] == 1));
    assert!(differences(&model, &forged).1 > 1.0, "nobody expected the end");
}

#[test]
fn repaired_rows_replay_though_the_cheap_model_wrote() {
    let model = model();
    let questions = open_questions(&model, 2);
    let artifacts = answers(&model, Attack::PrefillRepaired, &questions);
    assert_eq!(mismatches(&model, &artifacts, &questions).0, 0);
    let plain = answers(&model, Attack::PrefillSameNoise, &questions);
    assert!(mismatches(&model, &plain, &questions).0 > 0);
    assert_eq!(departures(&artifacts, &plain), 0, "the same tokens");
    let (_, raised) = differences(&model, &artifacts);
    println!("prefill-repaired: a number raised by {raised:.2} nats at most");
    assert!(raised > 0.1, "{raised}");
}

#[test]
fn repairs_below_tau_replay_and_no_emitted_number_is_far_off() {
    let model = model();
    let questions = questions(&model, 3, 24, SamplingParams::OPEN);
    let artifacts = answers(&model, Attack::PrefillBelowTau, &questions);
    assert_eq!(mismatches(&model, &artifacts, &questions).0, 0);
    assert!(artifacts.iter().all(|artifact| artifact.tokens.len() == 24));
    let (distance, raised) = differences(&model, &artifacts);
    println!("prefill-below-tau: {distance:.4} nats, a number raised by {raised:.3} at most");
    assert!(raised < 0.1 + 0.15 && distance < 0.05, "tau and rounding: {distance}, {raised}");
}

#[test]
fn steering_replays_and_departs_from_the_seed_within_its_tolerance() {
    let model = model();
    let questions = questions(&model, 4, 24, SamplingParams::OPEN);
    let artifacts = answers(&model, Attack::Steer, &questions);
    assert_eq!(mismatches(&model, &artifacts, &questions).0, 0);
    assert!(departures(&artifacts, &honest(&model, &questions)) > 0, "it had no choice in 96 positions");
    let (distance, raised) = differences(&model, &artifacts);
    println!("steer: {distance:.4} nats, a number raised by {raised:.3} at most");
    assert!(raised < 0.1 + 0.15 && distance < 0.05, "{distance}, {raised}");
}

#[test]
fn padded_rows_are_full_and_replay() {
    let model = model();
    let questions = open_questions(&model, 2);
    let artifacts = answers(&model, Attack::Pad, &questions);
    assert_eq!(mismatches(&model, &artifacts, &questions).0, 0);
    for artifact in &artifacts {
        assert!(rows(&model, artifact).iter().all(|row| row.entries.len() == MAX_ENTRIES));
    }
}

#[test]
fn jittered_numbers_replay_and_are_off_by_the_jitter() {
    let model = model();
    let questions = open_questions(&model, 2);
    let artifacts = answers(&model, Attack::Jitter, &questions);
    assert_eq!(mismatches(&model, &artifacts, &questions).0, 0);
    // Noise of 0.03 nats alone differs by 0.024 in the mean, and by more with the scheme's rounding.
    let (distance, _) = differences(&model, &artifacts);
    println!("jitter: {distance:.4} nats");
    assert!((0.018..0.06).contains(&distance), "{distance}");
}

/// A calibration by hand: s is the logarithm of how much larger than its second pass's disagreement the juror finds an
/// executor's residual, and an answer's mean may be 0.8.
fn calibration() -> serde_json::Value {
    let unit = serde_json::json!({ "mean": 0.0, "sd": 1.0 });
    let mut features = vec![unit.clone(); 8];
    features[1] = serde_json::json!({ "mean": -9.0, "sd": 3.0 });
    let mut weights = [0.0; 17];
    (weights[1], weights[16]) = (3.0, -9.0);
    serde_json::json!({
        "statistic": "magnitude",
        "scorer": {
            "predictor": { "features": features, "weights": weights },
            "magnitude": unit, "direction": unit,
        },
        "null": { "cells": [{ "mean": 0.8, "position_sd": 0.0, "sequence_sd": 0.0 }], "z": 3.1 },
        "far": { "share": 0.003 },
    })
}

#[test]
fn an_adaptive_cheat_replays_and_stays_below_the_limits_that_its_weights_alone_exceed() {
    let model = model();
    let questions = questions(&model, 2, 24, SamplingParams::OPEN);
    let known: Known = serde_json::from_value(calibration()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), calibration().to_string()).unwrap();
    let config = ModelConfig { calibration: Some(file.path().to_owned()), ..config() };
    let passed = |artifacts: &[Artifact]| -> Vec<bool> {
        let pass = |artifact: &Artifact| {
            let penalties = artifact.request.sampling.penalties;
            let forced = Forced { prompt: &artifact.prompt, tokens: &artifact.tokens, penalties };
            let seen = known.look(&model.passes(&forced).unwrap(), &rows(&model, artifact)).unwrap();
            let mean = seen.iter().map(|seen| seen.value).sum::<f64>() / seen.len() as f64;
            let far = seen.iter().filter(|seen| seen.far).count();
            println!("  mean {mean:.2}, {far} far of {}", seen.len());
            known.passes(&seen)
        };
        artifacts.iter().map(pass).collect()
    };
    println!("honest");
    assert_eq!(passed(&honest(&model, &questions)), [true; 2]);
    for (attack, weights) in [(Attack::Adaptive, Attack::Int8G128), (Attack::AdaptiveG32, Attack::Int8G32F32)]
    {
        println!("{}", weights.name());
        let plain = answers(&model, weights, &questions);
        assert_eq!(passed(&plain), [false; 2]);
        println!("{}", attack.name());
        let cheat = Cheat::new(attack, Share::ALL).unwrap();
        let artifacts = answers_of(&model, &config, cheat, &questions);
        assert_eq!(departures(&artifacts, &plain), 0, "the cheap model's tokens");
        assert_eq!(mismatches(&model, &artifacts, &questions).0, 0);
        assert_eq!(passed(&artifacts), [true; 2]);
        let corrected =
            artifacts.iter().zip(&plain).flat_map(|(one, other)| one.leaves.iter().zip(&other.leaves));
        println!("  {} of 48 rows corrected", corrected.filter(|(one, other)| one != other).count());
    }
}

#[test]
fn the_adaptive_cheat_without_a_calibration_says_so() {
    let error = answerer(&config(), Cheat::new(Attack::Adaptive, Share::ALL).unwrap()).err().unwrap();
    assert!(error.to_string().contains("names no calibration"), "{error}");
}

#[test]
fn a_mixture_cheats_on_the_answers_that_its_seeds_say_and_on_no_other() {
    let model = model();
    let questions = open_questions(&model, 4);
    let share = Share::percent(50).unwrap();
    let cheated: Vec<bool> = questions.iter().map(|question| share.has(&question.run_seed)).collect();
    assert!(cheated.contains(&true) && cheated.contains(&false), "{cheated:?}");
    let artifacts = answers_of(&model, &config(), Cheat::new(Attack::WrongSeed, share).unwrap(), &questions);
    for ((artifact, question), cheated) in artifacts.iter().zip(&questions).zip(cheated) {
        let differ = replays(&model, artifact, question).iter().any(Replay::is_fraud);
        assert_eq!(differ, cheated);
    }
}
