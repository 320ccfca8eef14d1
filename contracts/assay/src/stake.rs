//! Stakes: what a node has bonded, what is on its way out, and what both answer for until it is gone.
//!
//! What is unbonding weighs nothing on juries, and is slashed like what is bonded. The share of a slash is of both
//! together, and what is bonded pays first: a cheat loses its weight before it loses what it walks away with, no
//! part is rounded twice, and asking for the stake back in many small amounts changes nothing.
//!
//! A part leaves when its time has passed, by a clock that stands still during pauses, and every past epoch of its node is
//! settled. The work of the present epoch and the node's open jury seats are answered for by what stays bonded; a node that
//! keeps less than its minimum waits for them too.

use assay_common::event::Event;
use assay_common::ids::{Epoch, Window};
use assay_common::reputation::Reputation;
use cosmwasm_std::{coins, Addr, BankMsg, Order, Response, Storage, Uint128};

use crate::error::ContractError;
use crate::state::{Node, Unbonding, CONTESTED_DRAWN, EPOCHS, NODES, POOLS, UNSETTLED, UNTALLIED};
use crate::tx::Tx;
use crate::{node, pause, verdicts};

/// Parts of one stake that may be unbonding at once: a slash and a Withdraw look at each. The Cosmos SDK's number.
pub const MAX_UNBONDINGS: usize = 7;

impl Node {
    /// # Errors
    /// More than u128 holds; not for amounts that were once paid in.
    pub fn unbonding_total(&self) -> Result<Uint128, ContractError> {
        let parts = self.unbonding.iter().map(|part| part.amount);
        parts.into_iter().try_fold(Uint128::zero(), |sum, part| Ok(sum.checked_add(part)?))
    }

    /// Everything that a slash reaches.
    ///
    /// # Errors
    /// More than u128 holds; not for amounts that were once paid in.
    pub fn at_stake(&self) -> Result<Uint128, ContractError> {
        Ok(self.stake.checked_add(self.unbonding_total()?)?)
    }

    /// Whether nothing of it is left here: it may not act as a node until it registers again.
    pub fn has_left(&self) -> bool {
        self.stake.is_zero() && self.unbonding.is_empty()
    }

    /// Moves a part of what is bonded to what is unbonding.
    ///
    /// # Errors
    /// The amount is 0 or more than is bonded, or too many parts are unbonding already.
    pub fn unbond(&mut self, amount: Uint128, release: u64) -> Result<(), ContractError> {
        if amount.is_zero() || amount > self.stake {
            return Err(ContractError::BadUnbonding { amount, stake: self.stake });
        }
        if self.unbonding.len() >= MAX_UNBONDINGS {
            return Err(ContractError::TooManyUnbondings { most: MAX_UNBONDINGS });
        }
        self.stake = self.stake.checked_sub(amount)?;
        self.unbonding.push(Unbonding { amount, release });
        Ok(())
    }

    /// Removes the parts whose time has come, and returns their sum.
    ///
    /// # Errors
    /// More than u128 holds; not for amounts that were once paid in.
    pub fn release(&mut self, now: u64) -> Result<Uint128, ContractError> {
        let before = self.unbonding_total()?;
        self.unbonding.retain(|part| part.release > now);
        Ok(before.checked_sub(self.unbonding_total()?)?)
    }

    /// Takes `amount` or all there is, out of what is bonded first, then out of what was last asked for; returns what
    /// it took.
    pub fn take(&mut self, amount: Uint128) -> Uint128 {
        let mut due = amount;
        let parts = self.unbonding.iter_mut().rev().map(|part| &mut part.amount);
        for held in std::iter::once(&mut self.stake).chain(parts) {
            let taken = due.min(*held);
            *held = held.saturating_sub(taken);
            due = due.saturating_sub(taken);
        }
        self.unbonding.retain(|part| !part.amount.is_zero());
        amount.saturating_sub(due)
    }
}

/// Begins to unbond a part of the sender's stake, or all; the next epoch's tables are without it.
///
/// # Errors
/// The amount is 0 or more than is bonded, the rest is below what the dearest model asks for, or too many parts are
/// unbonding already.
pub fn unbond(storage: &mut dyn Storage, tx: &Tx, amount: Uint128) -> Result<Response, ContractError> {
    let mut node = node::load(storage, &tx.sender)?;
    let stake_before = node.stake;
    let seconds = u64::from(tx.config.params.limits.unbonding_seconds);
    node.unbond(amount, pause::running(storage, tx.time.now)?.saturating_add(seconds))?;
    if !node.stake.is_zero() {
        node::check_stake(storage, tx, &node)?;
    }
    NODES.save(storage, &tx.sender, &node)?;
    node::lower(storage, tx, &node)?;
    Ok(Response::new().add_event(Event::Unbonded {
        node: tx.sender.to_string(),
        amount,
        stake_before,
        stake_after: node.stake,
        release: tx.time.now.saturating_add(seconds),
        from_epoch: tx.time.next_table(),
    }))
}

