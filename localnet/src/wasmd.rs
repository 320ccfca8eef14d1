//! The chain: one wasmd validator on a fresh home directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, Context, Result};
use tokio::process::Command;
use tokio::time::{sleep, Instant};

use crate::process::{self, free_ports, Child};

pub const CHAIN_ID: &str = "assay-local";
pub const PREFIX: &str = "wasm";
/// The money of the protocol: not the staking token, so that inflation does not change its supply.
pub const DENOM: &str = "uassay";

/// Name of the validator's key, the only one in the chain's own keyring.
const VALIDATOR: &str = "validator";
const STAKING_DENOM: &str = "stake";
const STAKE: u64 = 1_000_000_000;
/// A block every half second: the pace of the local windows, not of a real network.
const TIMEOUT_MS: u32 = 500;
/// A request with the contract's code, in hexadecimal, is larger than the million that is allowed unless it is said.
const MAX_BODY_BYTES: i64 = 4_000_000;
const FIRST_BLOCK: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);

/// A running chain.
pub struct Wasmd {
    child: Child,
    pub rpc: String,
}

/// An account and its money in the first block.
pub struct GenesisBalance {
    pub address: String,
    pub amount: u128,
}

impl Wasmd {
    /// Makes a chain with these balances under `dir` and waits for its first block.
    pub async fn start(binary: &Path, dir: &Path, balances: &[GenesisBalance]) -> Result<Self> {
        let home = Home { binary, path: dir.join("chain") };
        home.genesis(balances).await?;
        configure(&home.path.join("config/config.toml"))?;
        let [rpc, p2p, grpc] = free_ports()?;
        let mut command = home.command(&[
            "start",
            "--minimum-gas-prices",
            "0stake",
            "--log_no_color",
            "--log_level",
            "warn",
        ]);
        command.args(["--rpc.laddr", &format!("tcp://127.0.0.1:{rpc}"), "--rpc.pprof_laddr", ""]);
        command.args(["--p2p.laddr", &format!("tcp://127.0.0.1:{p2p}"), "--p2p.pex=false"]);
        // The gRPC server itself is not used, but without it the chain does not answer simulations.
        command.args(["--grpc.address", &format!("127.0.0.1:{grpc}"), "--grpc-web.enable=false"]);
        let child = Child::spawn("the chain (wasmd)", command, &dir.join("chain.log"))?;
        let mut chain = Self { child, rpc: format!("http://127.0.0.1:{rpc}") };
        chain.first_block().await?;
        Ok(chain)
    }

    /// # Errors
    /// The process has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        self.child.check_alive()
    }

    pub fn tail(&self) -> String {
        self.child.tail()
    }

    async fn first_block(&mut self) -> Result<()> {
        let deadline = Instant::now() + FIRST_BLOCK;
        // With the first block under way the application does not answer queries yet.
        while self.height().await.unwrap_or(0) < 2 {
            self.check_alive()?;
            if Instant::now() > deadline {
                bail!("the chain made no block in {} s; {}", FIRST_BLOCK.as_secs(), self.tail());
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    async fn height(&self) -> Result<u64> {
        let status: serde_json::Value = reqwest::get(format!("{}/status", self.rpc)).await?.json().await?;
        let height =
            status.pointer("/result/sync_info/latest_block_height").and_then(|height| height.as_str());
        height.context("the chain's status names no height")?.parse().context("the height is no number")
    }
}

/// A chain's home directory and the binary that works on it.
struct Home<'a> {
    binary: &'a Path,
    path: PathBuf,
}

impl Home<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.binary);
        command.args(args).arg("--home").arg(&self.path);
        command
    }

    /// Runs one of the chain's own commands to its end.
    async fn run(&self, args: &[&str]) -> Result<()> {
        process::run(self.command(args)).await
    }

    async fn genesis(&self, balances: &[GenesisBalance]) -> Result<()> {
        let keyring = ["--keyring-backend", "test"];
        self.run(&["init", VALIDATOR, "--chain-id", CHAIN_ID, "--default-denom", STAKING_DENOM]).await?;
        self.run(&[["keys", "add", VALIDATOR].as_slice(), &keyring].concat()).await?;
        let fund = ["genesis", "add-genesis-account"];
        let stake = format!("{STAKE}{STAKING_DENOM}");
        self.run(&[&fund, [VALIDATOR, &stake].as_slice(), &keyring].concat()).await?;
        for balance in balances {
            let coins = format!("{}{DENOM}", balance.amount);
            self.run(&[&fund, [balance.address.as_str(), &coins].as_slice()].concat()).await?;
        }
        let sign = ["genesis", "gentx", VALIDATOR, &stake, "--chain-id", CHAIN_ID];
        self.run(&[sign.as_slice(), &keyring].concat()).await?;
        self.run(&["genesis", "collect-gentxs"]).await
    }
}

/// Sets the two timeouts that a lone validator waits for, and lets the contract's code through.
fn configure(config: &Path) -> Result<()> {
    let text =
        std::fs::read_to_string(config).with_context(|| format!("cannot read {}", config.display()))?;
    let mut text: toml::Table = text.parse().with_context(|| format!("{} is no TOML", config.display()))?;
    let timeout = toml::Value::from(format!("{TIMEOUT_MS}ms"));
    let settings = [
        ("consensus", "timeout_commit", timeout.clone()),
        ("consensus", "timeout_propose", timeout),
        ("rpc", "max_body_bytes", MAX_BODY_BYTES.into()),
    ];
    for (section, key, value) in settings {
        let table = text.get_mut(section).and_then(|section| section.as_table_mut());
        let table = table.with_context(|| format!("{} has no section [{section}]", config.display()))?;
        table.insert(key.into(), value);
    }
    std::fs::write(config, toml::to_string(&text)?)
        .with_context(|| format!("cannot write {}", config.display()))
}
