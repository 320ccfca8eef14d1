//! Nodes: every one is validator and executor for the models that it lists.

use assay_common::event::Event;
use assay_common::evidence::Cusum;
use assay_common::ids::ModelDigest;
use assay_common::reputation::Reputation;
use cosmwasm_std::{Addr, Response, Storage, Uint128};

use crate::error::ContractError;
use crate::state::{Node, NodeNumber, NODES, NODE_COUNT, NUMBERS, POOLS};
use crate::tx::Tx;
use crate::{model, pools, table};

/// Models that one node may serve: each has a stake table that registration rewrites.
pub const MAX_MODELS_PER_NODE: usize = 16;
/// Bytes of an endpoint's URL.
const MAX_ENDPOINT: usize = 256;

/// Bonds the funds as the sender's stake; it sits on juries from the next epoch's table on.
///
/// # Errors
/// The sender is a node already, a model is unknown, listed twice or full, the stake is below what the dearest model
/// asks for, or the endpoint is no URL.
pub fn register(
    storage: &mut dyn Storage,
    tx: &Tx,
    models: Vec<ModelDigest>,
    endpoint: String,
) -> Result<Response, ContractError> {
    if NODES.has(storage, &tx.sender) {
        return Err(ContractError::NodeKnown { address: tx.sender.to_string() });
    }
    check_endpoint(&endpoint)?;
    let needed = dearest_stake(storage, tx, &models)?;
    if tx.funds < needed {
        return Err(ContractError::StakeTooLow { stake: tx.funds, needed });
    }
    let number = next_number(storage, &tx.sender)?;
    let from_epoch = tx.time.next_table();
    for model in &models {
        table::set(storage, model, from_epoch, number, tx.funds)?;
    }
    let mut held = POOLS.load(storage)?;
    pools::add(&mut held.stakes, tx.funds)?;
    POOLS.save(storage, &held)?;
    let node = Node {
        number,
        models,
        endpoint,
        stake: tx.funds,
        reputation: Reputation::default(),
        cusum: Cusum::default(),
        last_epoch: None,
    };
    NODES.save(storage, &tx.sender, &node)?;
    let event = Event::NodeRegistered { node: tx.sender.to_string(), stake: tx.funds, from_epoch };
    Ok(Response::new().add_event(event))
}

fn next_number(storage: &mut dyn Storage, address: &Addr) -> Result<NodeNumber, ContractError> {
    let number = NODE_COUNT.may_load(storage)?.unwrap_or(0);
    NODE_COUNT.save(storage, &number.saturating_add(1))?;
    NUMBERS.save(storage, number, address)?;
    Ok(NodeNumber(number))
}

/// The address of a node.
///
/// # Errors
/// There is no node of this number: a fault of the contract.
pub fn address(storage: &dyn Storage, number: NodeNumber) -> Result<Addr, ContractError> {
    NUMBERS
        .may_load(storage, number.0)?
        .ok_or_else(|| ContractError::NotRegistered { address: format!("node number {}", number.0) })
}

/// The least stake for the dearest of the models.
fn dearest_stake(storage: &dyn Storage, tx: &Tx, models: &[ModelDigest]) -> Result<Uint128, ContractError> {
    if models.is_empty() || models.len() > MAX_MODELS_PER_NODE {
        return Err(ContractError::BadModelCount { count: models.len(), most: MAX_MODELS_PER_NODE });
    }
    let mut needed = Uint128::zero();
    for (place, model) in models.iter().enumerate() {
        if models.iter().take(place).any(|earlier| earlier == model) {
            return Err(ContractError::ModelTwice { model: *model });
        }
        let reference_fee = model::load(storage, model)?.reference_fee;
        needed = needed.max(tx.config.params.min_stake(reference_fee));
    }
    Ok(needed)
}

fn check_endpoint(endpoint: &str) -> Result<(), ContractError> {
    let rest = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    let named = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    // Others append paths to it: whatever would end the path or name another host makes them ask what they did not mean to.
    let plain = endpoint.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\\".contains(&byte));
    if named && plain && endpoint.len() <= MAX_ENDPOINT {
        Ok(())
    } else {
        Err(ContractError::BadEndpoint { endpoint: endpoint.into() })
    }
}

/// # Errors
/// The address is no node's.
pub fn load(storage: &dyn Storage, address: &Addr) -> Result<Node, ContractError> {
    NODES
        .may_load(storage, address)?
        .ok_or_else(|| ContractError::NotRegistered { address: address.to_string() })
}

/// The node, if it serves this model.
///
/// # Errors
/// The address is no node's, or the node does not list the model.
pub fn serving(storage: &dyn Storage, address: &Addr, model: &ModelDigest) -> Result<Node, ContractError> {
    let node = load(storage, address)?;
    if node.models.contains(model) {
        Ok(node)
    } else {
        Err(ContractError::NotServing { node: address.to_string(), model: *model })
    }
}
