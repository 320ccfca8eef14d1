//! Where the money is.

use cosmwasm_schema::cw_serde;
use cosmwasm_std::Uint128;

/// Where every unit is that the contract holds, and what left it for ever.
#[cw_serde]
#[derive(Eq, Default)]
pub struct PoolsResponse {
    /// Prepaid by requesters.
    pub escrow: Uint128,
    /// Fees of unsettled epochs.
    pub pending: Uint128,
    /// Pay for verdicts not yet given.
    pub checks: Uint128,
    /// Fees of forfeited epochs on their way back to sessions.
    pub refunds: Uint128,
    pub reserve: Uint128,
    /// Bonded by nodes, or unbonding.
    pub stakes: Uint128,
    pub claimable: Uint128,
    /// Slashed and burned so far; no longer held.
    pub burned: Uint128,
}

impl PoolsResponse {
    /// What the contract's balance must be.
    pub fn held(&self) -> Uint128 {
        [self.escrow, self.pending, self.checks, self.refunds, self.reserve, self.stakes, self.claimable]
            .into_iter()
            .fold(Uint128::zero(), |sum, pool| sum.saturating_add(pool))
    }
}

#[cw_serde]
pub struct ClaimableResponse {
    pub amount: Uint128,
}
