//! Beacons, draws and verdicts.

use assay_common::digest::sha256;
use assay_common::draw;
use assay_common::ids::{BatchId, Digest, Randomness, Round, Window};
use assay_common::msg::SampleKey;
use assay_common::params::Params;
use assay_common::verdict::{Verdict, VerdictPage};
use assay_contract::error::ContractError;
use assay_contract::sweep::Item;
use cosmwasm_std::HexBinary;

use super::{check_limit, Answer, Batch, Cx, Sample, Seat, Touched, World};
use crate::suite::Beacon;

/// Epochs after its own in which a window waits for the beacon of its own parameters.
const RESCUE_AFTER: u64 = 2;

/// The seeds of the keys that beacons sign with here.
pub const BEACONS: [u8; 3] = [1, 2, LOST];
/// Of a good key with which nobody signs.
pub const LOST: u8 = 3;

impl World {
    /// The first round at least the delay after the window's end.
    pub fn round(&self, params: &Params, window: Window) -> Round {
        let (beacon, due) = (&params.beacon, self.end_of(window) + u64::from(params.beacon.delay_seconds));
        let mut round = 1 + due.saturating_sub(beacon.genesis) / u64::from(beacon.period_seconds);
        if beacon.genesis + (round - 1) * u64::from(beacon.period_seconds) < due {
            round += 1;
        }
        Round(round)
    }

    /// The round and the signature that are now the beacon of a window: by the parameters of its epoch, or by those in force
    /// once nobody has posted it for long.
    ///
    /// # Errors
    /// The parameters of its epoch are needed and not kept.
    pub fn beacon(&self, window: Window) -> Result<(Round, HexBinary), ContractError> {
        let params = self.drawing(window)?;
        let round = self.round(&params, window);
        let keys = BEACONS.map(Beacon::new);
        let key = keys.iter().find(|key| key.public_key() == params.beacon.public_key);
        Ok((round, key.expect("one of the keys that are known").sign(round)))
    }

    /// The parameters by which a window is drawn now.
    fn drawing(&self, window: Window) -> Result<Params, ContractError> {
        let (own, now) = (self.epoch_of(window), self.epoch());
        let waits = now.0 <= own.0 + RESCUE_AFTER;
        self.params_of(if waits { own } else { now })
    }

    /// Whether nobody can post the beacon of a window now, because of its key.
    pub fn is_lost(&self, window: Window) -> bool {
        self.drawing(window).is_ok_and(|params| params.beacon.public_key == Beacon::new(LOST).public_key())
    }

    pub fn post_beacon(&mut self, cx: &Cx, window: Window, signature: &HexBinary) -> Answer {
        let epoch = self.epoch_of(window);
        if epoch > cx.epoch {
            return Err(ContractError::EpochNotBegun { window, epoch, now: cx.epoch });
        }
        if self.beacons.contains_key(&window.0) {
            return Err(ContractError::BeaconKnown { window });
        }
        let (round, expected) = self.beacon(window)?;
        if *signature != expected {
            return Err(ContractError::BadSignature { window, round });
        }
        self.beacons.insert(window.0, (round, Randomness(sha256(&[signature]))));
        let kept = self.kept_until(&cx.params, cx.epoch.0);
        self.schedule(kept, Item::Beacon(window));
        let own = self.params_of(epoch).map(|params| params.beacon.public_key);
        if own.is_ok_and(|key| key == Beacon::new(LOST).public_key()) {
            self.meet("beacon rescued from a lost key");
        }
        Ok(())
    }

    pub fn batch(&self, id: BatchId) -> Result<&Batch, ContractError> {
        let known = self.batches.get(&id).filter(|batch| !batch.gone);
        known.ok_or(ContractError::UnknownBatch { batch: id })
    }

    pub fn draw(&mut self, cx: &Cx, id: BatchId, limit: u32) -> Answer {
        let window = cx.window.expect("it has begun");
        check_limit(limit, cx.params.limits.draw_page)?;
        let batch = self.batch(id)?.clone();
        let from = batch.drawn();
        if from == batch.planned {
            return Err(ContractError::AlreadyDrawn { batch: id });
        }
        let missing = ContractError::BeaconMissing { batch: id, window: batch.window };
        let (_, randomness) = self.beacons.get(&batch.window.0).ok_or(missing)?;
        let seed = draw::seed(&self.domain, id, randomness);
        let table = self.table(&batch.model, batch.epoch.0);
        let executor = self.nodes[&batch.executor].number;
        for number in from..batch.planned.min(from + limit) {
            let index = draw::index(&seed, batch.count(), number);
            let jurors = jury(&table, &[executor], |places, excluded| {
                draw::jury(&seed, index, places, excluded, batch.seats)
            });
            let seats = jurors.into_iter().map(|juror| self.seat(cx, juror, (id, number))).collect();
            let sample = Sample { index, window, seats, second: None, closed: None };
            self.batches.get_mut(&id).expect("it is stored").samples.push(sample);
        }
        self.untallied.entry((window.0, id)).or_insert(from);
        self.touched.insert(Touched::Batch(id));
        self.touched.insert(Touched::Account(batch.executor, batch.epoch.0));
        Ok(())
    }

    /// Gives a juror its next seat of the present window.
    pub fn seat(&mut self, cx: &Cx, juror: u32, (batch, draw): (BatchId, u32)) -> Seat {
        let window = cx.window.expect("it has begun").0;
        let taken = self.seats.entry((juror, window)).or_default();
        let page = *taken / cx.params.limits.verdict_page;
        *taken += 1;
        self.assignments.entry((juror, window, page)).or_default().push(SampleKey { batch, draw });
        Seat { juror, page, verdict: None }
    }

