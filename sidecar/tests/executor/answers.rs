//! Answering: once for each inference, stored before it is signed.

use assay_common::artifact::Artifact;
use assay_common::ids::Nonce;
use assay_common::session::{inference_id, tokens_digest};
use assay_sidecar::engine::Speed;
use assay_sidecar::executor::inferences::NewInference;
use assay_sidecar::http::Health;
use assay_sidecar::request::check_receipt;
use cosmwasm_std::Uint128;
use futures::future::join_all;

use crate::suite::{domain, Suite, FAILS, PANICS, SESSION};

#[tokio::test]
async fn an_answer_comes_with_a_receipt_that_its_requester_accepts() {
    let suite = Suite::new().await;
    let asked = suite.asked(1, &[5, 6]);
    let answer = suite.ask(&asked).await.unwrap();
    assert_eq!(answer.tokens, [11, 12, 13]);
    check_receipt(&domain(), suite.account.address(), &asked, &answer).unwrap();
    let stored = suite.inferences.get(&answer.receipt.inference).await.unwrap().unwrap();
    assert_eq!(stored.receipt, answer.receipt);
    let artifact = Artifact::decode(&stored.artifact).unwrap();
    assert_eq!(artifact.receipt(answer.receipt.inference), answer.receipt);
    assert_eq!(stored.voucher, asked.voucher.to_vec());
}

#[tokio::test]
async fn the_same_request_again_gets_the_stored_answer_whatever_became_of_its_session() {
    let suite = Suite::new().await;
    let asked = suite.asked(1, &[5]);
    let first = suite.ask(&asked).await.unwrap();
    suite.change_session(|session| {
        session.nonce = Nonce(1);
        session.escrow = Uint128::zero();
    });
    assert_eq!(suite.ask(&asked).await.unwrap(), first);
    assert_eq!(suite.questions(), 1);
}

#[tokio::test]
async fn another_request_under_an_answered_nonce_is_a_conflict() {
    let suite = Suite::new().await;
    let first = suite.ask(&suite.asked(1, &[5])).await.unwrap();
    let (status, error) = suite.ask(&suite.asked(1, &[6])).await.unwrap_err();
    assert_eq!((status, error.contains("answered for another request")), (409, true), "{error}");
    assert_eq!(suite.ask(&suite.asked(1, &[5])).await.unwrap(), first);
}

#[tokio::test]
async fn requests_that_race_for_one_nonce_get_one_receipt_between_them() {
    let suite = Suite::new().await;
    let (one, other) = (suite.asked(1, &[5]), suite.asked(1, &[6]));
    let racers = [&one, &one, &other, &one, &other];
    let answers = join_all(racers.map(|asked| suite.ask(asked))).await;
    let mut receipts: Vec<_> = answers.iter().flatten().map(|answer| answer.receipt).collect();
    receipts.dedup();
    assert_eq!(receipts.len(), 1);
    let statuses: Vec<u16> = answers.iter().filter_map(|answer| answer.as_ref().err()).map(|e| e.0).collect();
    assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == 409), "{statuses:?}");
}

#[tokio::test]
async fn nonces_are_answered_in_any_order_and_together() {
    let suite = Suite::new().await;
    let asked: Vec<_> = [3, 1, 5, 2].map(|nonce| suite.asked(nonce, &[nonce as u32])).into();
    let answers = join_all(asked.iter().map(|asked| suite.ask(asked))).await;
    for (asked, answer) in asked.iter().zip(answers) {
        let receipt = answer.unwrap().receipt;
        assert_eq!(receipt.inference, inference_id(&domain(), SESSION, asked.nonce));
    }
}

#[tokio::test]
async fn one_question_that_fails_or_panics_spoils_no_other_and_the_model_goes_on() {
    let suite = Suite::new().await;
    let asked = [suite.asked(1, &[FAILS]), suite.asked(2, &[5]), suite.asked(3, &[PANICS])];
    let answers = join_all(asked.iter().map(|asked| suite.ask(asked))).await;
    let (status, error) = answers[0].as_ref().unwrap_err();
    assert_eq!((*status, error.contains("a logit is not finite")), (500, true), "{error}");
    assert!(answers[1].is_ok());
    let (status, error) = answers[2].as_ref().unwrap_err();
    assert_eq!((*status, error.contains("the script says so")), (500, true), "{error}");
    assert!(suite.ask(&suite.asked(4, &[5])).await.is_ok());
}

#[tokio::test]
async fn a_session_that_was_topped_up_is_read_again() {
    let suite = Suite::new().await;
    suite.change_session(|session| session.escrow = Uint128::new(10));
    assert!(suite.ask(&suite.asked(1, &[5])).await.is_ok());
    assert_eq!(suite.ask(&suite.asked(2, &[5])).await.unwrap_err().0, 402);
    suite.change_session(|session| session.escrow = Uint128::new(20));
    assert!(suite.ask(&suite.asked(2, &[5])).await.is_ok());
}

#[tokio::test]
async fn what_is_stored_first_is_the_receipt_for_ever() {
    let suite = Suite::new().await;
    let first = suite.ask(&suite.asked(1, &[5])).await.unwrap();
    let id = first.receipt.inference;
    let mut altered = first.receipt;
    altered.tokens = tokens_digest(&[4]);
    let other = NewInference {
        session: SESSION,
        nonce: Nonce(1),
        receipt: altered,
        artifact: vec![1],
        voucher: vec![2],
    };
    let before = suite.inferences.get(&id).await.unwrap();
    suite.inferences.insert(&[other], 0).await.unwrap();
    assert_eq!(suite.inferences.get(&id).await.unwrap(), before);
}

#[tokio::test]
async fn an_answer_that_was_stored_before_a_crash_is_signed_after_it_and_not_made_again() {
    let suite = Suite::new().await;
    let asked = suite.asked(1, &[5]);
    let (salt, leaves) = ([9; 32], vec![vec![0]]);
    let artifact =
        Artifact { request: asked.request.clone(), salt, prompt: vec![5], tokens: vec![77], leaves };
    let receipt = artifact.receipt(inference_id(&domain(), SESSION, Nonce(1)));
    let (artifact, voucher) = (artifact.encode(), asked.voucher.to_vec());
    let stored = NewInference { session: SESSION, nonce: Nonce(1), receipt, artifact, voucher };
    suite.inferences.insert(&[stored], 0).await.unwrap();
    let answer = suite.ask(&asked).await.unwrap();
    assert_eq!((answer.tokens.as_slice(), answer.receipt), ([77].as_slice(), receipt));
    check_receipt(&domain(), suite.account.address(), &asked, &answer).unwrap();
    assert_eq!(suite.questions(), 0);
}

#[tokio::test]
async fn health_names_the_node_and_counts_its_tokens() {
    let suite = Suite::new().await;
    suite.ask(&suite.asked(1, &[5])).await.unwrap();
    let response = suite.client.get(format!("{}/health", suite.url)).send().await.unwrap();
    let health: Health = response.json().await.unwrap();
    assert_eq!((health.address.as_str(), health.chain_id.as_str()), (suite.account.address(), "test-1"));
    assert_eq!(health.device.as_deref(), Some("script"));
    let Speed { generated_tokens, artifact_bytes, verified_tokens, .. } = health.speed.unwrap();
    let id = inference_id(&domain(), SESSION, Nonce(1));
    let artifact = suite.inferences.get(&id).await.unwrap().unwrap().artifact;
    assert_eq!((generated_tokens, artifact_bytes, verified_tokens), (3, artifact.len() as u64, 0));
}
