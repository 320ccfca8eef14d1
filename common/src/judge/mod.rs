//! Judging one artifact against the validator's own recomputation: the one place with floats.
//!
//! Three checks, cheapest proof first: *replay* (exact: do the signed numbers and the seed give these tokens?),
//! *distance* (are the signed numbers those of the model?), *perplexity* (would the model have emitted these tokens
//! under this seed?). Pure functions of the artifact, the measurement and a calibration made from honest runs only.

mod calibration;
mod distance;
mod edge;
mod perplexity;

use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;
use crate::ids::RunSeed;
use crate::replay::{replay, Replay};
use crate::row::{Row, Surprisal};
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
    let candidates = top_candidates(surprisals, MAX_CANDIDATES + edge::REACH);
    let edge = edge::Edge::new(&candidates, sampling);
    let own_cut = (!sampling.filter_is_replayable()).then(|| edge.own_cut(&row.cut)).flatten();
    let drawn =
        perplexity::Drawn { token: row.token, temperature_milli: sampling.temperature_milli, position };
    Position {
        distance: distance::normalised(row, &candidates, own_cut, log_probabilities),
        margin: perplexity::margin(&drawn, edge.surely_kept(), edge.perhaps_kept(), run_seed),
        deviation: deviation(row, surprisals),
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
    let sampling = &artifact.request.sampling;
    let vocabulary = calibration.spec.vocabulary;
    let mismatches: Vec<u32> = (0u32..)
        .zip(rows)
        .filter(|(position, row)| replay(row, *position, vocabulary, sampling, run_seed) != Replay::Matches)
        .map(|(position, _)| position)
        .collect();
    let distance = Check { value: measurement.distance(), limit: calibration.distance_limit(rows.len()) };
    let perplexity = (sampling.temperature_milli > 0).then(|| Check {
        value: to_unit_interval(measurement.margin()),
        limit: calibration.perplexity_limit(rows.len()),
    });
    let ends = ends_as_requested(artifact);
    let broken = [
        (mismatches.is_empty(), InvalidReason::Replay),
        (ends, InvalidReason::End),
        (distance.passes(), InvalidReason::Distance),
        (perplexity.is_none_or(|check| check.passes()), InvalidReason::Perplexity),
    ];
    let failed = broken.into_iter().find(|(passes, _)| !passes);
    Report {
        outcome: failed.map_or(Outcome::Valid, |(_, reason)| Outcome::Invalid { reason }),
        tokens: u32::try_from(rows.len()).unwrap_or(u32::MAX),
        replay_mismatches: u32::try_from(mismatches.len()).unwrap_or(u32::MAX),
        first_mismatch: mismatches.first().copied(),
        ends,
        distance,
        perplexity,
        bin: calibration.bin(perplexity.map_or(0.0, |check| check.share()).max(distance.share())),
        probes: measurement.probes.clone(),
    }
}

/// Whether the answer stops at its first stop token, or at the limit without one.
fn ends_as_requested(artifact: &Artifact) -> bool {
    let request = &artifact.request;
    match artifact.tokens.iter().position(|token| request.stop_ids.contains(token)) {
        Some(stop) => stop + 1 == artifact.tokens.len(),
        None => artifact.tokens.len() == request.max_new as usize,
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |passes| if passes { "passed" } else { "FAILED" };
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
