//! Limits of the checks, made from honest runs of every certified cell by the very functions that judge.

mod refused;

use serde::{Deserialize, Serialize};

use super::binomial::upper_bound;
use super::bins::{self, EDGES};
use super::cell::{values, CellSummary};
use super::far::FarLimit;
use super::fit::fit;
use super::null::Null;
use super::statistic::{judged, Scorer, Statistic, STATISTIC_VERSION};
use super::whitening::Whitened;
use super::{to_unit_interval, Cell, Limit, Measurement, Platform};
use crate::evidence::{check_bins, Bins};
use crate::ids::{Digest, ModelDigest};
use crate::msg::CalibrationRecord;
use crate::session::ModelSpec;

pub use refused::CalibrationError;

/// Raised whenever the checks give other numbers for the same answer: a calibration is for one version.
pub const VERSION: u32 = 3;
/// Fewest honest answers of a cell that a calibration may rest on.
pub const MIN_RUNS: usize = 30;
/// The articles' line for honest perplexities: below it nothing fails, whatever the calibration saw.
const PERPLEXITY_FLOOR: f64 = 0.2;
/// Share of the honest probes that the tolerance covers.
const PROBE_QUANTILE: f64 = 0.995;
/// A sixteenth of a bit: below it no tolerance tells a guess from a forward pass any better.
const PROBE_FLOOR: u32 = 16;
/// Fewest answers of a cell that the fit does not see.
pub const MIN_CHECKED: usize = MIN_RUNS / 2;
/// Fewest honest probes for a quantile of 99.5 %: one of them lies above it.
pub const MIN_PROBES: usize = 200;
/// Chance that honest validators miss the probe tolerance more often than the calibration says.
const BOUND_MISS: f64 = 0.05;

/// What a calibration is for and rests on, beside its honest runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Basis {
    pub spec: ModelSpec,
    /// By the scheme of the specification.
    pub statistic: Statistic,
    /// SHA-256 of the prompts' file.
    pub prompts: Digest,
}

/// One honest answer, measured as a juror measures it.
#[derive(Clone, Debug, PartialEq)]
pub struct HonestAnswer {
    /// Number of the prompt: even ones are fitted to, odd ones are checked on.
    pub prompt: usize,
    pub measurement: Measurement,
    /// How far another honest validator's surprisals lie from the reference pass's, at places drawn as probes are, in
    /// 1/256 bit.
    pub probe_deviations: Vec<u32>,
}

/// The honest answers of one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct HonestCell {
    pub cell: Cell,
    pub answers: Vec<HonestAnswer>,
}

/// What a juror compares with; every juror of a model uses the same one, by its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Of the checks, [`VERSION`], and of the statistic, [`STATISTIC_VERSION`].
    pub version: u32,
    pub statistic_version: u32,
    pub model: ModelDigest,
    pub spec: ModelSpec,
    /// SHA-256 of the prompts' file.
    pub prompts: Digest,
    pub statistic: Statistic,
    /// The certified cells: an executor is judged by the worst of them, a juror whose own is none of them abstains.
    pub cells: Vec<CellSummary>,
    pub scorer: Scorer,
    pub null: Null,
    pub far: FarLimit,
    /// The articles' distance and the mean clipped margin in nats, over all cells.
    pub distance: Limit,
    pub margin: Limit,
    /// Where the bins of passed answers end, in standard deviations above the widened null, rising.
    pub score_edges: Vec<f64>,
    /// How often answers end in each bin, as the chain has it.
    pub bins: Vec<Bins>,
    /// As the chain has it, in 1/256 bit; and the share of honest probes beyond it, 95 % upper bound.
    pub probe_tolerance: u16,
    pub probe_miss: f64,
}

