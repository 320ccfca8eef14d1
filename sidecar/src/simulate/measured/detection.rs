//! How soon a cheat is condemned.

use assay_common::evidence::Cusum;
use serde::Serialize;

use super::sequential::SequentialTest;
use super::shares::Shares;
use crate::simulate::chance::Chance;
use crate::simulate::interval::Median;

/// Audits from empty evidence to the forfeit, of many cheats.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Detection {
    pub median: Median,
    /// What nineteen in twenty do not exceed.
    pub p95: i64,
    /// Audits after which a cheat was left alone: a figure as large as that only says that it is no smaller.
    pub most: i64,
}

impl Detection {
    /// Condemns `careers` cheats whose answers are spread so, none for longer than `most` audits.
    pub fn of(test: &SequentialTest, cheat: &Shares, (careers, most): (u64, i64), seed: u64) -> Self {
        let bins = cheat.cumulated();
        let audits = |career| {
            let mut chance = Chance::new(seed, &format!("condemned {}", test.class()), career);
            let mut cusum = Cusum::default();
            let forfeits = |_: &i64| {
                let bin = bins.draw(&mut chance);
                cusum = test.after(cusum, bin);
                test.forfeits(cusum, bin)
            };
            (1..=most).find(forfeits).unwrap_or(most)
        };
        let mut audits: Vec<i64> = (0..careers).map(audits).collect();
        audits.sort_unstable();
        let p95 = audits[(audits.len() * 19 / 20).min(audits.len() - 1)];
        Self { median: Median::of(audits), p95, most }
    }

    /// Whether half of the cheats were condemned in time.
    pub fn condemns(&self) -> bool {
        self.median.value < self.most
    }
}
