//! The stored proofs: what a proof is never changes once it is found, only how far it has come.

use assay_common::ids::Epoch;
use assay_common::msg::SampleKey;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use super::build::{Accusation, Proof};
use crate::chain::Pending;
use crate::http::ArtifactResponse;
use crate::store::{loaded, stored, Store, StoreError};
use crate::validator::{jobs, Case};

/// How far an accusation has come; the text is what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The chain says what is to be sent next.
    Open,
    /// A transaction is stored and may be in the mempool.
    Sent,
    /// The contract accepted it.
    Proven,
    /// It came to nothing; the reason is stored.
    Ended,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Sent => "sent",
            State::Proven => "proven",
            State::Ended => "ended",
        }
    }

    fn from_name(name: &str) -> Result<Self, StoreError> {
        let all = [State::Open, State::Sent, State::Proven, State::Ended];
        let found = all.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| StoreError::Unreadable { what: "an accusation's state", reason: name.into() })
    }

    pub fn is_final(self) -> bool {
        matches!(self, State::Proven | State::Ended)
    }
}

/// A proof and how far it has come.
#[derive(Clone, Debug)]
pub struct Stored {
    pub number: i64,
    pub executor: String,
    pub epoch: Epoch,
    pub proof: Proof,
    pub state: State,
    pub refusals: u32,
    pub reason: Option<String>,
    /// The transaction under way.
    pub pending: Option<Pending>,
}

/// A failed sample whose artifact has not been looked through for a proof.
#[derive(Clone, Debug)]
pub struct Suspect {
    job: i64,
    pub key: SampleKey,
    pub case: Case,
    pub evidence: ArtifactResponse,
}

/// Adds a proof, once however often it is found; returns its number.
///
/// # Errors
/// The store fails.
pub async fn add(store: &Store, accusation: &Accusation) -> Result<i64, StoreError> {
    let mut tx = store.begin().await?;
    let number = insert(&mut tx, accusation).await?;
    tx.commit().await?;
    Ok(number)
}

async fn insert(tx: &mut Transaction<'static, Sqlite>, accusation: &Accusation) -> Result<i64, StoreError> {
    let Accusation { executor, epoch, finding, proof } = accusation;
    let digest = proof.digest();
    let done = sqlx::query(
        "INSERT INTO accusations (digest, executor, epoch, proof) VALUES (?, ?, ?, ?)
         ON CONFLICT (digest) DO NOTHING",
    )
    .bind(&digest.0[..])
    .bind(executor)
    .bind(stored(epoch.0)?)
    .bind(jobs::json(proof)?)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 1 {
        let (batch, index) = proof.leaf();
        tracing::info!(executor, batch = batch.0, index, %finding, "accuse.found");
    }
    let number = sqlx::query_scalar("SELECT number FROM accusations WHERE digest = ?");
    Ok(number.bind(&digest.0[..]).fetch_one(&mut **tx).await?)
}

/// The next failed sample that has not been looked at.
///
/// # Errors
/// The store fails.
pub async fn suspect(store: &Store) -> Result<Option<Suspect>, StoreError> {
    let row = sqlx::query(
        r#"SELECT * FROM jobs WHERE accused = 0
           AND outcome IN ('"malformed"', '{"invalid":{"reason":"replay"}}', '{"invalid":{"reason":"request"}}')
           ORDER BY id LIMIT 1"#,
    )
    .fetch_optional(&store.pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let job = jobs::job(&row)?;
    let missing = |what| StoreError::Unreadable { what, reason: "it is missing".into() };
    Ok(Some(Suspect {
        job: job.id,
        key: job.seat.key,
        case: job.case.ok_or_else(|| missing("the case of a judged job"))?,
        evidence: job.evidence.ok_or_else(|| missing("the artifact of a failed sample"))?,
    }))
}

/// What is kept of a judged sample: the case, and the artifact where it failed; `None` where the store has not both.
///
/// # Errors
/// The store fails.
pub async fn judged(store: &Store, key: SampleKey) -> Result<Option<(Case, ArtifactResponse)>, StoreError> {
    let row = sqlx::query("SELECT * FROM jobs WHERE batch = ? AND draw = ?");
    let row = row.bind(stored(key.batch.0)?).bind(key.draw).fetch_optional(&store.pool).await?;
    let Some(row) = row else { return Ok(None) };
    let job = jobs::job(&row)?;
    Ok(job.case.zip(job.evidence))
}

/// Stores that a failed sample was looked at, and the proof if there is one: both or neither.
///
/// # Errors
/// The store fails.
pub async fn looked(
    store: &Store,
    suspect: &Suspect,
    accusation: Option<&Accusation>,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    if let Some(accusation) = accusation {
        insert(&mut tx, accusation).await?;
    }
    sqlx::query("UPDATE jobs SET accused = 1 WHERE id = ?").bind(suspect.job).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

/// What is to be brought, the oldest first, one for each executor and epoch: no more of them can be condemned.
///
/// # Errors
/// The store fails.
pub async fn unfinished(store: &Store) -> Result<Vec<Stored>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM accusations WHERE number IN (
             SELECT MIN(number) FROM accusations WHERE state IN ('open', 'sent') GROUP BY executor, epoch)
         ORDER BY number",
    )
    .fetch_all(&store.pool)
    .await?;
    rows.iter().map(accusation).collect()
}

