//! Settlement under a calibration and measured scores, where the answers are known.

use assay_common::evidence::Bins;
use assay_common::judge::normal;
use assay_common::params::PerAlternative;
use assay_sidecar::simulate::measured::detection::Detection;
use assay_sidecar::simulate::measured::forfeits::Forfeits;
use assay_sidecar::simulate::measured::near_equal::{Deal, NearEqual};
use assay_sidecar::simulate::measured::rare::Rare;
use assay_sidecar::simulate::measured::results::{Results, Sizes};
use assay_sidecar::simulate::measured::scores::{AnswerTokens, Counts, Scores, ScoresError};
use assay_sidecar::simulate::measured::sequential::SequentialTest;
use assay_sidecar::simulate::measured::shares::{Means, Shares};
use assay_sidecar::simulate::measured::{section, Basis};
use assay_sidecar::simulate::terms::{EvidenceTerms, Terms};
use serde_json::json;

use super::fixture::{calibration, cell, LOUD, QUIET, Z};
use super::SEED;

const FULL: AnswerTokens = AnswerTokens(512);

fn test(one_in: u64) -> SequentialTest {
    let evidence = EvidenceTerms { false_forfeit_one_in: one_in, ..Terms::default().evidence };
    SequentialTest::new(&calibration(), &evidence, FULL)
}

fn declared() -> Shares {
    Shares::declared(&calibration().bins[7])
}

fn scores() -> Scores {
    let calibration = calibration();
    let counts = |bins: [u64; 5]| json!({ "answers": bins.iter().sum::<u64>(), "bins": bins });
    let text = json!({
        "version": 1,
        "model": calibration.model,
        "statistic_version": calibration.statistic_version,
        "scheme": calibration.spec.scheme,
        "cells": {
            "quiet": { "16": counts([1_000, 0, 0, 0, 0]) },
            "loud": { "16": counts([990, 8, 2, 0, 0]), "64": counts([995, 5, 0, 0, 0]) },
        },
        "attacks": {
            "int4": { "cost": 0.4, "16": counts([0, 0, 0, 10, 990]) },
            "int8": { "cost": null, "16": counts([900, 80, 10, 5, 5]) },
        },
    });
    serde_json::from_value(text).expect("the format of the page")
}

fn checked(change: impl FnOnce(&mut Scores)) -> Result<(), ScoresError> {
    let mut scores = scores();
    change(&mut scores);
    scores.check(&calibration())
}

#[test]
fn importance_sampling_agrees_with_what_is_counted() {
    // Three counters that are one: they reach the bound together, so the sum over them is three times what is counted.
    let mut calibration = calibration();
    calibration.bins = vec![Bins::verdict_only(10_000, PerAlternative([100_000; 3]))];
    let evidence = EvidenceTerms { false_forfeit_one_in: 1, audits: 1_000, ..Terms::default().evidence };
    let test = SequentialTest::new(&calibration, &evidence, FULL);
    let honest = Shares(vec![0.99, 0.01]);
    let counted = Forfeits::count(&test, &honest, (200, 500), SEED).rate;
    let sampled = Rare::estimate(&test, &honest, 100_000, SEED);
    let epoch = sampled.expected / 3.0 / 10.0;
    assert!(counted.hits > 200, "{counted:?}");
    assert!(counted.contains(epoch), "{counted:?} {sampled:?}");
    assert!(sampled.high < 1.1 * sampled.expected && sampled.effective > 1_000.0, "{sampled:?}");
}

#[test]
fn the_worst_honest_executor_forfeits_less_often_than_promised() {
    for one_in in [10, 1_000, 1_000_000_000] {
        let sampled = Rare::estimate(&test(one_in), &declared(), 50_000, SEED);
        assert!(sampled.high < sampled.promised, "{one_in}: {sampled:?}");
        assert!(sampled.low > sampled.promised / 1_000.0, "{one_in}: {sampled:?}");
        assert!(sampled.effective > 100.0, "{one_in}: {sampled:?}");
    }
    let counted = Forfeits::count(&test(1_000), &declared(), (100, 200), SEED);
    assert!(counted.rate.low <= counted.promised, "{counted:?}");
}

#[test]
fn an_executor_that_never_gains_evidence_never_forfeits() {
    let clean = Shares(vec![1.0, 0.0, 0.0, 0.0, 0.0]);
    let sampled = Rare::estimate(&test(10), &clean, 100, SEED);
    assert_eq!((sampled.expected, sampled.high), (0.0, 0.0));
    assert_eq!(Forfeits::count(&test(10), &clean, (10, 10), SEED).rate.hits, 0);
}

