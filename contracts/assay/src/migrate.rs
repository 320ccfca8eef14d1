//! Migration: this code goes on with the state that its takeover has brought over, and with no other.

use assay_common::event::Event;
use cosmwasm_std::{Response, Storage};

use crate::error::ContractError;
use crate::setup::{NAME, VERSION};
use crate::takeover::TAKEN_OVER;

/// # Errors
/// The state is another contract's, or not one that was taken over for this version.
pub fn finish(storage: &mut dyn Storage) -> Result<Response, ContractError> {
    check_version(storage, TAKEN_OVER, VERSION)?;
    cw2::set_contract_version(storage, NAME, VERSION)?;
    Ok(Response::new().add_event(Event::Migrated { before: TAKEN_OVER.into(), after: VERSION.into() }))
}

/// # Errors
/// The state is another contract's, or of another version than `from`.
pub fn check_version(storage: &dyn Storage, from: &str, to: &str) -> Result<(), ContractError> {
    let found = cw2::get_contract_version(storage)?;
    if found.contract != NAME {
        return Err(ContractError::ForeignState { contract: found.contract, expected: NAME.into() });
    }
    if found.version != from {
        return Err(ContractError::WrongVersion { found: found.version, from: from.into(), to: to.into() });
    }
    Ok(())
}
