//! CommitBatch: an executor commits to inferences, and the money for them and for their checks moves.

use assay_common::digest::Domain;
use assay_common::draw::sample_count;
use assay_common::event::Event;
use assay_common::ids::{BatchId, BatchRoot, Epoch, ModelDigest, SessionId, Window};
use assay_common::msg::{Claim, ClaimedRange};
use assay_common::replay::SamplerVersion;
use assay_common::session::voucher_digest;
use cosmwasm_std::{Api, Order, Response, Storage, Uint128};

use crate::epoch::Book;
use crate::error::ContractError;
use crate::pools::{self, Pools};
use crate::state::{
    Batch, ExecutorEpoch, Model, NodeNumber, Session, BATCHES, BEACONS, EPOCH_BATCHES, LAST_BATCH, NODES,
    POOLS, SESSIONS, UNDRAWN, UNSETTLED,
};
use crate::tx::Tx;
use crate::{model, node, pause, session, table};

/// What an executor commits to.
pub struct Commitment {
    pub model: ModelDigest,
    pub root: BatchRoot,
    pub claims: Vec<Claim>,
}

/// Who claims, for which model, and the Q32 rate that is the sessions' next mark.
struct Claimant<'a> {
    tx: &'a Tx,
    model: &'a ModelDigest,
    rate_now: u64,
}

/// What the claims of a batch come to.
struct Claimed {
    ranges: Vec<ClaimedRange>,
    count: u32,
    fees: Uint128,
    /// The highest mark of the sessions, Q32.
    mark: u64,
    /// Refunds of forfeited epochs that went back to the sessions on the way.
    credit: Uint128,
}

/// How a batch's money is divided.
struct Split {
    reserve: Uint128,
    checks: Uint128,
    pending: Uint128,
    /// What the fees lack for reserve and checks, and the message must bring.
    missing: Uint128,
}

/// Commits the sender to a batch.
///
/// # Errors
/// Less is bonded than the model asks for; a claim is not covered, sorted, signed, or the sender's; too few others serve the model; too much is asked of
/// them; or the funds are not exactly what the checks lack.
pub fn commit(
    storage: &mut dyn Storage,
    api: &dyn Api,
    tx: &Tx,
    commitment: Commitment,
) -> Result<Response, ContractError> {
    let Commitment { model, root, claims } = commitment;
    let (window, epoch, params) = (tx.window()?, tx.time.epoch, &tx.config.params);
    if BEACONS.has(storage, window.0) {
        return Err(ContractError::DrawKnown { window });
    }
    let mut node = node::serving(storage, &tx.sender, &model)?;
    let Model { spec, reference_fee, .. } = model::load(storage, &model)?;
    let needed = params.min_stake(reference_fee);
    if node.stake < needed {
        return Err(ContractError::StakeTooLow { stake: node.stake, needed });
    }
    check_others(storage, tx, (&model, node.number))?;
    let rate_now = node::reputation(storage, &tx.sender, &node)?.rate_q32(&params.reputation);
    let mut book = Book::new(tx.sender.clone());
    let claimant = Claimant { tx, model: &model, rate_now };
    let claimed = claim_all(storage, api, &claimant, &claims, &mut book)?;

    let id = BatchId(LAST_BATCH.may_load(storage)?.unwrap_or(0)).next();
    LAST_BATCH.save(storage, &id.0)?;
    let rate_q32 = claimed.mark.max(rate_now);
    let batch = Batch {
        executor: tx.sender.clone(),
        model,
        root,
        count: claimed.count,
        claims: claimed.ranges,
        window,
        epoch,
        rate_q32,
        vocabulary: spec.vocabulary,
        sampler: SamplerVersion::CURRENT,
        accusable: accusable(storage, tx, window)?,
        fees: claimed.fees,
        verdict_fee: params.verdict_fee(reference_fee),
        seats: params.jury.seats,
        samples: sample_count(rate_q32, claimed.count),
        drawn: 0,
        closed: 0,
    };
    let split = split_fees(tx, &batch)?;
    if node.last_epoch != Some(epoch) {
        book.put(epoch, ExecutorEpoch::open(node.last_epoch.replace(epoch), id, window));
        NODES.save(storage, &tx.sender, &node)?;
        UNSETTLED.save(storage, (epoch.0, &tx.sender), &true)?;
    }
    let account = book.account(storage, epoch)?;
    let pending_before = account.pending;
    enter(account, &batch, &split, params.jury.max_samples_per_window)?;
    let pending = (pending_before, account.pending);
    book.save(storage)?;
    let mut held = POOLS.load(storage)?;
    move_money(&mut held, claimed.credit, batch.fees, &split)?;
    POOLS.save(storage, &held)?;
    store(storage, id, &batch)?;
    Ok(Response::new().add_event(committed(id, batch, pending)))
}

