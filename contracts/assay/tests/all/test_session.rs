use assay_common::ids::{Epoch, ModelDigest, Nonce, SessionId};
use assay_common::msg::ExecuteMsg;
use assay_contract::error::ContractError;
use cosmwasm_std::{HexBinary, Uint128};

use crate::suite::*;

/// An opening with one term changed.
fn opening(suite: &Suite, change: impl FnOnce(&mut ExecuteMsg)) -> ExecuteMsg {
    let mut msg = suite.opening(&suite.nodes[0]);
    change(&mut msg);
    msg
}

#[test]
fn a_session_holds_what_was_sent_and_ids_rise_from_one() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    assert_eq!(suite.open_session(&executor, 5_000), SessionId(1));
    assert_eq!(suite.open_session(&executor, 1), SessionId(2));
    let session = suite.session(SessionId(1));
    assert_eq!((session.escrow.u128(), session.nonce), (5_000, Nonce(0)));
    assert_eq!(session.requester, suite.requester.to_string());
    assert_eq!(suite.pools().escrow.u128(), 5_001);
}

#[test]
fn a_session_may_be_opened_before_the_start() {
    let mut suite = Suite::empty(local_params());
    suite.register_model("model");
    let node = suite.account("node");
    suite.register_node(&node, MIN_STAKE);
    suite.open_session(&node, 5_000);
}

#[test]
fn a_session_needs_money_a_fee_and_an_executor_of_the_model() {
    let mut suite = Suite::new();
    let sender = suite.requester.clone();
    let msg = opening(&suite, |_| {});
    suite.refused(&sender, &msg, 0, ContractError::NoFunds { denom: DENOM.into() });
    let msg = opening(&suite, |msg| {
        if let ExecuteMsg::OpenSession { fee, .. } = msg {
            *fee = Uint128::zero();
        }
    });
    suite.refused(&sender, &msg, 5, ContractError::ZeroFee);
    let address = sender.to_string();
    let msg = suite.opening(&sender);
    suite.refused(&sender, &msg, 5, ContractError::NotRegistered { address });
    let other = ModelDigest([1; 32]);
    let node = suite.nodes[0].to_string();
    let msg = opening(&suite, |msg| {
        if let ExecuteMsg::OpenSession { model, .. } = msg {
            *model = other;
        }
    });
    suite.refused(&sender, &msg, 5, ContractError::NotServing { node, model: other });
}

#[test]
fn a_session_key_is_a_compressed_point() {
    let mut suite = Suite::new();
    let sender = suite.requester.clone();
    for bytes in [vec![], vec![2; 32], vec![4; 33], vec![2; 65]] {
        let key = HexBinary::from(bytes);
        let expected = ContractError::BadSessionKey { key: key.to_hex() };
        let msg = opening(&suite, |msg| {
            if let ExecuteMsg::OpenSession { session_key, .. } = msg {
                *session_key = key;
            }
        });
        suite.refused(&sender, &msg, 5, expected);
    }
}

#[test]
fn caps_and_expiry_keep_within_the_limits() {
    let mut suite = Suite::new();
    let sender = suite.requester.clone();
    for (cap, value, most) in
        [("max_prompt", 0, 8_192), ("max_prompt", 8_193, 8_192), ("max_new", 4_097, 4_096)]
    {
        let msg = opening(&suite, |msg| {
            if let ExecuteMsg::OpenSession { max_prompt, max_new, .. } = msg {
                *(if cap == "max_prompt" { max_prompt } else { max_new }) = value;
            }
        });
        suite.refused(&sender, &msg, 5, ContractError::BadCap { cap, value, most });
    }
    suite.at_epoch(2);
    for late in [1, 33] {
        let msg = opening(&suite, |msg| {
            if let ExecuteMsg::OpenSession { expires, .. } = msg {
                *expires = Epoch(late);
            }
        });
        let expected =
            ContractError::BadExpiry { expires: Epoch(late), earliest: Epoch(2), latest: Epoch(32) };
        suite.refused(&sender, &msg, 5, expected);
    }
}
