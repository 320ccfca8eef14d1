//! What cheating on a share of all inferences earns until it is condemned, and what it loses then.

use assay_common::params::PPM;
use assay_common::reputation::Reputation;
use serde::Serialize;

use super::bench::HonestJury;
use super::chance::Chance;
use super::interval::Median;
use super::standing::{Rules, Size, Standing};
use super::terms::{share, Terms};

/// Audits after which a cheat is taken to escape for ever.
const MOST_AUDITS: i64 = 1_000_000;

/// A cheat at full reputation and the least rate.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Gain {
    /// Share of inferences that it does not run as promised.
    pub share: f64,
    /// Audits from empty evidence to the bound.
    pub audits: Median,
    /// Inferences that so many audits take.
    pub inferences: f64,
    /// What they save it.
    pub gain: f64,
    /// An honest executor's profit on them.
    pub honest_profit: f64,
}

impl Gain {
    /// Condemns `careers` cheats, each by the contract's evidence.
    pub fn of(terms: &Terms, share: f64, careers: u64, seed: u64) -> Self {
        let rules = Rules::new(terms);
        let audits = (0..careers).map(|number| audits(terms, &rules, share, (seed, number))).collect();
        Self::until(terms, share, Median::of(audits))
    }

    /// What a cheat has that is condemned after so many audits.
    pub fn until(terms: &Terms, share: f64, audits: Median) -> Self {
        let full = Reputation(PPM);
        let inferences = audits.value as f64 / terms.rate(full);
        let saved = (terms.prices.generation - terms.prices.cheat_generation) as f64;
        Self {
            share,
            audits,
            inferences,
            gain: inferences * share * saved,
            honest_profit: terms.honest_profit(inferences, full),
        }
    }
}

fn audits(terms: &Terms, rules: &Rules, share: f64, (seed, number): (u64, u64)) -> i64 {
    let mut chance = Chance::new(seed, &format!("gain {share} {}", terms.evidence.honest_fail_ppm), number);
    let jury = HonestJury::new(&terms.jury);
    let mut standing = Standing::default();
    let mut audits = 0;
    while !standing.forfeits(rules) && audits < MOST_AUDITS {
        let fraud = chance.happens(share);
        let bad = chance.happens(if fraud { terms.judge.detection } else { terms.judge.honest_fail });
        standing = standing.after(rules, jury.outcome(bad), Size::Full);
        audits += 1;
    }
    audits
}

/// What a forfeit costs an executor of full reputation: its slash, its epoch's pay, and the dearer checks until its
/// reputation is full again, taking a step in every epoch.
pub fn loss(terms: &Terms, volume: u32) -> f64 {
    let prices = &terms.prices;
    let full = terms.rate(Reputation(PPM)) * terms.check_cost() as f64;
    let pay = (prices.fee - share(prices.fee, prices.reserve_ppm)) as f64 - full;
    let mut reputation = Reputation(0);
    let mut checks = 0.0;
    while reputation.0 < PPM {
        checks += terms.rate(reputation) * terms.check_cost() as f64 - full;
        reputation.0 = (reputation.0 + terms.reputation.step_ppm).min(PPM);
    }
    prices.slash() as f64 + f64::from(volume) * (pay + checks)
}

/// The share of failing audits at which the most patient of the alternatives neither gains nor loses evidence.
///
/// With q its share and p₀ the honest one: ln((1−p₀)/(1−q)) / (ln(q/p₀) + ln((1−p₀)/(1−q))).
pub fn tolerated(terms: &Terms) -> f64 {
    let honest = f64::from(terms.evidence.honest_fail_ppm) / f64::from(PPM);
    let shares = terms.evidence.alternatives_ppm.map(|q| {
        let cheat = f64::from(q) / f64::from(PPM);
        let (fail, pass) = ((cheat / honest).ln(), ((1.0 - honest) / (1.0 - cheat)).ln());
        pass / (fail + pass)
    });
    shares.into_iter().fold(1.0, f64::min)
}
