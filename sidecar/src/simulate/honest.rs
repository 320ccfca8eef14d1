//! How often honest executors are forfeited, counted over many epochs.

use serde::Serialize;

use super::bench::HonestJury;
use super::chance::Chance;
use super::interval::Rate;
use super::standing::{Rules, Size, Standing};
use super::terms::Terms;

/// Audits of a node in an epoch.
pub const AUDITS_PER_EPOCH: u32 = 100;

/// Honest executors whose artifacts fail now and then.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Honest {
    /// Share of their artifacts that honest jurors call invalid.
    pub failing: f64,
    /// Epochs that ended in a forfeit, of all node-epochs.
    pub forfeits: Rate,
}

impl Honest {
    /// `nodes` honest executors from empty evidence through so many epochs.
    pub fn count(terms: &Terms, failing: f64, (nodes, epochs): (u32, u32), seed: u64) -> Self {
        let (rules, jury) = (Rules::new(terms), HonestJury::new(&terms.jury));
        let mut forfeits = 0;
        for node in 0..nodes {
            let mut chance = Chance::new(seed, &format!("honest {failing}"), u64::from(node));
            let mut standing = Standing::default();
            for _ in 0..epochs {
                for _ in 0..AUDITS_PER_EPOCH {
                    standing = standing.after(&rules, jury.outcome(chance.happens(failing)), Size::Full);
                    if standing.forfeits(&rules) {
                        forfeits += 1;
                        standing = Standing::default();
                        break;
                    }
                }
            }
        }
        let trials = u64::from(nodes) * u64::from(epochs);
        Self { failing, forfeits: Rate::new(forfeits, trials) }
    }
}
