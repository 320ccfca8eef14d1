//! The messages that put another code in the place of a contract's.

use cosmwasm_schema::cw_serde;

use crate::ids::{Digest, ModelDigest};
use crate::msg::CalibrationRecord;
use crate::params::Params;
use crate::session::NumericScheme;

/// What a model of version 0.1.0 becomes: the same weights, in a scheme that can still be judged.
#[cw_serde]
pub struct ModelSuccessor {
    /// The digest that the old version knows it by.
    pub model: ModelDigest,
    pub scheme: NumericScheme,
    pub constants: Digest,
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
    pub models: Vec<ModelSuccessor>,
}
