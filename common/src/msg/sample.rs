//! Samples and the seats of their juries.

use cosmwasm_schema::cw_serde;

use crate::ids::{BatchId, DrawSeed, InferenceId, Nonce, SessionId, Window};
use crate::verdict::{FinalOutcome, Outcome, Score};

/// Draw number `draw` of a batch.
#[cw_serde]
#[derive(Eq, Copy, PartialOrd, Ord)]
pub struct SampleKey {
    pub batch: BatchId,
    pub draw: u32,
}

#[cw_serde]
pub struct Seat {
    pub juror: String,
    pub verdict: Option<Outcome>,
    pub score: Option<Score>,
}

#[cw_serde]
pub struct SampleResponse {
    pub batch: BatchId,
    pub draw: u32,
    /// Leaf number under the batch's root.
    pub index: u32,
    pub session: SessionId,
    pub nonce: Nonce,
    pub inference: InferenceId,
    /// Window of the draw: commitments until the end of the next one, reveals in the one after.
    pub window: Window,
    /// Of the first level, then of the second.
    pub seats: Vec<Seat>,
    /// The window in which a contested sample got the seats of its second level, if it did.
    pub second: Option<Window>,
    /// The seeds that choose the probes: the first draw's, and the second's where there is one.
    pub probe_seeds: Vec<DrawSeed>,
    pub outcome: Option<FinalOutcome>,
    /// The size class and the bin that the evidence takes; there with the outcome.
    pub size_class: u8,
    pub bin: u8,
}
