use assay_common::digest::Domain;
use assay_common::ids::{BatchId, BatchRoot, Epoch, ModelDigest, Nonce, RequestDigest, SessionId};
use assay_common::msg::{BatchResponse, Claim, ExecuteMsg, QueryMsg};
use assay_common::session::voucher_digest;
use assay_contract::error::ContractError;
use cosmwasm_std::{Addr, HexBinary};
use k256::ecdsa::signature::hazmat::PrehashSigner;
use k256::ecdsa::{Signature, SigningKey};

use crate::suite::*;

/// A session with the first node that holds the fees of a hundred inferences.
fn with_session() -> (Suite, Addr, SessionId) {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 100 * FEE);
    (suite, executor, session)
}

fn batch(suite: &Suite, batch: BatchId) -> BatchResponse {
    suite.query(&QueryMsg::Batch { batch })
}

#[test]
fn the_fees_are_divided_into_reserve_checks_and_pending() {
    let (mut suite, executor, session) = with_session();
    let claim = suite.claim(session, 10);
    let id = suite.commit_batch(&executor, vec![claim], 0);
    let (fees, reserve, checks) = (10 * FEE, 100, 10 * 3 * VERDICT_FEE);
    let pools = suite.pools();
    assert_eq!(pools.escrow.u128(), 90 * FEE);
    assert_eq!((pools.reserve.u128(), pools.checks.u128()), (reserve, checks));
    assert_eq!(pools.pending.u128(), fees - reserve - checks);
    let batch = batch(&suite, id);
    assert_eq!((batch.count, batch.samples, batch.drawn, batch.closed), (10, 10, 0, 0));
    assert_eq!((batch.epoch, batch.round), (Epoch(0), suite.round(0)));
    assert_eq!(suite.session(session).nonce, Nonce(10));
    let epoch = suite.epoch(&executor, 0);
    assert_eq!((epoch.batches, epoch.inferences, epoch.fees.u128()), (1, 10, fees));
}

#[test]
fn claims_come_sorted_once_and_in_bounded_number() {
    let (mut suite, executor, first) = with_session();
    let second = suite.open_session(&executor, 100 * FEE);
    let (one, two) = (suite.claim(first, 1), suite.claim(second, 1));
    let twice = suite.committing(vec![one.clone(), one.clone()]);
    suite.refused(&executor, &twice, 0, ContractError::ClaimsUnordered { before: first, session: first });
    let backwards = suite.committing(vec![two, one.clone()]);
    suite.refused(
        &executor,
        &backwards,
        0,
        ContractError::ClaimsUnordered { before: second, session: first },
    );
    for count in [0u32, 51] {
        let msg = suite.committing(vec![one.clone(); count as usize]);
        suite.refused(&executor, &msg, 0, ContractError::BadClaimCount { count, most: 50 });
    }
}

#[test]
fn a_claim_is_on_the_senders_own_living_session_and_rises() {
    let (mut suite, executor, session) = with_session();
    let other = suite.nodes[1].clone();
    let (model, owner) = (suite.model, executor.to_string());
    let msg = suite.committing(vec![suite.claim(session, 1)]);
    let expected = ContractError::NotYourSession { session, executor: owner, model };
    suite.refused(&other, &msg, 0, expected);
    let unknown = SessionId(9);
    let msg = suite.committing(vec![suite.claim(unknown, 1)]);
    suite.refused(&executor, &msg, 0, ContractError::UnknownSession { session: unknown });
    let claim = suite.claim(session, 5);
    suite.commit_batch(&executor, vec![claim.clone()], 0);
    let nonce = Nonce(5);
    let msg = suite.committing(vec![claim]);
    suite.refused(&executor, &msg, 0, ContractError::NonceNotRising { session, nonce, claimed: nonce });
    let msg = suite.committing(vec![suite.claim(session, 4)]);
    suite.refused(&executor, &msg, 0, ContractError::NonceNotRising { session, nonce, claimed: Nonce(4) });
    // It expires with epoch 20; two epochs more are for what was asked before.
    let msg = suite.committing(vec![suite.claim(session, 6)]);
    suite.at_epoch(22);
    suite.accepted(&executor, &msg, 0);
    let msg = suite.committing(vec![suite.claim(session, 7)]);
    suite.at_epoch(23);
    let expected = ContractError::SessionOver { session, closes: Epoch(22), now: Epoch(23) };
    suite.refused(&executor, &msg, 0, expected);
}

#[test]
fn a_model_that_the_sender_does_not_serve_is_refused() {
    let (mut suite, executor, session) = with_session();
    let model = ModelDigest([1; 32]);
    let claims = vec![suite.claim(session, 1)];
    let msg = ExecuteMsg::CommitBatch { model, root: BatchRoot::default(), claims };
    suite.refused(&executor, &msg, 0, ContractError::NotServing { node: executor.to_string(), model });
}

