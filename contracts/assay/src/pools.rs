//! Where every unit is that the contract holds.

use assay_common::msg::PoolsResponse;
use assay_common::params::PPM;
use cosmwasm_std::Uint128;
use serde::{Deserialize, Serialize};

use crate::error::ContractError;

/// The contract's money by purpose; all but `burned` add up to its balance after every message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pools {
    /// Prepaid by requesters.
    pub escrow: Uint128,
    /// Fees of unsettled epochs.
    pub pending: Uint128,
    /// Pay for verdicts not yet given.
    pub checks: Uint128,
    /// Fees of forfeited epochs on their way back to sessions.
    pub refunds: Uint128,
    pub reserve: Uint128,
    /// Bonded by nodes, or unbonding.
    pub stakes: Uint128,
    pub claimable: Uint128,
    /// Slashed and burned so far; no longer held.
    pub burned: Uint128,
}

impl From<Pools> for PoolsResponse {
    fn from(pools: Pools) -> Self {
        let Pools { escrow, pending, checks, refunds, reserve, stakes, claimable, burned } = pools;
        Self { escrow, pending, checks, refunds, reserve, stakes, claimable, burned }
    }
}

/// Takes `amount` from one pool and puts it into another.
///
/// # Errors
/// The pool holds less: a fault of the contract, and the transaction must not happen.
pub fn shift(from: &mut Uint128, to: &mut Uint128, amount: Uint128) -> Result<(), ContractError> {
    *from = from.checked_sub(amount)?;
    add(to, amount)
}

/// # Errors
/// More than u128 holds.
pub fn add(to: &mut Uint128, amount: Uint128) -> Result<(), ContractError> {
    *to = to.checked_add(amount)?;
    Ok(())
}

/// `ppm` millionths of `amount`, rounded down.
///
/// # Errors
/// More than u128 holds; not for ppm up to a million.
pub fn share(amount: Uint128, ppm: u32) -> Result<Uint128, ContractError> {
    Ok(amount.checked_multiply_ratio(ppm, PPM)?)
}
