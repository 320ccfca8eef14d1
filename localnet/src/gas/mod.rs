//! What everything costs on the chain: gas of every message, and what stays in the chain's store.
//!
//! No model and no nodes run: signed messages go straight to the contract, on a real chain, with real signatures, vouchers,
//! Merkle trees and proofs. Gas is what the block says of a transaction, not what a simulation foretold.

mod contested;
mod evidence;
mod footprint;
mod limits;
mod pass;
mod plan;
mod report;
mod setup;
mod takeover;
mod tour;
mod world;

use std::path::Path;

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::parts::ChainParts;
use evidence::Numbers;
use report::Machine;

/// Measures, prints the tables, and says whether every limit is kept.
pub async fn run(dir: &Path) -> Result<bool> {
    let parts = ChainParts::find()?;
    let machine = Machine::here(&parts)?;
    let numbers = tokio::task::spawn_blocking(Numbers::draw).await.context("no numbers")?;
    let numbers = std::sync::Arc::new(numbers);
    let mut stage = setup::raise(&parts, dir, setup::Keys::generate(dir)?).await?;
    let mut tours = JoinSet::new();
    for world in std::mem::take(&mut stage.worlds) {
        let numbers = numbers.clone();
        tours.spawn(async move {
            let name = world.plan.name;
            let found = tour::run(world, &numbers).await;
            eprintln!("{name}: measured");
            found.with_context(|| name)
        });
    }
    let mut found = Vec::new();
    while let Some(tour) = tours.join_next().await {
        found.push(tour.context("a tour has panicked")??);
    }
    let limits = limits::check(&found)?;
    print!("{}", report::print(&machine, (&found, &stage.migrations), &limits)?);
    Ok(limits.iter().all(|limit| limit.is_kept()))
}
