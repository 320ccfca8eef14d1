//! Sessions: what a requester has prepaid to one executor, and what comes back to it.

use assay_common::event::Event;
use assay_common::ids::{Epoch, ModelDigest, Nonce, SessionId, UserSeed};
use assay_common::msg::{EpochStatus, SessionStatus};
use cosmwasm_std::{Addr, HexBinary, Response, Storage, Uint128};

use crate::epoch::Book;
use crate::error::ContractError;
use crate::state::{Session, Slot, LAST_SESSION, POOLS, SESSIONS};
use crate::tx::Tx;
use crate::{model, node, pools, sweep};

/// Unsettled epochs that one session may have paid in at once.
pub const RING: usize = 3;
/// Bytes of a compressed secp256k1 key.
const KEY_BYTES: usize = 33;

impl Session {
    /// A session that nobody closed is closing once it has expired.
    pub fn status_at(&self, now: Epoch) -> SessionStatus {
        match self.status {
            SessionStatus::Open if now > self.expires => SessionStatus::Closing,
            status => status,
        }
    }
}

/// What a requester asks for when it opens a session.
pub struct Terms {
    pub model: ModelDigest,
    pub user_seed: UserSeed,
    pub session_key: HexBinary,
    pub fee: Uint128,
    pub max_prompt: u32,
    pub max_new: u32,
    pub expires: Epoch,
}

/// Opens a session of the sender with `executor`; the funds are its escrow.
///
/// # Errors
/// The model is deprecated, the executor does not serve it or lacks its stake, no funds came, or a term is out of its bounds.
pub fn open(
    storage: &mut dyn Storage,
    tx: &Tx,
    executor: Addr,
    terms: Terms,
) -> Result<Response, ContractError> {
    check_terms(tx, &terms)?;
    let node = node::serving(storage, &executor, &terms.model)?;
    let needed = tx.config.params.min_stake(model::open(storage, &terms.model)?.reference_fee);
    if node.stake < needed {
        return Err(ContractError::StakeTooLow { stake: node.stake, needed });
    }
    let mark = node::reputation(storage, &executor, &node)?.rate_q32(&tx.config.params.reputation);
    let id = SessionId(LAST_SESSION.may_load(storage)?.unwrap_or(0)).next();
    LAST_SESSION.save(storage, &id.0)?;
    let Terms { model, user_seed, session_key, fee, max_prompt, max_new, expires } = terms;
    let session = Session {
        requester: tx.sender.clone(),
        executor,
        model,
        user_seed,
        session_key: session_key.into(),
        fee,
        max_prompt,
        max_new,
        expires,
        closes: Epoch(expires.0.saturating_add(u64::from(tx.config.params.limits.close_delay_epochs))),
        status: SessionStatus::Open,
        escrow: tx.funds,
        nonce: Nonce(0),
        mark,
        slots: Vec::new(),
    };
    SESSIONS.save(storage, id.0, &session)?;
    sweep::schedule(storage, session.closes.next(), &sweep::Item::Session(id))?;
    let mut held = POOLS.load(storage)?;
    pools::add(&mut held.escrow, tx.funds)?;
    POOLS.save(storage, &held)?;
    Ok(Response::new().add_event(Event::SessionOpened {
        session: id,
        requester: session.requester.into_string(),
        executor: session.executor.into_string(),
        model,
        fee,
        escrow: session.escrow,
    }))
}

/// Adds the funds to the escrow of an open session, whoever sends them.
///
/// # Errors
/// No funds came, or the session is closing or closed.
pub fn top_up(storage: &mut dyn Storage, tx: &Tx, id: SessionId) -> Result<Response, ContractError> {
    if tx.funds.is_zero() {
        return Err(ContractError::NoFunds { denom: tx.config.params.denom.clone() });
    }
    let mut session = load(storage, id)?;
    if session.status_at(tx.time.epoch) != SessionStatus::Open {
        return Err(ContractError::SessionNotOpen { session: id });
    }
    let escrow_before = session.escrow;
    pools::add(&mut session.escrow, tx.funds)?;
    SESSIONS.save(storage, id.0, &session)?;
    let mut held = POOLS.load(storage)?;
    pools::add(&mut held.escrow, tx.funds)?;
    POOLS.save(storage, &held)?;
    Ok(Response::new().add_event(Event::SessionToppedUp {
        session: id,
        payer: tx.sender.to_string(),
        amount: tx.funds,
        escrow_before,
        escrow_after: session.escrow,
    }))
}

fn check_terms(tx: &Tx, terms: &Terms) -> Result<(), ContractError> {
    let limits = &tx.config.params.limits;
    if tx.funds.is_zero() {
        return Err(ContractError::NoFunds { denom: tx.config.params.denom.clone() });
    }
    if terms.fee.is_zero() {
        return Err(ContractError::ZeroFee);
    }
    let key = terms.session_key.as_slice();
    if key.len() != KEY_BYTES || !matches!(key.first(), Some(2 | 3)) {
        return Err(ContractError::BadSessionKey { key: terms.session_key.to_hex() });
    }
    let caps =
        [("max_prompt", terms.max_prompt, limits.max_prompt), ("max_new", terms.max_new, limits.max_new)];
    for (cap, value, most) in caps {
        if value == 0 || value > most {
            return Err(ContractError::BadCap { cap, value, most });
        }
    }
    let earliest = tx.time.epoch;
    let latest = Epoch(earliest.0.saturating_add(u64::from(limits.session_epochs)));
    if terms.expires < earliest || terms.expires > latest {
        return Err(ContractError::BadExpiry { expires: terms.expires, earliest, latest });
    }
    Ok(())
}

/// # Errors
/// There is no such session.
pub fn load(storage: &dyn Storage, session: SessionId) -> Result<Session, ContractError> {
    SESSIONS.may_load(storage, session.0)?.ok_or(ContractError::UnknownSession { session })
}

/// Empties the session's slots of settled epochs and credits what forfeited ones owe; returns the credit.
///
/// # Errors
/// The session claims more than it paid: a fault of the contract.
pub fn credit_refunds(
    storage: &dyn Storage,
    session: &mut Session,
    book: &mut Book,
) -> Result<Uint128, ContractError> {
    let mut credit = Uint128::zero();
    let mut open = Vec::with_capacity(RING);
    for slot in session.slots.drain(..) {
        // An account is not swept while it owes a session anything.
        let Some(account) = book.find(storage, slot.epoch)? else { continue };
        match account.status {
            EpochStatus::Open | EpochStatus::Condemned => open.push(slot),
            EpochStatus::Paid => {}
            EpochStatus::Forfeited => pools::add(&mut credit, account.take_refund(slot.amount)?)?,
        }
    }
    session.slots = open;
    pools::add(&mut session.escrow, credit)?;
    Ok(credit)
}

/// Notes that the session paid `amount` in `epoch`.
///
/// # Errors
/// All slots hold other unsettled epochs.
pub fn note_payment(
    session: &mut Session,
    id: SessionId,
    epoch: Epoch,
    amount: Uint128,
) -> Result<(), ContractError> {
    if let Some(slot) = session.slots.iter_mut().find(|slot| slot.epoch == epoch) {
        return pools::add(&mut slot.amount, amount);
    }
    match session.slots.first() {
        Some(oldest) if session.slots.len() >= RING => {
            Err(ContractError::EpochUnsettled { session: id, epoch: oldest.epoch })
        }
        _ => {
            session.slots.push(Slot { epoch, amount });
            Ok(())
        }
    }
}
