//! Limits of the checks, made from honest runs alone by the very functions that judge.

use serde::{Deserialize, Serialize};

use super::bins::{CHEAT_PPM, HONEST_FAIL_PPM};
use super::fit::FitError;
use super::null::WIDENING;
use super::statistic::STATISTIC_VERSION;
use super::{mean, to_unit_interval, Measurement};
use crate::evidence::{check_bins, Bins, BinsError};
use crate::ids::{Digest, ModelDigest};
use crate::msg::CalibrationRecord;
use crate::params::PerAlternative;
use crate::session::ModelSpec;

/// Raised whenever the checks give other numbers for the same answer: a calibration is for one version.
pub const VERSION: u32 = 2;
/// Fewest honest answers that a calibration may rest on.
pub const MIN_RUNS: usize = 30;
/// The articles' line for honest perplexities: below it nothing fails, whatever the calibration saw.
pub(super) const PERPLEXITY_FLOOR: f64 = 0.2;

/// What an honest executor is taken to fail at most, and the cheats that the evidence is for, until attacks are measured.
const ALTERNATIVES_PPM: PerAlternative<u32> = PerAlternative(CHEAT_PPM);
/// Share of the honest positions whose deviation the probes tolerate, and how much wider the tolerance is: probes lie
/// outside the rows, where surprisals are larger and so is their noise.
pub(super) const PROBE_QUANTILE: f64 = 0.995;
const PROBE_WIDENING: u32 = 4;
/// A sixteenth of a bit: below it no tolerance tells a guess from a forward pass any better.
pub(super) const PROBE_FLOOR: u32 = 16;

/// On what the honest answers were generated and measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Engine and version, attention kernel, batch shape.
    pub engine: String,
    pub device: String,
}

/// One honest answer, measured as a juror measures it.
#[derive(Clone, Debug, PartialEq)]
pub struct HonestRun {
    /// Number of the prompt: splits are by prompt.
    pub prompt: usize,
    pub measurement: Measurement,
}

/// How one statistic behaves on honest answers, and the limit that follows for an answer of any length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Mean, standard deviation and maximum of the answers' means.
    pub mean: f64,
    pub sd: f64,
    pub max: f64,
    /// The largest value of a single position.
    pub position_max: f64,
}

impl Limit {
    /// Of honest answers' measurements, `mean_of` one and `at` one of its positions.
    pub(super) fn of<'a>(
        runs: impl Iterator<Item = &'a Measurement> + Clone,
        mean_of: impl Fn(&Measurement) -> f64,
        at: impl Fn(&super::Position) -> f64,
    ) -> Self {
        let means: Vec<f64> = runs.clone().map(mean_of).collect();
        let centre = mean(means.iter().copied());
        let variance = mean(means.iter().map(|m| (m - centre).powi(2)));
        let positions = runs.flat_map(|run| run.positions.iter().map(&at));
        Self {
            mean: centre,
            sd: variance.sqrt(),
            max: means.iter().copied().fold(0.0, f64::max),
            position_max: positions.fold(0.0, f64::max),
        }
    }

    /// max + 3 sd + 3 · position_max / √tokens: the worst honest answer, widened for cells not seen, and for short
    /// answers, where a single position counts for more.
    pub fn for_tokens(&self, tokens: usize) -> f64 {
        let length = f64::from(u32::try_from(tokens.max(1)).unwrap_or(u32::MAX)).sqrt();
        self.max + WIDENING * self.sd + WIDENING * self.position_max / length
    }
}

/// What a juror compares with; every juror of a model uses the same one, by its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Of the checks, [`VERSION`].
    pub version: u32,
    pub model: ModelDigest,
    pub spec: ModelSpec,
    pub cell: Cell,
    pub answers: usize,
    pub tokens: usize,
    /// Upper end of the 95 % interval for the share of honest answers above the worst one seen: 1 − 0.05^(1/answers).
    pub exceedance_95: f64,
    /// The articles' distance.
    pub distance: Limit,
    /// Mean clipped margin in nats, before the map to [0, 1].
    pub margin: Limit,
    /// Where the bins of passed answers end, as shares of the limit, rising; none: a passed answer is a passed answer.
    pub score_edges: Vec<f64>,
    /// How often answers end in each bin, as the chain has it.
    pub bins: Vec<Bins>,
    /// As the chain has it, in 1/256 bit.
    pub probe_tolerance: u16,
}

