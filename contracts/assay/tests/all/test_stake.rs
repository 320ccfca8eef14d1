//! Stakes on their way in and out: nobody leaves before it has answered for what it did.

use assay_common::ids::{BatchId, Epoch, SessionId, Window};
use assay_common::msg::{EpochStatus, EvidenceResponse, ExecuteMsg, NodeResponse, QueryMsg, SampleResponse};
use assay_common::reputation::Reputation;
use assay_common::verdict::Outcome;
use assay_contract::error::ContractError;
use assay_contract::stake::MAX_UNBONDINGS;
use cosmwasm_std::Addr;

use crate::suite::*;

const WITHDRAW: ExecuteMsg = ExecuteMsg::Withdraw {};

fn unbonding(amount: u128) -> ExecuteMsg {
    ExecuteMsg::Unbond { amount: amount.into() }
}

fn adding() -> ExecuteMsg {
    ExecuteMsg::UpdateNode { models: None, endpoint: None }
}

fn node(suite: &Suite, address: &Addr) -> NodeResponse {
    suite.query(&QueryMsg::Node { address: address.to_string() })
}

fn evidence(suite: &Suite, executor: &Addr) -> i64 {
    let evidence: EvidenceResponse = suite.query(&QueryMsg::Evidence { executor: executor.to_string() });
    evidence.cusum.highest()
}

/// A batch of `count` by the first node, in the first window of `epoch`.
fn committed(suite: &mut Suite, epoch: u64, count: u64) -> (SessionId, BatchId) {
    let executor = suite.nodes[0].clone();
    suite.at_epoch(epoch);
    let session = suite.open_session(&executor, u128::from(count) * FEE);
    let claim = suite.claim(session, count);
    (session, suite.commit_batch(&executor, vec![claim], 0))
}

/// The same, judged by jurors of one mind and settled.
fn settled(suite: &mut Suite, epoch: u64, count: u64, mind: Outcome) {
    let (_, batch) = committed(suite, epoch, count);
    suite.judge(epoch * 6, &[batch], &move |_: &SampleResponse, _: &Addr| Some(mind));
    suite.at_epoch(epoch + 1);
    let executor = suite.nodes[0].clone();
    suite.settle(&executor, epoch, 200);
}

/// The first second at which what is unbonded now can be withdrawn.
fn release(suite: &Suite) -> u64 {
    suite.app.block_info().time.seconds() + u64::from(suite.params.limits.unbonding_seconds)
}

/// How many of forty samples of the second node the first has a seat on, if committed in this window.
fn seats(suite: &mut Suite, window: u64) -> usize {
    let (leaving, executor) = (suite.nodes[0].to_string(), suite.nodes[1].clone());
    suite.at_window(window);
    let session = suite.open_session(&executor, 40 * FEE);
    let claim = suite.claim(session, 40);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.at_window(window + 1);
    suite.post_beacon(window);
    suite.draw(batch, 100);
    let seated = |sample: &&SampleResponse| sample.seats.iter().any(|seat| seat.juror == leaving);
    suite.samples(batch).iter().filter(seated).count()
}

#[test]
fn what_is_unbonded_weighs_nothing_from_the_next_epoch_on_and_stays_in_the_contract() {
    let mut suite = Suite::builder().nodes(5).build();
    let leaving = suite.nodes[0].clone();
    let release = release(&suite);
    let response = suite.accepted(&leaving, &unbonding(2 * MIN_STAKE), 0);
    let event = attributes(&response, "assay_unbonded");
    assert_eq!(event["stake_before"], (2 * MIN_STAKE).to_string());
    assert_eq!((event["stake_after"].as_str(), event["from_epoch"].as_str()), ("0", "1"));
    assert_eq!(event["release"], release.to_string());
    let record = node(&suite, &leaving);
    assert_eq!(record.stake.u128(), 0);
    let parts: Vec<_> = record.unbonding.iter().map(|part| (part.amount.u128(), part.release)).collect();
    assert_eq!(parts, [(2 * MIN_STAKE, release)]);
    assert_eq!(suite.pools().stakes.u128(), 10 * MIN_STAKE);
    assert!(seats(&mut suite, 0) > 0);
    assert_eq!(seats(&mut suite, 6), 0);
}

#[test]
fn what_stays_bonded_is_nothing_or_enough_for_the_dearest_model() {
    let mut suite = Suite::new();
    let leaving = suite.nodes[0].clone();
    let stake = (2 * MIN_STAKE).into();
    for amount in [0, 2 * MIN_STAKE + 1] {
        let expected = ContractError::BadUnbonding { amount: amount.into(), stake };
        suite.refused(&leaving, &unbonding(amount), 0, expected);
    }
    for rest in [1, MIN_STAKE - 1] {
        let expected = ContractError::StakeTooLow { stake: rest.into(), needed: MIN_STAKE.into() };
        suite.refused(&leaving, &unbonding(2 * MIN_STAKE - rest), 0, expected);
    }
    suite.accepted(&leaving, &unbonding(MIN_STAKE), 0);
    suite.accepted(&leaving, &unbonding(MIN_STAKE), 0);
}

