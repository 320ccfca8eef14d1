//! Nodes: every one is validator and executor for the models that it lists.

use assay_common::event::Event;
use assay_common::evidence::Cusum;
use assay_common::ids::ModelDigest;
use assay_common::params::Params;
use assay_common::reputation::Reputation;
use cosmwasm_std::{Addr, Response, Storage, Uint128};

use crate::error::ContractError;
use crate::state::{Model, Node, NodeNumber, NODES, NODE_COUNT, NUMBERS, POOLS};
use crate::table::{self, Entry};
use crate::tx::Tx;
use crate::{epoch, model, pools};

/// Models that one node may serve: each has a stake table that registration rewrites.
pub const MAX_MODELS_PER_NODE: usize = 16;
/// Bytes of an endpoint's URL.
const MAX_ENDPOINT: usize = 256;

/// Bonds the funds as the sender's stake; it sits on juries from the next epoch's table on.
///
/// Who was a node before and has withdrawn everything begins without reputation, and with the evidence that it left.
///
/// # Errors
/// The sender is a node, a model is unknown, deprecated, listed twice or full, the stake is below what the dearest model
/// asks for, or the endpoint is no URL.
pub fn register(
    storage: &mut dyn Storage,
    tx: &Tx,
    models: Vec<ModelDigest>,
    endpoint: String,
) -> Result<Response, ContractError> {
    let known = NODES.may_load(storage, &tx.sender)?;
    if known.as_ref().is_some_and(|node| !node.has_left()) {
        return Err(ContractError::NodeKnown { address: tx.sender.to_string() });
    }
    check_endpoint(&endpoint)?;
    let needed = dearest_stake(storage, tx, &models)?;
    if tx.funds < needed {
        return Err(ContractError::StakeTooLow { stake: tx.funds, needed });
    }
    let (number, cusum, last_epoch) = match known {
        Some(node) => (node.number, node.cusum, node.last_epoch),
        None => (next_number(storage, &tx.sender)?, Cusum::default(), None),
    };
    let from_epoch = tx.time.next_table();
    for model in &models {
        model::open(storage, model)?;
        table::set(storage, tx, model, (number, tx.funds), Entry::Open)?;
    }
    let mut held = POOLS.load(storage)?;
    pools::add(&mut held.stakes, tx.funds)?;
    POOLS.save(storage, &held)?;
    let node = Node {
        number,
        models,
        endpoint,
        stake: tx.funds,
        unbonding: Vec::new(),
        reputation: Reputation::default(),
        cusum,
        benched: false,
        last_epoch,
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

/// Adds the funds to the sender's stake and replaces what is named; the next epoch's tables know it. A benched node that
/// names its models or sends funds sits on juries again.
///
/// # Errors
/// Nothing is named and no funds came; or with new models or funds, a model is unknown, newly named and deprecated, listed twice or full, or the stake
/// is below what the dearest asks for; or the endpoint is no URL.
pub fn update(
    storage: &mut dyn Storage,
    tx: &Tx,
    models: Option<Vec<ModelDigest>>,
    endpoint: Option<String>,
) -> Result<Response, ContractError> {
    let stakes = models.is_some() || !tx.funds.is_zero();
    if !stakes && endpoint.is_none() {
        return Err(ContractError::NothingToUpdate { denom: tx.config.params.denom.clone() });
    }
    let before = load(storage, &tx.sender)?;
    let mut node = before.clone();
    if let Some(endpoint) = endpoint {
        check_endpoint(&endpoint)?;
        node.endpoint = endpoint;
    }
    node.models = models.unwrap_or(node.models);
    node.benched &= !stakes;
    pools::add(&mut node.stake, tx.funds)?;
    if stakes {
        check_stake(storage, tx, &node)?;
        enter(storage, tx, &before.models, &node)?;
        let mut held = POOLS.load(storage)?;
        pools::add(&mut held.stakes, tx.funds)?;
        POOLS.save(storage, &held)?;
    }
    NODES.save(storage, &tx.sender, &node)?;
    Ok(Response::new().add_event(Event::NodeUpdated {
        node: tx.sender.to_string(),
        stake_before: before.stake,
        stake_after: node.stake,
        models_before: join(&before.models),
        models_after: join(&node.models),
        endpoint_before: before.endpoint,
        endpoint_after: node.endpoint,
        from_epoch: tx.time.next_table(),
    }))
}

fn join(models: &[ModelDigest]) -> String {
    models.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Enters the sender's stake into the next tables of its models, and takes it out of those of models that it dropped.
fn enter(
    storage: &mut dyn Storage,
    tx: &Tx,
    before: &[ModelDigest],
    node: &Node,
) -> Result<(), ContractError> {
    for dropped in before.iter().filter(|model| !node.models.contains(model)) {
        table::set(storage, tx, dropped, (node.number, Uint128::zero()), Entry::Open)?;
    }
    for model in &node.models {
        if !before.contains(model) {
            model::open(storage, model)?;
        }
        table::set(storage, tx, model, (node.number, node.stake), Entry::Open)?;
    }
    Ok(())
}

/// Lowers a node's stake in the next tables of its models; where it is below the model's minimum, or the node is benched, it
/// is taken out.
///
/// # Errors
/// Storage cannot be read or written; never because a table is full: a node that is in none enters none.
pub fn lower(storage: &mut dyn Storage, tx: &Tx, node: &Node) -> Result<(), ContractError> {
    for model in &node.models {
        let weight = weight(&tx.config.params, &model::load(storage, model)?, node);
        table::set(storage, tx, model, (node.number, weight), Entry::Closed)?;
    }
    Ok(())
}

/// What a node sits by on a model's juries: its stake, if that reaches the model's minimum and the node is not benched.
pub fn weight(params: &Params, model: &Model, node: &Node) -> Uint128 {
    let sits = !node.benched && node.stake >= params.min_stake(model.reference_fee);
    if sits {
        node.stake
    } else {
        Uint128::zero()
    }
}

/// # Errors
/// Less is bonded than the node's dearest model asks for.
pub fn check_stake(storage: &dyn Storage, tx: &Tx, node: &Node) -> Result<(), ContractError> {
    let needed = dearest_stake(storage, tx, &node.models)?;
    if node.stake < needed {
        return Err(ContractError::StakeTooLow { stake: node.stake, needed });
    }
    Ok(())
}

/// The least stake for the dearest of the models.
///
/// # Errors
/// There are none or too many, or one is unknown or listed twice.
pub fn dearest_stake(
    storage: &dyn Storage,
    tx: &Tx,
    models: &[ModelDigest],
) -> Result<Uint128, ContractError> {
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

/// What a node is trusted: nothing from a proof against it on; the settlement, which forfeits the epoch, then writes it down.
///
/// # Errors
/// Storage cannot be read.
pub fn reputation(storage: &dyn Storage, address: &Addr, node: &Node) -> Result<Reputation, ContractError> {
    let accused = epoch::is_accused(storage, address)?;
    Ok(if accused { Reputation::default() } else { node.reputation })
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
