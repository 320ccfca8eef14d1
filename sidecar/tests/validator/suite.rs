//! A juror on a scripted node, with a store that outlives it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use assay_common::artifact::Artifact;
use assay_common::digest::sha256;
use assay_common::ids::{BatchId, Digest, Epoch, Window};
use assay_common::judge::{Calibration, Measurement};
use assay_common::msg::{CalibrationVersion, ModelResponse, ParamsVersion, QueryMsg, SampleKey};
use assay_common::params::{BeaconParams, Params};
use assay_sidecar::chain::{Account, Chain, Sender};
use assay_sidecar::config::{ChainConfig, ValidatorConfig};
use assay_sidecar::engine::{Engine, Facts, Question, Worker};
use assay_sidecar::measure::{MeasureError, Subject};
use assay_sidecar::model::ModelError;
use assay_sidecar::store::{Identity, Store};
use assay_sidecar::validator::calibrations::Calibrations;
use assay_sidecar::validator::{Bench, Juror};
use cosmwasm_std::Uint128;
use serde::Serialize;
use tempfile::TempDir;

use super::artifacts::{calibration, platform, spec};
use super::node::{Node, CLOCK};

pub struct Suite {
    pub node: Node,
    pub account: Account,
    pub config: ChainConfig,
    dir: TempDir,
}

impl Suite {
    pub async fn new() -> Self {
        let node = Node::start().await;
        let dir = tempfile::tempdir().unwrap();
        let key_file = dir.path().join("key");
        let account = Account::generate(&key_file, "wasm").unwrap();
        let config = ChainConfig {
            rpc: node.url.clone(),
            rpc_fallbacks: Vec::new(),
            chain_id: "test-1".into(),
            contract: "wasm1contract".into(),
            key_file,
            address_prefix: "wasm".into(),
            denom: "uassay".into(),
            gas_price_micro: 25_000,
            poll: Duration::from_millis(1),
        };
        Self { node, account, config, dir }
    }

    pub fn identity(&self) -> Identity {
        Identity {
            chain_id: "test-1".into(),
            contract: "wasm1contract".into(),
            address: self.account.address().into(),
            model: None,
        }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("store").join("node.sqlite")
    }

    pub async fn store(&self) -> Store {
        Store::open(&self.path(), &self.identity()).await.unwrap()
    }

    pub async fn chain(&self) -> Chain {
        Chain::connect(&self.config).await.unwrap()
    }

    pub async fn sender(&self) -> Sender {
        Sender::new(self.chain().await, self.account.clone(), &self.config)
    }

    /// A process of the node: made again, it is a restart.
    pub async fn juror(&self) -> Arc<Juror> {
        Arc::new(self.process(None).await)
    }

    /// One with a model, whose calibrations are in two files: the second need not be there.
    pub async fn judging_juror(&self) -> Arc<Juror> {
        let facts = Facts { spec: spec(), device: "script".into(), platform: platform(), context: 64 };
        let engine = Engine::with_worker(move || Ok((Script, facts))).await.unwrap();
        let [first, next] = self.calibration_files();
        let digest = write_calibration(&first, &calibration());
        let record = calibration().record(digest);
        let calibration = CalibrationVersion { version: 1, from: Epoch(0), record };
        let calibrations = Calibrations::load(&model(calibration, None), &first, Some(&next)).unwrap();
        let bench = Bench { engine, calibrations, reference_fee: Uint128::new(10) };
        Arc::new(self.process(Some(bench)).await)
    }

    pub fn calibration_files(&self) -> [PathBuf; 2] {
        ["calibration.json", "next.json"].map(|name| self.dir.path().join(name))
    }

    async fn process(&self, bench: Option<Bench>) -> Juror {
        Juror {
            chain: self.chain().await,
            sender: self.sender().await,
            store: self.store().await,
            config: validator_config(),
            clock: CLOCK,
            poll: Duration::from_millis(1),
            client: reqwest::Client::new(),
            traffic: Arc::default(),
            bench,
        }
    }

    /// What the chain answers from now on.
    pub fn answer(&self, query: &QueryMsg, value: &impl Serialize) {
        let query = serde_json::to_string(query).unwrap();
        self.node.state().answers.insert(query, serde_json::to_value(value).unwrap());
    }

    /// The parameters that hold in an epoch.
    pub fn govern(&self, epoch: Epoch, params: Params) {
        let version = ParamsVersion { version: 1, from: epoch, params };
        self.answer(&QueryMsg::ParamsOf { epoch }, &version);
    }
}

/// A model that measures nothing.
struct Script;

impl Worker for Script {
    fn answer(&mut self, _: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        Ok(Vec::new())
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

/// Writes a calibration as its file, and returns the digest by which the chain knows it.
pub fn write_calibration(path: &Path, calibration: &Calibration) -> Digest {
    let bytes = serde_json::to_vec(calibration).unwrap();
    std::fs::write(path, &bytes).unwrap();
    Digest(sha256(&[&bytes]))
}

/// What the chain says about the model of the trials.
pub fn model(calibration: CalibrationVersion, next: Option<CalibrationVersion>) -> ModelResponse {
    ModelResponse {
        model: spec().digest(),
        spec: spec(),
        reference_fee: Uint128::new(10),
        calibration,
        next_calibration: next,
        deprecated: false,
        guardians: Vec::new(),
        verdict_fee: Uint128::one(),
        min_stake: Uint128::one(),
    }
}

/// Three seconds for the page, one for each source of an artifact.
pub fn validator_config() -> ValidatorConfig {
    let (commit_margin, fetch_timeout) = (Duration::from_secs(3), Duration::from_secs(1));
    ValidatorConfig { commit_margin, fetch_timeout, accuse: true }
}

/// The same process with another configuration.
pub fn configured(juror: &Juror, config: ValidatorConfig) -> Juror {
    Juror {
        chain: juror.chain.clone(),
        sender: juror.sender.clone(),
        store: juror.store.clone(),
        config,
        clock: juror.clock,
        poll: juror.poll,
        client: juror.client.clone(),
        traffic: juror.traffic.clone(),
        bench: juror.bench.clone(),
    }
}

/// Everything that `submit` does at one time of the chain.
pub async fn submit(juror: &Juror) {
    let mut reconciled = BTreeSet::new();
    // A transaction is looked up one look after it was sent.
    for _ in 0..3 {
        if let Err(error) = assay_sidecar::validator::submit::look(juror, &mut reconciled).await {
            panic!("{error}");
        }
    }
}

pub fn key(batch: u64, draw: u32) -> SampleKey {
    SampleKey { batch: BatchId(batch), draw }
}

pub fn end_of(window: u64) -> u64 {
    CLOCK.end(Window(window))
}

pub fn params() -> Params {
    let beacon =
        BeaconParams { public_key: vec![0; 96].into(), genesis: 0, period_seconds: 1, delay_seconds: 2 };
    let mut params = Params::local("uassay", CLOCK, beacon);
    // Small, so that several pages are met.
    params.limits.verdict_page = 2;
    params
}