/// The end of the fraud window: what is left of the batch's window, then the time for proofs, on the clock that stands still in
/// every pause.
fn accusable(storage: &dyn Storage, tx: &Tx, window: Window) -> Result<u64, ContractError> {
    let params = &tx.config.params;
    let left = params.clock.end(window).saturating_sub(tx.time.now);
    let seconds = left.saturating_add(u64::from(params.fraud.window_seconds));
    Ok(pause::running(storage, tx.time.now)?.saturating_add(seconds))
}

fn check_others(
    storage: &dyn Storage,
    tx: &Tx,
    (model, executor): (&ModelDigest, NodeNumber),
) -> Result<(), ContractError> {
    let others = table::others(storage, model, tx.time.epoch, executor)?;
    let needed = tx.config.params.jury.min_others_to_commit;
    if others < needed {
        return Err(ContractError::TooFewOthers { model: *model, others, needed });
    }
    Ok(())
}

/// Takes every claim out of its session; sessions are stored, accounts stay in the book.
fn claim_all(
    storage: &mut dyn Storage,
    api: &dyn Api,
    claimant: &Claimant,
    claims: &[Claim],
    book: &mut Book,
) -> Result<Claimed, ContractError> {
    let tx = claimant.tx;
    let limits = &tx.config.params.limits;
    let (count, most) = (u32::try_from(claims.len()).unwrap_or(u32::MAX), limits.claims_per_batch);
    if count == 0 || count > most {
        return Err(ContractError::BadClaimCount { count, most });
    }
    let zero = Uint128::zero();
    let mut all =
        Claimed { ranges: Vec::with_capacity(claims.len()), count: 0, fees: zero, mark: 0, credit: zero };
    let mut before: Option<SessionId> = None;
    for claim in claims {
        if let Some(before) = before.filter(|before| claim.session <= *before) {
            return Err(ContractError::ClaimsUnordered { before, session: claim.session });
        }
        before = Some(claim.session);
        let mut session = session::load(storage, claim.session)?;
        check_session(&session, claim, claimant)?;
        check_voucher(api, &tx.config.domain, &session, claim)?;
        pools::add(&mut all.credit, session::credit_refunds(storage, &mut session, book)?)?;
        let range = ClaimedRange { session: claim.session, from: session.nonce.next(), to: claim.nonce_to };
        let cost = charge(&mut session, claim, tx.time.epoch)?;
        pools::add(&mut all.fees, cost)?;
        let inferences = range.to.0.saturating_sub(session.nonce.0);
        let total = u64::from(all.count).saturating_add(inferences);
        all.count = u32::try_from(total)
            .ok()
            .filter(|total| *total <= limits.inferences_per_batch)
            .ok_or(ContractError::TooManyInferences { count: total, most: limits.inferences_per_batch })?;
        all.mark = all.mark.max(session.mark);
        all.ranges.push(range);
        session.mark = claimant.rate_now;
        session.nonce = claim.nonce_to;
        SESSIONS.save(storage, claim.session.0, &session)?;
    }
    Ok(all)
}

fn check_session(session: &Session, claim: &Claim, claimant: &Claimant) -> Result<(), ContractError> {
    let (id, epoch) = (claim.session, claimant.tx.time.epoch);
    if session.executor != claimant.tx.sender || session.model != *claimant.model {
        return Err(ContractError::NotYourSession {
            session: id,
            executor: session.executor.to_string(),
            model: session.model,
        });
    }
    if epoch > session.closes {
        return Err(ContractError::SessionOver { session: id, closes: session.closes, now: epoch });
    }
    if claim.nonce_to <= session.nonce {
        return Err(ContractError::NonceNotRising {
            session: id,
            nonce: session.nonce,
            claimed: claim.nonce_to,
        });
    }
    Ok(())
}

fn check_voucher(
    api: &dyn Api,
    domain: &Domain,
    session: &Session,
    claim: &Claim,
) -> Result<(), ContractError> {
    let digest = voucher_digest(domain, claim.session, claim.nonce_to, &claim.request);
    // A key or signature that cannot be read verifies nothing: the same answer as a wrong one.
    let verified = api
        .secp256k1_verify(&digest.0, &claim.signature, &session.session_key)
        .is_ok_and(|verified| verified);
    if verified {
        Ok(())
    } else {
        Err(ContractError::BadVoucher { session: claim.session, nonce: claim.nonce_to })
    }
}

