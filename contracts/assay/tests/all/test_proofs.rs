//! Proofs that anyone can bring, and the attacks on them: framing, theft of the bounty, self-accusation, late and bent proofs.

use assay_common::ids::{BatchId, Digest, Epoch, RunSeed, SessionId};
use assay_common::msg::{
    ClaimableResponse, EpochStatus, ExecuteMsg, FraudCommitmentResponse, NodeResponse, QueryMsg,
};
use assay_common::proof::{accusation, Accusation, Finding, FraudProof};
use assay_common::verdict::FinalOutcome;
use assay_contract::error::ContractError;
use cosmwasm_std::Addr;

use crate::suite::*;

fn node(suite: &Suite, address: &Addr) -> NodeResponse {
    suite.query(&QueryMsg::Node { address: address.to_string() })
}

fn claimable(suite: &Suite, address: &Addr) -> u128 {
    let query = QueryMsg::Claimable { address: address.to_string() };
    suite.query::<ClaimableResponse>(&query).amount.u128()
}

// --- what a proof does ---

#[test]
fn a_row_that_does_not_replay_condemns_its_epoch_at_once_and_takes_stake_at_the_settlement() {
    let mut suite = Suite::new();
    let (executor, committed) = cheated(&mut suite);
    let accuser = suite.account("accuser");
    let response = suite.prove(&accuser, &committed.proof(1, 2)).unwrap();
    insta::assert_debug_snapshot!("an_open_epoch_condemned", attributes(&response, "assay_fraud_proven"));
    let epoch = suite.epoch(&executor, 0);
    assert_eq!((epoch.status, epoch.slashed.u128()), (EpochStatus::Condemned, 0));
    let (batch, finding) = (committed.batch, Finding::Replay);
    assert_eq!(epoch.accusation, Some(Accusation { accuser: accuser.to_string(), finding, batch, index: 1 }));
    assert_eq!(node(&suite, &executor).stake.u128(), 2 * MIN_STAKE);

    // Open samples end void, whatever the jurors say.
    suite.judge(0, &[committed.batch], &honest);
    assert!(suite.samples(committed.batch).iter().all(|sample| sample.outcome == Some(FinalOutcome::Void)));
    suite.at_epoch(1);
    let response = suite.settle(&executor, 0, 1);
    insta::assert_debug_snapshot!("a_forfeit_by_proof", attributes(&response, "assay_settled"));
    let epoch = suite.epoch(&executor, 0);
    assert_eq!((epoch.status, epoch.slashed.u128()), (EpochStatus::Forfeited, SLASH));
    assert_eq!((epoch.refunded, epoch.bounty.u128()), (epoch.fees, BOUNTY));
    assert_eq!(node(&suite, &executor).stake.u128(), 2 * MIN_STAKE - SLASH);
    assert_eq!(claimable(&suite, &accuser), BOUNTY);
    let top_up = epoch.fees.u128() - epoch.pending.u128();
    assert_eq!(suite.pools().burned.u128(), SLASH - top_up - BOUNTY);
    // The session has all of its fees back.
    assert_eq!(suite.session(SessionId(1)).escrow.u128(), 6 * FEE);
}

#[test]
fn a_condemned_epoch_settles_without_its_samples_but_in_its_turn() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let honest_batch = suite.commit_answers(&executor, 2, honest_answer);
    suite.at_epoch(1);
    let (_, committed) = cheated(&mut suite);
    let accuser = suite.account("accuser");
    suite.prove(&accuser, &committed.proof(1, 2)).unwrap();
    suite.at_epoch(2);
    let sender = suite.requester.clone();
    let expected = ContractError::EarlierEpochOpen { epoch: Epoch(1), earlier: Epoch(0) };
    suite.refused(&sender, &settling(&executor, 1, 10), 0, expected);
    suite.post_beacon(0);
    suite.draw(honest_batch.batch, 10);
    suite.at_epoch(3);
    suite.tally(honest_batch.batch, 0, 10);
    suite.settle(&executor, 0, 10);
    let due: Vec<_> = suite.due().settlements.into_iter().map(|due| due.epoch).collect();
    assert_eq!(due, [Epoch(1)]);
    suite.settle(&executor, 1, 1);
    assert_eq!(suite.epoch(&executor, 1).status, EpochStatus::Forfeited);
    assert_eq!(node(&suite, &executor).reputation.0, 0);
}

