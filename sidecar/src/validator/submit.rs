//! Verdicts onto the chain: a page is stored, committed to in the window after its draws, and revealed in the next.
//!
//! Nothing is broadcast that is not stored, and nothing is sent again before the chain was asked whether it is there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use assay_common::digest::Domain;
use assay_common::ids::{Digest, Window};
use assay_common::msg::{ClockResponse, CommitmentResponse, ExecuteMsg, QueryMsg};
use assay_common::salt::Hidden;
use assay_common::verdict::VerdictPage;
use cosmwasm_std::HexBinary;
use tokio_util::sync::CancellationToken;

use super::pages::{self, PageState, StoredPage};
use super::{confirm, jobs, watch, Juror};
use crate::chain::{Account, Call, ChainError, TxError};
use crate::poll::{self, LookError, Pace};

/// What a page may do at this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Wait,
    Commit,
    Reveal,
    /// A transaction is under way: what became of it?
    Resolve,
    /// The window for its next move is over.
    Late,
}

/// The next move of a page in `state` whose samples were drawn in window `drawn`, in window `now`.
///
/// Commitments are taken until the end of the window after the draw, reveals in the one after that.
pub fn next_move(state: PageState, drawn: Window, now: Window) -> Move {
    let reveal = drawn.0.saturating_add(2);
    match state {
        PageState::Assembled if now.0 < reveal => Move::Commit,
        PageState::Assembled => Move::Late,
        PageState::Committing | PageState::Revealing => Move::Resolve,
        PageState::Committed if now.0 < reveal => Move::Wait,
        PageState::Committed if now.0 == reveal => Move::Reveal,
        PageState::Committed => Move::Late,
        PageState::Revealed | PageState::Expired => Move::Wait,
    }
}

/// Whether the verdicts on a window's draws go onto pages now: all are there, or there is no more time to wait.
pub fn is_time_to_assemble(unjudged: u64, left: Duration, commit_margin: Duration) -> bool {
    unjudged == 0 || left <= commit_margin
}

/// What a page commits to, and the salt that opens it: the same whenever it is asked for.
pub fn opening(domain: &Domain, account: &Account, page: &StoredPage) -> (VerdictPage, HexBinary, Digest) {
    let salt = account.salt(domain, Hidden::Verdicts { window: page.window, page: page.page });
    let shown = VerdictPage {
        juror: account.address().into(),
        window: page.window,
        page: page.page,
        verdicts: page.verdicts.clone(),
    };
    let commitment = shown.commitment(domain, &salt);
    (shown, salt, commitment)
}

/// Submits until it is told to stop.
///
/// # Errors
/// The store fails.
pub async fn run(juror: Arc<Juror>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut reconciled = BTreeSet::new();
    let pace = Pace::every(juror.poll);
    while poll::again("submit", look(&juror, &mut reconciled).await, pace, &stop).await? {}
    Ok(())
}

/// One look at the clock and at every unfinished page; `reconciled` remembers the window whose seats are complete.
///
/// # Errors
/// The chain cannot be asked, or the store fails.
pub async fn look(juror: &Juror, reconciled: &mut BTreeSet<Window>) -> Result<(), LookError> {
    let clock = juror.chain.clock().await?;
    let Some(now) = clock.window else { return Ok(()) };
    jobs::expire(&juror.store, clock.now).await?;
    if let Some(drawn) = now.0.checked_sub(1).map(Window) {
        assemble(juror, drawn, &clock, reconciled).await?;
    }
    for page in pages::unfinished(&juror.store).await? {
        if let Some(error) = poll::for_later(step(juror, &page, now).await)? {
            let (window, number) = (page.window.0, page.page);
            tracing::warn!(page.window = window, page.number = number, error, "submit.page_failed");
        }
    }
    Ok(())
}

