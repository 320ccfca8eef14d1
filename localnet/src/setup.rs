//! From nothing to a running network: chain, beacon, contract under its gov module, four nodes, four sessions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use assay_common::msg::{ModelResponse, QueryMsg};
use assay_common::params::ClockParams;
use assay_sidecar::calibrate::load;
use assay_sidecar::chain::{Chain, Sender};
use assay_sidecar::config::ChainConfig;
use tokio::task::JoinSet;

use crate::accounts::{Accounts, Participant, NODES};
use crate::attack::Cheat;
use crate::beacon::{now, Beacon};
use crate::deploy::{self, ModelFile};
use crate::genesis::Opening;
use crate::governance::{self, Governance};
use crate::network::Network;
use crate::nodes::{Node, Own, Shared};
use crate::parts::Parts;
use crate::process::free_ports;
use crate::requests::{Customer, Schedule, Wanted};
use crate::table::Screen;
use crate::wasmd::{CHAIN_ID, DENOM, PREFIX};
use crate::{calibration, money, preset};

/// How often everybody looks at a chain that makes a block every half second.
const POLL: Duration = Duration::from_millis(500);

/// Everything that runs; dropping it stops all of it.
pub struct Net {
    pub network: Network,
    pub beacon: Beacon,
    pub chain: Chain,
    pub governance: Governance,
    pub nodes: Vec<Node>,
    pub schedule: Schedule,
    pub supply_at_genesis: u128,
}

/// What is asked for.
pub struct Wish<'a> {
    pub parts: &'a Parts,
    pub dir: &'a Path,
    pub cheat: Cheat,
    pub epochs: u64,
    pub validators: usize,
}

/// Brings the network up; the customers are ready to ask.
pub async fn start(wish: &Wish<'_>, screen: &mut Screen) -> Result<(Net, Vec<Customer>)> {
    let parts = wish.parts;
    let model = ModelFile::read(&parts.model)?;
    screen.say(&format!("model: {}, SHA-256 {}", model.spec.name, model.spec.weights));
    let calibration = calibration::obtain(parts, model.spec.digest()).await?;
    screen.say(&format!("calibration: {}", calibration.display()));

    let accounts = Accounts::generate(wish.dir, wish.validators)?;
    let beacon = Beacon::start().await?;
    let opening = Opening { balances: accounts.balances(), contracts: None };
    let mut network = Network::start(&parts.chain.wasmd, wish.dir, &accounts.validators, &opening).await?;
    screen.say(&format!("chain: {CHAIN_ID}, validators at {}", network.rpcs(0).join(" ")));

    let Contract { chain, governance, clock } = found(parts, &network, &accounts, &beacon).await?;
    let supply_at_genesis = money::supply(&chain).await?;
    let contract = chain.domain().contract.clone();
    screen.say(&format!("contract: {contract}, epoch 0 begins in {} s", preset::LEAD.as_secs()));
    let (judge, digest) = load(&calibration, model.spec.digest())?;
    deploy::register_model(&governance, &model.spec, judge.record(digest)).await?;
    screen.say(&format!("the gov module ({}) has registered the model", governance.address()));
    let crew = Crew { wish, model: &model, calibration, accounts: &accounts, contract };
    let mut nodes = crew.launch(&chain, &mut network, &beacon).await?;

    let (rpcs, contract) = (network.rpcs(0), crew.contract);
    let requester = Member { rpcs, contract, participant: &accounts.requester, poll: POLL };
    let (_, sender) = requester.connect().await?;
    let wanted = Wanted { model: model.spec.digest(), tokenizer: &model.tokenizer, epochs: wish.epochs };
    let mut customers = Vec::with_capacity(nodes.len());
    for numbered in nodes.iter().enumerate() {
        customers.push(Customer::open(&chain, &sender, numbered, &wanted, wish.dir).await?);
    }
    for node in &mut nodes {
        node.ready().await?;
        screen.say(&format!("node {} at {}: {}", node.name, node.endpoint, node.role()));
    }
    let schedule = Schedule::new(clock, now()?, wish.epochs);
    Ok((Net { network, beacon, chain, governance, nodes, schedule, supply_at_genesis }, customers))
}

/// The contract, and who governs it.
struct Contract {
    chain: Chain,
    governance: Governance,
    clock: ClockParams,
}

