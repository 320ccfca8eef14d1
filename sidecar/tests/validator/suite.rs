//! A juror on a scripted node, with a store that outlives it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use assay_common::ids::{BatchId, Window};
use assay_common::msg::SampleKey;
use assay_common::params::{
    BeaconParams, EvidenceParams, FeeParams, JuryParams, LimitParams, Params, PerAlternative,
    ReputationParams,
};
use assay_sidecar::chain::{Account, Chain, Sender};
use assay_sidecar::config::{ChainConfig, ValidatorConfig};
use assay_sidecar::store::{Identity, Store};
use assay_sidecar::validator::Juror;
use cosmwasm_std::Uint64;
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
    Params {
        denom: "uassay".into(),
        clock: CLOCK,
        beacon: BeaconParams {
            public_key: vec![0; 96].into(),
            genesis: 0,
            period_seconds: 1,
            delay_seconds: 2,
        },
        jury: JuryParams {
            seats: 3,
            quorum: 2,
            min_others_to_commit: 3,
            min_others_to_slash: 3,
            max_samples_per_window: 200,
        },
        evidence: EvidenceParams {
            honest_fail_ppm: 10_000,
            alternatives_ppm: PerAlternative([30_000, 100_000, 400_000]),
            audits: Uint64::new(10_000),
            false_forfeit_one_in: Uint64::new(1_000_000_000),
        },
        reputation: ReputationParams {
            step_ppm: 200_000,
            min_checked: 4,
            min_conclusive_ppm: 800_000,
            base_rate_ppm: 10_000,
        },
        fees: FeeParams { verdict_ppm: 70_000, reserve_ppm: 10_000, min_stake_fees: 10, slash_ppm: 100_000 },
        limits: LimitParams {
            session_epochs: 30,
            claims_per_batch: 50,
            inferences_per_batch: 65_536,
            max_prompt: 8_192,
            max_new: 4_096,
            artifact_bytes_per_token: 256,
            artifact_bytes_fixed: 64 * 1024,
            draw_page: 100,
            // Small, so that several pages are met.
            verdict_page: 2,
            settle_page: 200,
        },
    }
}