/// Makes a calibration from honest answers of one or more cells.
///
/// The scorer is fitted to the answers with even prompt numbers, all cells together; the cells' means, spreads and
/// histograms, and every limit that follows from them, are measured on the odd ones.
///
/// # Errors
/// No cell, too few answers, an answer that two passes did not measure whole, or cells without any spread.
pub fn calibrate(basis: Basis, cells: &[HonestCell]) -> Result<Calibration, CalibrationError> {
    check_cells(cells)?;
    let of_half = |cell: &HonestCell, odd: usize| -> Vec<Vec<Whitened>> {
        let half = cell.answers.iter().filter(|answer| answer.prompt % 2 == odd);
        half.map(|answer| answer.measurement.whitened.clone()).collect()
    };
    let fitted = cells.iter().flat_map(|cell| of_half(cell, 0));
    let scorer = fit(&fitted.flat_map(|answer| judged(&answer).to_vec()).collect::<Vec<_>>())?;
    let measured = cells.iter().map(|cell| {
        let answers = of_half(cell, 1);
        let answers: Vec<&[Whitened]> = answers.iter().map(Vec::as_slice).collect();
        let summary = CellSummary::of(cell.cell.clone(), &answers, &scorer, basis.statistic);
        (summary, values(&answers, &scorer, basis.statistic))
    });
    let measured: Vec<_> = measured.collect();
    let null = Null::of(&measured);
    let (summaries, values): (Vec<_>, Vec<_>) = measured.into_iter().unzip();
    let measurements = || cells.iter().flat_map(|cell| &cell.answers).map(|answer| &answer.measurement);
    let (probe_tolerance, probe_miss) = probes(cells)?;
    let calibration = Calibration {
        version: VERSION,
        statistic_version: STATISTIC_VERSION,
        model: basis.spec.digest(),
        spec: basis.spec,
        prompts: basis.prompts,
        statistic: basis.statistic,
        far: FarLimit::of(summaries.iter()),
        cells: summaries,
        scorer,
        distance: Limit::of(measurements(), Measurement::distance, |position| position.distance),
        margin: Limit::of(measurements(), Measurement::margin, |position| position.margin),
        score_edges: EDGES.to_vec(),
        bins: bins::tables(&null, &values),
        null,
        probe_tolerance,
        probe_miss,
    };
    calibration.check(calibration.model)?;
    Ok(calibration)
}

fn check_cells(cells: &[HonestCell]) -> Result<(), CalibrationError> {
    if cells.is_empty() {
        return Err(CalibrationError::NoCell);
    }
    for HonestCell { cell, answers } in cells {
        let uneven = answers.iter().find_map(|answer| {
            let positions = answer.measurement.positions.len();
            let whitened = answer.measurement.whitened.len();
            (positions != whitened || whitened == 0).then_some((answer.prompt, positions, whitened))
        });
        if let Some((prompt, positions, whitened)) = uneven {
            return Err(CalibrationError::Unequal { prompt, positions, whitened });
        }
        if answers.len() < MIN_RUNS {
            return Err(CalibrationError::TooFew { found: answers.len() });
        }
        let found = answers.iter().filter(|answer| answer.prompt % 2 == 1).count();
        if found < MIN_CHECKED {
            let cell = cell.to_string();
            return Err(CalibrationError::Unchecked { cell, found, expected: MIN_CHECKED });
        }
    }
    Ok(())
}

/// The worst cell's 99.5 % quantile of the probes' deviations, and the share of all that lies beyond it.
fn probes(cells: &[HonestCell]) -> Result<(u16, f64), CalibrationError> {
    let of_cell = |cell: &HonestCell| -> Vec<u32> {
        let mut deviations: Vec<u32> =
            cell.answers.iter().flat_map(|answer| &answer.probe_deviations).copied().collect();
        deviations.sort_unstable();
        deviations
    };
    let cells: Vec<Vec<u32>> = cells.iter().map(of_cell).collect();
    let found = cells.iter().map(Vec::len).min().unwrap_or(0);
    if found < MIN_PROBES {
        return Err(CalibrationError::Probes { found, expected: MIN_PROBES });
    }
    let quantile =
        |cell: &Vec<u32>| cell[((cell.len() as f64 * PROBE_QUANTILE) as usize).min(cell.len() - 1)];
    let widest = cells.iter().map(quantile).max().unwrap_or(0).max(PROBE_FLOOR);
    let tolerance = u16::try_from(widest).unwrap_or(u16::MAX);
    let all: u64 = cells.iter().map(|cell| cell.len() as u64).sum();
    let beyond = cells.iter().flatten().filter(|deviation| **deviation > tolerance.into()).count() as u64;
    Ok((tolerance, upper_bound(beyond, all, BOUND_MISS)))
}

