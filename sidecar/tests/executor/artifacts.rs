//! Artifacts go to jurors with a seat, and to nobody else.

use std::time::{SystemTime, UNIX_EPOCH};

use assay_common::artifact::{Artifact, Commitment};
use assay_common::ids::{BatchId, InferenceId, Nonce, Window};
use assay_common::msg::{SampleResponse, Seat};
use assay_common::session::{fetch_digest, inference_id};
use assay_sidecar::artifacts::{SIGNED_HEADER, SIGNER_HEADER, TIME_HEADER};
use assay_sidecar::chain::{Account, Pending, Signed};
use assay_sidecar::executor::plan::{plan, Limits, Offer};
use assay_sidecar::http::ArtifactResponse;
use reqwest::RequestBuilder;

use crate::suite::{domain, model, session, Suite, SESSION};

const BATCH: BatchId = BatchId(4);

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Five answers in batch 4, whose sample 0 is the third with a seat for the juror.
async fn committed(suite: &Suite) -> (Commitment, String) {
    for nonce in 1..=5 {
        suite.ask(&suite.asked(nonce, &[nonce as u32])).await.unwrap();
    }
    let record = session(&suite.key, suite.account.address());
    let answered = suite.inferences.waiting(SESSION, Nonce(0), 10).await.unwrap();
    let offer = Offer { session: record, answered };
    let batch = plan(model(), &[offer], Limits { claims: 50, inferences: 100 }).unwrap();
    let number = suite.inferences.store_batch(&batch).await.unwrap();
    let pending = Pending { hash: "AB".into(), timeout_height: 9 };
    suite.inferences.sent(number, &pending).await.unwrap();
    suite.inferences.committed(number, BATCH).await.unwrap();
    let juror = suite.juror().address().to_owned();
    let inference = inference_id(&domain(), SESSION, Nonce(3));
    let sample = SampleResponse {
        batch: BATCH,
        draw: 0,
        index: 2,
        session: SESSION,
        nonce: Nonce(3),
        inference,
        window: Window(1),
        seats: vec![Seat { juror: juror.clone(), verdict: None, score: None }],
        second: None,
        probe_seeds: Vec::new(),
        outcome: None,
        size_class: 0,
        bin: 0,
    };
    suite.table.lock().unwrap().samples.insert((BATCH, 0), sample);
    (Commitment { root: batch.root, count: 5, index: 2, inference }, juror)
}

fn request(suite: &Suite, inference: &InferenceId, query: &str) -> RequestBuilder {
    suite.client.get(format!("{}/v1/artifacts/{inference}{query}", suite.url))
}

fn signed(
    request: RequestBuilder,
    inference: &InferenceId,
    (juror, time): (&str, u64),
    by: &Account,
) -> RequestBuilder {
    let signed: Signed = by.sign(&fetch_digest(&domain(), inference, juror, time).0);
    request
        .header(SIGNER_HEADER, juror)
        .header(TIME_HEADER, time)
        .header(SIGNED_HEADER, serde_json::to_string(&signed).unwrap())
}

async fn refused(request: RequestBuilder, status: u16, words: &str) {
    let response = request.send().await.unwrap();
    let (found, text) = (response.status().as_u16(), response.text().await.unwrap());
    assert!(text.contains(words), "{words:?} expected, found {text}");
    assert_eq!(found, status, "{text}");
}

#[tokio::test]
async fn a_juror_with_a_seat_gets_bytes_that_open_against_the_batch() {
    let suite = Suite::new().await;
    let (commitment, juror) = committed(&suite).await;
    let request = request(&suite, &commitment.inference, "?batch=4&draw=0");
    let request = signed(request, &commitment.inference, (&juror, now()), &suite.juror());
    let response: ArtifactResponse = request.send().await.unwrap().json().await.unwrap();
    let path: Vec<[u8; 32]> = response.path.iter().map(|hash| hash.as_slice().try_into().unwrap()).collect();
    let artifact = Artifact::open(response.artifact.as_slice(), &path, &commitment).unwrap();
    assert_eq!(artifact.prompt, [3]);
    assert_eq!(response.voucher, suite.asked(3, &[3]).voucher);
}

#[tokio::test]
async fn whoever_has_no_seat_or_did_not_sign_is_told_so() {
    let suite = Suite::new().await;
    let (Commitment { inference: id, .. }, juror) = committed(&suite).await;
    let (key, here) = (suite.juror(), "?batch=4&draw=0");
    let of = |query: &str| request(&suite, &id, query);

    refused(of(here), 400, "the header x-assay-signer is missing").await;
    refused(signed(of(""), &id, (&juror, now()), &key), 400, "missing field `batch`").await;
    for half in ["?batch=4", "?batch=4&session=7", "?batch=4&draw=0&session=7&nonce=3"] {
        refused(signed(of(half), &id, (&juror, now()), &key), 400, "a juror names batch and draw").await;
    }
    let other = suite.client.get(format!("{}/v1/artifacts/abc{here}", suite.url));
    refused(signed(other, &id, (&juror, now()), &key), 400, "64 hexadecimal digits").await;

    let late = signed(of(here), &id, (&juror, now() - 100), &key);
    refused(late, 403, "60 s are allowed").await;
    let forged = signed(of(here), &id, (&juror, now()), &suite.account);
    refused(forged, 403, "is signed by").await;
    let replayed = signed(of(here), &inference_id(&domain(), SESSION, Nonce(1)), (&juror, now()), &key);
    refused(replayed, 403, "the signature is not of this content").await;

    let executor = suite.account.address();
    let seatless = signed(of(here), &id, (executor, now()), &suite.account);
    refused(seatless, 403, "has no seat in the jury of sample 0 of batch 4").await;
    let unknown = signed(of("?batch=4&draw=1"), &id, (&juror, now()), &key);
    refused(unknown, 403, "the contract knows no sample 1 of batch 4").await;
    let neighbour = inference_id(&domain(), SESSION, Nonce(2));
    let asked = signed(request(&suite, &neighbour, here), &neighbour, (&juror, now()), &key);
    refused(asked, 403, "sample 0 of batch 4 is inference").await;
}

#[tokio::test]
async fn the_requester_who_paid_gets_its_own_inference_and_no_other() {
    let suite = Suite::new().await;
    let (Commitment { inference, .. }, _) = committed(&suite).await;
    let payer = suite.juror();
    suite.change_session(|session| session.requester = payer.address().into());
    let right = format!("?batch=4&session={SESSION}&nonce=3");
    let asking = |query: &str, by: &Account| {
        signed(request(&suite, &inference, query), &inference, (by.address(), now()), by)
    };
    let response: ArtifactResponse = asking(&right, &payer).send().await.unwrap().json().await.unwrap();
    assert_eq!(Artifact::decode(response.artifact.as_slice()).unwrap().prompt, [3]);
    refused(asking(&right, &suite.account), 403, "session 7 is of").await;
    let other = format!("?batch=4&session={SESSION}&nonce=2");
    refused(asking(&other, &payer), 403, "nonce 2 of session 7 is inference").await;
    refused(asking("?batch=4&session=99&nonce=3", &payer), 403, "").await;
}
