//! The requester against executors that lie, refuse or are away.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use assay_common::ids::{InferenceId, Nonce, RequestDigest, RowsRoot, TokensDigest};
use assay_common::session::{inference_id, tokens_digest, Receipt};
use assay_sidecar::chain::account::verify;
use assay_sidecar::chain::Account;
use assay_sidecar::http::{self, AnswerRequest, AnswerResponse, Refused};
use assay_sidecar::request::{Requester, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use k256::ecdsa::SigningKey;
use tempfile::TempDir;

use crate::suite::{domain, model, Suite, SAMPLING, SESSION};

type Reply = Result<AnswerResponse, (StatusCode, &'static str)>;

/// A stub that answers as `reply` says, and keeps what it was asked.
struct Stub {
    account: Account,
    url: String,
    asked: Arc<Mutex<Vec<AnswerRequest>>>,
    dir: TempDir,
}

fn honest(account: &Account, asked: &AnswerRequest) -> AnswerResponse {
    let tokens = vec![asked.prompt[0], 1];
    let receipt = Receipt {
        inference: inference_id(&domain(), asked.session, asked.nonce),
        request: asked.request.digest(),
        tokens: tokens_digest(&tokens),
        rows: RowsRoot([5; 32]),
    };
    AnswerResponse { tokens, receipt, signed: account.sign(&receipt.digest(&domain()).0) }
}

/// A receipt changed before it is signed, as an executor would that wants to deny something.
fn lie(account: &Account, asked: &AnswerRequest, change: impl FnOnce(&mut Receipt)) -> AnswerResponse {
    let AnswerResponse { tokens, mut receipt, .. } = honest(account, asked);
    change(&mut receipt);
    AnswerResponse { tokens, receipt, signed: account.sign(&receipt.digest(&domain()).0) }
}

impl Stub {
    async fn new(
        reply: impl Fn(&Account, &AnswerRequest, usize) -> Reply + Clone + Send + Sync + 'static,
    ) -> Self {
        let dir = TempDir::new().unwrap();
        let account = Account::generate(&dir.path().join("key"), "wasm").unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, signer) = (asked.clone(), account.clone());
        let answer = move |Json(asked): Json<AnswerRequest>| {
            let mut log = log.lock().unwrap();
            let before = log.len();
            let reply = reply(&signer, &asked, before);
            log.push(asked);
            async move { reply.map(Json).map_err(|(status, reason)| Refused::new(status, reason)) }
        };
        let listener = http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/answers", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { account, url, asked, dir }
    }

    fn state_file(&self) -> PathBuf {
        self.dir.path().join("session.json")
    }

    fn requester(&self) -> Requester {
        let mut state = State::new(domain(), "wasm1requester", self.account.address(), model());
        state.session = Some(SESSION);
        Requester::resume(state, &self.state_file(), &self.url, (10, 5)).unwrap()
    }

    fn state(&self) -> State {
        load(&self.state_file())
    }
}

fn load(path: &Path) -> State {
    State::load(path).unwrap().unwrap()
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_prompts_and_are_in_the_state_file() {
    let stub = Stub::new(|account, asked, _| Ok(honest(account, asked))).await;
    let mut requester = stub.requester();
    let prompts: Vec<Vec<u32>> = (10..30).map(|id| vec![id]).collect();
    let answers = requester.ask(&prompts, SAMPLING, 5, &[1]).await.unwrap();
    for ((prompt, answer), nonce) in prompts.iter().zip(&answers).zip(1..) {
        assert_eq!((answer.tokens[0], answer.nonce), (prompt[0], Nonce(nonce)));
    }
    let state = stub.state();
    assert_eq!((state.answers.len(), state.unanswered.len(), state.next_nonce), (20, 0, Nonce(21)));
    let key = SigningKey::from_slice(&state.session_key).unwrap();
    let public = key.verifying_key().to_sec1_bytes().to_vec().into();
    for asked in stub.asked.lock().unwrap().iter() {
        let digest = asked.request.digest();
        let voucher = assay_common::session::voucher_digest(&domain(), SESSION, asked.nonce, &digest);
        verify(&public, &asked.voucher, &voucher.0).unwrap();
    }
    let more = requester.ask(&[vec![4]], SAMPLING, 5, &[1]).await.unwrap();
    assert_eq!((more.len(), more[0].nonce), (1, Nonce(21)));
}

#[tokio::test]
async fn the_state_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let stub = Stub::new(|account, asked, _| Ok(honest(account, asked))).await;
    stub.requester().ask(&[vec![4]], SAMPLING, 5, &[]).await.unwrap();
    let mode = std::fs::metadata(stub.state_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let files = std::fs::read_dir(stub.dir.path()).unwrap().count();
    assert_eq!(files, 2, "the key and the state, and nothing beside them");
}

/// The executor answers nonce 2 with a lie; the others are served, and the lie is kept.
async fn caught(
    words: &str,
    lie: impl Fn(&Account, &AnswerRequest) -> AnswerResponse + Clone + Send + Sync + 'static,
) {
    let stub = Stub::new(move |account, asked, _| match asked.nonce {
        Nonce(2) => Ok(lie(account, asked)),
        _ => Ok(honest(account, asked)),
    })
    .await;
    let prompts = [vec![10], vec![11], vec![12]];
    let error = stub.requester().ask(&prompts, SAMPLING, 5, &[]).await.unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("nonce 2 of session 7 (1 failed)") && error.contains(words), "{error}");
    let state = stub.state();
    assert_eq!(state.answers.keys().copied().collect::<Vec<_>>(), [Nonce(1), Nonce(3)]);
    let bad = &state.bad_answers[0];
    assert_eq!((bad.asked.nonce, bad.reason.contains(words)), (Nonce(2), true));
    assert!(state.unanswered.is_empty());
}

#[tokio::test]
async fn a_receipt_that_does_not_hold_is_named_by_what_differs_and_kept_as_evidence() {
    caught("the receipt is for inference", |account, asked| {
        lie(account, asked, |receipt| receipt.inference = InferenceId([0; 32]))
    })
    .await;
    caught("the receipt is for the request 0000", |account, asked| {
        lie(account, asked, |receipt| receipt.request = RequestDigest([0; 32]))
    })
    .await;
    caught("the receipt is for tokens with the digest 0000", |account, asked| {
        lie(account, asked, |receipt| receipt.tokens = TokensDigest([0; 32]))
    })
    .await;
    caught("the receipt is for tokens", |account, asked| {
        let mut answer = honest(account, asked);
        answer.tokens.push(7);
        answer
    })
    .await;
    caught("the signature is not of this content", |account, asked| {
        let mut answer = honest(account, asked);
        answer.receipt.rows = RowsRoot([0; 32]);
        answer
    })
    .await;
    caught("the executor is wasm1", |_, asked| {
        let dir = TempDir::new().unwrap();
        honest(&Account::generate(&dir.path().join("key"), "wasm").unwrap(), asked)
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_put_off_is_sent_again_as_it_was() {
    let stub = Stub::new(|account, asked, before| match before {
        0 => Err((StatusCode::SERVICE_UNAVAILABLE, "later")),
        _ => Ok(honest(account, asked)),
    })
    .await;
    stub.requester().ask(&[vec![4]], SAMPLING, 5, &[]).await.unwrap();
    let asked = stub.asked.lock().unwrap();
    assert_eq!((asked.len(), &asked[0]), (2, &asked[1]));
}

#[tokio::test]
async fn a_refusal_is_told_and_its_request_goes_along_with_the_next_ones() {
    let stub = Stub::new(|account, asked, before| match before {
        0 => Err((StatusCode::PAYMENT_REQUIRED, "the escrow does not cover it")),
        _ => Ok(honest(account, asked)),
    })
    .await;
    let error = stub.requester().ask(&[vec![4]], SAMPLING, 5, &[]).await.unwrap_err();
    assert!(format!("{error:#}").contains("402 Payment Required: the escrow does not cover it"), "{error:#}");
    let state = stub.state();
    assert_eq!(state.unanswered.len(), 1);

    let mut resumed = Requester::resume(state, &stub.state_file(), &stub.url, (10, 5)).unwrap();
    let answers = resumed.ask(&[vec![5]], SAMPLING, 5, &[]).await.unwrap();
    assert_eq!((answers.len(), answers[0].nonce), (1, Nonce(2)));
    assert_eq!(stub.state().answers.len(), 2);
}

#[tokio::test]
async fn what_the_session_does_not_allow_is_not_sent() {
    let stub = Stub::new(|account, asked, _| Ok(honest(account, asked))).await;
    let mut requester = stub.requester();
    for (prompt, max_new, words) in [
        (vec![1; 11], 5, "prompt 0 has 11 tokens"),
        (vec![], 5, "prompt 0 has 0 tokens"),
        (vec![1], 6, "6 tokens"),
    ] {
        let error = requester.ask(&[prompt], SAMPLING, max_new, &[]).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(stub.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_state_file_of_another_executor_is_refused() {
    let stub = Stub::new(|account, asked, _| Ok(honest(account, asked))).await;
    let state = State::new(domain(), "wasm1requester", "wasm1one", model());
    let wanted = State { executor: "wasm1two".into(), ..state.clone() };
    let error = state.check_same(&wanted, &stub.state_file()).unwrap_err();
    assert!(error.to_string().contains("another executor: wasm1one, this is wasm1two"), "{error}");
}

#[tokio::test]
async fn requester_and_executor_understand_each_other() {
    let suite = Suite::new().await;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("session.json");
    let mut state = State::new(domain(), "wasm1requester", suite.account.address(), model());
    state.session = Some(SESSION);
    state.session_key = suite.key.to_bytes().to_vec().into();
    let mut requester = Requester::resume(state, &path, &suite.url, (30, 20)).unwrap();
    let prompts: Vec<Vec<u32>> = (1..=12).map(|id| vec![id, 100]).collect();
    let answers = requester.ask(&prompts, SAMPLING, 4, &[]).await.unwrap();
    assert_eq!(answers[11].tokens, [112, 113, 114, 115]);
    assert_eq!(suite.questions(), 12);
}
