//! The parameters of a local net.

use assay_common::params::{
    BeaconParams, ClockParams, EvidenceParams, FeeParams, JuryParams, LimitParams, Params, PerAlternative,
    ReputationParams,
};
use cosmwasm_std::Uint64;

use super::{Beacon, DENOM, START};

/// Windows of 10 s, epochs of six.
pub fn local_params() -> Params {
    Params {
        denom: DENOM.into(),
        clock: ClockParams { start: START, window_seconds: 10, windows_per_epoch: 6 },
        beacon: BeaconParams {
            public_key: Beacon::new(1).public_key(),
            genesis: START - 1_000,
            period_seconds: 1,
            delay_seconds: 2,
        },
        jury: JuryParams {
            seats: 3,
            quorum: 2,
            min_others_to_commit: 3,
            min_others_to_slash: 3,
            max_samples_per_window: 200,
        },
        evidence: EvidenceParams {
            honest_fail_ppm: 10_000,
            alternatives_ppm: PerAlternative([30_000, 100_000, 400_000]),
            audits: Uint64::new(10_000),
            false_forfeit_one_in: Uint64::new(1_000_000_000),
        },
        reputation: ReputationParams {
            step_ppm: 200_000,
            min_checked: 4,
            min_conclusive_ppm: 800_000,
            base_rate_ppm: 10_000,
        },
        fees: FeeParams {
            verdict_ppm: 70_000,
            reserve_ppm: 10_000,
            min_stake_fees: 10_000,
            slash_ppm: 100_000,
        },
        limits: LimitParams {
            session_epochs: 30,
            claims_per_batch: 50,
            inferences_per_batch: 65_536,
            max_prompt: 8_192,
            max_new: 4_096,
            artifact_bytes_per_token: 256,
            artifact_bytes_fixed: 65_536,
            draw_page: 100,
            verdict_page: 50,
            settle_page: 200,
        },
    }
}
