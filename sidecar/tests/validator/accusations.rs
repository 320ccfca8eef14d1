//! A fraud that a node finds while it judges is proven on chain, once, whatever happens in between.

use std::time::Duration;

use assay_common::ids::{BatchId, Epoch, Nonce, Round, SessionId, Window};
use assay_common::judge::Measurement;
use assay_common::msg::{
    BatchResponse, CalibrationVersion, ClaimedRange, ExecuteMsg, QueryMsg, SampleKey, SessionResponse,
    SessionStatus,
};
use assay_common::proof::Finding;
use assay_common::replay::SamplerVersion;
use assay_common::verdict::{InvalidReason, Outcome};
use assay_sidecar::accuse::accusations::{self, Stored};
use assay_sidecar::accuse::build::{BuildError, Proof, Subject};
use assay_sidecar::accuse::file::{next_move, tend, Move};
use assay_sidecar::accuse::Accuser;
use assay_sidecar::store::Store;
use assay_sidecar::validator::jobs::{self, Next, Seat};
use assay_sidecar::validator::keep;
use assay_sidecar::validator::pages::{self, PageState};
use assay_sidecar::validator::relay::Source;
use cosmwasm_std::Uint128;
use serde_json::json;

use super::artifacts::{calibration, Trial};
use super::node::{message, Mempool};
use super::suite::{end_of, key, model, Suite};

const REPLAY: Outcome = Outcome::Invalid { reason: InvalidReason::Replay };
const DRAWN: Window = Window(4);

/// What the chain says about a trial's batch, session and model, under the batch's id.
pub fn know(suite: &Suite, trial: &Trial, id: BatchId) {
    let case = &trial.case;
    let (from, to) = (Nonce(1), Nonce(2));
    let batch = BatchResponse {
        batch: id,
        executor: case.executor.clone(),
        model: case.model,
        root: case.root,
        count: case.count,
        claims: vec![ClaimedRange { session: case.session, from, to }],
        window: Window(0),
        epoch: Epoch(0),
        round: Round(1),
        rate_q32: 1 << 32,
        sampler: SamplerVersion::CURRENT,
        params: 1,
        calibration: case.calibration,
        fees: Uint128::new(20),
        samples: 2,
        drawn: 2,
        closed: 0,
    };
    let session = SessionResponse {
        session: case.session,
        requester: "wasm1requester".into(),
        executor: case.executor.clone(),
        model: case.model,
        user_seed: case.user_seed,
        session_key: case.session_key.clone(),
        fee: Uint128::new(10),
        max_prompt: case.max_prompt,
        max_new: case.max_new,
        expires: Epoch(9),
        status: SessionStatus::Open,
        closes: Epoch(11),
        unsettled: Vec::new(),
        escrow: Uint128::zero(),
        nonce: to,
        mark_q32: 1 << 32,
    };
    let record = calibration().record(case.calibration);
    let model = model(CalibrationVersion { version: 1, from: Epoch(0), record }, None);
    let answers = [
        (QueryMsg::Batch { batch: id }, json!(batch)),
        (QueryMsg::Session { session: case.session }, json!(session)),
        (QueryMsg::Model { model: case.model }, json!(model)),
    ];
    let mut state = suite.node.state();
    state.ticking = true;
    for (query, answer) in answers {
        state.answers.insert(serde_json::to_string(&query).unwrap(), answer);
    }
}

/// A sample of batch `batch` that was judged with this outcome.
async fn judged(suite: &Suite, store: &Store, trial: &mut Trial, batch: u64, outcome: Outcome) -> SampleKey {
    let (key, evidence) = (key(batch, 0), trial.served());
    know(suite, trial, key.batch);
    let seat = Seat { key, window: DRAWN, page: 0, deadline: end_of(5) };
    jobs::record(store, 10, &[seat]).await.unwrap();
    let case = trial.case.clone();
    let steps = [
        Next::Fetched { case: case.clone(), evidence, from: Source::Executor(case.executor.clone()) },
        Next::Recomputed { measurement: Measurement::default() },
        Next::Judged { case, outcome, report: None },
    ];
    for next in steps {
        let job = jobs::claim(store, 0, Duration::from_secs(1)).await.unwrap().unwrap();
        assert!(jobs::advance(store, &job, &next, 0).await.unwrap());
    }
    key
}

