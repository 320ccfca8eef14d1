//! Claim: pays out what the sender has earned.

use assay_common::event::Event;
use cosmwasm_std::{coins, Addr, BankMsg, Response, Storage, Uint128};

use crate::error::ContractError;
use crate::state::{Juror, CLAIMABLE, JURORS, NODES, POOLS};
use crate::tx::Tx;

/// What an address has earned and not claimed, as a juror and otherwise.
///
/// # Errors
/// Storage cannot be read.
pub fn earned(storage: &dyn Storage, address: &Addr) -> Result<Uint128, ContractError> {
    let otherwise = CLAIMABLE.may_load(storage, address)?.unwrap_or_default();
    let juror = match NODES.may_load(storage, address)? {
        Some(node) => JURORS.may_load(storage, node.number.0)?.unwrap_or_default(),
        None => Juror::default(),
    };
    Ok(otherwise.checked_add(juror.earned)?)
}

/// # Errors
/// The sender has earned nothing since its last claim.
pub fn pay_out(storage: &mut dyn Storage, tx: &Tx) -> Result<Response, ContractError> {
    let address = tx.sender.to_string();
    let amount = earned(storage, &tx.sender)?;
    if amount.is_zero() {
        return Err(ContractError::NothingToClaim { address });
    }
    CLAIMABLE.remove(storage, &tx.sender);
    if let Some(node) = NODES.may_load(storage, &tx.sender)? {
        if let Some(juror) = JURORS.may_load(storage, node.number.0)? {
            JURORS.save(storage, node.number.0, &Juror { earned: Uint128::zero(), ..juror })?;
        }
    }
    let mut held = POOLS.load(storage)?;
    held.claimable = held.claimable.checked_sub(amount)?;
    POOLS.save(storage, &held)?;
    let payment =
        BankMsg::Send { to_address: address.clone(), amount: coins(amount.u128(), &tx.config.params.denom) };
    Ok(Response::new().add_message(payment).add_event(Event::Claimed { address, amount }))
}