/// Pays out every part of the sender's stake whose time has come; who leaves nothing behind is a node no more.
///
/// # Errors
/// No part's time has come, or what would leave may still have to answer for something.
pub fn withdraw(storage: &mut dyn Storage, tx: &Tx) -> Result<Response, ContractError> {
    let address = tx.sender.to_string();
    let mut node = node::load(storage, &tx.sender)?;
    let unbonding_before = node.unbonding_total()?;
    let Some(release) = node.unbonding.iter().map(|part| part.release).min() else {
        return Err(ContractError::NothingUnbonding { node: address });
    };
    let running = pause::running(storage, tx.time.now)?;
    let amount = node.release(running)?;
    if amount.is_zero() {
        let release = tx.time.now.saturating_add(release.saturating_sub(running));
        return Err(ContractError::StillUnbonding { release, now: tx.time.now });
    }
    let covered = node.stake >= node::dearest_stake(storage, tx, &node.models)?;
    check_settled(storage, tx, &node, covered)?;
    if !covered {
        check_seats(storage, tx, &node)?;
    }
    let left = node.has_left();
    if left {
        node.reputation = Reputation::default();
    }
    NODES.save(storage, &tx.sender, &node)?;
    let mut held = POOLS.load(storage)?;
    held.stakes = held.stakes.checked_sub(amount)?;
    POOLS.save(storage, &held)?;
    let coins = coins(amount.u128(), &tx.config.params.denom);
    let unbonding_after = node.unbonding_total()?;
    Ok(Response::new()
        .add_message(BankMsg::Send { to_address: address.clone(), amount: coins })
        .add_event(Event::Withdrawn { node: address, amount, unbonding_before, unbonding_after, left }))
}

/// An executor's epochs settle in order: if its latest past one is settled, all before it are.
fn check_settled(storage: &dyn Storage, tx: &Tx, node: &Node, covered: bool) -> Result<(), ContractError> {
    let Some(last) = node.last_epoch else { return Ok(()) };
    let latest =
        if covered && last == tx.time.epoch { previous(storage, &tx.sender, last)? } else { Some(last) };
    match latest {
        Some(epoch) if UNSETTLED.has(storage, (epoch.0, &tx.sender)) => {
            Err(ContractError::UnsettledWork { node: tx.sender.to_string(), epoch })
        }
        _ => Ok(()),
    }
}

fn previous(storage: &dyn Storage, executor: &Addr, epoch: Epoch) -> Result<Option<Epoch>, ContractError> {
    let account = EPOCHS.may_load(storage, (executor, epoch.0))?;
    Ok(account.and_then(|account| account.previous))
}

/// A seat may cost its juror only once it has committed to a verdict: all samples drawn up to the last window for which it
/// did must be closed. Anybody can close them by a Tally, the leaving juror too. What is drawn later keeps nobody.
fn check_seats(storage: &dyn Storage, tx: &Tx, node: &Node) -> Result<(), ContractError> {
    let Some(last) = verdicts::last_window(storage, node.number)? else { return Ok(()) };
    let untallied = UNTALLIED.keys(storage, None, None, Order::Ascending).next().transpose()?;
    let contested = CONTESTED_DRAWN.keys(storage, None, None, Order::Ascending).next().transpose()?;
    let open = untallied.into_iter().chain(contested).map(|(window, _)| Window(window)).min();
    match open.filter(|window| *window <= last) {
        Some(window) => Err(ContractError::OpenSeats { juror: tx.sender.to_string(), window }),
        None => Ok(()),
    }
}

/// What a slash took in an epoch, from a node that had (bonded, unbonding) before.
///
/// # Errors
/// More than u128 holds; not for amounts that were once paid in.
pub fn slashed(
    address: &Addr,
    epoch: Epoch,
    amount: Uint128,
    (stake_before, unbonding_before): (Uint128, Uint128),
    node: &Node,
) -> Result<Option<Event>, ContractError> {
    if amount.is_zero() {
        return Ok(None);
    }
    Ok(Some(Event::Slashed {
        node: address.to_string(),
        epoch,
        amount,
        stake_before,
        stake_after: node.stake,
        unbonding_before,
        unbonding_after: node.unbonding_total()?,
    }))
}
