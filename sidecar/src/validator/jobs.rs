//! The stored state of each seat on a jury, and the only ways in which it changes.

use std::time::Duration;

use assay_common::ids::{BatchId, Window};
use assay_common::judge::{Measurement, Report};
use assay_common::msg::SampleKey;
use assay_common::verdict::Outcome;
use serde::de::DeserializeOwned;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::relay::Source;
use super::Case;
use crate::http::ArtifactResponse;
use crate::store::{loaded, stored, Store, StoreError};

/// Where a job stands; the text is what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Drawn, with a seat of ours.
    Sampled,
    /// The committed bytes are here.
    Fetched,
    /// The model has been run along them.
    Recomputed,
    /// There is a verdict; it will never change.
    Judged,
    /// Its page's commitment is on the way to the chain, or there.
    Submitted,
    /// Its page is revealed.
    Confirmed,
    /// There was a verdict, but it was not on the chain in time.
    Expired,
    /// We came to no verdict; the reason is stored.
    Abstained,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Sampled => "sampled",
            State::Fetched => "fetched",
            State::Recomputed => "recomputed",
            State::Judged => "judged",
            State::Submitted => "submitted",
            State::Confirmed => "confirmed",
            State::Expired => "expired",
            State::Abstained => "abstained",
        }
    }

    fn from_name(name: &str) -> Result<Self, StoreError> {
        let all = [
            State::Sampled,
            State::Fetched,
            State::Recomputed,
            State::Judged,
            State::Submitted,
            State::Confirmed,
            State::Expired,
            State::Abstained,
        ];
        let found = all.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| StoreError::Unreadable { what: "a job's state", reason: name.into() })
    }
}

/// A seat of this node on the jury of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    pub key: SampleKey,
    /// Window of the draw.
    pub window: Window,
    /// The page of this juror's verdicts that the contract takes it on.
    pub page: u32,
    /// Second at which the chain takes no more commitments to a verdict on it.
    pub deadline: u64,
}

/// A seat with all that has been learnt so far.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: i64,
    pub seat: Seat,
    pub state: State,
    /// Failed attempts of the step that the state waits for.
    pub attempts: u32,
    pub case: Option<Case>,
    pub evidence: Option<ArtifactResponse>,
    pub measurement: Option<Measurement>,
    pub outcome: Option<Outcome>,
}

/// What a step came to.
#[derive(Debug)]
pub enum Next {
    Fetched {
        case: Case,
        evidence: ArtifactResponse,
        from: Source,
    },
    Recomputed {
        measurement: Measurement,
    },
    Judged {
        case: Case,
        outcome: Outcome,
        report: Option<Report>,
    },
    /// Nothing yet: another attempt after a while.
    Retry {
        after: Duration,
        reason: String,
    },
}

/// Adds seats, each once however often it is seen; returns those that are new.
///
/// # Errors
/// The store fails.
pub async fn insert(tx: &mut Transaction<'static, Sqlite>, seats: &[Seat]) -> Result<Vec<Seat>, StoreError> {
    let mut new = Vec::new();
    for seat in seats {
        let done = sqlx::query(
            "INSERT INTO jobs (batch, draw, draw_window, seat_page, deadline) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (batch, draw) DO NOTHING",
        )
        .bind(stored(seat.key.batch.0)?)
        .bind(seat.key.draw)
        .bind(stored(seat.window.0)?)
        .bind(seat.page)
        .bind(stored(seat.deadline)?)
        .execute(&mut **tx)
        .await?;
        if done.rows_affected() == 1 {
            new.push(*seat);
        }
    }
    Ok(new)
}

/// The last block whose seats are stored; `None` before the first.
///
/// # Errors
/// The store fails.
pub async fn cursor(store: &Store) -> Result<Option<u64>, StoreError> {
    let height: Option<i64> =
        sqlx::query_scalar("SELECT height FROM cursor").fetch_optional(&store.pool).await?;
    height.map(loaded).transpose()
}

