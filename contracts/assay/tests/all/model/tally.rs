//! Tally: what the end of samples does to those who took part.

use std::collections::{BTreeMap, BTreeSet};

use assay_common::attendance::{self, ATTENDED, MISSED};
use assay_common::draw;
use assay_common::ids::{BatchId, Window};
use assay_common::params::Params;
use assay_common::verdict::{FinalOutcome, OpenReason, Outcome};
use assay_contract::error::ContractError;

use super::hearing::{self, First};
use super::juries::jury;
use super::money::share;
use super::{check_limit, Account, Answer, Batch, Cx, Sample, Seat, Touched, World};

/// What a Tally does besides closing samples.
#[derive(Default)]
struct Session {
    acted: bool,
    fined: BTreeSet<u32>,
    /// By juror: what it earned, and for each seat whether it was taken.
    jurors: BTreeMap<u32, (u128, Vec<bool>)>,
    /// By window: the first sample that waits, and the window whose beacon it waits for.
    waiting: BTreeMap<Window, (u32, Window)>,
}

/// What new seats a contested sample can have.
enum Second {
    None,
    Waits(Window),
    Jurors(Vec<u32>),
}

impl World {
    pub fn tally(&mut self, cx: &Cx, id: BatchId, from: u32, limit: u32) -> Answer {
        let now = cx.window.expect("it has begun");
        check_limit(limit, cx.params.limits.draw_page)?;
        let batch = self.batch(id)?.clone();
        let to = batch.drawn().min(from.saturating_add(limit));
        if from < to {
            self.sample(id, from)?;
        }
        let params = self.params_of(batch.epoch)?;
        let mut session = Session::default();
        let mut windows = BTreeSet::new();
        for number in from..to {
            let sample = batch.samples[number as usize].clone();
            windows.insert(sample.window);
            if sample.closed.is_none() && sample.latest().0 + 3 <= now.0 {
                self.hear(cx, (&params, &batch), (id, number), &mut session);
            }
        }
        windows.retain(|window| window.0 + 3 <= now.0);
        let moved = self.advance((id, &batch), (from, to), &windows, &session);
        if !moved && !session.acted {
            return Err(match session.waiting.values().next() {
                Some((_, window)) => ContractError::BeaconMissing { batch: id, window: *window },
                None => ContractError::NothingToTally { batch: id, from },
            });
        }
        for number in &session.fined {
            let address = self.numbers[*number as usize].clone();
            self.follow_stake(cx, &address);
        }
        self.note_jurors(cx, session);
        self.touched.insert(Touched::Batch(id));
        self.touched.insert(Touched::Account(batch.executor, batch.epoch.0));
        Ok(())
    }

    fn hear(
        &mut self,
        cx: &Cx,
        (params, batch): (&Params, &Batch),
        (id, number): (BatchId, u32),
        session: &mut Session,
    ) {
        let sample = batch.samples[number as usize].clone();
        let account = &self.accounts[&(batch.executor.clone(), batch.epoch.0)];
        if account.status.voids_samples() {
            self.reserve += batch.prepaid();
            session.acted = true;
            self.close(id, number, &sample, FinalOutcome::Void);
            return;
        }
        let tolerance = self.tolerance(batch);
        let outcome = if sample.second.is_some() {
            hearing::last(&sample)
        } else {
            match hearing::first(&sample, params.jury.quorum, tolerance) {
                First::Ends(outcome) => outcome,
                First::Contested => match self.second(params, (id, batch), &sample) {
                    Second::None => hearing::last(&sample),
                    Second::Waits(beacon) => {
                        session.waiting.entry(sample.window).or_insert((number, beacon));
                        return;
                    }
                    Second::Jurors(jurors) => {
                        session.acted = true;
                        return self.contest(cx, (id, number), jurors);
                    }
                },
            }
        };
        session.acted = true;
        self.pay(params, batch, (&sample, outcome), session);
        self.close(id, number, &sample, outcome);
    }

    pub fn tolerance(&self, batch: &Batch) -> u16 {
        let calibration = self.models[&batch.model].calibrations.of(batch.epoch);
        calibration.expect("it is kept for its batches").value.probe_tolerance
    }

    fn close(&mut self, id: BatchId, number: u32, sample: &Sample, outcome: FinalOutcome) {
        let (class, bin) = hearing::weight(sample, outcome);
        let batch = self.batches.get_mut(&id).expect("it is stored");
        batch.samples[number as usize].closed = Some((outcome, class, bin));
    }

