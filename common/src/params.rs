//! Governance parameters, with the rules that they must keep.

use cosmwasm_schema::cw_schema::{DefinitionReference, SchemaVisitor, Schemaifier};
use cosmwasm_schema::cw_serde;
use cosmwasm_schema::schemars::JsonSchema;
use cosmwasm_std::{HexBinary, Uint128, Uint64};
use serde::{Deserialize, Serialize};

mod check;
#[macro_use]
mod patch;

pub use patch::{Change, ParamsPatch};

/// One million: the denominator of every `_ppm`.
pub const PPM: u32 = 1_000_000;
/// Nodes that may serve one model: a stake table is one item, read whole at each draw.
pub const MAX_NODES_PER_MODEL: usize = 512;
/// The alternatives that the evidence tests at once.
pub const ALTERNATIVES: usize = 3;
/// The most that an accuser may get of a slash, of a million: whoever accuses himself through a friend must lose nearly all.
pub const MAX_BOUNTY_PPM: u32 = 50_000;

/// One number for each alternative that the evidence tests; an array in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "cosmwasm_schema::schemars")]
pub struct PerAlternative<T>(pub [T; ALTERNATIVES]);

impl<T: Schemaifier> Schemaifier for PerAlternative<T> {
    fn visit_schema(visitor: &mut SchemaVisitor) -> DefinitionReference {
        Vec::<T>::visit_schema(visitor)
    }
}

groups! {
    /// When windows and epochs begin.
    #[derive(Copy)]
    pub struct ClockParams, ClockPatch at "clock" {
        /// Start of window 0, seconds since 1970.
        pub start: u64,
        pub window_seconds: u32,
        pub windows_per_epoch: u32,
    }

    /// The randomness beacon: drand quicknet, or a chain's own in the same scheme.
    pub struct BeaconParams, BeaconPatch at "beacon" {
        /// Compressed G2 point, 96 bytes.
        pub public_key: HexBinary,
        /// Time of round 1, seconds since 1970.
        pub genesis: u64,
        pub period_seconds: u32,
        /// Seconds from a window's end to the earliest round that may draw for it.
        pub delay_seconds: u32,
    }

    #[derive(Copy)]
    pub struct JuryParams, JuryPatch at "jury" {
        /// Seats of a level-1 jury (m).
        pub seats: u32,
        /// Verdicts that a unanimous level 1 needs.
        pub quorum: u32,
        /// Eligible nodes besides the executor below which a batch is rejected.
        pub min_others_to_commit: u32,
        /// Eligible nodes besides the executor below which no jury takes stake.
        pub min_others_to_slash: u32,
        /// Samples that one executor may cause in one window.
        pub max_samples_per_window: u32,
        /// Seats of both levels together (M), where so many are eligible.
        pub second_seats: u32,
        /// Share of its seats that an honest juror may miss, of a million.
        pub honest_miss_ppm: u32,
        /// One in how many such jurors may be benched over 10,000 seats.
        pub false_bench_one_in: u32,
    }

    /// The sequential test that forfeits (see [`crate::evidence`]).
    #[derive(Copy)]
    pub struct EvidenceParams, EvidencePatch at "evidence" {
        /// Audits that the error below is promised over.
        pub audits: Uint64,
        /// One in how many honest executors may be forfeited over that many audits.
        pub false_forfeit_one_in: Uint64,
        /// Tokens from which on an answer counts in full.
        pub full_weight_tokens: u32,
    }

    #[derive(Copy)]
    pub struct ReputationParams, ReputationPatch at "reputation" {
        /// Reputation earned by a clean epoch, of a million.
        pub step_ppm: u32,
        /// Checked inferences below which an epoch earns nothing.
        pub min_checked: u32,
        /// Share of the checked that must be conclusive, of a million.
        pub min_conclusive_ppm: u32,
        /// Sampling rate at full reputation, of a million.
        pub base_rate_ppm: u32,
    }

    #[derive(Copy)]
    pub struct FeeParams, FeePatch at "fees" {
        /// Pay of one verdict, in millionths of the model's reference fee.
        pub verdict_ppm: u32,
        /// Share of the fees that goes to the reserve, of a million.
        pub reserve_ppm: u32,
        /// Least stake of a node, in reference fees of its dearest model.
        pub min_stake_fees: u32,
        /// Share of the stake that a forfeit takes, of a million.
        pub slash_ppm: u32,
        /// The most that split juries may cost an executor, of its epoch's fees, in millionths.
        pub split_ppm: u32,
        /// What a commitment without a reveal costs a juror for each seat, in verdicts' pay.
        pub unrevealed_verdicts: u32,
    }

    /// Proofs of fraud that anyone can bring (see [`crate::proof`]).
    #[derive(Copy)]
    pub struct FraudParams, FraudPatch at "fraud" {
        /// Time from the end of a batch's window in which it can be accused.
        pub window_seconds: u32,
        /// Share of the slash that goes to the accuser, of a million.
        pub bounty_ppm: u32,
    }

    #[derive(Copy)]
    pub struct LimitParams, LimitPatch at "limits" {
        /// Epochs that a session may last.
        pub session_epochs: u32,
        /// Epochs after a session's closing or expiry in which its executor still claims.
        pub close_delay_epochs: u32,
        /// Epochs after an epoch in which its batches and samples stay readable, once it is settled.
        pub kept_epochs: u32,
        /// Seconds from an Unbond to the earliest Withdraw.
        pub unbonding_seconds: u32,
        pub claims_per_batch: u32,
        pub inferences_per_batch: u32,
        /// Tokens that a session may allow for one prompt, and for one answer.
        pub max_prompt: u32,
        pub max_new: u32,
        /// Bytes of an artifact: so many for each token, and a fixed part.
        pub artifact_bytes_per_token: u32,
        pub artifact_bytes_fixed: u32,
        /// Items that one Draw or Tally, one verdict page, and one Settle may handle.
        pub draw_page: u32,
        pub verdict_page: u32,
        pub settle_page: u32,
    }
}

