//! What an honest executor, a coarser one and several cheats look like.

use assay_common::judge::statistic::Statistic;
use assay_common::judge::{calibrate, judge};
use assay_common::row::{encode_leaf, Entry};
use assay_common::sampler::SamplingParams;
use assay_common::verdict::{AbstainReason, InvalidReason, Outcome};

use crate::synthetic::{
    answer, answer_at, candidates, hidden, log_probabilities, measured, plain_answer, seed, TOKENS,
    VOCABULARY,
};
use crate::{basis, report, report_under, CALIBRATION, CELLS, LOUD, QUIET};

const OTHER_NUMBERS: Outcome = Outcome::Invalid { reason: InvalidReason::Distance };

fn invalid(reason: InvalidReason) -> Outcome {
    Outcome::Invalid { reason }
}

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
    broken[2].positions[1].distance = f64::INFINITY;
    for measurement in &broken {
        let of_seed = |other: u64| judge(&artifact, &rows, &seed(other), measurement, &CALIBRATION).outcome;
        assert_eq!(of_seed(number), Outcome::Inconclusive { reason: AbstainReason::Recompute });
        assert_eq!(of_seed(number + 1), Outcome::Invalid { reason: InvalidReason::Replay });
    }
}

fn at_temperature(number: u64, temperature_milli: u32) -> assay_common::artifact::Artifact {
    let sampling = SamplingParams { temperature_milli, ..SamplingParams::OPEN };
    answer_at(number, sampling, |position| {
        candidates(&log_probabilities(&hidden(number, position, "executor", QUIET)))
    })
}

#[test]
fn honest_answers_are_valid_at_every_temperature() {
    for number in 7_000..7_020 {
        for temperature in [0, 700, 1_000] {
            let report = report(number, &at_temperature(number, temperature));
            assert_eq!(report.outcome, Outcome::Valid, "{report}");
            assert_eq!(report.perplexity.is_none(), temperature == 0);
        }
    }
}

#[test]
fn another_seed_fails_by_replay_though_every_number_is_true() {
    let report = report_under(7_100, &plain_answer(7_100, QUIET), &seed(7_101));
    assert!(report.distance.passes() && report.whitened.is_some_and(|whitened| whitened.mean.passes()));
    assert!(report.replay_mismatches > 0);
    assert_eq!(report.outcome, invalid(InvalidReason::Replay));
}

#[test]
fn a_pre_filled_answer_fails_by_replay_and_its_perplexity_is_high() {
    let (cheap, mut claimed) = (plain_answer(7_200, 0.8), plain_answer(7_200, QUIET));
    for (position, token) in (0u32..).zip(&cheap.tokens) {
        let mut row = claimed.rows(VOCABULARY).expect("well formed").remove(position as usize);
        row.token.0 = *token;
        claimed.leaves[position as usize] = encode_leaf(position, &row);
        claimed.tokens[position as usize] = *token;
    }
    let report = report(7_200, &claimed);
    assert_eq!(report.outcome, invalid(InvalidReason::Replay), "{report}");
    assert!(report.perplexity.is_some_and(|check| check.value > 0.4), "{report}");
}

#[test]
fn an_answer_must_end_at_its_first_stop_token_or_at_the_limit() {
    let number = 7_300;
    let whole = plain_answer(number, QUIET);
    let mut early = whole.clone();
    early.tokens.truncate(10);
    early.leaves.truncate(10);
    assert_eq!(report(number, &early).outcome, invalid(InvalidReason::End));
    let mut stops = early.clone();
    stops.request.stop_ids = vec![stops.tokens[9]];
    let first = stops.tokens.iter().position(|token| *token == stops.tokens[9]);
    let expected = if first == Some(9) { Outcome::Valid } else { invalid(InvalidReason::End) };
    assert_eq!(report(number, &stops).outcome, expected);
    let mut beyond = whole;
    beyond.request.stop_ids = vec![beyond.tokens[3]];
    assert_eq!(report(number, &beyond).outcome, invalid(InvalidReason::End));
}

#[test]
fn a_temperature_that_is_not_the_requested_one_fails_by_replay() {
    let mut artifact = at_temperature(7_400, 500);
    artifact.request.sampling.temperature_milli = 1_500;
    let report = report(7_400, &artifact);
    assert_eq!(report.outcome, invalid(InvalidReason::Replay), "{report}");
}
