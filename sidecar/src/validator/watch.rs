//! From block results to jobs: every block in order, none twice, none left out.

use std::collections::BTreeSet;
use std::time::Duration;

use assay_common::event::Event;
use assay_common::ids::Window;
use assay_common::msg::{AssignedPage, Page, QueryMsg};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::jobs::{self, Seat};
use super::Juror;
use crate::chain::ChainError;
use crate::poll::{self, LookError, Pace};

/// Blocks that are read one by one after a pause; the seats of a longer one are asked for directly.
const MAX_CATCH_UP: u64 = 2_000;
/// Windows before the present one whose seats may still be judged.
const OPEN_WINDOWS: u64 = 2;
/// Pages of seats asked for at once.
const PAGES: u32 = 10;
/// Time between two attempts to have a websocket.
const RECONNECT: Duration = Duration::from_secs(5);

/// Watches until it is told to stop; a chain that cannot be reached is asked again.
///
/// # Errors
/// The store fails.
pub async fn run(juror: &Juror, stop: CancellationToken) -> anyhow::Result<()> {
    let wake = Notify::new();
    let watching = async {
        let (mut started, pace) = (false, Pace { every: juror.poll, wake: Some(&wake) });
        while poll::again("watch", look(juror, &mut started).await, pace, &stop).await? {}
        Ok(())
    };
    tokio::select! {
        // In the middle of a look too: a block's seats are stored whole or not at all, and there may be many blocks.
        () = stop.cancelled() => Ok(()),
        ended = watching => ended,
        () = keep_listening(juror, &wake) => Ok(()),
    }
}

/// Listens for new blocks as long as it lives; without the websocket the next poll comes all the same.
async fn keep_listening(juror: &Juror, wake: &Notify) {
    loop {
        match juror.chain.wake_on_blocks(wake).await {
            Ok(()) => tracing::debug!("watch.websocket_closed"),
            Err(error) => tracing::debug!(%error, "watch.websocket_lost"),
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

/// Reads every block up to the present one; the first time it asks for the open windows' seats before that.
///
/// # Errors
/// The chain cannot be asked, or the store fails; what was done until then is stored.
pub async fn look(juror: &Juror, started: &mut bool) -> Result<(), LookError> {
    if !*started {
        start(juror).await?;
        *started = true;
    }
    let head = juror.chain.height().await?;
    let mut done = jobs::cursor(&juror.store).await?.unwrap_or(head);
    while done < head {
        let height = done.saturating_add(1);
        let mut windows = BTreeSet::new();
        for event in juror.chain.events(height).await? {
            match event {
                Event::Drawn { window, .. } | Event::SampleContested { window, .. } => {
                    windows.insert(window);
                }
                Event::CalibrationUpdated { model, epoch, after, .. } => {
                    juror.announced(model, (after, epoch)).await?;
                }
                _ => {}
            }
        }
        let mut seats = Vec::new();
        for window in windows {
            seats.extend(seats_of_window(juror, window).await?);
        }
        jobs::record(&juror.store, height, &seats).await?;
        done = height;
    }
    Ok(())
}

/// Asks for all seats that may still be judged, so that the cursor may begin at the present block, or jump to it.
async fn start(juror: &Juror) -> Result<(), LookError> {
    let head = juror.chain.height().await?;
    let mut seats = Vec::new();
    if let Some(now) = juror.chain.clock().await?.window {
        for window in now.0.saturating_sub(OPEN_WINDOWS)..=now.0 {
            seats.extend(seats_of_window(juror, Window(window)).await?);
        }
    }
    let earliest = juror.chain.earliest_height().await?;
    let cursor = jobs::cursor(&juror.store).await?;
    let resumed = cursor.filter(|at| {
        at.saturating_add(1) >= earliest && *at <= head && head.saturating_sub(*at) <= MAX_CATCH_UP
    });
    let from = resumed.unwrap_or(head);
    jobs::record(&juror.store, from, &seats).await?;
    tracing::info!(cursor.height = from, cursor.head = head, cursor.stored = ?cursor, "watch.started");
    Ok(())
}

/// Asks for the seats of one window once more: before its verdicts are committed, none may be missing.
///
/// # Errors
/// The chain cannot be asked, or the store fails.
pub async fn reconcile(juror: &Juror, window: Window) -> Result<(), LookError> {
    let seats = seats_of_window(juror, window).await?;
    let late = jobs::add(&juror.store, &seats).await?;
    if !late.is_empty() {
        tracing::warn!(watch.window = window.0, seats = late.len(), "watch.seats_found_late");
    }
    Ok(())
}

/// All our seats of one window, page by page.
async fn seats_of_window(juror: &Juror, window: Window) -> Result<Vec<Seat>, ChainError> {
    let deadline = juror.clock.end(Window(window.0.saturating_add(1)));
    let mut seats = Vec::new();
    let mut start_after = None;
    loop {
        let juror_address = juror.address().to_string();
        let query = QueryMsg::Assignments { juror: juror_address, window, start_after, limit: Some(PAGES) };
        let found: Page<AssignedPage, u32> = juror.chain.query(&query).await?;
        for AssignedPage { page, samples } in found.items {
            seats.extend(samples.into_iter().map(|key| Seat { key, window, page, deadline }));
        }
        match found.next_start_after {
            Some(next) => start_after = Some(next),
            None => return Ok(seats),
        }
    }
}
