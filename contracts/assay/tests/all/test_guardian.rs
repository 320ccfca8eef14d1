//! Guardians: governance's nodes sit on a model's juries while too few others can.

use std::collections::BTreeSet;

use assay_common::msg::{ExecuteMsg, ModelResponse, QueryMsg};
use assay_contract::error::ContractError;
use cosmwasm_std::Addr;

use crate::suite::*;

/// Four nodes that bond no more than they must; three others make a jury that takes stake.
fn suite() -> Suite {
    Suite::builder().stake(MIN_STAKE).build()
}

fn guarding(suite: &Suite, guardians: &[&Addr]) -> ExecuteMsg {
    let guardians = guardians.iter().map(ToString::to_string).collect();
    ExecuteMsg::SetGuardians { model: suite.model, guardians }
}

fn guard(suite: &mut Suite, guardians: &[&Addr]) {
    let (msg, governance) = (guarding(suite, guardians), suite.governance.clone());
    suite.accepted(&governance, &msg, 0);
}

fn newcomer(suite: &mut Suite, name: &str) -> Addr {
    let node = suite.account(name);
    suite.register_node(&node, 2 * MIN_STAKE);
    suite.nodes.push(node.clone());
    node
}

/// Who sits on the juries of forty inferences that are committed in the first window of an epoch.
fn jurors(suite: &mut Suite, epoch: u64) -> BTreeSet<String> {
    suite.at_epoch(epoch);
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 40 * FEE);
    let claim = suite.claim(session, 40);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.at_window(epoch * 6 + 1);
    suite.post_beacon(epoch * 6);
    suite.draw(batch, 100);
    suite.samples(batch).into_iter().flat_map(|sample| sample.seats).map(|seat| seat.juror).collect()
}

#[test]
fn guardians_serve_until_enough_others_do_and_again_when_they_do_not() {
    let mut suite = suite();
    let guardian = suite.nodes[3].clone();
    guard(&mut suite, &[&guardian]);
    assert!(jurors(&mut suite, 1).contains(guardian.as_str()), "two others besides each");
    newcomer(&mut suite, "fifth");
    assert!(!jurors(&mut suite, 2).contains(guardian.as_str()), "three others besides each");
    // A slash leaves too little to one of them: two others again.
    let cheat = suite.nodes[1].clone();
    let session = suite.open_session(&cheat, 40 * FEE);
    let claim = suite.claim(session, 12);
    suite.at_window(14);
    let batch = suite.commit_batch(&cheat, vec![claim], 0);
    suite.judge(14, &[batch], &|_, _| Some(REPLAY));
    suite.at_epoch(3);
    suite.settle(&cheat, 2, 200);
    let jurors = jurors(&mut suite, 4);
    assert_eq!((jurors.contains(guardian.as_str()), jurors.contains(cheat.as_str())), (true, false));
}

#[test]
fn a_node_that_is_a_guardian_no_more_sits_by_its_stake() {
    let mut suite = suite();
    newcomer(&mut suite, "fifth");
    let guardian = suite.nodes[3].clone();
    guard(&mut suite, &[&guardian]);
    assert!(!jurors(&mut suite, 1).contains(guardian.as_str()));
    guard(&mut suite, &[]);
    assert!(jurors(&mut suite, 2).contains(guardian.as_str()));
}

#[test]
fn guardians_are_nodes_that_serve_the_model_each_named_once() {
    let mut suite = suite();
    let (governance, guardian, stranger) =
        (suite.governance.clone(), suite.nodes[3].clone(), suite.requester.clone());
    let msg = guarding(&suite, &[&stranger]);
    suite.refused(&governance, &msg, 0, ContractError::NotRegistered { address: stranger.to_string() });
    let msg = guarding(&suite, &[&guardian, &guardian]);
    suite.refused(&governance, &msg, 0, ContractError::GuardianTwice { address: guardian.to_string() });
    let msg = guarding(&suite, &[&guardian; 17]);
    suite.refused(&governance, &msg, 0, ContractError::TooManyGuardians { count: 17, most: 16 });
    let other = suite.model;
    let model = suite.register_model("another");
    let msg = guarding(&suite, &[&guardian]);
    suite.refused(&governance, &msg, 0, ContractError::NotServing { node: guardian.to_string(), model });
    suite.model = other;
    let msg = guarding(&suite, &[&guardian]);
    let response = suite.accepted(&governance, &msg, 0);
    let event = attributes(&response, "assay_guardians_set");
    assert_eq!((event["before"].as_str(), event["after"].as_str()), ("", guardian.as_str()));
    let known: ModelResponse = suite.query(&QueryMsg::Model { model: other });
    assert_eq!(known.guardians, [guardian.to_string()]);
}
