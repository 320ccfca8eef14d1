//! The parameters and prices that a simulation runs under: the main net's, with a worked example of fees.

use assay_common::params::{EvidenceParams, ReputationParams, ALTERNATIVES, PPM};
use assay_common::reputation::Reputation;
use cosmwasm_std::Uint64;
use serde::Serialize;

/// Seats, quorum and limits of the juries.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct JuryTerms {
    /// Seats of level 1, and of both levels together.
    pub seats: u32,
    pub full_seats: u32,
    /// Verdicts that a unanimous level 1 needs.
    pub quorum: u32,
    /// Samples that one executor may cause in one window, and the windows of an epoch.
    pub samples_per_window: u32,
    pub windows_per_epoch: u32,
    /// Nodes that may serve one model.
    pub most_nodes: u32,
}

/// What things cost; amounts are units of the denomination for one inference unless said otherwise.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Prices {
    pub fee: i64,
    /// What an honest answer costs its executor, and what a cheat's does.
    pub generation: i64,
    pub cheat_generation: i64,
    /// What recomputing an answer costs a juror.
    pub recompute: i64,
    /// A node's stake.
    pub stake: i64,
    /// Pay of one verdict, of a million of the fee.
    pub verdict_ppm: i64,
    /// The reserve's share of the fees, and a forfeit's of the stake, of a million.
    pub reserve_ppm: i64,
    pub slash_ppm: i64,
    /// Most of an epoch's fees that its split juries may cost the executor, of a million.
    pub split_cap_ppm: i64,
}

impl Prices {
    /// Pay of one verdict, rounded down.
    pub fn verdict(&self) -> i64 {
        share(self.fee, self.verdict_ppm)
    }

    /// What a forfeit takes of the stake, rounded down.
    pub fn slash(&self) -> i64 {
        share(self.stake, self.slash_ppm)
    }
}

/// So many millionths of an amount, rounded down.
pub fn share(amount: i64, ppm: i64) -> i64 {
    i64::try_from(i128::from(amount) * i128::from(ppm) / i128::from(PPM)).unwrap_or(i64::MAX)
}

/// How often honest jurors err, as shares; every honest juror of a sample says the same of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct JudgeTerms {
    /// Of honest artifacts, how many are called invalid.
    pub honest_fail: f64,
    /// Of frauds, how many are called invalid.
    pub detection: f64,
}

/// The sequential test that forfeits; shares are of a million.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EvidenceTerms {
    /// Share of audits that an honest executor may fail (p₀), and the shares that a cheat is tested for.
    pub honest_fail_ppm: u32,
    pub alternatives_ppm: [u32; ALTERNATIVES],
    /// Of how many honest executors one may be forfeited, over so many audits.
    pub false_forfeit_one_in: u64,
    pub audits: u64,
    /// Tokens from which on an answer counts in full.
    pub full_weight_tokens: u32,
}

impl EvidenceTerms {
    /// As the contract has them; the shares are a model's, not the network's.
    pub fn params(&self) -> EvidenceParams {
        EvidenceParams {
            audits: Uint64::new(self.audits),
            false_forfeit_one_in: Uint64::new(self.false_forfeit_one_in),
            full_weight_tokens: self.full_weight_tokens,
        }
    }
}

/// Everything that a simulation is told about the network.
#[derive(Clone, Debug, Serialize)]
pub struct Terms {
    pub jury: JuryTerms,
    pub judge: JudgeTerms,
    pub evidence: EvidenceTerms,
    pub reputation: ReputationParams,
    pub prices: Prices,
}

impl Default for Terms {
    /// The main net's parameters; fees of 1,000 units, of which generation costs 600 and a cheat's model 300.
    fn default() -> Self {
        Self {
            jury: JuryTerms {
                seats: 3,
                full_seats: 21,
                quorum: 2,
                samples_per_window: 200,
                windows_per_epoch: 24,
                most_nodes: 512,
            },
            judge: JudgeTerms { honest_fail: 0.0, detection: 1.0 },
            evidence: EvidenceTerms {
                honest_fail_ppm: 10_000,
                alternatives_ppm: [30_000, 100_000, 400_000],
                false_forfeit_one_in: 1_000_000_000,
                audits: 10_000,
                full_weight_tokens: 512,
            },
            reputation: ReputationParams {
                step_ppm: 33_334,
                min_checked: 32,
                min_conclusive_ppm: 800_000,
                base_rate_ppm: 10_000,
            },
            prices: Prices {
                fee: 1_000,
                generation: 600,
                cheat_generation: 300,
                recompute: 53,
                stake: 10_000_000,
                verdict_ppm: 70_000,
                reserve_ppm: 10_000,
                slash_ppm: 100_000,
                split_cap_ppm: 10_000,
            },
        }
    }
}

impl Terms {
    /// The same with an honest failure share of 0.1 %, and alternatives that reach down to 0.5 %.
    pub fn with_measured_failures(mut self) -> Self {
        self.evidence.honest_fail_ppm = 1_000;
        self.evidence.alternatives_ppm = [5_000, 30_000, 400_000];
        self
    }

    /// What checking one inference costs its executor at level 1.
    pub fn check_cost(&self) -> i64 {
        i64::from(self.jury.seats) * self.prices.verdict()
    }

    /// An honest executor's profit on `inferences` at the sampling rate of this reputation, not rounded to batches.
    pub fn honest_profit(&self, inferences: f64, reputation: Reputation) -> f64 {
        let prices = &self.prices;
        let paid = prices.fee - share(prices.fee, prices.reserve_ppm) - prices.generation;
        inferences * (paid as f64 - self.rate(reputation) * self.check_cost() as f64)
    }

    /// The sampling rate of a reputation, as a share of inferences.
    pub fn rate(&self, reputation: Reputation) -> f64 {
        reputation.rate_q32(&self.reputation) as f64 / assay_common::draw::RATE_ONE as f64
    }
}
