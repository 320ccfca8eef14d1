//! Juries drawn and counted by the contract's own functions, with some of the stake hostile.

use assay_common::draw;
use assay_common::ids::DrawSeed;
use assay_common::verdict::{level_one, level_two, FinalOutcome, InvalidReason, LevelOne, Outcome};

use super::chance::Chance;
use super::terms::JuryTerms;

/// What an honest juror says of an artifact that is not the model's.
pub const FRAUD: Outcome = Outcome::Invalid { reason: InvalidReason::Distance };

/// The nodes that sit on juries: a stake table as the contract keeps it, and who of them is hostile.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Cumulative stakes.
    table: Vec<u128>,
    hostile: Vec<bool>,
}

/// What hostile jurors say, whatever the artifact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostility {
    /// Valid, for an accomplice.
    Protects,
    /// Invalid, against everybody else.
    Frames,
}

/// One sample, judged.
#[derive(Clone, Debug)]
pub struct Sitting {
    pub outcome: FinalOutcome,
    /// Places in the table, level 1 first.
    pub seats: Vec<usize>,
    pub contested: bool,
}

impl Bench {
    /// A bench of `(stake, hostile)` nodes.
    pub fn new(nodes: &[(u128, bool)]) -> Self {
        let table = nodes.iter().scan(0u128, |sum, (stake, _)| {
            *sum += stake;
            Some(*sum)
        });
        Self { table: table.collect(), hostile: nodes.iter().map(|(_, hostile)| *hostile).collect() }
    }

    /// The level-1 seats of a sample.
    pub fn level_one(&self, seed: &DrawSeed, executor: Option<usize>, terms: &JuryTerms) -> Vec<usize> {
        draw::jury(seed, 0, &self.table, executor.as_slice(), terms.seats)
    }

    /// The new seats, from another beacon, that make these up to the full jury as far as there are nodes.
    pub fn level_two(
        &self,
        seed: &DrawSeed,
        sitting: &[usize],
        executor: Option<usize>,
        terms: &JuryTerms,
    ) -> Vec<usize> {
        let excluded = [sitting, executor.as_slice()].concat();
        let missing = terms.full_seats.saturating_sub(u32::try_from(sitting.len()).unwrap_or(u32::MAX));
        draw::jury(seed, 0, &self.table, &excluded, missing)
    }

    /// What one seat says of an artifact that is or is not what honest jurors would pass.
    pub fn verdict(&self, place: usize, bad: bool, hostility: Hostility) -> Outcome {
        match (self.hostile[place], hostility, bad) {
            (true, Hostility::Protects, _) | (false, _, false) => Outcome::Valid,
            (true, Hostility::Frames, _) | (false, _, true) => FRAUD,
        }
    }

    /// A sample's whole path: level 1, and level 2 where that is contested.
    pub fn sit(
        &self,
        chance: &mut Chance,
        (executor, hostility): (usize, Hostility),
        bad: bool,
        terms: &JuryTerms,
    ) -> Sitting {
        let mut seats = self.level_one(&chance.draw_seed(), Some(executor), terms);
        let verdicts = |seats: &[usize]| -> Vec<Outcome> {
            seats.iter().map(|place| self.verdict(*place, bad, hostility)).collect()
        };
        if level_one(terms.quorum as usize, &verdicts(&seats)) == LevelOne::Valid {
            return Sitting { outcome: FinalOutcome::Valid, seats, contested: false };
        }
        let new = self.level_two(&chance.draw_seed(), &seats, Some(executor), terms);
        seats.extend(new);
        let outcome = level_two(seats.len(), &verdicts(&seats));
        Sitting { outcome, seats, contested: true }
    }
}

/// What juries without hostile seats end as.
#[derive(Clone, Copy, Debug)]
pub struct HonestJury {
    pass: FinalOutcome,
    fail: FinalOutcome,
}

impl HonestJury {
    pub fn new(terms: &JuryTerms) -> Self {
        let all = |verdict: Outcome| {
            judged(&vec![verdict; terms.seats as usize], &vec![verdict; terms.full_seats as usize], terms)
        };
        Self { pass: all(Outcome::Valid), fail: all(FRAUD) }
    }

    pub fn outcome(&self, bad: bool) -> FinalOutcome {
        if bad {
            self.fail
        } else {
            self.pass
        }
    }
}

/// What level 1's verdicts, and those of all seats where it is contested, amount to.
pub fn judged(first: &[Outcome], all: &[Outcome], terms: &JuryTerms) -> FinalOutcome {
    match level_one(terms.quorum as usize, first) {
        LevelOne::Valid => FinalOutcome::Valid,
        LevelOne::Contested => level_two(all.len(), all),
    }
}