    fn second(&self, params: &Params, (id, batch): (BatchId, &Batch), sample: &Sample) -> Second {
        let table = self.table(&batch.model, batch.epoch.0);
        let mut without: Vec<u32> = sample.seats.iter().map(|seat| seat.juror).collect();
        without.push(self.nodes[&batch.executor].number);
        let free = table.keys().filter(|number| !without.contains(number)).count();
        let taken = u32::try_from(sample.seats.len()).expect("few seats");
        let wanted = params.jury.second_seats.saturating_sub(taken);
        if wanted == 0 || free == 0 {
            return Second::None;
        }
        let beacon = Window(sample.window.0 + 2);
        let Some((_, randomness)) = self.beacons.get(&beacon.0) else { return Second::Waits(beacon) };
        let seed = draw::second_seed(&self.domain, id, randomness);
        Second::Jurors(jury(&table, &without, |places, excluded| {
            draw::jury(&seed, sample.index, places, excluded, wanted)
        }))
    }

    fn contest(&mut self, cx: &Cx, (id, number): (BatchId, u32), jurors: Vec<u32>) {
        let seats: Vec<Seat> = jurors.into_iter().map(|juror| self.seat(cx, juror, (id, number))).collect();
        let batch = self.batches.get_mut(&id).expect("it is stored");
        let sample = &mut batch.samples[number as usize];
        sample.second = Some((cx.window.expect("it has begun"), sample.seats.len()));
        sample.seats.extend(seats);
    }

    /// Moves the money of one closed sample.
    fn pay(
        &mut self,
        params: &Params,
        batch: &Batch,
        (sample, outcome): (&Sample, FinalOutcome),
        session: &mut Session,
    ) {
        let (medians, tolerance) = (hearing::medians(sample), self.tolerance(batch));
        let proven = |seat: &Seat| hearing::is_proven(seat, &medians, tolerance);
        let wins = |seat: &&Seat| hearing::agrees(outcome, seat.vote()) && proven(seat);
        let fee = batch.verdict_fee;
        let key = (batch.executor.clone(), batch.epoch.0);

        let winners = sample.first_level().iter().filter(wins).map(|seat| seat.juror);
        let mut left = batch.prepaid();
        for juror in winners {
            session.jurors.entry(juror).or_default().0 += fee;
            left -= fee;
        }
        self.reserve += left;

        let pot;
        let told: Vec<u32>;
        if outcome == (FinalOutcome::Inconclusive { reason: OpenReason::Split }) {
            let second = sample.second_level().iter();
            told = second.filter(|seat| seat.vote().is_some() && proven(seat)).map(|s| s.juror).collect();
            pot = self.charge_split(params, &key, fee * told.len() as u128);
        } else {
            told = sample.second_level().iter().filter(wins).map(|seat| seat.juror).collect();
            let spoke = sample.first_level().iter().filter(|seat| seat.vote().is_some());
            let is_absence = |seat: &Seat| matches!(seat.vote(), Some(Outcome::Unavailable { .. }));
            let overruled = |seat: &Seat| !hearing::agrees(outcome, seat.vote()) && !is_absence(seat);
            let wrong = spoke.filter(|seat| overruled(seat) || !proven(seat)).map(|seat| seat.juror);
            let cost = fee * told.len() as u128;
            let by_losers = self.charge_losers(cost, &wrong.collect::<Vec<_>>(), session);
            let advanced = (cost - by_losers).min(self.reserve);
            self.reserve -= advanced;
            pot = by_losers + advanced;
            if matches!(outcome, FinalOutcome::Fail { .. }) {
                self.account_mut(&key).advanced += advanced;
            }
        }
        self.share_pot(&told, pot, fee, session);
        if outcome == FinalOutcome::Unavailable {
            self.charge_absence(batch, &key, session);
        }
        self.fine_silence(params, batch, sample, session);
        for seat in &sample.seats {
            session.jurors.entry(seat.juror).or_default().1.push(seat.verdict.is_some());
        }
    }

    fn account_mut(&mut self, key: &(String, u64)) -> &mut Account {
        self.accounts.get_mut(key).expect("the epoch of a batch has an account")
    }

