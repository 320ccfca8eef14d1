//! A task that looks at chain and store again and again: what it meets there is for the next look, unless the store fails.

use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::chain::{ChainError, TxError};
use crate::store::StoreError;

/// Why a look came to nothing; the next one starts from what is stored.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Tx(#[from] TxError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// When the next look comes: after `every`, or earlier when something wakes it.
#[derive(Clone, Copy, Debug)]
pub struct Pace<'a> {
    pub every: Duration,
    pub wake: Option<&'a Notify>,
}

impl Pace<'_> {
    pub fn every(every: Duration) -> Self {
        Self { every, wake: None }
    }

    async fn wait(&self) {
        let woken = async {
            match self.wake {
                Some(wake) => wake.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep(self.every) => {}
        }
    }
}

/// What a task does with each look: logs what failed, and waits for the next look. `false`: it was told to stop.
///
/// # Errors
/// The store fails.
pub async fn again(
    task: &'static str,
    looked: Result<(), LookError>,
    pace: Pace<'_>,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    if let Some(error) = for_later(looked)? {
        tracing::warn!(task, error, "look.failed");
    }
    tokio::select! {
        () = stop.cancelled() => Ok(false),
        () = pace.wait() => Ok(true),
    }
}

/// What failed and may be better at the next look, in words.
///
/// # Errors
/// The store fails, which no look mends.
pub fn for_later(looked: Result<(), LookError>) -> Result<Option<String>, StoreError> {
    match looked {
        Ok(()) => Ok(None),
        Err(LookError::Store(error)) => Err(error),
        Err(error) => Ok(Some(format!("{:#}", anyhow::Error::from(error)))),
    }
}
