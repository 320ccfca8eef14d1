//! The node's configuration: one TOML file, one section for each part.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assay_common::session::NumericScheme;
use serde::{Deserialize, Serialize};

/// Everything that `assayd run` needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub chain: ChainConfig,
    pub model: ModelConfig,
    pub store: StoreConfig,
    pub http: HttpConfig,
    pub beacon: BeaconConfig,
    #[serde(default)]
    pub validator: ValidatorConfig,
    /// Absent: this node only validates.
    pub executor: Option<ExecutorConfig>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainConfig {
    /// The chain's RPC, such as `http://127.0.0.1:26657`.
    pub rpc: String,
    /// The RPC of other nodes, each of which takes over while the one before it is out of reach.
    #[serde(default)]
    pub rpc_fallbacks: Vec<String>,
    pub chain_id: String,
    /// The contract's address.
    pub contract: String,
    /// File with the account's secp256k1 key, 64 hexadecimal digits, readable by its owner only.
    pub key_file: PathBuf,
    /// Bech32 prefix of addresses.
    #[serde(default = "default_prefix")]
    pub address_prefix: String,
    /// The denomination of fees.
    pub denom: String,
    /// Price of one unit of gas, in millionths of the denomination.
    #[serde(default)]
    pub gas_price_micro: u64,
    /// Time between two looks at the chain; new blocks wake the node earlier.
    #[serde(default = "default_poll", with = "humantime_serde")]
    pub poll: Duration,
}

impl ChainConfig {
    /// Every RPC that may be asked, the first choice first.
    pub fn rpcs(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.rpc).chain(&self.rpc_fallbacks).map(String::as_str)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The GGUF file. Absent: this node abstains from every verdict.
    pub path: Option<PathBuf>,
    /// What the judge compares with, made by `assayd calibrate`; its digest must be the chain's.
    pub calibration: Option<PathBuf>,
    /// The next one that governance announces, beside the one that still judges what was committed before. The file need not
    /// be there yet: it is looked for when an announcement is read, and when something is to be judged by it.
    pub next_calibration: Option<PathBuf>,
    /// What the chain's specification of the model says: `bf16_f32` or `bf16`.
    #[serde(default)]
    pub scheme: NumericScheme,
    /// `cpu`, `cuda:N`, or `auto` (the first GPU if there is one).
    #[serde(default = "default_device")]
    pub device: String,
    /// Threads of one torch operation; absent: torch's own choice.
    pub threads: Option<i32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// SQLite file of jobs, verdicts and receipts; made at the first start.
    pub path: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Where health, artifacts and, on an executor, answers are served.
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeaconConfig {
    /// A drand relay of the chain's beacon: rounds are at `URL/public/ROUND`.
    pub url: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorConfig {
    /// Time before the end of the commit window at which what is judged is committed, complete or not.
    #[serde(default = "default_commit_margin", with = "humantime_serde")]
    pub commit_margin: Duration,
    /// Time that one node has to give an artifact; after a quarter of it the next one is asked as well.
    #[serde(default = "default_fetch_timeout", with = "humantime_serde")]
    pub fetch_timeout: Duration,
    /// Whether a fraud that this node finds while judging is proven on chain, for the bounty.
    #[serde(default = "default_accuse")]
    pub accuse: bool,
}

impl Default for ValidatorConfig {
    fn default() -> Self {
        Self {
            commit_margin: default_commit_margin(),
            fetch_timeout: default_fetch_timeout(),
            accuse: default_accuse(),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutorConfig {
    /// A batch is committed in every window whose number modulo this is `commit_offset`.
    pub commit_every: u32,
    pub commit_offset: u32,
    /// The least fee for one inference; absent: the model's reference fee. Less may not even pay for the checks.
    pub min_fee: Option<u64>,
    /// Answers generated together.
    #[serde(default = "default_max_batch")]
    pub max_batch: usize,
    /// Time that a request waits for others to be generated with.
    #[serde(default = "default_gather", with = "humantime_serde")]
    pub gather: Duration,
}

fn default_prefix() -> String {
    "wasm".into()
}
fn default_poll() -> Duration {
    Duration::from_secs(1)
}
fn default_device() -> String {
    "auto".into()
}
fn default_commit_margin() -> Duration {
    Duration::from_secs(5)
}
fn default_fetch_timeout() -> Duration {
    Duration::from_secs(5)
}
fn default_accuse() -> bool {
    true
}
fn default_max_batch() -> usize {
    16
}
fn default_gather() -> Duration {
    Duration::from_millis(200)
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration {path} cannot be read; give one with --config")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the configuration {path} is not valid")]
    Invalid {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
}

impl Config {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// It cannot be read, or a field is missing, unknown or of the wrong type.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.into(), source })?;
        toml::from_str(&text)
            .map_err(|source| ConfigError::Invalid { path: path.into(), source: Box::new(source) })
    }
}
