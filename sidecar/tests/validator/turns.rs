use std::slice;
use std::time::Duration;

use assay_common::ids::{BatchId, Epoch, Round, Window};
use assay_common::msg::DueBeacon;
use assay_sidecar::duty::{rank, Item, Turns};
use tokio::time::Instant;

fn nodes() -> Vec<String> {
    ["a", "b", "c", "d"].map(String::from).to_vec()
}

#[test]
fn every_node_has_its_own_place_in_each_turn_and_the_first_is_not_always_the_same() {
    let mut firsts = std::collections::BTreeSet::new();
    for batch in 0..50 {
        let item = Item::Draw(BatchId(batch));
        let mut ranks: Vec<usize> = nodes().iter().map(|node| rank(&item, &nodes(), node)).collect();
        firsts.insert(ranks.iter().position(|rank| *rank == 0));
        ranks.sort_unstable();
        assert_eq!(ranks, [0, 1, 2, 3]);
    }
    assert_eq!(firsts.len(), 4);
}

#[test]
fn the_turn_depends_on_the_kind_of_the_item_too() {
    let differ = (0..20).any(|n| {
        let (draw, beacon) =
            (Item::Draw(BatchId(n)), Item::Beacon(DueBeacon { window: Window(n), round: Round(n) }));
        rank(&draw, &nodes(), "a") != rank(&beacon, &nodes(), "a")
    });
    assert!(differ);
}

#[test]
fn the_first_acts_at_once_and_the_next_waits_for_it() {
    let start = Instant::now();
    let mut turns = Turns::default();
    let item = Item::Tally { batch: BatchId(1), from: 0 };
    turns.update([item.clone()], start);
    assert_eq!(turns.take(start, |_| 1), []);
    assert_eq!(turns.take(start + Duration::from_millis(3_999), |_| 1), []);
    assert_eq!(turns.take(start + Duration::from_secs(4), |_| 1), slice::from_ref(&item));
    // It is under way.
    assert_eq!(turns.take(start + Duration::from_secs(9), |_| 0), []);
}

#[test]
fn what_is_not_due_any_more_is_forgotten_and_a_failure_waits() {
    let start = Instant::now();
    let mut turns = Turns::default();
    let item = Item::Settle { executor: "e".into(), epoch: Epoch(1) };
    turns.update([item.clone()], start);
    turns.update([], start);
    assert_eq!(turns.take(start, |_| 0), []);
    turns.update([item.clone()], start);
    assert_eq!(turns.take(start, |_| 0), slice::from_ref(&item));
    assert_eq!(turns.done(&item, false, start), 1);
    turns.update([item.clone()], start);
    assert_eq!(turns.take(start + Duration::from_secs(3), |_| 0), []);
    assert_eq!(turns.take(start + Duration::from_secs(4), |_| 0), slice::from_ref(&item));
    assert_eq!(turns.done(&item, true, start), 0);
    turns.update([item.clone()], start);
    assert_eq!(turns.take(start, |_| 0), [item]);
}
