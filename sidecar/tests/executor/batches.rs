//! What goes into a batch, and what becomes of it.

use assay_common::event::Event;
use assay_common::ids::{
    BatchId, BatchRoot, Epoch, InferenceId, ModelDigest, Nonce, RequestDigest, RowsRoot, SessionId,
    TokensDigest, Window,
};
use assay_common::merkle;
use assay_common::msg::SessionResponse;
use assay_common::session::{inference_id, Receipt};
use assay_sidecar::chain::{Confirmation, Included, Pending};
use assay_sidecar::executor::batch::{land, Landed};
use assay_sidecar::executor::batches::{InFlight, NewBatch};
use assay_sidecar::executor::inferences::{Answered, Inferences, NewInference};
use assay_sidecar::executor::plan::{funding, plan, Limits, Offer};
use cosmwasm_std::Uint128;
use k256::ecdsa::SigningKey;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::suite::{domain, model, params, session, store};

const ROOMY: Limits = Limits { claims: 50, inferences: 1_000 };

fn receipt(session: u64, nonce: u64) -> Receipt {
    let inference = inference_id(&domain(), SessionId(session), Nonce(nonce));
    let mut of = [session as u8; 32];
    of[0] = nonce as u8;
    Receipt { inference, request: RequestDigest(of), tokens: TokensDigest(of), rows: RowsRoot(of) }
}

fn answered(session: u64, nonce: u64) -> Answered {
    let receipt = receipt(session, nonce);
    Answered { session: SessionId(session), nonce: Nonce(nonce), receipt, voucher: vec![nonce as u8; 64] }
}

fn record(id: u64, paid: u64) -> SessionResponse {
    let key = SigningKey::from_slice(&[1; 32]).unwrap();
    SessionResponse { session: SessionId(id), nonce: Nonce(paid), ..session(&key, "wasm1executor") }
}

fn offer(id: u64, paid: u64, nonces: &[u64]) -> Offer {
    Offer { session: record(id, paid), answered: nonces.iter().map(|nonce| answered(id, *nonce)).collect() }
}

fn claims(batch: &NewBatch) -> Vec<(u64, u64)> {
    batch.claims.iter().map(|claim| (claim.session.0, claim.nonce_to.0)).collect()
}

#[test]
fn claims_are_sorted_and_end_at_the_first_gap() {
    let offers = [offer(9, 2, &[3, 4, 6, 7]), offer(4, 0, &[1, 2]), offer(5, 0, &[2, 3])];
    let batch = plan(model(), &offers, ROOMY).unwrap();
    assert_eq!(claims(&batch), [(4, 2), (9, 4)]);
    let members = [(4, 1), (4, 2), (9, 3), (9, 4)].map(|(session, nonce)| receipt(session, nonce).inference);
    assert_eq!(batch.members, members);
    let leaves = [(4, 1), (4, 2), (9, 3), (9, 4)].map(|(session, nonce)| answered(session, nonce).leaf());
    assert_eq!(batch.root, BatchRoot(merkle::root(&leaves)));
    let last = &batch.claims[1];
    assert_eq!(last.request, receipt(9, 4).request);
    assert_eq!(last.signature.to_vec(), vec![4; 64]);
}

#[test]
fn limits_cut_in_the_order_of_the_offers_and_the_escrow_cuts_its_session() {
    let offers = [offer(9, 0, &[1, 2, 3]), offer(4, 0, &[1, 2])];
    let cut = |claims, inferences| plan(model(), &offers, Limits { claims, inferences }).unwrap();
    assert_eq!(claims(&cut(50, 4)), [(4, 1), (9, 3)]);
    assert_eq!(claims(&cut(1, 100)), [(9, 3)]);
    assert_eq!(claims(&cut(50, 1)), [(9, 1)]);
    let mut poor = offer(9, 0, &[1, 2, 3]);
    poor.session.escrow = Uint128::new(29);
    assert_eq!(claims(&plan(model(), &[poor.clone()], ROOMY).unwrap()), [(9, 2)]);
    poor.session.escrow = Uint128::new(9);
    assert_eq!(plan(model(), &[poor], ROOMY), None);
    assert_eq!(plan(model(), &[], ROOMY), None);
}