    pub fn commit_verdicts(&mut self, cx: &Cx, window: Window, page: u32, hash: Digest) -> Answer {
        let now = cx.window.expect("it has begun");
        let closes = Window(window.0.saturating_add(1));
        if now < window {
            return Err(ContractError::TooEarly { window, opens: window, now });
        }
        if now > closes {
            return Err(ContractError::TooLate { window, closes, now });
        }
        let juror = self.nodes[&cx.sender].number;
        let seats = self.seats.get(&(juror, window.0)).copied().unwrap_or(0);
        if seats == 0 {
            return Err(ContractError::NotAssigned { juror: cx.sender.clone(), window });
        }
        let pages = seats.div_ceil(self.params_of(self.epoch_of(window))?.limits.verdict_page);
        if page >= pages {
            return Err(ContractError::BadPage { page, pages });
        }
        if self.commitments.contains_key(&(juror, window.0, page)) {
            return Err(ContractError::AlreadyCommitted { window, page });
        }
        self.commitments.insert((juror, window.0, page), (hash, false));
        Ok(())
    }

    pub fn reveal_verdicts(
        &mut self,
        cx: &Cx,
        (window, page): (Window, u32),
        salt: &HexBinary,
        verdicts: &[Verdict],
    ) -> Answer {
        let (now, opens) = (cx.window.expect("it has begun"), Window(window.0.saturating_add(2)));
        if now < opens {
            return Err(ContractError::TooEarly { window, opens, now });
        }
        if now > opens {
            return Err(ContractError::TooLate { window, closes: opens, now });
        }
        let most = self.params_of(self.epoch_of(window))?.limits.verdict_page;
        let count = u32::try_from(verdicts.len()).expect("few");
        if count == 0 || count > most {
            return Err(ContractError::BadVerdictCount { count, most });
        }
        if salt.len() != 32 {
            return Err(ContractError::BadSalt { bytes: salt.len() });
        }
        let juror = self.nodes[&cx.sender].number;
        let Some((committed, revealed)) = self.commitments.get(&(juror, window.0, page)).copied() else {
            return Err(ContractError::NotCommitted { window, page });
        };
        if revealed {
            return Err(ContractError::AlreadyRevealed { window, page });
        }
        let shown = VerdictPage { juror: cx.sender.clone(), window, page, verdicts: verdicts.to_vec() };
        let revealed = shown.commitment(&self.domain, salt);
        if revealed != committed {
            return Err(ContractError::RevealMismatch { committed, revealed });
        }
        let mut places = Vec::new();
        for verdict in verdicts {
            let place = self.check_verdict((juror, &shown), verdict)?;
            let key = (verdict.batch, verdict.draw);
            if places.contains(&(key, place)) {
                return Err(ContractError::DuplicateVerdict { batch: key.0, draw: key.1 });
            }
            places.push((key, place));
        }
        for (verdict, ((batch, draw), place)) in verdicts.iter().zip(places) {
            let batch = self.batches.get_mut(&batch).expect("it is stored");
            let seat = &mut batch.samples[draw as usize].seats[place];
            seat.verdict = Some((verdict.outcome, verdict.score.clone()));
            self.touched.insert(Touched::Batch(verdict.batch));
        }
        self.commitments.insert((juror, window.0, page), (committed, true));
        Ok(())
    }

    /// The seat that a verdict is for.
    fn check_verdict(
        &self,
        (juror, page): (u32, &VerdictPage),
        verdict: &Verdict,
    ) -> Result<usize, ContractError> {
        let Verdict { batch, draw, outcome, score } = verdict;
        let (batch, draw) = (*batch, *draw);
        let sample = self.sample(batch, draw)?;
        let place = sample.seats.iter().position(|seat| seat.juror == juror);
        let not_seated = ContractError::NotSeated { juror: page.juror.clone(), batch, draw };
        let place = place.ok_or(not_seated)?;
        let drawn = sample.given(place);
        if drawn != page.window {
            return Err(ContractError::WrongWindow { batch, draw, drawn, page: page.window });
        }
        let levels = if place < sample.first_level().len() { 1 } else { 2 };
        let expected = if outcome.needs_score() { 8 * levels } else { 0 };
        let found = score.as_ref().map_or(0, |score| score.probes.len());
        if found != expected || score.is_some() != outcome.needs_score() {
            return Err(ContractError::BadScore { batch, draw, found, expected });
        }
        let seat = &sample.seats[place];
        if seat.page != page.page {
            return Err(ContractError::WrongPage { batch, draw, page: page.page, belongs: seat.page });
        }
        if seat.verdict.is_some() {
            return Err(ContractError::DuplicateVerdict { batch, draw });
        }
        Ok(place)
    }

    pub fn sample(&self, batch: BatchId, draw: u32) -> Result<&Sample, ContractError> {
        let stored = self.batches.get(&batch).filter(|stored| !stored.gone && draw >= stored.swept);
        let sample = stored.and_then(|stored| stored.samples.get(draw as usize));
        sample.ok_or(ContractError::UnknownSample { batch, draw })
    }
}

/// Who is drawn out of a table, without some; `draw` takes cumulative stakes and the places that are out.
pub fn jury(
    table: &super::tables::Table,
    without: &[u32],
    draw: impl Fn(&[u128], &[usize]) -> Vec<usize>,
) -> Vec<u32> {
    let numbers: Vec<u32> = table.keys().copied().collect();
    let mut sum = 0;
    let cumulative: Vec<u128> = table
        .values()
        .map(|stake| {
            sum += stake;
            sum
        })
        .collect();
    let excluded: Vec<usize> =
        (0..numbers.len()).filter(|place| without.contains(&numbers[*place])).collect();
    draw(&cumulative, &excluded).into_iter().map(|place| numbers[place]).collect()
}
