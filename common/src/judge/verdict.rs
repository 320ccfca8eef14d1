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

/// What is exact about an answer: what its own bytes and the request decide, without any model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exact {
    pub tokens: usize,
    /// Positions whose row and seed do not give the token, in order.
    pub mismatches: Vec<u32>,
    /// Whether the answer ends where the request says.
    pub ends: bool,
    /// Whether anything was left to chance: the temperature is not 0.
    pub sampled: bool,
}

impl Exact {
    /// Replays every row; `rows` are [`Artifact::rows`].
    pub fn of(artifact: &Artifact, rows: &[Row], run_seed: &RunSeed, vocabulary: u32) -> Self {
        let sampling = &artifact.request.sampling;
        let replays = |(position, row): &(u32, &Row)| {
            replay(row, *position, vocabulary, sampling, run_seed) == Replay::Matches
        };
        let mismatches = (0u32..).zip(rows).filter(|at| !replays(at)).map(|(position, _)| position);
        Self {
            tokens: rows.len(),
            mismatches: mismatches.collect(),
            ends: ends_as_requested(artifact),
            sampled: sampling.temperature_milli > 0,
        }
    }
}

/// Judges an artifact whose format and request were found in order; see [`judge_measured`]. `rows` are [`Artifact::rows`].
pub fn judge(
    artifact: &Artifact,
    rows: &[Row],
    run_seed: &RunSeed,
    measurement: &Measurement,
    calibration: &Calibration,
) -> Report {
    judge_measured(
        &Exact::of(artifact, rows, run_seed, calibration.spec.vocabulary),
        measurement,
        calibration,
    )
}

/// Judges by one after another of:
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
/// `measurement` has one entry for each token. Where it has not, or holds a number that is none, the validator's passes are at
/// fault: what replay and end do not settle is then [`Outcome::Inconclusive`].
pub fn judge_measured(exact: &Exact, measurement: &Measurement, calibration: &Calibration) -> Report {
    let base = report(exact, measurement, calibration);
    if !is_sound(measurement, exact.tokens) {
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

/// The checks that need no second pass; the bin is left to the calibration.
fn report(exact: &Exact, measurement: &Measurement, calibration: &Calibration) -> Report {
    let limit = calibration.perplexity_limit(exact.tokens);
    let perplexity = exact.sampled.then(|| Check { value: to_unit_interval(measurement.margin()), limit });
    let limit = calibration.distance.for_tokens(exact.tokens);
    let report = Report {
        outcome: Outcome::Valid,
        tokens: u32::try_from(exact.tokens).unwrap_or(u32::MAX),
        replay_mismatches: u32::try_from(exact.mismatches.len()).unwrap_or(u32::MAX),
        first_mismatch: exact.mismatches.first().copied(),
        ends: exact.ends,
        distance: Check { value: measurement.distance(), limit },
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