#[test]
fn an_epoch_already_paid_costs_stake_and_reputation_and_no_refund() {
    let mut suite = Suite::new();
    let (executor, committed) = cheated(&mut suite);
    suite.judge(0, &[committed.batch], &honest);
    suite.at_epoch(1);
    suite.settle(&executor, 0, 10);
    let (paid, before) = (suite.epoch(&executor, 0), suite.pools());
    assert_eq!(paid.status, EpochStatus::Paid);
    let accuser = suite.account("accuser");
    let response = suite.prove(&accuser, &committed.proof(1, 2)).unwrap();
    insta::assert_debug_snapshot!("a_paid_epoch_slashed", attributes(&response, "assay_fraud_proven"));
    let epoch = suite.epoch(&executor, 0);
    assert_eq!((epoch.status, epoch.reward, epoch.refunded), (EpochStatus::Paid, paid.reward, paid.refunded));
    assert_eq!(node(&suite, &executor).stake.u128(), 2 * MIN_STAKE - SLASH);
    assert_eq!(claimable(&suite, &accuser), BOUNTY);
    assert_eq!(suite.pools().burned.u128() - before.burned.u128(), SLASH - BOUNTY);
}

#[test]
fn stake_is_taken_once_for_an_epoch_however_many_proofs_there_are() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let committed = suite.commit_answers(&executor, 3, |seed, number| {
        let mut artifact = honest_answer(seed, number);
        tamper(&mut artifact, 2, swap_token);
        artifact
    });
    let (first, second) = (suite.account("first"), suite.account("second"));
    suite.prove(&first, &committed.proof(0, 2)).unwrap();
    let slashed = ContractError::EpochSlashed { executor: executor.to_string(), epoch: Epoch(0) }.to_string();
    // While it is condemned, and after it is settled.
    assert!(suite.prove(&second, &committed.proof(1, 2)).unwrap_err().contains(&slashed));
    suite.at_epoch(1);
    suite.settle(&executor, 0, 10);
    assert!(suite.prove(&second, &committed.proof(2, 2)).unwrap_err().contains(&slashed));
    assert_eq!(node(&suite, &executor).stake.u128(), 2 * MIN_STAKE - SLASH);
    // Another epoch is another fraud.
    let committed = suite.commit_answers(&executor, 1, |_, number| honest_answer(&RunSeed([1; 32]), number));
    suite.prove(&second, &committed.proof(0, 0)).unwrap();
}

#[test]
fn a_proof_takes_stake_where_too_few_others_serve_for_a_jury_to() {
    let mut suite = Suite::builder().params(|p| p.jury.min_others_to_slash = 4).build();
    let (executor, committed) = cheated(&mut suite);
    let accuser = suite.account("accuser");
    suite.prove(&accuser, &committed.proof(1, 2)).unwrap();
    suite.at_epoch(1);
    suite.settle(&executor, 0, 10);
    assert_eq!(suite.epoch(&executor, 0).slashed.u128(), SLASH);

    // So does one after a jury forfeited the epoch and could take nothing.
    let committed = suite.commit_answers(&executor, 12, |seed, number| {
        let mut artifact = honest_answer(seed, number);
        tamper(&mut artifact, 0, swap_token);
        artifact
    });
    suite.judge(6, &[committed.batch], &|_, _| Some(REPLAY));
    suite.at_epoch(2);
    suite.settle(&executor, 1, 200);
    let epoch = suite.epoch(&executor, 1);
    assert_eq!((epoch.status, epoch.slashed.u128()), (EpochStatus::Forfeited, 0));
    suite.prove(&accuser, &committed.proof(3, 0)).unwrap();
    assert_eq!(suite.epoch(&executor, 1).slashed.u128(), (2 * MIN_STAKE - SLASH) / 10);
}

/// The order of a forfeit's slash: refunds to the full, then the bounty out of what is left.
#[test]
fn the_bounty_comes_after_the_refunds() {
    let mut suite = Suite::builder().params(|p| p.fees.slash_ppm = 12).build();
    let (executor, committed) = cheated(&mut suite);
    let accuser = suite.account("accuser");
    suite.prove(&accuser, &committed.proof(1, 2)).unwrap();
    suite.at_epoch(1);
    suite.settle(&executor, 0, 10);
    let epoch = suite.epoch(&executor, 0);
    // 240 of the stake, where the sessions lack 30 + 630.
    assert_eq!((epoch.slashed.u128(), epoch.bounty.u128()), (240, 0));
    assert_eq!(epoch.refunded.u128(), epoch.pending.u128() + 240);
}

#[test]
fn whoever_accuses_itself_is_slashed_and_gets_no_bounty() {
    let mut suite = Suite::new();
    let (executor, committed) = cheated(&mut suite);
    suite.prove(&executor, &committed.proof(1, 2)).unwrap();
    suite.at_epoch(1);
    suite.settle(&executor, 0, 10);
    let epoch = suite.epoch(&executor, 0);
    assert_eq!((epoch.slashed.u128(), epoch.bounty.u128(), claimable(&suite, &executor)), (SLASH, 0, 0));

    // Nor after it was paid.
    let (_, committed) = cheated(&mut suite);
    suite.judge(6, &[committed.batch], &honest);
    suite.at_epoch(2);
    suite.settle(&executor, 1, 10);
    let before = claimable(&suite, &executor);
    suite.prove(&executor, &committed.proof(1, 2)).unwrap();
    assert!(!suite.epoch(&executor, 1).slashed.is_zero());
    assert_eq!(claimable(&suite, &executor), before);
}

