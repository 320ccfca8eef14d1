//! Stake tables: who may sit on the juries of a model, and with which weight.

use assay_common::ids::{Epoch, ModelDigest};
use assay_common::params::MAX_NODES_PER_MODEL;
use cosmwasm_std::{Order, Storage, Uint128};
use cw_storage_plus::Bound;
use serde::{Deserialize, Serialize};

use crate::error::ContractError;
use crate::state::{NodeNumber, TABLES};
use crate::sweep::{self, Item};
use crate::tx::Tx;
use crate::{guardian, model};

/// One eligible node; at most 16 bytes in storage for up to 16,384 nodes and stakes below 2⁹⁸, since each draw reads them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub node: NodeNumber,
    /// Sum of the stakes up to and including this node; strictly rising.
    pub cumulative: u128,
}

/// The eligible nodes of one model, in the order of their numbers, at most [`MAX_NODES_PER_MODEL`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StakeTable(pub Vec<Place>);

impl StakeTable {
    /// The node's place in the table, if it is in it.
    pub fn place(&self, node: NodeNumber) -> Option<usize> {
        self.0.binary_search_by_key(&node, |place| place.node).ok()
    }

    /// How many eligible nodes there are besides `executor`.
    pub fn others(&self, executor: NodeNumber) -> u32 {
        let others = self.0.len().saturating_sub(usize::from(self.place(executor).is_some()));
        u32::try_from(others).unwrap_or(u32::MAX)
    }

    /// The cumulative stakes, as [`assay_common::draw::jury`] takes them.
    pub fn cumulative(&self) -> Vec<u128> {
        self.0.iter().map(|place| place.cumulative).collect()
    }

    /// The table with this node at this stake; at zero it is not in it.
    ///
    /// # Errors
    /// The table is full, or the stakes add up to more than u128 holds.
    pub fn with(self, model: &ModelDigest, node: NodeNumber, stake: Uint128) -> Result<Self, ContractError> {
        let mut stakes: Vec<(NodeNumber, u128)> = self.stakes().filter(|(other, _)| *other != node).collect();
        if !stake.is_zero() {
            let at = stakes.partition_point(|(other, _)| *other < node);
            stakes.insert(at, (node, stake.u128()));
        }
        if stakes.len() > MAX_NODES_PER_MODEL {
            return Err(ContractError::ModelFull { model: *model, most: MAX_NODES_PER_MODEL });
        }
        let mut places = Vec::with_capacity(stakes.len());
        let mut cumulative = Uint128::zero();
        for (node, stake) in stakes {
            cumulative = cumulative.checked_add(Uint128::new(stake))?;
            places.push(Place { node, cumulative: cumulative.u128() });
        }
        Ok(Self(places))
    }

    fn stakes(&self) -> impl Iterator<Item = (NodeNumber, u128)> + '_ {
        let before = std::iter::once(0).chain(self.0.iter().map(|place| place.cumulative));
        self.0.iter().zip(before).map(|(place, before)| (place.node, place.cumulative.saturating_sub(before)))
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
    Ok(latest(storage, model, epoch)?.map(|(_, table)| table).unwrap_or_default())
}

/// The table that is in force in an epoch, with the epoch from which on it is.
fn latest(
    storage: &dyn Storage,
    model: &ModelDigest,
    epoch: Epoch,
) -> Result<Option<(Epoch, StakeTable)>, ContractError> {
    let end = Some(Bound::inclusive(epoch.0));
    let mut tables = TABLES.prefix(&model.0).range(storage, None, end, Order::Descending);
    Ok(tables.next().transpose()?.map(|(from, table)| (Epoch(from), table)))
}

/// Whether a node that is not in a table may come into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Open,
    /// Who is outside stays there, so a full table is no obstacle.
    Closed,
}

/// Sets a node's stake in the model's next table; zero takes it out. Guardians come and go with the number of others.
///
/// # Errors
/// The table is full.
pub fn set(
    storage: &mut dyn Storage,
    tx: &Tx,
    digest: &ModelDigest,
    (node, stake): (NodeNumber, Uint128),
    entry: Entry,
) -> Result<(), ContractError> {
    let model = model::load(storage, digest)?;
    change(storage, tx, digest, |storage, table| {
        if entry == Entry::Closed && table.place(node).is_none() {
            return Ok(None);
        }
        let table = table.with(digest, node, stake)?;
        guardian::seat(storage, tx, &model, table, Some(node)).map(Some)
    })
}

/// Stores what `to` makes of the model's next table, if it makes anything; the one before is of use to earlier epochs only.
///
/// # Errors
/// Those of `to`.
pub fn change(
    storage: &mut dyn Storage,
    tx: &Tx,
    model: &ModelDigest,
    to: impl FnOnce(&dyn Storage, StakeTable) -> Result<Option<StakeTable>, ContractError>,
) -> Result<(), ContractError> {
    let epoch = tx.time.next_table();
    let (before, table) = latest(storage, model, epoch)?.unzip();
    let Some(table) = to(storage, table.unwrap_or_default())? else { return Ok(()) };
    TABLES.save(storage, (&model.0, epoch.0), &table)?;
    match before.filter(|before| *before < epoch) {
        Some(from) => sweep::schedule(storage, epoch, &Item::Table { model: *model, from, until: epoch }),
        None => Ok(()),
    }
}