#[test]
fn a_stake_leaves_in_a_bounded_number_of_parts() {
    let mut suite = Suite::new();
    let leaving = suite.nodes[0].clone();
    for _ in 0..MAX_UNBONDINGS {
        suite.accepted(&leaving, &unbonding(1), 0);
    }
    suite.refused(&leaving, &unbonding(1), 0, ContractError::TooManyUnbondings { most: MAX_UNBONDINGS });
    suite.at_epoch(11);
    suite.accepted(&leaving, &WITHDRAW, 0);
    suite.accepted(&leaving, &unbonding(1), 0);
}

#[test]
fn each_part_is_paid_out_after_its_time_and_once() {
    let mut suite = Suite::new();
    let leaving = suite.nodes[0].clone();
    let address = leaving.to_string();
    suite.refused(&leaving, &WITHDRAW, 0, ContractError::NothingUnbonding { node: address });
    let before = suite.balance(&leaving);
    let first = release(&suite);
    suite.accepted(&leaving, &unbonding(7), 0);
    suite.at_epoch(1);
    let second = release(&suite);
    suite.accepted(&leaving, &unbonding(11), 0);
    suite.at_seconds(first - 1);
    let expected = ContractError::StillUnbonding { release: first, now: first - 1 };
    suite.refused(&leaving, &WITHDRAW, 0, expected);
    suite.at_seconds(first);
    let response = suite.accepted(&leaving, &WITHDRAW, 0);
    let event = attributes(&response, "assay_withdrawn");
    assert_eq!((event["amount"].as_str(), event["unbonding_after"].as_str()), ("7", "11"));
    assert_eq!((event["unbonding_before"].as_str(), event["left"].as_str()), ("18", "false"));
    let expected = ContractError::StillUnbonding { release: second, now: first };
    suite.refused(&leaving, &WITHDRAW, 0, expected);
    suite.at_seconds(second);
    suite.accepted(&leaving, &WITHDRAW, 0);
    assert_eq!(suite.balance(&leaving), before + 18);
    assert_eq!(suite.pools().stakes.u128(), 8 * MIN_STAKE - 18);
}

#[test]
fn nothing_is_withdrawn_while_a_past_epoch_of_the_node_is_not_settled() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let (_, batch) = committed(&mut suite, 0, 4);
    suite.accepted(&executor, &unbonding(MIN_STAKE), 0);
    suite.judge(0, &[batch], &honest);
    suite.at_epoch(11);
    let expected = ContractError::UnsettledWork { node: executor.to_string(), epoch: Epoch(0) };
    suite.refused(&executor, &WITHDRAW, 0, expected);
    suite.settle(&executor, 0, 200);
    suite.accepted(&executor, &WITHDRAW, 0);
}

/// Else who works in every epoch could never withdraw.
#[test]
fn a_node_that_keeps_its_minimum_withdraws_while_its_present_epoch_is_open() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    suite.accepted(&executor, &unbonding(MIN_STAKE), 0);
    settled(&mut suite, 9, 4, VALID);
    committed(&mut suite, 10, 4);
    suite.at_window(65);
    suite.accepted(&executor, &WITHDRAW, 0);
    assert_eq!(node(&suite, &executor).stake.u128(), MIN_STAKE);
}

/// Its epoch is not over, but the stake that answers for it would be gone.
#[test]
fn a_node_that_a_slash_left_below_its_minimum_waits_for_its_present_epoch_too() {
    let mut suite = Suite::builder().stake(20 * MIN_STAKE).build();
    let executor = suite.nodes[0].clone();
    suite.accepted(&executor, &unbonding(19 * MIN_STAKE), 0);
    let (_, cheated) = committed(&mut suite, 9, 12);
    suite.judge(54, &[cheated], &|_, _| Some(REPLAY));
    committed(&mut suite, 10, 4);
    suite.at_window(64);
    suite.settle(&executor, 9, 200);
    assert_eq!(node(&suite, &executor).stake.u128(), 0);
    suite.at_window(65);
    let expected = ContractError::UnsettledWork { node: executor.to_string(), epoch: Epoch(10) };
    suite.refused(&executor, &WITHDRAW, 0, expected);
}

