//! One executor from epoch to epoch: what it commits, what is drawn and judged, what it earns and loses.

use assay_common::draw::{sample_count, RATE_ONE};
use assay_common::msg::Tallies;
use assay_common::params::PPM;
use assay_common::verdict::FinalOutcome;
use serde::Serialize;

use super::bench::{Bench, HonestJury, Hostility};
use super::chance::Chance;
use super::conduct::{Attack, Conduct};
use super::standing::{Rules, Size, Standing};
use super::terms::{share, Terms};

/// Who judges an executor's samples.
pub enum Court<'a> {
    /// Jurors of whom none is hostile: who they are decides nothing, so nobody is drawn.
    Honest(HonestJury),
    /// Juries drawn from a bench on which the executor is a node; seats are counted by node.
    Drawn { bench: &'a Bench, executor: usize, hostility: Hostility, seats: &'a mut [u64] },
}

/// What a career came to; amounts in units of the denomination.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    /// Pay less generation, checks, slashes.
    pub profit: i64,
    /// Fees that requesters paid and did not get back.
    pub fees: i64,
    pub refunded: i64,
    pub slashed: i64,
    pub checks: i64,
    pub reserve: i64,
    pub inferences: u64,
    pub samples: u64,
    pub contested: u64,
    pub forfeits: u32,
    pub first_forfeit: Option<u32>,
    /// Nodes that it has been, one after the other.
    pub identities: u32,
}

/// Inferences by kind.
#[derive(Clone, Copy, Debug, Default)]
struct Work {
    honest: u32,
    frauds: u32,
    fillers: u32,
}

impl Work {
    fn count(&self) -> u32 {
        self.honest + self.frauds + self.fillers
    }
}

/// Inferences to be committed at a rate of their own.
#[derive(Clone, Copy, Debug)]
struct Load {
    work: Work,
    rate_q32: u64,
}

/// What the draws of an epoch came to.
#[derive(Default)]
struct Audited {
    closed: Tallies,
    samples: u32,
    splits: u32,
    contested: u32,
    forfeited: bool,
}

/// An executor on its way.
pub struct Career<'a> {
    terms: &'a Terms,
    rules: Rules,
    conduct: Conduct,
    court: Court<'a>,
    chance: Chance,
    standing: Standing,
    held: Vec<Load>,
    ledger: Ledger,
}

impl<'a> Career<'a> {
    pub fn new(
        terms: &'a Terms,
        conduct: Conduct,
        standing: Standing,
        court: Court<'a>,
        chance: Chance,
    ) -> Self {
        let ledger = Ledger { identities: 1, ..Ledger::default() };
        Self { terms, rules: Rules::new(terms), conduct, court, chance, standing, held: Vec::new(), ledger }
    }

    /// Lives through so many epochs.
    pub fn run(mut self, epochs: u32) -> Ledger {
        for epoch in 0..epochs {
            let (made, loads) = self.plan();
            let audited = self.audit(&loads);
            self.settle(epoch, &made, &loads, &audited);
        }
        self.ledger
    }

    /// What is answered in this epoch, and what is committed.
    fn plan(&mut self) -> (Work, Vec<Load>) {
        let rate_q32 = self.standing.rate_q32(&self.rules);
        let ripe = self.ripe(rate_q32);
        let cheats = self.cheats(ripe);
        let capacity = self.capacity(rate_q32);
        let volume = self.conduct.volume.min(capacity);
        let frauds =
            if cheats { self.rounded(self.conduct.share * f64::from(volume)).min(volume) } else { 0 };
        let fillers =
            match (cheats && self.conduct.attack != Attack::Held, self.conduct.self_dealing && !ripe) {
                (true, _) => self.conduct.fillers.saturating_mul(volume),
                (false, true) => self.to_be_checked(rate_q32).saturating_sub(volume),
                (false, false) => 0,
            };
        let work = Work { honest: volume - frauds, frauds, fillers: fillers.min(capacity - volume) };
        if self.conduct.attack == Attack::Held && !ripe && cheats {
            let fillers = self.to_be_checked(rate_q32);
            self.held.push(Load { work: Work { fillers: 0, ..work }, rate_q32 });
            return (work, vec![Load { work: Work { fillers, ..Work::default() }, rate_q32 }]);
        }
        let mut loads = std::mem::take(&mut self.held);
        for load in &mut loads {
            load.rate_q32 = if self.conduct.primed { rate_q32 } else { load.rate_q32.max(rate_q32) };
        }
        loads.push(Load { work, rate_q32 });
        (work, loads)
    }

