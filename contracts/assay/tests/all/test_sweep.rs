//! What is final goes, what is needed stays, and the state of a thousand days is that of one.

use std::collections::BTreeSet;

use assay_common::ids::{BatchId, Epoch, SessionId};
use assay_common::msg::{
    BatchResponse, ClaimableResponse, EpochResponse, EpochStatus, ExecuteMsg, QueryMsg, SampleResponse,
    SessionResponse, SessionStatus,
};
use assay_common::params::Params;
use assay_common::verdict::Outcome;
use assay_contract::error::ContractError;
use assay_contract::state::{TABLES, TABLE_LEAVES};
use assay_contract::table::tree::Root;
use cosmwasm_std::{Addr, Order};

use crate::suite::*;

const SWEEP: ExecuteMsg = ExecuteMsg::Sweep { limit: 50 };

/// A network whose results stay for so many epochs, of which three are the fewest that the shortest fraud window allows.
/// Nobody earns trust in it, so everything is checked, and stakes survive many slashes.
fn keeping(epochs: u32) -> Suite {
    keeping_with(epochs, 4)
}

/// The same with so many nodes.
fn keeping_with(epochs: u32, nodes: u32) -> Suite {
    let params = |p: &mut Params| {
        p.limits.kept_epochs = epochs;
        p.fraud.window_seconds = 120;
        p.reputation.min_checked = 1_000;
    };
    Suite::builder().nodes(nodes).stake(60 * MIN_STAKE).params(params).build()
}

/// Sweeps for as long as there is something to sweep.
fn sweep(suite: &mut Suite) {
    let anyone = suite.requester.clone();
    while suite.due().sweep {
        suite.accepted(&anyone, &SWEEP, 0);
    }
}

/// One epoch in the life of a network: two executors work, jurors of one mind judge, everybody is paid.
fn live(suite: &mut Suite, epoch: u64, mind: Outcome) {
    let (first, executors) = (epoch * 6, suite.nodes[..2].to_vec());
    suite.at_window(first);
    let mut batches = Vec::new();
    for executor in &executors {
        let mut msg = suite.opening(executor);
        if let ExecuteMsg::OpenSession { expires, .. } = &mut msg {
            *expires = Epoch(epoch);
        }
        let requester = suite.requester.clone();
        let response = suite.accepted(&requester, &msg, 14 * FEE);
        let session: SessionId = attribute(&response, "assay_session_opened", "session").parse().unwrap();
        let claim = suite.claim(session, 12);
        batches.push(suite.commit_batch(executor, vec![claim], 0));
    }
    suite.judge(first, &batches, &move |_: &SampleResponse, _: &Addr| Some(mind));
    suite.at_epoch(epoch + 1);
    for executor in &executors {
        suite.settle(executor, epoch, 200);
    }
}

/// A stake that moves in every epoch, so that every epoch has a table of its own.
fn add_stake(suite: &mut Suite) {
    let node = suite.nodes[3].clone();
    suite.accepted(&node, &ExecuteMsg::UpdateNode { models: None, endpoint: None }, 1);
}

fn claim_all(suite: &mut Suite) {
    for address in suite.nodes.iter().chain([&suite.requester]).cloned().collect::<Vec<_>>() {
        let earned: ClaimableResponse = suite.query(&QueryMsg::Claimable { address: address.to_string() });
        if !earned.amount.is_zero() {
            suite.accepted(&address, &ExecuteMsg::Claim {}, 0);
        }
    }
}

/// Entries and bytes of the chain's whole storage.
fn size(suite: &Suite) -> (usize, usize) {
    suite.app.storage().size()
}

#[test]
fn the_state_after_300_epochs_is_that_after_30() {
    let run = |epochs: u64, sweeping: bool| {
        let mut suite = keeping(3);
        let mut sizes = Vec::new();
        for epoch in 0..epochs {
            // A cheat now and then: forfeited epochs have accounts that wait for their refunds.
            live(&mut suite, epoch, if epoch % 10 == 4 { REPLAY } else { VALID });
            add_stake(&mut suite);
            if sweeping {
                sweep(&mut suite);
            }
            claim_all(&mut suite);
            sizes.push(size(&suite));
        }
        sizes
    };
    let swept = run(300, true);
    let grown = run(30, false);
    let (early, late) = (swept[29], swept[299]);
    println!(
        "entries, bytes: {early:?} after 30 epochs, {late:?} after 300; unswept {:?} after 30",
        grown[29]
    );
    // Numbers that have grown by a digit take a byte more here and there.
    assert!(late.0 <= early.0 && late.1 <= early.1 + early.1 / 20, "{early:?} {late:?}");
    assert!(grown[29].0 > 3 * early.0 && grown[29].1 > 2 * early.1, "{early:?} {grown:?}");
}

