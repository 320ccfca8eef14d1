//! The four node processes: `assayd run`, and for the cheat this program's own `cheat-node`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, Context, Result};
use assay_common::session::NumericScheme;
use assay_sidecar::config::{
    BeaconConfig, ChainConfig, Config, ExecutorConfig, HttpConfig, ModelConfig, StoreConfig, ValidatorConfig,
};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::{sleep, Instant};

use crate::attack::{Cheat, Share};
use crate::process::Child;

/// Loading a model is slow where four processes do it at once.
const READY: Duration = Duration::from_secs(240);
const POLL: Duration = Duration::from_millis(500);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// One node and how to start it again.
pub struct Node {
    pub name: &'static str,
    pub address: String,
    pub endpoint: String,
    pub cheat: Cheat,
    launch: Launch,
    child: Option<Child>,
}

/// What a start needs.
struct Launch {
    assayd: PathBuf,
    config: PathBuf,
    log: PathBuf,
}

/// What all four nodes share.
pub struct Shared<'a> {
    pub dir: &'a Path,
    pub assayd: &'a Path,
    pub model: &'a Path,
    pub calibration: &'a Path,
    pub beacon: String,
}

/// What is a node's own.
pub struct Own {
    pub name: &'static str,
    pub address: String,
    pub port: u16,
    pub cheat: Cheat,
    pub chain: ChainConfig,
}

impl Node {
    /// Writes the configuration; starts nothing yet.
    pub fn prepare(shared: &Shared<'_>, own: Own) -> Result<Self> {
        let home = shared.dir.join(own.name);
        std::fs::create_dir(&home).with_context(|| format!("cannot make {}", home.display()))?;
        let config = Config {
            chain: own.chain,
            model: ModelConfig {
                path: Some(shared.model.to_owned()),
                calibration: Some(shared.calibration.to_owned()),
                next_calibration: None,
                scheme: NumericScheme::default(),
                device: "cpu".into(),
                threads: Some(1),
            },
            store: StoreConfig { path: home.join("node.sqlite") },
            http: HttpConfig { listen: ([127, 0, 0, 1], own.port).into() },
            beacon: BeaconConfig { url: shared.beacon.clone() },
            validator: ValidatorConfig {
                commit_margin: Duration::from_secs(3),
                ..ValidatorConfig::default()
            },
            executor: Some(ExecutorConfig {
                // As soon as there are answers: when that is, the requester decides.
                commit_every: 1,
                commit_offset: 0,
                min_fee: None,
                max_batch: crate::preset::INFERENCES,
                gather: Duration::from_millis(500),
            }),
        };
        let path = home.join("config.toml");
        std::fs::write(&path, toml::to_string(&config)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            name: own.name,
            address: own.address,
            endpoint: format!("http://127.0.0.1:{}", own.port),
            cheat: own.cheat,
            launch: Launch {
                assayd: shared.assayd.to_owned(),
                config: path,
                log: shared.dir.join(format!("{}.log", own.name)),
            },
            child: None,
        })
    }

    pub fn start(&mut self) -> Result<()> {
        let mut command = if self.cheat == Cheat::HONEST {
            let mut command = Command::new(&self.launch.assayd);
            command.arg("run");
            command
        } else {
            let mut command = Command::new(std::env::current_exe()?);
            let (kind, share) = (self.cheat.attack().name(), self.cheat.share().as_percent());
            command.args(["cheat-node", "--kind", &kind, "--share", &share.to_string()]);
            command
        };
        command.arg("--config").arg(&self.launch.config);
        // Five processes on two cores: OpenMP's own threads would only collide.
        command.env("OMP_NUM_THREADS", "1");
        self.child = Some(Child::spawn(self.name, command, &self.launch.log)?);
        Ok(())
    }

    /// SIGKILL, as a power cut would do it, and a start on the same files.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        if let Some(child) = &mut self.child {
            child.kill().await?;
        }
        self.start()
    }

    /// In words.
    pub fn role(&self) -> String {
        match (self.cheat, self.cheat.share()) {
            (Cheat::HONEST, _) => "honest".into(),
            (cheat, Share::ALL) => format!("cheat ({})", cheat.attack().name()),
            (cheat, share) => format!("cheat ({}, {} %)", cheat.attack().name(), share.as_percent()),
        }
    }

    /// # Errors
    /// The process has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        self.child.as_mut().map_or(Ok(()), Child::check_alive)
    }

    pub fn tail(&self) -> String {
        self.child.as_ref().map_or_else(|| format!("{} was never started", self.name), Child::tail)
    }

    /// Waits until the node answers: its model is loaded and the chain has accepted it.
    pub async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY;
        while self.health().await.is_err() {
            self.check_alive()?;
            if Instant::now() > deadline {
                bail!("{} is not ready after {} s; {}", self.name, READY.as_secs(), self.tail());
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// The node's own account of itself.
    pub async fn health(&self) -> Result<Value> {
        let client = reqwest::Client::builder().timeout(HEALTH_TIMEOUT).build()?;
        let response = client.get(format!("{}/health", self.endpoint)).send().await?;
        Ok(response.error_for_status()?.json().await?)
    }
}
