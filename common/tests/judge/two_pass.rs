//! The two-pass judge on whole answers of a synthetic model, calibrated on two honest cells.

use std::sync::LazyLock;

use assay_common::artifact::Artifact;
use assay_common::evidence::check_bins;
use assay_common::ids::Digest;
use assay_common::judge::fit::FitError;
use assay_common::judge::statistic::{Statistic, STATISTIC_VERSION};
use assay_common::judge::two_pass::{calibrate, judge, Basis, HonestAnswer, HonestCell, TwoPassCalibration};
use assay_common::judge::{CalibrationError, Cell, Report};
use assay_common::row::Entry;
use assay_common::verdict::{AbstainReason, InvalidReason, Outcome};

use crate::synthetic::{
    answer, candidates, hidden, log_probabilities, measured, plain_answer, seed, spec, TOKENS, VOCABULARY,
};

/// By how much the bodies of the two certified engines err.
const QUIET: f64 = 0.004;
const LOUD: f64 = 0.006;
const ANSWERS: u64 = 80;

fn cell(engine: &str) -> Cell {
    Cell { engine: engine.into(), device: "none".into() }
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
static CALIBRATION: LazyLock<TwoPassCalibration> =
    LazyLock::new(|| calibrate(basis(Statistic::Magnitude), &*CELLS).expect("two honest cells"));

fn report(number: u64, artifact: &Artifact) -> Report {
    let rows = artifact.rows(VOCABULARY).expect("well formed");
    judge(artifact, &rows, &seed(number), &measured(number, artifact), &CALIBRATION)
}

const OTHER_NUMBERS: Outcome = Outcome::Invalid { reason: InvalidReason::Distance };

#[test]
fn honest_answers_of_every_certified_cell_are_valid_by_either_statistic() {
    let directed = calibrate(basis(Statistic::Directed), &*CELLS).expect("two honest cells");
    for number in 1_000..1_060 {
        let noise = if number % 2 == 0 { QUIET } else { LOUD };
        let artifact = plain_answer(number, noise);
        assert_eq!(report(number, &artifact).outcome, Outcome::Valid, "{}", report(number, &artifact));
        let rows = artifact.rows(VOCABULARY).expect("well formed");
        let report = judge(&artifact, &rows, &seed(number), &measured(number, &artifact), &directed);
        assert_eq!(report.outcome, Outcome::Valid, "{report}");
    }
}

#[test]
fn a_body_that_errs_three_times_as_much_fails_where_the_articles_distance_sees_nothing() {
    for number in 2_000..2_020 {
        let report = report(number, &plain_answer(number, 3.0 * LOUD));
        assert_eq!(report.outcome, OTHER_NUMBERS, "{report}");
        assert_eq!(report.replay_mismatches, 0);
        let whitened = report.whitened.expect("two passes judged");
        assert!(!whitened.mean.passes() && report.distance.passes(), "{report}");
    }
}

/// Raises a listed token's number at every third position, then draws from what it signs: it replays.
#[test]
fn a_few_raised_numbers_are_far_though_the_answer_replays() {
    for number in 3_000..3_010 {
        let forged = answer(number, |position| {
            let mut logs = log_probabilities(&hidden(number, position, "executor", QUIET));
            if position % 3 == 0 {
                let raised = candidates(&logs)[5].token;
                logs[raised.0 as usize] += 0.7;
                let total = logs.iter().map(|log| f64::from(*log).exp()).sum::<f64>().ln() as f32;
                logs.iter_mut().for_each(|log| *log -= total);
            }
            candidates(&logs)
        });
        let report = report(number, &forged);
        assert_eq!((report.outcome, report.replay_mismatches), (OTHER_NUMBERS, 0), "{report}");
        let whitened = report.whitened.expect("two passes judged");
        assert!(whitened.far > whitened.far_limit && whitened.far <= u64::from(TOKENS / 3), "{report}");
    }
}

#[test]
fn a_row_of_true_numbers_that_leaves_out_the_likeliest_token_is_not_the_models() {
    for number in 4_000..4_010 {
        let without_first = |position| -> Vec<Entry> {
            let all = candidates(&log_probabilities(&hidden(number, position, "executor", QUIET)));
            all[usize::from(position % 2 == 0)..].to_vec()
        };
        let report = report(number, &answer(number, without_first));
        assert_eq!((report.outcome, report.replay_mismatches), (OTHER_NUMBERS, 0), "{report}");
        let whitened = report.whitened.expect("two passes judged");
        assert!(whitened.far > whitened.far_limit, "{report}");
    }
}

#[test]
fn what_the_validator_failed_to_measure_harms_nobody_and_hides_no_proof() {
    let (number, artifact) = (5_000, plain_answer(5_000, QUIET));
    let rows = artifact.rows(VOCABULARY).expect("well formed");
    let whole = measured(number, &artifact);
    let mut broken = [whole.clone(), whole.clone(), whole];
    broken[0].whitened.pop();
    broken[1].whitened[3].log_square = f64::NAN;
    broken[2].reference.positions[1].distance = f64::INFINITY;
    for measurement in &broken {
        let of_seed = |other: u64| judge(&artifact, &rows, &seed(other), measurement, &CALIBRATION).outcome;
        assert_eq!(of_seed(number), Outcome::Inconclusive { reason: AbstainReason::Recompute });
        assert_eq!(of_seed(number + 1), Outcome::Invalid { reason: InvalidReason::Replay });
    }
}

#[test]
fn the_worst_cell_sets_the_limit_whichever_is_declared() {
    let alone = calibrate(basis(Statistic::Magnitude), &CELLS[..1]).expect("one honest cell");
    let [quiet, loud] = &CALIBRATION.cells[..] else { panic!("two cells") };
    assert!(loud.mean > quiet.mean + 0.4, "{} {}", loud.mean, quiet.mean);
    assert_eq!(CALIBRATION.null.worst(23).map(|cell| cell.mean), Some(loud.mean));
    assert!(alone.certifies(&cell("quiet")) && !alone.certifies(&cell("loud")));
    let artifact = plain_answer(6_000, LOUD);
    let rows = artifact.rows(VOCABULARY).expect("well formed");
    let refused = judge(&artifact, &rows, &seed(6_000), &measured(6_000, &artifact), &alone);
    assert_eq!(refused.outcome, OTHER_NUMBERS, "{refused}");
    assert_eq!(report(6_000, &artifact).outcome, Outcome::Valid);
}

#[test]
fn a_calibration_survives_its_file_and_the_chain_takes_its_bins() {
    let text = serde_json::to_string(&*CALIBRATION).expect("a calibration has a file");
    let read: TwoPassCalibration = serde_json::from_str(&text).expect("it is read");
    assert_eq!(read.check(spec().digest()), Ok(()));
    assert_eq!(check_bins(&read.record(Digest([0; 32])).bins), Ok(()));
    assert_eq!((read.probe_tolerance, read.cells[1].answers), (29, ANSWERS as usize / 2));
    let tokens = read.cells[1].tokens as u64;
    assert_eq!((read.cells[1].histogram.total(), tokens), (tokens, ANSWERS / 2 * u64::from(TOKENS - 1)));
}

#[test]
fn calibrations_of_another_version_or_model_or_with_wild_numbers_are_refused() {
    let broken = |change: &dyn Fn(&mut TwoPassCalibration)| {
        let mut calibration = CALIBRATION.clone();
        change(&mut calibration);
        calibration.check(spec().digest())
    };
    let other = STATISTIC_VERSION + 1;
    assert_eq!(
        broken(&|c| c.statistic_version = other),
        Err(CalibrationError::OtherStatistic { found: other })
    );
    assert_eq!(broken(&|c| c.version = 1), Err(CalibrationError::OtherVersion { found: 1 }));
    let model = broken(&|c| c.spec.vocabulary += 1);
    assert!(matches!(model, Err(CalibrationError::OtherModel { .. })));
    assert_eq!(broken(&|c| c.cells.clear()), Err(CalibrationError::NoCell));
    let wild = broken(&|c| c.scorer.predictor.weights[4] = f64::NAN);
    assert!(matches!(wild, Err(CalibrationError::NotANumber { field: "scorer", .. })));
    let flat = broken(&|c| c.null.cells[0].position_sd = 0.0);
    assert_eq!(flat, Err(CalibrationError::NotANumber { field: "null.position_sd", value: 0.0 }));
    let edges = broken(&|c| c.score_edges.truncate(1));
    assert_eq!(edges, Err(CalibrationError::Edges { edges: 1, passes: 4 }));
}

#[test]
fn runs_that_make_no_calibration_are_named() {
    let refused = |change: &dyn Fn(&mut HonestCell)| {
        let mut cell = CELLS[0].clone();
        change(&mut cell);
        calibrate(basis(Statistic::Magnitude), &[cell]).expect_err("not a calibration")
    };
    let none = calibrate(basis(Statistic::Magnitude), &[]);
    assert_eq!(none, Err(CalibrationError::NoCell));
    assert_eq!(refused(&|c| c.answers.truncate(29)), CalibrationError::TooFew { found: 29 });
    let even = refused(&|c| c.answers.iter_mut().for_each(|answer| answer.prompt *= 2));
    assert_eq!(even, CalibrationError::Unchecked { engine: "quiet".into(), found: 0, expected: 15 });
    let cut = refused(&|c| c.answers[7].measurement.whitened.truncate(23));
    assert_eq!(cut, CalibrationError::Unequal { prompt: 7, positions: 24, whitened: 23 });
    let unprobed = refused(&|c| c.answers.iter_mut().for_each(|answer| answer.probe_deviations.clear()));
    assert_eq!(unprobed, CalibrationError::Probes { found: 0, expected: 200 });
    let wild = refused(&|c| c.answers[0].measurement.whitened[2].direction = f64::NAN);
    assert_eq!(wild, CalibrationError::Fit(FitError::NotFinite { index: 1 }));
}
