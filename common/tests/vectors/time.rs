//! Windows, epochs, and the beacon's rounds.

use assay_common::beacon::{message, randomness};
use assay_common::ids::{Digest, Epoch, Randomness, Round, Window};
use assay_common::params::{BeaconParams, ClockParams};
use borsh::{BorshDeserialize, BorshSerialize};
use cosmwasm_std::HexBinary;
use serde::{Deserialize, Serialize};

use super::{Bytes, Given, Text};

/// A clock, a beacon's schedule, and a moment; seconds, and seconds since 1970.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Clock {
    pub start: Text<u64>,
    pub window_seconds: u32,
    pub windows_per_epoch: u32,
    pub genesis: Text<u64>,
    pub period_seconds: u32,
    pub delay_seconds: u32,
    pub now: Text<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Moment {
    pub window: Window,
    pub epoch: Epoch,
    /// First window of the epoch.
    pub first_window: Window,
    /// When the window ends.
    pub end: Text<u64>,
    /// The window's beacon, and when it is signed.
    pub round: Round,
    pub signed: Text<u64>,
}

impl Given for Clock {
    /// None before the start.
    type Outcome = Option<Moment>;
    fn outcome(&self) -> Option<Moment> {
        let Self { window_seconds, windows_per_epoch, period_seconds, delay_seconds, .. } = *self;
        let clock = ClockParams { start: self.start.0, window_seconds, windows_per_epoch };
        let (public_key, genesis) = (HexBinary::default(), self.genesis.0);
        let beacon = BeaconParams { public_key, genesis, period_seconds, delay_seconds };
        let window = clock.window(self.now.0)?;
        let (epoch, round) = (clock.epoch(window), beacon.round(&clock, window));
        Some(Moment {
            window,
            epoch,
            first_window: clock.first_window(epoch),
            end: Text(clock.end(window)),
            round,
            signed: Text(beacon.time(round)),
        })
    }
}

/// A round and its signature, which need not be a good one.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Signed {
    pub round: Round,
    pub signature: Bytes,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct SignedOutcome {
    pub message: Digest,
    pub randomness: Randomness,
}

impl Given for Signed {
    type Outcome = SignedOutcome;
    fn outcome(&self) -> SignedOutcome {
        let message = Digest(message(self.round));
        SignedOutcome { message, randomness: randomness(&self.signature.0) }
    }
}
