//! Stake tables: what is stored against a plain map of stakes, for every epoch.

use std::collections::{BTreeMap, BTreeSet};

use assay_common::ids::{Epoch, ModelDigest};
use assay_common::params::MAX_NODES_PER_MODEL;
use assay_contract::error::ContractError;
use assay_contract::state::{NodeNumber, TABLES, TABLE_LEAVES};
use assay_contract::table::tree::{self, Root, Tree, LEAF};
use assay_contract::table::{self, StakeTable};
use cosmwasm_std::testing::MockStorage;
use cosmwasm_std::{Order, Storage};
use proptest::prelude::*;

const MODEL: ModelDigest = ModelDigest([1; 32]);

type Stakes = BTreeMap<u32, u128>;

/// Changes one table into another, as one message does.
fn change(storage: &mut MockStorage, epoch: u64, nodes: impl IntoIterator<Item = (u32, u128)>) {
    let mut tree = Tree::in_force(storage, &MODEL, Epoch(epoch)).unwrap();
    for (node, stake) in nodes {
        tree.set(storage, NodeNumber(node), stake.into()).unwrap();
    }
    tree.save(storage, Epoch(epoch)).unwrap();
}

fn stored(storage: &MockStorage, epoch: u64) -> Stakes {
    let mut before = 0;
    let table = table::in_force(storage, &MODEL, Epoch(epoch)).unwrap();
    let stakes = table.0.iter().map(|place| {
        let stake = place.cumulative - before;
        before = place.cumulative;
        (place.node.0, stake)
    });
    stakes.collect()
}

fn roots(storage: &MockStorage) -> Vec<(u64, Root)> {
    TABLES.prefix(&MODEL.0).range(storage, None, None, Order::Ascending).collect::<Result<_, _>>().unwrap()
}

/// Every leaf is of a table, every table's leaves are there, and no two neighbours would fit into one.
fn check_leaves(storage: &MockStorage) {
    let mut needed = BTreeSet::new();
    for (_, root) in roots(storage) {
        let branches = root.branches();
        let nodes: u32 = branches.iter().map(|branch| branch.nodes).sum();
        assert!(branches.is_empty() || nodes as usize > LEAF, "{branches:?}");
        for pair in branches.windows(2) {
            assert!((pair[0].nodes + pair[1].nodes) as usize > LEAF, "{branches:?}");
            assert!(pair[0].first < pair[1].first, "{branches:?}");
        }
        for branch in branches {
            let key = (&MODEL.0[..], branch.first.0, branch.written.0);
            let leaf: Vec<(u32, u128)> = TABLE_LEAVES.may_load(storage, key).unwrap().unwrap().into();
            assert!(leaf.len() == branch.nodes as usize && leaf.len() <= LEAF, "{branch:?}");
            needed.insert((MODEL.0.to_vec(), branch.first.0, branch.written.0));
        }
    }
    let found = TABLE_LEAVES.keys(storage, None, None, Order::Ascending);
    assert_eq!(found.collect::<Result<BTreeSet<_>, _>>().unwrap(), needed);
}

fn full() -> Stakes {
    (0..u32::try_from(MAX_NODES_PER_MODEL).unwrap()).map(|node| (node, 1_000 + u128::from(node))).collect()
}

#[test]
fn a_model_has_no_more_nodes_than_one_table_holds() {
    let mut storage = MockStorage::new();
    change(&mut storage, 0, full());
    let mut tree = Tree::in_force(&storage, &MODEL, Epoch(0)).unwrap();
    let error = tree.set(&storage, NodeNumber(9_999), 1u128.into()).unwrap_err();
    assert_eq!(error, ContractError::ModelFull { model: MODEL, most: MAX_NODES_PER_MODEL });
    tree.set(&storage, NodeNumber(7), 9u128.into()).unwrap();
    tree.set(&storage, NodeNumber(8), 0u128.into()).unwrap();
    tree.set(&storage, NodeNumber(9_999), 1u128.into()).unwrap();
    assert_eq!(tree.nodes() as usize, MAX_NODES_PER_MODEL);
}

#[test]
fn nodes_that_come_one_after_the_other_fill_their_leaves() {
    let mut storage = MockStorage::new();
    for (node, stake) in full() {
        change(&mut storage, 0, [(node, stake)]);
        check_leaves(&storage);
    }
    let [(_, root)] = &roots(&storage)[..] else { panic!("one table") };
    assert!(root.branches().iter().all(|branch| branch.nodes as usize == LEAF));
    assert_eq!(root.branches().len(), MAX_NODES_PER_MODEL / LEAF);
    assert_eq!(stored(&storage, 0), full());
}

