//! The judge on whole answers of a synthetic model, calibrated on two honest cells.

#[path = "judge/calibrations.rs"]
mod calibrations;
#[path = "judge/synthetic.rs"]
mod synthetic;
#[path = "judge/vectors.rs"]
mod vectors;
#[path = "judge/verdicts.rs"]
mod verdicts;

use std::sync::LazyLock;

use assay_common::artifact::Artifact;
use assay_common::ids::{Digest, RunSeed};
use assay_common::judge::statistic::Statistic;
use assay_common::judge::{
    calibrate, judge, Basis, Calibration, Cell, HonestAnswer, HonestCell, Platform, Report,
};

use synthetic::{measured, measured_under, plain_answer, seed, spec, VOCABULARY};

/// By how much the bodies of the two certified engines err.
const QUIET: f64 = 0.004;
const LOUD: f64 = 0.006;
const ANSWERS: u64 = 80;

fn platform(engine: &str) -> Platform {
    Platform { engine: engine.into(), device: "none".into() }
}

fn cell(engine: &str) -> Cell {
    Cell { executor: platform(engine), setting: "one at a time".into(), juror: platform("jurors'") }
}

fn honest(engine: &str, noise: f64, answers: std::ops::Range<u64>) -> HonestCell {
    let of = |number: u64| HonestAnswer {
        prompt: number as usize,
        measurement: measured(number, &plain_answer(number, noise)),
        probe_deviations: vec![number as u32 % 30; 4],
    };
    HonestCell { cell: cell(engine), answers: answers.map(of).collect() }
}

fn basis(statistic: Statistic) -> Basis {
    Basis { spec: spec(), statistic, prompts: Digest([3; 32]) }
}

static CELLS: LazyLock<[HonestCell; 2]> =
    LazyLock::new(|| [honest("quiet", QUIET, 0..ANSWERS), honest("loud", LOUD, ANSWERS..2 * ANSWERS)]);
static CALIBRATION: LazyLock<Calibration> =
    LazyLock::new(|| calibrate(basis(Statistic::Magnitude), &*CELLS).expect("two honest cells"));

fn report(number: u64, artifact: &Artifact) -> Report {
    report_under(number, artifact, &seed(number))
}

fn report_under(number: u64, artifact: &Artifact, seed: &RunSeed) -> Report {
    let rows = artifact.rows(VOCABULARY).expect("well formed");
    judge(artifact, &rows, seed, &measured_under(number, artifact, seed), &CALIBRATION)
}
