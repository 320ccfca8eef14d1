use assay_common::ids::ModelDigest;
use assay_common::msg::{ExecuteMsg, NodeResponse, QueryMsg};
use assay_contract::error::ContractError;

use crate::suite::*;

fn registering(models: Vec<ModelDigest>, endpoint: &str) -> ExecuteMsg {
    ExecuteMsg::RegisterNode { models, endpoint: endpoint.into() }
}

#[test]
fn a_node_begins_with_its_stake_no_reputation_and_full_sampling() {
    let suite = Suite::new();
    let address = suite.nodes[0].to_string();
    let node: NodeResponse = suite.query(&QueryMsg::Node { address: address.clone() });
    assert_eq!(node.address, address);
    assert_eq!(node.stake.u128(), 2 * MIN_STAKE);
    assert_eq!((node.reputation.0, node.rate_q32), (0, 1 << 32));
    assert_eq!(suite.pools().stakes.u128(), 8 * MIN_STAKE);
}

#[test]
fn a_node_registers_once_with_enough_stake_and_known_models() {
    let mut suite = Suite::new();
    let (node, known, model) = (suite.account("late"), suite.nodes[0].clone(), suite.model);
    let msg = suite.registration();
    suite.refused(&known, &msg, MIN_STAKE, ContractError::NodeKnown { address: known.to_string() });
    let (stake, needed) = ((MIN_STAKE - 1).into(), MIN_STAKE.into());
    suite.refused(&node, &msg, MIN_STAKE - 1, ContractError::StakeTooLow { stake, needed });
    let unknown = ModelDigest([1; 32]);
    let msg = registering(vec![model, unknown], "http://host");
    suite.refused(&node, &msg, MIN_STAKE, ContractError::UnknownModel { model: unknown });
    let msg = registering(vec![model, model], "http://host");
    suite.refused(&node, &msg, MIN_STAKE, ContractError::ModelTwice { model });
    for count in [0, 17] {
        let msg = registering(vec![model; count], "http://host");
        suite.refused(&node, &msg, MIN_STAKE, ContractError::BadModelCount { count, most: 16 });
    }
    suite.register_node(&node, MIN_STAKE);
}

#[test]
fn the_dearest_model_sets_the_stake() {
    let mut suite = Suite::new();
    let (node, governance, cheap) = (suite.account("late"), suite.governance.clone(), suite.model);
    let msg = ExecuteMsg::RegisterModel {
        spec: spec("dear"),
        reference_fee: (3 * FEE).into(),
        calibration: calibration(),
    };
    suite.accepted(&governance, &msg, 0);
    let msg = registering(vec![cheap, spec("dear").digest()], "https://host/path");
    let needed = (3 * MIN_STAKE).into();
    let stake = MIN_STAKE.into();
    suite.refused(&node, &msg, MIN_STAKE, ContractError::StakeTooLow { stake, needed });
    suite.accepted(&node, &msg, 3 * MIN_STAKE);
}

#[test]
fn an_endpoint_that_is_no_url_is_refused() {
    let mut suite = Suite::new();
    let (node, model) = (suite.account("late"), suite.model);
    let long = format!("http://{}", "x".repeat(250));
    for endpoint in ["", "http://", "https:///path", "ftp://host", "host:80", "http://a b", "http://ä", &long]
    {
        let expected = ContractError::BadEndpoint { endpoint: endpoint.into() };
        suite.refused(&node, &registering(vec![model], endpoint), MIN_STAKE, expected);
    }
}

#[test]
fn a_node_adds_to_its_stake_moves_and_changes_its_models() {
    let mut suite = Suite::builder().nodes(4).build();
    let (node, governance, old) = (suite.nodes[0].clone(), suite.governance.clone(), suite.model);
    let msg = ExecuteMsg::RegisterModel {
        spec: spec("dear"),
        reference_fee: (3 * FEE).into(),
        calibration: calibration(),
    };
    suite.accepted(&governance, &msg, 0);
    let dear = spec("dear").digest();
    let updating = |models, endpoint: Option<&str>| ExecuteMsg::UpdateNode {
        models,
        endpoint: endpoint.map(Into::into),
    };
    suite.refused(&node, &updating(None, None), 0, ContractError::NothingToUpdate { denom: DENOM.into() });
    let expected = ContractError::BadEndpoint { endpoint: "host".into() };
    suite.refused(&node, &updating(None, Some("host")), 5, expected);
    let expected =
        ContractError::StakeTooLow { stake: (2 * MIN_STAKE).into(), needed: (3 * MIN_STAKE).into() };
    suite.refused(&node, &updating(Some(vec![old, dear]), None), 0, expected);
    let response = suite.accepted(&node, &updating(Some(vec![dear]), Some("http://b")), MIN_STAKE);
    let event = attributes(&response, "assay_node_updated");
    assert_eq!(event["stake_before"], (2 * MIN_STAKE).to_string());
    assert_eq!(event["stake_after"], (3 * MIN_STAKE).to_string());
    assert_eq!((&event["models_before"], &event["models_after"]), (&old.to_string(), &dear.to_string()));
    assert_eq!(
        (event["endpoint_before"].as_str(), event["endpoint_after"].as_str()),
        ("http://10.0.0.1:8080", "http://b")
    );
    assert_eq!(event["from_epoch"], "1");
    let record: NodeResponse = suite.query(&QueryMsg::Node { address: node.to_string() });
    assert_eq!((record.models, record.endpoint.as_str()), (vec![dear], "http://b"));
    assert_eq!(suite.pools().stakes.u128(), 9 * MIN_STAKE);
    // From the next epoch on three nodes serve the old model: too few for one of them.
    let other = suite.nodes[1].clone();
    let session = suite.open_session(&other, 9 * FEE);
    let msg = suite.committing(vec![suite.claim(session, 1)]);
    suite.accepted(&other, &msg, 0);
    suite.at_epoch(1);
    let msg = suite.committing(vec![suite.claim(session, 2)]);
    suite.refused(&other, &msg, 0, ContractError::TooFewOthers { model: old, others: 2, needed: 3 });
    suite.accepted(&node, &updating(Some(vec![old, dear]), None), 0);
    suite.at_epoch(2);
    suite.accepted(&other, &msg, 0);
}

#[test]
fn bonds_before_the_start_form_the_first_table_and_later_ones_the_next_epochs() {
    let mut suite = Suite::builder().nodes(3).build();
    let late = suite.account("late");
    let msg = suite.registration();
    let response = suite.accepted(&late, &msg, MIN_STAKE);
    assert_eq!(attribute(&response, "assay_node_registered", "from_epoch"), "1");
    // Two others serve in epoch 0, three in epoch 1: only then may a batch be committed.
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 100 * FEE);
    let msg = suite.committing(vec![suite.claim(session, 1)]);
    let expected = ContractError::TooFewOthers { model: suite.model, others: 2, needed: 3 };
    suite.refused(&executor, &msg, 0, expected);
    suite.at_epoch(1);
    suite.accepted(&executor, &msg, 0);
}