#[test]
fn an_executor_worse_than_declared_is_not_covered_and_is_forfeited() {
    let mut worse = declared();
    worse.0[0] -= 0.05;
    worse.0[4] += 0.05;
    assert!(!worse.is_within(&declared()) && declared().is_within(&declared()));
    assert!(Forfeits::count(&test(1_000), &worse, (20, 50), SEED).rate.hits > 20);
}

#[test]
fn a_cheat_that_always_fails_is_condemned_after_the_bound_over_a_step() {
    let test = test(1_000_000_000);
    let fails = Shares(vec![0.0, 0.0, 0.0, 0.0, 1.0]);
    let step = test.steps()[4].into_iter().fold(0.0, f64::max);
    let expected = (test.bound() as f64 / 65_536.0 / step).ceil() as i64;
    let detection = Detection::of(&test, &fails, (11, 1_000), SEED);
    assert_eq!((detection.median.value, detection.p95), (expected, expected));
    assert!(detection.condemns());
    let honest = Detection::of(&test, &Shares(vec![1.0, 0.0, 0.0, 0.0, 0.0]), (11, 1_000), SEED);
    assert_eq!((honest.median.value, honest.condemns()), (1_000, false));
}

#[test]
fn a_mean_without_position_noise_is_spread_as_the_answers_levels_are() {
    // All positions at the cell's mean: what is left is the level of the answer.
    let mut summary = cell("loud", LOUD);
    summary.histogram.counts.fill(0);
    summary.histogram.counts[257] = 1_000;
    let shares = Means::of(&summary, 16).shares(&calibration(), 0.5);
    let spread = (LOUD.position_sd.powi(2) / 16.0 + LOUD.sequence_sd.powi(2)).sqrt();
    for (tail, height) in shares.tails().into_iter().zip([0.0, 1.0, 2.0, Z]) {
        let above = 3.0 * LOUD.sequence_sd + height * spread - 0.5 * LOUD.position_sd;
        let expected = normal::above(above / LOUD.sequence_sd);
        assert!((tail / expected - 1.0).abs() < 1e-9, "{height}: {tail} {expected}");
    }
}

