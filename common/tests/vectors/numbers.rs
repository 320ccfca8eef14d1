//! Logarithm, power and noise.

use assay_common::fixed::{exp2_neg, log2_q36};
use assay_common::ids::RunSeed;
use assay_common::noise::{noise, PositionNoise};
use assay_common::row::TokenId;
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Given, Text};

#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Log2 {
    pub x: Text<u64>,
}

impl Given for Log2 {
    /// log2 x, Q36.
    type Outcome = Text<i64>;
    fn outcome(&self) -> Text<i64> {
        Text(log2_q36(self.x.0))
    }
}

#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Exp2 {
    pub e_q24: Text<u64>,
}

impl Given for Exp2 {
    /// 2^−e, Q32.
    type Outcome = Text<u64>;
    fn outcome(&self) -> Text<u64> {
        Text(exp2_neg(self.e_q24.0))
    }
}

/// Where a word of noise stands.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Word {
    pub run_seed: RunSeed,
    pub position: u32,
    pub token: u32,
}

impl Given for Word {
    type Outcome = Text<u64>;
    fn outcome(&self) -> Text<u64> {
        Text(PositionNoise::new(&self.run_seed, self.position).word(TokenId(self.token)))
    }
}

#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Noise {
    pub word: Text<u64>,
}

impl Given for Noise {
    /// The Gumbel draw in bits, Q24.
    type Outcome = Text<i64>;
    fn outcome(&self) -> Text<i64> {
        Text(noise(self.word.0))
    }
}
