//! The parameters of a local net.

use assay_common::params::{BeaconParams, ClockParams, Params};

use super::{Beacon, DENOM, START};

/// Windows of 10 s, epochs of six.
pub fn local_params() -> Params {
    let clock = ClockParams { start: START, window_seconds: 10, windows_per_epoch: 6 };
    let beacon = BeaconParams {
        public_key: Beacon::new(1).public_key(),
        genesis: START - 1_000,
        period_seconds: 1,
        delay_seconds: 2,
    };
    Params::local(DENOM, clock, beacon)
}
