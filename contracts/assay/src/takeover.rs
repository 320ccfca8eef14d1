//! The takeover of version 0.1.0, whose state was JSON under other keys: code of its own, run once before the contract proper.
//!
//! Carried over is what belongs to somebody: money, nodes with reputation and evidence, models, sessions with their escrow
//! and what is refunded to them. Batches, samples and verdicts are history by then: all of them must be settled.

mod v0_1;

use assay_common::event::Event;
use assay_common::ids::{Epoch, ModelDigest};
use assay_common::msg::{CalibrationRecord, ModelSuccessor, TakeoverMsg};
use assay_common::params::Params;
use assay_common::session::ModelSpec;
use cosmwasm_std::{DepsMut, Env, Order, Response, Storage, Uint128};

use crate::error::ContractError;
use crate::migrate::check_version;
use crate::setup::NAME;
use crate::state::{
    Charter, Model, Node, NodeNumber, CHARTER, CLAIMABLE, LAST_BATCH, LAST_SESSION, MODELS, NODES,
    NODE_COUNT, NUMBERS, POOLS, SESSIONS,
};
use crate::table::tree::Tree;
use crate::tx::Config;
use crate::versions::Versions;
use crate::{model, params};

/// The version that this code takes over from.
const FROM: &str = "0.1.0";
/// The version of a state that waits for the contract proper.
pub const TAKEN_OVER: &str = concat!(env!("CARGO_PKG_VERSION"), "-taken-over");
/// Entries of the old state: one message reads and removes them all, so a larger state needs another way.
const MAX_ENTRIES: usize = 20_000;

/// Takes over from the previous version, under the parameters that governance gives.
///
/// # Errors
/// Another contract's state or another version's; work that is not settled; more than one message can carry; parameters that
/// break a rule, or change what no change may touch.
#[cfg_attr(all(feature = "takeover", not(feature = "library")), cosmwasm_std::entry_point)]
pub fn migrate(deps: DepsMut, env: Env, msg: TakeoverMsg) -> Result<Response, ContractError> {
    let storage = deps.storage;
    check_version(storage, FROM, TAKEN_OVER)?;
    let mut old = v0_1::State::read(storage)?;
    let fixed = [
        ("denom", old.config.params.denom == msg.params.denom),
        ("clock", old.config.params.clock == msg.params.clock),
    ];
    if let Some((field, _)) = fixed.into_iter().find(|(_, kept)| !kept) {
        return Err(ContractError::MigrationChanges { field });
    }
    params::check(deps.api, env.block.time.seconds(), &msg.params, &[])?;
    let models = carried(&old, msg.models)?;
    rename(&mut old, &models);
    clear(storage)?;
    write(storage, &env, old, (msg.params, models))?;
    cw2::set_contract_version(storage, NAME, TAKEN_OVER)?;
    Ok(Response::new().add_event(Event::Migrated { before: FROM.into(), after: TAKEN_OVER.into() }))
}

/// A stored model as it goes on.
struct Carried {
    /// The old digest.
    before: ModelDigest,
    spec: ModelSpec,
    reference_fee: Uint128,
    calibration: CalibrationRecord,
}

/// What becomes of each stored model.
fn carried(old: &v0_1::State, mut given: Vec<ModelSuccessor>) -> Result<Vec<Carried>, ContractError> {
    let mut models = Vec::with_capacity(old.models.len());
    for (digest, v0_1::Model { spec, reference_fee }) in &old.models {
        let model = ModelDigest(*digest);
        let place = given.iter().position(|given| given.model == model);
        let place = place.ok_or(ContractError::CalibrationMissing { model })?;
        let ModelSuccessor { scheme, constants, calibration, .. } = given.swap_remove(place);
        model::check_calibration(&calibration)?;
        let (name, weights, vocabulary) = (spec.name.clone(), spec.weights, spec.vocabulary);
        let spec = ModelSpec { name, weights, scheme, constants, vocabulary };
        models.push(Carried { before: model, spec, reference_fee: *reference_fee, calibration });
    }
    match given.first() {
        Some(unknown) => Err(ContractError::UnknownModel { model: unknown.model }),
        None => Ok(models),
    }
}

/// Nodes serve, and sessions pay for, what their models have become.
fn rename(old: &mut v0_1::State, models: &[Carried]) {
    let after = |model: &mut ModelDigest| {
        if let Some(carried) = models.iter().find(|carried| carried.before == *model) {
            *model = carried.spec.digest();
        }
    };
    old.nodes.iter_mut().flat_map(|(_, node)| &mut node.models).for_each(after);
    old.sessions.iter_mut().map(|(_, session)| &mut session.model).for_each(after);
}

/// Removes every entry.
fn clear(storage: &mut dyn Storage) -> Result<(), ContractError> {
    let keys = storage.range(None, None, Order::Ascending).map(|(key, _)| key);
    let keys: Vec<Vec<u8>> = keys.take(MAX_ENTRIES.saturating_add(1)).collect();
    if keys.len() > MAX_ENTRIES {
        return Err(ContractError::StateTooLarge { most: MAX_ENTRIES });
    }
    for key in keys {
        storage.remove(&key);
    }
    Ok(())
}

fn write(
    storage: &mut dyn Storage,
    env: &Env,
    old: v0_1::State,
    (params, models): (Params, Vec<Carried>),
) -> Result<(), ContractError> {
    let v0_1::Config { governance, domain, .. } = old.config;
    CHARTER.save(storage, &Charter { governance, domain, params: Versions::first(params) })?;
    let (config, time) = Config::load(storage, env)?;
    POOLS.save(storage, &old.pools)?;
    LAST_SESSION.save(storage, &old.last_session)?;
    LAST_BATCH.save(storage, &old.last_batch)?;
    for (address, amount) in &old.claimable {
        CLAIMABLE.save(storage, address, amount)?;
    }
    for Carried { spec, reference_fee, calibration, .. } in models {
        let digest = spec.digest();
        let min_stake = config.params.min_stake(reference_fee);
        let mut table = Tree::new(digest);
        for (number, (_, node)) in (0u32..).zip(&old.nodes) {
            if node.models.contains(&digest) && node.stake >= min_stake {
                table.set(storage, NodeNumber(number), node.stake)?;
            }
        }
        table.save(storage, time.epoch)?;
        let calibrations = Versions::first(calibration);
        let model = Model { spec, reference_fee, calibrations, deprecated: false, guardians: Vec::new() };
        MODELS.save(storage, digest.0, &model)?;
    }
    NODE_COUNT.save(storage, &u32::try_from(old.nodes.len()).unwrap_or(u32::MAX))?;
    for (number, (address, node)) in (0u32..).zip(old.nodes) {
        let v0_1::Node { models, endpoint, stake, reputation, cusum } = node;
        let number = NodeNumber(number);
        NUMBERS.save(storage, number.0, &address)?;
        let node = Node {
            number,
            models,
            endpoint,
            stake,
            unbonding: Vec::new(),
            reputation,
            cusum,
            benched: false,
            last_epoch: None,
        };
        NODES.save(storage, &address, &node)?;
    }
    let delay = u64::from(config.params.limits.close_delay_epochs);
    for (id, mut session) in old.sessions {
        session.closes = Epoch(session.expires.0.saturating_add(delay));
        SESSIONS.save(storage, id, &session)?;
    }
    Ok(())
}
