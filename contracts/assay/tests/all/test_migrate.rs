//! Migration of real state: `fixtures/` holds what version 0.1.0 stored after the scenario of [`super::test_fixture`].

use std::collections::BTreeMap;
use std::path::Path;

use assay_common::digest::tagged;
use assay_common::ids::{ModelDigest, SessionId};
use assay_common::msg::{
    ClaimableResponse, EpochStatus, ExecuteMsg, MigrateMsg, ModelResponse, ModelSuccessor, NodeResponse,
    PoolsResponse, QueryMsg, SessionResponse, TakeoverMsg,
};
use assay_common::session::ModelSpec;
use assay_contract::contract::{migrate, query};
use assay_contract::error::ContractError;
use assay_contract::takeover;
use cosmwasm_std::testing::{mock_env, MockApi, MockQuerier, MockStorage};
use cosmwasm_std::{from_json, Env, HexBinary, OwnedDeps, Storage, Timestamp};
use serde::de::DeserializeOwned;

use crate::suite::*;

type Deps = OwnedDeps<MockStorage, MockApi, MockQuerier>;

/// A contract with the entries of a file.
fn stored(name: &str) -> Deps {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let text = std::fs::read_to_string(file).unwrap();
    let entries: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    let mut deps = cosmwasm_std::testing::mock_dependencies();
    deps.api = deps.api.with_prefix("assay");
    for (key, value) in entries {
        let bytes = |hex: &str| HexBinary::from_hex(hex).unwrap().to_vec();
        deps.storage.set(&bytes(&key), &bytes(&value));
    }
    deps
}

/// In epoch 2, when the scenario has ended.
fn env() -> Env {
    let mut env = mock_env();
    env.block.time = Timestamp::from_seconds(START + 125);
    env
}

/// Both steps: the takeover, and then the contract proper.
fn migrating(deps: &mut Deps, msg: TakeoverMsg) -> Result<(), ContractError> {
    takeover::migrate(deps.as_mut(), env(), msg)?;
    finishing(deps)
}

fn finishing(deps: &mut Deps) -> Result<(), ContractError> {
    migrate(deps.as_mut(), env(), MigrateMsg {}).map(|_| ())
}

fn ask<T: DeserializeOwned>(deps: &Deps, msg: QueryMsg) -> T {
    from_json(query(deps.as_ref(), env(), msg).unwrap()).unwrap()
}

fn msg() -> TakeoverMsg {
    TakeoverMsg { params: local_params(), models: vec![successor(old_model())] }
}

/// The fixture's model as 0.1.0 knew it: H("model", name, weights, scheme 0, vocabulary).
fn old_model() -> ModelDigest {
    let ModelSpec { name, weights, vocabulary, .. } = spec("model");
    ModelDigest(tagged("model", &(name, weights, 0u8, vocabulary)))
}

fn successor(model: ModelDigest) -> ModelSuccessor {
    let ModelSpec { scheme, constants, .. } = spec("model");
    ModelSuccessor { model, scheme, constants, calibration: calibration() }
}

#[test]
fn the_state_of_the_previous_version_is_carried_over_to_the_last_unit() {
    let mut deps = stored("state-0.1.0-at-rest.json");
    let addresses = Suite::new();
    migrating(&mut deps, msg()).unwrap();
    let version = cw2::get_contract_version(&deps.storage).unwrap();
    assert_eq!(version.version, env!("CARGO_PKG_VERSION"));

    let node = |place: usize| -> NodeResponse {
        ask(&deps, QueryMsg::Node { address: addresses.nodes[place].to_string() })
    };
    // Node 0 was paid for two epochs, node 1 was slashed, and nothing happened to node 2.
    let standing = |node: NodeResponse| (node.stake.u128(), node.reputation.0);
    assert_eq!(standing(node(0)), (2 * MIN_STAKE, 400_000));
    assert_eq!(standing(node(1)), (2 * MIN_STAKE - 2 * MIN_STAKE / 10, 0));
    assert_eq!(standing(node(2)), (2 * MIN_STAKE, 0));

    let escrow = |session: u64| -> u128 {
        let session: SessionResponse = ask(&deps, QueryMsg::Session { session: SessionId(session) });
        session.escrow.u128()
    };
    // The second session has back what it paid in the forfeited epoch.
    let left = [95, 100, 54, 54, 54, 60].map(|fees| fees * FEE);
    assert_eq!([1, 2, 3, 4, 5, 6].map(escrow), left);

    let pools: PoolsResponse = ask(&deps, QueryMsg::Pools {});
    assert_eq!(pools.escrow.u128(), left.iter().sum::<u128>());
    assert_eq!(pools.stakes.u128(), 8 * MIN_STAKE - 2 * MIN_STAKE / 10);
    assert_eq!([pools.pending, pools.checks, pools.refunds].map(|pool| pool.u128()), [0; 3]);
    let claimable: u128 = addresses
        .nodes
        .iter()
        .map(|node| {
            ask::<ClaimableResponse>(&deps, QueryMsg::Claimable { address: node.to_string() }).amount.u128()
        })
        .sum();
    assert_eq!(pools.claimable.u128(), claimable);
    let model: ModelResponse = ask(&deps, QueryMsg::Model { model: addresses.model });
    assert_eq!((model.calibration.record, model.deprecated), (calibration(), false));
}

