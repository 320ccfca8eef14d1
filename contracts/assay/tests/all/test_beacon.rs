use assay_common::ids::{Epoch, Randomness, Round, Window};
use assay_common::msg::{BatchResponse, BeaconResponse, DueBeacon, DueResponse, ExecuteMsg, QueryMsg};
use assay_common::params::ParamsPatch;
use assay_contract::error::ContractError;
use cosmwasm_std::HexBinary;

use crate::suite::*;

/// The signature of round 1,000 of drand quicknet, as its public API serves it.
const QUICKNET_1000: &str =
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";

#[test]
fn the_beacon_of_a_window_is_stored_once() {
    let mut suite = Suite::new();
    let (sender, window) = (suite.requester.clone(), Window(0));
    suite.at_window(1);
    suite.post_beacon(0);
    let stored: BeaconResponse = suite.query(&QueryMsg::Beacon { window });
    assert_eq!((stored.round, stored.randomness.is_some()), (suite.round(0), true));
    let msg = suite.posting(0);
    suite.refused(&sender, &msg, 0, ContractError::BeaconKnown { window });
    let other: BeaconResponse = suite.query(&QueryMsg::Beacon { window: Window(1) });
    assert_eq!((other.round, other.randomness), (suite.round(1), None));
}

#[test]
fn a_beacon_of_another_round_is_refused() {
    let mut suite = Suite::new();
    let (sender, window) = (suite.requester.clone(), Window(7));
    suite.at_window(8);
    let round = suite.round(7);
    for other in [0, 1, round.0 - 1, round.0 + 1, suite.round(6).0, u64::MAX] {
        let msg = ExecuteMsg::PostBeacon { window, signature: suite.beacon.sign(Round(other)) };
        suite.refused(&sender, &msg, 0, ContractError::BadSignature { window, round });
    }
    suite.post_beacon(7);
}

#[test]
fn a_beacon_that_is_out_before_the_chains_clock_says_so_closes_its_window_to_commitments() {
    let mut suite = Suite::new();
    let (executor, window) = (suite.nodes[0].clone(), Window(1));
    let session = suite.open_session(&executor, 50 * FEE);
    suite.at_window(1);
    suite.post_beacon(1);
    let msg = suite.committing(vec![suite.claim(session, 4)]);
    suite.refused(&executor, &msg, 0, ContractError::DrawKnown { window });
    suite.at_window(2);
    suite.accepted(&executor, &msg, 0);
}

#[test]
fn the_beacon_of_an_epoch_that_has_not_begun_is_refused() {
    let mut suite = Suite::new();
    let sender = suite.requester.clone();
    suite.at_window(5);
    for (window, epoch) in [(6, 1), (12, 2)] {
        let msg = suite.posting(window);
        let (window, epoch, now) = (Window(window), Epoch(epoch), Epoch(0));
        suite.refused(&sender, &msg, 0, ContractError::EpochNotBegun { window, epoch, now });
    }
}

#[test]
fn a_beacon_of_another_key_or_chain_is_refused() {
    let mut suite = Suite::new();
    let (sender, window, round) = (suite.requester.clone(), Window(0), suite.round(0));
    suite.at_window(1);
    let good = suite.beacon.sign(round).to_vec();
    let mut bad: Vec<Vec<u8>> = vec![
        Beacon::new(2).sign(round).to_vec(),
        HexBinary::from_hex(QUICKNET_1000).unwrap().to_vec(),
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
        let msg = ExecuteMsg::PostBeacon { window, signature: signature.into() };
        suite.refused(&sender, &msg, 0, ContractError::BadSignature { window, round });
    }
}