#[test]
fn a_window_takes_no_more_samples_than_its_jurors_do() {
    let at = |rate_q32| ROOMY.sampled_at(rate_q32, 200).inferences;
    assert_eq!(at(1 << 32), 200);
    assert_eq!(at(1 << 31), 400);
    assert_eq!(at(1), 1_000);
    assert_eq!(ROOMY.sampled_at((1 << 32) / 100, 0).inferences, 1);
}

proptest! {
    #[test]
    fn a_batch_covers_exactly_the_nonces_between_the_last_paid_and_its_claims(
        sessions in prop::collection::btree_map(1u64..20, (0u64..5, prop::collection::btree_set(1u64..30, 0..20)), 0..8),
        most in 1u32..60,
    ) {
        let offers: Vec<Offer> = sessions
            .iter()
            .map(|(id, (paid, nonces))| {
                let nonces: Vec<u64> = nonces.iter().copied().filter(|nonce| nonce > paid).collect();
                offer(*id, *paid, &nonces)
            })
            .collect();
        let Some(batch) = plan(model(), &offers, Limits { claims: 5, inferences: most }) else { return Ok(()) };
        prop_assert!(batch.claims.len() <= 5 && batch.members.len() <= most as usize);
        prop_assert!(batch.claims.is_sorted_by(|a, b| a.session < b.session));
        let mut members = Vec::new();
        for claim in &batch.claims {
            let (paid, nonces) = &sessions[&claim.session.0];
            for nonce in paid + 1..=claim.nonce_to.0 {
                prop_assert!(nonces.contains(&nonce));
                members.push(receipt(claim.session.0, nonce).inference);
            }
        }
        prop_assert_eq!(batch.members, members);
    }
}

#[test]
fn money_is_sent_only_where_fees_do_not_pay_reserve_and_checks() {
    let params = params();
    let funding =
        |rate, fees: u128, count| funding(&params, (rate, Uint128::new(70)), (Uint128::new(fees), count));
    // 10 inferences, all sampled: 3 seats of 70 each, and one in a hundred of the fees.
    assert_eq!(funding(1 << 32, 10_000, 10), Uint128::zero());
    assert_eq!(funding(1 << 32, 1_000, 10), Uint128::new(10 + 2_100 - 1_000));
    assert_eq!(funding(1 << 31, 1_000, 10), Uint128::new(10 + 1_050 - 1_000));
}

/// Three answers of session 4 in a batch that was sent.
async fn sent() -> (TempDir, Inferences, InFlight) {
    let dir = TempDir::new().unwrap();
    let inferences = Inferences::new(store(&dir).await);
    let new = |nonce| {
        let (session, receipt) = (SessionId(4), receipt(4, nonce));
        NewInference {
            session,
            nonce: Nonce(nonce),
            receipt,
            artifact: vec![0],
            voucher: vec![nonce as u8; 64],
        }
    };
    inferences.insert(&[new(3), new(1), new(2), new(5)], 7).await.unwrap();
    let waiting = inferences.waiting(SessionId(4), Nonce(0), 10).await.unwrap();
    assert_eq!(waiting.iter().map(|a| a.nonce.0).collect::<Vec<_>>(), [1, 2, 3, 5]);
    let offer = Offer { session: record(4, 0), answered: waiting };
    let batch = plan(model(), &[offer], ROOMY).unwrap();
    let number = inferences.store_batch(&batch).await.unwrap();
    let built = inferences.in_flight().await.unwrap().unwrap();
    assert_eq!((built.number, built.sent.is_none(), &built.claims), (number, true, &batch.claims));
    let pending = Pending { hash: "AB".into(), timeout_height: 30 };
    inferences.sent(number, &pending).await.unwrap();
    let flight = inferences.in_flight().await.unwrap().unwrap();
    assert_eq!(flight.sent, Some(pending));
    (dir, inferences, flight)
}

fn included(root: BatchRoot) -> Confirmation {
    let event = Event::BatchCommitted {
        batch: BatchId(8),
        executor: "wasm1executor".into(),
        model: ModelDigest([0; 32]),
        root,
        epoch: Epoch(0),
        window: Window(0),
        count: 3,
        samples: 3,
        rate: 1 << 32,
        fees: Uint128::new(30),
        pending_before: Uint128::zero(),
        pending_after: Uint128::new(30),
    };
    Confirmation::Included(Included { height: 12, gas_used: 1, events: vec![event] })
}

