//! False forfeits of honest executors, counted.

use assay_common::evidence::Cusum;
use serde::Serialize;

use super::sequential::SequentialTest;
use super::shares::Shares;
use crate::simulate::chance::Chance;
use crate::simulate::honest::AUDITS_PER_EPOCH;
use crate::simulate::interval::Rate;

/// What many epochs of honest nodes came to.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Forfeits {
    /// Epochs that ended in a forfeit, of all node-epochs.
    pub rate: Rate,
    /// The share of them that the evidence promises at most.
    pub promised: f64,
}

impl Forfeits {
    /// `nodes` executors from empty evidence through so many epochs; evidence is carried from epoch to epoch, and a forfeit
    /// ends the epoch's audits and empties it, as settlement does.
    pub fn count(test: &SequentialTest, honest: &Shares, (nodes, epochs): (u64, u32), seed: u64) -> Self {
        let bins = honest.cumulated();
        let mut forfeits = 0;
        for node in 0..nodes {
            let mut chance = Chance::new(seed, &format!("false forfeits {}", test.class()), node);
            let mut cusum = Cusum::default();
            for _ in 0..epochs {
                for _ in 0..AUDITS_PER_EPOCH {
                    let bin = bins.draw(&mut chance);
                    cusum = test.after(cusum, bin);
                    if test.forfeits(cusum, bin) {
                        forfeits += 1;
                        cusum = Cusum::default();
                        break;
                    }
                }
            }
        }
        let rate = Rate::new(forfeits, nodes * u64::from(epochs));
        Self { rate, promised: test.promised(AUDITS_PER_EPOCH.into()) }
    }
}
