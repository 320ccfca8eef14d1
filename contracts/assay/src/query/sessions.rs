//! Sessions, with the refunds that they have not been credited yet.

use assay_common::ids::SessionId;
use assay_common::msg::{Page, SessionResponse};
use cosmwasm_std::{Order, Storage};
use cw_storage_plus::Bound;

use super::paging;
use crate::epoch::Book;
use crate::error::ContractError;
use crate::session;
use crate::state::{Session, SESSIONS};

pub fn session(storage: &dyn Storage, id: SessionId) -> Result<SessionResponse, ContractError> {
    response(storage, id, session::load(storage, id)?)
}

pub fn sessions(
    storage: &dyn Storage,
    start_after: Option<SessionId>,
    limit: Option<u32>,
) -> Result<Page<SessionResponse, SessionId>, ContractError> {
    let start = start_after.map(|after| Bound::exclusive(after.0));
    let found = SESSIONS.range(storage, start, None, Order::Ascending).map(|entry| {
        let (id, found) = entry?;
        Ok((SessionId(id), response(storage, SessionId(id), found)?))
    });
    paging::page(found, paging::limit(limit))
}

/// The session as it would be if it were touched now; the accounts that this reads are not changed.
fn response(
    storage: &dyn Storage,
    id: SessionId,
    mut session: Session,
) -> Result<SessionResponse, ContractError> {
    let mut book = Book::new(session.executor.clone());
    session::credit_refunds(storage, &mut session, &mut book)?;
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
        escrow: session.escrow,
        nonce: session.nonce,
        mark_q32: session.mark,
    })
}