#[test]
fn what_is_settled_stays_readable_for_the_epochs_that_it_is_kept() {
    let mut suite = keeping(3);
    let (anyone, executor) = (suite.requester.clone(), suite.nodes[0].clone());
    live(&mut suite, 0, VALID);
    let nothing = |epoch| ContractError::NothingToSweep { epoch: Epoch(epoch) };
    for epoch in [1, 2] {
        suite.at_epoch(epoch);
        suite.refused(&anyone, &SWEEP, 0, nothing(epoch));
    }
    suite.at_epoch(3);
    sweep(&mut suite); // the sessions are paid out
    suite.refused(&anyone, &SWEEP, 0, nothing(3));
    suite.at_epoch(4);
    assert!(suite.try_query::<BatchResponse>(&QueryMsg::Batch { batch: BatchId(1) }).is_ok());
    sweep(&mut suite);
    suite.refused(&anyone, &SWEEP, 0, nothing(4));
    let batch = BatchId(1);
    assert!(suite.try_query::<BatchResponse>(&QueryMsg::Batch { batch }).is_err());
    assert!(suite.try_query::<SampleResponse>(&QueryMsg::Sample { batch, draw: 0 }).is_err());
    let epoch = QueryMsg::Epoch { executor: executor.to_string(), epoch: Epoch(0) };
    assert!(suite.try_query::<EpochResponse>(&epoch).is_err());
    for limit in [0, 51] {
        let expected = ContractError::BadLimit { limit, most: 50 };
        suite.refused(&anyone, &ExecuteMsg::Sweep { limit }, 0, expected);
    }
}

#[test]
fn nothing_goes_that_is_not_judged_and_settled() {
    let mut suite = keeping(3);
    let (anyone, executor) = (suite.requester.clone(), suite.nodes[0].clone());
    let session = suite.open_session(&executor, 50 * FEE);
    let claim = suite.claim(session, 4);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    let nothing = |epoch| ContractError::NothingToSweep { epoch: Epoch(epoch) };
    suite.at_epoch(9);
    suite.refused(&anyone, &SWEEP, 0, nothing(9));
    suite.post_beacon(0);
    suite.draw(batch, 100);
    suite.at_epoch(10);
    suite.refused(&anyone, &SWEEP, 0, nothing(10));
    suite.tally(batch, 0, 100);
    suite.refused(&anyone, &SWEEP, 0, nothing(10));
    suite.settle(&executor, 0, 200);
    sweep(&mut suite);
    assert!(suite.try_query::<BatchResponse>(&QueryMsg::Batch { batch }).is_err());
}

#[test]
fn a_session_that_is_over_is_paid_out_by_the_sweep_and_kept_as_long_as_its_inferences() {
    let mut suite = keeping(3);
    live(&mut suite, 0, REPLAY);
    let session = QueryMsg::Session { session: SessionId(1) };
    suite.at_epoch(3);
    sweep(&mut suite);
    let record: SessionResponse = suite.query(&session);
    assert_eq!((record.status, record.escrow.u128()), (SessionStatus::Closed, 0));
    let before = suite.balance(&suite.requester);
    claim_all(&mut suite);
    // Two of fourteen inferences were never asked for, twelve are refunded; and so in the other session.
    assert_eq!(suite.balance(&suite.requester), before + 28 * FEE);
    suite.at_epoch(5);
    sweep(&mut suite);
    assert!(suite.try_query::<SessionResponse>(&session).is_ok());
    suite.at_epoch(6);
    sweep(&mut suite);
    assert!(suite.try_query::<SessionResponse>(&session).is_err());
}

