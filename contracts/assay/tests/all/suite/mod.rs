//! A chain with the contract on it, a beacon that signs, nodes, and requesters with real keys.
//!
//! After every message, accepted or refused, [`Suite`] checks that the pools add up to the contract's balance, that
//! nothing was made or lost but what was burned, and that every event can be read.

mod artifacts;
mod chain;
mod params;
mod path;

use std::collections::BTreeMap;

use assay_common::digest::{sha256, Domain};
use assay_common::event::Event;
use assay_common::evidence::Bins;
use assay_common::ids::{
    BatchId, BatchRoot, Digest, Epoch, ModelDigest, Nonce, RequestDigest, SessionId, UserSeed, Window,
};
use assay_common::msg::{CalibrationRecord, Claim, ExecuteMsg, InstantiateMsg, SampleKey, SampleResponse};
use assay_common::params::{Params, PerAlternative};
use assay_common::probe::PROBES;
use assay_common::session::{constants_digest, voucher_digest, ModelSpec, NumericScheme};
use assay_common::verdict::{InvalidReason, Outcome, Score, Verdict, VerdictPage};
use assay_contract::error::ContractError;
use cosmwasm_std::{coins, Addr, HexBinary, Order, Storage, Timestamp, Uint128};
use cw_multi_test::{AppResponse, Executor};
use k256::ecdsa::signature::hazmat::PrehashSigner;
use k256::ecdsa::{Signature, SigningKey};

pub use artifacts::*;
use chain::Chain;
pub use chain::{chain, contract, Beacon, Counter};
pub use params::local_params;

pub const DENOM: &str = "units";
pub const START: u64 = 1_800_000_000;
pub const FEE: u128 = 1_000;
/// 7 % of the fee.
pub const VERDICT_FEE: u128 = 70;
pub const MIN_STAKE: u128 = 10_000_000;
/// What every account begins with.
pub const PURSE: u128 = 1_000_000_000;

pub const VALID: Outcome = Outcome::Valid;
pub const REPLAY: Outcome = Outcome::Invalid { reason: InvalidReason::Replay };

pub fn spec(name: &str) -> ModelSpec {
    ModelSpec {
        name: name.into(),
        weights: Digest([7; 32]),
        scheme: NumericScheme::Bf16F32,
        constants: constants_digest("none", &[]),
        vocabulary: 1_000,
    }
}

/// Judges by pass and fail alone; an honest executor fails one audit in a hundred.
pub fn calibration() -> CalibrationRecord {
    CalibrationRecord {
        digest: Digest([8; 32]),
        probe_tolerance: 16,
        bins: vec![Bins::verdict_only(10_000, PerAlternative([30_000, 100_000, 400_000]))],
    }
}

/// A verdict, with the score that it needs: an answer of full weight, and probes that all honest jurors agree on.
pub fn verdict(SampleKey { batch, draw }: SampleKey, outcome: Outcome, levels: usize) -> Verdict {
    let score = Score { bin: 0, tokens: 512, probes: vec![100; levels * PROBES] };
    Verdict { batch, draw, outcome, score: outcome.needs_score().then_some(score) }
}

pub fn session_key() -> SigningKey {
    SigningKey::from_slice(&[3; 32]).expect("a scalar below the order")
}

pub fn public_key(key: &SigningKey) -> HexBinary {
    key.verifying_key().to_encoded_point(true).as_bytes().into()
}

/// The salt of a page; a real juror's is secret.
pub fn salt(juror: &Addr, window: Window, page: u32) -> HexBinary {
    sha256(&[juror.as_bytes(), &window.0.to_be_bytes(), &page.to_be_bytes()]).into()
}

pub struct SuiteBuilder {
    pub params: Params,
    nodes: u32,
    stake: u128,
}

impl SuiteBuilder {
    pub fn params(mut self, change: impl FnOnce(&mut Params)) -> Self {
        change(&mut self.params);
        self
    }

    /// Nodes that bond before the start, so that they sit in epoch 0's table.
    pub fn nodes(mut self, nodes: u32) -> Self {
        self.nodes = nodes;
        self
    }

    pub fn stake(mut self, stake: u128) -> Self {
        self.stake = stake;
        self
    }

    /// The chain at the start of window 0.
    pub fn build(self) -> Suite {
        let mut suite = Suite::empty(self.params);
        suite.register_model("model");
        for number in 0..self.nodes {
            let node = suite.account(&format!("node{number}"));
            suite.register_node(&node, self.stake);
            suite.nodes.push(node);
        }
        suite.at_window(0);
        suite
    }
}

pub struct Suite {
    pub app: Chain,
    pub counter: Counter,
    pub contract: Addr,
    pub params: Params,
    pub governance: Addr,
    pub requester: Addr,
    pub model: ModelDigest,
    pub nodes: Vec<Addr>,
    pub beacon: Beacon,
    /// Every event of an accepted message.
    pub told: Vec<cosmwasm_std::Event>,
    minted: u128,
    accounts: u8,
}

