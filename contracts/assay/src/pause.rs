//! Pause, Unpause: governance freezes payouts and withdrawals, for a while.
//!
//! A pause lapses by itself, and the next one must wait as long again. Whoever waits for a stake to be released, or for a
//! proof to be too late, waits in [`running`] time, which stands still during a pause: nobody runs out of a slash's reach
//! while slashes are frozen.

use assay_common::event::Event;
use cosmwasm_std::{Response, Storage};
use serde::{Deserialize, Serialize};

use crate::error::ContractError;
use crate::state::PAUSE;
use crate::tx::Tx;

/// Seconds after which a pause lapses: time enough for a vote.
const LONGEST: u64 = 7 * 24 * 3600;
/// Seconds from the end of a pause to the earliest next one: payouts are open at least half of the time.
const GAP: u64 = LONGEST;

/// The last pause, in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pause {
    pub since: u64,
    /// When it lapses, or ended.
    pub until: u64,
    /// Seconds of all pauses before it.
    pub earlier: u64,
}

/// When the present pause lapses, if there is one.
///
/// # Errors
/// Storage cannot be read.
pub fn paused(storage: &dyn Storage, now: u64) -> Result<Option<u64>, ContractError> {
    Ok(PAUSE.may_load(storage)?.map(|pause| pause.until).filter(|until| now < *until))
}

/// Seconds of all pauses so far.
///
/// # Errors
/// Storage cannot be read.
pub fn frozen(storage: &dyn Storage, now: u64) -> Result<u64, ContractError> {
    Ok(PAUSE.may_load(storage)?.map_or(0, |pause| pause.frozen(now)))
}

/// The second `now` on a clock that stands still during pauses: seconds since 1970 less those of all pauses so far.
///
/// # Errors
/// Storage cannot be read.
pub fn running(storage: &dyn Storage, now: u64) -> Result<u64, ContractError> {
    Ok(now.saturating_sub(frozen(storage, now)?))
}

/// The earliest second of the next pause.
///
/// # Errors
/// Storage cannot be read.
pub fn next_from(storage: &dyn Storage) -> Result<u64, ContractError> {
    Ok(PAUSE.may_load(storage)?.map_or(0, |pause| pause.until.saturating_add(GAP)))
}

impl Pause {
    /// Seconds of this pause and all before it, up to `now`.
    fn frozen(&self, now: u64) -> u64 {
        self.earlier.saturating_add(now.min(self.until).saturating_sub(self.since))
    }
}

/// # Errors
/// Payouts are paused, or were until too recently.
pub fn begin(storage: &mut dyn Storage, tx: &Tx) -> Result<Response, ContractError> {
    let now = tx.time.now;
    if let Some(until) = paused(storage, now)? {
        return Err(ContractError::Paused { until });
    }
    let from = next_from(storage)?;
    if now < from {
        return Err(ContractError::PauseTooSoon { from, now });
    }
    let earlier = frozen(storage, now)?;
    let until = now.saturating_add(LONGEST);
    PAUSE.save(storage, &Pause { since: now, until, earlier })?;
    Ok(Response::new().add_event(Event::Paused { until }))
}

/// # Errors
/// Payouts are not paused.
pub fn end(storage: &mut dyn Storage, tx: &Tx) -> Result<Response, ContractError> {
    let now = tx.time.now;
    let last = PAUSE.may_load(storage)?.filter(|pause| now < pause.until);
    let pause = last.ok_or(ContractError::NotPaused)?;
    let lapse = pause.until;
    PAUSE.save(storage, &Pause { until: now, ..pause })?;
    Ok(Response::new().add_event(Event::Unpaused { until_before: lapse, until_after: now }))
}
