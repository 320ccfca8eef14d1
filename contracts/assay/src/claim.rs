//! Claim: pays out what the sender has earned.

use assay_common::event::Event;
use cosmwasm_std::{coins, BankMsg, Response, Storage};

use crate::error::ContractError;
use crate::state::{CLAIMABLE, POOLS};
use crate::tx::Tx;

/// # Errors
/// The sender has earned nothing since its last claim.
pub fn pay_out(storage: &mut dyn Storage, tx: &Tx) -> Result<Response, ContractError> {
    let address = tx.sender.to_string();
    let Some(amount) = CLAIMABLE.may_load(storage, &tx.sender)?.filter(|amount| !amount.is_zero()) else {
        return Err(ContractError::NothingToClaim { address });
    };
    CLAIMABLE.remove(storage, &tx.sender);
    let mut held = POOLS.load(storage)?;
    held.claimable = held.claimable.checked_sub(amount)?;
    POOLS.save(storage, &held)?;
    let payment =
        BankMsg::Send { to_address: address.clone(), amount: coins(amount.u128(), &tx.config.params.denom) };
    Ok(Response::new().add_message(payment).add_event(Event::Claimed { address, amount }))
}