/// Puts the contract on the chain: nobody's but the gov module's.
async fn found(parts: &Parts, network: &Network, accounts: &Accounts, beacon: &Beacon) -> Result<Contract> {
    let (rpcs, contract) = (network.rpcs(0), String::new());
    let deployer = Member { rpcs, contract, participant: &accounts.deployer, poll: POLL };
    let (chain, sender) = deployer.connect().await?;
    let code_id = deploy::store(&chain, &sender, &parts.chain.contract).await?;
    let clock = preset::clock(now()? + preset::LEAD.as_secs());
    let params = preset::params(clock.start, beacon.params());
    let governor = governance::address(&chain).await?;
    let contract = deploy::instantiate(&chain, &sender, code_id, &governor, params).await?;
    let member = Member { contract, ..deployer };
    let (chain, _) = member.connect().await?;
    let voters = accounts.validators.iter();
    let voters =
        voters.map(|voter| Sender::new(chain.clone(), voter.account.clone(), &member.config())).collect();
    let governance = Governance::new(chain.clone(), governor, voters);
    Ok(Contract { chain, governance, clock })
}

/// One participant's view of the chain.
pub struct Member<'a> {
    /// Of validators; the first is asked, the others while it is out of reach.
    pub rpcs: Vec<String>,
    pub contract: String,
    pub participant: &'a Participant,
    pub poll: Duration,
}

impl Member<'_> {
    pub fn config(&self) -> ChainConfig {
        ChainConfig {
            rpc: self.rpcs[0].clone(),
            rpc_fallbacks: self.rpcs[1..].to_vec(),
            chain_id: CHAIN_ID.into(),
            contract: self.contract.clone(),
            key_file: self.participant.key_file.clone(),
            address_prefix: PREFIX.into(),
            denom: DENOM.into(),
            gas_price_micro: 0,
            poll: self.poll,
        }
    }

    pub async fn connect(&self) -> Result<(Chain, Sender)> {
        let config = self.config();
        let chain = Chain::connect(&config).await?;
        let sender = Sender::new(chain.clone(), self.participant.account.clone(), &config);
        Ok((chain, sender))
    }
}

/// What the four nodes are made from.
struct Crew<'a> {
    wish: &'a Wish<'a>,
    model: &'a ModelFile,
    calibration: PathBuf,
    accounts: &'a Accounts,
    contract: String,
}

impl Crew<'_> {
    /// Bonds all nodes at once, and starts them.
    async fn launch(&self, chain: &Chain, network: &mut Network, beacon: &Beacon) -> Result<Vec<Node>> {
        let query = QueryMsg::Model { model: self.model.spec.digest() };
        let known: ModelResponse = chain.query(&query).await?;
        let stake = known.min_stake.u128() * preset::STAKE_IN_MINIMA;
        let shared = Shared {
            dir: self.wish.dir,
            assayd: &self.wish.parts.assayd,
            model: &self.wish.parts.model,
            calibration: &self.calibration,
            beacon: beacon.url(),
        };
        let ports = free_ports(NODES.len())?;
        let mut nodes = Vec::with_capacity(NODES.len());
        let mut bonds = JoinSet::new();
        for (name, participant) in NODES.into_iter().zip(&self.accounts.nodes) {
            let number = nodes.len();
            let (rpcs, contract) = (network.rpcs(0), self.contract.clone());
            let member = Member { rpcs, contract, participant, poll: POLL };
            let (_, sender) = member.connect().await?;
            let member = Member { rpcs: network.rpcs(number), ..member };
            let is_last = number + 1 == NODES.len();
            let own = Own {
                name,
                address: participant.account.address().to_owned(),
                port: ports[number],
                cheat: if is_last { self.wish.cheat } else { Cheat::HONEST },
                chain: member.config(),
            };
            let node = Node::prepare(&shared, own)?;
            let (spec, endpoint) = (self.model.spec.clone(), node.endpoint.clone());
            bonds.spawn(async move { deploy::register_node(&sender, &spec, endpoint, stake).await });
            nodes.push(node);
        }
        while let Some(bond) = bonds.join_next().await {
            bond.context("a task of the set-up has panicked")??;
        }
        // Each node asks another validator: all must know of the bonds.
        network.reach(chain.height().await?).await?;
        for node in &mut nodes {
            node.start()?;
        }
        Ok(nodes)
    }
}
