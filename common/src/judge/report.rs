//! A verdict with the number of every check behind it, as data and as text.

use serde::{Deserialize, Serialize};

use super::statistic::Statistic;
use crate::verdict::{Outcome, Score};

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
    /// None where the juror's own passes were at fault.
    pub whitened: Option<WhitenedReport>,
}

/// The numbers of the whitened checks, and beside them what is not judged.
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
    /// Mean of [`super::gonka::relative`]; standardised surprisal ([`super::surprisal::standardised`]).
    pub relative: f64,
    pub surprisal: Option<f64>,
}

impl Report {
    /// What goes to the chain beside the outcome.
    pub fn score(&self) -> Score {
        Score { bin: self.bin, tokens: self.tokens, probes: self.probes.clone() }
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
