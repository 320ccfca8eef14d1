//! Every reason not to answer, by its status and its words.

use assay_common::ids::{Epoch, ModelDigest, Nonce, SessionId};
use assay_common::msg::SessionStatus;
use assay_sidecar::executor::admit::MAX_AHEAD;
use assay_sidecar::http::AnswerRequest;
use cosmwasm_std::{HexBinary, Uint128};

use crate::suite::{Suite, CONTEXT, VOCABULARY};

async fn refused(suite: &Suite, asked: AnswerRequest, status: u16, words: &str) {
    let (found, error) = suite.ask(&asked).await.expect_err(words);
    assert!(error.contains(words), "{words:?} expected, found {error:?}");
    assert_eq!(found, status, "{error}");
    assert_eq!(suite.questions(), 0, "the model was asked: {error}");
}

#[tokio::test]
async fn what_is_wrong_with_the_request_itself_is_named() {
    let suite = Suite::new().await;
    let asked = |change: &dyn Fn(&mut AnswerRequest)| {
        let mut asked = suite.asked(1, &[5, 6]);
        change(&mut asked);
        suite.vouched(asked)
    };
    let short_salt = asked(&|asked| asked.salt = HexBinary::from(&[9; 31]));
    refused(&suite, short_salt, 400, "the salt has 31 bytes").await;
    let other_prompt = asked(&|asked| asked.prompt[0] = 4);
    refused(&suite, other_prompt, 400, "do not give the prompt digest").await;
    refused(&suite, suite.asked(1, &[]), 400, "the prompt is empty").await;
    refused(&suite, suite.asked(1, &[VOCABULARY]), 400, "outside the vocabulary").await;
    let stops = asked(&|asked| asked.request.stop_ids = vec![1; 65]);
    refused(&suite, stops, 400, "65 stop tokens").await;
    let hot = asked(&|asked| asked.request.sampling.temperature_milli = 100_001);
    refused(&suite, hot, 400, "the sampling parameters are out of range").await;
    let other_model = asked(&|asked| asked.request.model = ModelDigest([8; 32]));
    refused(&suite, other_model, 400, "the request is for the model 0808").await;
    refused(&suite, suite.asked(1, &[2; 31]), 400, "31 tokens, the session allows 30").await;
    let endless = asked(&|asked| asked.request.max_new = 21);
    refused(&suite, endless, 400, "21 tokens is asked for, the session allows 1 to 20").await;
    let nothing = asked(&|asked| asked.request.max_new = 0);
    refused(&suite, nothing, 400, "0 tokens is asked for").await;
    let mut long = suite.asked(1, &[2; 30]);
    long.request.max_new = 20;
    refused(&suite, suite.vouched(long), 400, &format!("exceed the model's context of {CONTEXT}")).await;
}

#[tokio::test]
async fn a_voucher_of_another_key_nonce_or_request_is_refused() {
    let suite = Suite::new().await;
    let words = "the voucher is not the session key's for this request";
    let asked = suite.asked(1, &[5]);
    refused(&suite, crate::suite::vouched(&suite.other_key(), asked.clone()), 403, words).await;
    refused(&suite, AnswerRequest { nonce: Nonce(2), ..asked.clone() }, 403, words).await;
    let voucher = suite.asked(1, &[6]).voucher;
    refused(&suite, AnswerRequest { voucher, ..asked.clone() }, 403, words).await;
    let voucher = HexBinary::from(&[1; 63]);
    refused(&suite, AnswerRequest { voucher, ..asked }, 403, words).await;
}

#[tokio::test]
async fn a_session_of_others_unknown_expired_or_closed_is_refused() {
    let unknown = Suite::new().await;
    let asked = AnswerRequest { session: SessionId(8), ..unknown.asked(1, &[5]) };
    refused(&unknown, asked, 404, "the contract knows no session 8").await;

    let expired = Suite::new().await;
    expired.change_session(|session| session.expires = Epoch(3));
    refused(&expired, expired.asked(1, &[5]), 410, "session 7 expired with epoch 3").await;

    let closed = Suite::new().await;
    closed.change_session(|session| session.status = SessionStatus::Closing);
    refused(&closed, closed.asked(1, &[5]), 410, "session 7 was closed").await;

    let elsewhere = Suite::new().await;
    elsewhere.change_session(|session| session.executor = "wasm1other".into());
    refused(&elsewhere, elsewhere.asked(1, &[5]), 403, "with the executor wasm1other").await;

    let other_model = Suite::new().await;
    other_model.change_session(|session| session.model = ModelDigest([8; 32]));
    refused(&other_model, other_model.asked(1, &[5]), 403, "session 7 is for the model 0808").await;
}

#[tokio::test]
async fn a_nonce_that_is_paid_or_far_ahead_or_not_covered_is_refused() {
    let suite = Suite::new().await;
    suite.change_session(|session| {
        session.nonce = Nonce(40);
        session.escrow = Uint128::new(29);
    });
    refused(&suite, suite.asked(40, &[5]), 409, "nonce 40 is already paid for on chain").await;
    refused(&suite, suite.asked(40 + MAX_AHEAD + 1, &[5]), 409, "more than 1024 ahead of 40").await;
    refused(&suite, suite.asked(43, &[5]), 402, "the escrow of 29 does not cover 3 inferences at 10").await;
    assert!(suite.ask(&suite.asked(42, &[5])).await.is_ok());
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused_in_json() {
    let suite = Suite::new().await;
    let post = |body: String| {
        suite
            .client
            .post(format!("{}/v1/answers", suite.url))
            .header("content-type", "application/json")
            .body(body)
    };
    let response = post("{\"session\": 7}".into()).send().await.unwrap();
    assert!(response.status().is_client_error());
    assert!(response.text().await.unwrap().starts_with("{\"error\":"));
    let response = post(" ".repeat(100_000)).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 413);
    let response = suite.client.get(format!("{}/v1/nothing", suite.url)).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 404);
    assert!(response.text().await.unwrap().contains("no such route"));
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let suite = Suite::new().await;
    let address = suite.url.trim_start_matches("http://");
    let error = assay_sidecar::http::bind(address.parse().unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {address}"));
}
