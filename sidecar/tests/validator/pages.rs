use std::time::Duration;

use assay_common::ids::{Digest, Window};
use assay_common::msg::SampleKey;
use assay_common::verdict::{AbstainReason, Outcome, Verdict};
use assay_sidecar::store::Store;
use assay_sidecar::validator::jobs::{self, Next, Seat};
use assay_sidecar::validator::pages::PageState;
use assay_sidecar::validator::submit::{is_time_to_assemble, next_move, Move};
use assay_sidecar::validator::{confirm, Juror};

use super::artifacts::case;
use super::node::Mempool;
use super::suite::{end_of, key, submit, Suite};

const DRAWN: Window = Window(4);
const KEYS: [(u64, u32); 3] = [(1, 0), (1, 1), (2, 0)];
const ABSTAIN: Outcome = Outcome::Inconclusive { reason: AbstainReason::NoModel };

/// Three seats in window 4, which the chain knows too, and verdicts on the first `judged` of them.
async fn seated(suite: &Suite, store: &Store, judged: usize) {
    let keys = KEYS.map(|(batch, draw)| key(batch, draw));
    suite.node.state().seats.insert(DRAWN, keys.to_vec());
    suite.node.state().ticking = true;
    let seats: Vec<Seat> = (0u32..)
        .zip(keys)
        .map(|(number, key)| Seat { key, window: DRAWN, page: number / 2, deadline: end_of(5) })
        .collect();
    jobs::record(store, 10, &seats).await.unwrap();
    judge(store, judged).await;
}

async fn judge(store: &Store, count: usize) {
    for _ in 0..count {
        let job = jobs::claim(store, 0, Duration::from_secs(1)).await.unwrap().unwrap();
        let next = Next::Judged { case: case(), outcome: outcome(job.seat.key), report: None };
        assert!(jobs::advance(store, &job, &next, 0).await.unwrap());
    }
}

fn outcome(key: SampleKey) -> Outcome {
    if key.draw == 0 {
        Outcome::Valid
    } else {
        ABSTAIN
    }
}

fn verdicts() -> Vec<Verdict> {
    let verdict =
        |key: SampleKey| Verdict { batch: key.batch, draw: key.draw, outcome: outcome(key), score: None };
    KEYS.map(|(batch, draw)| verdict(key(batch, draw))).to_vec()
}

async fn states(store: &Store) -> Vec<String> {
    sqlx::query_scalar("SELECT state FROM jobs ORDER BY batch, draw").fetch_all(&store.pool).await.unwrap()
}

fn revealed(suite: &Suite) -> Vec<Verdict> {
    let mut verdicts = suite.node.state().revealed.clone();
    verdicts.sort_by_key(|verdict| (verdict.batch, verdict.draw));
    verdicts
}

async fn at(suite: &Suite, juror: &Juror, window: u64) {
    suite.node.state().enter(window);
    submit(juror).await;
}

#[tokio::test]
async fn verdicts_are_committed_in_the_next_window_and_revealed_in_the_one_after() {
    let suite = Suite::new().await;
    let juror = suite.juror().await;
    seated(&suite, &juror.store, 3).await;
    at(&suite, &juror, 4).await;
    assert!(suite.node.state().commitments.is_empty());
    at(&suite, &juror, 5).await;
    // Two pages of at most two.
    assert_eq!(suite.node.state().commitments.len(), 2);
    assert_eq!(states(&juror.store).await, ["submitted", "submitted", "submitted"]);
    assert!(revealed(&suite).is_empty());
    at(&suite, &juror, 6).await;
    assert_eq!(revealed(&suite), verdicts());
    assert_eq!(states(&juror.store).await, ["confirmed", "confirmed", "confirmed"]);
    assert_eq!(suite.node.state().received.len(), 4);
}

#[tokio::test]
async fn a_crash_anywhere_posts_each_verdict_exactly_once() {
    use Mempool::{Breaks, Includes, IncludesAndBreaks, Loses};
    for at_commit in [Includes, Loses, Breaks, IncludesAndBreaks] {
        for at_reveal in [Includes, Loses, Breaks, IncludesAndBreaks] {
            let suite = Suite::new().await;
            let juror = suite.juror().await;
            seated(&suite, &juror.store, 3).await;
            drop(juror);
            for (window, mempool) in [(5, at_commit), (6, at_reveal)] {
                suite.node.state().mempool = mempool;
                let first = suite.juror().await;
                at(&suite, &first, window).await;
                drop(first); // SIGKILL
                suite.node.state().mempool = Includes;
                suite.node.state().height += 25; // past every timeout
                submit(&*suite.juror().await).await;
            }
            let what = format!("{at_commit:?}, {at_reveal:?}");
            assert_eq!(revealed(&suite), verdicts(), "{what}");
            let juror = suite.juror().await;
            assert_eq!(states(&juror.store).await, ["confirmed", "confirmed", "confirmed"], "{what}");
        }
    }
}

