//! One executor on a free port, its contract a table, its model a script.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assay_common::artifact::Artifact;
use assay_common::digest::Domain;
use assay_common::ids::{BatchId, Digest, Epoch, ModelDigest, Nonce, SessionId, UserSeed};
use assay_common::judge::{Measurement, Platform};
use assay_common::msg::{ParamsVersion, QueryMsg, SampleResponse, SessionResponse, SessionStatus};
use assay_common::params::{BeaconParams, ClockParams, Params};
use assay_common::sampler::SamplingParams;
use assay_common::session::{
    constants_digest, prompt_digest, voucher_digest, ModelSpec, NumericScheme, Request,
};
use assay_sidecar::artifacts::Shelf;
use assay_sidecar::chain::{Account, ChainError};
use assay_sidecar::config::ExecutorConfig;
use assay_sidecar::engine::{Engine, Facts, Question, Worker};
use assay_sidecar::executor::admit::Terms;
use assay_sidecar::executor::desk::{Desk, Parts};
use assay_sidecar::executor::inferences::Inferences;
use assay_sidecar::executor::Contract;
use assay_sidecar::http::{self, AnswerRequest, AnswerResponse, ErrorResponse};
use assay_sidecar::measure::{MeasureError, Subject};
use assay_sidecar::model::ModelError;
use assay_sidecar::store::{Identity, Store};
use cosmwasm_std::{HexBinary, Uint128};
use futures::FutureExt;
use k256::ecdsa::signature::hazmat::PrehashSigner;
use k256::ecdsa::{Signature, SigningKey};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub const SESSION: SessionId = SessionId(7);
pub const VOCABULARY: u32 = 1_000;
pub const CONTEXT: u32 = 40;
/// A prompt that begins with it makes the scripted model fail, and with the other one panic.
pub const FAILS: u32 = 666;
pub const PANICS: u32 = 667;
pub const SAMPLING: SamplingParams = SamplingParams::OPEN;

pub fn domain() -> Domain {
    Domain { chain_id: "test-1".into(), contract: "wasm1contract".into() }
}

pub fn spec() -> ModelSpec {
    ModelSpec {
        name: "scripted".into(),
        weights: Digest([1; 32]),
        scheme: NumericScheme::Bf16F32,
        constants: constants_digest("scripted", &[]),
        vocabulary: VOCABULARY,
    }
}

pub fn model() -> ModelDigest {
    spec().digest()
}

pub fn params() -> Params {
    // Epochs of a second since 1970: epoch 0 is long over.
    let clock = ClockParams { start: 0, window_seconds: 1, windows_per_epoch: 1 };
    let beacon = BeaconParams {
        public_key: HexBinary::from(vec![0; 96]),
        genesis: 0,
        period_seconds: 1,
        delay_seconds: 0,
    };
    let mut params = Params::local("stake", clock, beacon);
    (params.limits.max_prompt, params.limits.max_new) = (64, 64);
    params
}

/// A fee of 10 and an escrow for 100 inferences, of which none is paid; 30 tokens of prompt, 20 of answer.
pub fn session(key: &SigningKey, executor: &str) -> SessionResponse {
    SessionResponse {
        session: SESSION,
        requester: "wasm1requester".into(),
        executor: executor.into(),
        model: model(),
        user_seed: UserSeed([3; 32]),
        session_key: HexBinary::from(key.verifying_key().to_sec1_bytes().to_vec()),
        fee: Uint128::new(10),
        max_prompt: 30,
        max_new: 20,
        expires: Epoch(u64::MAX),
        status: SessionStatus::Open,
        closes: Epoch(u64::MAX),
        unsettled: Vec::new(),
        escrow: Uint128::new(1_000),
        nonce: Nonce(0),
        mark_q32: 1 << 32,
    }
}

/// A request for three tokens, in order in every respect.
pub fn asked(key: &SigningKey, nonce: u64, prompt: &[u32]) -> AnswerRequest {
    let salt = [9; 32];
    let prompt_digest = prompt_digest(&salt, prompt);
    let request =
        Request { model: model(), sampling: SAMPLING, max_new: 3, stop_ids: vec![1], prompt: prompt_digest };
    let salt = HexBinary::from(&salt);
    let (prompt, voucher) = (prompt.to_vec(), HexBinary::default());
    vouched(key, AnswerRequest { session: SESSION, nonce: Nonce(nonce), request, salt, prompt, voucher })
}

/// The request with a voucher for what it has become.
pub fn vouched(key: &SigningKey, mut asked: AnswerRequest) -> AnswerRequest {
    let digest = voucher_digest(&domain(), asked.session, asked.nonce, &asked.request.digest());
    let voucher: Signature = key.sign_prehash(&digest.0).unwrap();
    asked.voucher = HexBinary::from(voucher.to_bytes().to_vec());
    asked
}

/// What the contract knows.
#[derive(Default)]
pub struct Table {
    pub sessions: BTreeMap<SessionId, SessionResponse>,
    pub samples: BTreeMap<(BatchId, u32), SampleResponse>,
    /// Maps an epoch to the parameters that hold from it on.
    pub params: BTreeMap<Epoch, Params>,
}

fn contract(table: Arc<Mutex<Table>>) -> Contract {
    Contract::answering(move |query| {
        let table = table.lock().unwrap();
        let found = match &query {
            QueryMsg::Session { session } => {
                table.sessions.get(session).map(|found| serde_json::to_value(found).unwrap())
            }
            QueryMsg::Sample { batch, draw } => {
                table.samples.get(&(*batch, *draw)).map(|found| serde_json::to_value(found).unwrap())
            }
            QueryMsg::ParamsOf { epoch } => {
                table.params.range(..=*epoch).next_back().map(|(from, params)| {
                    let version = ParamsVersion { version: 1, from: *from, params: params.clone() };
                    serde_json::to_value(version).unwrap()
                })
            }
            other => panic!("the executor asks for {other:?}"),
        };
        let unknown = || ChainError::Query { path: "test".into(), code: 9, log: "not in the table".into() };
        let answer = found.ok_or_else(unknown);
        async move { answer }.boxed()
    })
}

