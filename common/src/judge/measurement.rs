//! What a juror's two passes say about an artifact.

use serde::{Deserialize, Serialize};

use super::edge::{self, Edge};
use super::surprisal::{surprise, Surprise};
use super::whitening::Whitened;
use super::{distance, gonka, mean, perplexity, whitening};
use crate::ids::RunSeed;
use crate::row::{Entry, Row, Surprisal};
use crate::sampler::{top_candidates, SamplingParams, MAX_CANDIDATES};

/// What the reference pass says about one position of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Normalised distance of the signed probabilities from the validator's, in [0, 1].
    pub distance: f64,
    /// Nats by which the best candidate beats the emitted token under the seed's noise, at most 0.5.
    pub margin: f64,
}

/// What other systems would look at; reported, never judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparators {
    /// See [`gonka::relative`].
    pub relative: f64,
    /// None at temperature 0.
    pub surprise: Option<Surprise>,
}

/// What both passes say about an artifact: one entry for each token in every list but the probes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Of the reference pass alone.
    pub positions: Vec<Position>,
    pub whitened: Vec<Whitened>,
    pub comparators: Vec<Comparators>,
    /// The reference pass's surprisals at the places that it was asked to probe, in their order, in 1/256 bit.
    pub probes: Vec<u16>,
}

impl Measurement {
    /// Mean of d over the positions (the articles' check 1).
    pub fn distance(&self) -> f64 {
        mean(self.positions.iter().map(|p| p.distance))
    }

    /// Mean clipped margin in nats; [`perplexity::to_unit_interval`] maps it to the articles' check 2.
    pub fn margin(&self) -> f64 {
        mean(self.positions.iter().map(|p| p.margin))
    }
}

/// A pass's distribution at one position: surprisals in 1/256 bit and natural log-probabilities, both `[vocabulary]`.
#[derive(Clone, Copy, Debug)]
pub struct Distribution<'a> {
    pub surprisals: &'a [u32],
    pub log_probabilities: &'a [f32],
}

impl Distribution<'_> {
    /// The surprisal of a token as a row or a probe can state it, in 1/256 bit.
    pub fn surprisal(&self, token: u32) -> u16 {
        let own = self.surprisals.get(token as usize).copied().unwrap_or(Surprisal::MAX.0);
        u16::try_from(own.min(Surprisal::MAX.0)).unwrap_or(u16::MAX)
    }
}

/// What the reference pass alone says of one position.
#[derive(Clone, Debug, PartialEq)]
pub struct Referenced {
    pub position: Position,
    /// The tokens at which both passes and the head's rows are wanted, see [`whitening::compared`].
    pub compared: Vec<Entry>,
    pub comparators: Comparators,
}

/// Compares one signed row with the reference pass's numbers at the same position.
pub fn measure_reference(
    row: &Row,
    position: u32,
    reference: Distribution<'_>,
    sampling: &SamplingParams,
    run_seed: &RunSeed,
) -> Referenced {
    let Distribution { surprisals, log_probabilities } = reference;
    let candidates = top_candidates(surprisals, MAX_CANDIDATES + edge::REACH);
    let edge = Edge::new(&candidates, sampling);
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
        },
        compared: whitening::compared(row, &candidates),
        comparators: Comparators {
            relative: gonka::relative(&row.entries, &own),
            surprise: surprise(row.token, edge.perhaps_kept(), sampling.temperature_milli),
        },
    }
}
