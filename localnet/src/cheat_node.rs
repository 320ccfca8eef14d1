//! One node that cheats as executor. As juror it is honest: its sidecar is the honest one.

use anyhow::{Context, Result};
use assay_sidecar::config::Config;

use crate::attack::{answerer, withhold, Attack, Cheat};
use crate::process::free_ports;

/// Runs the node as `assayd run` runs an honest one.
///
/// # Errors
/// The node's own, what the attack needs is missing, or there is no port for it to hide behind.
pub async fn run(cheat: Cheat, mut config: Config) -> Result<()> {
    let answerer = answerer(&config.model, cheat)?;
    if cheat.attack() != Attack::Withhold {
        return assay_sidecar::run(config, answerer).await;
    }
    let outer = config.http.listen;
    let port = free_ports(1)?.pop().context("no free port")?;
    config.http.listen.set_port(port);
    let door = withhold::serve(outer, config.http.listen);
    tokio::select! {
        ended = assay_sidecar::run(config, answerer) => ended,
        ended = door => ended,
    }
}