async fn accuser(suite: &Suite) -> Accuser {
    let (chain, sender, store) = (suite.chain().await, suite.sender().await, suite.store().await);
    Accuser { chain, sender, store, poll: Duration::from_millis(1) }
}

async fn tended(accuser: &Accuser, times: usize) {
    for _ in 0..times {
        if let Err(error) = tend(accuser).await {
            panic!("{error}");
        }
    }
}

async fn all(store: &Store) -> Vec<Stored> {
    let numbers: Vec<i64> = sqlx::query_scalar("SELECT number FROM accusations ORDER BY number")
        .fetch_all(&store.pool)
        .await
        .unwrap();
    let mut found = Vec::new();
    for number in numbers {
        found.push(accusations::get(store, number).await.unwrap());
    }
    found
}

fn states(stored: &[Stored]) -> Vec<&'static str> {
    stored.iter().map(|stored| stored.state.name()).collect()
}

#[tokio::test]
async fn a_replay_mismatch_is_committed_to_and_proven_in_a_later_block() {
    let suite = Suite::new().await;
    let accuser = accuser(&suite).await;
    let mut trial = Trial::new();
    trial.cheat(1);
    let sample = judged(&suite, &accuser.store, &mut trial, 1, REPLAY).await;
    tended(&accuser, 8).await;
    let received = suite.node.state().received.clone();
    let sent: Vec<ExecuteMsg> = received.iter().map(|bytes| message(bytes).1).collect();
    let [ExecuteMsg::CommitFraud { .. }, ExecuteMsg::ProveFraud { proof, .. }] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert_eq!((proof.batch, proof.index, proof.position), (sample.batch, 1, 1));
    assert_eq!(states(&all(&accuser.store).await), ["proven"]);
}

#[tokio::test]
async fn a_crash_anywhere_brings_each_proof_exactly_once() {
    use Mempool::{Breaks, Includes, IncludesAndBreaks, Loses};
    for at_commit in [Includes, Loses, Breaks, IncludesAndBreaks] {
        for at_proof in [Includes, Loses, Breaks, IncludesAndBreaks] {
            let suite = Suite::new().await;
            let mut trial = Trial::new();
            trial.cheat(2);
            let first = accuser(&suite).await;
            judged(&suite, &first.store, &mut trial, 1, REPLAY).await;
            drop(first);
            // Each of them ends with a SIGKILL, and the next begins past every timeout.
            for (mempool, times) in [(at_commit, 1), (at_proof, 2), (Includes, 8)] {
                suite.node.state().mempool = mempool;
                suite.node.state().height += 25;
                tended(&accuser(&suite).await, times).await;
            }
            let what = format!("{at_commit:?}, {at_proof:?}");
            assert_eq!(suite.node.state().court.proven.len(), 1, "{what}");
            assert_eq!(suite.node.state().court.commitments.len(), 1, "{what}");
            assert_eq!(states(&all(&accuser(&suite).await.store).await), ["proven"], "{what}");
        }
    }
}

#[tokio::test]
async fn of_several_frauds_in_an_epoch_one_is_brought() {
    let suite = Suite::new().await;
    let accuser = accuser(&suite).await;
    for batch in [1, 2] {
        let mut trial = Trial::new();
        trial.cheat(0);
        judged(&suite, &accuser.store, &mut trial, batch, REPLAY).await;
    }
    tended(&accuser, 12).await;
    let stored = all(&accuser.store).await;
    assert_eq!(states(&stored), ["proven", "ended"]);
    assert!(stored[1].reason.as_ref().unwrap().contains("condemned or slashed already"));
    assert_eq!(suite.node.state().received.len(), 2);
}

#[tokio::test]
async fn what_a_contract_refuses_again_and_again_ends_with_its_reason() {
    let suite = Suite::new().await;
    let accuser = accuser(&suite).await;
    suite.node.state().court.closed = Some("batch 1 could be accused until yesterday");
    let mut trial = Trial::new();
    trial.cheat(1);
    judged(&suite, &accuser.store, &mut trial, 1, REPLAY).await;
    tended(&accuser, 6).await;
    let stored = all(&accuser.store).await;
    assert_eq!((states(&stored), stored[0].refusals), (vec!["ended"], 2));
    assert!(stored[0].reason.as_ref().unwrap().contains("until yesterday"));
    assert!(suite.node.state().received.is_empty());
}

