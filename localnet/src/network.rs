//! The chain: a CometBFT network of wasmd validators, each on a fresh home directory and on ports of its own.

use std::path::Path;
use std::time::Duration;

use anyhow::{bail, Result};
use tokio::time::{sleep, Instant};

use crate::accounts::Participant;
use crate::genesis::{self, Opening};
use crate::process::free_ports;
use crate::wasmd::{Home, Ports, Wasmd};

/// Validators of which one may stop: the others still hold more than two thirds of the power.
pub const MIN_TO_STOP_ONE: usize = 4;

/// Limit of the wait for a block that must come.
const BLOCK: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);
const PORTS_OF_ONE: usize = 3;
/// With the first block under way the application does not answer queries yet.
const FIRST_ANSWERS: u64 = 2;

/// The validators that run; dropping it ends them.
pub struct Network {
    running: Vec<Wasmd>,
    /// Of every validator, stopped ones too.
    rpcs: Vec<String>,
}

impl Network {
    /// Makes a chain with these validators under `dir`, and waits until it answers.
    pub async fn start(
        binary: &Path,
        dir: &Path,
        validators: &[Participant],
        opening: &Opening,
    ) -> Result<Self> {
        let homes: Vec<Home<'_>> =
            (0..validators.len()).map(|number| Home::new(binary, dir, number)).collect();
        genesis::write(&homes, validators, opening).await?;
        let free = free_ports(PORTS_OF_ONE * homes.len())?;
        let ports = free.chunks_exact(PORTS_OF_ONE);
        let ports: Vec<Ports> = ports.map(|p| Ports { rpc: p[0], p2p: p[1], grpc: p[2] }).collect();
        let mut peers = Vec::with_capacity(homes.len());
        for (home, ports) in homes.iter().zip(&ports) {
            home.configure()?;
            peers.push(home.peer(ports.p2p).await?);
        }
        let mut running = Vec::with_capacity(homes.len());
        for (number, (home, ports)) in homes.iter().zip(&ports).enumerate() {
            let others = peers.iter().enumerate().filter(|(other, _)| *other != number);
            let others: Vec<&str> = others.map(|(_, peer)| peer.as_str()).collect();
            running.push(Wasmd::start(home, *ports, &others.join(","))?);
        }
        let rpcs = running.iter().map(|validator| validator.rpc.clone()).collect();
        let mut network = Self { running, rpcs };
        network.reach(FIRST_ANSWERS).await?;
        Ok(network)
    }

    /// How many validators the chain began with.
    pub fn size(&self) -> usize {
        self.rpcs.len()
    }

    /// The RPC for user number `user`, and then the others in turn: users are spread over the validators.
    pub fn rpcs(&self, user: usize) -> Vec<String> {
        let all = self.rpcs.iter().cycle();
        all.skip(user % self.size()).take(self.size()).cloned().collect()
    }

    /// The RPC of a validator that runs.
    pub fn running_rpc(&self) -> Option<&str> {
        self.running.first().map(|validator| validator.rpc.as_str())
    }

    /// # Errors
    /// A validator has ended that was not stopped.
    pub fn check_alive(&mut self) -> Result<()> {
        self.running.iter_mut().try_for_each(Wasmd::check_alive)
    }

    /// Waits until every running validator has this block.
    pub async fn reach(&mut self, height: u64) -> Result<()> {
        let deadline = Instant::now() + BLOCK;
        while !self.has(height).await {
            self.check_alive()?;
            if Instant::now() > deadline {
                bail!("not every validator has block {height} after {} s; {}", BLOCK.as_secs(), self.tails());
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    async fn has(&self, height: u64) -> bool {
        for validator in &self.running {
            // One that does not answer yet is not there yet.
            if !validator.height().await.is_ok_and(|reached| reached >= height) {
                return false;
            }
        }
        true
    }

    /// Kills the first validator, whose RPC is that of user 0; its name.
    pub async fn stop_first(&mut self) -> Result<String> {
        let first = self.running.remove(0);
        let name = first.name.clone();
        first.kill().await?;
        Ok(name)
    }

    /// The ends of the logs of those that run.
    pub fn tails(&self) -> String {
        self.running.iter().map(Wasmd::tail).collect::<Vec<_>>().join("\n")
    }
}
