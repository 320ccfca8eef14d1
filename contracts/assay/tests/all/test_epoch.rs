//! Whole epochs: the cheat forfeits, the honest are paid, everything adds up.

use std::collections::BTreeMap;

use assay_common::event::Event;
use assay_common::ids::{BatchId, Epoch, SessionId};
use assay_common::msg::{EpochStatus, EvidenceResponse, ExecuteMsg, QueryMsg, SampleResponse};
use assay_common::verdict::Outcome;
use cosmwasm_std::Addr;

use crate::suite::*;

/// Every node as executor of twelve inferences, each in a window of its own.
fn twelve_each(suite: &mut Suite) -> Vec<(Addr, SessionId, BatchId)> {
    let nodes = suite.nodes.clone();
    nodes
        .into_iter()
        .map(|node| {
            let session = suite.open_session(&node, 12 * FEE);
            let claim = suite.claim(session, 12);
            let batch = suite.commit_batch(&node, vec![claim], 0);
            (node, session, batch)
        })
        .collect()
}

/// Jurors that see the cheat's batches as what they are.
fn seeing(cheat: BatchId) -> impl Fn(&SampleResponse, &Addr) -> Option<Outcome> {
    move |sample, _| Some(if sample.batch == cheat { REPLAY } else { VALID })
}

#[test]
fn the_cheat_forfeits_its_epoch_and_the_honest_are_paid_in_full() {
    let mut suite = Suite::new();
    let work = twelve_each(&mut suite);
    let batches: Vec<BatchId> = work.iter().map(|(_, _, batch)| *batch).collect();
    suite.judge(0, &batches, &seeing(batches[3]));
    suite.at_epoch(1);
    for (node, session, _) in &work[..3] {
        suite.settle(node, 0, 200);
        let epoch = suite.epoch(node, 0);
        assert_eq!(epoch.status, EpochStatus::Paid);
        assert_eq!(epoch.reward.u128(), 12 * FEE - 120 - 12 * 3 * VERDICT_FEE);
        assert_eq!(epoch.reward, epoch.fees - epoch.reserve - epoch.checks);
        assert_eq!((epoch.closed.valid, epoch.closed.checked(), epoch.folded), (12, 12, 12));
        assert_eq!(suite.session(*session).escrow.u128(), 0);
    }
    let (cheat, session, _) = &work[3];
    suite.settle(cheat, 0, 200);
    let epoch = suite.epoch(cheat, 0);
    assert_eq!((epoch.status, epoch.folded), (EpochStatus::Forfeited, 9));
    assert_eq!((epoch.reward.u128(), epoch.refunded.u128()), (0, 12 * FEE));
    assert_eq!(epoch.slashed.u128(), 2 * MIN_STAKE / 10);
    assert_eq!(suite.session(*session).escrow.u128(), 12 * FEE);
    let pools = suite.pools();
    assert_eq!(pools.burned.u128(), 2 * MIN_STAKE / 10 - (120 + 12 * 3 * VERDICT_FEE));
    assert_eq!((pools.pending.u128(), pools.checks.u128()), (0, 0));
    // The requester's money is spendable again: the cheat, now honest, serves it once more.
    let claim = suite.claim(*session, 24);
    let batch = suite.commit_batch(cheat, vec![claim], 0);
    assert_eq!((suite.session(*session).escrow.u128(), suite.pools().refunds.u128()), (0, 0));
    suite.judge(6, &[batch], &honest);
    suite.at_epoch(2);
    suite.settle(cheat, 1, 200);
    assert_eq!(suite.epoch(cheat, 1).status, EpochStatus::Paid);
    for node in suite.nodes.clone() {
        suite.accepted(&node, &ExecuteMsg::Claim {}, 0);
    }
    assert_eq!(suite.pools().claimable.u128(), 0);
}

/// Invariant 4: unsampled work, and the order of cranks, never change anybody's evidence.
#[test]
fn the_order_of_cranks_does_not_change_the_evidence() {
    let run = |order: [usize; 4], limit: u32| {
        let mut suite = Suite::new();
        let work = twelve_each(&mut suite);
        let batches: Vec<BatchId> = order.iter().map(|place| work[*place].2).collect();
        suite.at_window(1);
        suite.post_beacon(0);
        for batch in &batches {
            for _ in 0..12u32.div_ceil(limit) {
                suite.draw(*batch, limit);
            }
        }
        // Every third answer of each node fails: what a fold in another order would weigh differently.
        let mind = |sample: &SampleResponse, _: &Addr| {
            Some(if sample.index.is_multiple_of(3) { REPLAY } else { VALID })
        };
        let pages = suite.commit_verdicts(1, &mind);
        suite.at_window(3);
        suite.reveal(pages);
        suite.at_epoch(1);
        for batch in &batches {
            for from in (0..12).rev().step_by(limit as usize) {
                let sender = suite.requester.clone();
                // What is closed already is refused, as for anybody who comes second.
                let _ = suite.send(&sender, &ExecuteMsg::Tally { batch: *batch, from, limit }, 0);
            }
            suite.tally_rest(*batch);
        }
        for place in order {
            let node = work[place].0.clone();
            while suite.epoch(&node, 0).status == EpochStatus::Open {
                suite.settle(&node, 0, limit);
            }
        }
        let nodes = suite.nodes.clone();
        let evidence =
            |node: &Addr| suite.query::<EvidenceResponse>(&QueryMsg::Evidence { executor: node.to_string() });
        nodes.iter().map(|node| (evidence(node), suite.epoch(node, 0))).collect::<Vec<_>>()
    };
    let straight = run([0, 1, 2, 3], 100);
    assert!(straight.iter().any(|(evidence, _)| evidence.cusum.highest() > 0));
    assert_eq!(run([3, 1, 0, 2], 5), straight);
    assert_eq!(run([2, 3, 1, 0], 1), straight);
}

