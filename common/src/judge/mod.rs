//! Judging one artifact against the validator's own recomputation: the one place with floats.
//!
//! Three checks, cheapest proof first: *replay* (exact: do the signed numbers and the seed give these tokens?),
//! *distance* (are the signed numbers those of the model?), *perplexity* (would the model have emitted these tokens
//! under this seed?). Pure functions of the artifact, the measurement and a calibration made from honest runs only.
//! [`two_pass`] judges with a second pass of the model; `docs/science.md` specifies its statistic.

pub mod binomial;
pub mod bins;
mod calibration;
pub mod cell;
pub mod cholesky;
pub mod distance;
mod edge;
pub mod far;
pub mod fit;
pub mod gonka;
pub mod normal;
pub mod null;
mod perplexity;
pub mod power;
pub mod statistic;
pub mod surprisal;
pub mod two_pass;
pub mod whitening;

use serde::{Deserialize, Serialize};

use self::statistic::Statistic;
use self::two_pass::Comparators;
use crate::artifact::Artifact;
use crate::ids::RunSeed;
use crate::replay::{replay, Replay};
use crate::row::{Entry, Row, Surprisal};
use crate::sampler::{top_candidates, SamplingParams, MAX_CANDIDATES};
use crate::verdict::{InvalidReason, Outcome, Score};

pub use calibration::{calibrate, Calibration, CalibrationError, Cell, HonestRun, Limit, MIN_RUNS, VERSION};
pub use perplexity::to_unit_interval;

/// What the validator's own forward pass says about one position of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Normalised distance of the signed probabilities from the validator's, in [0, 1].
    pub distance: f64,
    /// Nats by which the best candidate beats the emitted token under the seed's noise, at most 0.5.
    pub margin: f64,
    /// Largest difference of a signed surprisal from the validator's, in 1/256 bit.
    pub deviation: u32,
}

/// What the validator's own forward pass says about an artifact: one entry for each token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub positions: Vec<Position>,
    /// The validator's own surprisals at the places that it was asked to probe, in their order, in 1/256 bit.
    pub probes: Vec<u16>,
}

impl Measurement {
    /// Mean of d over the positions (the articles' check 1).
    pub fn distance(&self) -> f64 {
        mean(self.positions.iter().map(|p| p.distance))
    }

    /// Mean clipped margin in nats; [`to_unit_interval`] maps it to the articles' check 2.
    pub fn margin(&self) -> f64 {
        mean(self.positions.iter().map(|p| p.margin))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    if count == 0 {
        0.0
    } else {
        sum / f64::from(count)
    }
}

/// Compares one signed row with the validator's own numbers at the same position.
///
/// `surprisals` are the validator's, in 1/256 bit, and `log_probabilities` its natural logarithms, both `[vocabulary]`.
pub fn measure(
    row: &Row,
    position: u32,
    surprisals: &[u32],
    log_probabilities: &[f32],
    sampling: &SamplingParams,
    run_seed: &RunSeed,
) -> Position {
    measure_reference(row, position, Distribution { surprisals, log_probabilities }, sampling, run_seed)
        .position
}

/// A pass's distribution at one position: surprisals in 1/256 bit and natural log-probabilities, both `[vocabulary]`.
#[derive(Clone, Copy, Debug)]
pub struct Distribution<'a> {
    pub surprisals: &'a [u32],
    pub log_probabilities: &'a [f32],
}

/// What the reference pass alone says of one position.
#[derive(Clone, Debug, PartialEq)]
pub struct Referenced {
    pub position: Position,
    /// The tokens at which both passes and the head's rows are wanted, see [`whitening::compared`].
    pub compared: Vec<Entry>,
    pub comparators: Comparators,
}

/// As [`measure`], with what [`whitening::whiten`] and the comparators need.
pub fn measure_reference(
    row: &Row,
    position: u32,
    reference: Distribution<'_>,
    sampling: &SamplingParams,
    run_seed: &RunSeed,
) -> Referenced {
    let Distribution { surprisals, log_probabilities } = reference;
    let candidates = top_candidates(surprisals, MAX_CANDIDATES + edge::REACH);
    let edge = edge::Edge::new(&candidates, sampling);
    let own_cut = (!sampling.filter_is_replayable()).then(|| edge.own_cut(&row.cut)).flatten();
    let drawn =
        perplexity::Drawn { token: row.token, temperature_milli: sampling.temperature_milli, position };
    let at =
        |entry: &Entry| log_probabilities.get(entry.token.0 as usize).copied().unwrap_or(f32::NEG_INFINITY);
    let own: Vec<f32> = row.entries.iter().map(at).collect();
    Referenced {
        position: Position {
            distance: distance::normalised(row, &candidates, own_cut, log_probabilities),
            margin: perplexity::margin(&drawn, edge.surely_kept(), edge.perhaps_kept(), run_seed),
            deviation: deviation(row, surprisals),
        },
        compared: whitening::compared(row, &candidates),
        comparators: Comparators {
            relative: gonka::relative(&row.entries, &own),
            surprise: surprisal::surprise(row.token, edge.perhaps_kept(), sampling.temperature_milli),
        },
    }
}

