//! Models, and the calibrations that judge them.

use cosmwasm_schema::cw_serde;
use cosmwasm_std::Uint128;

use crate::evidence::Bins;
use crate::ids::{Digest, Epoch, ModelDigest};
use crate::session::ModelSpec;

/// What the chain holds of a model's calibration; the file with the rest is known by its digest.
#[cw_serde]
#[derive(Eq)]
pub struct CalibrationRecord {
    /// SHA-256 of the file that jurors judge with.
    pub digest: Digest,
    /// How far an honest juror's probe may lie from the jury's median, in 1/256 bit.
    pub probe_tolerance: u16,
    /// How often answers end in each bin: one table for all size classes, or one for each.
    pub bins: Vec<Bins>,
}

/// A calibration as it holds from an epoch on.
#[cw_serde]
#[derive(Eq)]
pub struct CalibrationVersion {
    /// Counts the model's calibrations, from 1.
    pub version: u32,
    /// The first epoch whose inferences it judges.
    pub from: Epoch,
    pub record: CalibrationRecord,
}

#[cw_serde]
pub struct ModelResponse {
    pub model: ModelDigest,
    pub spec: ModelSpec,
    pub reference_fee: Uint128,
    /// What judges the inferences that are committed now.
    pub calibration: CalibrationVersion,
    /// What judges those of the next epoch, where it is another.
    pub next_calibration: Option<CalibrationVersion>,
    /// It takes no new sessions and nodes.
    pub deprecated: bool,
    /// Nodes that sit on its juries until enough others do for a jury to take stake without them.
    pub guardians: Vec<String>,
    /// Pay of one verdict, and least stake of a node, under the present parameters.
    pub verdict_fee: Uint128,
    pub min_stake: Uint128,
}