/// The other half of invariant 4: at a low rate the evidence is that of the sampled alone.
#[test]
fn unsampled_work_does_not_change_the_evidence() {
    let mut suite = Suite::builder().params(|p| p.reputation.step_ppm = 1_000_000).build();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 1_000 * FEE);
    let claim = suite.claim(session, 4);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(0, &[batch], &honest);
    suite.at_epoch(1);
    suite.settle(&executor, 0, 200);
    let evidence = |suite: &Suite| -> EvidenceResponse {
        suite.query(&QueryMsg::Evidence { executor: executor.to_string() })
    };
    // Full trust: the session's mark falls to 1 % with this claim, so the next batch samples 5 of 404.
    let claim = suite.claim(session, 5);
    let renewed = suite.commit_batch(&executor, vec![claim], 0);
    let claim = suite.claim(session, 409);
    let sparse = suite.commit_batch(&executor, vec![claim], 0);
    let before = evidence(&suite).cusum;
    suite.judge(6, &[renewed, sparse], &|_, _| Some(REPLAY));
    suite.at_epoch(2);
    suite.settle(&executor, 1, 200);
    assert_eq!(suite.epoch(&executor, 1).folded, 6);
    assert_eq!(before.highest().max(0) + 6 * 348_777, evidence(&suite).cusum.highest());
}

/// Invariant 6 over a long run: the beginning's balances are the end's, but for what was burned.
#[test]
fn everything_that_leaves_the_contract_was_somebodys() {
    // Nobody earns trust here, so every cheat's epoch is sampled in full.
    let mut suite = Suite::builder().params(|p| p.reputation.min_checked = 1_000).build();
    for epoch in 0..3u64 {
        suite.at_epoch(epoch);
        let work = twelve_each(&mut suite);
        let batches: Vec<BatchId> = work.iter().map(|(_, _, batch)| *batch).collect();
        suite.judge(epoch * 6, &batches, &seeing(batches[epoch as usize]));
        suite.at_epoch(epoch + 1);
        for (node, _, _) in &work {
            suite.settle(node, epoch, 200);
        }
        for node in suite.nodes.clone() {
            suite.accepted(&node, &ExecuteMsg::Claim {}, 0);
        }
    }
    let pools = suite.pools();
    assert_eq!(pools.refunds.u128(), 3 * 12 * FEE);
    assert_eq!((pools.escrow.u128(), pools.pending.u128(), pools.checks.u128()), (0, 0, 0));
    assert_eq!(pools.stakes.u128(), 8 * MIN_STAKE - 3 * (2 * MIN_STAKE / 10));
}

#[test]
fn every_step_tells_the_world_in_events_that_can_be_read() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 12 * FEE);
    let msg = suite.committing(vec![suite.claim(session, 4)]);
    let mut seen = vec![suite.accepted(&executor, &msg, 0)];
    let (sender, batch) = (suite.requester.clone(), BatchId(1));
    suite.at_window(1);
    let posting = suite.posting(0);
    seen.push(suite.accepted(&sender, &posting, 0));
    seen.push(suite.accepted(&sender, &ExecuteMsg::Draw { batch, limit: 9 }, 0));
    let juror = suite.nodes[1].clone();
    let page = suite.pages(&juror, 1, &honest).remove(0);
    let committing = suite.committing_page(&juror, &page);
    seen.push(suite.accepted(&juror, &committing, 0));
    suite.at_window(3);
    seen.push(suite.accepted(&juror, &revealing(&juror, page), 0));
    suite.at_epoch(1);
    seen.push(suite.accepted(&sender, &ExecuteMsg::Tally { batch, from: 0, limit: 1 }, 0));
    seen.push(suite.settle(&executor, 0, 9));
    let mut kinds = Vec::new();
    for event in seen.iter().flat_map(|response| &response.events) {
        let attributes: BTreeMap<String, String> =
            event.attributes.iter().map(|a| (a.key.clone(), a.value.clone())).collect();
        if let Some(event) = Event::decode(&event.ty, &attributes).unwrap() {
            kinds.push(event.kind());
        }
    }
    let expected = [
        "assay_batch_committed",
        "assay_beacon_posted",
        "assay_drawn",
        "assay_verdicts_committed",
        "assay_verdicts_revealed",
        "assay_sample_closed",
        "assay_settled",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(suite.epoch(&executor, 0).epoch, Epoch(0));
}
