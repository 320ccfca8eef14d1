//! `assayd top-up`, `close-session`: what a requester does with a session besides asking.

use std::path::PathBuf;

use anyhow::Result;
use assay_common::ids::SessionId;
use assay_common::msg::{ExecuteMsg, QueryMsg, SessionResponse, SessionStatus};

use crate::chain::{Account, Call, Chain, Sender};
use crate::config::Config;

/// Adds to the escrow of an open session.
#[derive(Debug, clap::Args)]
pub struct TopUpArgs {
    #[command(flatten)]
    which: Which,
    /// Units of the chain's denomination to add.
    #[arg(long)]
    amount: u128,
}

/// Closes a session; called again after its last claims, pays out what is left.
#[derive(Debug, clap::Args)]
pub struct CloseArgs {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// A configuration (TOML) whose account pays.
    #[arg(long, env = "ASSAY_CONFIG", default_value = "assayd.toml")]
    config: PathBuf,
    /// The session's number.
    #[arg(long)]
    session: SessionId,
}

/// # Errors
/// The chain cannot be reached or refuses, and why.
pub async fn top_up(args: TopUpArgs) -> Result<()> {
    let msg = ExecuteMsg::TopUp { session: args.which.session };
    send(&args.which, Call { msg, funds: args.amount }).await
}

/// # Errors
/// The chain cannot be reached or refuses, and why.
pub async fn close(args: CloseArgs) -> Result<()> {
    let msg = ExecuteMsg::CloseSession { session: args.which.session };
    send(&args.which, Call::new(msg)).await
}

/// Sends one message and prints what the session has become.
async fn send(which: &Which, call: Call) -> Result<()> {
    let config = Config::load(&which.config)?;
    let account = Account::load(&config.chain.key_file, &config.chain.address_prefix)?;
    let chain = Chain::connect(&config.chain).await?;
    let included = Sender::new(chain.clone(), account, &config.chain).execute(call).await?;
    let session: SessionResponse = chain.query(&QueryMsg::Session { session: which.session }).await?;
    let status = match session.status {
        SessionStatus::Open => "open".into(),
        SessionStatus::Closing => format!("closing, claims until the end of epoch {}", session.closes),
        SessionStatus::Closed => "closed; what was left is claimable by the requester".into(),
    };
    println!(
        "height {}: session {} holds {} and is {status}",
        included.height, session.session, session.escrow
    );
    Ok(())
}
