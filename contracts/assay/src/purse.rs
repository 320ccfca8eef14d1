//! The money of a closed sample: who is paid for judging it, and who pays for a second level, a silence or an absence.
//!
//! The first level's seats are prepaid by the executor. The second level's are paid by those of the first whom it overruled,
//! or whose probes it refuted; where there is none, by the reserve, which a forfeit of the executor pays back; and on a split
//! by the executor, up to a small share of its epoch's fees.

use assay_common::event::Event;
use assay_common::params::Params;
use assay_common::verdict::{FinalOutcome, OpenReason, Outcome};
use cosmwasm_std::{Storage, Uint128};

use crate::error::ContractError;
use crate::hearing::{voted, Hearing};
use crate::jurors::Jurors;
use crate::pools::{self, Pools};
use crate::stakes::Stakes;
use crate::state::{Batch, ExecutorEpoch, NodeNumber, Sample, Seat, COMMITMENTS};
use crate::tx::Tx;

/// What one message's closed samples move.
pub struct Purse<'a> {
    tx: &'a Tx,
    /// Those of the batch's epoch.
    params: &'a Params,
    batch: &'a Batch,
    executor: NodeNumber,
    pub held: Pools,
    jurors: Jurors,
    stakes: Stakes,
}

impl<'a> Purse<'a> {
    pub fn new(
        (tx, params): (&'a Tx, &'a Params),
        batch: &'a Batch,
        executor: NodeNumber,
        held: Pools,
    ) -> Self {
        Self { tx, params, batch, executor, held, jurors: Jurors::default(), stakes: Stakes::default() }
    }

    /// A sample whose executor has forfeited: nobody is paid, what its seats cost goes to the reserve.
    ///
    /// # Errors
    /// A pool holds too little: a fault of the contract.
    pub fn void(&mut self) -> Result<(), ContractError> {
        let prepaid = self.prepaid()?;
        pools::shift(&mut self.held.checks, &mut self.held.reserve, prepaid)
    }

    /// Moves the money of one closed sample.
    ///
    /// # Errors
    /// A pool holds too little: a fault of the contract.
    pub fn close(
        &mut self,
        storage: &dyn Storage,
        account: &mut ExecutorEpoch,
        (sample, hearing, outcome): (&Sample, &Hearing, FinalOutcome),
    ) -> Result<(), ContractError> {
        let (first, second) = sample.levels();
        let agrees = |seat: &Seat| seat.verdict.as_ref().is_some_and(|cast| outcome.agrees(&cast.outcome));
        let earns = |seat: &&Seat| agrees(seat) && hearing.has_proof(seat);
        let mut purse = self.prepaid()?;
        self.held.checks = self.held.checks.checked_sub(purse)?;
        for seat in first.iter().filter(earns) {
            self.pay(seat.juror, &mut purse, self.batch.verdict_fee)?;
        }
        pools::add(&mut self.held.reserve, purse)?;

        if outcome == (FinalOutcome::Inconclusive { reason: OpenReason::Split }) {
            let told = second.iter().filter(|seat| voted(seat) && hearing.has_proof(seat));
            self.pay_by_executor(account, &told.map(|seat| seat.juror).collect::<Vec<_>>())?;
        } else {
            let winners: Vec<NodeNumber> = second.iter().filter(earns).map(|seat| seat.juror).collect();
            let spoke = first.iter().filter(|seat| voted(seat));
            let wrong = spoke.filter(|seat| (!agrees(seat) && !is_absence(seat)) || !hearing.has_proof(seat));
            let payers: Vec<NodeNumber> = wrong.map(|seat| seat.juror).collect();
            let advanced = self.pay_by_losers(storage, &winners, &payers)?;
            if matches!(outcome, FinalOutcome::Fail { .. }) {
                pools::add(&mut account.advanced, advanced)?;
            }
        }
        if outcome == FinalOutcome::Unavailable {
            self.charge_absence(storage, account)?;
        }
        self.fine_silence(storage, sample)?;
        sample.seats.iter().for_each(|seat| self.jurors.note(seat));
        Ok(())
    }

    /// Pay of the first level's seats, as it was taken at the commitment.
    fn prepaid(&self) -> Result<Uint128, ContractError> {
        Ok(self.batch.verdict_fee.checked_mul(Uint128::from(self.batch.seats))?)
    }

    fn pay(&mut self, juror: NodeNumber, from: &mut Uint128, amount: Uint128) -> Result<(), ContractError> {
        pools::shift(from, &mut self.held.claimable, amount)?;
        self.jurors.pay(juror, amount)
    }