/// Stores a block's seats and that the block is done, both or neither.
///
/// # Errors
/// The store fails.
pub async fn record(store: &Store, height: u64, seats: &[Seat]) -> Result<Vec<Seat>, StoreError> {
    let mut tx = store.begin().await?;
    let new = insert(&mut tx, seats).await?;
    sqlx::query(
        "INSERT INTO cursor (id, height) VALUES (1, ?)
         ON CONFLICT (id) DO UPDATE SET height = excluded.height",
    )
    .bind(stored(height)?)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    log_new(&new);
    Ok(new)
}

/// Stores seats that were asked for directly.
///
/// # Errors
/// The store fails.
pub async fn add(store: &Store, seats: &[Seat]) -> Result<Vec<Seat>, StoreError> {
    let mut tx = store.begin().await?;
    let new = insert(&mut tx, seats).await?;
    tx.commit().await?;
    log_new(&new);
    Ok(new)
}

fn log_new(seats: &[Seat]) {
    for seat in seats {
        log(seat.key, State::Sampled, &format_args!("drawn in window {}", seat.window));
    }
}

/// The one line for each change of a job's state.
pub(super) fn log(key: SampleKey, state: State, detail: &dyn std::fmt::Display) {
    let (batch, draw, state) = (key.batch.0, key.draw, state.name());
    tracing::info!(job.batch = batch, job.draw = draw, job.state = state, job.detail = %detail, "job.moved");
}

/// Takes the job with the earliest deadline that a step of the pipeline waits for, until `lease` has passed.
///
/// What has failed before comes after what was not tried yet: one executor that does not answer must not use up the time
/// in which the others' artifacts could be judged.
///
/// # Errors
/// The store fails.
pub async fn claim(store: &Store, now_ms: u64, lease: Duration) -> Result<Option<Job>, StoreError> {
    let row = sqlx::query(
        "UPDATE jobs SET lease_until = ? WHERE id = (
             SELECT id FROM jobs
             WHERE state IN ('sampled', 'fetched', 'recomputed') AND lease_until <= ?
             ORDER BY attempts, deadline, id LIMIT 1)
         RETURNING *",
    )
    .bind(later(now_ms, lease)?)
    .bind(stored(now_ms)?)
    .fetch_optional(&store.pool)
    .await?;
    row.as_ref().map(job).transpose()
}

/// Frees every job: the process that had taken them is no more.
///
/// # Errors
/// The store fails.
pub async fn release(store: &Store) -> Result<(), StoreError> {
    sqlx::query("UPDATE jobs SET lease_until = 0 WHERE lease_until > 0").execute(&store.pool).await?;
    Ok(())
}

/// Moves a job on if it still stands at `from`; whether it did.
///
/// # Errors
/// The store fails.
pub async fn advance(store: &Store, job: &Job, next: &Next, now_ms: u64) -> Result<bool, StoreError> {
    let (state, detail): (State, String) = match next {
        Next::Retry { after, reason } => return postpone(store, job, now_ms, *after, reason).await,
        Next::Fetched { case, evidence, from } => {
            let (inference, bytes) = (case.inference, evidence.artifact.len());
            (State::Fetched, format!("inference {inference}, {bytes} bytes from {from}"))
        }
        Next::Recomputed { measurement } => {
            (State::Recomputed, format!("{} positions", measurement.positions.len()))
        }
        Next::Judged { case, outcome, .. } => {
            (State::Judged, format!("inference {}, {outcome:?}", case.inference))
        }
    };
    let (case, evidence, measurement, outcome, report) = match next {
        Next::Fetched { case, evidence, .. } => (Some(json(case)?), Some(json(evidence)?), None, None, None),
        Next::Recomputed { measurement } => (None, None, Some(json(measurement)?), None, None),
        Next::Judged { case, outcome, report } => {
            let report = report.as_ref().map(json).transpose()?;
            (Some(json(case)?), None, None, Some(json(outcome)?), report)
        }
        Next::Retry { .. } => (None, None, None, None, None),
    };
    let done = sqlx::query(
        "UPDATE jobs SET state = ?, lease_until = 0, attempts = 0, reason = NULL,
             subject = COALESCE(?, subject), evidence = COALESCE(?, evidence),
             measurement = COALESCE(?, measurement), outcome = COALESCE(outcome, ?), report = COALESCE(report, ?)
         WHERE id = ? AND state = ?",
    )
    .bind(state.name())
    .bind(case)
    .bind(evidence.map(String::into_bytes))
    .bind(measurement)
    .bind(outcome)
    .bind(report)
    .bind(job.id)
    .bind(job.state.name())
    .execute(&store.pool)
    .await?;
    let moved = done.rows_affected() == 1;
    if moved {
        log(job.seat.key, state, &detail);
    }
    Ok(moved)
}

