//! The artifacts that this node judges, for the other jurors of their samples: kept until the sample is closed, since a
//! second level may be given seats on it after the first has spoken.
//!
//! What failed here is kept beyond that: it can be accused with these bytes.

use std::sync::Arc;
use std::time::Duration;

use assay_common::ids::InferenceId;
use assay_common::msg::{QueryMsg, SampleKey, SampleResponse};
use tokio_util::sync::CancellationToken;

use super::jobs::{self, Job};
use super::Juror;
use crate::chain::ChainError;
use crate::http::ArtifactResponse;
use crate::poll::{self, LookError, Pace};
use crate::store::{stored, Store, StoreError};

/// Samples that are asked for at one look; the rest waits for the next.
const AT_ONCE: u32 = 100;

/// The artifact of a sample, if this node has it.
///
/// # Errors
/// The store fails.
pub async fn held(
    store: &Store,
    key: SampleKey,
    inference: &InferenceId,
) -> Result<Option<ArtifactResponse>, StoreError> {
    let row = sqlx::query("SELECT * FROM jobs WHERE batch = ? AND draw = ? AND evidence IS NOT NULL");
    let row = row.bind(stored(key.batch.0)?).bind(key.draw).fetch_optional(&store.pool).await?;
    let Some(Job { case: Some(case), evidence, .. }) = row.as_ref().map(jobs::job).transpose()? else {
        return Ok(None);
    };
    Ok(evidence.filter(|_| case.inference == *inference))
}

/// Gives up what is needed no more, until it is told to stop.
///
/// # Errors
/// The store fails.
pub async fn run(juror: Arc<Juror>, stop: CancellationToken) -> anyhow::Result<()> {
    // Samples close at the earliest when a window begins.
    let pace = Pace::every(Duration::from_secs(juror.clock.window_seconds.into()));
    while poll::again("keep", look(&juror).await, pace, &stop).await? {}
    Ok(())
}

/// One look at what is kept.
///
/// # Errors
/// The chain cannot be asked, or the store fails.
pub async fn look(juror: &Juror) -> Result<(), LookError> {
    let now = juror.chain.clock().await?.now;
    let window = u64::from(juror.clock.window_seconds);
    for key in due(&juror.store, now, window).await? {
        if is_closed(juror, key).await? {
            forget(&juror.store, key).await?;
        } else {
            postpone(&juror.store, key, now.saturating_add(window)).await?;
        }
    }
    Ok(())
}

async fn is_closed(juror: &Juror, SampleKey { batch, draw }: SampleKey) -> Result<bool, ChainError> {
    match juror.chain.query::<SampleResponse>(&QueryMsg::Sample { batch, draw }).await {
        Ok(sample) => Ok(sample.outcome.is_some()),
        // It was there when the seat was given: it was closed and swept.
        Err(ChainError::Query { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Samples that may be closed by now: the window after the one of their commitments, in which they are revealed, is over.
async fn due(store: &Store, now: u64, window: u64) -> Result<Vec<SampleKey>, StoreError> {
    let rows = sqlx::query(
        r#"SELECT batch, draw FROM jobs
           WHERE evidence IS NOT NULL AND kept_until <= ?1 AND deadline <= ?2
           AND state IN ('confirmed', 'expired', 'abstained')
           AND (outcome IS NULL OR (outcome <> '"malformed"' AND outcome NOT LIKE '{"invalid":%'))
           ORDER BY kept_until, id LIMIT ?3"#,
    )
    .bind(stored(now)?)
    .bind(stored(now.saturating_sub(window))?)
    .bind(AT_ONCE)
    .fetch_all(&store.pool)
    .await?;
    rows.iter().map(jobs::key).collect()
}

async fn forget(store: &Store, key: SampleKey) -> Result<(), StoreError> {
    sqlx::query("UPDATE jobs SET evidence = NULL WHERE batch = ? AND draw = ?")
        .bind(stored(key.batch.0)?)
        .bind(key.draw)
        .execute(&store.pool)
        .await?;
    tracing::debug!(job.batch = key.batch.0, job.draw = key.draw, "keep.forgotten");
    Ok(())
}

async fn postpone(store: &Store, key: SampleKey, until: u64) -> Result<(), StoreError> {
    sqlx::query("UPDATE jobs SET kept_until = ? WHERE batch = ? AND draw = ?")
        .bind(stored(until)?)
        .bind(stored(key.batch.0)?)
        .bind(key.draw)
        .execute(&store.pool)
        .await?;
    Ok(())
}
