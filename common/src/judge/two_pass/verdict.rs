//! The verdict with two passes: a pure function of the artifact, the measurement and a calibration.

use super::{TwoPassCalibration, TwoPassMeasurement};
use crate::artifact::Artifact;
use crate::ids::RunSeed;
use crate::judge::cell::far;
use crate::judge::statistic::judged;
use crate::judge::surprisal::{standardised, Surprise};
use crate::judge::whitening::Whitened;
use crate::judge::{mean, outcome, report, Check, Limits, Report, WhitenedReport};
use crate::row::Row;
use crate::verdict::{AbstainReason, Outcome};

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
    measurement: &TwoPassMeasurement,
    calibration: &TwoPassCalibration,
) -> Report {
    let limits = Limits {
        vocabulary: calibration.spec.vocabulary,
        distance: calibration.distance.for_tokens(rows.len()),
        perplexity: calibration.perplexity_limit(rows.len()),
    };
    let base = report(artifact, rows, run_seed, &measurement.reference, &limits);
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

fn whitened_report(measurement: &TwoPassMeasurement, calibration: &TwoPassCalibration) -> WhitenedReport {
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
fn is_sound(measurement: &TwoPassMeasurement, positions: usize) -> bool {
    let TwoPassMeasurement { reference, whitened, .. } = measurement;
    let whole = positions > 0 && reference.positions.len() == positions && whitened.len() == positions;
    let single = reference.positions.iter().flat_map(|position| [position.distance, position.margin]);
    let double = whitened.iter().flat_map(Whitened::numbers);
    whole && single.chain(double).all(f64::is_finite)
}
