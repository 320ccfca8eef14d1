//! The verdict: a pure function of the artifact, the measurement and a calibration.

use super::cell::far;
use super::perplexity::to_unit_interval;
use super::statistic::judged;
use super::surprisal::{standardised, Surprise};
use super::whitening::Whitened;
use super::{mean, Calibration, Check, Measurement, Report, WhitenedReport};
use crate::artifact::Artifact;
use crate::ids::RunSeed;
use crate::replay::{replay, Replay};
use crate::row::Row;
use crate::verdict::{AbstainReason, InvalidReason, Outcome};

/// Judges an artifact whose format and request were found in order, by one after another of:
///
/// | check | fails as |
/// |---|---|
/// | replay: the signed numbers and the seed give the signed tokens | `Replay` |
/// | end: at the first stop token, or at the limit | `End` |
/// | mean of s or t over the judged positions, against the null's limit for their number | `Distance` |
/// | far positions (s > 2), against the limit for all positions | `Distance` |
/// | the articles' distance, against its loose limit | `Distance` |
/// | u of the mean margin, against its limit; not at temperature 0 | `Perplexity` |
///
/// `rows` are [`Artifact::rows`]; `measurement` has one entry for each of them. Where it has not, or holds a number that is
/// none, the validator's passes are at fault: what replay and end do not settle is then [`Outcome::Inconclusive`].
pub fn judge(
    artifact: &Artifact,
    rows: &[Row],
    run_seed: &RunSeed,
    measurement: &Measurement,
    calibration: &Calibration,
) -> Report {
    let limits = Limits {
        vocabulary: calibration.spec.vocabulary,
        distance: calibration.distance.for_tokens(rows.len()),
        perplexity: calibration.perplexity_limit(rows.len()),
    };
    let base = report(artifact, rows, run_seed, measurement, &limits);
    if !is_sound(measurement, rows.len()) {
        let settled = base.replay_mismatches > 0 || !base.ends;
        let abstains = Outcome::Inconclusive { reason: AbstainReason::Recompute };
        return Report { outcome: if settled { base.outcome } else { abstains }, ..base };
    }
    let whitened = whitened_report(measurement, calibration);
    let same_numbers = whitened.mean.passes() && whitened.far <= whitened.far_limit && base.distance.passes();
    Report {
        outcome: outcome(&base, same_numbers),
        bin: calibration.bin(whitened.height),
        whitened: Some(whitened),
        ..base
    }
}

fn whitened_report(measurement: &Measurement, calibration: &Calibration) -> WhitenedReport {
    let positions = judged(&measurement.whitened);
    let scorer = &calibration.scorer;
    let value = mean(positions.iter().map(|position| scorer.value(calibration.statistic, position)));
    let surprises: Vec<Surprise> =
        measurement.comparators.iter().filter_map(|comparators| comparators.surprise).collect();
    WhitenedReport {
        statistic: calibration.statistic,
        version: calibration.statistic_version,
        mean: Check { value, limit: calibration.null.limit(positions.len()) },
        height: calibration.null.standardise(value, positions.len()),
        far: far(&measurement.whitened, scorer),
        far_limit: calibration.far.limit(measurement.whitened.len()),
        direction: mean(positions.iter().map(|position| position.direction)),
        relative: mean(measurement.comparators.iter().map(|comparators| comparators.relative)),
        surprisal: (!surprises.is_empty()).then(|| standardised(&surprises)),
    }
}

/// Whether there is a number, and a finite one, for every position.
fn is_sound(measurement: &Measurement, positions: usize) -> bool {
    let Measurement { positions: reference, whitened, .. } = measurement;
    let whole = positions > 0 && reference.len() == positions && whitened.len() == positions;
    let single = reference.iter().flat_map(|position| [position.distance, position.margin]);
    let double = whitened.iter().flat_map(Whitened::numbers);
    whole && single.chain(double).all(f64::is_finite)
}

/// What a calibration says of an answer of this length.
struct Limits {
    vocabulary: u32,
    distance: f64,
    perplexity: f64,
}

/// The checks that need no second pass; the bin is left to the calibration.
fn report(
    artifact: &Artifact,
    rows: &[Row],
    run_seed: &RunSeed,
    measurement: &Measurement,
    limits: &Limits,
) -> Report {
    let sampling = &artifact.request.sampling;
    let replays = |(position, row): &(u32, &Row)| {
        replay(row, *position, limits.vocabulary, sampling, run_seed) == Replay::Matches
    };
    let mismatches: Vec<u32> =
        (0u32..).zip(rows).filter(|at| !replays(at)).map(|(position, _)| position).collect();
    let perplexity = (sampling.temperature_milli > 0)
        .then(|| Check { value: to_unit_interval(measurement.margin()), limit: limits.perplexity });
    let report = Report {
        outcome: Outcome::Valid,
        tokens: u32::try_from(rows.len()).unwrap_or(u32::MAX),
        replay_mismatches: u32::try_from(mismatches.len()).unwrap_or(u32::MAX),
        first_mismatch: mismatches.first().copied(),
        ends: ends_as_requested(artifact),
        distance: Check { value: measurement.distance(), limit: limits.distance },
        perplexity,
        bin: 0,
        probes: measurement.probes.clone(),
        whitened: None,
    };
    Report { outcome: outcome(&report, report.distance.passes()), ..report }
}

/// Valid, or the reason of the first check that fails; `same_numbers` says whether the signed numbers are the model's.
fn outcome(report: &Report, same_numbers: bool) -> Outcome {
    let checks = [
        (report.replay_mismatches == 0, InvalidReason::Replay),
        (report.ends, InvalidReason::End),
        (same_numbers, InvalidReason::Distance),
        (report.perplexity.is_none_or(|check| check.passes()), InvalidReason::Perplexity),
    ];
    let failed = checks.into_iter().find(|(passes, _)| !passes);
    failed.map_or(Outcome::Valid, |(_, reason)| Outcome::Invalid { reason })
}

/// Whether the answer stops at its first stop token, or at the limit without one.
fn ends_as_requested(artifact: &Artifact) -> bool {
    let request = &artifact.request;
    match artifact.tokens.iter().position(|token| request.stop_ids.contains(token)) {
        Some(stop) => stop + 1 == artifact.tokens.len(),
        None => artifact.tokens.len() == request.max_new as usize,
    }
}
