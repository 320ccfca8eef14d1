//! A table of scores: in which bins the answers of honest cells and of attacks ended when a juror judged them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use assay_common::ids::ModelDigest;
use assay_common::judge::Calibration;
use assay_common::session::NumericScheme;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Of the format.
pub const VERSION: u32 = 1;

/// Length of an answer in tokens; a decimal text in JSON, where it is a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnswerTokens(pub u32);

impl fmt::Display for AnswerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AnswerTokens {
    type Err = ScoresError;

    fn from_str(text: &str) -> Result<Self, ScoresError> {
        match text.parse() {
            Ok(tokens) if tokens > 0 => Ok(Self(tokens)),
            _ => Err(ScoresError::Tokens { found: text.to_owned() }),
        }
    }
}

impl Serialize for AnswerTokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AnswerTokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How many answers of one length ended in each bin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    pub answers: u64,
    /// From good to bad, as the calibration's edges divide passed answers; the last is a failed check, of whatever kind.
    pub bins: Vec<u64>,
}

/// Counts by the length of the answers.
pub type ByLength = BTreeMap<AnswerTokens, Counts>;

/// What a cheat's answers came to, and what they cost it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attack {
    /// Its cost as a share of an honest answer's; none where that was not measured.
    pub cost: Option<f64>,
    /// Every key beside `cost` is a length, so an unknown field is refused as no length.
    #[serde(flatten)]
    pub lengths: ByLength,
}

/// Measured scores of one model under one calibration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// Of this format, [`VERSION`].
    pub version: u32,
    pub model: ModelDigest,
    pub statistic_version: u32,
    pub scheme: NumericScheme,
    /// Honest answers, by the name of their cell.
    pub cells: BTreeMap<String, ByLength>,
    pub attacks: BTreeMap<String, Attack>,
}

/// A table of scores that cannot be used with a calibration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScoresError {
    #[error("{found:?} is no length of answers: a number of tokens above 0 expected")]
    Tokens { found: String },
    #[error("the scores are in version {found} of the format, this is version {VERSION}")]
    OtherVersion { found: u32 },
    #[error("the scores are of model {found}, the calibration is of model {expected}")]
    OtherModel { found: ModelDigest, expected: ModelDigest },
    #[error("the scores are of version {found} of the statistic, the calibration is of version {expected}")]
    OtherStatistic { found: u32, expected: u32 },
    #[error("the scores are of scheme {found}, the calibration is of scheme {expected}")]
    OtherScheme { found: NumericScheme, expected: NumericScheme },
    #[error("the scores have no honest cell")]
    NoCell,
    #[error("{name} was measured at no length")]
    NoLength { name: String },
    #[error("{name} has no answers of {tokens} tokens")]
    NoAnswers { name: String, tokens: AnswerTokens },
    #[error("{name} has {found} bins at {tokens} tokens, the calibration has {expected}")]
    Bins { name: String, tokens: AnswerTokens, found: usize, expected: usize },
    #[error("the bins of {name} at {tokens} tokens add up to {counted:?}, it has {answers} answers")]
    Sum { name: String, tokens: AnswerTokens, counted: Option<u64>, answers: u64 },
    #[error("{name} costs {cost} of an honest answer: a share of 0 or more expected")]
    Cost { name: String, cost: f64 },
}

impl Scores {
    /// Checks that the scores were measured under this calibration, and that they add up.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, calibration: &Calibration) -> Result<(), ScoresError> {
        if self.version != VERSION {
            return Err(ScoresError::OtherVersion { found: self.version });
        }
        if self.model != calibration.model {
            return Err(ScoresError::OtherModel { found: self.model, expected: calibration.model });
        }
        let (found, expected) = (self.statistic_version, calibration.statistic_version);
        if found != expected {
            return Err(ScoresError::OtherStatistic { found, expected });
        }
        let (found, expected) = (self.scheme, calibration.spec.scheme);
        if found != expected {
            return Err(ScoresError::OtherScheme { found, expected });
        }
        if self.cells.is_empty() {
            return Err(ScoresError::NoCell);
        }
        let bins = calibration.bins[0].honest_ppm.len();
        let attacks = self.attacks.iter().map(|(name, attack)| (name, &attack.lengths));
        for (name, lengths) in self.cells.iter().chain(attacks) {
            check_lengths(name, lengths, bins)?;
        }
        let priced = self.attacks.iter().filter_map(|(name, attack)| Some((name, attack.cost?)));
        match priced.into_iter().find(|(_, cost)| !cost.is_finite() || *cost < 0.0) {
            Some((name, cost)) => Err(ScoresError::Cost { name: name.clone(), cost }),
            None => Ok(()),
        }
    }

    /// The lengths at which honest answers were measured.
    pub fn honest_lengths(&self) -> Vec<AnswerTokens> {
        let mut lengths: Vec<_> = self.cells.values().flat_map(BTreeMap::keys).copied().collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }
}

fn check_lengths(name: &str, lengths: &ByLength, expected: usize) -> Result<(), ScoresError> {
    let name = || name.to_owned();
    if lengths.is_empty() {
        return Err(ScoresError::NoLength { name: name() });
    }
    for (tokens, Counts { answers, bins }) in lengths {
        let (tokens, answers) = (*tokens, *answers);
        if bins.len() != expected {
            return Err(ScoresError::Bins { name: name(), tokens, found: bins.len(), expected });
        }
        let counted = bins.iter().try_fold(0u64, |sum, count| sum.checked_add(*count));
        if counted != Some(answers) {
            return Err(ScoresError::Sum { name: name(), tokens, counted, answers });
        }
        if answers == 0 {
            return Err(ScoresError::NoAnswers { name: name(), tokens });
        }
    }
    Ok(())
}