#[test]
fn means_of_many_positions_are_spread_as_the_normal_limit_is() {
    let shares = Means::of(&cell("loud", LOUD), 512).shares(&calibration(), 1.0);
    let spread = (LOUD.position_sd.powi(2) / 512.0 + LOUD.sequence_sd.powi(2)).sqrt();
    for (tail, height) in shares.tails().into_iter().zip([0.0, 1.0, 2.0, Z]) {
        let above = 3.0 * LOUD.sequence_sd + height * spread - LOUD.position_sd;
        let expected = normal::above(above / spread);
        assert!((tail / expected - 1.0).abs() < 0.01, "{height}: {tail} {expected}");
    }
    assert!((shares.0.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn a_near_equal_model_hides_in_the_cell_that_shows_it_least() {
    let (calibration, terms) = (calibration(), Terms::default());
    let near = NearEqual::new(&calibration, &terms, FULL);
    let quiet = Means::of(&cell("quiet", QUIET), FULL.0).shares(&calibration, 1.5);
    assert_eq!(near.shares(1.5), quiet);
    let counts = |shares: Shares| {
        let bins: Vec<u64> = shares.0.iter().map(|share| (share * 1e9).round() as u64).collect();
        Counts { answers: bins.iter().sum(), bins }
    };
    for shift in [1.5, 2.0] {
        assert_eq!(near.equivalent(&counts(near.shares(shift))), shift);
    }
}

#[test]
fn a_model_pays_exactly_below_its_boundary() {
    let (calibration, terms) = (calibration(), Terms::default());
    let near = NearEqual::new(&calibration, &terms, FULL);
    let boundary = |cost_ppm, volume, share| {
        let deal = Deal { cost_ppm, volume, share };
        let shift = near.boundary(deal, SEED).expect("a shift of 8 is found");
        let most = deal.breaks_even(&terms).floor() as i64 + 1;
        assert!(near.detection((shift, share), most, SEED).condemns());
        assert!(!near.detection((shift - 0.01, share), most, SEED).condemns());
        assert!(deal.net(&terms, deal.breaks_even(&terms)).abs() < 1e-6);
        assert!(deal.net(&terms, deal.breaks_even(&terms) - 1.0) < 0.0);
        shift
    };
    assert!(boundary(700_000, 100, 1.0) >= boundary(900_000, 100, 1.0));
    assert!(boundary(900_000, 100, 1.0) >= boundary(900_000, 10_000, 1.0));
    boundary(700_000, 100, 0.2);
}

#[test]
fn scores_that_do_not_belong_to_the_calibration_are_named() {
    let calibration = calibration();
    assert_eq!(checked(|_| ()), Ok(()));
    assert_eq!(checked(|scores| scores.version = 2), Err(ScoresError::OtherVersion { found: 2 }));
    let (found, expected) = (9, calibration.statistic_version);
    let other = Err(ScoresError::OtherStatistic { found, expected });
    assert_eq!(checked(|scores| scores.statistic_version = 9), other);
    let model = assay_common::ids::ModelDigest([9; 32]);
    let other = Err(ScoresError::OtherModel { found: model, expected: calibration.model });
    assert_eq!(checked(|scores| scores.model = model), other);
    assert_eq!(checked(|scores| scores.cells.clear()), Err(ScoresError::NoCell));
    let negative = |scores: &mut Scores| {
        scores.attacks.entry("int4".into()).and_modify(|attack| attack.cost = Some(-0.5));
    };
    assert_eq!(checked(negative), Err(ScoresError::Cost { name: "int4".into(), cost: -0.5 }));
}

#[test]
fn counts_that_do_not_add_up_are_named() {
    let counted = |answers: u64, bins: &[u64]| {
        let counts = Counts { answers, bins: bins.to_vec() };
        checked(|scores| {
            scores.cells.insert("loud".into(), [(AnswerTokens(16), counts)].into());
        })
    };
    let (name, tokens) = ("loud".to_owned(), AnswerTokens(16));
    let short = Err(ScoresError::Bins { name: name.clone(), tokens, found: 4, expected: 5 });
    assert_eq!(counted(4, &[1, 1, 1, 1]), short);
    let sum = Err(ScoresError::Sum { name: name.clone(), tokens, counted: Some(5), answers: 6 });
    assert_eq!(counted(6, &[1; 5]), sum);
    assert_eq!(counted(0, &[0; 5]), Err(ScoresError::NoAnswers { name, tokens }));
}

#[test]
fn a_field_that_is_no_length_is_refused() {
    let attack = |text: &str| {
        serde_json::from_str::<assay_sidecar::simulate::measured::scores::Attack>(text)
            .map_err(|error| error.to_string())
    };
    assert!(attack(r#"{ "cost": 0.5, "16": { "answers": 1, "bins": [1] } }"#).is_ok());
    for key in ["speed", "0", "-16", "1.5"] {
        let text = format!(r#"{{ "cost": 0.5, "{key}": {{ "answers": 1, "bins": [1] }} }}"#);
        let error = attack(&text).expect_err(key);
        assert!(error.contains("is no length of answers"), "{error}");
    }
    assert!(attack(r#"{ "cost": 0.5, "16": { "answers": 1, "bins": [1], "note": "" } }"#).is_err());
}

#[test]
fn the_section_has_every_measured_attack_and_none_without_scores() {
    let sizes = Sizes { honest: (10, 10), paths: 1_000, careers: 21, most_audits: 2_000 };
    let terms = Terms::default();
    let text = |scores: Option<Scores>| {
        let basis = Basis { calibration: calibration(), scores };
        let results = Results::of(&basis, &terms, sizes, SEED);
        (section(&basis, &results), results)
    };
    let (with, results) = text(Some(scores()));
    assert!(with.contains("### Measured attacks") && with.contains("| int4 | 16 | 1,000 |"), "{with}");
    // Two lengths of honest answers beside the declared and the histograms'; three shares of each attack.
    assert_eq!((results.honest.len(), results.attacks.len()), (4, 6));
    assert_eq!(results.honest[2].name, "loud", "the cell with the heavier tail is the worst");
    let nets = |name: &str| results.attacks.iter().find(|row| row.name == name).and_then(|row| row.nets);
    assert!(nets("int4").is_some_and(|nets| nets[0] < 0.0 && nets[1] < nets[0]));
    assert_eq!(nets("int8"), None, "its cost was not measured");
    let without = text(None).0;
    assert!(!without.contains("### Measured attacks") && without.contains("### The near-equal model"));
}

#[test]
fn shares_without_a_failed_check_have_a_tilt_too() {
    // The only bin with evidence comes rarely and says little; those that say more never come.
    let honest = Shares(vec![0.998, 0.0015, 0.0005, 0.0, 0.0]);
    let sampled = Rare::estimate(&test(1_000_000_000), &honest, 200, SEED);
    assert!(sampled.high < sampled.promised, "{sampled:?}");
}
