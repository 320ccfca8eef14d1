//! The end of a session: the executor gets what it earned, the requester the rest, nobody anything twice.

use assay_common::ids::{BatchId, Epoch, Nonce, SessionId};
use assay_common::msg::{
    BatchResponse, ClaimableResponse, ExecuteMsg, QueryMsg, SampleResponse, SessionStatus,
};
use assay_contract::error::ContractError;
use cosmwasm_std::Addr;

use crate::suite::*;

fn closing(session: SessionId) -> ExecuteMsg {
    ExecuteMsg::CloseSession { session }
}

fn claimable(suite: &Suite, address: &Addr) -> u128 {
    let found: ClaimableResponse = suite.query(&QueryMsg::Claimable { address: address.to_string() });
    found.amount.u128()
}

/// A session of the first node with fees for twenty inferences, and a requester's stranger.
fn opened() -> (Suite, Addr, SessionId, Addr) {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 20 * FEE);
    let stranger = suite.account("stranger");
    (suite, executor, session, stranger)
}

/// Twelve inferences of the session, committed in epoch 0 and judged in one mind; epoch 1 begins.
fn judged(suite: &mut Suite, executor: &Addr, session: SessionId, mind: assay_common::verdict::Outcome) {
    let claim = suite.claim(session, 12);
    let batch = suite.commit_batch(executor, vec![claim], 0);
    suite.judge(0, &[batch], &move |_: &SampleResponse, _: &Addr| Some(mind));
    suite.at_epoch(1);
}

#[test]
fn an_open_session_is_topped_up_by_whoever_likes() {
    let (mut suite, _, session, stranger) = opened();
    let requester = suite.requester.clone();
    let msg = ExecuteMsg::TopUp { session };
    suite.refused(&stranger, &msg, 0, ContractError::NoFunds { denom: DENOM.into() });
    let response = suite.accepted(&stranger, &msg, 5);
    let event = attributes(&response, "assay_session_topped_up");
    assert_eq!((event["escrow_before"].as_str(), event["escrow_after"].as_str()), ("20000", "20005"));
    assert_eq!(suite.session(session).escrow.u128(), 20_005);
    let unknown = SessionId(9);
    let expected = ContractError::UnknownSession { session: unknown };
    suite.refused(&stranger, &ExecuteMsg::TopUp { session: unknown }, 5, expected);
    suite.accepted(&requester, &closing(session), 0);
    suite.refused(&requester, &msg, 5, ContractError::SessionNotOpen { session });
}

#[test]
fn the_requester_closes_and_the_executor_claims_what_was_signed_before_until_the_delay_is_over() {
    let (mut suite, executor, session, stranger) = opened();
    let requester = suite.requester.clone();
    assert_eq!(suite.session(session).status, SessionStatus::Open);
    suite.at_epoch(3);
    let expected = ContractError::NotRequester { session, requester: requester.to_string() };
    suite.refused(&stranger, &closing(session), 0, expected.clone());
    suite.refused(&executor, &closing(session), 0, expected);
    let response = suite.accepted(&requester, &closing(session), 0);
    let event = attributes(&response, "assay_session_closing");
    assert_eq!((event["closes_before"].as_str(), event["closes_after"].as_str()), ("22", "5"));
    let record = suite.session(session);
    assert_eq!((record.status, record.closes), (SessionStatus::Closing, Epoch(5)));
    suite.at_epoch(5);
    let expected = ContractError::SessionClosing { session, closes: Epoch(5), now: Epoch(5) };
    for sender in [&requester, &stranger] {
        suite.refused(sender, &closing(session), 0, expected.clone());
    }
    let claim = suite.claim(session, 12);
    suite.commit_batch(&executor, vec![claim], 0);
    let late = suite.committing(vec![suite.claim(session, 13)]);
    suite.at_epoch(6);
    let expected = ContractError::SessionOver { session, closes: Epoch(5), now: Epoch(6) };
    suite.refused(&executor, &late, 0, expected);
    assert_eq!(suite.session(session).escrow.u128(), 8 * FEE);
}