#[test]
fn a_forged_voucher_pays_nothing() {
    let (mut suite, executor, session) = with_session();
    let other_session = suite.open_session(&executor, FEE);
    let good = suite.claim(session, 3);
    let elsewhere = Domain { chain_id: "elsewhere".into(), contract: suite.contract.to_string() };
    let foreign = voucher_digest(&elsewhere, session, Nonce(3), &good.request);
    let foreign: Signature = session_key().sign_prehash(&foreign.0).unwrap();
    let signatures = [
        suite.claim_by(&SigningKey::from_slice(&[4; 32]).unwrap(), session, 3).signature,
        suite.claim(session, 2).signature,
        suite.claim(other_session, 3).signature,
        foreign.to_bytes().to_vec().into(),
        HexBinary::from(vec![1; 63]),
        HexBinary::from(vec![0; 64]),
        HexBinary::default(),
    ];
    let mut bad: Vec<Claim> = signatures.map(|signature| Claim { signature, ..good.clone() }).into();
    bad.push(Claim { request: RequestDigest([7; 32]), ..good.clone() });
    for claim in bad {
        let msg = suite.committing(vec![claim]);
        suite.refused(&executor, &msg, 0, ContractError::BadVoucher { session, nonce: Nonce(3) });
    }
    suite.commit_batch(&executor, vec![good], 0);
}

#[test]
fn a_session_key_that_is_no_point_signs_nothing() {
    let mut suite = Suite::new();
    let (executor, requester) = (suite.nodes[0].clone(), suite.requester.clone());
    let mut msg = suite.opening(&executor);
    if let ExecuteMsg::OpenSession { session_key, .. } = &mut msg {
        *session_key = HexBinary::from([vec![2], vec![0xff; 32]].concat());
    }
    suite.accepted(&requester, &msg, FEE);
    let session = SessionId(1);
    let msg = suite.committing(vec![suite.claim(session, 1)]);
    suite.refused(&executor, &msg, 0, ContractError::BadVoucher { session, nonce: Nonce(1) });
}

#[test]
fn a_claim_is_covered_by_the_escrow() {
    let (mut suite, executor, session) = with_session();
    let (escrow, cost) = ((100 * FEE).into(), (101 * FEE).into());
    let msg = suite.committing(vec![suite.claim(session, 101)]);
    suite.refused(&executor, &msg, 0, ContractError::EscrowShort { session, escrow, cost });
    let msg = suite.committing(vec![suite.claim(session, 50)]);
    suite.accepted(&executor, &msg, 0);
}

#[test]
fn a_cost_beyond_u128_is_an_error_not_a_wrap() {
    let mut suite = Suite::new();
    let (executor, requester) = (suite.nodes[0].clone(), suite.requester.clone());
    let mut msg = suite.opening(&executor);
    if let ExecuteMsg::OpenSession { fee, .. } = &mut msg {
        *fee = u128::MAX.into();
    }
    suite.accepted(&requester, &msg, FEE);
    let msg = suite.committing(vec![suite.claim(SessionId(1), 2)]);
    let error = suite.send(&executor, &msg, 0).unwrap_err();
    assert!(error.contains("amounts do not fit"), "{error}");
}

#[test]
fn a_batch_holds_a_bounded_number_of_inferences() {
    let mut suite = Suite::builder().params(|p| p.limits.inferences_per_batch = 10).build();
    let executor = suite.nodes[0].clone();
    let first = suite.open_session(&executor, 100 * FEE);
    let second = suite.open_session(&executor, 100 * FEE);
    let msg = suite.committing(vec![suite.claim(first, 5), suite.claim(second, 6)]);
    suite.refused(&executor, &msg, 0, ContractError::TooManyInferences { count: 11, most: 10 });
    let msg = suite.committing(vec![suite.claim(first, 5), suite.claim(second, 5)]);
    suite.accepted(&executor, &msg, 0);
}

#[test]
fn too_few_others_reject_a_batch_by_name() {
    let mut suite = Suite::builder().nodes(3).build();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, FEE);
    let msg = suite.committing(vec![suite.claim(session, 1)]);
    let expected = ContractError::TooFewOthers { model: suite.model, others: 2, needed: 3 };
    suite.refused(&executor, &msg, 0, expected);
}

#[test]
fn an_executor_causes_a_bounded_number_of_samples_in_a_window() {
    let mut suite = Suite::builder().params(|p| p.jury.max_samples_per_window = 20).build();
    let (executor, other) = (suite.nodes[0].clone(), suite.nodes[1].clone());
    let session = suite.open_session(&executor, 100 * FEE);
    let claim = suite.claim(session, 12);
    suite.commit_batch(&executor, vec![claim], 0);
    let msg = suite.committing(vec![suite.claim(session, 21)]);
    let expected =
        ContractError::TooManySamples { window: assay_common::ids::Window(0), samples: 21, most: 20 };
    suite.refused(&executor, &msg, 0, expected);
    // Another executor has its own bound, and the next window a new one.
    let others = suite.open_session(&other, 100 * FEE);
    let claim = suite.claim(others, 20);
    suite.commit_batch(&other, vec![claim], 0);
    suite.at_window(1);
    suite.accepted(&executor, &msg, 0);
}

