//! Governance parameters, with the rules that they must keep.

use cosmwasm_schema::cw_schema::{DefinitionReference, SchemaVisitor, Schemaifier};
use cosmwasm_schema::cw_serde;
use cosmwasm_schema::schemars::JsonSchema;
use cosmwasm_std::{HexBinary, Uint128, Uint64};
use serde::{Deserialize, Serialize};

#[macro_use]
mod patch;

pub use patch::{Change, ParamsPatch};

/// One million: the denominator of every `_ppm`.
pub const PPM: u32 = 1_000_000;
/// Nodes that may serve one model: a stake table is one item, read whole at each draw.
pub const MAX_NODES_PER_MODEL: usize = 512;
/// A year: no stake is held for longer than that after its node asked for it.
const MAX_UNBONDING_SECONDS: u32 = 31_536_000;
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

/// Takes a field, its value, whether it keeps the rule, and the rule.
type Rule<'a> = &'a mut dyn FnMut(&str, &dyn ToString, bool, &str);

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

    /// Every bound and cross-field rule.
    ///
    /// # Errors
    /// All broken rules, in the order of the fields.
    pub fn check(&self) -> Result<(), Vec<ParamError>> {
        let mut broken = Vec::new();
        let mut rule = |field: &str, value: &dyn ToString, holds: bool, rule: &str| {
            if !holds {
                broken.push(ParamError { field: field.into(), value: value.to_string(), rule: rule.into() });
            }
        };
        let (clock, beacon, jury) = (&self.clock, &self.beacon, &self.jury);
        rule("denom", &self.denom, !self.denom.is_empty(), "a denomination is needed");
        rule("clock.window_seconds", &clock.window_seconds, clock.window_seconds > 0, "above 0");
        rule("clock.windows_per_epoch", &clock.windows_per_epoch, clock.windows_per_epoch > 0, "above 0");
        rule("beacon.public_key", &beacon.public_key, beacon.public_key.len() == 96, "96 bytes");
        rule(
            "beacon.period_seconds",
            &beacon.period_seconds,
            (1..=clock.window_seconds).contains(&beacon.period_seconds),
            "between 1 and clock.window_seconds: each window has a round of its own",
        );
        rule(
            "beacon.delay_seconds",
            &beacon.delay_seconds,
            beacon.delay_seconds < clock.window_seconds,
            "shorter than a window",
        );
        rule("jury.seats", &jury.seats, (1..=21).contains(&jury.seats), "between 1 and 21");
        rule(
            "jury.quorum",
            &jury.quorum,
            (1..=jury.seats).contains(&jury.quorum),
            "between 1 and jury.seats",
        );
        rule(
            "jury.second_seats",
            &jury.second_seats,
            (jury.seats..=63).contains(&jury.second_seats),
            "between jury.seats and 63",
        );
        rule(
            "jury.min_others_to_commit",
            &jury.min_others_to_commit,
            jury.min_others_to_commit >= jury.seats,
            "at least jury.seats",
        );
        rule(
            "jury.min_others_to_slash",
            &jury.min_others_to_slash,
            jury.min_others_to_slash >= jury.seats,
            "at least jury.seats",
        );
        rule(
            "jury.max_samples_per_window",
            &jury.max_samples_per_window,
            (1..=65_536).contains(&jury.max_samples_per_window),
            "between 1 and 65536",
        );
        self.check_evidence(&mut rule);
        self.check_shares(&mut rule);
        self.check_fraud(&mut rule);
        self.check_limits(&mut rule);
        if broken.is_empty() {
            Ok(())
        } else {
            Err(broken)
        }
    }

    fn check_evidence(&self, rule: Rule<'_>) {
        let (evidence, jury) = (&self.evidence, &self.jury);
        let full = evidence.full_weight_tokens;
        rule("evidence.full_weight_tokens", &full, (1..=1 << 20).contains(&full), "between 1 and 2^20");
        let miss = jury.honest_miss_ppm;
        rule(
            "jury.honest_miss_ppm",
            &miss,
            (1..=PPM / 5).contains(&miss),
            "between 1 and a fifth of a million",
        );
        let odds = jury.false_bench_one_in;
        rule("jury.false_bench_one_in", &odds, odds >= 1_000, "at least 1000");
        let odds = evidence.false_forfeit_one_in.u64();
        rule("evidence.false_forfeit_one_in", &odds, odds >= 1_000, "at least 1000");
        let product = u128::from(odds).saturating_mul(u128::from(evidence.audits.u64())).saturating_mul(3);
        let holds = evidence.audits.u64() > 0 && u64::try_from(product).is_ok();
        rule("evidence.audits", &evidence.audits, holds, "above 0, and 3 · audits · one_in below 2^64");
    }

    fn check_shares(&self, rule: Rule<'_>) {
        let (reputation, fees) = (&self.reputation, &self.fees);
        let shares = [
            ("reputation.step_ppm", reputation.step_ppm),
            ("reputation.base_rate_ppm", reputation.base_rate_ppm),
            ("reputation.min_conclusive_ppm", reputation.min_conclusive_ppm),
            ("fees.verdict_ppm", fees.verdict_ppm),
            ("fees.slash_ppm", fees.slash_ppm),
            ("fees.split_ppm", fees.split_ppm),
        ];
        for (field, share) in shares {
            rule(field, &share, (1..=PPM).contains(&share), "between 1 and a million");
        }
        rule("fees.reserve_ppm", &fees.reserve_ppm, fees.reserve_ppm <= PPM / 2, "at most half a million");
        rule("fees.min_stake_fees", &fees.min_stake_fees, fees.min_stake_fees > 0, "above 0");
        let unrevealed = fees.unrevealed_verdicts;
        rule("fees.unrevealed_verdicts", &unrevealed, unrevealed <= 100, "at most 100");
        rule("reputation.min_checked", &reputation.min_checked, reputation.min_checked > 0, "above 0");
    }

    fn check_fraud(&self, rule: Rule<'_>) {
        let (fraud, clock) = (&self.fraud, &self.clock);
        let epoch = u64::from(clock.window_seconds).saturating_mul(u64::from(clock.windows_per_epoch));
        rule(
            "fraud.window_seconds",
            &fraud.window_seconds,
            u64::from(fraud.window_seconds) >= epoch.saturating_mul(2),
            "at least two epochs",
        );
        rule("fraud.bounty_ppm", &fraud.bounty_ppm, fraud.bounty_ppm <= MAX_BOUNTY_PPM, "at most 50000");
    }

    fn check_limits(&self, rule: Rule<'_>) {
        let limits = &self.limits;
        let bounded = [
            ("limits.session_epochs", limits.session_epochs, 1_000),
            ("limits.close_delay_epochs", limits.close_delay_epochs, 100),
            ("limits.kept_epochs", limits.kept_epochs, 1_000),
            ("limits.unbonding_seconds", limits.unbonding_seconds, MAX_UNBONDING_SECONDS),
            ("limits.claims_per_batch", limits.claims_per_batch, 200),
            ("limits.inferences_per_batch", limits.inferences_per_batch, 65_536),
            ("limits.max_prompt", limits.max_prompt, 1 << 20),
            ("limits.max_new", limits.max_new, 1 << 20),
            ("limits.artifact_bytes_per_token", limits.artifact_bytes_per_token, 4_096),
            ("limits.draw_page", limits.draw_page, 200),
            ("limits.verdict_page", limits.verdict_page, 200),
            ("limits.settle_page", limits.settle_page, 1_000),
        ];
        for (field, value, most) in bounded {
            rule(field, &value, (1..=most).contains(&value), &format!("between 1 and {most}"));
        }
        let unbonding = u64::from(limits.unbonding_seconds);
        let two_epochs = self.clock.epoch_seconds().saturating_mul(2);
        // What is unbonded in one epoch answers for that epoch's work, which is judged in the next.
        rule("limits.unbonding_seconds", &unbonding, unbonding > two_epochs, "more than two epochs");
    }
}
