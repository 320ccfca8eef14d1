//! What a run came to, as JSON.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use assay_common::ids::Epoch;
use assay_common::msg::{EpochStatus, ParamsResponse, QueryMsg};
use assay_common::proof::Accusation;
use assay_sidecar::validator::relay::Relayed;
use serde::Serialize;
use serde_json::Value;

use crate::deploy;
use crate::history::{History, ParamChange, VerdictPageId};
use crate::money::{Conservation, SessionBooks};
use crate::preset;
use crate::setup::Net;
use crate::standing::Standing;

#[derive(Debug, Serialize)]
pub struct Summary {
    pub epochs: Vec<EpochSummary>,
    pub seconds: Seconds,
    pub tokens_per_second: Speed,
    /// Bytes of all artifacts, prompts and framing included, over the tokens that were generated.
    pub artifact_bytes_per_token: Option<f64>,
    /// Artifacts, of all nodes together.
    pub artifacts: Relayed,
    pub chain: ChainSummary,
    pub conservation: Conservation,
    pub refunds: Vec<SessionBooks>,
    /// Verdict pages that were revealed more than once, by anybody.
    pub duplicate_reveals: u32,
    pub killed: Option<Killed>,
    /// What the program wrote that was run when all was settled.
    pub when_settled: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct EpochSummary {
    pub epoch: u64,
    pub nodes: Vec<NodeSummary>,
}

/// One node as executor in one epoch; money in units.
#[derive(Debug, Serialize)]
pub struct NodeSummary {
    pub name: String,
    pub address: String,
    pub role: String,
    pub inferences: u32,
    pub sampled: u32,
    pub valid: u32,
    pub fail: u32,
    pub unavailable: u32,
    pub inconclusive: u32,
    pub void: u32,
    pub fees: u128,
    pub reserve: u128,
    pub checks: u128,
    pub reward: u128,
    pub forfeited: bool,
    pub refunded: u128,
    pub slashed: u128,
    /// Of `slashed`, what went to whoever proved a fraud.
    pub bounty: u128,
    /// What was proven against the epoch, and by whom.
    pub proven: Option<Accusation>,
    /// After the epoch's settlement.
    pub reputation_ppm: Option<u32>,
}

/// `None` where this program did not see it happen.
#[derive(Debug, Serialize)]
pub struct Seconds {
    pub install: Option<f64>,
    pub build: Option<f64>,
    pub run: f64,
}

/// Tokens of all nodes in the seconds that their models took for them.
#[derive(Debug, Serialize)]
pub struct Speed {
    pub generate: Option<f64>,
    pub verify: Option<f64>,
}

/// The chain and who governs the contract on it.
#[derive(Debug, Serialize)]
pub struct ChainSummary {
    pub validators: usize,
    pub height: u64,
    pub stopped: Option<Stopped>,
    /// Address of the gov module.
    pub governance: String,
    pub contract_admin: String,
    /// What governance changed while the network worked.
    pub param_changes: Vec<ParamChange>,
    /// Version of the parameters in force at the end.
    pub params_in_force: u32,
}

/// A validator that was killed while the network worked.
#[derive(Debug, Serialize)]
pub struct Stopped {
    pub validator: String,
    /// The node that had it for its RPC.
    pub used_by: &'static str,
    /// The last block that was read before.
    pub height: u64,
}

/// A node that was killed between a commitment and its reveal.
#[derive(Debug, Serialize)]
pub struct Killed {
    pub node: String,
    pub window: u64,
    pub revealed: bool,
    pub duplicate_reveals: u32,
}

impl Killed {
    pub fn new(node: &str, page: &VerdictPageId, history: &History) -> Self {
        let reveals = history.reveals.get(page).copied().unwrap_or(0);
        Self {
            node: node.to_owned(),
            window: page.window.0,
            revealed: reveals > 0,
            duplicate_reveals: reveals.saturating_sub(1),
        }
    }
}

/// What the scenario saw and nobody can be asked about.
pub struct Seen<'a> {
    pub history: &'a History,
    pub killed: Option<Killed>,
    pub stopped: Option<Stopped>,
    pub told: Option<String>,
    pub run: Duration,
}

