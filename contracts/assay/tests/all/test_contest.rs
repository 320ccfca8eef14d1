//! The second level of a jury: who sits on it, how it ends, who pays for it; and what laziness, silence and absence cost.

use assay_common::ids::{BatchId, Epoch, Window};
use assay_common::msg::{DueBeacon, ExecuteMsg, NodeResponse, QueryMsg, SampleKey, SampleResponse};
use assay_common::probe::PROBES;
use assay_common::verdict::{
    FailReason, FinalOutcome, InvalidReason, OpenReason, Outcome, UnavailableReason, VerdictPage,
};
use assay_contract::error::ContractError;
use cosmwasm_std::Addr;

use crate::suite::*;

const ABSENT: Outcome = Outcome::Unavailable { reason: UnavailableReason::Absent };

/// Twelve nodes, one inference of the first committed; juries of three and nine.
fn committed() -> (Suite, BatchId) {
    let mut suite = Suite::builder()
        .nodes(12)
        .params(|params| {
            params.jury.second_seats = 9;
        })
        .build();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 100 * FEE);
    let claim = suite.claim(session, 1);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    (suite, batch)
}

fn first(suite: &Suite, batch: BatchId) -> Vec<String> {
    suite.samples(batch)[0].seats.iter().map(|seat| seat.juror.clone()).take(3).collect()
}

/// Up to the beacon of the second level: the first level says what `mind` says of each of its three places.
fn contested(suite: &mut Suite, batch: BatchId, mind: [Option<Outcome>; 3]) {
    suite.draw_and_reveal(0, &[batch], &|sample: &SampleResponse, juror: &Addr| {
        let place = sample.seats.iter().position(|seat| seat.juror == juror.as_str())?;
        mind[place]
    });
    suite.at_window(4);
    let waits = ContractError::BeaconMissing { batch, window: Window(3) };
    let sender = suite.requester.clone();
    suite.refused(&sender, &ExecuteMsg::Tally { batch, from: 0, limit: 100 }, 0, waits);
    assert_eq!(suite.due().beacons, [DueBeacon { window: Window(3), round: suite.round(3) }]);
    suite.post_beacon(3);
    suite.tally(batch, 0, 100);
}

/// The second level, drawn in window 4, says what `mind` says; the sample is closed in window 7.
fn second(suite: &mut Suite, batch: BatchId, mind: &dyn Fn(usize) -> Option<Outcome>) -> SampleResponse {
    let pages = suite.commit_verdicts(4, &|sample: &SampleResponse, juror: &Addr| {
        let place = sample.seats.iter().position(|seat| seat.juror == juror.as_str())?;
        mind(place.checked_sub(3)?)
    });
    suite.at_window(6);
    suite.reveal(pages);
    suite.at_window(7);
    suite.tally_rest(batch);
    suite.samples(batch).remove(0)
}

fn claimable(suite: &Suite, address: &str) -> u128 {
    let asking = QueryMsg::Claimable { address: address.into() };
    suite.query::<assay_common::msg::ClaimableResponse>(&asking).amount.u128()
}

fn stake(suite: &Suite, address: &str) -> u128 {
    suite.query::<NodeResponse>(&QueryMsg::Node { address: address.into() }).stake.u128()
}

const BONDED: u128 = 2 * MIN_STAKE;

#[test]
fn a_dissent_gives_the_sample_new_seats_that_are_none_of_the_first_nor_the_executors() {
    let (mut suite, batch) = committed();
    contested(&mut suite, batch, [Some(VALID), Some(REPLAY), Some(VALID)]);
    let sample = suite.samples(batch).remove(0);
    assert_eq!((sample.second, sample.outcome), (Some(Window(4)), None));
    let mut jurors: Vec<&str> = sample.seats.iter().map(|seat| seat.juror.as_str()).collect();
    assert_eq!(jurors.len(), 9);
    jurors.sort_unstable();
    jurors.dedup();
    assert_eq!(jurors.len(), 9, "nobody sits twice");
    assert!(!jurors.contains(&suite.nodes[0].as_str()));
    assert_eq!(sample.probe_seeds.len(), 2);
    assert_ne!(sample.probe_seeds[0], sample.probe_seeds[1]);
}

