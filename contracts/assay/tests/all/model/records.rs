//! What the model knows of each thing.

use std::collections::BTreeMap;

use assay_common::ids::{BatchId, BatchRoot, Epoch, ModelDigest, Nonce, SessionId, UserSeed, Window};
use assay_common::msg::{CalibrationRecord, ClaimedRange, EpochStatus, SessionStatus};
use assay_common::proof::Finding;
use assay_common::session::ModelSpec;
use assay_common::verdict::{FinalOutcome, Outcome, Score};

use super::History;

#[derive(Clone, Debug)]
pub struct Model {
    pub spec: ModelSpec,
    pub reference_fee: u128,
    pub calibrations: History<CalibrationRecord>,
    pub deprecated: bool,
    /// Numbers of nodes.
    pub guardians: Vec<u32>,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub number: u32,
    pub models: Vec<ModelDigest>,
    pub endpoint: String,
    pub stake: u128,
    /// (amount, release by the clock that stands still during pauses).
    pub unbonding: Vec<(u128, u64)>,
    /// Of a million.
    pub reputation: u32,
    pub evidence: [i64; 3],
    pub benched: bool,
    pub last_epoch: Option<Epoch>,
    /// None until it has sat on a jury whose sample was closed.
    pub juror: Option<Juror>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Juror {
    pub earned: u128,
    pub attendance: [i64; 3],
}

impl Node {
    pub fn at_stake(&self) -> u128 {
        self.stake + self.unbonding.iter().map(|(amount, _)| amount).sum::<u128>()
    }

    pub fn has_left(&self) -> bool {
        self.at_stake() == 0
    }

    /// Takes up to `amount`: what is bonded first, then what was asked for last; returns what was there.
    pub fn take(&mut self, amount: u128) -> u128 {
        let wanted = amount.min(self.at_stake());
        let mut left = wanted;
        let bonded = left.min(self.stake);
        self.stake -= bonded;
        left -= bonded;
        while left > 0 {
            let (last, _) = self.unbonding.last_mut().expect("the rest of what is at stake");
            let part = left.min(*last);
            *last -= part;
            left -= part;
            if *last == 0 {
                self.unbonding.pop();
            }
        }
        wanted
    }
}

#[derive(Clone, Debug)]
pub struct Session {
    pub requester: String,
    pub executor: String,
    pub model: ModelDigest,
    pub user_seed: UserSeed,
    pub key: Vec<u8>,
    pub fee: u128,
    pub max_prompt: u32,
    pub max_new: u32,
    pub expires: Epoch,
    pub closes: Epoch,
    pub status: SessionStatus,
    pub escrow: u128,
    pub nonce: Nonce,
    pub mark: u64,
    /// What it paid in epochs that were not settled when it was last touched.
    pub payments: BTreeMap<u64, u128>,
    pub swept: bool,
}

impl Session {
    pub fn is_open(&self, now: Epoch) -> bool {
        self.status == SessionStatus::Open && now <= self.expires
    }
}

#[derive(Clone, Debug)]
pub struct Batch {
    pub executor: String,
    pub model: ModelDigest,
    pub root: BatchRoot,
    pub ranges: Vec<ClaimedRange>,
    pub window: Window,
    pub epoch: Epoch,
    pub rate: u64,
    /// The last second in which it can be accused, by the clock that stands still during pauses.
    pub accusable: u64,
    pub fees: u128,
    pub verdict_fee: u128,
    pub seats: u32,
    pub planned: u32,
    pub reserve: u128,
    /// Of the fees, what was left for the executor.
    pub pending: u128,
    /// Those drawn so far, in the order of the draw; of them the first `swept` are not stored any more.
    pub samples: Vec<Sample>,
    pub swept: u32,
    pub gone: bool,
}

impl Batch {
    pub fn count(&self) -> u32 {
        let lengths = self.ranges.iter().map(|range| range.to.0 - range.from.0 + 1);
        u32::try_from(lengths.sum::<u64>()).expect("a batch is bounded")
    }

    pub fn drawn(&self) -> u32 {
        u32::try_from(self.samples.len()).expect("a batch is bounded")
    }

    pub fn closed(&self) -> u32 {
        let closed = self.samples.iter().filter(|sample| sample.closed.is_some());
        u32::try_from(closed.count()).expect("a batch is bounded")
    }

    /// Pay of the first level's seats of one sample.
    pub fn prepaid(&self) -> u128 {
        self.verdict_fee * u128::from(self.seats)
    }

    /// Session and nonce of a leaf.
    pub fn inference(&self, index: u32) -> Option<(SessionId, Nonce)> {
        let all = self
            .ranges
            .iter()
            .flat_map(|range| (range.from.0..=range.to.0).map(|nonce| (range.session, Nonce(nonce))));
        all.into_iter().nth(index as usize)
    }
}

#[derive(Clone, Debug)]
pub struct Sample {
    pub index: u32,
    pub window: Window,
    pub seats: Vec<Seat>,
    /// Window and first seat of the second level.
    pub second: Option<(Window, usize)>,
    pub closed: Option<(FinalOutcome, u8, u8)>,
}

impl Sample {
    /// The window in which a seat was given.
    pub fn given(&self, seat: usize) -> Window {
        match self.second {
            Some((window, first)) if seat >= first => window,
            _ => self.window,
        }
    }

    pub fn latest(&self) -> Window {
        self.second.map_or(self.window, |(window, _)| window)
    }

    pub fn first_level(&self) -> &[Seat] {
        &self.seats[..self.second.map_or(self.seats.len(), |(_, first)| first)]
    }

    pub fn second_level(&self) -> &[Seat] {
        &self.seats[self.second.map_or(self.seats.len(), |(_, first)| first)..]
    }
}

#[derive(Clone, Debug)]
pub struct Seat {
    pub juror: u32,
    pub page: u32,
    pub verdict: Option<(Outcome, Option<Score>)>,
}

impl Seat {
    /// The verdict, if it is one and no abstention.
    pub fn vote(&self) -> Option<Outcome> {
        let (outcome, _) = self.verdict.as_ref()?;
        (!matches!(outcome, Outcome::Inconclusive { .. })).then_some(*outcome)
    }
}

/// An executor's epoch: what does not follow from its batches.
#[derive(Clone, Debug)]
pub struct Account {
    pub status: EpochStatus,
    pub previous: Option<Epoch>,
    pub batches: Vec<BatchId>,
    pub folded: u32,
    /// What second levels and absences have taken of the pending fees.
    pub taken: u128,
    pub advanced: u128,
    pub split_costs: u128,
    pub reward: u128,
    pub refunded: u128,
    pub slashed: u128,
    pub bounty: u128,
    pub accusation: Option<(String, Finding, BatchId, u32)>,
    /// What its sessions have taken of the refunds: of their fees, and of the money.
    pub returned: (u128, u128),
    pub swept: bool,
}
