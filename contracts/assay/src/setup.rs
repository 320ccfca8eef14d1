//! Instantiation: the first parameters, and who governs them from then on.

use assay_common::digest::Domain;
use assay_common::msg::InstantiateMsg;
use cosmwasm_std::{DepsMut, Env, MessageInfo, Response};

use crate::error::ContractError;
use crate::params;
use crate::pools::Pools;
use crate::state::{Charter, CHARTER, POOLS};
use crate::versions::Versions;

/// What the stored state says of the code that it belongs to.
pub const NAME: &str = env!("CARGO_PKG_NAME");
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Stores checked parameters and empty pools.
///
/// # Errors
/// A parameter breaks a rule (all broken ones are named), or funds were sent.
pub fn instantiate(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    msg: InstantiateMsg,
) -> Result<Response, ContractError> {
    if let Some(coin) = info.funds.first() {
        return Err(ContractError::FundsNotAccepted { sent: coin.to_string() });
    }
    params::check(deps.api, env.block.time.seconds(), &msg.params, &[])?;
    let charter = Charter {
        governance: deps.api.addr_validate(&msg.governance)?,
        domain: Domain { chain_id: env.block.chain_id, contract: env.contract.address.into_string() },
        params: Versions::first(msg.params),
    };
    CHARTER.save(deps.storage, &charter)?;
    POOLS.save(deps.storage, &Pools::default())?;
    cw2::set_contract_version(deps.storage, NAME, VERSION)?;
    Ok(Response::new())
}