    /// Shares `pot` among the winners, at most a verdict's pay each; what is left goes to the reserve.
    fn share(&mut self, winners: &[NodeNumber], mut pot: Uint128) -> Result<(), ContractError> {
        let count = Uint128::new(winners.len() as u128);
        let each = pot.checked_div(count).unwrap_or_default().min(self.batch.verdict_fee);
        for winner in winners {
            self.pay(*winner, &mut pot, each)?;
        }
        pools::add(&mut self.held.reserve, pot)
    }

    fn cost(&self, winners: &[NodeNumber]) -> Result<Uint128, ContractError> {
        Ok(self.batch.verdict_fee.checked_mul(Uint128::new(winners.len() as u128))?)
    }

    /// Pays a second level out of the stakes of those who made it necessary, the rest out of the reserve as far as it reaches;
    /// returns what the reserve gave.
    fn pay_by_losers(
        &mut self,
        storage: &dyn Storage,
        winners: &[NodeNumber],
        payers: &[NodeNumber],
    ) -> Result<Uint128, ContractError> {
        let cost = self.cost(winners)?;
        let mut pot = Uint128::zero();
        let share = cost.u128().div_ceil((payers.len() as u128).max(1));
        for payer in payers.iter().filter(|_| !cost.is_zero()) {
            let due = Uint128::new(share).min(cost.checked_sub(pot)?);
            let taken = self.stakes.take(storage, *payer, "second_level", due)?;
            pools::shift(&mut self.held.stakes, &mut pot, taken)?;
        }
        let advanced = cost.checked_sub(pot)?.min(self.held.reserve);
        pools::shift(&mut self.held.reserve, &mut pot, advanced)?;
        self.share(winners, pot)?;
        Ok(advanced)
    }

    /// Pays a split second level out of the executor's fees, as far as their cap allows.
    fn pay_by_executor(
        &mut self,
        account: &mut ExecutorEpoch,
        told: &[NodeNumber],
    ) -> Result<(), ContractError> {
        let cap = pools::share(account.fees, self.params.fees.split_ppm)?;
        let left = cap.saturating_sub(account.split_costs);
        let amount = self.cost(told)?.min(left).min(account.pending);
        account.pending = account.pending.checked_sub(amount)?;
        pools::add(&mut account.split_costs, amount)?;
        let mut pot = Uint128::zero();
        pools::shift(&mut self.held.pending, &mut pot, amount)?;
        self.share(told, pot)
    }

    /// What hiding one sampled inference costs: the batch's fees over its samples, so that in expectation a hidden fraud
    /// loses what it would have earned, and an outage is charged for its share. Rounded down; to the reserve.
    fn charge_absence(
        &mut self,
        storage: &dyn Storage,
        account: &mut ExecutorEpoch,
    ) -> Result<(), ContractError> {
        let samples = Uint128::from(self.batch.samples);
        let due = self.batch.fees.checked_div(samples).unwrap_or_default();
        let pending = due.min(account.pending);
        account.pending = account.pending.checked_sub(pending)?;
        pools::shift(&mut self.held.pending, &mut self.held.reserve, pending)?;
        let rest = due.checked_sub(pending)?;
        if !rest.is_zero() {
            let taken = self.stakes.take(storage, self.executor, "unavailable", rest)?;
            pools::shift(&mut self.held.stakes, &mut self.held.reserve, taken)?;
        }
        Ok(())
    }

    /// Jurors who committed and did not reveal may have seen what the others said: that costs stake.
    fn fine_silence(&mut self, storage: &dyn Storage, sample: &Sample) -> Result<(), ContractError> {
        let verdicts = Uint128::from(self.params.fees.unrevealed_verdicts);
        let fine = self.batch.verdict_fee.checked_mul(verdicts)?;
        let (first, second) = sample.levels();
        let windows = [(first, sample.window), (second, sample.latest())];
        for (seats, window) in windows {
            for seat in seats.iter().filter(|seat| seat.verdict.is_none()) {
                let page = COMMITMENTS.may_load(storage, (seat.juror.0, window.0, seat.page))?;
                if page.is_some_and(|page| !page.revealed) {
                    let taken = self.stakes.take(storage, seat.juror, "unrevealed", fine)?;
                    pools::shift(&mut self.held.stakes, &mut self.held.reserve, taken)?;
                }
            }
        }
        Ok(())
    }

    /// Stores stakes, then jurors; returns the pools and what is to be told.
    ///
    /// # Errors
    /// Storage cannot be written.
    pub fn save(self, storage: &mut dyn Storage) -> Result<(Pools, Vec<Event>), ContractError> {
        let mut events = self.stakes.save(storage, self.tx)?;
        events.extend(self.jurors.save(storage, self.tx)?);
        Ok((self.held, events))
    }
}

fn is_absence(seat: &Seat) -> bool {
    seat.verdict.as_ref().is_some_and(|cast| matches!(cast.outcome, Outcome::Unavailable { .. }))
}