    fn cheats(&self, ripe: bool) -> bool {
        let willing = self.ledger.forfeits == 0 || self.conduct.relapses;
        willing
            && match self.conduct.attack {
                Attack::Honest => false,
                Attack::Steady | Attack::Held => true,
                Attack::Sleeper | Attack::Quit => ripe,
                Attack::Throttle => ripe && self.standing.suspicion(&self.rules) < self.conduct.wary,
            }
    }

    /// Whether its reputation no longer rises: it is full, or too little is checked in an epoch.
    fn ripe(&self, rate_q32: u64) -> bool {
        let earns = self.conduct.self_dealing || self.conduct.attack == Attack::Held;
        let checked = sample_count(rate_q32, self.conduct.volume);
        self.standing.reputation.0 >= PPM || (!earns && checked < self.terms.reputation.min_checked)
    }

    /// Inferences of which enough are checked for a step of reputation.
    fn to_be_checked(&self, rate_q32: u64) -> u32 {
        let most =
            u128::from(self.terms.reputation.min_checked) * u128::from(RATE_ONE) / u128::from(rate_q32);
        u32::try_from(most).unwrap_or(u32::MAX)
    }

    /// The most inferences of an epoch that the limit on samples lets it commit.
    fn capacity(&self, rate_q32: u64) -> u32 {
        let jury = &self.terms.jury;
        let a_window = match self.conduct.batch {
            Some(size) => u128::from(jury.samples_per_window / sample_count(rate_q32, size) * size),
            None => u128::from(jury.samples_per_window) * u128::from(RATE_ONE) / u128::from(rate_q32),
        };
        u32::try_from(a_window * u128::from(jury.windows_per_epoch)).unwrap_or(u32::MAX)
    }

    /// Rounded up with the probability of its fraction.
    fn rounded(&mut self, number: f64) -> u32 {
        number as u32 + u32::from(self.chance.happens(number.fract()))
    }

    /// Draws and judges; folds the outcomes until the evidence reaches its bound.
    fn audit(&mut self, loads: &[Load]) -> Audited {
        let mut audited = Audited::default();
        for load in loads {
            audited.samples += self.samples(load);
        }
        for load in loads {
            let mut left = load.work;
            // Draws without repetition, as the contract's permutation makes them.
            for _ in 0..self.samples(load) {
                let fraud = self.chance.happens(f64::from(left.frauds) / f64::from(left.count()));
                let others = f64::from(left.honest + left.fillers);
                let filler = !fraud && self.chance.happens(f64::from(left.fillers) / others);
                let drawn = match (fraud, filler) {
                    (true, _) => &mut left.frauds,
                    (false, true) => &mut left.fillers,
                    (false, false) => &mut left.honest,
                };
                *drawn -= 1;
                let outcome = self.judge(fraud, &mut audited.contested);
                tally(&mut audited, outcome);
                let size = if filler { Size::Token } else { Size::Full };
                self.standing = self.standing.after(&self.rules, outcome, size);
                if self.standing.forfeits(&self.rules) {
                    audited.forfeited = true;
                    return audited;
                }
            }
        }
        audited
    }