    /// What a split costs the executor: at most a small share of its epoch's fees in all.
    fn charge_split(&mut self, params: &Params, key: &(String, u64), cost: u128) -> u128 {
        let account = &self.accounts[key];
        let most = share(self.fees(account), params.fees.split_ppm);
        let amount = cost.min(most.saturating_sub(account.split_costs)).min(self.pending(account));
        let account = self.account_mut(key);
        account.taken += amount;
        account.split_costs += amount;
        amount
    }

    fn charge_losers(&mut self, cost: u128, losers: &[u32], session: &mut Session) -> u128 {
        let mut pot = 0;
        if cost > 0 && !losers.is_empty() {
            let each = cost.div_ceil(losers.len() as u128);
            for loser in losers {
                pot += self.take_stake(*loser, each.min(cost - pot), session);
            }
        }
        pot
    }

    fn take_stake(&mut self, number: u32, amount: u128, session: &mut Session) -> u128 {
        session.fined.insert(number);
        let address = &self.numbers[number as usize];
        self.nodes.get_mut(address).expect("a juror is a node").take(amount)
    }

    fn share_pot(&mut self, winners: &[u32], pot: u128, fee: u128, session: &mut Session) {
        let each = pot.checked_div(winners.len() as u128).unwrap_or(0).min(fee);
        for winner in winners {
            session.jurors.entry(*winner).or_default().0 += each;
        }
        self.reserve += pot - each * winners.len() as u128;
    }

    fn charge_absence(&mut self, batch: &Batch, key: &(String, u64), session: &mut Session) {
        let due = batch.fees / u128::from(batch.planned);
        let of_fees = due.min(self.pending(&self.accounts[key]));
        self.account_mut(key).taken += of_fees;
        self.reserve += of_fees;
        if due > of_fees {
            let number = self.nodes[&batch.executor].number;
            self.reserve += self.take_stake(number, due - of_fees, session);
        }
    }

    fn fine_silence(&mut self, params: &Params, batch: &Batch, sample: &Sample, session: &mut Session) {
        let fine = batch.verdict_fee * u128::from(params.fees.unrevealed_verdicts);
        for (place, seat) in sample.seats.iter().enumerate().filter(|(_, seat)| seat.verdict.is_none()) {
            let page = (seat.juror, sample.given(place).0, seat.page);
            if self.commitments.get(&page).is_some_and(|(_, revealed)| !revealed) {
                self.reserve += self.take_stake(seat.juror, fine, session);
            }
        }
    }

    fn note_jurors(&mut self, cx: &Cx, session: Session) {
        let scheme = attendance::scheme(&cx.params.jury);
        for (number, (earned, seats)) in session.jurors {
            let address = self.numbers[number as usize].clone();
            let node = self.nodes.get_mut(&address).expect("a juror is a node");
            let juror = node.juror.get_or_insert_with(Default::default);
            juror.earned += earned;
            let mut missed_too_often = false;
            for attended in seats {
                let step = scheme.step(if attended { ATTENDED } else { MISSED });
                let mut reached = false;
                for (counter, step) in juror.attendance.iter_mut().zip(step) {
                    *counter = (*counter).max(0) + step;
                    reached |= step > 0 && *counter >= scheme.bound;
                }
                if reached {
                    juror.attendance = [0; 3];
                    missed_too_often = true;
                }
            }
            if missed_too_often && !node.benched {
                node.benched = true;
                self.follow_stake(cx, &address);
            }
        }
    }

    /// Notes how far a window's draws are passed; whether that changed anything.
    fn advance(
        &mut self,
        (id, batch): (BatchId, &Batch),
        (from, to): (u32, u32),
        windows: &BTreeSet<Window>,
        session: &Session,
    ) -> bool {
        let mut moved = false;
        for window in windows {
            let Some(first) = self.untallied.get(&(window.0, id)).copied() else { continue };
            if first < from || first > to {
                continue;
            }
            let waits = session.waiting.get(window).map(|(number, _)| *number);
            let goes_on = batch.samples.get(to as usize).filter(|sample| sample.window <= *window);
            match waits.or(goes_on.map(|_| to)) {
                Some(next) => {
                    moved |= next != first;
                    self.untallied.insert((window.0, id), next);
                }
                None => {
                    moved = true;
                    self.untallied.remove(&(window.0, id));
                }
            }
        }
        moved
    }
}
