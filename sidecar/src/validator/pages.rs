//! The stored pages of verdicts: what is on a page never changes once it is made, only how far it has come.

use assay_common::ids::Window;
use assay_common::judge::Report;
use assay_common::verdict::{Outcome, Verdict};
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::jobs::{json, key, log, State};
use crate::chain::Pending;
use crate::store::{loaded, stored, Store, StoreError};

/// How far a page has come; the text is what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    Assembled,
    /// A commitment is stored and may be in the mempool.
    Committing,
    Committed,
    /// A reveal is stored and may be in the mempool.
    Revealing,
    Revealed,
    /// Its time passed first.
    Expired,
}

impl PageState {
    pub fn name(self) -> &'static str {
        match self {
            PageState::Assembled => "assembled",
            PageState::Committing => "committing",
            PageState::Committed => "committed",
            PageState::Revealing => "revealing",
            PageState::Revealed => "revealed",
            PageState::Expired => "expired",
        }
    }

    fn from_name(name: &str) -> Result<Self, StoreError> {
        let all = [
            PageState::Assembled,
            PageState::Committing,
            PageState::Committed,
            PageState::Revealing,
            PageState::Revealed,
            PageState::Expired,
        ];
        let found = all.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| StoreError::Unreadable { what: "a page's state", reason: name.into() })
    }

    /// Where the jobs of such a page stand.
    fn of_jobs(self) -> State {
        match self {
            PageState::Assembled => State::Judged,
            PageState::Committing | PageState::Committed | PageState::Revealing => State::Submitted,
            PageState::Revealed => State::Confirmed,
            PageState::Expired => State::Expired,
        }
    }
}

/// Verdicts that are committed to and revealed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPage {
    /// In which its samples were drawn.
    pub window: Window,
    pub page: u32,
    pub verdicts: Vec<Verdict>,
    pub state: PageState,
    /// The transaction under way.
    pub pending: Option<Pending>,
}

/// Puts the judged jobs of a window that belong on its next page on that page; `None` where there are none.
///
/// A page is made once: what is judged after that is too late for it.
///
/// # Errors
/// The store fails.
pub async fn assemble(store: &Store, window: Window) -> Result<Option<StoredPage>, StoreError> {
    let mut tx = store.begin().await?;
    let at = stored(window.0)?;
    let next: Option<u32> = sqlx::query_scalar(
        "SELECT MIN(seat_page) FROM jobs
         WHERE draw_window = ?1 AND state = 'judged'
         AND seat_page NOT IN (SELECT page FROM pages WHERE draw_window = ?1)",
    )
    .bind(at)
    .fetch_one(&mut *tx)
    .await?;
    let Some(page) = next else { return Ok(None) };
    let verdicts = of_page(&mut tx, at, page).await?;
    sqlx::query("INSERT INTO pages (draw_window, page, verdicts) VALUES (?, ?, ?)")
        .bind(at)
        .bind(page)
        .bind(json(&verdicts)?)
        .execute(&mut *tx)
        .await?;
    for verdict in &verdicts {
        sqlx::query("UPDATE jobs SET page = ? WHERE batch = ? AND draw = ?")
            .bind(page)
            .bind(stored(verdict.batch.0)?)
            .bind(verdict.draw)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    tracing::info!(page.window = window.0, page.number = page, verdicts = verdicts.len(), "page.assembled");
    Ok(Some(StoredPage { window, page, verdicts, state: PageState::Assembled, pending: None }))
}

async fn of_page(
    tx: &mut Transaction<'static, Sqlite>,
    window: i64,
    page: u32,
) -> Result<Vec<Verdict>, StoreError> {
    let rows = sqlx::query(
        "SELECT batch, draw, outcome, report FROM jobs
         WHERE draw_window = ? AND state = 'judged' AND seat_page = ?
         ORDER BY batch, draw",
    )
    .bind(window)
    .bind(page)
    .fetch_all(&mut **tx)
    .await?;
    let verdict = |row: &SqliteRow| -> Result<Verdict, StoreError> {
        let sample = key(row)?;
        let outcome: Outcome = parsed(row.try_get("outcome")?)?;
        let report: Option<Report> = row.try_get::<Option<&str>, _>("report")?.map(parsed).transpose()?;
        let score = report.filter(|_| outcome.needs_score()).map(|report| report.score());
        Ok(Verdict { batch: sample.batch, draw: sample.draw, outcome, score })
    };
    rows.iter().map(verdict).collect()
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Unreadable { what: "a verdict", reason: error.to_string() })
}

/// Pages that are neither revealed nor expired, the oldest first.
///
/// # Errors
/// The store fails.
pub async fn unfinished(store: &Store) -> Result<Vec<StoredPage>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM pages WHERE state NOT IN ('revealed', 'expired') ORDER BY draw_window, page",
    )
    .fetch_all(&store.pool)
    .await?;
    rows.iter().map(page).collect()
}

/// Moves a page and its jobs on if it still stands at `page.state`; whether it did.
///
/// # Errors
/// The store fails.
pub async fn advance(
    store: &Store,
    page: &StoredPage,
    to: PageState,
    pending: Option<&Pending>,
) -> Result<bool, StoreError> {
    let mut tx = store.begin().await?;
    let timeout = pending.map(|pending| stored(pending.timeout_height)).transpose()?;
    let window = stored(page.window.0)?;
    let done = sqlx::query(
        "UPDATE pages SET state = ?, tx_hash = ?, tx_timeout = ?
         WHERE draw_window = ? AND page = ? AND state = ?",
    )
    .bind(to.name())
    .bind(pending.map(|pending| pending.hash.as_str()))
    .bind(timeout)
    .bind(window)
    .bind(page.page)
    .bind(page.state.name())
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let jobs = to.of_jobs();
    let moved = sqlx::query(
        "UPDATE jobs SET state = ?1
         WHERE draw_window = ?2 AND page = ?3 AND state <> ?1 RETURNING batch, draw",
    )
    .bind(jobs.name())
    .bind(window)
    .bind(page.page)
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let hash = pending.map_or("", |pending| &pending.hash);
    let (number, state) = (page.page, to.name());
    tracing::info!(page.window = page.window.0, page.number = number, page.state = state, hash, "page.moved");
    for row in &moved {
        log(key(row)?, jobs, &format_args!("page {} of window {}", page.page, page.window));
    }
    Ok(true)
}

fn page(row: &SqliteRow) -> Result<StoredPage, StoreError> {
    let verdicts: String = row.try_get("verdicts")?;
    let verdicts = serde_json::from_str(&verdicts)
        .map_err(|error| StoreError::Unreadable { what: "a page's verdicts", reason: error.to_string() })?;
    let (hash, timeout): (Option<String>, Option<i64>) =
        (row.try_get("tx_hash")?, row.try_get("tx_timeout")?);
    let pending = match (hash, timeout) {
        (Some(hash), Some(timeout)) => Some(Pending { hash, timeout_height: loaded(timeout)? }),
        _ => None,
    };
    Ok(StoredPage {
        window: Window(loaded(row.try_get("draw_window")?)?),
        page: row.try_get("page")?,
        verdicts,
        state: PageState::from_name(row.try_get("state")?)?,
        pending,
    })
}
