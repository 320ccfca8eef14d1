//! Fines and charges: what jurors and executors pay out of their stakes, bonded first, while samples are closed.

use std::collections::BTreeMap;

use assay_common::event::Event;
use cosmwasm_std::{Addr, Storage, Uint128};

use crate::error::ContractError;
use crate::node;
use crate::state::{Node, NodeNumber, NODES};
use crate::tx::Tx;

/// The nodes that one message fines or charges: each is read once and written once.
#[derive(Default)]
pub struct Stakes {
    nodes: BTreeMap<NodeNumber, Taken>,
}

struct Taken {
    address: Addr,
    /// What was bonded before.
    stake: Uint128,
    node: Node,
    reasons: Vec<(&'static str, Uint128)>,
}

impl Stakes {
    /// Takes up to `amount` out of a node's stake; returns what was there. The pool is the caller's to move.
    ///
    /// # Errors
    /// Storage cannot be read.
    pub fn take(
        &mut self,
        storage: &dyn Storage,
        number: NodeNumber,
        reason: &'static str,
        amount: Uint128,
    ) -> Result<Uint128, ContractError> {
        let taken = match self.nodes.entry(number) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                let address = node::address(storage, number)?;
                let node = node::load(storage, &address)?;
                new.insert(Taken { address, stake: node.stake, node, reasons: Vec::new() })
            }
        };
        let amount = taken.node.take(amount);
        match taken.reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, sum)) => *sum = sum.checked_add(amount)?,
            None => taken.reasons.push((reason, amount)),
        }
        Ok(amount)
    }

    /// Stores the nodes and their weights; returns what each was fined for.
    ///
    /// # Errors
    /// Storage cannot be written.
    pub fn save(self, storage: &mut dyn Storage, tx: &Tx) -> Result<Vec<Event>, ContractError> {
        let mut events = Vec::new();
        for Taken { address, stake, node, reasons } in self.nodes.into_values() {
            node::lower(storage, tx, &node)?;
            NODES.save(storage, &address, &node)?;
            events.extend(reasons.into_iter().map(|(reason, amount)| Event::StakeTaken {
                node: address.to_string(),
                reason: reason.into(),
                amount,
                stake_before: stake,
                stake_after: node.stake,
            }));
        }
        Ok(events)
    }
}
