//! A cheat beside its honest twin: the same demand, the same start, other conduct.

use serde::Serialize;

use super::bench::{Bench, HonestJury, Hostility};
use super::career::{Career, Court, Ledger};
use super::chance::Chance;
use super::conduct::Conduct;
use super::interval::{Rate, Spread};
use super::standing::Standing;
use super::terms::Terms;

/// Length, number and beginning of the careers that are compared.
#[derive(Clone, Copy, Debug)]
pub struct Trials {
    pub start: Standing,
    pub epochs: u32,
    pub runs: u32,
    pub seed: u64,
}

/// What cheating came to; amounts in units of the denomination, over all epochs of a career.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Contest {
    pub epochs: u32,
    /// Profit above the honest twin's.
    pub gain: Spread,
    /// Mean profit of the honest twin.
    pub honest_profit: f64,
    /// Careers that ended above the honest twin's.
    pub ahead: Rate,
    /// Careers with a forfeit.
    pub condemned: Rate,
    /// The epochs before the first forfeit, of the careers that had one.
    pub first_forfeit: Option<Spread>,
    pub forfeits_per_career: f64,
    pub identities_per_career: f64,
    /// Samples of which level 1 came to no end.
    pub contested: Rate,
}

/// Lives the careers of a cheat and of its twin `runs` times. The juries of the cheat are drawn from the bench, if there is one, on which it is
/// node 0 and hostile jurors protect it; seats are added to `seats`, node by node. The cheat's ledgers come with it.
pub fn contest(
    terms: &Terms,
    (conduct, twin): (Conduct, Conduct),
    trials: &Trials,
    bench: Option<&Bench>,
    seats: &mut [u64],
) -> (Contest, Vec<Ledger>) {
    let jury = HonestJury::new(&terms.jury);
    let name = format!("contest {conduct:?}");
    let (mut cheats, mut twins): (Vec<Ledger>, Vec<Ledger>) = (Vec::new(), Vec::new());
    for run in 0..trials.runs {
        let chance = Chance::new(trials.seed, &name, u64::from(run));
        let court = match bench {
            None => Court::Honest(jury),
            Some(bench) => {
                Court::Drawn { bench, executor: 0, hostility: Hostility::Protects, seats: &mut *seats }
            }
        };
        cheats.push(Career::new(terms, conduct, trials.start, court, chance.clone()).run(trials.epochs));
        twins.push(Career::new(terms, twin, trials.start, Court::Honest(jury), chance).run(trials.epochs));
    }
    (compare(trials.epochs, &cheats, &twins), cheats)
}

fn compare(epochs: u32, cheats: &[Ledger], twins: &[Ledger]) -> Contest {
    let runs = cheats.len() as u64;
    let mean = |of: fn(&Ledger) -> f64, ledgers: &[Ledger]| ledgers.iter().map(of).sum::<f64>() / runs as f64;
    let gains: Vec<i64> = cheats.iter().zip(twins).map(|(cheat, twin)| cheat.profit - twin.profit).collect();
    let count = |of: fn(&Ledger) -> bool| cheats.iter().filter(|ledger| of(ledger)).count() as u64;
    let firsts: Vec<i64> = cheats.iter().filter_map(|ledger| ledger.first_forfeit.map(i64::from)).collect();
    Contest {
        epochs,
        ahead: Rate::new(gains.iter().filter(|gain| **gain > 0).count() as u64, runs),
        gain: Spread::of(gains),
        honest_profit: mean(|ledger| ledger.profit as f64, twins),
        condemned: Rate::new(count(|ledger| ledger.forfeits > 0), runs),
        first_forfeit: (!firsts.is_empty()).then(|| Spread::of(firsts)),
        forfeits_per_career: mean(|ledger| f64::from(ledger.forfeits), cheats),
        identities_per_career: mean(|ledger| f64::from(ledger.identities), cheats),
        contested: Rate::new(
            cheats.iter().map(|ledger| ledger.contested).sum(),
            cheats.iter().map(|ledger| ledger.samples).sum(),
        ),
    }
}