#[test]
fn a_session_with_a_condemned_epoch_goes_on_and_gets_its_refund_when_that_is_settled() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 10 * FEE);
    let wrong_seed = |_: &RunSeed, number| honest_answer(&RunSeed([1; 32]), number);
    let committed = suite.commit_answers_of(&executor, session, 3, wrong_seed);
    let accuser = suite.account("accuser");
    suite.prove(&accuser, &committed.proof(1, 0)).unwrap();
    suite.commit_answers_of(&executor, session, 2, honest_answer);
    assert_eq!(suite.session(session).escrow.u128(), 5 * FEE);
    suite.at_epoch(1);
    suite.settle(&executor, 0, 10);
    assert_eq!(suite.session(session).escrow.u128(), 10 * FEE);
}

// --- bent and late proofs ---

#[test]
fn a_proof_of_another_batch_or_index_is_refused() {
    let mut suite = Suite::new();
    let (executor, committed) = cheated(&mut suite);
    let other = suite.commit_answers(&executor, 3, honest_answer);
    let accuser = suite.account("accuser");
    let good = committed.proof(1, 2);
    let bent = [
        (
            FraudProof { batch: other.batch, ..good.clone() },
            ContractError::NotUnderRoot { batch: other.batch, index: 1 },
        ),
        (
            FraudProof { index: 0, ..good.clone() },
            ContractError::NotUnderRoot { batch: good.batch, index: 0 },
        ),
        (
            FraudProof { index: 3, ..good.clone() },
            ContractError::NoSuchLeaf { batch: good.batch, index: 3, count: 3 },
        ),
        (FraudProof { batch: BatchId(9), ..good.clone() }, ContractError::UnknownBatch { batch: BatchId(9) }),
        (
            FraudProof { row: committed.proof(0, 2).row, ..good.clone() },
            ContractError::NotUnderRoot { batch: good.batch, index: 1 },
        ),
        (
            FraudProof { tokens: committed.proof(0, 2).tokens, ..good.clone() },
            ContractError::NotUnderRoot { batch: good.batch, index: 1 },
        ),
    ];
    for (proof, expected) in bent {
        let error = suite.prove(&accuser, &proof).unwrap_err();
        assert!(error.contains(&expected.to_string()), "expected {expected}, got {error}");
    }
    assert!(suite.prove(&accuser, &good).is_ok());
}

#[test]
fn truncated_and_over_long_paths_are_refused() {
    let mut suite = Suite::new();
    let (_, committed) = cheated(&mut suite);
    let accuser = suite.account("accuser");
    let good = committed.proof(1, 2);
    let length = good.row_path.len();
    for more in [vec![], vec![Digest([1; 32])], vec![Digest([1; 32]); 33], vec![Digest([1; 32]); 1_000]] {
        let shorter = more.is_empty();
        let bend = |path: &[Digest]| match shorter {
            true => path[..path.len() - 1].to_vec(),
            false => [path, &more].concat(),
        };
        let proof = FraudProof { row_path: bend(&good.row_path), ..good.clone() };
        let length = if shorter { length - 1 } else { length + more.len() };
        let expected = ContractError::BadRowPath { position: 2, rows: ANSWER, length };
        let error = suite.prove(&accuser, &proof).unwrap_err();
        assert!(error.contains(&expected.to_string()), "expected {expected}, got {error}");
        let proof = FraudProof { batch_path: bend(&good.batch_path), ..good.clone() };
        let expected = ContractError::NotUnderRoot { batch: good.batch, index: 1 };
        let error = suite.prove(&accuser, &proof).unwrap_err();
        assert!(error.contains(&expected.to_string()), "expected {expected}, got {error}");
    }
}

#[test]
fn a_proof_comes_within_the_fraud_window() {
    let mut suite = Suite::new();
    let (executor, committed) = cheated(&mut suite);
    suite.judge(0, &[committed.batch], &honest);
    suite.at_epoch(1);
    suite.settle(&executor, 0, 10);
    let accuser = suite.account("accuser");
    let proof = committed.proof(1, 2);
    let (batch, until) = (committed.batch, START + 10 + 300);
    suite.at_seconds(until + 1);
    let expected = ContractError::FraudWindowOver { batch, until, now: until + 1 };
    assert!(suite.prove(&accuser, &proof).unwrap_err().contains(&expected.to_string()));
    suite.at_seconds(until);
    suite.accepted(&accuser, &proving(&proof), 0);
}

// --- theft of the bounty ---