#[tokio::test]
async fn what_is_judged_is_committed_to_in_time_without_the_rest() {
    let suite = Suite::new().await;
    let juror = suite.juror().await;
    seated(&suite, &juror.store, 2).await;
    at(&suite, &juror, 5).await;
    assert!(suite.node.state().commitments.is_empty());
    suite.node.state().now = end_of(5) - 3;
    submit(&juror).await;
    assert_eq!(suite.node.state().commitments.len(), 1);
    // The last verdict still comes in time, on a page of its own.
    judge(&juror.store, 1).await;
    submit(&juror).await;
    assert_eq!(suite.node.state().commitments.len(), 2);
    at(&suite, &juror, 6).await;
    assert_eq!(revealed(&suite), verdicts());
}

#[tokio::test]
async fn a_seat_that_was_missed_is_found_before_the_verdicts_are_committed() {
    let suite = Suite::new().await;
    let juror = suite.juror().await;
    seated(&suite, &juror.store, 3).await;
    suite.node.state().seats.get_mut(&DRAWN).unwrap().push(key(3, 7));
    at(&suite, &juror, 5).await;
    assert!(suite.node.state().commitments.is_empty());
    assert_eq!(jobs::unjudged(&juror.store, DRAWN).await.unwrap(), 1);
    judge(&juror.store, 1).await;
    submit(&juror).await;
    at(&suite, &juror, 6).await;
    assert_eq!(revealed(&suite).len(), 4);
}

#[tokio::test]
async fn a_verdict_past_its_deadline_is_not_posted_at_all() {
    let suite = Suite::new().await;
    let juror = suite.juror().await;
    seated(&suite, &juror.store, 3).await;
    suite.node.state().mempool = Mempool::Loses;
    at(&suite, &juror, 5).await;
    suite.node.state().mempool = Mempool::Includes;
    suite.node.state().height += 25;
    at(&suite, &juror, 6).await;
    assert_eq!(states(&juror.store).await, ["expired", "expired", "expired"]);
    at(&suite, &juror, 7).await;
    assert!(suite.node.state().commitments.is_empty() && revealed(&suite).is_empty());
}

#[tokio::test]
async fn a_page_that_could_not_be_revealed_in_its_window_expires() {
    let suite = Suite::new().await;
    let juror = suite.juror().await;
    seated(&suite, &juror.store, 3).await;
    at(&suite, &juror, 5).await;
    at(&suite, &juror, 7).await;
    assert_eq!(states(&juror.store).await, ["expired", "expired", "expired"]);
    assert!(revealed(&suite).is_empty());
}

#[tokio::test]
async fn another_commitment_of_the_same_account_is_never_revealed_over() {
    let suite = Suite::new().await;
    let juror = suite.juror().await;
    seated(&suite, &juror.store, 3).await;
    suite.node.state().commitments.insert((DRAWN, 0), (Digest([9; 32]), false));
    at(&suite, &juror, 5).await;
    at(&suite, &juror, 6).await;
    assert_eq!(states(&juror.store).await, ["expired", "expired", "confirmed"]);
    assert_eq!(revealed(&suite).len(), 1);
}

#[test]
fn the_next_move_follows_from_state_and_window() {
    use PageState::{Assembled, Committed, Committing, Expired, Revealed, Revealing};
    let moves = |state| [4, 5, 6, 7].map(|now| next_move(state, DRAWN, Window(now)));
    assert_eq!(moves(Assembled), [Move::Commit, Move::Commit, Move::Late, Move::Late]);
    assert_eq!(moves(Committed), [Move::Wait, Move::Wait, Move::Reveal, Move::Late]);
    assert_eq!(moves(Committing), [Move::Resolve; 4]);
    assert_eq!(moves(Revealing), [Move::Resolve; 4]);
    assert_eq!([moves(Revealed), moves(Expired)], [[Move::Wait; 4]; 2]);
    assert_eq!(confirm::outcomes(Committing), Some((Committed, Assembled)));
    assert_eq!(confirm::outcomes(Revealing), Some((Revealed, Committed)));
}

#[test]
fn pages_are_made_when_all_is_judged_or_time_runs_out() {
    let margin = Duration::from_secs(3);
    assert!(is_time_to_assemble(0, Duration::from_secs(9), margin));
    assert!(!is_time_to_assemble(1, Duration::from_secs(4), margin));
    assert!(is_time_to_assemble(1, Duration::from_secs(3), margin));
}
