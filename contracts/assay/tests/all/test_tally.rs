use assay_common::ids::{BatchId, Window};
use assay_common::msg::{BatchResponse, ClaimableResponse, ExecuteMsg, QueryMsg, SampleResponse};
use assay_common::verdict::{
    AbstainReason, FailReason, FinalOutcome, InvalidReason, OpenReason, Outcome, UnavailableReason,
};
use assay_contract::error::ContractError;
use cosmwasm_std::Addr;

use crate::suite::*;

const ABSENT: Outcome = Outcome::Unavailable { reason: UnavailableReason::Absent };
const ABSTAIN: Outcome = Outcome::Inconclusive { reason: AbstainReason::NoModel };

fn committed(count: u64) -> (Suite, BatchId) {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 200 * FEE);
    let claim = suite.claim(session, count);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    (suite, batch)
}

fn tallying(batch: BatchId, from: u32, limit: u32) -> ExecuteMsg {
    ExecuteMsg::Tally { batch, from, limit }
}

fn claimable(suite: &Suite, of: &Addr) -> u128 {
    suite.query::<ClaimableResponse>(&QueryMsg::Claimable { address: of.to_string() }).amount.u128()
}

/// The three jurors' verdicts on the one sample of a batch, what it ends as, and who of them is paid.
#[test]
fn a_jury_ends_as_its_seats_say_and_only_the_majority_is_paid() {
    let fail = FinalOutcome::Fail { reason: FailReason::Invalid { reason: InvalidReason::Replay } };
    let cases: [([Option<Outcome>; 3], FinalOutcome, [bool; 3]); 8] = [
        ([Some(VALID), Some(VALID), Some(VALID)], FinalOutcome::Valid, [true, true, true]),
        ([Some(VALID), Some(VALID), None], FinalOutcome::Valid, [true, true, false]),
        ([Some(VALID), Some(ABSTAIN), Some(VALID)], FinalOutcome::Valid, [true, false, true]),
        ([Some(REPLAY), Some(VALID), Some(REPLAY)], fail, [true, false, true]),
        (
            [Some(Outcome::Malformed), Some(Outcome::Malformed), Some(REPLAY)],
            FinalOutcome::Fail { reason: FailReason::Malformed },
            [true, true, true],
        ),
        ([Some(ABSENT), Some(ABSENT), Some(VALID)], FinalOutcome::Unavailable, [true, true, false]),
        ([None, None, Some(REPLAY)], FinalOutcome::Inconclusive { reason: OpenReason::Quorum }, [false; 3]),
        ([None, None, None], FinalOutcome::Inconclusive { reason: OpenReason::Quorum }, [false; 3]),
    ];
    for (verdicts, outcome, paid) in cases {
        let (mut suite, batch) = committed(1);
        let jurors = suite.nodes[1..].to_vec();
        let minds = jurors.clone();
        let mind = move |_: &SampleResponse, juror: &Addr| -> Option<Outcome> {
            minds.iter().position(|node| node == juror).and_then(|place| verdicts[place])
        };
        suite.judge(0, &[batch], &mind);
        assert_eq!(suite.samples(batch)[0].outcome, Some(outcome));
        for (juror, paid) in jurors.iter().zip(paid) {
            assert_eq!(claimable(&suite, juror), if paid { VERDICT_FEE } else { 0 }, "{verdicts:?}");
        }
        let unearned = paid.iter().filter(|paid| !**paid).count() as u128 * VERDICT_FEE;
        // What is hidden costs its fee: the whole one, for one of one is checked.
        let hidden = if outcome == FinalOutcome::Unavailable { FEE } else { 0 };
        let pools = suite.pools();
        assert_eq!((pools.checks.u128(), pools.reserve.u128()), (0, FEE / 100 + unearned + hidden));
    }
}

#[test]
fn a_sample_closes_three_windows_after_its_draw_and_once() {
    let (mut suite, batch) = committed(6);
    let sender = suite.requester.clone();
    let nothing = |from| ContractError::NothingToTally { batch, from };
    suite.refused(&sender, &tallying(batch, 0, 10), 0, nothing(0));
    suite.draw_and_reveal(0, &[batch], &honest);
    suite.refused(&sender, &tallying(batch, 0, 10), 0, nothing(0));
    suite.at_window(4);
    let response = suite.accepted(&sender, &tallying(batch, 0, 4), 0);
    let closed = response.events.iter().filter(|event| event.ty == "wasm-assay_sample_closed").count();
    assert_eq!(closed, 4);
    assert_eq!(attribute(&response, "assay_sample_closed", "outcome"), "valid");
    suite.refused(&sender, &tallying(batch, 0, 4), 0, nothing(0));
    suite.refused(&sender, &tallying(batch, 6, 4), 0, nothing(6));
    suite.accepted(&sender, &tallying(batch, 2, 10), 0);
    let batch: BatchResponse = suite.query(&QueryMsg::Batch { batch });
    assert_eq!(batch.closed, 6);
}