#[test]
fn a_bounty_is_not_stolen_by_front_running() {
    let mut suite = Suite::new();
    let (executor, committed) = cheated(&mut suite);
    let (accuser, thief) = (suite.account("accuser"), suite.account("thief"));
    let proof = committed.proof(1, 2);
    let hash =
        |suite: &Suite, of: &Addr| accusation(&suite.domain(), of.as_str(), &proof.digest(), &proof_salt());
    let not_committed = |suite: &Suite| {
        let (accuser, hash) = (thief.to_string(), hash(suite, &thief));
        ContractError::FraudNotCommitted { accuser, hash }
    };
    suite.commit_proof(&accuser, &proof.digest());
    // The thief sees the proof in the mempool. It committed to nothing:
    let expected = not_committed(&suite);
    suite.refused(&thief, &proving(&proof), 0, expected);
    // it commits to the hash that the accuser committed to:
    let copied = hash(&suite, &accuser);
    suite.accepted(&thief, &ExecuteMsg::CommitFraud { hash: copied }, 0);
    suite.next_block();
    let expected = not_committed(&suite);
    suite.refused(&thief, &proving(&proof), 0, expected);
    // it commits to its own and shows it in the same block:
    let own = hash(&suite, &thief);
    suite.accepted(&thief, &ExecuteMsg::CommitFraud { hash: own }, 0);
    let height = suite.app.block_info().height;
    suite.refused(&thief, &proving(&proof), 0, ContractError::FraudTooEarly { hash: own, height });
    suite.accepted(&accuser, &proving(&proof), 0);
    suite.next_block();
    let expected = ContractError::EpochSlashed { executor: executor.to_string(), epoch: Epoch(0) };
    suite.refused(&thief, &proving(&proof), 0, expected);
}

#[test]
fn a_commitment_is_to_every_byte_of_the_proof_and_to_the_salt() {
    let mut suite = Suite::new();
    let (_, committed) = cheated(&mut suite);
    let accuser = suite.account("accuser");
    let proof = committed.proof(1, 2);
    suite.commit_proof(&accuser, &proof.digest());
    let other_salt = ExecuteMsg::ProveFraud { proof: proof.clone(), salt: [8; 32].into() };
    let mut longer = proof.clone();
    longer.row_path.push(Digest([0; 32]));
    let other_row = FraudProof { position: 1, ..proof.clone() };
    for msg in [other_salt, proving(&longer), proving(&other_row), proving(&committed.proof(0, 2))] {
        let error = suite.send(&accuser, &msg, 0).unwrap_err();
        assert!(error.contains("no standing commitment"), "{error}");
    }
    suite.accepted(&accuser, &proving(&proof), 0);
}

#[test]
fn a_commitment_stands_once_until_the_end_of_the_next_epoch_and_is_used_up_by_its_proof() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let wrong_seed = |_: &RunSeed, number| honest_answer(&RunSeed([1; 32]), number);
    let committed = suite.commit_answers(&executor, 1, wrong_seed);
    let accuser = suite.account("accuser");
    let proof = committed.proof(0, 0);
    let hash = accusation(&suite.domain(), accuser.as_str(), &proof.digest(), &proof_salt());
    let asking = QueryMsg::FraudCommitment { accuser: accuser.to_string(), hash };
    let stands = |suite: &Suite| suite.query::<FraudCommitmentResponse>(&asking).height;
    assert_eq!(stands(&suite), None);
    let height = suite.app.block_info().height;
    let response = suite.accepted(&accuser, &ExecuteMsg::CommitFraud { hash }, 0);
    assert_eq!(attribute(&response, "assay_fraud_committed", "until"), "1");
    assert_eq!(stands(&suite), Some(height));
    suite.at_window(11);
    let expected = ContractError::FraudCommitted { accuser: accuser.to_string(), hash, height };
    suite.refused(&accuser, &ExecuteMsg::CommitFraud { hash }, 0, expected);
    suite.at_epoch(2);
    assert_eq!(stands(&suite), None);
    let expected = ContractError::FraudNotCommitted { accuser: accuser.to_string(), hash };
    suite.refused(&accuser, &proving(&proof), 0, expected);
    // What lapsed is swept, and nothing but that.
    suite.accepted(&accuser, &ExecuteMsg::CommitFraud { hash }, 0);
    let response = suite.accepted(&accuser, &ExecuteMsg::Sweep { limit: 50 }, 0);
    assert_eq!(attribute(&response, "assay_swept", "items"), "1");
    assert!(stands(&suite).is_some());
    suite.next_block();
    suite.accepted(&accuser, &proving(&proof), 0);
    assert_eq!(stands(&suite), None);
    suite.at_epoch(5);
    let nothing = ContractError::NothingToSweep { epoch: Epoch(5) };
    suite.refused(&accuser, &ExecuteMsg::Sweep { limit: 50 }, 0, nothing);
}
