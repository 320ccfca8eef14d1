//! What makes a calibration, and what a calibration is refused for.

use assay_common::evidence::check_bins;
use assay_common::ids::Digest;
use assay_common::judge::fit::FitError;
use assay_common::judge::statistic::{Statistic, STATISTIC_VERSION};
use assay_common::judge::{calibrate, judge, Calibration, CalibrationError, HonestCell, Platform};
use assay_common::verdict::{InvalidReason, Outcome};

use crate::synthetic::{measured, plain_answer, seed, spec, TOKENS, VOCABULARY};
use crate::{basis, cell, platform, report, ANSWERS, CALIBRATION, CELLS, LOUD};

const OTHER_NUMBERS: Outcome = Outcome::Invalid { reason: InvalidReason::Distance };

#[test]
fn the_worst_cell_sets_the_limit_whichever_is_declared() {
    let alone = calibrate(basis(Statistic::Magnitude), &CELLS[..1]).expect("one honest cell");
    let [quiet, loud] = &CALIBRATION.cells[..] else { panic!("two cells") };
    assert!(loud.mean > quiet.mean + 0.4, "{} {}", loud.mean, quiet.mean);
    assert_eq!(CALIBRATION.null.worst(23).map(|cell| cell.mean), Some(loud.mean));
    let artifact = plain_answer(6_000, LOUD);
    let rows = artifact.rows(VOCABULARY).expect("well formed");
    let refused = judge(&artifact, &rows, &seed(6_000), &measured(6_000, &artifact), &alone);
    assert_eq!(refused.outcome, OTHER_NUMBERS, "{refused}");
    assert_eq!(report(6_000, &artifact).outcome, Outcome::Valid);
}

#[test]
fn a_juror_may_judge_where_its_platform_was_measured_and_nowhere_else() {
    assert!(CALIBRATION.certifies(&platform("jurors'")));
    assert!(!CALIBRATION.certifies(&platform("quiet")));
    let other = Platform { device: "another".into(), ..platform("jurors'") };
    assert!(!CALIBRATION.certifies(&other));
}

#[test]
fn a_calibration_survives_its_file_and_the_chain_takes_its_bins() {
    let text = serde_json::to_string(&*CALIBRATION).expect("a calibration has a file");
    let read: Calibration = serde_json::from_str(&text).expect("it is read");
    assert_eq!(read.check(spec().digest()), Ok(()));
    assert_eq!(check_bins(&read.record(Digest([0; 32])).bins), Ok(()));
    assert_eq!((read.probe_tolerance, read.cells[1].answers), (29, ANSWERS as usize / 2));
    let tokens = read.cells[1].tokens as u64;
    assert_eq!((read.cells[1].histogram.total(), tokens), (tokens, ANSWERS / 2 * u64::from(TOKENS - 1)));
}

#[test]
fn calibrations_of_another_version_or_model_or_with_wild_numbers_are_refused() {
    let broken = |change: &dyn Fn(&mut Calibration)| {
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
    assert_eq!(even, CalibrationError::Unchecked { cell: cell("quiet").to_string(), found: 0, expected: 15 });
    let cut = refused(&|c| c.answers[7].measurement.whitened.truncate(23));
    assert_eq!(cut, CalibrationError::Unequal { prompt: 7, positions: 24, whitened: 23 });
    let unprobed = refused(&|c| c.answers.iter_mut().for_each(|answer| answer.probe_deviations.clear()));
    assert_eq!(unprobed, CalibrationError::Probes { found: 0, expected: 200 });
    let wild = refused(&|c| c.answers[0].measurement.whitened[2].direction = f64::NAN);
    assert_eq!(wild, CalibrationError::Fit(FitError::NotFinite { index: 1 }));
}
