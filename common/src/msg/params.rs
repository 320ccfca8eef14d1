//! The parameters, as queries show them.

use cosmwasm_schema::cw_serde;

use crate::ids::Epoch;
use crate::params::{Change, ParamError, Params};

/// Parameters as they hold from an epoch on.
#[cw_serde]
#[derive(Eq)]
pub struct ParamsVersion {
    /// Counts the accepted changes, from 1.
    pub version: u32,
    /// The first epoch in which it holds.
    pub from: Epoch,
    pub params: Params,
}

#[cw_serde]
#[derive(Eq)]
pub struct ParamsResponse {
    pub in_force: ParamsVersion,
    pub pending: Option<ParamsVersion>,
}

#[cw_serde]
#[derive(Eq)]
pub struct ValidateParamsResponse {
    /// The rules that the parameters would break; empty: the patch would be accepted, if it changes anything.
    pub errors: Vec<ParamError>,
    /// The fields that would change, against the parameters in force now.
    pub changes: Vec<Change>,
}