async fn assemble(
    juror: &Juror,
    drawn: Window,
    clock: &ClockResponse,
    reconciled: &mut BTreeSet<Window>,
) -> Result<(), LookError> {
    // The draws of a window are over when it is: what is asked for now is complete.
    if !reconciled.contains(&drawn) {
        watch::reconcile(juror, drawn).await?;
        *reconciled = BTreeSet::from([drawn]);
    }
    let end = juror.clock.end(Window(drawn.0.saturating_add(1)));
    let left = Duration::from_secs(end.saturating_sub(clock.now));
    let unjudged = jobs::unjudged(&juror.store, drawn).await?;
    if is_time_to_assemble(unjudged, left, juror.config.commit_margin) {
        while pages::assemble(&juror.store, drawn).await?.is_some() {}
    }
    Ok(())
}

async fn step(juror: &Juror, page: &StoredPage, now: Window) -> Result<(), LookError> {
    match next_move(page.state, page.window, now) {
        Move::Wait => Ok(()),
        Move::Resolve => confirm::resolve(juror, page).await,
        Move::Commit => commit(juror, page).await,
        Move::Reveal => reveal(juror, page).await,
        Move::Late => late(juror, page).await,
    }
}

async fn commit(juror: &Juror, page: &StoredPage) -> Result<(), LookError> {
    let (_, _, hash) = opening(juror.chain.domain(), juror.sender.account(), page);
    match on_chain(juror, page).await?.hash {
        Some(found) if found == hash => move_to(juror, page, PageState::Committed).await,
        Some(found) => {
            let (window, number) = (page.window.0, page.page);
            tracing::error!(page.window = window, page.number = number, %found, %hash,
                "submit.other_commitment: another process uses this account, or the store was lost");
            move_to(juror, page, PageState::Expired).await
        }
        None => {
            let msg = ExecuteMsg::CommitVerdicts { window: page.window, page: page.page, hash };
            send(juror, page, msg, PageState::Committing).await
        }
    }
}

async fn reveal(juror: &Juror, page: &StoredPage) -> Result<(), LookError> {
    if on_chain(juror, page).await?.revealed {
        return move_to(juror, page, PageState::Revealed).await;
    }
    let (shown, salt, _) = opening(juror.chain.domain(), juror.sender.account(), page);
    let VerdictPage { window, page: number, verdicts, .. } = shown;
    let msg = ExecuteMsg::RevealVerdicts { window, page: number, salt, verdicts };
    send(juror, page, msg, PageState::Revealing).await
}

/// The time for the next move is over; a reveal may all the same have landed.
async fn late(juror: &Juror, page: &StoredPage) -> Result<(), LookError> {
    let (window, number) = (page.window.0, page.page);
    if on_chain(juror, page).await?.revealed {
        return move_to(juror, page, PageState::Revealed).await;
    }
    tracing::warn!(
        page.window = window,
        page.number = number,
        page.state = page.state.name(),
        "submit.too_late"
    );
    move_to(juror, page, PageState::Expired).await
}

async fn on_chain(juror: &Juror, page: &StoredPage) -> Result<CommitmentResponse, ChainError> {
    let address = juror.address().to_string();
    let query = QueryMsg::Commitment { juror: address, window: page.window, page: page.page };
    juror.chain.query(&query).await
}

async fn move_to(juror: &Juror, page: &StoredPage, to: PageState) -> Result<(), LookError> {
    pages::advance(&juror.store, page, to, None).await?;
    Ok(())
}

/// Stores the transaction's hash, then broadcasts it. What certainly is not in the mempool is taken back at once.
async fn send(juror: &Juror, page: &StoredPage, msg: ExecuteMsg, to: PageState) -> Result<(), LookError> {
    let persist = |pending| async move {
        let moved = pages::advance(&juror.store, page, to, Some(&pending)).await?;
        anyhow::ensure!(moved, "page {} of window {} is under way already", page.page, page.window);
        Ok(())
    };
    match juror.sender.broadcast(vec![Call::new(msg)], persist).await {
        Ok(_) => Ok(()),
        Err(error @ (TxError::Rejected { .. } | TxError::Sequence { .. })) => {
            let stored = StoredPage { state: to, ..page.clone() };
            pages::advance(&juror.store, &stored, page.state, None).await?;
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}
