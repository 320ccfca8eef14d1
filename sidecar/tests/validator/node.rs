//! A node of the chain as its RPC shows it, with as much of the contract as a juror meets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use assay_common::digest::{sha256, Domain};
use assay_common::event::Event;
use assay_common::ids::{Digest, Window};
use assay_common::msg::{
    AssignedPage, ClockResponse, CommitmentResponse, ExecuteMsg, Page, QueryMsg, SampleKey,
};
use assay_common::params::ClockParams;
use assay_common::verdict::{Verdict, VerdictPage};
use assay_sidecar::chain::account::verify;
use axum::routing::post;
use axum::{Json, Router};
use cosmos_sdk_proto::cosmos::auth::v1beta1::{BaseAccount, QueryAccountResponse};
use cosmos_sdk_proto::cosmos::base::abci::v1beta1::GasInfo;
use cosmos_sdk_proto::cosmos::tx::v1beta1::{
    AuthInfo, SignDoc, SimulateRequest, SimulateResponse, TxBody, TxRaw,
};
use cosmos_sdk_proto::cosmwasm::wasm::v1::{
    MsgExecuteContract, QuerySmartContractStateRequest, QuerySmartContractStateResponse,
};
use cosmwasm_std::Binary;
use prost::{Message, Name};
use serde_json::{json, Value};

use super::court::Court;

pub const ACCOUNT_NUMBER: u64 = 7;
pub const CLOCK: ClockParams = ClockParams { start: 1_000, window_seconds: 10, windows_per_epoch: 6 };

/// What the node does with a transaction that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mempool {
    Includes,
    /// Takes it and forgets it.
    Loses,
    /// The connection breaks before it is taken.
    Breaks,
    /// The connection breaks after it was included.
    IncludesAndBreaks,
}

pub struct State {
    pub domain: Domain,
    pub catching_up: bool,
    /// Calls at which the connection breaks.
    pub breaks_at: fn(&str) -> bool,
    pub height: u64,
    /// Whether a block comes with each question for the height.
    pub ticking: bool,
    pub earliest: u64,
    /// Chain time.
    pub now: u64,
    pub sequence: u64,
    pub mempool: Mempool,
    /// Maps a window to the juror's seats in it.
    pub seats: BTreeMap<Window, Vec<SampleKey>>,
    /// Maps a height to its events.
    pub events: BTreeMap<u64, Vec<Event>>,
    pub commitments: BTreeMap<(Window, u32), (Digest, bool)>,
    pub revealed: Vec<Verdict>,
    pub court: Court,
    /// Maps a hash to height, code and log.
    pub txs: BTreeMap<String, (u64, u32, String)>,
    /// Raw bytes of everything that reached the mempool.
    pub received: Vec<Vec<u8>>,
    /// Answers to other smart queries, by their JSON.
    pub answers: BTreeMap<String, Value>,
}

#[derive(Clone)]
pub struct Node {
    state: Arc<Mutex<State>>,
    pub url: String,
}