#[test]
fn what_is_left_goes_to_the_requester_once_whoever_asks_for_it() {
    let (mut suite, _, session, stranger) = opened();
    let requester = suite.requester.clone();
    suite.accepted(&requester, &closing(session), 0);
    suite.at_epoch(3);
    let response = suite.accepted(&stranger, &closing(session), 0);
    let event = attributes(&response, "assay_session_paid_out");
    assert_eq!((event["amount"].as_str(), event["refunds"].as_str()), ("20000", "0"));
    assert_eq!((event["unsettled"].as_str(), event["closed"].as_str()), ("0", "true"));
    let record = suite.session(session);
    assert_eq!((record.status, record.escrow.u128()), (SessionStatus::Closed, 0));
    for sender in [&requester, &stranger] {
        suite.refused(sender, &closing(session), 0, ContractError::SessionClosed { session });
    }
    assert_eq!((claimable(&suite, &requester), claimable(&suite, &stranger)), (20 * FEE, 0));
    let before = suite.balance(&requester);
    suite.accepted(&requester, &ExecuteMsg::Claim {}, 0);
    assert_eq!(suite.balance(&requester), before + 20 * FEE);
    assert_eq!(suite.pools().escrow.u128(), 0);
}

#[test]
fn a_session_that_expires_closes_by_itself() {
    let (mut suite, executor, session, stranger) = opened();
    suite.at_epoch(20);
    assert_eq!(suite.session(session).status, SessionStatus::Open);
    suite.at_epoch(21);
    let record = suite.session(session);
    assert_eq!((record.status, record.closes), (SessionStatus::Closing, Epoch(22)));
    let requester = suite.requester.clone();
    let msg = ExecuteMsg::TopUp { session };
    suite.refused(&requester, &msg, 5, ContractError::SessionNotOpen { session });
    let expected = ContractError::SessionClosing { session, closes: Epoch(22), now: Epoch(21) };
    suite.refused(&requester, &closing(session), 0, expected);
    suite.at_epoch(22);
    let claim = suite.claim(session, 1);
    suite.commit_batch(&executor, vec![claim], 0);
    suite.at_epoch(23);
    suite.accepted(&stranger, &closing(session), 0);
    assert_eq!(claimable(&suite, &requester), 19 * FEE);
}

#[test]
fn a_session_may_be_topped_up_and_closed_before_the_start() {
    let mut suite = Suite::empty(local_params());
    suite.register_model("model");
    let executor = suite.account("node");
    suite.register_node(&executor, MIN_STAKE);
    let session = suite.open_session(&executor, 5);
    let requester = suite.requester.clone();
    suite.accepted(&requester, &ExecuteMsg::TopUp { session }, 4);
    suite.accepted(&requester, &closing(session), 0);
    assert_eq!(suite.session(session).closes, Epoch(2));
    suite.at_epoch(3);
    suite.accepted(&requester, &closing(session), 0);
    assert_eq!(claimable(&suite, &requester), 9);
}

/// The attack of its name, in each of its ways.
#[test]
fn an_escrow_is_claimed_neither_twice_nor_by_another_executor() {
    let (mut suite, executor, session, _) = opened();
    let (other, requester, model) = (suite.nodes[1].clone(), suite.requester.clone(), suite.model);
    let claim = suite.claim(session, 12);
    let msg = suite.committing(vec![claim.clone()]);
    let expected = ContractError::NotYourSession { session, executor: executor.to_string(), model };
    suite.refused(&other, &msg, 0, expected.clone());
    suite.accepted(&executor, &msg, 0);
    let nonce = Nonce(12);
    suite.refused(&executor, &msg, 0, ContractError::NonceNotRising { session, nonce, claimed: nonce });
    suite.accepted(&requester, &closing(session), 0);
    suite.judge(0, &[BatchId(1)], &honest);
    suite.at_epoch(3);
    suite.settle(&executor, 0, 200);
    suite.accepted(&requester, &closing(session), 0);
    let rest = suite.committing(vec![suite.claim(session, 20)]);
    let over = ContractError::SessionOver { session, closes: Epoch(2), now: Epoch(3) };
    suite.refused(&executor, &rest, 0, over);
    suite.refused(&other, &rest, 0, expected);
    suite.refused(&requester, &closing(session), 0, ContractError::SessionClosed { session });
    assert_eq!(claimable(&suite, &requester), 8 * FEE);
}