/// Takes fee · Δnonce out of the session's escrow and notes it for a refund.
fn charge(session: &mut Session, claim: &Claim, epoch: Epoch) -> Result<Uint128, ContractError> {
    let inferences = claim.nonce_to.0.saturating_sub(session.nonce.0);
    let cost = session.fee.checked_mul(Uint128::from(inferences))?;
    if cost > session.escrow {
        return Err(ContractError::EscrowShort { session: claim.session, escrow: session.escrow, cost });
    }
    session.escrow = session.escrow.checked_sub(cost)?;
    session::note_payment(session, claim.session, epoch, cost)?;
    Ok(cost)
}

/// Divides the fees: the reserve's share rounded down, full pay for every seat, the rest pending.
fn split_fees(tx: &Tx, batch: &Batch) -> Result<Split, ContractError> {
    let reserve = pools::share(batch.fees, tx.config.params.fees.reserve_ppm)?;
    let seats = Uint128::from(batch.samples).checked_mul(Uint128::from(batch.seats))?;
    let checks = batch.verdict_fee.checked_mul(seats)?;
    let due = reserve.checked_add(checks)?;
    let pending = batch.fees.saturating_sub(due);
    let missing = due.saturating_sub(batch.fees);
    if tx.funds < missing {
        return Err(ContractError::CheckPoolShort { needed: missing, sent: tx.funds });
    }
    if tx.funds > missing {
        return Err(ContractError::SurplusFunds { needed: missing, sent: tx.funds });
    }
    Ok(Split { reserve, checks, pending, missing })
}

/// Adds a batch to its executor's account of the epoch.
fn enter(account: &mut ExecutorEpoch, batch: &Batch, split: &Split, most: u32) -> Result<(), ContractError> {
    if account.window != batch.window {
        account.window = batch.window;
        account.window_samples = 0;
    }
    let samples = account.window_samples.saturating_add(batch.samples);
    if samples > most {
        return Err(ContractError::TooManySamples { window: batch.window, samples, most });
    }
    account.window_samples = samples;
    account.batches = account.batches.saturating_add(1);
    account.inferences = account.inferences.saturating_add(batch.count);
    pools::add(&mut account.fees, batch.fees)?;
    pools::add(&mut account.reserve, split.reserve)?;
    pools::add(&mut account.checks, split.checks)?;
    pools::add(&mut account.pending, split.pending)
}

/// Refunds to escrow, then the fees out of it and the funds sent into reserve, checks and pending.
fn move_money(held: &mut Pools, credit: Uint128, fees: Uint128, split: &Split) -> Result<(), ContractError> {
    pools::shift(&mut held.refunds, &mut held.escrow, credit)?;
    let mut incoming = split.missing;
    pools::shift(&mut held.escrow, &mut incoming, fees)?;
    pools::shift(&mut incoming, &mut held.reserve, split.reserve)?;
    pools::shift(&mut incoming, &mut held.checks, split.checks)?;
    pools::add(&mut held.pending, incoming)
}

fn store(storage: &mut dyn Storage, id: BatchId, batch: &Batch) -> Result<(), ContractError> {
    BATCHES.save(storage, id.0, batch)?;
    EPOCH_BATCHES.save(storage, ((&batch.executor, batch.epoch.0), id.0), &true)?;
    UNDRAWN.save(storage, (batch.window.0, id.0), &true)?;
    Ok(())
}

fn committed(id: BatchId, batch: Batch, (pending_before, pending_after): (Uint128, Uint128)) -> Event {
    Event::BatchCommitted {
        batch: id,
        executor: batch.executor.into_string(),
        model: batch.model,
        root: batch.root,
        epoch: batch.epoch,
        window: batch.window,
        count: batch.count,
        samples: batch.samples,
        rate: batch.rate_q32,
        fees: batch.fees,
        pending_before,
        pending_after,
    }
}

/// # Errors
/// There is no such batch.
pub fn load(storage: &dyn Storage, batch: BatchId) -> Result<Batch, ContractError> {
    BATCHES.may_load(storage, batch.0)?.ok_or(ContractError::UnknownBatch { batch })
}

/// The epoch of the first stored batch, which is the earliest: ids and time rise together.
///
/// # Errors
/// Storage cannot be read.
pub fn earliest_epoch(storage: &dyn Storage) -> Result<Option<Epoch>, ContractError> {
    let first = BATCHES.range(storage, None, None, Order::Ascending).next().transpose()?;
    Ok(first.map(|(_, batch)| batch.epoch))
}
