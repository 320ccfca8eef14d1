use assay_common::ids::{BatchId, Epoch, SessionId};
use assay_common::msg::{EpochStatus, EvidenceResponse, ExecuteMsg, NodeResponse, QueryMsg, SampleResponse};
use assay_common::verdict::{AbstainReason, Outcome};
use assay_contract::error::ContractError;
use cosmwasm_std::Addr;

use crate::suite::*;

fn node(suite: &Suite, address: &Addr) -> NodeResponse {
    suite.query(&QueryMsg::Node { address: address.to_string() })
}

fn evidence(suite: &Suite, executor: &Addr) -> i64 {
    let evidence: EvidenceResponse = suite.query(&QueryMsg::Evidence { executor: executor.to_string() });
    evidence.cusum.highest()
}

/// A batch of `count` in the first window of `epoch`, judged by jurors of one mind; the epoch is over then.
fn judged(suite: &mut Suite, epoch: u64, count: u64, mind: Outcome) -> (SessionId, BatchId) {
    let executor = suite.nodes[0].clone();
    let first = epoch * 6;
    suite.at_window(first);
    let session = suite.open_session(&executor, u128::from(count) * FEE);
    let claim = suite.claim(session, count);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(first, &[batch], &move |_: &SampleResponse, _: &Addr| Some(mind));
    suite.at_epoch(epoch + 1);
    (session, batch)
}

#[test]
fn an_epoch_settles_when_it_is_over_in_order_and_once() {
    let mut suite = Suite::new();
    let (executor, sender) = (suite.nodes[0].clone(), suite.requester.clone());
    let address = executor.to_string();
    let session = suite.open_session(&executor, 50 * FEE);
    let expected = ContractError::UnknownEpoch { executor: address.clone(), epoch: Epoch(0) };
    suite.refused(&sender, &settling(&executor, 0, 10), 0, expected);
    let claim = suite.claim(session, 4);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(0, &[batch], &honest);
    let expected = ContractError::EpochNotOver { epoch: Epoch(0), now: Epoch(0) };
    suite.refused(&sender, &settling(&executor, 0, 10), 0, expected);
    suite.at_epoch(1);
    let claim = suite.claim(session, 5);
    suite.commit_batch(&executor, vec![claim], 0);
    suite.at_epoch(2);
    let expected = ContractError::EarlierEpochOpen { epoch: Epoch(1), earlier: Epoch(0) };
    suite.refused(&sender, &settling(&executor, 1, 10), 0, expected);
    suite.settle(&executor, 0, 10);
    let expected = ContractError::EpochSettled { executor: address.clone(), epoch: Epoch(0) };
    suite.refused(&sender, &settling(&executor, 0, 10), 0, expected);
    let expected = ContractError::NothingToSettle { executor: address, epoch: Epoch(1) };
    suite.refused(&sender, &settling(&executor, 1, 10), 0, expected);
    for limit in [0, 201] {
        let expected = ContractError::BadLimit { limit, most: 200 };
        suite.refused(&sender, &settling(&executor, 1, limit), 0, expected);
    }
}

#[test]
fn the_evidence_takes_only_the_terminal_prefix() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 50 * FEE);
    let claim = suite.claim(session, 4);
    let first = suite.commit_batch(&executor, vec![claim], 0);
    let claim = suite.claim(session, 8);
    let second = suite.commit_batch(&executor, vec![claim], 0);
    suite.draw_and_reveal(0, &[first, second], &honest);
    suite.at_epoch(1);
    // Closed: the first two samples of the first batch, and all of the second.
    suite.tally(first, 0, 2);
    suite.tally(second, 0, 4);
    let response = suite.settle(&executor, 0, 200);
    assert_eq!(attribute(&response, "assay_settled", "folded"), "2");
    assert_eq!(attribute(&response, "assay_settled", "status"), "open");
    suite.tally(first, 2, 2);
    let response = suite.settle(&executor, 0, 200);
    assert_eq!(attribute(&response, "assay_settled", "folded"), "6");
    assert_eq!(attribute(&response, "assay_settled", "status"), "paid");
}