async fn waiting(inferences: &Inferences) -> Vec<u64> {
    let waiting = inferences.waiting(SessionId(4), Nonce(0), 10).await.unwrap();
    waiting.iter().map(|answered| answered.nonce.0).collect()
}

fn id(nonce: u64) -> InferenceId {
    receipt(4, nonce).inference
}

#[tokio::test]
async fn a_batch_that_the_chain_took_is_committed_and_its_paths_lead_to_its_root() {
    let (_dir, inferences, flight) = sent().await;
    let landed = land(&inferences, &flight, included(flight.root)).await.unwrap();
    assert_eq!(landed, Landed::Committed(BatchId(8)));
    assert!(inferences.in_flight().await.unwrap().is_none());
    assert_eq!(waiting(&inferences).await, [5]);
    for nonce in 1..=3u64 {
        let place = inferences.place(&id(nonce)).await.unwrap().unwrap();
        assert_eq!((place.batch, place.index as u64, place.leaves.len()), (Some(BatchId(8)), nonce - 1, 3));
        let path = merkle::path(&place.leaves, place.index).unwrap();
        assert!(merkle::verify(&flight.root.0, 3, nonce - 1, answered(4, nonce).leaf(), &path));
    }
    assert!(inferences.place(&id(5)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_batch_that_expired_is_sent_again_and_one_that_was_rejected_frees_its_members() {
    let (_dir, inferences, flight) = sent().await;
    assert_eq!(land(&inferences, &flight, Confirmation::Expired).await.unwrap(), Landed::Again);
    let again = inferences.in_flight().await.unwrap().unwrap();
    assert_eq!((again.number, again.root, again.sent), (flight.number, flight.root, None));
    let pending = Pending { hash: "CD".into(), timeout_height: 60 };
    inferences.sent(flight.number, &pending).await.unwrap();

    let rejection = Confirmation::Rejected { code: 5, log: "no".into() };
    let landed = land(&inferences, &flight, rejection).await.unwrap();
    assert_eq!(landed, Landed::Rejected("code 5: no".into()));
    assert_eq!(waiting(&inferences).await, [1, 2, 3, 5]);
    assert!(inferences.in_flight().await.unwrap().is_none());
    assert!(inferences.place(&id(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_transaction_that_committed_to_something_else_settles_nothing() {
    let (_dir, inferences, flight) = sent().await;
    let error = land(&inferences, &flight, included(BatchRoot([0; 32]))).await.unwrap_err();
    assert!(error.to_string().contains("committed to no batch with the root"), "{error}");
    assert!(inferences.in_flight().await.unwrap().is_some());
}

#[tokio::test]
async fn there_is_never_a_second_batch_in_flight() {
    let (_dir, inferences, flight) = sent().await;
    let offer = Offer { session: record(4, 4), answered: vec![answered(4, 5)] };
    let second = plan(model(), &[offer], ROOMY).unwrap();
    assert!(inferences.store_batch(&second).await.is_err());
    assert_eq!(waiting(&inferences).await, [5]);
    land(&inferences, &flight, included(flight.root)).await.unwrap();
    inferences.store_batch(&second).await.unwrap();
    assert!(inferences.store_batch(&second).await.is_err());
}

#[tokio::test]
async fn what_is_given_up_waits_for_nothing_and_is_kept() {
    let (_dir, inferences, flight) = sent().await;
    land(&inferences, &flight, Confirmation::Rejected { code: 1, log: "no".into() }).await.unwrap();
    assert_eq!(inferences.give_up(SessionId(4), Nonce(2), "paid").await.unwrap(), 2);
    assert_eq!(waiting(&inferences).await, [3, 5]);
    assert_eq!(inferences.waiting_sessions().await.unwrap(), [SessionId(4)]);
    assert_eq!(inferences.give_up(SessionId(4), Nonce(u64::MAX), "expired").await.unwrap(), 2);
    assert!(inferences.waiting_sessions().await.unwrap().is_empty());
    assert!(inferences.get(&id(1)).await.unwrap().is_some());
}