#[test]
fn an_overruled_dissenter_pays_the_second_level_out_of_its_stake() {
    let (mut suite, batch) = committed();
    contested(&mut suite, batch, [Some(VALID), Some(REPLAY), Some(VALID)]);
    let jurors = first(&suite, batch);
    let sample = second(&mut suite, batch, &|_| Some(VALID));
    assert_eq!(sample.outcome, Some(FinalOutcome::Valid));
    let paid = |juror: &str| claimable(&suite, juror);
    assert_eq!([paid(&jurors[0]), paid(&jurors[1]), paid(&jurors[2])], [VERDICT_FEE, 0, VERDICT_FEE]);
    for seat in &sample.seats[3..] {
        assert_eq!(claimable(&suite, &seat.juror), VERDICT_FEE);
    }
    assert_eq!(stake(&suite, &jurors[1]), BONDED - 6 * VERDICT_FEE);
    assert_eq!(stake(&suite, &jurors[0]), BONDED);
}

#[test]
fn a_confirmed_fraud_is_paid_by_those_who_called_it_valid() {
    let (mut suite, batch) = committed();
    contested(&mut suite, batch, [Some(VALID), Some(REPLAY), Some(VALID)]);
    let jurors = first(&suite, batch);
    let sample = second(&mut suite, batch, &|_| Some(REPLAY));
    let fail = FinalOutcome::Fail { reason: FailReason::Invalid { reason: InvalidReason::Replay } };
    assert_eq!(sample.outcome, Some(fail));
    assert_eq!(stake(&suite, &jurors[0]), BONDED - 3 * VERDICT_FEE);
    assert_eq!(stake(&suite, &jurors[2]), BONDED - 3 * VERDICT_FEE);
    assert_eq!(stake(&suite, &jurors[1]), BONDED);
    assert_eq!(claimable(&suite, &jurors[1]), VERDICT_FEE);
}

#[test]
fn a_fraud_that_all_saw_is_paid_by_the_reserve() {
    let (mut suite, batch) = committed();
    // What the reserve has: 1 % of earlier fees, and the pay of verdicts that were not earned.
    let reserve = suite.pools().reserve.u128();
    contested(&mut suite, batch, [Some(REPLAY); 3]);
    let sample = second(&mut suite, batch, &|_| Some(REPLAY));
    let told: u128 = sample.seats[3..].iter().map(|seat| claimable(&suite, &seat.juror)).sum();
    assert!(told <= reserve && told > 0, "{told} of {reserve}");
    assert_eq!(suite.pools().reserve.u128(), reserve - told);
    for seat in &sample.seats {
        assert_eq!(stake(&suite, &seat.juror), BONDED);
    }
}

#[test]
fn a_borderline_artifact_that_splits_its_jury_costs_the_executor_a_little_and_no_juror_any_stake() {
    let (mut suite, batch) = committed();
    contested(&mut suite, batch, [Some(VALID), Some(REPLAY), Some(VALID)]);
    let before = suite.epoch(&suite.nodes[0].clone(), 0).pending.u128();
    let sample = second(&mut suite, batch, &|place| Some(if place % 2 == 0 { VALID } else { REPLAY }));
    let split = FinalOutcome::Inconclusive { reason: OpenReason::Split };
    assert_eq!(sample.outcome, Some(split));
    let account = suite.epoch(&suite.nodes[0].clone(), 0);
    // One per cent of the epoch's fees, which are one fee.
    assert_eq!(before - account.pending.u128(), FEE / 100);
    for seat in &sample.seats {
        assert_eq!(stake(&suite, &seat.juror), BONDED);
    }
}

