//! The message that makes a contract.

use cosmwasm_schema::cw_serde;

use crate::params::Params;

#[cw_serde]
pub struct InstantiateMsg {
    /// Address that may register models: the chain's gov module, or whoever governs.
    pub governance: String,
    pub params: Params,
}
