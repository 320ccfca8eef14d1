//! The rules that every set of parameters keeps: at instantiation, at each change, and at a migration.

use super::{ParamError, Params, MAX_BOUNTY_PPM, PPM};

/// A year: no stake is held for longer than that after its node asked for it.
const MAX_UNBONDING_SECONDS: u32 = 31_536_000;

/// Takes a field, its value, whether it keeps the rule, and the rule.
type Rule<'a> = &'a mut dyn FnMut(&str, &dyn ToString, bool, &str);

impl Params {
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
        let (kept, accused) = (limits.kept_epochs, u64::from(self.fraud.window_seconds));
        let kept_seconds = self.clock.epoch_seconds().saturating_mul(u64::from(kept));
        // A batch may be of its epoch's last second; with a clock that stands still another rule is broken.
        rule(
            "limits.kept_epochs",
            &kept,
            kept_seconds > accused || kept_seconds == 0,
            "longer than fraud.window_seconds: what can be accused is kept",
        );
    }
}