/// Answers with as many tokens as are asked for: the sum of the prompt, and what follows on it.
struct Script {
    questions: Arc<AtomicUsize>,
}

impl Worker for Script {
    fn answer(&mut self, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        self.questions.fetch_add(questions.len(), Ordering::SeqCst);
        questions.iter().map(artifact).collect()
    }
    fn recompute(&mut self, _: &Subject) -> Result<Measurement, MeasureError> {
        Ok(Measurement::default())
    }
    fn encode(&mut self, _: &str) -> Result<Vec<u32>, ModelError> {
        Ok(Vec::new())
    }
    fn decode(&mut self, _: &[u32]) -> Result<String, ModelError> {
        Ok(String::new())
    }
}

fn artifact(question: &Question) -> Result<Artifact, ModelError> {
    match question.prompt.first() {
        Some(&FAILS) => return Err(ModelError::NotFinite),
        Some(&PANICS) => panic!("the script says so"),
        _ => {}
    }
    let sum: u32 = question.prompt.iter().sum();
    let tokens: Vec<u32> = (0..question.request.max_new).map(|place| (sum + place) % VOCABULARY).collect();
    let leaves = tokens.iter().map(|token| token.to_le_bytes().to_vec()).collect();
    let Question { request, salt, prompt, .. } = question.clone();
    Ok(Artifact { request, salt, prompt, tokens, leaves })
}

pub struct Suite {
    pub key: SigningKey,
    pub account: Account,
    pub table: Arc<Mutex<Table>>,
    /// How many questions the model got.
    pub questions: Arc<AtomicUsize>,
    pub inferences: Inferences,
    pub url: String,
    pub client: reqwest::Client,
    stop: CancellationToken,
    dir: TempDir,
}

impl Drop for Suite {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub async fn store(dir: &TempDir) -> Store {
    let Domain { chain_id, contract } = domain();
    let identity = Identity { chain_id, contract, address: "wasm1executor".into(), model: Some(model()) };
    Store::open(&dir.path().join("store.sqlite"), &identity).await.unwrap()
}

impl Suite {
    pub async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let account = Account::generate(&dir.path().join("key"), "wasm").unwrap();
        let key = SigningKey::random(&mut rand::rngs::OsRng);
        let table = Arc::new(Mutex::new(Table::default()));
        table.lock().unwrap().sessions.insert(SESSION, session(&key, account.address()));
        table.lock().unwrap().params.insert(Epoch(0), params());
        let questions = Arc::new(AtomicUsize::new(0));
        let script = Script { questions: questions.clone() };
        let platform = Platform { engine: "script".into(), device: "none".into() };
        let facts = Facts { spec: spec(), device: "script".into(), platform, context: CONTEXT };
        let engine = Engine::with_worker(move || Ok((script, facts))).await.unwrap();
        let store = store(&dir).await;
        let inferences = Inferences::new(store.clone());
        let terms = Terms {
            domain: domain(),
            address: account.address().into(),
            model: model(),
            vocabulary: VOCABULARY,
            context: CONTEXT,
            clock: params().clock,
            min_fee: Uint128::new(10),
        };
        let gather = Duration::from_millis(50);
        let desk = Desk::open(Parts {
            contract: contract(table.clone()),
            account: account.clone(),
            engine: engine.clone(),
            inferences: inferences.clone(),
            terms,
            config: ExecutorConfig { commit_every: 1, commit_offset: 0, min_fee: None, max_batch: 8, gather },
        });
        let stop = CancellationToken::new();
        let identity = http::Identity {
            address: account.address().into(),
            chain_id: domain().chain_id,
            model: Some((model(), engine)),
            traffic: Arc::default(),
        };
        let shelf = Shelf::new((contract(table.clone()), domain()), "wasm", store, Arc::default());
        let listener = http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(http::serve(listener, http::router(identity, shelf, Some(desk)), stop.clone()));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { key, account, table, questions, inferences, url, client, stop, dir }
    }

    /// The session as the chain has it.
    pub fn change_session(&self, change: impl FnOnce(&mut SessionResponse)) {
        change(self.table.lock().unwrap().sessions.get_mut(&SESSION).unwrap());
    }

    pub fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }

    pub fn asked(&self, nonce: u64, prompt: &[u32]) -> AnswerRequest {
        asked(&self.key, nonce, prompt)
    }

    pub fn vouched(&self, asked: AnswerRequest) -> AnswerRequest {
        vouched(&self.key, asked)
    }

    /// Status and reason where it is refused.
    pub async fn ask(&self, asked: &AnswerRequest) -> Result<AnswerResponse, (u16, String)> {
        let response = self.client.post(format!("{}/v1/answers", self.url)).json(asked).send().await.unwrap();
        let status = response.status();
        if status.is_success() {
            return Ok(response.json().await.unwrap());
        }
        let ErrorResponse { error } = response.json().await.unwrap();
        Err((status.as_u16(), error))
    }

    pub fn other_key(&self) -> SigningKey {
        SigningKey::random(&mut rand::rngs::OsRng)
    }

    /// Another account than the executor's.
    pub fn juror(&self) -> Account {
        let path = self.dir.path().join("juror");
        if path.exists() {
            Account::load(&path, "wasm").unwrap()
        } else {
            Account::generate(&path, "wasm").unwrap()
        }
    }
}
