//! One wasmd validator: its home directory, and the process that runs on it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::process::{self, Child};

pub const CHAIN_ID: &str = "assay-local";
pub const PREFIX: &str = "wasm";
/// The money of the protocol: not the staking token, so that inflation does not change its supply.
pub const DENOM: &str = "uassay";
/// The token of stakes and of the deposits of proposals.
pub const STAKING_DENOM: &str = "stake";

/// A block every half second: the pace of the local windows, not of a real network.
const TIMEOUT_MS: u32 = 500;
/// A request with the contract's code, in hexadecimal, is larger than the million that is allowed unless it is said.
const MAX_BODY_BYTES: i64 = 4_000_000;

/// A home directory and the binary that works on it.
pub struct Home<'a> {
    binary: &'a Path,
    pub path: PathBuf,
    /// Of the validator, its key and its log.
    pub name: String,
}

/// Where one validator listens, on this machine only.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub rpc: u16,
    pub p2p: u16,
    pub grpc: u16,
}

impl<'a> Home<'a> {
    /// Of validator number `number`, under `dir`; nothing is made yet.
    pub fn new(binary: &'a Path, dir: &Path, number: usize) -> Self {
        let name = format!("validator-{number}");
        Self { binary, path: dir.join(&name), name }
    }

    pub fn genesis(&self) -> PathBuf {
        self.path.join("config/genesis.json")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.binary);
        command.args(args).arg("--home").arg(&self.path);
        command
    }

    /// Runs one of the chain's own commands to its end; what it printed.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        process::run(self.command(args)).await
    }

    /// Sets the two timeouts that validators wait for, lets the contract's code through, and peers of the same address.
    pub fn configure(&self) -> Result<()> {
        let config = self.path.join("config/config.toml");
        let text =
            std::fs::read_to_string(&config).with_context(|| format!("cannot read {}", config.display()))?;
        let mut text: toml::Table =
            text.parse().with_context(|| format!("{} is no TOML", config.display()))?;
        let timeout = toml::Value::from(format!("{TIMEOUT_MS}ms"));
        let settings = [
            ("consensus", "timeout_commit", timeout.clone()),
            ("consensus", "timeout_propose", timeout),
            ("rpc", "max_body_bytes", MAX_BODY_BYTES.into()),
            ("p2p", "allow_duplicate_ip", true.into()),
            ("p2p", "addr_book_strict", false.into()),
        ];
        for (section, key, value) in settings {
            let table = text.get_mut(section).and_then(|section| section.as_table_mut());
            let table = table.with_context(|| format!("{} has no section [{section}]", config.display()))?;
            table.insert(key.into(), value);
        }
        std::fs::write(&config, toml::to_string(&text)?)
            .with_context(|| format!("cannot write {}", config.display()))
    }

    /// How others find this validator when it listens on `port`.
    pub async fn peer(&self, port: u16) -> Result<String> {
        let id = self.run(&["comet", "show-node-id"]).await?;
        Ok(format!("{}@127.0.0.1:{port}", id.trim()))
    }
}

/// A running validator.
pub struct Wasmd {
    child: Child,
    pub name: String,
    pub rpc: String,
}

impl Wasmd {
    /// Starts on a configured home; `peers` are those of the other validators, separated by commas.
    pub fn start(home: &Home<'_>, ports: Ports, peers: &str) -> Result<Self> {
        let mut command = home.command(&[
            "start",
            "--minimum-gas-prices",
            "0stake",
            "--log_no_color",
            "--log_level",
            "warn",
        ]);
        command.args(["--rpc.laddr", &format!("tcp://127.0.0.1:{}", ports.rpc), "--rpc.pprof_laddr", ""]);
        command.args(["--p2p.laddr", &format!("tcp://127.0.0.1:{}", ports.p2p), "--p2p.pex=false"]);
        command.args(["--p2p.persistent_peers", peers]);
        // The gRPC server itself is not used, but without it the chain does not answer simulations.
        command.args(["--grpc.address", &format!("127.0.0.1:{}", ports.grpc), "--grpc-web.enable=false"]);
        let log = home.path.with_extension("log");
        let child = Child::spawn(&format!("{} (wasmd)", home.name), command, &log)?;
        Ok(Self { child, name: home.name.clone(), rpc: format!("http://127.0.0.1:{}", ports.rpc) })
    }

    /// # Errors
    /// The process has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        self.child.check_alive()
    }

    pub fn tail(&self) -> String {
        self.child.tail()
    }

    /// SIGKILL, as a power cut would do it.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await
    }

    /// Height of its last block.
    pub async fn height(&self) -> Result<u64> {
        let status: serde_json::Value = reqwest::get(format!("{}/status", self.rpc)).await?.json().await?;
        let height =
            status.pointer("/result/sync_info/latest_block_height").and_then(|height| height.as_str());
        height.context("the chain's status names no height")?.parse().context("the height is no number")
    }
}