impl Suite {
    pub fn builder() -> SuiteBuilder {
        SuiteBuilder { params: local_params(), nodes: 4, stake: 2 * MIN_STAKE }
    }

    /// Four nodes, one model, the start of window 0.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// The contract alone, 100 s before the start.
    pub fn empty(params: Params) -> Self {
        let (mut app, counter) = chain();
        let governance = app.api().addr_make("governance");
        let code = app.store_code(contract());
        let msg = InstantiateMsg { governance: governance.to_string(), params: params.clone() };
        let contract = app
            .instantiate_contract(code, governance.clone(), &msg, &[], "assay", None)
            .expect("parameters that keep their rules are accepted");
        let mut suite = Self {
            app,
            counter,
            contract,
            params,
            requester: governance.clone(),
            governance,
            model: ModelDigest::default(),
            nodes: Vec::new(),
            beacon: Beacon::new(1),
            told: Vec::new(),
            minted: 0,
            accounts: 0,
        };
        suite.requester = suite.account("requester");
        suite.at_seconds(suite.params.clock.start - 100);
        suite
    }

    /// The usual four nodes, with a contract that holds `state` and the money that it speaks of, in epoch 2.
    pub fn adopt(state: &dyn Storage) -> Self {
        let mut suite = Self::empty(local_params());
        suite.model = spec("model").digest();
        suite.nodes = (0..4).map(|number| suite.account(&format!("node{number}"))).collect();
        let contract = suite.contract.clone();
        let mut storage = suite.app.contract_storage_mut(&contract);
        for (key, value) in state.range(None, None, Order::Ascending) {
            storage.set(&key, &value);
        }
        drop(storage);
        let pools = suite.pools();
        suite.mint(&contract, pools.held().u128());
        suite.minted += pools.burned.u128();
        suite.at_epoch(2);
        suite
    }

    /// A new account with a purse.
    pub fn account(&mut self, name: &str) -> Addr {
        let address = self.app.api().addr_make(name);
        self.endow(&address);
        address
    }

    fn endow(&mut self, address: &Addr) {
        self.mint(address, PURSE);
        self.accounts += 1;
    }

    fn mint(&mut self, to: &Addr, amount: u128) {
        let mint = cw_multi_test::BankSudo::Mint { to_address: to.to_string(), amount: coins(amount, DENOM) };
        self.app.sudo(mint.into()).expect("the bank mints");
        self.minted += amount;
    }

    pub fn domain(&self) -> Domain {
        Domain { chain_id: self.app.block_info().chain_id, contract: self.contract.to_string() }
    }

    // --- time ---

    pub fn at_seconds(&mut self, seconds: u64) {
        self.app.update_block(|block| {
            block.time = Timestamp::from_seconds(seconds);
            block.height += 1;
        });
    }

    /// Five seconds into a window: the beacon round of the window before is out.
    pub fn at_window(&mut self, window: u64) {
        let clock = self.params.clock;
        self.at_seconds(clock.start + window * u64::from(clock.window_seconds) + 5);
    }

    pub fn at_epoch(&mut self, epoch: u64) {
        self.at_window(epoch * u64::from(self.params.clock.windows_per_epoch));
    }

    // --- messages ---

    /// Sends a message, then checks the money.
    ///
    /// # Errors
    /// The contract's refusal.
    pub fn send(&mut self, sender: &Addr, msg: &ExecuteMsg, funds: u128) -> Result<AppResponse, String> {
        let funds = if funds == 0 { Vec::new() } else { coins(funds, DENOM) };
        let result = self.app.execute_contract(sender.clone(), self.contract.clone(), msg, &funds);
        self.check_money();
        if let Ok(response) = &result {
            self.told.extend(checked_events(response));
        }
        result.map_err(|error| error.to_string())
    }

    pub fn accepted(&mut self, sender: &Addr, msg: &ExecuteMsg, funds: u128) -> AppResponse {
        self.send(sender, msg, funds).unwrap_or_else(|error| panic!("{msg:?} is refused: {error}"))
    }

    pub fn refused(&mut self, sender: &Addr, msg: &ExecuteMsg, funds: u128, expected: ContractError) {
        let error = self.send(sender, msg, funds).expect_err("must be refused");
        assert!(error.contains(&expected.to_string()), "expected {expected:?}, got {error}");
    }

    pub fn check_money(&self) {
        let pools = self.pools();
        assert_eq!(pools.held().u128(), self.balance(&self.contract), "pools against balance: {pools:?}");
        let supply = self.app.wrap().query_supply(DENOM).expect("the bank answers").amount;
        let supply = Uint128::try_from(supply).expect("what was minted");
        assert_eq!(supply.u128() + pools.burned.u128(), self.minted, "supply against what was minted");
    }