impl LimitParams {
    /// The most bytes that the artifact of `tokens` tokens, prompt and answer together, may have.
    pub fn artifact_bytes(&self, tokens: u32) -> u64 {
        u64::from(self.artifact_bytes_per_token)
            .saturating_mul(u64::from(tokens))
            .saturating_add(u64::from(self.artifact_bytes_fixed))
    }
}

/// Everything that governance sets.
#[cw_serde]
#[derive(Eq)]
pub struct Params {
    /// The one denomination of fees, stakes and rewards.
    pub denom: String,
    pub clock: ClockParams,
    pub beacon: BeaconParams,
    pub jury: JuryParams,
    pub evidence: EvidenceParams,
    pub reputation: ReputationParams,
    pub fees: FeeParams,
    pub fraud: FraudParams,
    pub limits: LimitParams,
}

/// A rule that a set of parameters breaks.
#[cw_serde]
#[derive(Eq, thiserror::Error)]
#[error("{field} is {value}: {rule}")]
pub struct ParamError {
    pub field: String,
    pub value: String,
    pub rule: String,
}

impl Params {
    /// The numbers of a network on one machine, where reputation grows in five epochs instead of thirty.
    pub fn local(denom: &str, clock: ClockParams, beacon: BeaconParams) -> Self {
        Self {
            denom: denom.into(),
            clock,
            beacon,
            jury: JuryParams {
                seats: 3,
                quorum: 2,
                min_others_to_commit: 3,
                min_others_to_slash: 3,
                max_samples_per_window: 200,
                second_seats: 21,
                honest_miss_ppm: 100_000,
                false_bench_one_in: 1_000_000,
            },
            evidence: EvidenceParams {
                audits: Uint64::new(10_000),
                false_forfeit_one_in: Uint64::new(1_000_000_000),
                full_weight_tokens: 32,
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
                split_ppm: 10_000,
                unrevealed_verdicts: 3,
            },
            fraud: FraudParams { window_seconds: 300, bounty_ppm: 50_000 },
            limits: LimitParams {
                session_epochs: 30,
                close_delay_epochs: 2,
                kept_epochs: 30,
                unbonding_seconds: 600,
                claims_per_batch: 50,
                inferences_per_batch: 65_536,
                max_prompt: 8_192,
                max_new: 4_096,
                artifact_bytes_per_token: 256,
                artifact_bytes_fixed: 64 * 1024,
                draw_page: 100,
                verdict_page: 50,
                settle_page: 200,
            },
        }
    }

    /// The pay of one verdict for a model with this reference fee, rounded down.
    pub fn verdict_fee(&self, reference_fee: Uint128) -> Uint128 {
        reference_fee.multiply_ratio(self.fees.verdict_ppm, PPM)
    }

    /// The least stake for a model with this reference fee.
    pub fn min_stake(&self, reference_fee: Uint128) -> Uint128 {
        reference_fee.saturating_mul(Uint128::from(self.fees.min_stake_fees))
    }
}