#[test]
fn a_juror_that_leaves_waits_until_what_it_judged_is_closed() {
    let mut suite = Suite::new();
    let juror = suite.nodes[1].clone();
    let (_, batch) = committed(&mut suite, 0, 4);
    suite.at_window(1);
    suite.post_beacon(0);
    suite.draw(batch, 100);
    suite.commit_verdicts(1, &honest);
    suite.accepted(&juror, &unbonding(2 * MIN_STAKE), 0);
    suite.at_epoch(12);
    let expected = ContractError::OpenSeats { juror: juror.to_string(), window: Window(1) };
    suite.refused(&juror, &WITHDRAW, 0, expected);
    suite.tally_rest(batch);
    let response = suite.accepted(&juror, &WITHDRAW, 0);
    assert_eq!(attribute(&response, "assay_withdrawn", "left"), "true");
}

/// Who has judged a contested sample waits for its end, and for nobody else's: there may always be some that are contested.
#[test]
fn a_juror_that_leaves_waits_for_its_own_contested_samples_and_not_for_those_drawn_later() {
    let mut suite = Suite::builder().nodes(6).params(|p| p.jury.second_seats = 4).build();
    let (leaving, executor) = (suite.nodes[1].clone(), suite.nodes[0].clone());
    let dissent = |sample: &SampleResponse, juror: &Addr| {
        Some(if sample.seats[0].juror == juror.as_str() { REPLAY } else { VALID })
    };
    let (_, own) = committed(&mut suite, 0, 6);
    suite.draw_and_reveal(0, &[own], &dissent);
    suite.accepted(&leaving, &unbonding(2 * MIN_STAKE), 0);
    suite.at_window(4);
    suite.post_beacon(3);
    suite.tally(own, 0, 100);
    suite.at_window(65);
    let session = suite.open_session(&executor, 25 * FEE);
    let later: Vec<BatchId> = (1..=25)
        .map(|nonce| {
            let claim = suite.claim(session, nonce);
            suite.commit_batch(&executor, vec![claim], 0)
        })
        .collect();
    suite.draw_and_reveal(65, &later, &dissent);
    suite.at_window(69);
    suite.post_beacon(68);
    for batch in &later {
        suite.tally(*batch, 0, 1);
    }
    assert!(later.iter().all(|batch| suite.samples(*batch)[0].second.is_some()));
    let expected = ContractError::OpenSeats { juror: leaving.to_string(), window: Window(1) };
    suite.refused(&leaving, &WITHDRAW, 0, expected);
    suite.tally_rest(own);
    let response = suite.accepted(&leaving, &WITHDRAW, 0);
    assert_eq!(attribute(&response, "assay_withdrawn", "left"), "true");
}

/// The attack of its name.
#[test]
fn unbonding_before_judgement_does_not_save_the_stake() {
    let mut suite = Suite::new();
    let cheat = suite.nodes[0].clone();
    let (_, batch) = committed(&mut suite, 0, 12);
    suite.accepted(&cheat, &unbonding(2 * MIN_STAKE), 0);
    suite.judge(0, &[batch], &|_, _| Some(REPLAY));
    suite.at_epoch(1);
    let response = suite.settle(&cheat, 0, 200);
    let slash = 2 * MIN_STAKE / 10;
    let event = attributes(&response, "assay_slashed");
    assert_eq!(event["amount"], slash.to_string());
    assert_eq!(event["unbonding_before"], (2 * MIN_STAKE).to_string());
    assert_eq!(event["unbonding_after"], (2 * MIN_STAKE - slash).to_string());
    assert_eq!((event["stake_before"].as_str(), event["stake_after"].as_str()), ("0", "0"));
    assert_eq!(suite.epoch(&cheat, 0).slashed.u128(), slash);
    let before = suite.balance(&cheat);
    suite.at_epoch(11);
    suite.accepted(&cheat, &WITHDRAW, 0);
    assert_eq!(suite.balance(&cheat), before + 2 * MIN_STAKE - slash);
}

#[test]
fn a_slash_is_of_all_that_is_there_and_takes_what_is_bonded_first() {
    let mut suite = Suite::builder().stake(4 * MIN_STAKE).build();
    let cheat = suite.nodes[0].clone();
    suite.accepted(&cheat, &unbonding(3 * MIN_STAKE), 0);
    settled(&mut suite, 0, 12, REPLAY);
    let record = node(&suite, &cheat);
    assert_eq!(record.stake.u128(), MIN_STAKE - 4 * MIN_STAKE / 10);
    assert_eq!(record.unbonding[0].amount.u128(), 3 * MIN_STAKE);
    // Below its minimum it neither commits nor sits, until it adds to its stake.
    let (msg, needed) = (suite.committing(vec![]), MIN_STAKE.into());
    suite.refused(&cheat, &msg, 0, ContractError::StakeTooLow { stake: record.stake, needed });
    suite.accepted(&cheat, &adding(), 4 * MIN_STAKE / 10);
    assert!(seats(&mut suite, 12) > 0);
}