#[test]
fn a_tally_has_a_bounded_page_and_a_batch() {
    let (mut suite, batch) = committed(6);
    let sender = suite.requester.clone();
    for limit in [0, 101] {
        let expected = ContractError::BadLimit { limit, most: 100 };
        suite.refused(&sender, &tallying(batch, 0, limit), 0, expected);
    }
    let unknown = BatchId(9);
    suite.refused(&sender, &tallying(unknown, 0, 1), 0, ContractError::UnknownBatch { batch: unknown });
}

#[test]
fn pages_of_one_batch_close_each_in_its_own_time() {
    let (mut suite, batch) = committed(6);
    let sender = suite.requester.clone();
    suite.at_window(1);
    suite.post_beacon(0);
    suite.draw(batch, 2);
    suite.at_window(2);
    suite.draw(batch, 4);
    suite.at_window(4);
    suite.accepted(&sender, &tallying(batch, 0, 10), 0);
    let open = |suite: &Suite| suite.samples(batch).iter().filter(|s| s.outcome.is_none()).count();
    assert_eq!(open(&suite), 4);
    assert!(suite.due().tallies.is_empty());
    suite.at_window(5);
    assert_eq!(suite.due().tallies[0].from, 2);
    suite.accepted(&sender, &tallying(batch, 2, 10), 0);
    assert_eq!(open(&suite), 0);
}

#[test]
fn a_page_drawn_after_all_earlier_samples_closed_is_due_in_its_turn() {
    let (mut suite, batch) = committed(6);
    suite.at_window(1);
    suite.post_beacon(0);
    suite.draw(batch, 2);
    suite.at_window(4);
    suite.tally(batch, 0, 10);
    suite.draw(batch, 4);
    assert!(suite.due().tallies.is_empty());
    suite.at_window(7);
    let due: Vec<(BatchId, u32)> = suite.due().tallies.iter().map(|due| (due.batch, due.from)).collect();
    assert_eq!(due, [(batch, 2)]);
}

/// Whoever closes the tail first does not hide the head, and the head is found again.
#[test]
fn samples_may_be_closed_in_any_order_and_what_is_due_leads_to_the_rest() {
    let (mut suite, batch) = committed(9);
    suite.draw_and_reveal(0, &[batch], &honest);
    suite.at_window(4);
    suite.tally(batch, 3, 3);
    suite.tally(batch, 8, 1);
    let mut steps = 0;
    while let Some(due) = suite.due().tallies.first().cloned() {
        suite.tally(due.batch, due.from, 2);
        steps += 1;
        assert!(steps < 9, "no end");
    }
    assert!(suite.samples(batch).iter().all(|sample| sample.outcome == Some(FinalOutcome::Valid)));
}

#[test]
fn what_an_epoch_forfeits_makes_its_open_samples_void_and_unpaid() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 200 * FEE);
    let claim = suite.claim(session, 12);
    let first = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(0, &[first], &|_, _| Some(REPLAY));
    suite.at_window(5);
    let claim = suite.claim(session, 24);
    let second = suite.commit_batch(&executor, vec![claim], 0);
    // Window 6: the first batch condemns the epoch, the second is drawn and waits.
    suite.draw_and_reveal(5, &[second], &honest);
    suite.settle(&executor, 0, 200);
    suite.at_window(9);
    let before = claimable(&suite, &suite.nodes[1]);
    suite.tally(second, 0, 100);
    assert!(suite.samples(second).iter().all(|sample| sample.outcome == Some(FinalOutcome::Void)));
    assert_eq!(claimable(&suite, &suite.nodes[1]), before);
    assert_eq!(suite.pools().checks.u128(), 0);
    assert_eq!(suite.epoch(&executor, 0).closed.void, 12);
    assert_eq!(suite.assignments(&suite.nodes[1], Window(6)).len(), 12);
}