#[test]
fn an_undrawn_batch_is_never_paid() {
    let mut suite = Suite::new();
    let (executor, sender) = (suite.nodes[0].clone(), suite.requester.clone());
    let session = suite.open_session(&executor, 50 * FEE);
    let claim = suite.claim(session, 4);
    let first = suite.commit_batch(&executor, vec![claim], 0);
    let claim = suite.claim(session, 8);
    let second = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(0, &[first], &honest);
    suite.at_epoch(9);
    suite.settle(&executor, 0, 200);
    let expected = ContractError::NothingToSettle { executor: executor.to_string(), epoch: Epoch(0) };
    suite.refused(&sender, &settling(&executor, 0, 200), 0, expected);
    assert_eq!(suite.epoch(&executor, 0).status, EpochStatus::Open);
    // The beacon stays public: late is not never.
    suite.draw(second, 100);
    suite.at_epoch(10);
    suite.tally(second, 0, 100);
    suite.settle(&executor, 0, 200);
    assert_eq!(suite.epoch(&executor, 0).status, EpochStatus::Paid);
}

#[test]
fn pages_of_any_size_settle_alike() {
    let run = |limit: u32| {
        let mut suite = Suite::new();
        judged(&mut suite, 0, 12, VALID);
        let executor = suite.nodes[0].clone();
        while suite.epoch(&executor, 0).status == EpochStatus::Open {
            suite.settle(&executor, 0, limit);
        }
        (suite.epoch(&executor, 0), evidence(&suite, &executor), node(&suite, &executor).reputation)
    };
    let whole = run(200);
    for limit in [1, 5, 12] {
        assert_eq!(run(limit), whole, "{limit}");
    }
}

/// Four failures in each of three epochs: none condemns alone, the ninth of them all does.
#[test]
fn small_batches_in_each_epoch_add_up_until_a_forfeit_resets_the_evidence() {
    let mut suite = Suite::builder().params(|p| p.reputation.min_checked = 1_000).build();
    let executor = suite.nodes[0].clone();
    let mut carried = Vec::new();
    for epoch in 0..2 {
        judged(&mut suite, epoch, 4, REPLAY);
        suite.settle(&executor, epoch, 200);
        assert_eq!(suite.epoch(&executor, epoch).status, EpochStatus::Paid);
        carried.push(evidence(&suite, &executor));
    }
    assert_eq!(carried, [4 * 348_777, 8 * 348_777]);
    judged(&mut suite, 2, 4, REPLAY);
    let response = suite.settle(&executor, 2, 200);
    assert_eq!(attribute(&response, "assay_settled", "evidence_before"), (8 * 348_777).to_string());
    assert_eq!(attribute(&response, "assay_settled", "evidence_after"), (9 * 348_777).to_string());
    let epoch = suite.epoch(&executor, 2);
    assert_eq!((epoch.status, epoch.folded), (EpochStatus::Forfeited, 1));
    assert_eq!(evidence(&suite, &executor), 0);
}

#[test]
fn a_clean_epoch_earns_a_step_and_a_forfeit_takes_all() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    for epoch in 0..2 {
        judged(&mut suite, epoch, 12, VALID);
        suite.settle(&executor, epoch, 200);
    }
    let standing = node(&suite, &executor);
    assert_eq!(standing.reputation.0, 400_000);
    assert!(standing.rate_q32 < 1 << 32);
    // Fewer than four checked earn nothing.
    judged(&mut suite, 2, 3, VALID);
    suite.settle(&executor, 2, 200);
    assert_eq!(node(&suite, &executor).reputation.0, 400_000);
    judged(&mut suite, 3, 30, REPLAY);
    suite.settle(&executor, 3, 200);
    let standing = node(&suite, &executor);
    assert_eq!((standing.reputation.0, standing.rate_q32), (0, 1 << 32));
}

