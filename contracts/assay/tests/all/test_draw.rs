use std::collections::BTreeSet;

use assay_common::ids::{BatchId, Window};
use assay_common::msg::{BatchResponse, ExecuteMsg, QueryMsg, SampleResponse};
use assay_common::session::inference_id;
use assay_contract::error::ContractError;

use crate::suite::*;

/// One batch of `count` inferences over two sessions, in window 0.
fn committed(count: u64) -> (Suite, BatchId) {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let (first, second) =
        (suite.open_session(&executor, 200 * FEE), suite.open_session(&executor, 200 * FEE));
    let claims = vec![suite.claim(first, count / 3), suite.claim(second, count - count / 3)];
    let batch = suite.commit_batch(&executor, claims, 0);
    suite.at_window(1);
    (suite, batch)
}

#[test]
fn a_draw_waits_for_the_batchs_beacon() {
    let (mut suite, batch) = committed(12);
    let sender = suite.requester.clone();
    let msg = ExecuteMsg::Draw { batch, limit: 5 };
    suite.refused(&sender, &msg, 0, ContractError::BeaconMissing { batch, window: Window(0) });
    suite.at_window(2);
    suite.post_beacon(1); // a later beacon draws nothing earlier
    suite.refused(&sender, &msg, 0, ContractError::BeaconMissing { batch, window: Window(0) });
    suite.post_beacon(0);
    suite.accepted(&sender, &msg, 0);
}

#[test]
fn a_draw_has_a_bounded_page_a_batch_and_an_end() {
    let (mut suite, batch) = committed(12);
    let sender = suite.requester.clone();
    suite.post_beacon(0);
    for limit in [0, 101] {
        let msg = ExecuteMsg::Draw { batch, limit };
        suite.refused(&sender, &msg, 0, ContractError::BadLimit { limit, most: 100 });
    }
    let unknown = BatchId(9);
    let msg = ExecuteMsg::Draw { batch: unknown, limit: 1 };
    suite.refused(&sender, &msg, 0, ContractError::UnknownBatch { batch: unknown });
    let msg = ExecuteMsg::Draw { batch, limit: 7 };
    let first = suite.accepted(&sender, &msg, 0);
    assert_eq!(attribute(&first, "assay_drawn", "complete"), "false");
    let last = suite.accepted(&sender, &msg, 0);
    assert_eq!(attribute(&last, "assay_drawn", "from"), "7");
    assert_eq!(attribute(&last, "assay_drawn", "to"), "12");
    assert_eq!(attribute(&last, "assay_drawn", "complete"), "true");
    suite.refused(&sender, &msg, 0, ContractError::AlreadyDrawn { batch });
}

/// Invariant 3.
#[test]
fn at_rate_1_every_inference_gets_a_jury() {
    let (mut suite, batch) = committed(90);
    suite.post_beacon(0);
    suite.draw(batch, 100);
    let samples = suite.samples(batch);
    let indices: BTreeSet<u32> = samples.iter().map(|sample| sample.index).collect();
    assert_eq!(indices, (0..90).collect());
    let executor = suite.nodes[0].to_string();
    for sample in &samples {
        let jury: BTreeSet<&String> = sample.seats.iter().map(|seat| &seat.juror).collect();
        assert_eq!(jury.len(), 3);
        assert!(!jury.contains(&executor));
        assert!(sample.seats.iter().all(|seat| seat.verdict.is_none()));
    }
}

#[test]
fn a_leaf_number_names_the_inference_in_the_order_of_the_claims() {
    let (mut suite, batch) = committed(90);
    suite.post_beacon(0);
    suite.draw(batch, 100);
    for sample in suite.samples(batch) {
        let index = u64::from(sample.index);
        let (session, nonce) = if index < 30 { (1, index + 1) } else { (2, index - 29) };
        assert_eq!((sample.session.0, sample.nonce.0), (session, nonce));
        assert_eq!(sample.inference, inference_id(&suite.domain(), sample.session, sample.nonce));
    }
}

#[test]
fn pages_of_any_size_draw_the_same_samples_and_juries() {
    let drawn = |limit: u32| {
        let (mut suite, batch) = committed(90);
        suite.post_beacon(0);
        while suite.query::<BatchResponse>(&QueryMsg::Batch { batch }).drawn < 90 {
            suite.draw(batch, limit);
        }
        suite.samples(batch)
    };
    assert_eq!(drawn(100), drawn(7));
}

#[test]
fn each_page_has_its_own_window_and_its_jurors_see_it_at_once() {
    let (mut suite, batch) = committed(12);
    suite.post_beacon(0);
    suite.draw(batch, 5);
    suite.at_window(2);
    suite.draw(batch, 100);
    let windows: Vec<u64> = suite.samples(batch).iter().map(|sample| sample.window.0).collect();
    assert_eq!(windows, [[1; 5].as_slice(), [2; 7].as_slice()].concat());
    // Four nodes, three seats: everybody but the executor judges everything.
    let juror = suite.nodes[1].clone();
    let draws =
        |window| suite.assignments(&juror, Window(window)).iter().map(|key| key.draw).collect::<Vec<_>>();
    assert_eq!((draws(1), draws(2)), ((0..5).collect(), (5..12).collect()));
    assert!(suite.assignments(&suite.nodes[0], Window(1)).is_empty());
}

#[test]
fn juries_follow_the_stakes_of_the_batchs_epoch() {
    let (mut suite, batch) = committed(90);
    let late = suite.account("late");
    suite.register_node(&late, 90 * MIN_STAKE);
    suite.at_epoch(2);
    suite.post_beacon(0);
    suite.draw(batch, 100);
    let late = late.to_string();
    let seated = |sample: &SampleResponse| sample.seats.iter().any(|seat| seat.juror == late);
    assert!(!suite.samples(batch).iter().any(seated));
}