/// The attack "juror who always says Valid": it earns nothing, and pays the second level that its probes make necessary.
#[test]
fn a_juror_who_always_says_valid_is_unpaid_and_pays_for_the_second_level() {
    let (mut suite, batch) = committed();
    suite.at_window(1);
    suite.post_beacon(0);
    suite.draw(batch, 100);
    let jurors = first(&suite, batch);
    let lazy = |page: &mut VerdictPage| {
        for verdict in &mut page.verdicts {
            if let Some(score) = &mut verdict.score {
                // It guesses: five of eight by luck.
                score.probes[5..PROBES].fill(4_000);
            }
        }
    };
    let mut pages = Vec::new();
    for juror in suite.nodes.clone() {
        for mut page in suite.pages(&juror, 1, &honest) {
            if juror.as_str() == jurors[2] {
                lazy(&mut page);
            }
            let msg = suite.committing_page(&juror, &page);
            suite.accepted(&juror, &msg, 0);
            pages.push((juror.clone(), page));
        }
    }
    suite.at_window(3);
    suite.reveal(pages);
    suite.at_window(4);
    suite.post_beacon(3);
    suite.tally(batch, 0, 100);
    let sample = second(&mut suite, batch, &|_| Some(VALID));
    assert_eq!(sample.outcome, Some(FinalOutcome::Valid));
    assert_eq!(claimable(&suite, &jurors[2]), 0);
    assert_eq!(stake(&suite, &jurors[2]), BONDED - 6 * VERDICT_FEE);
    assert_eq!(claimable(&suite, &jurors[0]), VERDICT_FEE);
}

/// The attack "juror who always says Invalid".
#[test]
fn a_juror_who_always_says_invalid_pays_for_every_second_level() {
    let (mut suite, batch) = committed();
    contested(&mut suite, batch, [Some(REPLAY), Some(VALID), Some(VALID)]);
    let jurors = first(&suite, batch);
    second(&mut suite, batch, &|_| Some(VALID));
    assert_eq!(stake(&suite, &jurors[0]), BONDED - 6 * VERDICT_FEE);
    assert_eq!(claimable(&suite, &jurors[0]), 0);
}

#[test]
fn a_juror_who_missed_the_artifact_is_unpaid_but_pays_nothing() {
    let (mut suite, batch) = committed();
    contested(&mut suite, batch, [Some(VALID), Some(ABSENT), Some(VALID)]);
    let jurors = first(&suite, batch);
    second(&mut suite, batch, &|_| Some(VALID));
    assert_eq!((claimable(&suite, &jurors[1]), stake(&suite, &jurors[1])), (0, BONDED));
}

#[test]
fn hiding_a_sampled_inference_costs_what_it_earned() {
    let (mut suite, batch) = committed();
    let executor = suite.nodes[0].clone();
    let before = suite.epoch(&executor, 0).pending.u128();
    contested(&mut suite, batch, [Some(ABSENT); 3]);
    let sample = second(&mut suite, batch, &|_| Some(ABSENT));
    assert_eq!(sample.outcome, Some(FinalOutcome::Unavailable));
    // One inference, one sample: the whole fee; what pending lacks comes out of the stake.
    assert_eq!(suite.epoch(&executor, 0).pending.u128(), 0);
    assert_eq!(stake(&suite, executor.as_str()), BONDED - (FEE - before));
}

#[test]
fn a_commitment_without_a_reveal_costs_three_verdicts() {
    let (mut suite, batch) = committed();
    suite.at_window(1);
    suite.post_beacon(0);
    suite.draw(batch, 100);
    let jurors = first(&suite, batch);
    let pages = suite.commit_verdicts(1, &honest);
    suite.at_window(3);
    suite.reveal(pages.into_iter().filter(|(juror, _)| juror.as_str() != jurors[1]).collect());
    suite.at_window(4);
    suite.tally(batch, 0, 100);
    assert_eq!(suite.samples(batch)[0].outcome, Some(FinalOutcome::Valid));
    assert_eq!(stake(&suite, &jurors[1]), BONDED - 3 * VERDICT_FEE);
    assert_eq!(claimable(&suite, &jurors[1]), 0);
}