impl Calibration {
    /// Checks that the file belongs to a model and to these checks, and that its numbers are numbers.
    ///
    /// # Errors
    /// Another model or version, or a number that no calibration gives.
    pub fn check(&self, expected: ModelDigest) -> Result<(), CalibrationError> {
        if self.version != VERSION {
            return Err(CalibrationError::OtherVersion { found: self.version });
        }
        if self.statistic_version != STATISTIC_VERSION {
            return Err(CalibrationError::OtherStatistic { found: self.statistic_version });
        }
        let found = self.spec.digest();
        if found != expected || self.model != expected {
            return Err(CalibrationError::OtherModel { found, expected });
        }
        if self.cells.is_empty() || self.null.cells.len() != self.cells.len() {
            return Err(CalibrationError::NoCell);
        }
        check_bins(&self.bins).map_err(CalibrationError::Bins)?;
        let passes = self.bins[0].honest_ppm.len() - 1;
        let rise = self.score_edges.windows(2).all(|pair| pair[0] < pair[1]);
        if self.score_edges.len() + 1 != passes || !rise {
            return Err(CalibrationError::Edges { edges: self.score_edges.len(), passes });
        }
        self.check_numbers()
    }

    fn check_numbers(&self) -> Result<(), CalibrationError> {
        let wrong = |value: f64, least: f64| !value.is_finite() || value < least;
        let named = |field: &'static str, value: f64, least: f64| match wrong(value, least) {
            true => Err(CalibrationError::NotANumber { field, value }),
            false => Ok(()),
        };
        for (value, positive) in self.scorer.numbers() {
            named("scorer", value, if positive { f64::MIN_POSITIVE } else { f64::MIN })?;
        }
        for cell in &self.null.cells {
            named("null.mean", cell.mean, f64::MIN)?;
            named("null.position_sd", cell.position_sd, f64::MIN_POSITIVE)?;
            named("null.sequence_sd", cell.sequence_sd, 0.0)?;
        }
        named("null.z", self.null.z, 0.0)?;
        named("far.share", self.far.share, 0.0)?;
        for (field, limit) in [("distance", &self.distance), ("margin", &self.margin)] {
            for value in [limit.max, limit.sd, limit.position_max] {
                named(field, value, 0.0)?;
            }
        }
        named("probe_miss", self.probe_miss, 0.0)
    }

    /// What the chain holds of this calibration, whose file has `digest`.
    pub fn record(&self, digest: Digest) -> CalibrationRecord {
        CalibrationRecord { digest, probe_tolerance: self.probe_tolerance, bins: self.bins.clone() }
    }

    /// Whether a juror that recomputes on this platform may judge by the calibration; one that may not abstains.
    pub fn certifies(&self, juror: &Platform) -> bool {
        self.cells.iter().any(|summary| summary.cell.juror == *juror)
    }

    /// The bin of a passed answer whose mean lies so many standard deviations above the widened null.
    pub fn bin(&self, height: f64) -> u8 {
        u8::try_from(self.score_edges.iter().filter(|edge| height > **edge).count()).unwrap_or(u8::MAX)
    }

    /// The largest perplexity u of an honest answer of so many tokens.
    pub fn perplexity_limit(&self, tokens: usize) -> f64 {
        to_unit_interval(self.margin.for_tokens(tokens)).max(PERPLEXITY_FLOOR)
    }
}