/// # Errors
/// The store fails, or has no such accusation.
pub async fn get(store: &Store, number: i64) -> Result<Stored, StoreError> {
    let row = sqlx::query("SELECT * FROM accusations WHERE number = ?").bind(number);
    accusation(&row.fetch_one(&store.pool).await?)
}

/// What changes of an accusation.
#[derive(Debug)]
pub enum Change<'a> {
    /// This transaction is about to be broadcast.
    Sent(&'a Pending),
    /// The transaction was executed, or never will be.
    Resolved,
    /// The contract refused, and may do so a few times.
    Refused(&'a str),
    Proven,
    Ended(&'a str),
}

/// Moves an accusation on if it still stands where it was read; whether it did.
///
/// # Errors
/// The store fails.
pub async fn advance(store: &Store, accusation: &Stored, change: Change<'_>) -> Result<bool, StoreError> {
    let (to, refusals, reason, pending) = match change {
        Change::Sent(pending) => (State::Sent, 0, None, Some(pending)),
        Change::Resolved => (State::Open, 0, None, None),
        Change::Refused(reason) => (State::Open, 1, Some(reason), None),
        Change::Proven => (State::Proven, 0, None, None),
        Change::Ended(reason) => (State::Ended, 0, Some(reason), None),
    };
    let timeout = pending.map(|pending| stored(pending.timeout_height)).transpose()?;
    let done = sqlx::query(
        "UPDATE accusations SET state = ?, refusals = refusals + ?, reason = COALESCE(?, reason),
             tx_hash = ?, tx_timeout = ?
         WHERE number = ? AND state = ?",
    )
    .bind(to.name())
    .bind(refusals)
    .bind(reason)
    .bind(pending.map(|pending| pending.hash.as_str()))
    .bind(timeout)
    .bind(accusation.number)
    .bind(accusation.state.name())
    .execute(&store.pool)
    .await?;
    let moved = done.rows_affected() == 1;
    if moved {
        let (number, state) = (accusation.number, to.name());
        let reason = reason.unwrap_or_default();
        tracing::info!(accusation.number = number, accusation.state = state, reason, "accuse.moved");
    }
    Ok(moved)
}

fn accusation(row: &SqliteRow) -> Result<Stored, StoreError> {
    let proof: String = row.try_get("proof")?;
    let proof = serde_json::from_str(&proof)
        .map_err(|error| StoreError::Unreadable { what: "a proof", reason: error.to_string() })?;
    let (hash, timeout): (Option<String>, Option<i64>) =
        (row.try_get("tx_hash")?, row.try_get("tx_timeout")?);
    let pending = match (hash, timeout) {
        (Some(hash), Some(timeout)) => Some(Pending { hash, timeout_height: loaded(timeout)? }),
        _ => None,
    };
    Ok(Stored {
        number: row.try_get("number")?,
        executor: row.try_get("executor")?,
        epoch: Epoch(loaded(row.try_get("epoch")?)?),
        proof,
        state: State::from_name(row.try_get("state")?)?,
        refusals: row.try_get("refusals")?,
        reason: row.try_get("reason")?,
        pending,
    })
}