    pub fn balance(&self, of: &Addr) -> u128 {
        let coin = self.app.wrap().query_balance(of, DENOM).expect("the bank answers");
        Uint128::try_from(coin.amount).expect("what was minted").u128()
    }

    // --- setting up ---

    pub fn register_model(&mut self, name: &str) -> ModelDigest {
        let msg = ExecuteMsg::RegisterModel {
            spec: spec(name),
            reference_fee: FEE.into(),
            calibration: calibration(),
        };
        let governance = self.governance.clone();
        self.accepted(&governance, &msg, 0);
        self.model = spec(name).digest();
        self.model
    }

    pub fn registration(&self) -> ExecuteMsg {
        ExecuteMsg::RegisterNode { models: vec![self.model], endpoint: "http://10.0.0.1:8080".into() }
    }

    pub fn register_node(&mut self, node: &Addr, stake: u128) {
        let msg = self.registration();
        self.accepted(node, &msg, stake);
    }

    pub fn opening(&self, executor: &Addr) -> ExecuteMsg {
        ExecuteMsg::OpenSession {
            executor: executor.to_string(),
            model: self.model,
            user_seed: UserSeed([5; 32]),
            session_key: public_key(&session_key()),
            fee: FEE.into(),
            max_prompt: 100,
            max_new: 100,
            expires: Epoch(20),
        }
    }

    pub fn open_session(&mut self, executor: &Addr, escrow: u128) -> SessionId {
        let (msg, requester) = (self.opening(executor), self.requester.clone());
        let response = self.accepted(&requester, &msg, escrow);
        let session = attribute(&response, "assay_session_opened", "session");
        session.parse().expect("an id")
    }

    pub fn claim(&self, session: SessionId, nonce_to: u64) -> Claim {
        self.claim_by(&session_key(), session, nonce_to)
    }

    pub fn claim_by(&self, key: &SigningKey, session: SessionId, nonce_to: u64) -> Claim {
        let (nonce_to, request) = (Nonce(nonce_to), RequestDigest([6; 32]));
        let digest = voucher_digest(&self.domain(), session, nonce_to, &request);
        let signature: Signature = key.sign_prehash(&digest.0).expect("32 bytes are signed");
        Claim { session, nonce_to, request, signature: signature.to_bytes().to_vec().into() }
    }

    pub fn committing(&self, claims: Vec<Claim>) -> ExecuteMsg {
        ExecuteMsg::CommitBatch { model: self.model, root: BatchRoot([9; 32]), claims }
    }

    pub fn commit_batch(&mut self, executor: &Addr, claims: Vec<Claim>, funds: u128) -> BatchId {
        let msg = self.committing(claims);
        let response = self.accepted(executor, &msg, funds);
        attribute(&response, "assay_batch_committed", "batch").parse().expect("an id")
    }
}

pub fn settling(executor: &Addr, epoch: u64, limit: u32) -> ExecuteMsg {
    ExecuteMsg::Settle { executor: executor.to_string(), epoch: Epoch(epoch), limit }
}

pub fn revealing(juror: &Addr, page: VerdictPage) -> ExecuteMsg {
    let VerdictPage { window, page, verdicts, .. } = page;
    ExecuteMsg::RevealVerdicts { window, page, salt: salt(juror, window, page), verdicts }
}

/// The value of an attribute of the first event of a kind.
pub fn attribute(response: &AppResponse, kind: &str, key: &str) -> String {
    attributes(response, kind).remove(key).unwrap_or_else(|| panic!("event {kind} without {key}"))
}

/// What the contract says is what explorers and sidecars can read.
pub fn checked_events(response: &AppResponse) -> Vec<cosmwasm_std::Event> {
    let ours = response.events.iter().filter(|event| event.ty.starts_with("wasm-"));
    ours.cloned().inspect(check_event).collect()
}

fn check_event(event: &cosmwasm_std::Event) {
    let attributes = event.attributes.iter().map(|a| (a.key.clone(), a.value.clone())).collect();
    let decoded = Event::decode(&event.ty, &attributes).unwrap_or_else(|error| panic!("{error}"));
    assert!(decoded.is_some(), "{event:?}");
}

/// The attributes of the first event of a kind.
pub fn attributes(response: &AppResponse, kind: &str) -> BTreeMap<String, String> {
    let event = response.events.iter().find(|event| event.ty.trim_start_matches("wasm-") == kind);
    let event = event.unwrap_or_else(|| panic!("no event {kind} in {:?}", response.events));
    event.attributes.iter().map(|a| (a.key.clone(), a.value.clone())).collect()
}

/// Everybody says Valid.
pub fn honest(_: &SampleResponse, _: &Addr) -> Option<Outcome> {
    Some(VALID)
}
