//! Models, nodes, their evidence and their epochs.

use assay_common::ids::{Epoch, ModelDigest};
use assay_common::msg::{
    EpochResponse, EvidenceResponse, ModelResponse, NodeResponse, Page, UnbondingResponse,
};
use cosmwasm_std::{Addr, Order, Storage};
use cw_storage_plus::Bound;

use super::paging;
use crate::error::ContractError;
use crate::state::{Config, Model, Node, Unbonding, EPOCHS, MODELS, NODES};

pub fn model(config: &Config, digest: ModelDigest, model: Model) -> ModelResponse {
    let Model { spec, reference_fee, calibration } = model;
    ModelResponse {
        model: digest,
        spec,
        reference_fee,
        calibration,
        verdict_fee: config.params.verdict_fee(reference_fee),
        min_stake: config.params.min_stake(reference_fee),
    }
}

pub fn models(
    storage: &dyn Storage,
    config: &Config,
    start_after: Option<ModelDigest>,
    limit: Option<u32>,
) -> Result<Page<ModelResponse, ModelDigest>, ContractError> {
    let start = start_after.map(|after| Bound::exclusive(after.0));
    let found = MODELS.range(storage, start, None, Order::Ascending).map(|entry| {
        let (digest, found) = entry?;
        Ok((ModelDigest(digest), model(config, ModelDigest(digest), found)))
    });
    paging::page(found, paging::limit(limit))
}

pub fn node(config: &Config, address: &Addr, node: Node) -> NodeResponse {
    NodeResponse {
        address: address.to_string(),
        models: node.models,
        endpoint: node.endpoint,
        stake: node.stake,
        unbonding: node.unbonding.into_iter().map(unbonding).collect(),
        reputation: node.reputation,
        benched: node.benched,
        rate_q32: node.reputation.rate_q32(&config.params.reputation),
    }
}

fn unbonding(part: Unbonding) -> UnbondingResponse {
    let Unbonding { amount, release } = part;
    UnbondingResponse { amount, release }
}

pub fn nodes(
    storage: &dyn Storage,
    config: &Config,
    start_after: Option<String>,
    limit: Option<u32>,
) -> Result<Page<NodeResponse, String>, ContractError> {
    let after = start_after.map(Addr::unchecked);
    let start = after.as_ref().map(Bound::exclusive);
    let found = NODES.range(storage, start, None, Order::Ascending).map(|entry| {
        let (address, found) = entry?;
        Ok((address.to_string(), node(config, &address, found)))
    });
    paging::page(found, paging::limit(limit))
}

pub fn evidence(
    storage: &dyn Storage,
    config: &Config,
    executor: &Addr,
) -> Result<EvidenceResponse, ContractError> {
    let node = crate::node::load(storage, executor)?;
    let bound = config.params.evidence.bound();
    Ok(EvidenceResponse { executor: executor.to_string(), cusum: node.cusum, bound })
}

pub fn epochs(
    storage: &dyn Storage,
    executor: &Addr,
    start_after: Option<Epoch>,
    limit: Option<u32>,
) -> Result<Page<EpochResponse, Epoch>, ContractError> {
    let start = start_after.map(|after| Bound::exclusive(after.0));
    let accounts = EPOCHS.prefix(executor);
    let found = accounts.range(storage, start, None, Order::Ascending).map(|entry| {
        let (epoch, account) = entry?;
        Ok((Epoch(epoch), super::account(executor, Epoch(epoch), account)))
    });
    paging::page(found, paging::limit(limit))
}
