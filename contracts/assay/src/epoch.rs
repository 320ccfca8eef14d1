//! An executor's account of one epoch, and the refunds that a forfeited one owes its sessions.

use std::collections::BTreeMap;

use assay_common::ids::{BatchId, Epoch, Window};
use assay_common::msg::{EpochStatus, Tallies};
use cosmwasm_std::{Addr, Order, Storage, Uint128};

use crate::error::ContractError;
use crate::state::{Cursor, ExecutorEpoch, ACCUSATIONS, EPOCHS};

impl ExecutorEpoch {
    /// The account that an executor's first batch of an epoch opens.
    pub fn open(previous: Option<Epoch>, first: BatchId, window: Window) -> Self {
        let zero = Uint128::zero();
        Self {
            status: EpochStatus::Open,
            previous,
            batches: 0,
            inferences: 0,
            sampled: 0,
            closed: Tallies::default(),
            folded: 0,
            advanced: zero,
            split_costs: zero,
            cursor: Cursor { batch: first, draw: 0 },
            window,
            window_samples: 0,
            fees: zero,
            reserve: zero,
            checks: zero,
            pending: zero,
            reward: zero,
            refunded: zero,
            slashed: zero,
            bounty: zero,
            accusation: None,
            refund_fees_left: zero,
            refund_pool_left: zero,
        }
    }

    /// Takes a session's share out of the refunds: its part of the fees, rounded down; the last takes the rest.
    ///
    /// # Errors
    /// The session claims more than it paid: a fault of the contract.
    pub fn take_refund(&mut self, amount: Uint128) -> Result<Uint128, ContractError> {
        if amount.is_zero() {
            return Ok(amount);
        }
        let share = self.refund_pool_left.checked_multiply_ratio(amount, self.refund_fees_left)?;
        self.refund_fees_left = self.refund_fees_left.checked_sub(amount)?;
        self.refund_pool_left = self.refund_pool_left.checked_sub(share)?;
        Ok(share)
    }
}

/// # Errors
/// The executor has no batch in this epoch.
pub fn load(storage: &dyn Storage, executor: &Addr, epoch: Epoch) -> Result<ExecutorEpoch, ContractError> {
    EPOCHS
        .may_load(storage, (executor, epoch.0))?
        .ok_or_else(|| ContractError::UnknownEpoch { executor: executor.to_string(), epoch })
}

/// How an account stands: an open one is condemned from the moment in which a proof is brought.
pub fn status(
    storage: &dyn Storage,
    (executor, epoch): (&Addr, Epoch),
    account: &ExecutorEpoch,
) -> EpochStatus {
    match account.status {
        EpochStatus::Open if ACCUSATIONS.has(storage, (executor, epoch.0)) => EpochStatus::Condemned,
        status => status,
    }
}

/// Whether an account of the executor is condemned and not settled.
///
/// # Errors
/// Storage cannot be read.
pub fn is_accused(storage: &dyn Storage, executor: &Addr) -> Result<bool, ContractError> {
    let accused = ACCUSATIONS.prefix(executor).keys(storage, None, None, Order::Ascending).next();
    Ok(accused.transpose()?.is_some())
}

/// The accounts of one executor that a message touches: each is read once and written once.
pub struct Book {
    executor: Addr,
    accounts: BTreeMap<Epoch, ExecutorEpoch>,
}

impl Book {
    pub fn new(executor: Addr) -> Self {
        Self { executor, accounts: BTreeMap::new() }
    }

    /// # Errors
    /// The executor has no batch in this epoch.
    pub fn account(
        &mut self,
        storage: &dyn Storage,
        epoch: Epoch,
    ) -> Result<&mut ExecutorEpoch, ContractError> {
        let executor = self.executor.to_string();
        self.find(storage, epoch)?.ok_or(ContractError::UnknownEpoch { executor, epoch })
    }

    /// The account of an epoch, if the executor has a batch in it and nobody swept it.
    ///
    /// # Errors
    /// Storage cannot be read.
    pub fn find(
        &mut self,
        storage: &dyn Storage,
        epoch: Epoch,
    ) -> Result<Option<&mut ExecutorEpoch>, ContractError> {
        match self.accounts.entry(epoch) {
            std::collections::btree_map::Entry::Occupied(known) => Ok(Some(known.into_mut())),
            std::collections::btree_map::Entry::Vacant(new) => {
                let stored = EPOCHS.may_load(storage, (&self.executor, epoch.0))?;
                Ok(stored.map(|account| new.insert(account)))
            }
        }
    }

    /// Puts in the account of an epoch, whatever is stored.
    pub fn put(&mut self, epoch: Epoch, account: ExecutorEpoch) {
        self.accounts.insert(epoch, account);
    }

    /// # Errors
    /// Storage cannot be written.
    pub fn save(self, storage: &mut dyn Storage) -> Result<(), ContractError> {
        for (epoch, account) in &self.accounts {
            EPOCHS.save(storage, (&self.executor, epoch.0), account)?;
        }
        Ok(())
    }
}