/// Governance gives epoch 1 a key that nobody has, and corrects it, and the schedule with it, two epochs later.
#[test]
fn a_batch_stranded_by_a_wrong_key_is_drawn_by_the_beacon_that_governance_corrects_it_to() {
    let mut suite = Suite::new();
    let (governance, anyone) = (suite.governance.clone(), suite.requester.clone());
    let update = |suite: &mut Suite, json: String, epoch| {
        let patch: ParamsPatch = cosmwasm_std::from_json(json).unwrap();
        suite.accepted(&governance, &ExecuteMsg::UpdateParams { patch, epoch: Epoch(epoch) }, 0);
    };
    let wrong = Beacon::new(9).public_key();
    update(&mut suite, format!(r#"{{"beacon": {{"public_key": "{wrong}"}}}}"#), 1);
    suite.at_epoch(1);
    let (executor, window) = (suite.nodes[0].clone(), Window(6));
    let session = suite.open_session(&executor, 9 * FEE);
    let claim = suite.claim(session, 3);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.at_window(7);
    let own = suite.round(6);
    let (stranded, bad) = (suite.posting(6), ContractError::BadSignature { window, round: own });
    suite.refused(&anyone, &stranded, 0, bad.clone());
    let right = suite.beacon.public_key();
    update(&mut suite, format!(r#"{{"beacon": {{"public_key": "{right}", "period_seconds": 2}}}}"#), 3);
    // Until its epoch is long over, a window has the beacon of its epoch and no other.
    suite.at_window(23);
    suite.refused(&anyone, &stranded, 0, bad);
    suite.at_epoch(4);
    suite.params.beacon.period_seconds = 2;
    let round = suite.round(6);
    assert_ne!(round, own);
    assert_eq!(suite.due().beacons, [DueBeacon { window, round }]);
    suite.refused(&anyone, &stranded, 0, ContractError::BadSignature { window, round });
    suite.post_beacon(6);
    suite.draw(batch, 9);
    assert_eq!(suite.samples(batch).len(), 3);
    // What drew it stays what drew it, whatever comes later.
    update(&mut suite, r#"{"beacon": {"period_seconds": 5}}"#.into(), 5);
    suite.at_epoch(8);
    let stored: BeaconResponse = suite.query(&QueryMsg::Beacon { window });
    let record: BatchResponse = suite.query(&QueryMsg::Batch { batch });
    assert_eq!((stored.round, record.round), (round, round));
    suite.params.beacon.period_seconds = 5;
    let again = suite.posting(6);
    suite.refused(&anyone, &again, 0, ContractError::BeaconKnown { window });
}

#[test]
fn beacons_that_nobody_can_post_keep_none_of_a_later_key_out_of_what_is_due() {
    let mut suite = Suite::new();
    let governance = suite.governance.clone();
    let update = |suite: &mut Suite, key: HexBinary, epoch| {
        let patch: ParamsPatch =
            cosmwasm_std::from_json(format!(r#"{{"beacon": {{"public_key": "{key}"}}}}"#)).unwrap();
        suite.accepted(&governance, &ExecuteMsg::UpdateParams { patch, epoch: Epoch(epoch) }, 0);
    };
    update(&mut suite, Beacon::new(9).public_key(), 1);
    suite.at_epoch(1);
    let (executor, right) = (suite.nodes[0].clone(), suite.beacon.public_key());
    update(&mut suite, right, 2);
    let session = suite.open_session(&executor, 9 * FEE);
    for (nonce, window) in (1..).zip([6, 7, 8, 12]) {
        suite.at_window(window);
        let claim = suite.claim(session, nonce);
        suite.commit_batch(&executor, vec![claim], 0);
    }
    suite.at_window(13);
    let due: DueResponse = suite.query(&QueryMsg::Due { limit: Some(2) });
    let windows: Vec<u64> = due.beacons.iter().map(|due| due.window.0).collect();
    assert_eq!(windows, [6, 7, 12]);
}

#[test]
fn a_real_round_of_quicknet_verifies_and_gives_its_published_randomness() {
    let key = "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c\
               921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a";
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
    let window = Window(0);
    let msg = ExecuteMsg::PostBeacon { window, signature: HexBinary::from_hex(QUICKNET_1000).unwrap() };
    suite.accepted(&sender, &msg, 0);
    let stored: BeaconResponse = suite.query(&QueryMsg::Beacon { window });
    assert_eq!(stored.round, Round(1_000));
    assert_eq!(stored.randomness, Some(randomness.parse::<Randomness>().unwrap()));
}