/// A session that lives longer than the accounts of the epochs that it paid in.
#[test]
fn an_account_that_owes_a_refund_stays_and_one_that_does_not_is_no_obstacle() {
    let mut suite = keeping(3);
    let executor = suite.nodes[0].clone();
    let (paid, owed) = (suite.open_session(&executor, 50 * FEE), suite.open_session(&executor, 50 * FEE));
    let claim = suite.claim(paid, 4);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(0, &[batch], &honest);
    suite.at_epoch(1);
    let claim = suite.claim(owed, 12);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(6, &[batch], &|_, _| Some(REPLAY));
    suite.at_epoch(2);
    suite.settle(&executor, 0, 200);
    suite.settle(&executor, 1, 200);
    suite.at_epoch(9);
    sweep(&mut suite);
    let epochs: Vec<EpochResponse> = suite.collect(|start_after| QueryMsg::Epochs {
        executor: executor.to_string(),
        start_after,
        limit: None,
    });
    let left: Vec<_> = epochs.iter().map(|account| (account.epoch, account.status)).collect();
    assert_eq!(left, [(Epoch(1), EpochStatus::Forfeited)]);
    let claims = vec![suite.claim(paid, 5), suite.claim(owed, 13)];
    suite.commit_batch(&executor, claims, 0);
    assert_eq!(suite.session(paid).escrow.u128(), 45 * FEE);
    assert_eq!(suite.session(owed).escrow.u128(), 49 * FEE);
}

#[test]
fn pages_of_any_size_sweep_alike() {
    let run = |limit: u32| {
        let mut suite = keeping(3);
        for epoch in 0..3 {
            live(&mut suite, epoch, VALID);
            add_stake(&mut suite);
        }
        suite.at_epoch(9);
        let anyone = suite.requester.clone();
        while suite.due().sweep {
            suite.accepted(&anyone, &ExecuteMsg::Sweep { limit }, 0);
        }
        size(&suite).0
    };
    let whole = run(50);
    for limit in [1, 3, 5, 17] {
        assert_eq!(run(limit), whole, "{limit}");
    }
}

#[test]
fn tables_that_guardians_replaced_are_swept() {
    let mut suite = keeping(3);
    let (governance, guardian) = (suite.governance.clone(), suite.nodes[3].to_string());
    let mut entries = Vec::new();
    for epoch in 0..6u64 {
        suite.at_epoch(epoch);
        let guardians = if epoch % 2 == 0 { vec![guardian.clone()] } else { Vec::new() };
        let msg = ExecuteMsg::SetGuardians { model: suite.model, guardians };
        suite.accepted(&governance, &msg, 0);
        sweep(&mut suite);
        entries.push(size(&suite).0);
    }
    assert_eq!(entries[2], entries[5], "{entries:?}");
}

#[test]
fn what_is_stored_of_large_tables_is_what_stored_tables_share() {
    let mut suite = keeping_with(3, 150);
    let mut counts = Vec::new();
    for epoch in 0..14u64 {
        live(&mut suite, epoch, VALID);
        // Another node each time, of each of the three leaves in turn.
        let node = suite.nodes[(epoch * 61 % 150) as usize].clone();
        suite.accepted(&node, &ExecuteMsg::UpdateNode { models: None, endpoint: None }, 1);
        sweep(&mut suite);
        let storage = suite.app.contract_storage(&suite.contract);
        let tables = TABLES.range(&*storage, None, None, Order::Ascending);
        let tables: Vec<_> = tables.collect::<Result<_, _>>().unwrap();
        let of = |(model, _): &(Vec<u8>, u64), root: &Root| {
            let leaves =
                root.branches().iter().map(|branch| (model.clone(), branch.first.0, branch.written.0));
            leaves.collect::<Vec<_>>()
        };
        let shared: BTreeSet<_> = tables.iter().flat_map(|(key, root)| of(key, root)).collect();
        let leaves = TABLE_LEAVES.keys(&*storage, None, None, Order::Ascending);
        assert_eq!(leaves.collect::<Result<BTreeSet<_>, _>>().unwrap(), shared);
        counts.push((tables.len(), shared.len()));
    }
    assert_eq!(counts[6], counts[13], "{counts:?}");
    let (tables, leaves) = counts[13];
    assert!(leaves < tables + 3, "each table but the first has one leaf of its own: {counts:?}");
}

#[test]
fn what_was_tallied_out_of_order_leaves_nothing_behind_that_points_at_what_is_swept() {
    let mut suite = keeping(30);
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 4 * FEE);
    let claims = vec![suite.claim(session, 4)];
    let batch = suite.commit_batch(&executor, claims, 0);
    suite.draw_and_reveal(0, &[batch], &honest);
    suite.at_window(4);
    suite.tally(batch, 2, 2);
    suite.tally(batch, 0, 2);
    suite.at_epoch(1);
    suite.settle(&executor, 0, 200);
    suite.at_epoch(40);
    sweep(&mut suite);
    assert!(suite.try_query::<BatchResponse>(&QueryMsg::Batch { batch }).is_err());
    assert!(suite.due().tallies.is_empty());
}