/// The carried state in a chain of its own: the sessions are used on, judged by juries out of the carried stakes, and paid.
#[test]
fn what_was_carried_over_works_on() {
    let mut deps = stored("state-0.1.0-at-rest.json");
    migrating(&mut deps, msg()).unwrap();
    let mut suite = Suite::adopt(&deps.storage);
    let executor = suite.nodes[0].clone();
    suite.at_window(12);
    let claim = suite.claim(SessionId(1), 9);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    assert_eq!(batch.0, 6);
    suite.judge(12, &[batch], &honest);
    suite.at_epoch(3);
    suite.settle(&executor, 2, 200);
    assert_eq!(suite.epoch(&executor, 2).status, EpochStatus::Paid);
    for node in suite.nodes.clone() {
        suite.accepted(&node, &ExecuteMsg::Claim {}, 0);
    }
    assert_eq!(suite.pools().claimable.u128(), 0);
}

#[test]
fn work_in_flight_is_to_be_finished_first() {
    let mut deps = stored("state-0.1.0-in-flight.json");
    let before = entries(&deps);
    assert_eq!(migrating(&mut deps, msg()), Err(ContractError::WorkInFlight { step: "Draw" }));
    assert_eq!(entries(&deps), before);
}

fn entries(deps: &Deps) -> usize {
    deps.storage.range(None, None, cosmwasm_std::Order::Ascending).count()
}

#[test]
fn the_state_of_another_contract_or_version_is_refused() {
    let mut deps = stored("state-0.1.0-at-rest.json");
    let (name, this) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    cw2::set_contract_version(&mut deps.storage, "cw20-base", "0.1.0").unwrap();
    let foreign = ContractError::ForeignState { contract: "cw20-base".into(), expected: name.into() };
    assert_eq!(migrating(&mut deps, msg()), Err(foreign));
    for version in [this, "0.0.9", "9.0.0"] {
        cw2::set_contract_version(&mut deps.storage, name, version).unwrap();
        let taken_over = takeover::TAKEN_OVER;
        let wrong = |from: &str, to: &str| ContractError::WrongVersion {
            found: version.into(),
            from: from.into(),
            to: to.into(),
        };
        assert_eq!(migrating(&mut deps, msg()), Err(wrong("0.1.0", taken_over)));
        assert_eq!(finishing(&mut deps), Err(wrong(taken_over, this)));
    }
}

#[test]
fn a_migration_twice_is_one_too_many() {
    let mut deps = stored("state-0.1.0-at-rest.json");
    migrating(&mut deps, msg()).unwrap();
    assert!(matches!(migrating(&mut deps, msg()), Err(ContractError::WrongVersion { .. })));
}

#[test]
fn what_a_migration_brings_keeps_its_rules_the_denomination_and_the_clock() {
    let mut deps = stored("state-0.1.0-at-rest.json");
    let changed = |change: fn(&mut TakeoverMsg)| {
        let mut msg = msg();
        change(&mut msg);
        msg
    };
    let denom = changed(|msg| msg.params.denom = "pebbles".into());
    assert_eq!(migrating(&mut deps, denom), Err(ContractError::MigrationChanges { field: "denom" }));
    let clock = changed(|msg| msg.params.clock.windows_per_epoch = 7);
    assert_eq!(migrating(&mut deps, clock), Err(ContractError::MigrationChanges { field: "clock" }));
    let missing = changed(|msg| msg.models.clear());
    let model = old_model();
    assert_eq!(migrating(&mut deps, missing), Err(ContractError::CalibrationMissing { model }));
    let unknown = changed(|msg| {
        msg.models.push(successor(ModelDigest([3; 32])));
    });
    let model = ModelDigest([3; 32]);
    assert_eq!(migrating(&mut deps, unknown), Err(ContractError::UnknownModel { model }));
    let broken = changed(|msg| msg.params.jury.quorum = 9);
    assert!(matches!(migrating(&mut deps, broken), Err(ContractError::BadParams { .. })));
}

#[test]
fn the_contract_proper_does_not_go_on_with_what_was_not_taken_over() {
    let mut deps = stored("state-0.1.0-at-rest.json");
    assert!(matches!(finishing(&mut deps), Err(ContractError::WrongVersion { .. })));
}