impl Node {
    pub async fn start() -> Self {
        let domain = Domain { chain_id: "test-1".into(), contract: "wasm1contract".into() };
        let state = State {
            domain,
            catching_up: false,
            breaks_at: |_| false,
            height: 100,
            ticking: false,
            earliest: 1,
            now: CLOCK.start,
            sequence: 3,
            mempool: Mempool::Includes,
            seats: BTreeMap::new(),
            events: BTreeMap::new(),
            commitments: BTreeMap::new(),
            revealed: Vec::new(),
            court: Court::default(),
            txs: BTreeMap::new(),
            received: Vec::new(),
            answers: BTreeMap::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let answer = move |Json(call): Json<Value>| async move {
            let result = shared.lock().unwrap().call(call["method"].as_str().unwrap(), &call["params"]);
            match result {
                Some(Ok(result)) => Ok(Json(json!({"jsonrpc": "2.0", "id": call["id"], "result": result}))),
                Some(Err(data)) => {
                    let error = json!({"code": -32603, "message": "Internal error", "data": data});
                    Ok(Json(json!({"jsonrpc": "2.0", "id": call["id"], "error": error})))
                }
                None => Err(axum::http::StatusCode::BAD_GATEWAY),
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { state, url }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    /// Moves the chain's time to the start of a window, and a block on.
    pub fn enter(&mut self, window: u64) {
        self.now = CLOCK.start + window * u64::from(CLOCK.window_seconds);
        self.height += 1;
    }

    fn window(&self) -> Window {
        CLOCK.window(self.now).unwrap()
    }

    /// None: the connection breaks.
    fn call(&mut self, method: &str, params: &Value) -> Option<Result<Value, String>> {
        if (self.breaks_at)(method) {
            return None;
        }
        Some(match method {
            "status" => Ok(self.status()),
            "abci_info" => {
                self.height += u64::from(self.ticking);
                let height = self.height.to_string();
                Ok(json!({"response": {"data": "", "version": "", "app_version": "0",
                    "last_block_height": height, "last_block_app_hash": ""}}))
            }
            "abci_query" => {
                let data = hex::decode(params["data"].as_str().unwrap()).unwrap();
                let answer = self.query(params["path"].as_str().unwrap(), &data);
                let (code, log, value) =
                    answer.map_or_else(|log| (18, log, Vec::new()), |v| (0, String::new(), v));
                Ok(json!({"response": {"code": code, "log": log, "info": "", "index": "0", "key": "",
                    "value": Binary::from(value), "proofOps": null, "height": "1", "codespace": "sdk"}}))
            }
            "block_results" => self.block_results(params["height"].as_str().unwrap().parse().unwrap()),
            "broadcast_tx_sync" => {
                let bytes = Binary::from_base64(params["tx"].as_str().unwrap()).unwrap().to_vec();
                return self.receive(bytes);
            }
            "tx" => self.tx(params["hash"].as_str().unwrap()),
            other => panic!("{other} is not scripted"),
        })
    }

    fn status(&self) -> Value {
        let hash = "AB".repeat(32);
        json!({
            "node_info": {"protocol_version": {"p2p": "8", "block": "11", "app": "0"}, "id": "ab".repeat(20),
                "listen_addr": "tcp://0.0.0.0:26656", "network": self.domain.chain_id, "version": "0.38.17",
                "channels": "40202122233038606100", "moniker": "node",
                "other": {"tx_index": "on", "rpc_address": "tcp://127.0.0.1:26657"}},
            "sync_info": {"latest_block_hash": hash, "latest_app_hash": hash,
                "latest_block_height": self.height.to_string(), "latest_block_time": "2026-01-01T00:00:00Z",
                "earliest_block_hash": hash, "earliest_app_hash": hash,
                "earliest_block_height": self.earliest.to_string(),
                "earliest_block_time": "2026-01-01T00:00:00Z", "catching_up": self.catching_up},
            "validator_info": {"address": "AB".repeat(20), "voting_power": "1",
                "pub_key": {"type": "tendermint/PubKeyEd25519", "value": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}},
        })
    }

    fn block_results(&self, height: u64) -> Result<Value, String> {
        if height > self.height || height < self.earliest {
            return Err(format!("height {height} is not available"));
        }
        let contract = ("_contract_address", self.domain.contract.clone());
        let event = |event: &Event| {
            let pairs: Vec<_> = [contract.clone()].into_iter().chain(event.attributes()).collect();
            let attributes: Vec<_> = pairs
                .into_iter()
                .map(|(key, value)| json!({"key": key, "value": value, "index": true}))
                .collect();
            json!({"type": format!("wasm-{}", event.kind()), "attributes": attributes})
        };
        let events: Vec<_> = self.events.get(&height).into_iter().flatten().map(event).collect();
        Ok(json!({
            "height": height.to_string(),
            "txs_results": [
                {"code": 5, "data": "", "log": "", "info": "", "gas_wanted": "1", "gas_used": "1", "events": [],
                    "codespace": "wasm"},
                {"code": 0, "data": "", "log": "", "info": "", "gas_wanted": "1", "gas_used": "1", "events": events,
                    "codespace": ""},
            ],
            "finalize_block_events": [], "validator_updates": [], "consensus_param_updates": null,
            "app_hash": "",
        }))
    }

    fn query(&mut self, path: &str, data: &[u8]) -> Result<Vec<u8>, String> {
        match path {
            "/cosmos.auth.v1beta1.Query/Account" => {
                let account = BaseAccount {
                    address: String::new(),
                    pub_key: None,
                    account_number: ACCOUNT_NUMBER,
                    sequence: self.sequence,
                };
                let any = cosmrs::Any { type_url: BaseAccount::type_url(), value: account.encode_to_vec() };
                Ok(QueryAccountResponse { account: Some(any) }.encode_to_vec())
            }
            "/cosmos.tx.v1beta1.Service/Simulate" => {
                let tx = SimulateRequest::decode(data).unwrap().tx_bytes;
                let sequence = parsed(&tx).1.signer_infos[0].sequence;
                if sequence != self.sequence {
                    let expected = self.sequence;
                    return Err(format!("expected {expected}, got {sequence}: incorrect account sequence"));
                }
                self.check(&message(&tx))?;
                let gas_info = Some(GasInfo { gas_wanted: 0, gas_used: 100_000 });
                Ok(SimulateResponse { gas_info, result: None }.encode_to_vec())
            }
            "/cosmwasm.wasm.v1.Query/SmartContractState" => {
                let request = QuerySmartContractStateRequest::decode(data).unwrap();
                let data = serde_json::to_vec(&self.ask(&request.query_data)?).unwrap();
                Ok(QuerySmartContractStateResponse { data }.encode_to_vec())
            }
            other => panic!("{other} is not scripted"),
        }
    }

    fn ask(&self, query: &[u8]) -> Result<Value, String> {
        let value = match serde_json::from_slice(query).unwrap() {
            QueryMsg::Clock {} => {
                let (window, epoch) = (self.window(), CLOCK.epoch(self.window()));
                json!(ClockResponse { now: self.now, window: Some(window), epoch: Some(epoch) })
            }
            QueryMsg::Commitment { window, page, .. } => {
                let found = self.commitments.get(&(window, page));
                let (hash, revealed) =
                    found.map_or((None, false), |(hash, revealed)| (Some(*hash), *revealed));
                json!(CommitmentResponse { hash, revealed })
            }
            QueryMsg::Assignments { window, start_after, .. } => {
                // One to a page, so that paging is met.
                let all = self.seats.get(&window).map(Vec::as_slice).unwrap_or_default().chunks(2);
                let all = (0u32..).zip(all);
                let all = all.map(|(page, samples)| AssignedPage { page, samples: samples.to_vec() });
                let mut rest = all.filter(|page| start_after.is_none_or(|after| page.page > after));
                let items: Vec<AssignedPage> = rest.next().into_iter().collect();
                let next_start_after = rest.next().and(items.last().map(|page| page.page));
                json!(Page { items, next_start_after })
            }
            QueryMsg::FraudCommitment { hash, .. } => json!(self.court.committed(&hash)),
            QueryMsg::Epoch { executor, epoch } => json!(self.court.epoch(executor, epoch)),
            _ => {
                let query = String::from_utf8(query.to_vec()).unwrap();
                self.answers.get(&query).cloned().ok_or_else(|| format!("not found: {query}"))?
            }
        };
        Ok(value)
    }

    /// As the contract would: by window, once, and only what was committed to.
    fn check(&self, msg: &(String, ExecuteMsg)) -> Result<(), String> {
        let now = self.window().0;
        match &msg.1 {
            ExecuteMsg::CommitVerdicts { window, page, .. } => {
                if now > window.0 + 1 {
                    return Err("too late".into());
                }
                if self.commitments.contains_key(&(*window, *page)) {
                    return Err("already committed".into());
                }
                Ok(())
            }
            ExecuteMsg::RevealVerdicts { window, page, salt, verdicts } => {
                if now != window.0 + 2 {
                    return Err("not the window of reveals".into());
                }
                let (hash, revealed) = self.commitments.get(&(*window, *page)).ok_or("not committed")?;
                let shown = VerdictPage {
                    juror: msg.0.clone(),
                    window: *window,
                    page: *page,
                    verdicts: verdicts.clone(),
                };
                if *revealed || shown.commitment(&self.domain, salt) != *hash {
                    return Err("mismatch, or revealed already".into());
                }
                let seats = self.seats.get(window).ok_or("no seats")?;
                let belongs = |verdict: &Verdict| {
                    let key = SampleKey { batch: verdict.batch, draw: verdict.draw };
                    seats
                        .iter()
                        .position(|seat| *seat == key)
                        .is_some_and(|number| number / 2 == *page as usize)
                };
                if !verdicts.iter().all(belongs) {
                    return Err("a verdict belongs on another page".into());
                }
                Ok(())
            }
            accusing => self.court.check((&self.domain, self.height), &msg.0, accusing),
        }
    }

    fn apply(&mut self, msg: (String, ExecuteMsg)) -> Result<(), String> {
        self.check(&msg)?;
        match msg.1 {
            ExecuteMsg::CommitVerdicts { window, page, hash } => {
                self.commitments.insert((window, page), (hash, false));
            }
            ExecuteMsg::RevealVerdicts { window, page, verdicts, .. } => {
                self.commitments.get_mut(&(window, page)).unwrap().1 = true;
                self.revealed.extend(verdicts);
            }
            accusing => self.court.apply(self.height, msg.0, accusing),
        }
        Ok(())
    }

    fn receive(&mut self, bytes: Vec<u8>) -> Option<Result<Value, String>> {
        let hash = hex::encode_upper(sha256(&[&bytes]));
        let code = self.signature_code(&bytes);
        if self.mempool == Mempool::Breaks {
            return None;
        }
        if code == 0 {
            self.received.push(bytes.clone());
        }
        if code == 0 && self.mempool != Mempool::Loses {
            self.sequence += 1;
            self.height += 1;
            let result = self.apply(message(&bytes));
            let (code, log) = result.map_or_else(|log| (5, log), |()| (0, String::new()));
            self.txs.insert(hash.clone(), (self.height, code, log));
        }
        if self.mempool == Mempool::IncludesAndBreaks {
            return None;
        }
        Some(Ok(json!({"code": code, "data": "", "log": "", "codespace": "sdk", "hash": hash})))
    }

    fn signature_code(&self, bytes: &[u8]) -> u32 {
        let (raw, auth, _) = parsed(bytes);
        let sequence = auth.signer_infos[0].sequence;
        let document = SignDoc {
            body_bytes: raw.body_bytes,
            auth_info_bytes: raw.auth_info_bytes,
            chain_id: self.domain.chain_id.clone(),
            account_number: ACCOUNT_NUMBER,
        };
        // The key's bytes are the last 33 of its protobuf message.
        let key = &auth.signer_infos[0].public_key.as_ref().unwrap().value;
        let key = key[key.len() - 33..].to_vec().into();
        let digest = sha256(&[&document.encode_to_vec()]);
        verify(&key, &raw.signatures[0].clone().into(), &digest).unwrap();
        if sequence == self.sequence {
            0
        } else {
            32
        }
    }

    fn tx(&self, hash: &str) -> Result<Value, String> {
        let hash = Binary::from_base64(hash).map_or(hash.to_uppercase(), |bytes| hex::encode_upper(&bytes));
        let (height, code, log) = self.txs.get(&hash).ok_or_else(|| format!("tx ({hash}) not found"))?;
        Ok(json!({"hash": hash, "height": height.to_string(), "index": 0, "tx": "",
            "tx_result": {"code": code, "data": "", "log": log, "info": "", "gas_wanted": "1", "gas_used": "90000",
                "events": [], "codespace": ""}}))
    }
}

/// A transaction's parts.
pub fn parsed(bytes: &[u8]) -> (TxRaw, AuthInfo, TxBody) {
    let raw = TxRaw::decode(bytes).unwrap();
    let auth = AuthInfo::decode(raw.auth_info_bytes.as_slice()).unwrap();
    let body = TxBody::decode(raw.body_bytes.as_slice()).unwrap();
    (raw, auth, body)
}

/// The sender and the message of a transaction with one message to the contract.
pub fn message(bytes: &[u8]) -> (String, ExecuteMsg) {
    let message = MsgExecuteContract::decode(parsed(bytes).2.messages[0].value.as_slice()).unwrap();
    (message.sender, serde_json::from_slice(&message.msg).unwrap())
}
