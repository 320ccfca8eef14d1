//! What is measured, on which contracts, and with which numbers.

use std::time::Duration;

use assay_common::params::{BeaconParams, ClockParams, Params, PPM};

use crate::wasmd::DENOM;

/// Long enough on two cores for everything that must happen in one window, on all contracts at once.
const WINDOW_SECONDS: u32 = 15;
/// A batch of the first window is closed in the fifth, one of the second in the sixth.
pub const WINDOWS_PER_EPOCH: u32 = 6;
/// From the instantiations to the start of epoch 0: time to register the largest table.
pub const LEAD: Duration = Duration::from_secs(100);

pub const FEE: u128 = 1_000_000;
/// What every account begins with: the escrow of 65,536 inferences, or a stake, and something to spare.
pub const FUNDS: u128 = 1_000_000 * FEE;

/// The answer that is accused: as many tokens as the vocabulary and the length of a common one.
pub const VOCABULARY: u32 = 262_144;
pub const ANSWER_TOKENS: u32 = 256;

/// Samples of one full batch: two full pages of Draw, and one of ten.
pub const FULL_DRAWS: [u32; 3] = [100, 100, 10];
pub const TEN: [u32; 1] = [10];
pub const ONE: [u32; 1] = [1];

/// What a contract is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tour {
    /// Every message, at page sizes 1, 10 and full.
    Every,
    /// The way of ten samples and of one, in a network of so many nodes.
    Nodes,
    /// The way of ten samples out of a batch of so many inferences, to a proof of fraud.
    Inferences(u32),
    /// The way of one sample on which its first jurors do not agree.
    Contested,
}

/// One contract on the chain.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub name: &'static str,
    /// Whether its code is pinned: kept in memory by every validator, as governance orders it for what is used much.
    pub pinned: bool,
    pub nodes: usize,
    pub tour: Tour,
}

const fn plan(name: &'static str, pinned: bool, nodes: usize, tour: Tour) -> Plan {
    Plan { name, pinned, nodes, tour }
}

pub const UNPINNED: Plan = plan("unpinned", false, 4, Tour::Every);
pub const PINNED: Plan = plan("pinned", true, 4, Tour::Every);
pub const BY_NODES: [Plan; 3] = [
    plan("4 nodes", true, 4, Tour::Nodes),
    plan("64 nodes", true, 64, Tour::Nodes),
    plan("512 nodes", true, 512, Tour::Nodes),
];
pub const BY_INFERENCES: [Plan; 3] = [
    plan("100", true, 4, Tour::Inferences(100)),
    plan("10,000", true, 4, Tour::Inferences(10_000)),
    plan("65,536", true, 4, Tour::Inferences(65_536)),
];

/// With nodes enough for the second level of a jury, which has 21 seats with the first.
pub const CONTESTED: Plan = plan("contested", true, 24, Tour::Contested);

/// All of them.
pub fn all() -> impl Iterator<Item = Plan> {
    [UNPINNED, PINNED].into_iter().chain(BY_NODES).chain(BY_INFERENCES).chain([CONTESTED])
}

/// The local parameters, with reputation after one epoch, and short times; the pages are those of every network.
pub fn params(start: u64, beacon: &BeaconParams) -> Params {
    let clock = ClockParams { start, window_seconds: WINDOW_SECONDS, windows_per_epoch: WINDOWS_PER_EPOCH };
    let epoch = WINDOW_SECONDS * WINDOWS_PER_EPOCH;
    let mut params = Params::local(DENOM, clock, beacon.clone());
    params.jury.max_samples_per_window = 65_536;
    params.reputation.step_ppm = PPM;
    params.reputation.min_checked = 1;
    // Of a hundred inferences eleven samples: ten are handled, and the epoch stays open for the proof.
    params.reputation.base_rate_ppm = 110_000;
    params.fraud.window_seconds = 2 * epoch;
    params.limits.kept_epochs = 3;
    params.limits.close_delay_epochs = 1;
    params.limits.unbonding_seconds = 2 * epoch + 1;
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_keep_every_rule() {
        let beacon =
            BeaconParams { public_key: vec![0; 96].into(), genesis: 0, period_seconds: 1, delay_seconds: 2 };
        assert_eq!(params(1_000, &beacon).check(), Ok(()));
    }
}
