//! Models, nodes, their evidence and their epochs.

use assay_common::ids::{Epoch, ModelDigest};
use assay_common::msg::{
    CalibrationRecord, CalibrationVersion, EpochResponse, EvidenceResponse, ModelResponse, NodeResponse,
    Page, UnbondingResponse,
};
use cosmwasm_std::{Addr, Order, Storage};
use cw_storage_plus::Bound;

use super::paging;
use crate::error::ContractError;
use crate::state::{Model, Node, Unbonding, EPOCHS, MODELS, NODES};
use crate::tx::{Config, Time};
use crate::versions::Version;
use crate::{guardian, model, pause};

pub fn model(
    storage: &dyn Storage,
    at: (&Config, Time),
    digest: ModelDigest,
) -> Result<ModelResponse, ContractError> {
    model_response(storage, at, digest, model::load(storage, &digest)?)
}

fn model_response(
    storage: &dyn Storage,
    (config, time): (&Config, Time),
    digest: ModelDigest,
    model: Model,
) -> Result<ModelResponse, ContractError> {
    let in_force = calibration(&model::calibration_of(storage, &model, time.epoch)?);
    let Model { spec, reference_fee, calibrations, deprecated, guardians } = model;
    Ok(ModelResponse {
        model: digest,
        spec,
        reference_fee,
        calibration: in_force,
        next_calibration: calibrations.pending(time.epoch).map(calibration),
        deprecated,
        guardians: guardian::addresses(storage, &guardians)?,
        verdict_fee: config.params.verdict_fee(reference_fee),
        min_stake: config.params.min_stake(reference_fee),
    })
}

fn calibration(version: &Version<CalibrationRecord>) -> CalibrationVersion {
    CalibrationVersion { version: version.number, from: version.from, record: version.value.clone() }
}

pub fn models(
    storage: &dyn Storage,
    at: (&Config, Time),
    start_after: Option<ModelDigest>,
    limit: Option<u32>,
) -> Result<Page<ModelResponse, ModelDigest>, ContractError> {
    let start = start_after.map(|after| Bound::exclusive(after.0));
    let found = MODELS.range(storage, start, None, Order::Ascending).map(|entry| {
        let (digest, found) = entry?;
        Ok((ModelDigest(digest), model_response(storage, at, ModelDigest(digest), found)?))
    });
    paging::page(found, paging::limit(limit))
}

pub fn node(
    storage: &dyn Storage,
    (config, time): (&Config, Time),
    address: &Addr,
) -> Result<NodeResponse, ContractError> {
    let frozen = pause::frozen(storage, time.now)?;
    node_response(storage, (config, frozen), address, crate::node::load(storage, address)?)
}

/// `frozen` is the seconds of all pauses so far: what is released by the clock that stands still is so much later.
fn node_response(
    storage: &dyn Storage,
    (config, frozen): (&Config, u64),
    address: &Addr,
    node: Node,
) -> Result<NodeResponse, ContractError> {
    let reputation = crate::node::reputation(storage, address, &node)?;
    let unbonding =
        |Unbonding { amount, release }| UnbondingResponse { amount, release: release.saturating_add(frozen) };
    Ok(NodeResponse {
        address: address.to_string(),
        models: node.models,
        endpoint: node.endpoint,
        stake: node.stake,
        unbonding: node.unbonding.into_iter().map(unbonding).collect(),
        reputation,
        benched: node.benched,
        rate_q32: reputation.rate_q32(&config.params.reputation),
    })
}

pub fn nodes(
    storage: &dyn Storage,
    (config, time): (&Config, Time),
    start_after: Option<String>,
    limit: Option<u32>,
) -> Result<Page<NodeResponse, String>, ContractError> {
    let frozen = pause::frozen(storage, time.now)?;
    let after = start_after.map(Addr::unchecked);
    let start = after.as_ref().map(Bound::exclusive);
    let found = NODES.range(storage, start, None, Order::Ascending).map(|entry| {
        let (address, found) = entry?;
        Ok((address.to_string(), node_response(storage, (config, frozen), &address, found)?))
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
        Ok((Epoch(epoch), super::account(storage, (executor, Epoch(epoch)), account)?))
    });
    paging::page(found, paging::limit(limit))
}
