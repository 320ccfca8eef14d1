//! A chain with the contract's code stored twice, pinned once, and one contract for each plan.

use std::path::Path;

use anyhow::{Context, Result};
use assay_common::evidence::{Bins, SIZE_CLASSES};
use assay_common::ids::Digest;
use assay_common::msg::{CalibrationRecord, ExecuteMsg};
use assay_common::params::PerAlternative;
use assay_common::session::{ModelSpec, NumericScheme};
use assay_sidecar::chain::tx::any;
use assay_sidecar::chain::{Account, Call, Sender};
use cosmos_sdk_proto::cosmos::bank::v1beta1::MsgSend;
use cosmos_sdk_proto::cosmos::base::v1beta1::Coin;
use cosmos_sdk_proto::cosmwasm::wasm::v1::MsgPinCodes;
use cosmwasm_std::Uint128;
use tokio::task::JoinSet;

use super::plan::{self, Plan};
use super::takeover::Old;
use super::world::{Cast, Reading, World, POLL};
use crate::accounts::Participant;
use crate::beacon::{now, Beacon};
use crate::deploy;
use crate::genesis::{GenesisBalance, Opening};
use crate::governance::{self, Governance};
use crate::network::Network;
use crate::parts::ChainParts;
use crate::preset;
use crate::setup::Member;
use crate::wasmd::{DENOM, STAKING_DENOM};

/// Registrations under way at once.
const AT_ONCE: usize = 24;
/// Stake of each node, in the least stakes that are allowed: a part of it can be taken back.
const STAKE_IN_MINIMA: u128 = 3;

/// Keys of everybody, before there is a chain.
pub struct Keys {
    /// Of the chain; holds all votes.
    validator: Participant,
    deployer: Participant,
    casts: Vec<CastKeys>,
}

struct CastKeys {
    plan: Plan,
    governor: Participant,
    requester: Participant,
    keeper: Participant,
    session_key: Account,
    nodes: Vec<Participant>,
}

impl Keys {
    /// New ones, in files under `dir`.
    pub fn generate(dir: &Path) -> Result<Self> {
        let dir = dir.join("keys");
        std::fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let casts = plan::all().enumerate().map(|(number, plan)| CastKeys::generate(&dir, number, plan));
        Ok(Self {
            validator: Participant::generate(&dir, "validator-0")?,
            deployer: Participant::generate(&dir, "deployer")?,
            casts: casts.collect::<Result<_>>()?,
        })
    }

    fn balances(&self) -> Vec<GenesisBalance> {
        let balance = |participant: &Participant, denom, amount| GenesisBalance {
            address: participant.account.address().to_owned(),
            denom,
            amount,
        };
        let everybody = self
            .casts
            .iter()
            .flat_map(|cast| [&cast.governor, &cast.requester, &cast.keeper].into_iter().chain(&cast.nodes));
        let everybody = everybody.chain([&self.deployer]);
        let mut balances: Vec<_> = everybody.map(|who| balance(who, DENOM, plan::FUNDS)).collect();
        balances.push(balance(&self.validator, STAKING_DENOM, 2 * preset::VALIDATOR_STAKE));
        balances
    }
}

impl CastKeys {
    fn generate(dir: &Path, number: usize, plan: Plan) -> Result<Self> {
        let participant = |role: &str| Participant::generate(dir, &format!("{number}-{role}"));
        Ok(Self {
            plan,
            governor: participant("governor")?,
            requester: participant("requester")?,
            keeper: participant("keeper")?,
            session_key: participant("session")?.account,
            nodes: (0..plan.nodes).map(|node| participant(&format!("node-{node}"))).collect::<Result<_>>()?,
        })
    }
}

/// The chain, and a contract for each plan, without model and nodes; dropping it ends the chain.
pub struct Stage {
    pub worlds: Vec<World>,
    /// What it cost to take over contracts of the version before.
    pub migrations: Vec<Reading>,
    _network: Network,
    _beacon: Beacon,
}