/// A calibration that must not be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    #[error("{found} honest answers are too few, {MIN_RUNS} are needed")]
    TooFew { found: usize },
    #[error("the calibration is for model {found}, this is model {expected}")]
    OtherModel { found: ModelDigest, expected: ModelDigest },
    #[error("the calibration was made with version {found} of the checks, these are version {VERSION}; make it anew")]
    OtherVersion { found: u32 },
    #[error("honest answer {prompt} does not replay: the executor that made it is not honest")]
    NotHonest { prompt: usize },
    #[error("the calibration holds {field} = {value}, which no calibration gives")]
    NotANumber { field: &'static str, value: f64 },
    #[error("the calibration was made with version {found} of the statistic, this is version {STATISTIC_VERSION}; make it anew")]
    OtherStatistic { found: u32 },
    #[error("no cell is certified")]
    NoCell,
    #[error("{found} honest answers of {engine} are left to check the fit on, {expected} are needed")]
    Unchecked { engine: String, found: usize, expected: usize },
    #[error("the answer to prompt {prompt} has {positions} positions and {whitened} whitened ones")]
    Unequal { prompt: usize, positions: usize, whitened: usize },
    #[error("{found} honest probes are too few, {expected} are needed")]
    Probes { found: usize, expected: usize },
    #[error("the fit to honest positions")]
    Fit(#[from] FitError),
    #[error("the calibration's bins")]
    Bins(#[source] BinsError),
    #[error("{edges} score edges for {passes} bins of passed answers: one less, and rising, expected")]
    Edges { edges: usize, passes: usize },
}

/// Makes a calibration from honest answers of one cell.
///
/// # Errors
/// Fewer than [`MIN_RUNS`] answers.
pub fn calibrate(spec: ModelSpec, cell: Cell, runs: &[HonestRun]) -> Result<Calibration, CalibrationError> {
    if runs.len() < MIN_RUNS {
        return Err(CalibrationError::TooFew { found: runs.len() });
    }
    let count = f64::from(u32::try_from(runs.len()).unwrap_or(u32::MAX));
    let measurements = runs.iter().map(|run| &run.measurement);
    Ok(Calibration {
        version: VERSION,
        model: spec.digest(),
        spec,
        cell,
        answers: runs.len(),
        tokens: runs.iter().map(|run| run.measurement.positions.len()).sum(),
        exceedance_95: 1.0 - 0.05f64.powf(1.0 / count),
        distance: Limit::of(measurements.clone(), Measurement::distance, |p| p.distance),
        margin: Limit::of(measurements, Measurement::margin, |p| p.margin),
        score_edges: Vec::new(),
        bins: vec![Bins::verdict_only(HONEST_FAIL_PPM, ALTERNATIVES_PPM)],
        probe_tolerance: probe_tolerance(runs),
    })
}

fn probe_tolerance(runs: &[HonestRun]) -> u16 {
    let positions = runs.iter().flat_map(|run| &run.measurement.positions);
    let mut deviations: Vec<u32> = positions.map(|position| position.deviation).collect();
    deviations.sort_unstable();
    let at = (deviations.len() as f64 * PROBE_QUANTILE) as usize;
    let quantile = deviations.get(at.min(deviations.len().saturating_sub(1))).copied().unwrap_or(0);
    u16::try_from(quantile.saturating_mul(PROBE_WIDENING).max(PROBE_FLOOR)).unwrap_or(u16::MAX)
}

impl Calibration {
    /// Checks that the file belongs to a model and that its numbers are numbers.
    ///
    /// # Errors
    /// Another model, or a number that no calibration gives.
    pub fn check(&self, expected: ModelDigest) -> Result<(), CalibrationError> {
        if self.version != VERSION {
            return Err(CalibrationError::OtherVersion { found: self.version });
        }
        let found = self.spec.digest();
        if found != expected || self.model != expected {
            return Err(CalibrationError::OtherModel { found, expected });
        }
        if self.answers < MIN_RUNS {
            return Err(CalibrationError::TooFew { found: self.answers });
        }
        let numbers = [
            ("distance.max", self.distance.max),
            ("distance.sd", self.distance.sd),
            ("distance.position_max", self.distance.position_max),
            ("margin.max", self.margin.max),
            ("margin.sd", self.margin.sd),
            ("margin.position_max", self.margin.position_max),
        ];
        check_bins(&self.bins).map_err(CalibrationError::Bins)?;
        let passes = self.bins[0].honest_ppm.len() - 1;
        let rise = self.score_edges.windows(2).all(|pair| pair[0] < pair[1]);
        if self.score_edges.len() + 1 != passes || !rise {
            return Err(CalibrationError::Edges { edges: self.score_edges.len(), passes });
        }
        match numbers.into_iter().find(|(_, value)| !value.is_finite() || *value < 0.0) {
            Some((field, value)) => Err(CalibrationError::NotANumber { field, value }),
            None => Ok(()),
        }
    }

    /// What the chain holds of this calibration, whose file has `digest`.
    pub fn record(&self, digest: Digest) -> CalibrationRecord {
        CalibrationRecord { digest, probe_tolerance: self.probe_tolerance, bins: self.bins.clone() }
    }

    /// The bin of a passed answer whose worst check stands at this share of its limit.
    pub fn bin(&self, share: f64) -> u8 {
        u8::try_from(self.score_edges.iter().filter(|edge| share > **edge).count()).unwrap_or(u8::MAX)
    }

    /// The largest distance of an honest answer of so many tokens.
    pub fn distance_limit(&self, tokens: usize) -> f64 {
        self.distance.for_tokens(tokens)
    }

    /// The largest perplexity u of an honest answer of so many tokens.
    pub fn perplexity_limit(&self, tokens: usize) -> f64 {
        to_unit_interval(self.margin.for_tokens(tokens)).max(PERPLEXITY_FLOOR)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::judge::Position;
    use crate::session::{constants_digest, NumericScheme};

    fn spec() -> ModelSpec {
        ModelSpec {
            name: "m".into(),
            weights: Digest([1; 32]),
            scheme: NumericScheme::Bf16F32,
            constants: constants_digest("a", &[]),
            vocabulary: 40,
        }
    }

    fn cell() -> Cell {
        Cell { engine: "e".into(), device: "cpu".into() }
    }

    fn runs(count: usize) -> Vec<HonestRun> {
        let position =
            |i: usize| Position { distance: 1e-3 * (i % 5) as f64, margin: 0.0, deviation: (i % 3) as u32 };
        (0..count)
            .map(|prompt| HonestRun {
                prompt,
                measurement: Measurement {
                    positions: (prompt..prompt + 8).map(position).collect(),
                    probes: Vec::new(),
                },
            })
            .collect()
    }

    #[test]
    fn the_limit_lies_above_every_honest_answer_and_falls_with_length() {
        let calibration = calibrate(spec(), cell(), &runs(40)).unwrap();
        assert!(runs(40).iter().all(|run| run.measurement.distance() < calibration.distance_limit(8)));
        assert!(calibration.distance_limit(1) > calibration.distance_limit(100));
        assert!(calibration.distance_limit(1) > calibration.distance.position_max);
    }

    #[test]
    fn few_answers_another_model_or_a_wild_number_make_no_calibration() {
        assert_eq!(calibrate(spec(), cell(), &runs(29)), Err(CalibrationError::TooFew { found: 29 }));
        let mut calibration = calibrate(spec(), cell(), &runs(30)).unwrap();
        assert_eq!(calibration.check(spec().digest()), Ok(()));
        let other = ModelSpec { vocabulary: 41, ..spec() }.digest();
        assert!(matches!(calibration.check(other), Err(CalibrationError::OtherModel { .. })));
        calibration.distance.max = f64::INFINITY;
        let field = "distance.max";
        assert_eq!(
            calibration.check(spec().digest()),
            Err(CalibrationError::NotANumber { field, value: f64::INFINITY })
        );
    }
}