#[test]
fn what_the_checks_lack_comes_with_the_message_to_the_unit() {
    let mut suite = Suite::new();
    let (executor, requester) = (suite.nodes[0].clone(), suite.requester.clone());
    let mut msg = suite.opening(&executor);
    if let ExecuteMsg::OpenSession { fee, .. } = &mut msg {
        *fee = 150u128.into(); // three verdicts cost 210, the reserve takes 1
    }
    suite.accepted(&requester, &msg, FEE);
    let msg = suite.committing(vec![suite.claim(SessionId(1), 1)]);
    let needed = 61u128;
    for sent in [0, needed - 1] {
        let expected = ContractError::CheckPoolShort { needed: needed.into(), sent: sent.into() };
        suite.refused(&executor, &msg, sent, expected);
    }
    let expected = ContractError::SurplusFunds { needed: needed.into(), sent: (needed + 1).into() };
    suite.refused(&executor, &msg, needed + 1, expected);
    suite.accepted(&executor, &msg, needed);
    let pools = suite.pools();
    assert_eq!((pools.pending.u128(), pools.checks.u128(), pools.reserve.u128()), (0, 210, 1));
}

#[test]
fn funds_that_nothing_lacks_are_refused() {
    let (mut suite, executor, session) = with_session();
    let msg = suite.committing(vec![suite.claim(session, 1)]);
    let expected = ContractError::SurplusFunds { needed: 0u128.into(), sent: 1u128.into() };
    suite.refused(&executor, &msg, 1, expected);
}

/// A session opened with a new executor is sampled at its full rate until the first batch after it earned trust.
#[test]
fn batches_held_until_reputation_rises_keep_the_rate_of_their_sessions_marks() {
    let mut suite = Suite::builder()
        .params(|p| {
            p.reputation.step_ppm = 1_000_000;
            p.reputation.min_checked = 4;
        })
        .build();
    let executor = suite.nodes[0].clone();
    let old = suite.open_session(&executor, 1_000 * FEE);
    let idle = suite.open_session(&executor, 1_000 * FEE);
    let claim = suite.claim(old, 4);
    let first = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(0, &[first], &honest);
    suite.at_epoch(1);
    suite.settle(&executor, 0, 200);
    let young = suite.open_session(&executor, 1_000 * FEE);
    let (full, base) = (1u64 << 32, (1u64 << 32).div_ceil(100));
    // Both older sessions are marked at rate one still; the claim on the first renews its mark.
    let claims = vec![suite.claim(old, 104), suite.claim(young, 100)];
    let mixed = suite.commit_batch(&executor, claims, 0);
    assert_eq!((batch(&suite, mixed).rate_q32, batch(&suite, mixed).samples), (full, 200));
    suite.at_window(7);
    let claims = vec![suite.claim(old, 204), suite.claim(young, 200)];
    let trusted = suite.commit_batch(&executor, claims, 0);
    assert_eq!((batch(&suite, trusted).rate_q32, batch(&suite, trusted).samples), (base, 3));
    let claim = suite.claim(idle, 10);
    let marked = suite.commit_batch(&executor, vec![claim], 0);
    assert_eq!((batch(&suite, marked).rate_q32, batch(&suite, marked).samples), (full, 10));
}

#[test]
fn a_session_waits_when_three_epochs_are_unsettled() {
    let (mut suite, executor, session) = with_session();
    let mut batches = Vec::new();
    for epoch in 0..3 {
        suite.at_epoch(epoch);
        let claim = suite.claim(session, epoch + 1);
        batches.push(suite.commit_batch(&executor, vec![claim], 0));
    }
    suite.at_epoch(3);
    let msg = suite.committing(vec![suite.claim(session, 4)]);
    suite.refused(&executor, &msg, 0, ContractError::EpochUnsettled { session, epoch: Epoch(0) });
    // Another session of the same executor is not held up.
    let fresh = suite.open_session(&executor, FEE);
    let claim = suite.claim(fresh, 1);
    suite.commit_batch(&executor, vec![claim], 0);
    // Without a verdict the sample ends inconclusive, the epoch is paid, and the slot is free.
    suite.post_beacon(0);
    suite.draw(batches[0], 1);
    suite.at_epoch(4);
    suite.tally(batches[0], 0, 1);
    suite.settle(&executor, 0, 1);
    suite.accepted(&executor, &msg, 0);
}
