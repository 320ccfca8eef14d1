//! Stake tables: who may sit on the juries of a model, and with which weight.

pub mod tree;

use assay_common::ids::{Epoch, ModelDigest};
use cosmwasm_std::{Storage, Uint128};

use crate::error::ContractError;
use crate::state::NodeNumber;
use crate::sweep::{self, Item};
use crate::tx::Tx;
use crate::{guardian, model};
use tree::Tree;

/// One eligible node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub node: NodeNumber,
    /// Sum of the stakes up to and including this node; strictly rising.
    pub cumulative: u128,
}

/// The eligible nodes of one model, in the order of their numbers, at most [`assay_common::params::MAX_NODES_PER_MODEL`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StakeTable(pub Vec<Place>);

impl StakeTable {
    /// The node's place in the table, if it is in it.
    pub fn place(&self, node: NodeNumber) -> Option<usize> {
        self.0.binary_search_by_key(&node, |place| place.node).ok()
    }

    /// The cumulative stakes, as [`assay_common::draw::jury`] takes them.
    pub fn cumulative(&self) -> Vec<u128> {
        self.0.iter().map(|place| place.cumulative).collect()
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
    Tree::in_force(storage, model, epoch)?.table(storage)
}

/// How many nodes besides `executor` are in the table of an epoch.
///
/// # Errors
/// Storage cannot be read.
pub fn others(
    storage: &dyn Storage,
    model: &ModelDigest,
    epoch: Epoch,
    executor: NodeNumber,
) -> Result<u32, ContractError> {
    let mut tree = Tree::in_force(storage, model, epoch)?;
    let itself = u32::from(tree.has(storage, executor)?);
    Ok(tree.nodes().saturating_sub(itself))
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
    let mut tree = Tree::in_force(storage, digest, tx.time.next_table())?;
    if entry == Entry::Closed && !tree.has(storage, node)? {
        return Ok(());
    }
    tree.set(storage, node, stake)?;
    guardian::seat(storage, tx, &model::load(storage, digest)?, &mut tree, Some(node))?;
    store(storage, tx, digest, tree)
}

/// Stores the model's next table; the one that it was made of is of use to earlier epochs only.
///
/// # Errors
/// Storage cannot be written.
pub fn store(
    storage: &mut dyn Storage,
    tx: &Tx,
    model: &ModelDigest,
    tree: Tree,
) -> Result<(), ContractError> {
    let (epoch, before) = (tx.time.next_table(), tree.origin());
    tree.save(storage, epoch)?;
    match before.filter(|before| *before < epoch) {
        Some(from) => sweep::schedule(storage, epoch, &Item::Table { model: *model, from, until: epoch }),
        None => Ok(()),
    }
}
