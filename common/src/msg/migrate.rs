//! The messages that put another code in the place of a contract's.

use cosmwasm_schema::cw_serde;

use crate::ids::ModelDigest;
use crate::msg::CalibrationRecord;
use crate::params::Params;

/// The calibration that judges a model from a migration on.
#[cw_serde]
pub struct ModelCalibration {
    pub model: ModelDigest,
    pub calibration: CalibrationRecord,
}

/// Goes on with a state that was taken over.
#[cw_serde]
pub struct MigrateMsg {}

/// Takes over the state of version 0.1.0: the message of the takeover's code.
#[cw_serde]
pub struct TakeoverMsg {
    /// What holds from then on; denomination and clock are those that are stored.
    pub params: Params,
    /// One for each model that is stored.
    pub calibrations: Vec<ModelCalibration>,
}