/// Invariant 9.
#[test]
fn an_inconclusive_epoch_never_lowers_reputation_reward_or_stake() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    judged(&mut suite, 0, 4, VALID);
    suite.settle(&executor, 0, 200);
    let before = node(&suite, &executor);
    suite.at_epoch(1);
    let session = suite.open_session(&executor, 12 * FEE);
    let claim = suite.claim(session, 12);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(6, &[batch], &|_, _| None);
    suite.at_epoch(2);
    suite.settle(&executor, 1, 200);
    let epoch = suite.epoch(&executor, 1);
    assert_eq!(epoch.reward, epoch.fees - epoch.reserve - epoch.checks);
    let after = node(&suite, &executor);
    assert_eq!((after.reputation, after.stake), (before.reputation, before.stake));
}

/// Evidence is carried into epochs of a lower bound, where it is above it already.
#[test]
fn what_adds_no_evidence_never_condemns_under_a_bound_that_was_lowered() {
    let mut suite = Suite::new();
    let (executor, governance) = (suite.nodes[0].clone(), suite.governance.clone());
    let patch = serde_json::from_str(r#"{"evidence": {"false_forfeit_one_in": "1000000"}}"#).unwrap();
    suite.accepted(&governance, &ExecuteMsg::UpdateParams { patch, epoch: Epoch(1) }, 0);
    judged(&mut suite, 0, 8, REPLAY);
    suite.settle(&executor, 0, 200);
    let carried = evidence(&suite, &executor);
    let inconclusive = Outcome::Inconclusive { reason: AbstainReason::Recompute };
    for (epoch, mind, adds) in [(1, inconclusive, 0), (2, VALID, -47_348)] {
        let before = evidence(&suite, &executor);
        judged(&mut suite, epoch, 1, mind);
        let response = suite.settle(&executor, epoch, 200);
        let bound: i64 = attribute(&response, "assay_settled", "bound").parse().unwrap();
        assert!(evidence(&suite, &executor) >= bound && carried >= bound);
        assert_eq!(evidence(&suite, &executor), before + adds);
        assert_eq!(suite.epoch(&executor, epoch).status, EpochStatus::Paid);
    }
    judged(&mut suite, 3, 1, REPLAY);
    suite.settle(&executor, 3, 200);
    assert_eq!(suite.epoch(&executor, 3).status, EpochStatus::Forfeited);
}

#[test]
fn a_forfeit_takes_no_stake_while_too_few_others_could_have_judged() {
    let mut suite = Suite::builder().params(|p| p.jury.min_others_to_slash = 4).build();
    let executor = suite.nodes[0].clone();
    let (session, _) = judged(&mut suite, 0, 12, REPLAY);
    suite.settle(&executor, 0, 200);
    let epoch = suite.epoch(&executor, 0);
    assert_eq!((epoch.status, epoch.slashed.u128()), (EpochStatus::Forfeited, 0));
    assert_eq!(node(&suite, &executor).stake.u128(), 2 * MIN_STAKE);
    // Without a slash there is no top-up: what is pending goes back.
    assert_eq!(suite.session(session).escrow, epoch.pending);
}

#[test]
fn the_refunds_of_a_forfeited_epoch_are_shared_to_the_last_unit() {
    let mut suite = Suite::builder()
        .params(|p| {
            p.jury.min_others_to_slash = 4;
            p.fees.reserve_ppm = 10_100;
        })
        .build();
    let executor = suite.nodes[0].clone();
    let sessions: Vec<SessionId> = (0..3).map(|_| suite.open_session(&executor, 20 * FEE)).collect();
    let counts = [3u64, 4, 6];
    let claims = sessions.iter().zip(counts).map(|(session, count)| suite.claim(*session, count)).collect();
    let batch = suite.commit_batch(&executor, claims, 0);
    suite.judge(0, &[batch], &|_, _| Some(REPLAY));
    suite.at_epoch(1);
    suite.settle(&executor, 0, 200);
    let pool = suite.epoch(&executor, 0).refunded.u128();
    assert_eq!(pool, 13 * FEE - 131 - 13 * 3 * VERDICT_FEE); // 10,139: no multiple of 13
    let share = |count: u128| pool * count / 13;
    let escrow = |suite: &Suite, place: usize| suite.session(sessions[place]).escrow.u128();
    for (place, count) in counts.iter().enumerate() {
        assert_eq!(escrow(&suite, place), 20 * FEE - u128::from(*count) * FEE + share(u128::from(*count)));
    }
    // Touched one after the other; the query said beforehand what each gets, and the last leaves nothing behind.
    for (place, session) in sessions.iter().enumerate() {
        let before = escrow(&suite, place);
        let claim = suite.claim(*session, counts[place] + 1);
        suite.commit_batch(&executor, vec![claim], 0);
        assert_eq!(escrow(&suite, place), before - FEE);
    }
    assert_eq!(suite.pools().refunds.u128(), 0);
}

#[test]
fn a_slash_enters_the_next_epochs_table_and_drops_a_node_below_the_minimum() {
    let mut suite = Suite::builder()
        .nodes(5)
        .stake(MIN_STAKE)
        .params(|params| params.jury.second_seats = params.jury.seats)
        .build();
    let (cheat, honest_node) = (suite.nodes[0].clone(), suite.nodes[1].clone());
    judged(&mut suite, 0, 12, REPLAY);
    suite.settle(&cheat, 0, 200);
    assert_eq!(node(&suite, &cheat).stake.u128(), MIN_STAKE - MIN_STAKE / 10);
    let juries = |suite: &mut Suite, window: u64| {
        suite.at_window(window);
        let session = suite.open_session(&honest_node, 40 * FEE);
        let claim = suite.claim(session, 40);
        let batch = suite.commit_batch(&honest_node, vec![claim], 0);
        suite.at_window(window + 1);
        suite.post_beacon(window);
        suite.draw(batch, 100);
        let seated = |s: &SampleResponse| s.seats.iter().any(|seat| seat.juror == cheat.as_str());
        suite.samples(batch).iter().filter(|sample| seated(sample)).count()
    };
    assert!(juries(&mut suite, 8) > 0);
    assert_eq!(juries(&mut suite, 12), 0);
    // Nor does anybody open a session with it any more.
    let (msg, sender) = (suite.opening(&cheat), suite.requester.clone());
    let expected =
        ContractError::StakeTooLow { stake: (MIN_STAKE - MIN_STAKE / 10).into(), needed: MIN_STAKE.into() };
    suite.refused(&sender, &msg, FEE, expected);
}

#[test]
fn a_forfeited_epoch_is_settled_and_the_next_begins_afresh() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let sender = suite.requester.clone();
    judged(&mut suite, 0, 12, REPLAY);
    suite.settle(&executor, 0, 200);
    let expected = ContractError::EpochSettled { executor: executor.to_string(), epoch: Epoch(0) };
    suite.refused(&sender, &settling(&executor, 0, 200), 0, expected);
    judged(&mut suite, 1, 8, REPLAY);
    suite.settle(&executor, 1, 200);
    assert_eq!(suite.epoch(&executor, 1).status, EpochStatus::Paid);
    assert_eq!(evidence(&suite, &executor), 8 * 348_777);
}

#[test]
fn what_is_paid_is_claimed_once() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let address = executor.to_string();
    let nothing = ContractError::NothingToClaim { address: address.clone() };
    suite.refused(&executor, &ExecuteMsg::Claim {}, 0, nothing.clone());
    judged(&mut suite, 0, 12, VALID);
    suite.settle(&executor, 0, 200);
    let before = suite.balance(&executor);
    let response = suite.accepted(&executor, &ExecuteMsg::Claim {}, 0);
    let reward = suite.epoch(&executor, 0).reward.u128();
    assert_eq!(suite.balance(&executor), before + reward);
    assert_eq!(attribute(&response, "assay_claimed", "amount"), reward.to_string());
    suite.refused(&executor, &ExecuteMsg::Claim {}, 0, nothing);
    let juror = suite.nodes[1].clone();
    let before = suite.balance(&juror);
    suite.accepted(&juror, &ExecuteMsg::Claim {}, 0);
    assert_eq!(suite.balance(&juror), before + 12 * VERDICT_FEE);
}
