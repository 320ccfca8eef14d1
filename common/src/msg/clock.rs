//! Time on the chain: windows and epochs, pauses, beacons.

use cosmwasm_schema::cw_serde;

use crate::ids::{Epoch, Randomness, Round, Window};

/// Seconds since 1970.
#[cw_serde]
#[derive(Eq, Copy)]
pub struct PauseResponse {
    /// When the present pause lapses; none: payouts are open.
    pub until: Option<u64>,
    /// The earliest beginning of the next pause.
    pub next_from: u64,
    /// Now, on the clock that stands still during pauses: what waits for a release waits by it.
    pub running: u64,
}

#[cw_serde]
pub struct ClockResponse {
    /// Chain time, seconds since 1970.
    pub now: u64,
    /// None before the start.
    pub window: Option<Window>,
    pub epoch: Option<Epoch>,
}

#[cw_serde]
pub struct BeaconResponse {
    /// The round that draws for the window.
    pub round: Round,
    /// None while it is not posted.
    pub randomness: Option<Randomness>,
}
