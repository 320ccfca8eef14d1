//! Stake tables: who may sit on the juries of a model, and with which weight.

use assay_common::ids::{Epoch, ModelDigest};
use assay_common::params::MAX_NODES_PER_MODEL;
use cosmwasm_schema::cw_serde;
use cosmwasm_std::{Addr, Order, Storage, Uint128};
use cw_storage_plus::Bound;

use crate::error::ContractError;
use crate::state::TABLES;

/// The eligible nodes of one model, in the order of their addresses, at most [`MAX_NODES_PER_MODEL`].
#[cw_serde]
#[derive(Default)]
pub struct StakeTable {
    pub nodes: Vec<Addr>,
    /// Sum of the stakes up to and including each node; strictly rising.
    pub cumulative: Vec<Uint128>,
}

impl StakeTable {
    /// The node's place in the table, if it is in it.
    pub fn place(&self, node: &Addr) -> Option<usize> {
        self.nodes.binary_search(node).ok()
    }

    /// How many eligible nodes there are besides `executor`.
    pub fn others(&self, executor: &Addr) -> u32 {
        let others = self.nodes.len().saturating_sub(usize::from(self.place(executor).is_some()));
        u32::try_from(others).unwrap_or(u32::MAX)
    }

    /// The table with this node at this stake; at zero it is not in it.
    ///
    /// # Errors
    /// The table is full, or the stakes add up to more than u128 holds.
    pub fn with(self, model: &ModelDigest, node: &Addr, stake: Uint128) -> Result<Self, ContractError> {
        let mut entries: Vec<(Addr, Uint128)> = self.stakes().filter(|(other, _)| other != node).collect();
        if !stake.is_zero() {
            let at = entries.partition_point(|(other, _)| other < node);
            entries.insert(at, (node.clone(), stake));
        }
        if entries.len() > MAX_NODES_PER_MODEL {
            return Err(ContractError::ModelFull { model: *model, most: MAX_NODES_PER_MODEL });
        }
        let mut table = Self::default();
        let mut sum = Uint128::zero();
        for (node, stake) in entries {
            sum = sum.checked_add(stake)?;
            table.nodes.push(node);
            table.cumulative.push(sum);
        }
        Ok(table)
    }

    fn stakes(&self) -> impl Iterator<Item = (Addr, Uint128)> + '_ {
        let before = std::iter::once(Uint128::zero()).chain(self.cumulative.iter().copied());
        let stakes = self.cumulative.iter().zip(before).map(|(sum, before)| sum.saturating_sub(before));
        self.nodes.iter().cloned().zip(stakes)
    }
}

/// The table that juries of batches of this epoch are drawn from; empty where no node ever served the model.
///
/// # Errors
/// Storage cannot be read.
pub fn in_force(
    storage: &dyn Storage,
    model: &ModelDigest,
    epoch: Epoch,
) -> Result<StakeTable, ContractError> {
    let latest = TABLES
        .prefix(&model.0)
        .range(storage, None, Some(Bound::inclusive(epoch.0)), Order::Descending)
        .next()
        .transpose()?;
    Ok(latest.map(|(_, table)| table).unwrap_or_default())
}

/// Sets a node's stake from `epoch` on, which has not begun; zero takes it out.
///
/// # Errors
/// The table is full.
pub fn set(
    storage: &mut dyn Storage,
    model: &ModelDigest,
    epoch: Epoch,
    node: &Addr,
    stake: Uint128,
) -> Result<(), ContractError> {
    let table = in_force(storage, model, epoch)?.with(model, node, stake)?;
    TABLES.save(storage, (&model.0, epoch.0), &table)?;
    Ok(())
}
