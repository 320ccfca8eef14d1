use std::time::Duration;

use assay_common::ids::Window;
use assay_common::verdict::{AbstainReason, Outcome};
use assay_sidecar::store::{Identity, Store, StoreError};
use assay_sidecar::validator::jobs::{self, Next, Seat, State};

use super::artifacts::case;
use super::suite::{end_of, key, Suite};

const LEASE: Duration = Duration::from_secs(60);
const ABSTAIN: Outcome = Outcome::Inconclusive { reason: AbstainReason::NoModel };

fn seat(batch: u64, draw: u32, window: u64) -> Seat {
    Seat { key: key(batch, draw), window: Window(window), page: 0, deadline: end_of(window + 1) }
}

#[tokio::test]
async fn a_seat_is_stored_once_together_with_its_block() {
    let suite = Suite::new().await;
    let store = suite.store().await;
    assert_eq!(jobs::cursor(&store).await.unwrap(), None);
    let seats = [seat(1, 0, 4), seat(1, 1, 4)];
    assert_eq!(jobs::record(&store, 10, &seats).await.unwrap(), seats);
    assert_eq!(jobs::record(&store, 11, &seats).await.unwrap(), []);
    assert_eq!(jobs::add(&store, &[seat(1, 1, 4), seat(2, 0, 4)]).await.unwrap(), [seat(2, 0, 4)]);
    assert_eq!(jobs::cursor(&store).await.unwrap(), Some(11));
    assert_eq!(jobs::unjudged(&store, Window(4)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_block_whose_seats_cannot_be_stored_is_not_done() {
    let suite = Suite::new().await;
    let store = suite.store().await;
    jobs::record(&store, 10, &[]).await.unwrap();
    let unstorable = Seat { deadline: u64::MAX, ..seat(1, 1, 4) };
    assert!(jobs::record(&store, 11, &[seat(1, 0, 4), unstorable]).await.is_err());
    assert_eq!(jobs::cursor(&store).await.unwrap(), Some(10));
    assert_eq!(jobs::unjudged(&store, Window(4)).await.unwrap(), 0);
}

#[tokio::test]
async fn the_earliest_deadline_is_taken_first_and_is_free_again_when_its_lease_ends() {
    let suite = Suite::new().await;
    let store = suite.store().await;
    jobs::record(&store, 10, &[seat(2, 0, 5), seat(1, 0, 4)]).await.unwrap();
    let first = jobs::claim(&store, 1_000, LEASE).await.unwrap().unwrap();
    assert_eq!((first.seat, first.state), (seat(1, 0, 4), State::Sampled));
    let second = jobs::claim(&store, 1_000, LEASE).await.unwrap().unwrap();
    assert_eq!(second.seat, seat(2, 0, 5));
    assert!(jobs::claim(&store, 60_999, LEASE).await.unwrap().is_none());
    assert_eq!(jobs::claim(&store, 61_000, LEASE).await.unwrap().unwrap().seat, seat(1, 0, 4));
    jobs::release(&store).await.unwrap();
    assert_eq!(jobs::claim(&store, 61_001, LEASE).await.unwrap().unwrap().seat, seat(1, 0, 4));
}

#[tokio::test]
async fn a_job_moves_on_only_from_where_it_stands_and_its_verdict_is_written_once() {
    let suite = Suite::new().await;
    let store = suite.store().await;
    jobs::record(&store, 10, &[seat(1, 0, 4)]).await.unwrap();
    let job = jobs::claim(&store, 0, LEASE).await.unwrap().unwrap();
    let judged = |outcome| Next::Judged { case: case(), outcome, report: None };
    assert!(jobs::advance(&store, &job, &judged(ABSTAIN), 0).await.unwrap());
    // The same job, worked on by somebody whose lease had ended.
    assert!(!jobs::advance(&store, &job, &judged(Outcome::Valid), 0).await.unwrap());
    let outcome: String =
        sqlx::query_scalar("SELECT outcome FROM jobs").fetch_one(&store.pool).await.unwrap();
    assert_eq!(serde_json::from_str::<Outcome>(&outcome).unwrap(), ABSTAIN);
    assert!(jobs::claim(&store, u64::MAX / 4, LEASE).await.unwrap().is_none());
}

#[tokio::test]
async fn a_failed_attempt_is_counted_and_waits() {
    let suite = Suite::new().await;
    let store = suite.store().await;
    jobs::record(&store, 10, &[seat(1, 0, 4)]).await.unwrap();
    let job = jobs::claim(&store, 0, LEASE).await.unwrap().unwrap();
    let next = Next::Retry { after: Duration::from_secs(2), reason: "refused".into() };
    assert!(jobs::advance(&store, &job, &next, 0).await.unwrap());
    assert!(jobs::claim(&store, 1_999, LEASE).await.unwrap().is_none());
    assert_eq!(jobs::claim(&store, 2_000, LEASE).await.unwrap().unwrap().attempts, 1);
}

#[tokio::test]
async fn what_is_not_judged_in_time_is_abstained_and_what_is_not_posted_expires() {
    let suite = Suite::new().await;
    let store = suite.store().await;
    jobs::record(&store, 10, &[seat(1, 0, 4), seat(1, 1, 4), seat(2, 0, 5)]).await.unwrap();
    let job = jobs::claim(&store, 0, LEASE).await.unwrap().unwrap();
    let judged = Next::Judged { case: case(), outcome: ABSTAIN, report: None };
    jobs::advance(&store, &job, &judged, 0).await.unwrap();
    jobs::expire(&store, end_of(5) - 1).await.unwrap();
    assert_eq!(jobs::unjudged(&store, Window(4)).await.unwrap(), 1);
    jobs::expire(&store, end_of(5)).await.unwrap();
    let states: Vec<String> =
        sqlx::query_scalar("SELECT state FROM jobs ORDER BY id").fetch_all(&store.pool).await.unwrap();
    assert_eq!(states, ["expired", "abstained", "sampled"]);
}

#[tokio::test]
async fn a_store_refuses_another_owner_and_a_second_process() {
    let suite = Suite::new().await;
    let store = suite.store().await;
    let second = Store::open(&suite.path(), &suite.identity()).await;
    assert!(matches!(second, Err(StoreError::Locked { .. })));
    drop(store);
    let other = Identity { chain_id: "test-2".into(), ..suite.identity() };
    let error = Store::open(&suite.path(), &other).await.unwrap_err();
    assert!(matches!(error, StoreError::OtherIdentity { what: "chain", .. }), "{error}");
    let model = Some(assay_common::ids::ModelDigest([1; 32]));
    drop(Store::open(&suite.path(), &Identity { model, ..suite.identity() }).await.unwrap());
    drop(suite.store().await); // a node that lost its model for now
    let model = Some(assay_common::ids::ModelDigest([2; 32]));
    let error = Store::open(&suite.path(), &Identity { model, ..suite.identity() }).await.unwrap_err();
    assert!(matches!(error, StoreError::OtherIdentity { what: "model", .. }), "{error}");
}
