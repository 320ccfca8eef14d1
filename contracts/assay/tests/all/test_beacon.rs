use assay_common::ids::{Randomness, Round};
use assay_common::msg::{BeaconResponse, ExecuteMsg, QueryMsg};
use assay_contract::error::ContractError;
use cosmwasm_std::HexBinary;

use crate::suite::*;

#[test]
fn a_signed_round_of_a_window_is_stored_once() {
    let mut suite = Suite::new();
    let (sender, round) = (suite.requester.clone(), suite.round(0));
    suite.at_window(1);
    suite.post_beacon(0);
    let stored: BeaconResponse = suite.query(&QueryMsg::Beacon { round });
    assert!(stored.randomness.is_some());
    let msg = suite.posting(0);
    suite.refused(&sender, &msg, 0, ContractError::BeaconKnown { round });
    let other: BeaconResponse = suite.query(&QueryMsg::Beacon { round: suite.round(1) });
    assert_eq!(other.randomness, None);
}

#[test]
fn only_rounds_that_draw_for_a_window_are_taken() {
    let mut suite = Suite::new();
    let sender = suite.requester.clone();
    let due = suite.round(0).0;
    for number in [0, 1, due - 1, due + 1, due + 9, u64::MAX] {
        let round = Round(number);
        let msg = ExecuteMsg::PostBeacon { round, signature: suite.beacon.sign(round) };
        suite.refused(&sender, &msg, 0, ContractError::NotABeaconRound { round });
    }
    for window in [0, 1, 7, 1_000] {
        suite.post_beacon(window);
    }
}

#[test]
fn a_round_that_the_beacon_did_not_sign_is_refused() {
    let mut suite = Suite::new();
    let (sender, round) = (suite.requester.clone(), suite.round(0));
    let good = suite.beacon.sign(round).to_vec();
    let mut bad: Vec<Vec<u8>> = vec![
        Beacon::new(2).sign(round).to_vec(),
        suite.beacon.sign(round.next()).to_vec(),
        vec![],
        good[..47].to_vec(),
        [good.clone(), good.clone()].concat(),
        [vec![0xc0], vec![0; 47]].concat(),
    ];
    for bit in [0, 5, 7, 100, 200, 383] {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        bad.push(flipped);
    }
    for signature in bad {
        let msg = ExecuteMsg::PostBeacon { round, signature: signature.into() };
        suite.refused(&sender, &msg, 0, ContractError::BadSignature { round });
    }
}

/// Round 1,000 of drand quicknet as its public API serves it.
#[test]
fn a_real_round_of_quicknet_verifies_and_gives_its_published_randomness() {
    let key = "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c\
               921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a";
    let signature =
        "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";
    let randomness = "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd";
    let mut params = local_params();
    params.beacon.public_key = HexBinary::from_hex(key).unwrap();
    params.beacon.genesis = 1_692_803_367;
    params.beacon.period_seconds = 3;
    // Window 0 ends as long before round 1,000 as the delay asks for.
    params.clock.start = params.beacon.time(Round(1_000)) - 12;
    let mut suite = Suite::empty(params);
    suite.at_window(1);
    let sender = suite.requester.clone();
    let round = Round(1_000);
    let msg = ExecuteMsg::PostBeacon { round, signature: HexBinary::from_hex(signature).unwrap() };
    suite.accepted(&sender, &msg, 0);
    let stored: BeaconResponse = suite.query(&QueryMsg::Beacon { round });
    assert_eq!(stored.randomness, Some(randomness.parse::<Randomness>().unwrap()));
}
