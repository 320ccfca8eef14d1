//! A program from outside that looks at the network when all is settled.

use std::path::Path;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::process;
use crate::setup::Net;

/// Runs the program to its end; what it wrote to standard output.
///
/// # Errors
/// It cannot be started, or fails.
pub async fn run(program: &Path, net: &Net) -> Result<String> {
    let rpc = net.network.running_rpc().context("no validator runs")?;
    let mut command = Command::new(program);
    command.env("ASSAY_RPC", rpc).env("ASSAY_CONTRACT", &net.chain.domain().contract);
    process::run(command).await
}
