//! The numbers of the local net: the local parameters, with windows and answers that two cores keep up with.

use std::time::Duration;

use assay_common::params::{BeaconParams, ClockParams, Params};
use assay_common::sampler::SamplingParams;

use crate::wasmd::DENOM;

pub const WINDOW_SECONDS: u32 = 15;
pub const WINDOWS_PER_EPOCH: u32 = 6;
/// Windows from a commitment to the tally of its samples: drawn in the first, judged until the end of the second,
/// revealed in the third, closed in the fourth.
pub const WINDOWS_TO_TALLY: u64 = 4;

/// Price of one inference, and the model's reference fee.
pub const FEE: u128 = 1_000_000;
/// Inferences that the requester asks of each node in each epoch.
pub const INFERENCES: usize = 12;
pub const MAX_PROMPT: u32 = 24;
/// Three jurors recompute every answer within two windows, on the same two cores: longer ones leave no room for a busy machine.
pub const MAX_NEW: u32 = 16;

/// Stake of a node, in the least stakes that are allowed: a slashed node still sits on juries.
pub const STAKE_IN_MINIMA: u128 = 2;

/// What a validator of the chain bonds, of the staking token; it keeps as much again for deposits.
pub const VALIDATOR_STAKE: u128 = 1_000_000_000;
/// What puts a proposal to the vote at once, of the staking token.
pub const DEPOSIT: u64 = 10_000;
/// How long a proposal is voted on: a dozen blocks, and no more of the lead than the model's registration can have.
pub const VOTING: Duration = Duration::from_secs(6);

pub const DEPLOYER_FUNDS: u128 = FEE;
/// Three times the least stake, which is 10,000 fees.
pub const NODE_FUNDS: u128 = 30_000 * FEE;
pub const REQUESTER_FUNDS: u128 = 100_000 * FEE;
/// Escrow of one session: twice what is spent in so many epochs.
pub fn deposit(epochs: u64) -> u128 {
    2 * u128::from(epochs) * INFERENCES as u128 * FEE
}
/// Epochs that a session outlasts its last question by: the first may come late.
pub const SPARE_EPOCHS: u64 = 5;

/// From the instantiation to the start of epoch 0: time to register everybody and to load four models.
pub const LEAD: Duration = Duration::from_secs(40);

/// As the sampler's papers have it: the model's own distribution, nothing cut.
pub const SAMPLING: SamplingParams = SamplingParams::OPEN;

/// Protocol time that begins at `start`, seconds since 1970.
pub fn clock(start: u64) -> ClockParams {
    ClockParams { start, window_seconds: WINDOW_SECONDS, windows_per_epoch: WINDOWS_PER_EPOCH }
}

pub fn params(start: u64, beacon: &BeaconParams) -> Params {
    let mut params = Params::local(DENOM, clock(start), beacon.clone());
    // Answers are as short as the machine is small; each of full length counts in full.
    params.evidence.full_weight_tokens = MAX_NEW;
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preset_keeps_every_rule() {
        let beacon =
            BeaconParams { public_key: vec![0; 96].into(), genesis: 0, period_seconds: 1, delay_seconds: 2 };
        assert_eq!(params(1_000, &beacon).check(), Ok(()));
    }
}
