//! Which inferences of a batch are checked, and by whom.

use assay_common::digest::Domain;
use assay_common::draw::{index, jury, sample_count, second_seed, seed};
use assay_common::ids::{BatchId, DrawSeed, Randomness};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Given, Text};

/// A batch under its beacon.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Draw {
    pub domain: Domain,
    pub batch: BatchId,
    pub beacon: Randomness,
    pub count: u32,
    pub rate_q32: Text<u64>,
    /// Number of a draw, from 0.
    pub draw: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct DrawOutcome {
    pub seed: DrawSeed,
    /// Were the beacon that of a second level.
    pub second_seed: DrawSeed,
    /// How many inferences are drawn at the rate.
    pub samples: u32,
    /// The inference of the draw.
    pub index: u32,
}

impl Given for Draw {
    type Outcome = DrawOutcome;
    fn outcome(&self) -> DrawOutcome {
        let seed = seed(&self.domain, self.batch, &self.beacon);
        let samples = sample_count(self.rate_q32.0, self.count);
        let second_seed = second_seed(&self.domain, self.batch, &self.beacon);
        DrawOutcome { seed, second_seed, samples, index: index(&seed, self.count, self.draw) }
    }
}

/// A sample and the table that its jury comes from.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Jury {
    pub seed: DrawSeed,
    /// Of the inference in its batch.
    pub index: u32,
    /// In the order of the table.
    pub stakes: Vec<Text<u128>>,
    /// Places in the table that get no seat.
    pub excluded: Vec<u32>,
    pub seats: u32,
}

impl Given for Jury {
    /// Places in the table, in the order of the seats.
    type Outcome = Vec<u32>;
    fn outcome(&self) -> Vec<u32> {
        let mut total = 0u128;
        let cumulative = self.stakes.iter().map(|stake| {
            total += stake.0;
            total
        });
        let table: Vec<u128> = cumulative.collect();
        let excluded: Vec<usize> = self.excluded.iter().map(|place| *place as usize).collect();
        let jury = jury(&self.seed, self.index, &table, &excluded, self.seats);
        jury.into_iter().map(|place| place as u32).collect()
    }
}
