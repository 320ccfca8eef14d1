//! What a hostile share of the stake does to juries: exactly, and with the contract's own draw and verdicts.

use std::collections::BTreeMap;

use assay_common::verdict::{FinalOutcome, Outcome};
use serde::Serialize;

use super::bench::{judged, Bench, Hostility, FRAUD};
use super::chance::Chance;
use super::interval::Rate;
use super::terms::JuryTerms;

/// How seats fall on hostile nodes.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Pool {
    /// A hostile share of the stake in so many identities that every seat is an independent draw: the binomial.
    Split { hostile: f64 },
    /// So many nodes of each side with equal stakes within a side: a seated node cannot be seated again.
    Nodes { hostile: u32, hostile_stake: u64, honest: u32, honest_stake: u64 },
}

impl Pool {
    /// Chance that the next seat is hostile after `hostile` hostile and `honest` honest ones; `None` when nobody is left.
    fn next(&self, hostile: usize, honest: usize) -> Option<f64> {
        match *self {
            Pool::Split { hostile } => Some(hostile),
            Pool::Nodes { hostile: many, hostile_stake, honest: few, honest_stake } => {
                let left = |nodes: u32, seated: usize, stake: u64| {
                    f64::from(nodes.saturating_sub(seated as u32)) * stake as f64
                };
                let (against, with) = (left(many, hostile, hostile_stake), left(few, honest, honest_stake));
                (against + with > 0.0).then(|| against / (against + with))
            }
        }
    }

    /// The nodes themselves; a split pool as equal stakes, of which `identities` is the number.
    pub fn bench(&self, identities: u32) -> Bench {
        let nodes: Vec<(u128, bool)> = match *self {
            Pool::Split { hostile } => {
                let bad = (hostile * f64::from(identities)).round() as u32;
                (0..identities).map(|place| (1, place < bad)).collect()
            }
            Pool::Nodes { hostile, hostile_stake, honest, honest_stake } => {
                let bad = (0..hostile).map(|_| (u128::from(hostile_stake), true));
                bad.chain((0..honest).map(|_| (u128::from(honest_stake), false))).collect()
            }
        };
        Bench::new(&nodes)
    }
}

/// Chances of the three ends that matter.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Exact {
    /// A fraud ends Valid, all hostile seats protecting it.
    pub passes: f64,
    /// An honest sample ends as failed, all hostile seats accusing it.
    pub framed: f64,
    /// A fraud ends as failed, all hostile seats protecting it.
    pub confirmed: f64,
}

/// The same, counted.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Counted {
    pub passes: Rate,
    pub framed: Rate,
    pub confirmed: Rate,
}

impl Counted {
    /// Whether every exact chance lies in the interval of its count.
    pub fn agrees(&self, exact: &Exact) -> bool {
        self.passes.contains(exact.passes)
            && self.framed.contains(exact.framed)
            && self.confirmed.contains(exact.confirmed)
    }
}

/// Sums over how many seats of each level are hostile, each case judged by the contract's rules.
pub fn exact(pool: &Pool, terms: &JuryTerms) -> Exact {
    let (first, all) = (terms.seats as usize, terms.full_seats as usize);
    let mut sum = Exact::default();
    for (sitting, chance) in seatings(pool, &[((0, 0), 1.0)], first) {
        for (full, chance) in seatings(pool, &[(sitting, chance)], all - first) {
            let ends = |hostile: Outcome, honest: Outcome| {
                let votes = |(bad, good): (usize, usize)| [vec![hostile; bad], vec![honest; good]].concat();
                judged(&votes(sitting), &votes(full), terms)
            };
            let (fraud, honest) = (ends(Outcome::Valid, FRAUD), ends(FRAUD, Outcome::Valid));
            sum.passes += if fraud == FinalOutcome::Valid { chance } else { 0.0 };
            sum.confirmed += if failed(&fraud) { chance } else { 0.0 };
            sum.framed += if failed(&honest) { chance } else { 0.0 };
        }
    }
    sum
}

/// Draws `samples` juries as the contract does, and counts the ends.
pub fn count(pool: &Pool, bench: &Bench, terms: &JuryTerms, samples: u64, seed: u64) -> Counted {
    let mut chance = Chance::new(seed, &format!("capture {pool:?}"), 0);
    let (mut passes, mut framed, mut confirmed) = (0, 0, 0);
    for _ in 0..samples {
        let sitting = bench.level_one(&chance.draw_seed(), None, terms);
        let new = bench.level_two(&chance.draw_seed(), &sitting, None, terms);
        let ends = |bad: bool, hostility: Hostility| {
            let votes = |seats: &[usize]| -> Vec<Outcome> {
                seats.iter().map(|place| bench.verdict(*place, bad, hostility)).collect()
            };
            let first = votes(&sitting);
            judged(&first, &[first.clone(), votes(&new)].concat(), terms)
        };
        let fraud = ends(true, Hostility::Protects);
        passes += u64::from(fraud == FinalOutcome::Valid);
        confirmed += u64::from(failed(&fraud));
        framed += u64::from(failed(&ends(false, Hostility::Frames)));
    }
    let rate = |hits| Rate::new(hits, samples);
    Counted { passes: rate(passes), framed: rate(framed), confirmed: rate(confirmed) }
}

fn failed(outcome: &FinalOutcome) -> bool {
    matches!(outcome, FinalOutcome::Fail { .. })
}

/// Every (hostile, honest) count after `seats` more seats, with its chance.
fn seatings(pool: &Pool, from: &[((usize, usize), f64)], seats: usize) -> BTreeMap<(usize, usize), f64> {
    let mut chances: BTreeMap<_, _> = from.iter().copied().collect();
    for _ in 0..seats {
        let mut after = BTreeMap::new();
        for ((hostile, honest), chance) in chances {
            match pool.next(hostile, honest) {
                None => *after.entry((hostile, honest)).or_insert(0.0) += chance,
                Some(bad) => {
                    *after.entry((hostile + 1, honest)).or_insert(0.0) += chance * bad;
                    *after.entry((hostile, honest + 1)).or_insert(0.0) += chance * (1.0 - bad);
                }
            }
        }
        chances = after;
    }
    chances
}