/// A row that the artifact lacks cannot be opened: that is for the jury to see.
#[tokio::test]
async fn a_failure_that_no_row_proves_is_looked_at_once_and_left_to_the_jury() {
    let suite = Suite::new().await;
    let accuser = accuser(&suite).await;
    let mut trial = Trial::new();
    trial.artifact.leaves.pop();
    judged(&suite, &accuser.store, &mut trial, 1, Outcome::Malformed).await;
    tended(&accuser, 3).await;
    assert!(all(&accuser.store).await.is_empty());
    assert!(accusations::suspect(&accuser.store).await.unwrap().is_none());
}

#[tokio::test]
async fn the_artifact_of_a_failure_outlives_its_sample_and_a_valid_one_does_not() {
    let suite = Suite::new().await;
    let juror = suite.juror().await;
    let (store, chain) = (&juror.store, &juror.chain);
    let (mut bad, mut good) = (Trial::new(), Trial::new());
    bad.cheat(1);
    let failed = judged(&suite, store, &mut bad, 1, REPLAY).await;
    let valid = judged(&suite, store, &mut good, 2, Outcome::Valid).await;
    let mut page = pages::assemble(store, DRAWN).await.unwrap().unwrap();
    for state in [PageState::Committed, PageState::Revealed] {
        assert!(pages::advance(store, &page, state, None).await.unwrap());
        page.state = state;
    }
    // Of what the contract has swept, or never knew, nothing is open any more.
    suite.node.state().enter(7);
    keep::look(&juror).await.unwrap();
    assert!(accusations::judged(store, valid).await.unwrap().is_none());
    let (case, evidence) = accusations::judged(store, failed).await.unwrap().unwrap();
    let subject = Subject::read(chain, failed.batch, case.index).await.unwrap();
    assert_eq!(subject.fraud(&evidence).unwrap().unwrap().finding, Finding::Replay);
}

#[tokio::test]
async fn an_honest_artifact_gives_no_proof_and_foreign_bytes_none_either() {
    let suite = Suite::new().await;
    let chain = suite.chain().await;
    let mut trial = Trial::new();
    let evidence = trial.served();
    know(&suite, &trial, BatchId(1));
    let subject = Subject::read(&chain, BatchId(1), 1).await.unwrap();
    assert_eq!(subject.fraud(&evidence).unwrap(), None);
    trial.cheat(1);
    let foreign = trial.served();
    assert!(matches!(subject.fraud(&foreign), Err(BuildError::Mismatch { .. })));
    let outside = Subject::read(&chain, BatchId(1), 2).await;
    assert!(matches!(outside, Err(BuildError::NoSuchLeaf { index: 2, count: 2, .. })));
}

#[tokio::test]
async fn a_receipt_for_other_tokens_than_were_committed_to_is_an_equivocation() {
    let suite = Suite::new().await;
    let chain = suite.chain().await;
    let mut trial = Trial::new();
    let evidence = trial.served();
    know(&suite, &trial, BatchId(1));
    let subject = Subject::read(&chain, BatchId(1), 1).await.unwrap();
    let receipt = trial.artifact.receipt(trial.case.inference);
    let signed = suite.account.sign(&receipt.digest(chain.domain()).0);
    assert_eq!(subject.equivocation(&evidence, &receipt, &signed).unwrap(), None);

    let mut altered = trial.artifact.clone();
    altered.tokens[0] ^= 1;
    let receipt = altered.receipt(trial.case.inference);
    let found = subject.equivocation(&evidence, &receipt, &signed).unwrap().unwrap();
    let Proof::Equivocation(proof) = found.proof else { panic!("{found:?}") };
    assert_eq!((proof.batch, proof.index, proof.receipt), (BatchId(1), 1, receipt));
    assert_eq!(proof.path.len(), 1);

    let other = assay_common::session::inference_id(chain.domain(), SessionId(1), Nonce(1));
    let refused = subject.equivocation(&evidence, &altered.receipt(other), &signed);
    assert!(matches!(refused, Err(BuildError::OtherInference { .. })));
}

#[test]
fn the_next_move_follows_from_what_the_chain_knows() {
    assert_eq!(next_move(None, None, 9), Move::Commit);
    assert_eq!(next_move(None, Some(9), 9), Move::Wait);
    assert_eq!(next_move(None, Some(9), 10), Move::Prove);
    for committed in [None, Some(9)] {
        assert_eq!(next_move(Some(true), committed, 10), Move::Won);
        assert_eq!(next_move(Some(false), committed, 10), Move::Lost);
    }
}
