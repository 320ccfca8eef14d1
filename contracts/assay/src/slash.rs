//! What a forfeit takes from a stake, and where that goes.

use assay_common::params::Params;
use cosmwasm_std::{coins, Addr, BankMsg, Response, Storage, Uint128};

use crate::error::ContractError;
use crate::pools::{self, Pools};
use crate::state::{Accusation, Batch, Node, NodeNumber};
use crate::tx::Tx;
use crate::{node, table, tally};

/// Where a slash goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    /// Back to the reserve, which advanced it for second levels.
    pub repaid: Uint128,
    /// To the sessions, so that their refund is whole.
    pub top_up: Uint128,
    /// To whoever brought the proof.
    pub bounty: Uint128,
    pub burned: Uint128,
}

/// Divides a slash: first what the reserve `advanced`, then what the refunds are `missing`, then the bounty out of what is
/// left; the rest is burned.
///
/// # Errors
/// Only a fault of the contract.
pub fn divide(
    slashed: Uint128,
    advanced: Uint128,
    missing: Uint128,
    bounty: Uint128,
) -> Result<Division, ContractError> {
    let mut left = slashed;
    let mut part = |wanted: Uint128| {
        let part = left.min(wanted);
        left = left.checked_sub(part)?;
        Ok::<Uint128, ContractError>(part)
    };
    let (repaid, top_up, bounty) = (part(advanced)?, part(missing)?, part(bounty)?);
    Ok(Division { repaid, top_up, bounty, burned: left })
}

/// What a slash earns the accuser, rounded down: nothing without a proof, or where the executor accuses itself.
///
/// # Errors
/// Only a fault of the contract.
pub fn bounty(
    params: &Params,
    slashed: Uint128,
    executor: &Addr,
    accusation: Option<&Accusation>,
) -> Result<Uint128, ContractError> {
    match accusation {
        Some(accusation) if accusation.accuser != *executor => pools::share(slashed, params.fraud.bounty_ppm),
        Some(_) | None => Ok(Uint128::zero()),
    }
}

/// Moves a divided slash out of the stakes; `accusation` is there where the bounty is not zero.
///
/// # Errors
/// The pools hold less: a fault of the contract.
pub fn pay(
    storage: &mut dyn Storage,
    held: &mut Pools,
    division: &Division,
    accusation: Option<&Accusation>,
) -> Result<(), ContractError> {
    pools::shift(&mut held.stakes, &mut held.reserve, division.repaid)?;
    pools::shift(&mut held.stakes, &mut held.refunds, division.top_up)?;
    pools::shift(&mut held.stakes, &mut held.burned, division.burned)?;
    if let Some(accusation) = accusation {
        pools::shift(&mut held.stakes, &mut held.claimable, division.bounty)?;
        tally::credit(storage, &accusation.accuser, division.bounty)?;
    }
    Ok(())
}

/// Whether enough others could have judged the batch for its jury's word to take stake.
///
/// "Others" are those of the model and epoch whose jury tipped the evidence.
///
/// # Errors
/// Storage cannot be read.
pub fn jury_may(
    storage: &dyn Storage,
    params: &Params,
    condemned: &Batch,
    executor: NodeNumber,
) -> Result<bool, ContractError> {
    let others = table::others(storage, &condemned.model, condemned.epoch, executor)?;
    Ok(others >= params.jury.min_others_to_slash)
}

/// Takes the share of all stake, bonded or unbonding, that a forfeit costs, rounded down.
///
/// The next epoch's tables know the new stake; a node whose stake no longer reaches a model's minimum is not in that
/// model's table any more.
///
/// # Errors
/// Storage cannot be read or written.
/// `params` are those of the forfeited epoch.
pub fn take(
    storage: &mut dyn Storage,
    (tx, params): (&Tx, &Params),
    node: &mut Node,
) -> Result<Uint128, ContractError> {
    let slashed = node.take(pools::share(node.at_stake()?, params.fees.slash_ppm)?);
    node::lower(storage, tx, node)?;
    Ok(slashed)
}

/// Destroys what is not zero.
pub fn burn(response: Response, amount: Uint128, denom: &str) -> Response {
    if amount.is_zero() {
        return response;
    }
    response.add_message(BankMsg::Burn { amount: coins(amount.u128(), denom) })
}