impl Summary {
    pub async fn collect(net: &Net, standings: &[Standing], seen: Seen<'_>) -> Result<Self> {
        let params: ParamsResponse = net.chain.query(&QueryMsg::Params {}).await?;
        let mut healths = Vec::with_capacity(net.nodes.len());
        for node in &net.nodes {
            healths.push(node.health().await.with_context(|| format!("{} is not healthy", node.name))?);
        }
        let ratio = |of: &str, per: &str| {
            let sum = |name: &str| healths.iter().filter_map(|health| number(health, name)).sum::<f64>();
            Some(sum(of) / sum(per)).filter(|ratio| ratio.is_finite())
        };
        let schedule = &net.schedule;
        let deposit = preset::deposit(schedule.epochs);
        Ok(Self {
            epochs: schedule.all().map(|epoch| epoch_summary(epoch, standings, seen.history)).collect(),
            seconds: Seconds {
                install: seconds_of("ASSAY_INSTALL_SECONDS"),
                build: seconds_of("ASSAY_BUILD_SECONDS"),
                run: seen.run.as_secs_f64(),
            },
            tokens_per_second: Speed {
                generate: ratio("generated_tokens", "generate_seconds"),
                verify: ratio("verified_tokens", "verify_seconds"),
            },
            artifact_bytes_per_token: ratio("artifact_bytes", "generated_tokens"),
            artifacts: relayed(&healths)?,
            chain: ChainSummary {
                validators: net.network.size(),
                height: net.chain.height().await?,
                stopped: seen.stopped,
                governance: net.governance.address().to_owned(),
                contract_admin: deploy::admin(&net.chain).await?,
                param_changes: seen.history.param_changes.clone(),
                params_in_force: params.in_force.version,
            },
            conservation: Conservation::read(&net.chain, net.supply_at_genesis).await?,
            refunds: SessionBooks::read_all(&net.chain, standings, deposit).await?,
            duplicate_reveals: seen.history.duplicate_reveals(),
            killed: seen.killed,
            when_settled: seen.told,
        })
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// A number of a node's health, wherever it stands in it.
fn number(health: &Value, name: &str) -> Option<f64> {
    let fields = health.as_object()?;
    let here = fields.get(name).and_then(Value::as_f64);
    here.or_else(|| fields.values().find_map(|inner| number(inner, name)))
}

/// The sums of what the nodes say about their artifacts.
fn relayed(healths: &[Value]) -> Result<Relayed> {
    let mut sum = Relayed::default();
    for health in healths {
        let one: Relayed = serde_json::from_value(health["artifacts"].clone())?;
        sum.fetched_from_executors += one.fetched_from_executors;
        sum.fetched_from_jurors += one.fetched_from_jurors;
        sum.served_to_jurors += one.served_to_jurors;
    }
    Ok(sum)
}

fn seconds_of(variable: &str) -> Option<f64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn epoch_summary(epoch: Epoch, standings: &[Standing], history: &History) -> EpochSummary {
    let nodes = standings.iter().filter_map(|standing| {
        let known = standing.epoch(epoch)?;
        let settlement = history.settlements.get(&(standing.address.clone(), epoch));
        Some(NodeSummary {
            name: standing.name.to_owned(),
            address: standing.address.clone(),
            role: standing.role.clone(),
            inferences: known.inferences,
            sampled: known.sampled,
            valid: known.closed.valid,
            fail: known.closed.fail,
            unavailable: known.closed.unavailable,
            inconclusive: known.closed.inconclusive,
            void: known.closed.void,
            fees: known.fees.u128(),
            reserve: known.reserve.u128(),
            checks: known.checks.u128(),
            reward: known.reward.u128(),
            forfeited: known.status == EpochStatus::Forfeited,
            refunded: known.refunded.u128(),
            slashed: known.slashed.u128(),
            bounty: known.bounty.u128(),
            proven: known.accusation.clone(),
            reputation_ppm: settlement.map(|settlement| settlement.reputation_ppm),
        })
    });
    EpochSummary { epoch: epoch.0, nodes: nodes.collect() }
}
