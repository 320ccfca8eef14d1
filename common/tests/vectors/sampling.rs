//! Filters, drawing, replaying.

use assay_common::ids::RunSeed;
use assay_common::replay::{replay_leaf, Replay};
use assay_common::row::{encode_leaf, Entry};
use assay_common::sampler::{kept, sample_full, top_candidates, SamplingParams, MAX_CANDIDATES};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::leaves::{pair, rule_name};
use super::{Bytes, Given};

/// What the filters are applied to.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Truncation {
    pub sampling: SamplingParams,
    /// By token id.
    pub surprisals: Vec<u32>,
}

/// What the filters keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Kept {
    pub count: u32,
    /// Surprisal and id of the last.
    pub last: Option<(u32, u32)>,
}

impl Given for Truncation {
    type Outcome = Kept;
    fn outcome(&self) -> Kept {
        let candidates = top_candidates(&self.surprisals, MAX_CANDIDATES);
        let kept = &candidates[..kept(&candidates, &self.sampling)];
        Kept { count: kept.len() as u32, last: kept.last().map(pair) }
    }
}

/// What a token is drawn from.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Sampling {
    pub sampling: SamplingParams,
    pub run_seed: RunSeed,
    pub position: u32,
    /// By token id.
    pub surprisals: Vec<u32>,
}

/// The token, and the leaf that an executor signs for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Drawn {
    pub token: u32,
    pub leaf: Bytes,
}

impl Given for Sampling {
    type Outcome = Drawn;
    fn outcome(&self) -> Drawn {
        let candidates = top_candidates(&self.surprisals, MAX_CANDIDATES);
        let sampled = sample_full(&candidates, &self.sampling, &self.run_seed, self.position);
        let row = sampled.expect("the published parameters are in range").row;
        Drawn { token: row.token.0, leaf: Bytes(encode_leaf(self.position, &row)) }
    }
}

/// A leaf to replay.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Replayed {
    pub vocabulary: u32,
    pub sampling: SamplingParams,
    pub run_seed: RunSeed,
    pub position: u32,
    pub leaf: Bytes,
}

impl Given for Replayed {
    /// `matches`, or in what the replay differs.
    type Outcome = String;
    fn outcome(&self) -> String {
        let Self { vocabulary, sampling, run_seed, position, leaf } = self;
        match replay_leaf(&leaf.0, *position, *vocabulary, sampling, run_seed) {
            Replay::Matches => "matches".into(),
            Replay::Differs { expected } => format!("differs: token {}", expected.0),
            Replay::CutDiffers { expected: Entry { surprisal, token } } => {
                format!("cut differs: ({}, {})", surprisal.0, token.0)
            }
            Replay::Malformed(rule) => format!("malformed: {}", rule_name(rule)),
            Replay::ParamsOutOfRange(_) => "parameters out of range".into(),
        }
    }
}
