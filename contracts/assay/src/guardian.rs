//! SetGuardians: nodes that governance bonds for a model, and that sit on its juries while too few others can.

use assay_common::event::Event;
use assay_common::ids::ModelDigest;
use cosmwasm_std::{Api, Response, Storage, Uint128};

use crate::error::ContractError;
use crate::state::{Model, NodeNumber, MODELS};
use crate::table::tree::Tree;
use crate::tx::Tx;
use crate::{model, node, table};

/// Guardians of one model: each is read whenever the model's table changes.
const MAX_GUARDIANS: usize = 16;

/// Replaces a model's guardians; the next epoch's table knows it.
///
/// # Errors
/// The model is unknown; a guardian is no node that serves it, or is named twice; or there are too many.
pub fn set(
    storage: &mut dyn Storage,
    api: &dyn Api,
    tx: &Tx,
    digest: ModelDigest,
    guardians: &[String],
) -> Result<Response, ContractError> {
    let mut known = model::load(storage, &digest)?;
    let (before, after) = (known.guardians, named(storage, api, &digest, guardians)?);
    known.guardians = after;
    MODELS.save(storage, digest.0, &known)?;
    let from_epoch = tx.time.next_table();
    let mut tree = Tree::in_force(storage, &digest, from_epoch)?;
    // Who is a guardian no more sits by its stake, like everybody.
    for number in before.iter().filter(|number| !known.guardians.contains(number)) {
        let weight = weight(storage, tx, &known, *number)?;
        tree.set(storage, *number, weight)?;
    }
    seat(storage, tx, &known, &mut tree, None)?;
    table::store(storage, tx, &digest, tree)?;
    Ok(Response::new().add_event(Event::GuardiansSet {
        model: digest,
        before: addresses(storage, &before)?.join(","),
        after: guardians.join(","),
        from_epoch,
    }))
}

fn named(
    storage: &dyn Storage,
    api: &dyn Api,
    digest: &ModelDigest,
    guardians: &[String],
) -> Result<Vec<NodeNumber>, ContractError> {
    if guardians.len() > MAX_GUARDIANS {
        return Err(ContractError::TooManyGuardians { count: guardians.len(), most: MAX_GUARDIANS });
    }
    let mut numbers = Vec::with_capacity(guardians.len());
    for guardian in guardians {
        let number = node::serving(storage, &api.addr_validate(guardian)?, digest)?.number;
        if numbers.contains(&number) {
            return Err(ContractError::GuardianTwice { address: guardian.clone() });
        }
        numbers.push(number);
    }
    Ok(numbers)
}

/// The addresses of a model's guardians.
///
/// # Errors
/// There is no node of one of these numbers: a fault of the contract.
pub fn addresses(storage: &dyn Storage, numbers: &[NodeNumber]) -> Result<Vec<String>, ContractError> {
    numbers.iter().map(|number| Ok(node::address(storage, *number)?.into_string())).collect()
}

/// Puts the model's guardians into the table, until each of the others has as many of them besides itself as a jury needs to
/// take its stake; then takes them out.
///
/// `changed` is in the table already, with a stake that is not stored yet.
///
/// # Errors
/// A guardian is no node: a fault of the contract.
pub fn seat(
    storage: &dyn Storage,
    tx: &Tx,
    model: &Model,
    tree: &mut Tree,
    changed: Option<NodeNumber>,
) -> Result<(), ContractError> {
    let mut others = tree.nodes();
    for guardian in &model.guardians {
        others = others.saturating_sub(u32::from(tree.has(storage, *guardian)?));
    }
    let enough = others > tx.config.params.jury.min_others_to_slash;
    for guardian in &model.guardians {
        if enough {
            tree.set(storage, *guardian, Uint128::zero())?;
        } else if changed != Some(*guardian) {
            let weight = weight(storage, tx, model, *guardian)?;
            tree.set(storage, *guardian, weight)?;
        }
    }
    Ok(())
}

/// What a node of this number sits by on the model's juries; nothing, if it does not serve the model any more.
fn weight(
    storage: &dyn Storage,
    tx: &Tx,
    model: &Model,
    number: NodeNumber,
) -> Result<Uint128, ContractError> {
    let node = node::load(storage, &node::address(storage, number)?)?;
    let serves = node.models.contains(&model.spec.digest());
    Ok(if serves { node::weight(&tx.config.params, model, &node) } else { Uint128::zero() })
}
