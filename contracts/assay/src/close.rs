//! CloseSession: the requester ends a session, the executor claims what was signed before, and what is left goes back.
//!
//! A session that nobody closes is closing from its expiry on. Once nothing more can be claimed anybody pays it out: what
//! is left at once, and what unsettled epochs give back when they are settled; then it is closed.

use assay_common::event::Event;
use assay_common::ids::{Epoch, SessionId};
use assay_common::msg::SessionStatus;
use cosmwasm_std::{Response, Storage, Uint128};

use crate::epoch::Book;
use crate::error::ContractError;
use crate::state::{Session, POOLS, SESSIONS};
use crate::tx::Tx;
use crate::{pools, session, sweep, tally};

/// Begins the closing of the sender's session, or pays out one that nothing more can be claimed from.
///
/// # Errors
/// The sender is not its requester, it is closing and the time has not come, it is closed, or all that is left to pay out
/// waits for an epoch that is not settled.
pub fn close(storage: &mut dyn Storage, tx: &Tx, id: SessionId) -> Result<Response, ContractError> {
    let session = session::load(storage, id)?;
    let now = tx.time.epoch;
    match session.status_at(now) {
        SessionStatus::Closed => Err(ContractError::SessionClosed { session: id }),
        SessionStatus::Closing if now > session.closes => {
            let epoch = session.slots.first().map(|slot| slot.epoch).unwrap_or(now);
            let paid = finish(storage, id, session)?;
            let paid = paid.ok_or(ContractError::SessionUnsettled { session: id, epoch })?;
            Ok(Response::new().add_event(paid))
        }
        SessionStatus::Closing => {
            Err(ContractError::SessionClosing { session: id, closes: session.closes, now })
        }
        SessionStatus::Open => begin(storage, tx, id, session),
    }
}

fn begin(
    storage: &mut dyn Storage,
    tx: &Tx,
    id: SessionId,
    mut session: Session,
) -> Result<Response, ContractError> {
    let requester = session.requester.to_string();
    if tx.sender != session.requester {
        return Err(ContractError::NotRequester { session: id, requester });
    }
    let delay = u64::from(tx.config.params.limits.close_delay_epochs);
    let closes_before = session.closes;
    session.status = SessionStatus::Closing;
    session.closes = session.closes.min(Epoch(tx.time.epoch.0.saturating_add(delay)));
    SESSIONS.save(storage, id.0, &session)?;
    sweep::cancel(storage, closes_before.next(), &sweep::Item::Session(id))?;
    sweep::schedule(storage, session.closes.next(), &sweep::Item::Session(id))?;
    Ok(Response::new().add_event(Event::SessionClosing {
        session: id,
        requester,
        closes_before,
        closes_after: session.closes,
        escrow: session.escrow,
    }))
}

/// Credits the refunds of settled epochs to a session that nothing more can be claimed from, and makes all that is left
/// claimable by its requester. `None` where all of it waits for an epoch that is not settled.
///
/// # Errors
/// A refund is more than its epoch owes: a fault of the contract.
pub fn finish(
    storage: &mut dyn Storage,
    id: SessionId,
    mut session: Session,
) -> Result<Option<Event>, ContractError> {
    let mut book = Book::new(session.executor.clone());
    let refunds = session::credit_refunds(storage, &mut session, &mut book)?;
    let amount = std::mem::replace(&mut session.escrow, Uint128::zero());
    match session.slots.first() {
        Some(_) if amount.is_zero() => return Ok(None),
        Some(_) => session.status = SessionStatus::Closing,
        None => session.status = SessionStatus::Closed,
    }
    book.save(storage)?;
    SESSIONS.save(storage, id.0, &session)?;
    let mut held = POOLS.load(storage)?;
    pools::shift(&mut held.refunds, &mut held.escrow, refunds)?;
    pools::shift(&mut held.escrow, &mut held.claimable, amount)?;
    POOLS.save(storage, &held)?;
    tally::credit(storage, &session.requester, amount)?;
    Ok(Some(Event::SessionPaidOut {
        session: id,
        requester: session.requester.into_string(),
        amount,
        refunds,
        unsettled: u32::try_from(session.slots.len()).unwrap_or(u32::MAX),
        closed: session.status == SessionStatus::Closed,
    }))
}
