//! The executor's answers as stored: one receipt an inference, ever.

use assay_common::ids::{InferenceId, Nonce, RequestDigest, RowsRoot, SessionId, TokensDigest};
use assay_common::merkle::leaf_hash;
use assay_common::session::{batch_leaf, Receipt};

use crate::store::{loaded, stored, Store, StoreError};

/// Inferences of one executor, its batches beside them. Clones share the database.
#[derive(Clone)]
pub struct Inferences {
    pub(super) store: Store,
}

/// The executor's tables cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum InferencesError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{what} is stored as {found}, which is not one")]
    Unreadable { what: &'static str, found: String },
    #[error("batch {number} is not {expected} any more")]
    Moved { number: i64, expected: &'static str },
    #[error("inference {id} does not wait for a batch any more")]
    NotWaiting { id: InferenceId },
}

impl From<sqlx::Error> for InferencesError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An answer before it is stored.
#[derive(Clone, Debug)]
pub struct NewInference {
    pub session: SessionId,
    pub nonce: Nonce,
    pub receipt: Receipt,
    /// Canonical bytes.
    pub artifact: Vec<u8>,
    pub voucher: Vec<u8>,
}

/// A stored answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub receipt: Receipt,
    pub artifact: Vec<u8>,
    pub voucher: Vec<u8>,
}

/// An answer that waits for its batch, without the artifact itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub session: SessionId,
    pub nonce: Nonce,
    pub receipt: Receipt,
    pub voucher: Vec<u8>,
}

impl Answered {
    /// Its leaf under a batch's root.
    pub fn leaf(&self) -> [u8; 32] {
        leaf(&self.receipt)
    }
}

type StoredRow = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);
type AnsweredRow = (Vec<u8>, i64, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);

impl Inferences {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Stores answers, all or none; one that is already stored stays as it is, whatever the new one says.
    pub async fn insert(&self, answers: &[NewInference], now: u64) -> Result<(), InferencesError> {
        let now = stored(now)?;
        let mut tx = self.store.begin().await?;
        for answer in answers {
            let Receipt { inference, request, tokens, rows } = &answer.receipt;
            sqlx::query(
                "INSERT INTO executor_inferences
                 (id, session, nonce, request, tokens, rows, artifact, voucher, answered_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(&inference.0[..])
            .bind(stored(answer.session.0)?)
            .bind(stored(answer.nonce.0)?)
            .bind(&request.0[..])
            .bind(&tokens.0[..])
            .bind(&rows.0[..])
            .bind(&answer.artifact)
            .bind(&answer.voucher)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    pub async fn get(&self, id: &InferenceId) -> Result<Option<Stored>, InferencesError> {
        let row: Option<StoredRow> = sqlx::query_as(
            "SELECT request, tokens, rows, artifact, voucher FROM executor_inferences WHERE id = ?",
        )
        .bind(&id.0[..])
        .fetch_optional(&self.store.pool)
        .await?;
        let Some((request, tokens, rows, artifact, voucher)) = row else { return Ok(None) };
        let receipt = receipt((id.0.to_vec(), request, tokens, rows))?;
        Ok(Some(Stored { receipt, artifact, voucher }))
    }

    /// Sessions with answers that wait for a batch, the one that waits longest first.
    pub async fn waiting_sessions(&self) -> Result<Vec<SessionId>, InferencesError> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT session FROM executor_inferences WHERE batch IS NULL AND given_up IS NULL
             GROUP BY session ORDER BY min(answered_at), session",
        )
        .fetch_all(&self.store.pool)
        .await?;
        rows.into_iter().map(|(session,)| Ok(SessionId(loaded(session)?))).collect()
    }

    /// The answers of one session that wait for a batch, after a nonce and in their order, `limit` at most.
    pub async fn waiting(
        &self,
        session: SessionId,
        after: Nonce,
        limit: u32,
    ) -> Result<Vec<Answered>, InferencesError> {
        let rows: Vec<AnsweredRow> = sqlx::query_as(
            "SELECT id, nonce, request, tokens, rows, voucher FROM executor_inferences
             WHERE batch IS NULL AND given_up IS NULL AND session = ? AND nonce > ? ORDER BY nonce LIMIT ?",
        )
        .bind(stored(session.0)?)
        .bind(stored(after.0)?)
        .bind(limit)
        .fetch_all(&self.store.pool)
        .await?;
        rows.into_iter().map(|row| answered(session, row)).collect()
    }

    /// Marks the answers of one session that wait for a batch, up to a nonce, as never to be committed.
    pub async fn give_up(&self, session: SessionId, to: Nonce, reason: &str) -> Result<u64, InferencesError> {
        let done = sqlx::query(
            "UPDATE executor_inferences SET given_up = ?
             WHERE batch IS NULL AND given_up IS NULL AND session = ? AND nonce <= ?",
        )
        .bind(reason)
        .bind(stored(session.0)?)
        .bind(i64::try_from(to.0).unwrap_or(i64::MAX))
        .execute(&self.store.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

pub(super) type ReceiptRow = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);

pub(super) fn receipt((id, request, tokens, rows): ReceiptRow) -> Result<Receipt, InferencesError> {
    Ok(Receipt {
        inference: InferenceId(digest(&id)?),
        request: RequestDigest(digest(&request)?),
        tokens: TokensDigest(digest(&tokens)?),
        rows: RowsRoot(digest(&rows)?),
    })
}

/// The leaf of an inference under its batch's root.
pub(super) fn leaf(receipt: &Receipt) -> [u8; 32] {
    leaf_hash(&batch_leaf(&receipt.inference, &receipt.artifact()))
}

fn answered(session: SessionId, row: AnsweredRow) -> Result<Answered, InferencesError> {
    let (id, nonce, request, tokens, rows, voucher) = row;
    let receipt = receipt((id, request, tokens, rows))?;
    Ok(Answered { session, nonce: Nonce(loaded(nonce)?), receipt, voucher })
}

pub(super) fn digest(bytes: &[u8]) -> Result<[u8; 32], InferencesError> {
    bytes.try_into().map_err(|_| InferencesError::Unreadable { what: "a digest", found: hex::encode(bytes) })
}
