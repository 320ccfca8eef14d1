//! Reputation earned by clean epochs, lost by a forfeit, and the sampling rate that follows from it.

use cosmwasm_schema::cw_serde;

use crate::draw::RATE_ONE;
use crate::params::{ReputationParams, PPM};

/// Standing of a node, in millionths of full trust.
#[cw_serde]
#[derive(Eq, Copy, Default, PartialOrd, Ord)]
pub struct Reputation(pub u32);

impl Reputation {
    /// After an epoch that was paid: one step if enough was checked, and enough of it conclusively.
    #[must_use]
    pub fn after_clean_epoch(self, params: &ReputationParams, checked: u32, conclusive: u32) -> Self {
        let enough = checked >= params.min_checked
            && u64::from(conclusive).saturating_mul(u64::from(PPM))
                >= u64::from(checked).saturating_mul(u64::from(params.min_conclusive_ppm));
        if enough {
            Self(self.0.saturating_add(params.step_ppm).min(PPM))
        } else {
            self
        }
    }

    /// Share of inferences checked, Q32: base + (1 − base)(1 − reputation)², rounded up; at 0 exactly one.
    pub fn rate_q32(self, params: &ReputationParams) -> u64 {
        let million = u128::from(PPM);
        let base = u128::from(params.base_rate_ppm).min(million);
        let missing = million.saturating_sub(u128::from(self.0));
        let scaled = base
            .saturating_mul(million)
            .saturating_mul(million)
            .saturating_add(million.saturating_sub(base).saturating_mul(missing).saturating_mul(missing));
        let rate = scaled.saturating_mul(u128::from(RATE_ONE)).div_ceil(million.saturating_pow(3));
        u64::try_from(rate).unwrap_or(RATE_ONE).min(RATE_ONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: ReputationParams = ReputationParams {
        step_ppm: 33_334,
        min_checked: 32,
        min_conclusive_ppm: 800_000,
        base_rate_ppm: 10_000,
    };

    #[test]
    fn a_new_node_is_checked_in_full_and_a_trusted_one_at_the_base_rate() {
        assert_eq!(Reputation(0).rate_q32(&PARAMS), RATE_ONE);
        assert_eq!(Reputation(PPM).rate_q32(&PARAMS), RATE_ONE.div_ceil(100));
        assert!(Reputation(1).rate_q32(&PARAMS) < RATE_ONE);
    }

    #[test]
    fn thirty_clean_epochs_give_full_trust() {
        let standing = |epochs| (0..epochs).fold(Reputation(0), |r, _| r.after_clean_epoch(&PARAMS, 32, 32));
        assert!(standing(29) < Reputation(PPM));
        assert_eq!(standing(30), Reputation(PPM));
        assert_eq!(standing(31), Reputation(PPM));
    }

    #[test]
    fn an_epoch_with_too_little_checked_or_too_little_concluded_earns_nothing() {
        assert_eq!(Reputation(5).after_clean_epoch(&PARAMS, 31, 31), Reputation(5));
        assert_eq!(Reputation(5).after_clean_epoch(&PARAMS, 100, 79), Reputation(5));
        assert_eq!(Reputation(5).after_clean_epoch(&PARAMS, 100, 80), Reputation(33_339));
    }
}
