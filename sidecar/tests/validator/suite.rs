//! A juror on a scripted node, with a store that outlives it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use assay_common::ids::{BatchId, Window};
use assay_common::msg::SampleKey;
use assay_common::params::{BeaconParams, Params};
use assay_sidecar::chain::{Account, Chain, Sender};
use assay_sidecar::config::{ChainConfig, ValidatorConfig};
use assay_sidecar::store::{Identity, Store};
use assay_sidecar::validator::Juror;
use tempfile::TempDir;

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
        Arc::new(Juror {
            chain: self.chain().await,
            sender: self.sender().await,
            store: self.store().await,
            config: ValidatorConfig {
                commit_margin: Duration::from_secs(3),
                fetch_timeout: Duration::from_secs(1),
                accuse: true,
            },
            params: params(),
            poll: Duration::from_millis(1),
            client: reqwest::Client::new(),
            bench: None,
        })
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