#[test]
fn a_verdict_that_only_the_model_can_tell_comes_with_probes_and_no_other_does() {
    let (mut suite, batch) = committed();
    suite.at_window(1);
    suite.post_beacon(0);
    suite.draw(batch, 100);
    let name = first(&suite, batch).remove(0);
    let juror = suite.nodes.iter().find(|node| node.as_str() == name).cloned().unwrap();
    let key = SampleKey { batch, draw: 0 };
    let mut bare = verdict(key, VALID, 1);
    bare.score = None;
    let page = VerdictPage { juror: juror.to_string(), window: Window(1), page: 0, verdicts: vec![bare] };
    let msg = suite.committing_page(&juror, &page);
    suite.accepted(&juror, &msg, 0);
    suite.at_window(3);
    let expected = ContractError::BadScore { batch, draw: 0, found: 0, expected: PROBES };
    suite.refused(&juror, &revealing(&juror, page), 0, expected);
}

#[test]
fn a_juror_who_stays_away_loses_its_seats_but_no_stake() {
    let mut suite = Suite::new();
    let (executor, away) = (suite.nodes[0].clone(), suite.nodes[3].clone());
    let session = suite.open_session(&executor, 100 * FEE);
    // Eighteen seats missed are too many for a juror that misses one in ten.
    let claim = suite.claim(session, 18);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(0, &[batch], &|_, juror| (*juror != away).then_some(VALID));
    let node: NodeResponse = suite.query(&QueryMsg::Node { address: away.to_string() });
    assert_eq!((node.benched, node.stake.u128()), (true, BONDED));
    suite.at_epoch(1);
    let claim = suite.claim(session, 20);
    let msg = suite.committing(vec![claim]);
    let model = suite.model;
    suite.refused(&executor, &msg, 0, ContractError::TooFewOthers { model, others: 2, needed: 3 });
    assert_eq!(suite.epoch(&executor, 0).epoch, Epoch(0));
}

#[test]
fn a_page_of_contested_samples_leaves_none_behind() {
    let mut suite = Suite::builder().nodes(12).params(|params| params.jury.second_seats = 9).build();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 100 * FEE);
    let claim = suite.claim(session, 7);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.draw_and_reveal(0, &[batch], &|sample: &SampleResponse, juror: &Addr| {
        let place = sample.seats.iter().position(|seat| seat.juror == juror.as_str())?;
        // Every other sample is contested.
        Some(if sample.draw.is_multiple_of(2) && place == 0 { REPLAY } else { VALID })
    });
    suite.at_window(4);
    suite.post_beacon(3);
    let sender = suite.requester.clone();
    // Pages of two, as the contract says what is due.
    while let Some(due) = suite.due().tallies.first().map(|due| due.from) {
        suite.accepted(&sender, &ExecuteMsg::Tally { batch, from: due, limit: 2 }, 0);
    }
    let open: Vec<u32> =
        suite.samples(batch).iter().filter(|s| s.outcome.is_none()).map(|s| s.draw).collect();
    assert_eq!(open, [0, 2, 4, 6]);
    let pages = suite.commit_verdicts(4, &|sample, juror| {
        let place = sample.seats.iter().position(|seat| seat.juror == juror.as_str())?;
        (sample.second.is_some() && place >= 3).then_some(VALID)
    });
    suite.at_window(6);
    suite.reveal(pages);
    suite.at_window(7);
    while let Some(due) = suite.due().tallies.first().map(|due| due.from) {
        suite.accepted(&sender, &ExecuteMsg::Tally { batch, from: due, limit: 2 }, 0);
    }
    assert!(suite.samples(batch).iter().all(|sample| sample.outcome == Some(FinalOutcome::Valid)));
}