fn deviation(row: &Row, surprisals: &[u32]) -> u32 {
    let differences = row.entries.iter().filter_map(|entry| {
        let own = surprisals.get(entry.token.0 as usize)?.min(&Surprisal::MAX.0);
        Some(own.abs_diff(entry.surprisal.0))
    });
    differences.max().unwrap_or(0)
}

/// One check's number beside its limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub value: f64,
    /// Above it an honest executor's answer of this length does not come.
    pub limit: f64,
}

impl Check {
    pub fn passes(&self) -> bool {
        self.value <= self.limit
    }

    /// The value as a share of its limit.
    fn share(&self) -> f64 {
        self.value / self.limit
    }
}

/// A verdict with the number of every check behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub outcome: Outcome,
    pub tokens: u32,
    /// Positions whose token the signed numbers and the seed do not give.
    pub replay_mismatches: u32,
    pub first_mismatch: Option<u32>,
    /// Whether the answer ends where the request says.
    pub ends: bool,
    pub distance: Check,
    /// u in [0, 1]; not applicable at temperature 0.
    pub perplexity: Option<Check>,
    /// How near the answer came to the limits, as the calibration's edges divide it; see [`crate::evidence::Bins`].
    pub bin: u8,
    /// As in [`Measurement::probes`].
    pub probes: Vec<u16>,
    /// Where two passes judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whitened: Option<WhitenedReport>,
}

/// The numbers of the two-pass checks, and beside them what is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhitenedReport {
    pub statistic: Statistic,
    /// Of the statistic.
    pub version: u32,
    /// Mean over the judged positions, in the statistic's units.
    pub mean: Check,
    /// The same in standard deviations above the widened null.
    pub height: f64,
    /// Positions with s beyond 2, and the most that an honest answer has.
    pub far: u64,
    pub far_limit: u64,
    /// Mean ρ; near 1 it hints at rows that come from a prefill, which proves nothing.
    pub direction: f64,
    /// Mean of [`gonka::relative`]; standardised surprisal ([`surprisal::standardised`]).
    pub relative: f64,
    pub surprisal: Option<f64>,
}

impl Report {
    /// What goes to the chain beside the outcome.
    pub fn score(&self) -> Score {
        Score { bin: self.bin, tokens: self.tokens, probes: self.probes.clone() }
    }
}

/// Judges an artifact whose format and request were found in order.
///
/// `rows` are [`Artifact::rows`]; `measurement` has one position for each of them.
pub fn judge(
    artifact: &Artifact,
    rows: &[Row],
    run_seed: &RunSeed,
    measurement: &Measurement,
    calibration: &Calibration,
) -> Report {
    let limits = Limits {
        vocabulary: calibration.spec.vocabulary,
        distance: calibration.distance_limit(rows.len()),
        perplexity: calibration.perplexity_limit(rows.len()),
    };
    let report = report(artifact, rows, run_seed, measurement, &limits);
    let nearest = report.perplexity.map_or(0.0, |check| check.share()).max(report.distance.share());
    Report { bin: calibration.bin(nearest), ..report }
}

/// What a calibration says of an answer of this length.
struct Limits {
    vocabulary: u32,
    distance: f64,
    perplexity: f64,
}

/// The checks that need the reference pass alone; the bin is left to the calibration.
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

fn word(passes: bool) -> &'static str {
    if passes {
        "passed"
    } else {
        "FAILED"
    }
}

impl std::fmt::Display for WhitenedReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { mean, far, far_limit, relative, .. } = self;
        writeln!(f, "whitened    {}: {:.4}, limit {:.4}", word(mean.passes()), mean.value, mean.limit)?;
        writeln!(f, "far         {}: {far}, limit {far_limit}", word(far <= far_limit))?;
        write!(f, "not judged  direction {:.3}, relative distance {relative:.6}", self.direction)?;
        match self.surprisal {
            Some(z) => write!(f, ", surprisal z {z:.2}"),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "tokens      {}", self.tokens)?;
        let replayed = self.replay_mismatches == 0;
        write!(
            f,
            "replay      {}: {} of {} positions differ",
            word(replayed),
            self.replay_mismatches,
            self.tokens
        )?;
        match self.first_mismatch {
            Some(position) => writeln!(f, ", the first at {position}")?,
            None => writeln!(f)?,
        }
        writeln!(f, "end         {}", word(self.ends))?;
        if let Some(whitened) = &self.whitened {
            writeln!(f, "{whitened}")?;
        }
        let distance = self.distance;
        writeln!(
            f,
            "distance    {}: {:.6}, limit {:.6}",
            word(distance.passes()),
            distance.value,
            distance.limit
        )?;
        match self.perplexity {
            Some(check) => writeln!(
                f,
                "perplexity  {}: {:.6}, limit {:.6}",
                word(check.passes()),
                check.value,
                check.limit
            )?,
            None => writeln!(f, "perplexity  not applicable at temperature 0")?,
        }
        write!(f, "verdict     ")?;
        match self.outcome {
            Outcome::Valid => write!(f, "valid"),
            Outcome::Invalid { reason } => write!(f, "invalid ({reason:?})"),
            other => write!(f, "{other:?}"),
        }
    }
}