    /// Samples of a load, over its batches.
    fn samples(&self, load: &Load) -> u32 {
        let count = load.work.count();
        let jury = &self.terms.jury;
        let size = self.conduct.batch.unwrap_or_else(|| {
            let fits = |batches: &u32| {
                sample_count(load.rate_q32, count.div_ceil(*batches)) <= jury.samples_per_window
            };
            count.div_ceil((1..jury.windows_per_epoch).find(fits).unwrap_or(jury.windows_per_epoch))
        });
        if count == 0 {
            return 0;
        }
        let (whole, rest) = (count / size, count % size);
        (whole * sample_count(load.rate_q32, size) + sample_count(load.rate_q32, rest)).min(count)
    }

    fn judge(&mut self, fraud: bool, contested: &mut u32) -> FinalOutcome {
        let judge = &self.terms.judge;
        let bad = self.chance.happens(if fraud { judge.detection } else { judge.honest_fail });
        match &mut self.court {
            Court::Honest(jury) => {
                *contested += u32::from(bad);
                jury.outcome(bad)
            }
            Court::Drawn { bench, executor, hostility, seats } => {
                let sitting = bench.sit(&mut self.chance, (*executor, *hostility), bad, &self.terms.jury);
                for place in &sitting.seats {
                    seats[*place] += 1;
                }
                *contested += u32::from(sitting.contested);
                sitting.outcome
            }
        }
    }

    /// Moves the money and the standing of an ended epoch.
    fn settle(&mut self, epoch: u32, made: &Work, loads: &[Load], audited: &Audited) {
        let prices = &self.terms.prices;
        let claimed: i64 = loads.iter().map(|load| i64::from(load.work.honest + load.work.frauds)).sum();
        let fees = claimed * prices.fee;
        let reserve = share(fees, prices.reserve_ppm);
        let checks = i64::from(audited.samples) * self.terms.check_cost();
        let new_seats = i64::from(self.terms.jury.full_seats - self.terms.jury.seats);
        let split =
            (i64::from(audited.splits) * new_seats * prices.verdict()).min(share(fees, prices.split_cap_ppm));
        let generation =
            i64::from(made.honest) * prices.generation + i64::from(made.frauds) * prices.cheat_generation;
        // What fees lack for reserve and checks came with the commitment, and is gone whatever the end.
        let pending = fees - reserve - checks;
        let slash = if audited.forfeited { prices.slash() } else { 0 };
        let paid = if audited.forfeited { pending.min(0) } else { pending - split };
        let ledger = &mut self.ledger;
        ledger.profit += paid - slash - generation;
        ledger.slashed += slash;
        ledger.refunded += if audited.forfeited { fees } else { 0 };
        ledger.fees += if audited.forfeited { 0 } else { fees };
        ledger.checks += checks;
        ledger.reserve += reserve;
        ledger.inferences += u64::try_from(claimed).unwrap_or(0);
        ledger.samples += u64::from(audited.samples);
        ledger.contested += u64::from(audited.contested);
        if audited.forfeited {
            ledger.forfeits += 1;
            ledger.first_forfeit.get_or_insert(epoch);
            self.standing = Standing::default();
        } else {
            self.standing = self.standing.after_clean_epoch(&self.rules, &audited.closed);
            let leaves = self.conduct.attack == Attack::Quit
                && self.standing.suspicion(&self.rules) >= self.conduct.wary;
            if leaves {
                self.ledger.identities += 1;
                self.standing = Standing::default();
            }
        }
    }
}

fn tally(audited: &mut Audited, outcome: FinalOutcome) {
    let closed = &mut audited.closed;
    match outcome {
        FinalOutcome::Valid => closed.valid += 1,
        FinalOutcome::Fail { .. } => closed.fail += 1,
        FinalOutcome::Unavailable => closed.unavailable += 1,
        FinalOutcome::Inconclusive { .. } => {
            closed.inconclusive += 1;
            audited.splits += 1;
        }
        FinalOutcome::Void => closed.void += 1,
    }
}
