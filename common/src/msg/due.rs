//! What anybody may do now to move the protocol on.

use cosmwasm_schema::cw_serde;

use crate::ids::{BatchId, Epoch, Round, Window};

/// A window whose beacon batches wait for, and the round that it is.
#[cw_serde]
#[derive(Eq, Copy, PartialOrd, Ord)]
pub struct DueBeacon {
    pub window: Window,
    pub round: Round,
}

/// Samples of a batch that can be tallied, starting at `from`.
#[cw_serde]
pub struct DueTally {
    pub batch: BatchId,
    pub from: u32,
}

#[cw_serde]
pub struct DueSettle {
    pub executor: String,
    pub epoch: Epoch,
}

#[cw_serde]
#[derive(Default)]
pub struct DueResponse {
    /// Beacons that a committed batch waits for and whose time has come.
    pub beacons: Vec<DueBeacon>,
    pub draws: Vec<BatchId>,
    pub tallies: Vec<DueTally>,
    /// Ended epochs of which something can be folded, or that can be closed.
    pub settlements: Vec<DueSettle>,
    /// Whether there is something to sweep.
    pub sweep: bool,
}