async fn postpone(
    store: &Store,
    job: &Job,
    now_ms: u64,
    after: Duration,
    reason: &str,
) -> Result<bool, StoreError> {
    let key = job.seat.key;
    tracing::debug!(job.batch = key.batch.0, job.draw = key.draw, job.after = ?after, reason, "job.retried");
    let done = sqlx::query(
        "UPDATE jobs SET lease_until = ?, attempts = attempts + 1, reason = ? WHERE id = ? AND state = ?",
    )
    .bind(later(now_ms, after)?)
    .bind(reason)
    .bind(job.id)
    .bind(job.state.name())
    .execute(&store.pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Jobs of a window without a verdict.
///
/// # Errors
/// The store fails.
pub async fn unjudged(store: &Store, window: Window) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM jobs
         WHERE draw_window = ? AND state IN ('sampled', 'fetched', 'recomputed')",
    )
    .bind(stored(window.0)?)
    .fetch_one(&store.pool)
    .await?;
    loaded(count)
}

/// Ends the jobs whose deadline has passed: without a verdict as abstained, with one on no page as expired.
///
/// # Errors
/// The store fails.
pub async fn expire(store: &Store, chain_now: u64) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "UPDATE jobs SET
             state = CASE state WHEN 'judged' THEN 'expired' ELSE 'abstained' END,
             reason = COALESCE(reason, 'the commit window ended first')
         WHERE deadline <= ? AND page IS NULL AND state IN ('sampled', 'fetched', 'recomputed', 'judged')
         RETURNING batch, draw, state, reason",
    )
    .bind(stored(chain_now)?)
    .fetch_all(&store.pool)
    .await?;
    for row in rows {
        let state = State::from_name(row.try_get("state")?)?;
        log(key(&row)?, state, &row.try_get::<String, _>("reason")?);
    }
    Ok(())
}

pub(crate) fn job(row: &SqliteRow) -> Result<Job, StoreError> {
    let seat = Seat {
        key: key(row)?,
        window: Window(loaded(row.try_get("draw_window")?)?),
        page: row.try_get("seat_page")?,
        deadline: loaded(row.try_get("deadline")?)?,
    };
    let evidence: Option<Vec<u8>> = row.try_get("evidence")?;
    let evidence = evidence
        .map(|bytes| serde_json::from_slice(&bytes))
        .transpose()
        .map_err(|error| StoreError::Unreadable { what: "evidence", reason: error.to_string() })?;
    Ok(Job {
        id: row.try_get("id")?,
        seat,
        state: State::from_name(row.try_get("state")?)?,
        attempts: row.try_get("attempts")?,
        case: parsed(row, "subject")?,
        evidence,
        measurement: parsed(row, "measurement")?,
        outcome: parsed(row, "outcome")?,
    })
}

/// Which sample a row is about.
pub(super) fn key(row: &SqliteRow) -> Result<SampleKey, StoreError> {
    Ok(SampleKey { batch: BatchId(loaded(row.try_get("batch")?)?), draw: row.try_get("draw")? })
}

fn parsed<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.try_get(column)?;
    let value = text.as_deref().map(serde_json::from_str).transpose();
    value.map_err(|error| StoreError::Unreadable { what: column, reason: error.to_string() })
}

pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Unreadable { what: "a value to be stored", reason: error.to_string() })
}

fn later(now_ms: u64, by: Duration) -> Result<i64, StoreError> {
    stored(now_ms.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
}