#[test]
fn who_has_left_commits_nothing_judges_nothing_and_gets_no_sessions() {
    let mut suite = Suite::builder().nodes(5).build();
    let left = suite.nodes[0].clone();
    let session = suite.open_session(&left, 100 * FEE);
    suite.accepted(&left, &unbonding(2 * MIN_STAKE), 0);
    let (batch, needed) = (suite.committing(vec![suite.claim(session, 1)]), MIN_STAKE.into());
    let expected = ContractError::StakeTooLow { stake: 0u128.into(), needed };
    suite.refused(&left, &batch, 0, expected.clone());
    suite.at_epoch(11);
    suite.accepted(&left, &WITHDRAW, 0);
    let address = left.to_string();
    let commit = ExecuteMsg::CommitVerdicts { window: Window(66), page: 0, hash: Default::default() };
    for msg in [batch, commit, adding(), unbonding(1), WITHDRAW] {
        suite.refused(&left, &msg, 0, ContractError::NotRegistered { address: address.clone() });
    }
    let (opening, requester) = (suite.opening(&left), suite.requester.clone());
    suite.refused(&requester, &opening, FEE, expected);
    assert_eq!(seats(&mut suite, 66), 0);
    assert_eq!(node(&suite, &left).stake.u128(), 0);
}

/// The attack of its name: eight failures do not condemn, and the ninth does, whatever lies between.
#[test]
fn quitting_and_registering_again_keeps_the_evidence_and_loses_the_reputation() {
    let mut suite = Suite::builder().params(|p| p.reputation.min_checked = 30).build();
    let executor = suite.nodes[0].clone();
    settled(&mut suite, 0, 30, VALID);
    // Of six inferences four are checked at this reputation.
    settled(&mut suite, 1, 6, REPLAY);
    settled(&mut suite, 2, 6, REPLAY);
    let carried = evidence(&suite, &executor);
    assert_eq!((carried, node(&suite, &executor).reputation), (8 * 348_777, Reputation(200_000)));
    suite.accepted(&executor, &unbonding(2 * MIN_STAKE), 0);
    suite.at_epoch(14);
    suite.accepted(&executor, &WITHDRAW, 0);
    let msg = suite.registration();
    suite.accepted(&executor, &msg, 2 * MIN_STAKE);
    let record = node(&suite, &executor);
    assert_eq!((record.reputation, record.stake.u128()), (Reputation(0), 2 * MIN_STAKE));
    assert_eq!(evidence(&suite, &executor), carried);
    settled(&mut suite, 15, 1, REPLAY);
    assert_eq!(suite.epoch(&executor, 15).status, EpochStatus::Forfeited);
}

#[test]
fn who_is_leaving_may_stay_after_all_and_is_no_new_node() {
    let mut suite = Suite::new();
    let leaving = suite.nodes[0].clone();
    suite.accepted(&leaving, &unbonding(2 * MIN_STAKE), 0);
    let msg = suite.registration();
    suite.refused(&leaving, &msg, MIN_STAKE, ContractError::NodeKnown { address: leaving.to_string() });
    let expected = ContractError::StakeTooLow { stake: (MIN_STAKE - 1).into(), needed: MIN_STAKE.into() };
    suite.refused(&leaving, &adding(), MIN_STAKE - 1, expected);
    suite.accepted(&leaving, &adding(), MIN_STAKE);
    let record = node(&suite, &leaving);
    assert_eq!((record.stake.u128(), record.unbonding.len()), (MIN_STAKE, 1));
    assert!(seats(&mut suite, 6) > 0);
}

/// The attack of its name: between the beacon that tells the juries and the draw, stakes move in every way they can.
#[test]
fn stake_moved_between_beacon_and_draw_changes_no_jury() {
    let juries = |moves: &[(usize, ExecuteMsg, u128)], newcomer: bool| {
        let mut suite = Suite::builder().nodes(6).build();
        let (_, batch) = committed(&mut suite, 0, 30);
        suite.at_window(1);
        suite.post_beacon(0);
        for (who, msg, funds) in moves {
            let who = suite.nodes[*who].clone();
            suite.accepted(&who, msg, *funds);
        }
        if newcomer {
            let late = suite.account("late");
            suite.register_node(&late, 50 * MIN_STAKE);
        }
        suite.at_epoch(2);
        suite.draw(batch, 100);
        suite.samples(batch).into_iter().map(|sample| sample.seats).collect::<Vec<_>>()
    };
    let still = juries(&[], false);
    let moves =
        [(1, unbonding(2 * MIN_STAKE), 0), (2, unbonding(MIN_STAKE), 0), (3, adding(), 30 * MIN_STAKE)];
    assert_eq!(juries(&moves, true), still);
}