#[test]
fn a_change_writes_one_leaf_and_leaves_the_tables_before_it_alone() {
    let mut storage = MockStorage::new();
    change(&mut storage, 3, full());
    let leaves = |storage: &MockStorage| {
        let keys = TABLE_LEAVES.keys(storage, None, None, Order::Ascending);
        keys.collect::<Result<BTreeSet<_>, _>>().unwrap()
    };
    let before = leaves(&storage);
    change(&mut storage, 4, [(200, 5)]);
    let after = leaves(&storage);
    assert_eq!(after.difference(&before).count(), 1);
    assert_eq!(stored(&storage, 3), full());
    let mut changed = full();
    changed.insert(200, 5);
    assert_eq!(stored(&storage, 4), changed);
    tree::remove(&mut storage, &MODEL, Epoch(3)).unwrap();
    assert_eq!(leaves(&storage).len(), before.len());
    assert_eq!(stored(&storage, 9), changed);
    check_leaves(&storage);
}

#[test]
fn a_place_takes_at_most_sixteen_bytes_up_to_stakes_of_2_to_the_98() {
    let mut storage = MockStorage::new();
    let nodes = (0..512).map(|node| (node * 32, (1 << 98) - 1 - u128::from(node)));
    change(&mut storage, 0, nodes);
    let bytes: usize = storage.range(None, None, Order::Ascending).map(|(_, value)| value.len()).sum();
    assert!(bytes <= 512 * 16, "{bytes}");
}

#[test]
fn others_are_those_of_the_table_but_oneself() {
    let mut storage = MockStorage::new();
    change(&mut storage, 1, full());
    change(&mut storage, 2, [(100, 0)]);
    let others = |epoch, node| table::others(&storage, &MODEL, Epoch(epoch), NodeNumber(node)).unwrap();
    assert_eq!((others(0, 100), others(1, 100), others(1, 600)), (0, 511, 512));
    assert_eq!((others(2, 100), others(2, 101)), (511, 510));
}

/// In one epoch, some nodes in a row set to a stake, or some picked out by a stride; small numbers of nodes are likelier.
fn changes() -> impl Strategy<Value = Vec<(u64, bool, Stakes)>> {
    let stride = prop::sample::select(vec![1u32, 1, 1, 2, 3, 7, 50]);
    let count = prop_oneof![3 => 1usize..3, 2 => 1usize..40, 1 => 60usize..200];
    let stake = prop_oneof![2 => Just(0u128), 3 => 1u128..1_000_000_000];
    let deed = (0u64..3, prop::bool::weighted(0.3), 0u32..600, stride, count, stake);
    let deed = deed.prop_map(|(step, sweep, first, stride, count, stake)| {
        let nodes = (0u32..).map(|place| first + place * stride).take(count);
        (step, sweep, nodes.map(|node| (node, stake)).collect())
    });
    prop::collection::vec(deed, 1..40)
}

proptest! {
    #[test]
    fn a_table_is_what_a_map_of_stakes_says(changes in changes()) {
        let mut storage = MockStorage::new();
        let (mut now, mut stakes) = (0, Stakes::new());
        let mut kept: BTreeMap<u64, Stakes> = BTreeMap::new();
        // The epoch of the table that came after each.
        let mut replaced: BTreeMap<u64, u64> = BTreeMap::new();
        for (step, sweeps, nodes) in changes {
            now += step;
            let mut next = stakes.clone();
            next.extend(nodes.clone());
            next.retain(|_, stake| *stake > 0);
            if next.len() > MAX_NODES_PER_MODEL {
                continue;
            }
            stakes = next;
            change(&mut storage, now, nodes);
            if let Some((before, _)) = kept.range(..now).next_back() {
                replaced.entry(*before).or_insert(now);
            }
            kept.insert(now, stakes.clone());
            if sweeps {
                // As Sweep does, a table goes once the one after it is in force, and so changes no more; in an order of their
                // own, as the agenda's is.
                let past = || kept.keys().copied().filter(|from| replaced.get(from).is_some_and(|by| *by < now));
                let order: Vec<u64> = past().filter(|from| from % 3 == 1).chain(past().filter(|from| from % 3 == 0)).collect();
                for from in order {
                    tree::remove(&mut storage, &MODEL, Epoch(from)).unwrap();
                    kept.remove(&from);
                }
            }
            for (from, expected) in &kept {
                prop_assert_eq!(&stored(&storage, *from), expected);
            }
            check_leaves(&storage);
            let other = table::in_force(&storage, &ModelDigest([2; 32]), Epoch(now)).unwrap();
            prop_assert_eq!(other, StakeTable::default());
        }
    }
}