/// The attack of its name: an executor that leaves nonces out is paid for them, and answers for them.
#[test]
fn a_skipped_nonce_is_paid_for_drawn_and_gone() {
    let (mut suite, executor, session, _) = opened();
    let claim = suite.claim(session, 1);
    suite.commit_batch(&executor, vec![claim], 0);
    let claim = suite.claim(session, 5);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    let record: BatchResponse = suite.query(&QueryMsg::Batch { batch });
    assert_eq!((record.count, record.samples, record.fees.u128()), (4, 4, 4 * FEE));
    assert_eq!((record.claims[0].from, record.claims[0].to), (Nonce(2), Nonce(5)));
    let skipped = suite.committing(vec![suite.claim(session, 3)]);
    let nonce = Nonce(5);
    suite.refused(
        &executor,
        &skipped,
        0,
        ContractError::NonceNotRising { session, nonce, claimed: Nonce(3) },
    );
}

#[test]
fn a_refund_that_is_decided_after_the_closing_still_arrives_and_once() {
    let (mut suite, executor, session, stranger) = opened();
    let requester = suite.requester.clone();
    judged(&mut suite, &executor, session, REPLAY);
    suite.accepted(&requester, &closing(session), 0);
    suite.at_epoch(4);
    // What no executor can claim any more comes at once; the rest depends on epoch 0.
    let response = suite.accepted(&stranger, &closing(session), 0);
    let event = attributes(&response, "assay_session_paid_out");
    assert_eq!((event["amount"].as_str(), event["unsettled"].as_str()), ("8000", "1"));
    assert_eq!(event["closed"], "false");
    let record = suite.session(session);
    assert_eq!((record.status, record.escrow.u128()), (SessionStatus::Closing, 0));
    let unsettled: Vec<_> = record.unsettled.iter().map(|paid| (paid.epoch, paid.amount.u128())).collect();
    assert_eq!(unsettled, [(Epoch(0), 12 * FEE)]);
    let expected = ContractError::SessionUnsettled { session, epoch: Epoch(0) };
    suite.refused(&stranger, &closing(session), 0, expected);
    suite.settle(&executor, 0, 200);
    assert_eq!(suite.session(session).escrow.u128(), 12 * FEE);
    let response = suite.accepted(&stranger, &closing(session), 0);
    let event = attributes(&response, "assay_session_paid_out");
    assert_eq!((event["refunds"].as_str(), event["closed"].as_str()), ("12000", "true"));
    assert_eq!(claimable(&suite, &requester), 20 * FEE);
    assert_eq!((suite.pools().refunds.u128(), suite.pools().escrow.u128()), (0, 0));
    suite.refused(&stranger, &closing(session), 0, ContractError::SessionClosed { session });
}

#[test]
fn an_epoch_that_is_paid_gives_nothing_back_and_lets_the_session_close() {
    let (mut suite, executor, session, stranger) = opened();
    let requester = suite.requester.clone();
    judged(&mut suite, &executor, session, VALID);
    suite.accepted(&requester, &closing(session), 0);
    suite.at_epoch(4);
    suite.accepted(&stranger, &closing(session), 0);
    suite.settle(&executor, 0, 200);
    let response = suite.accepted(&stranger, &closing(session), 0);
    let event = attributes(&response, "assay_session_paid_out");
    assert_eq!((event["amount"].as_str(), event["closed"].as_str()), ("0", "true"));
    assert_eq!(claimable(&suite, &requester), 8 * FEE);
}
