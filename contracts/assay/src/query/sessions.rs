//! Sessions, with the refunds that they have not been credited yet.

use assay_common::ids::{Epoch, SessionId};
use assay_common::msg::{Page, SessionResponse, UnsettledPayment};
use cosmwasm_std::{Order, Storage};
use cw_storage_plus::Bound;

use super::paging;
use crate::epoch::Book;
use crate::error::ContractError;
use crate::session;
use crate::state::{Session, Slot, SESSIONS};

pub fn session(storage: &dyn Storage, now: Epoch, id: SessionId) -> Result<SessionResponse, ContractError> {
    response(storage, now, id, session::load(storage, id)?)
}

pub fn sessions(
    storage: &dyn Storage,
    now: Epoch,
    start_after: Option<SessionId>,
    limit: Option<u32>,
) -> Result<Page<SessionResponse, SessionId>, ContractError> {
    let start = start_after.map(|after| Bound::exclusive(after.0));
    let found = SESSIONS.range(storage, start, None, Order::Ascending).map(|entry| {
        let (id, found) = entry?;
        Ok((SessionId(id), response(storage, now, SessionId(id), found)?))
    });
    paging::page(found, paging::limit(limit))
}

/// The session as it would be if it were touched now; the accounts that this reads are not changed.
fn response(
    storage: &dyn Storage,
    now: Epoch,
    id: SessionId,
    mut session: Session,
) -> Result<SessionResponse, ContractError> {
    let mut book = Book::new(session.executor.clone());
    session::credit_refunds(storage, &mut session, &mut book)?;
    let status = session.status_at(now);
    let unsettled =
        session.slots.into_iter().map(|Slot { epoch, amount }| UnsettledPayment { epoch, amount });
    Ok(SessionResponse {
        session: id,
        requester: session.requester.into_string(),
        executor: session.executor.into_string(),
        model: session.model,
        user_seed: session.user_seed,
        session_key: session.session_key.into(),
        fee: session.fee,
        max_prompt: session.max_prompt,
        max_new: session.max_new,
        expires: session.expires,
        status,
        closes: session.closes,
        unsettled: unsettled.collect(),
        escrow: session.escrow,
        nonce: session.nonce,
        mark_q32: session.mark,
    })
}
