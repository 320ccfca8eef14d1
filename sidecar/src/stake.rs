//! `assayd update`, `unbond`, `withdraw`: what a node's owner does with its stake.

use std::path::PathBuf;

use anyhow::Result;
use assay_common::ids::ModelDigest;
use assay_common::msg::{ExecuteMsg, NodeResponse, QueryMsg};

use crate::chain::{Account, Call, Chain, Sender};
use crate::config::Config;

/// Adds to the stake, or changes models or endpoint; what is not named stays.
#[derive(Debug, clap::Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    owner: Owner,
    /// Digest of a model to serve and to check, in place of all present ones; once for each.
    #[arg(long = "model")]
    models: Vec<ModelDigest>,
    /// Where other nodes and requesters reach this one, such as http://198.51.100.7:8080.
    #[arg(long)]
    endpoint: Option<String>,
    /// Units of the chain's denomination to bond in addition.
    #[arg(long, default_value_t = 0)]
    add_stake: u128,
}

/// Takes a part of the stake out of the next epoch's juries, or all of it; it can be slashed until it is withdrawn.
#[derive(Debug, clap::Args)]
pub struct UnbondArgs {
    #[command(flatten)]
    owner: Owner,
    /// Units to unbond; what stays bonded is nothing, or what the dearest model asks for.
    #[arg(long, required_unless_present = "all")]
    amount: Option<u128>,
    /// Unbonds everything: the node leaves.
    #[arg(long, conflicts_with = "amount")]
    all: bool,
}

/// Pays out every part of the stake that has been unbonding for long enough.
#[derive(Debug, clap::Args)]
pub struct WithdrawArgs {
    #[command(flatten)]
    owner: Owner,
}

#[derive(Debug, clap::Args)]
struct Owner {
    /// The node's configuration (TOML).
    #[arg(long, env = "ASSAY_CONFIG", default_value = "assayd.toml")]
    config: PathBuf,
}

/// # Errors
/// The chain cannot be reached or refuses, and why.
pub async fn update(args: UpdateArgs) -> Result<()> {
    let models = (!args.models.is_empty()).then_some(args.models);
    let msg = ExecuteMsg::UpdateNode { models, endpoint: args.endpoint };
    args.owner.connect().await?.send(Call { msg, funds: args.add_stake }).await
}

/// # Errors
/// The chain cannot be reached or refuses, and why.
pub async fn unbond(args: UnbondArgs) -> Result<()> {
    let node = args.owner.connect().await?;
    let amount = match args.amount {
        Some(amount) => amount.into(),
        None => node.record().await?.stake,
    };
    node.send(Call::new(ExecuteMsg::Unbond { amount })).await
}

/// # Errors
/// The chain cannot be reached or refuses, and why.
pub async fn withdraw(args: WithdrawArgs) -> Result<()> {
    args.owner.connect().await?.send(Call::new(ExecuteMsg::Withdraw {})).await
}

impl Owner {
    async fn connect(&self) -> Result<Node> {
        let config = Config::load(&self.config)?;
        let account = Account::load(&config.chain.key_file, &config.chain.address_prefix)?;
        let chain = Chain::connect(&config.chain).await?;
        Ok(Node { sender: Sender::new(chain.clone(), account, &config.chain), chain })
    }
}

struct Node {
    chain: Chain,
    sender: Sender,
}

impl Node {
    async fn record(&self) -> Result<NodeResponse> {
        let address = self.sender.account().address().into();
        Ok(self.chain.query(&QueryMsg::Node { address }).await?)
    }

    /// Sends one message and prints what the node's stake has become.
    async fn send(&self, call: Call) -> Result<()> {
        let included = self.sender.execute(call).await?;
        let node = self.record().await?;
        println!("height {}: {} has {} bonded", included.height, node.address, node.stake);
        for part in node.unbonding {
            println!("{} unbonding until {} seconds since 1970", part.amount, part.release);
        }
        Ok(())
    }
}
