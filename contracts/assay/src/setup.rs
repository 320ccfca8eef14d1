//! Instantiation: parameters and governance, fixed for good on this plain path.

use assay_common::digest::Domain;
use assay_common::msg::InstantiateMsg;
use cosmwasm_std::{Api, DepsMut, Env, MessageInfo, Response};

use crate::error::ContractError;
use crate::pools::Pools;
use crate::state::{Config, CONFIG, POOLS};

/// Bit of a compressed point's first byte that says "infinity"; under such a key every signature would verify.
const INFINITY: u8 = 0x40;

/// Stores checked parameters and empty pools.
///
/// # Errors
/// A parameter breaks a rule (all broken ones are named), the beacon's key is no point of G2, or funds were sent.
pub fn instantiate(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    msg: InstantiateMsg,
) -> Result<Response, ContractError> {
    if let Some(coin) = info.funds.first() {
        return Err(ContractError::FundsNotAccepted { sent: coin.to_string() });
    }
    msg.params.check().map_err(|broken| ContractError::BadParams { broken })?;
    check_beacon_key(deps.api, &msg.params.beacon.public_key)?;
    let config = Config {
        governance: deps.api.addr_validate(&msg.governance)?,
        params: msg.params,
        domain: Domain { chain_id: env.block.chain_id, contract: env.contract.address.into_string() },
    };
    CONFIG.save(deps.storage, &config)?;
    POOLS.save(deps.storage, &Pools::default())?;
    cw2::set_contract_version(deps.storage, env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))?;
    Ok(Response::new())
}

/// A key that is no point of the group would leave every batch without a draw.
fn check_beacon_key(api: &dyn Api, key: &[u8]) -> Result<(), ContractError> {
    let infinite = key.first().is_some_and(|first| first & INFINITY != 0);
    if infinite || api.bls12_381_aggregate_g2(key).is_err() {
        return Err(ContractError::BadBeaconKey { key: hex(key) });
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    cosmwasm_std::HexBinary::from(bytes).to_hex()
}
