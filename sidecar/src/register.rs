//! `assayd register`: joins the network with a stake.

use std::path::PathBuf;

use anyhow::Result;
use assay_common::ids::ModelDigest;
use assay_common::msg::ExecuteMsg;

use crate::chain::{Account, Call, Chain, Sender};
use crate::config::Config;

/// Bonds a stake and makes the node's endpoint known.
#[derive(Debug, clap::Args)]
pub struct RegisterArgs {
    /// The node's configuration (TOML).
    #[arg(long, env = "ASSAY_CONFIG", default_value = "assayd.toml")]
    config: PathBuf,
    /// Digest of a model to serve and to check; once for each.
    #[arg(long = "model", required = true)]
    models: Vec<ModelDigest>,
    /// Where other nodes and requesters reach this one, such as http://198.51.100.7:8080.
    #[arg(long)]
    endpoint: String,
    /// Units of the chain's denomination to bond.
    #[arg(long)]
    stake: u128,
}

/// # Errors
/// The chain cannot be reached or rejects the registration, and why.
pub async fn run(args: RegisterArgs) -> Result<()> {
    let config = Config::load(&args.config)?;
    let account = Account::load(&config.chain.key_file, &config.chain.address_prefix)?;
    let chain = Chain::connect(&config.chain).await?;
    let sender = Sender::new(chain, account, &config.chain);
    let msg = ExecuteMsg::RegisterNode { models: args.models, endpoint: args.endpoint };
    let included = sender.execute(Call { msg, funds: args.stake }).await?;
    println!("registered {} at height {}", sender.account().address(), included.height);
    Ok(())
}