/// Brings everything up.
pub async fn raise(parts: &ChainParts, dir: &Path, keys: Keys) -> Result<Stage> {
    let beacon = Beacon::start().await?;
    let validators = std::slice::from_ref(&keys.validator);
    let old = Old::read(&parts.takeover(), keys.deployer.account.address())?;
    let opening = Opening { balances: keys.balances(), contracts: Some(old.genesis()) };
    let network = Network::start(&parts.wasmd, dir, validators, &opening).await?;
    let rpcs = network.rpcs(0);
    let deployer =
        Member { rpcs: rpcs.clone(), contract: String::new(), participant: &keys.deployer, poll: POLL };
    let (chain, sender) = deployer.connect().await?;
    let unpinned = deploy::store(&chain, &sender, &parts.contract).await?;
    let pinned = deploy::store(&chain, &sender, &parts.contract).await?;
    let governor = governance::address(&chain).await?;
    let voter = Sender::new(chain.clone(), keys.validator.account.clone(), &deployer.config());
    let governance = Governance::new(chain.clone(), governor, vec![voter]);
    let pin = MsgPinCodes { authority: governance.address().into(), code_ids: vec![pinned] };
    governance.propose_messages("Pin the contract's code", vec![any(&pin)]).await?.executed()?;
    eprintln!("the contract's code is stored as {unpinned} and {pinned}; {pinned} is pinned");
    let migrations = old.migrate(&sender, [unpinned, pinned], beacon.params()).await?;

    let params = plan::params(now()? + plan::LEAD.as_secs(), beacon.params());
    let mut worlds = Vec::with_capacity(keys.casts.len());
    for cast in keys.casts {
        let code = if cast.plan.pinned { pinned } else { unpinned };
        let governor = cast.governor.account.address();
        let contract = deploy::instantiate(&chain, &sender, code, governor, params.clone()).await?;
        let member = Member { rpcs: rpcs.clone(), contract, participant: &cast.governor, poll: POLL };
        let (chain, governor) = member.connect().await?;
        let config = member.config();
        let act =
            |participant: &Participant| Sender::new(chain.clone(), participant.account.clone(), &config);
        worlds.push(World {
            plan: cast.plan,
            params: params.clone(),
            beacon: beacon.url(),
            model: model(),
            cast: Cast {
                governor,
                requester: act(&cast.requester),
                keeper: act(&cast.keeper),
                nodes: cast.nodes.iter().map(act).collect(),
                session_key: cast.session_key,
            },
            readings: Vec::new().into(),
            chain: chain.clone(),
        });
    }
    Ok(Stage { worlds, migrations, _network: network, _beacon: beacon })
}

/// Registers the model, and all nodes for it.
pub async fn populate(world: &World) -> Result<()> {
    let Cast { governor, requester, keeper, .. } = &world.cast;
    for account in [governor, requester, keeper] {
        sign_first(account).await?;
    }
    world.measure(("RegisterModel", 1), governor, Call::new(registration(&world.model))).await?;
    let stake = world.params.min_stake(Uint128::new(plan::FEE)).u128() * STAKE_IN_MINIMA;
    let msg = ExecuteMsg::RegisterNode {
        models: vec![world.model.digest()],
        endpoint: "http://10.0.0.1:8080".into(),
    };
    let mut waiting = world.cast.nodes.iter();
    let mut under_way: JoinSet<Result<Reading>> = JoinSet::new();
    loop {
        while under_way.len() < AT_ONCE {
            let Some(node) = waiting.next().cloned() else { break };
            let call = Call { msg: msg.clone(), funds: stake };
            under_way.spawn(async move { Ok(Reading::of("RegisterNode", 1, (&node, call)).await?.0) });
        }
        let Some(reading) = under_way.join_next().await else { break };
        world.note(reading.context("a registration has panicked")??);
    }
    eprintln!("{}: {} nodes are registered", world.plan.name, world.plan.nodes);
    Ok(())
}

/// The first transaction of an account costs more, for the chain stores its key; so it is not one that is measured.
async fn sign_first(account: &Sender) -> Result<()> {
    let address = account.account().address().to_owned();
    let coin = Coin { denom: DENOM.into(), amount: "1".into() };
    let send = MsgSend { from_address: address.clone(), to_address: address, amount: vec![coin] };
    account.execute_messages(vec![any(&send)]).await?;
    Ok(())
}

pub fn model() -> ModelSpec {
    ModelSpec {
        name: "measured".into(),
        weights: Digest([7; 32]),
        scheme: NumericScheme::Bf16F32,
        constants: Digest([8; 32]),
        vocabulary: plan::VOCABULARY,
    }
}

pub fn registration(spec: &ModelSpec) -> ExecuteMsg {
    let reference_fee = Uint128::new(plan::FEE);
    ExecuteMsg::RegisterModel { spec: spec.clone(), reference_fee, calibration: calibration() }
}

/// Four bins in each size class: as large as one that rests on data for every class.
pub fn calibration() -> CalibrationRecord {
    let bins = Bins {
        honest_ppm: vec![800_000, 140_000, 50_000, 10_000],
        alternatives_ppm: PerAlternative([
            vec![750_000, 150_000, 70_000, 30_000],
            vec![600_000, 170_000, 130_000, 100_000],
            vec![300_000, 150_000, 150_000, 400_000],
        ]),
    };
    CalibrationRecord { digest: Digest([8; 32]), probe_tolerance: 16, bins: vec![bins; SIZE_CLASSES] }
}
