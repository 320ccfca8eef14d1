//! The executor's batches as stored: at most one in flight, and where each inference lies.

use assay_common::ids::{BatchId, BatchRoot, InferenceId, ModelDigest};
use assay_common::msg::Claim;

use super::inferences::{digest, leaf, receipt, Inferences, InferencesError, ReceiptRow};
use crate::chain::tx::Pending;
use crate::store::{loaded, stored};

/// A batch before it is stored; the members are in the order of their leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBatch {
    pub model: ModelDigest,
    pub root: BatchRoot,
    pub claims: Vec<Claim>,
    pub members: Vec<InferenceId>,
}

/// The one batch whose fate is open.
#[derive(Clone, Debug)]
pub struct InFlight {
    pub number: i64,
    pub model: ModelDigest,
    pub root: BatchRoot,
    pub claims: Vec<Claim>,
    /// The transaction that carries it, once there is one.
    pub sent: Option<Pending>,
}

/// Where a batch holds an inference.
#[derive(Clone, Debug)]
pub struct Place {
    /// The chain's id, once it is known.
    pub batch: Option<BatchId>,
    pub index: usize,
    /// Every leaf of the batch, hashed.
    pub leaves: Vec<[u8; 32]>,
}

type FlightRow = (i64, Vec<u8>, Vec<u8>, String, Option<String>, Option<i64>);

impl Inferences {
    /// Stores a batch and its members' places, before anything of it is sent.
    pub async fn store_batch(&self, batch: &NewBatch) -> Result<i64, InferencesError> {
        let claims = serde_json::to_string(&batch.claims).expect("claims are plain data");
        let mut tx = self.store.begin().await?;
        let number = sqlx::query(
            "INSERT INTO executor_batches (model, root, claims, state) VALUES (?, ?, ?, 'built')",
        )
        .bind(&batch.model.0[..])
        .bind(&batch.root.0[..])
        .bind(claims)
        .execute(&mut *tx)
        .await?
        .last_insert_rowid();
        for (leaf, member) in (0i64..).zip(&batch.members) {
            let placed = sqlx::query(
                "UPDATE executor_inferences SET batch = ?, leaf = ? WHERE id = ? AND batch IS NULL AND given_up IS NULL",
            )
            .bind(number)
            .bind(leaf)
            .bind(&member.0[..])
            .execute(&mut *tx)
            .await?;
            if placed.rows_affected() != 1 {
                return Err(InferencesError::NotWaiting { id: *member });
            }
        }
        tx.commit().await?;
        Ok(number)
    }

    pub async fn in_flight(&self) -> Result<Option<InFlight>, InferencesError> {
        let row: Option<FlightRow> = sqlx::query_as(
            "SELECT number, model, root, claims, CASE state WHEN 'sent' THEN tx_hash END, timeout_height
             FROM executor_batches WHERE state IN ('built', 'sent')",
        )
        .fetch_optional(&self.store.pool)
        .await?;
        let Some((number, model, root, claims, hash, timeout_height)) = row else { return Ok(None) };
        let sent = match (hash, timeout_height) {
            (Some(hash), Some(height)) => Some(Pending { hash, timeout_height: loaded(height)? }),
            _ => None,
        };
        Ok(Some(InFlight {
            number,
            model: ModelDigest(digest(&model)?),
            root: BatchRoot(digest(&root)?),
            claims: serde_json::from_str(&claims).map_err(|_| InferencesError::Unreadable {
                what: "a list of claims",
                found: claims.clone(),
            })?,
            sent,
        }))
    }

    /// Notes the transaction of a batch, before it is broadcast.
    pub async fn sent(&self, number: i64, pending: &Pending) -> Result<(), InferencesError> {
        let done = sqlx::query(
            "UPDATE executor_batches SET state = 'sent', tx_hash = ?, timeout_height = ?
             WHERE number = ? AND state = 'built'",
        )
        .bind(&pending.hash)
        .bind(stored(pending.timeout_height)?)
        .bind(number)
        .execute(&self.store.pool)
        .await?;
        moved(done.rows_affected(), number, "built")
    }

    /// The transaction is gone for ever; the batch may be sent again.
    pub async fn expired(&self, number: i64) -> Result<(), InferencesError> {
        let done =
            sqlx::query("UPDATE executor_batches SET state = 'built' WHERE number = ? AND state = 'sent'")
                .bind(number)
                .execute(&self.store.pool)
                .await?;
        moved(done.rows_affected(), number, "sent")
    }

    pub async fn committed(&self, number: i64, batch: BatchId) -> Result<(), InferencesError> {
        let done = sqlx::query(
            "UPDATE executor_batches SET state = 'committed', batch = ? WHERE number = ? AND state = 'sent'",
        )
        .bind(stored(batch.0)?)
        .bind(number)
        .execute(&self.store.pool)
        .await?;
        moved(done.rows_affected(), number, "sent")
    }

    /// Ends a batch that the contract refused, and lets its members wait for another.
    pub async fn rejected(&self, number: i64, reason: &str) -> Result<(), InferencesError> {
        let mut tx = self.store.begin().await?;
        let done = sqlx::query(
            "UPDATE executor_batches SET state = 'rejected', reason = ?
             WHERE number = ? AND state IN ('built', 'sent')",
        )
        .bind(reason)
        .bind(number)
        .execute(&mut *tx)
        .await?;
        moved(done.rows_affected(), number, "in flight")?;
        sqlx::query("UPDATE executor_inferences SET batch = NULL, leaf = NULL WHERE batch = ?")
            .bind(number)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// The batch that holds an inference, with all its leaves; `None` where it waits for one.
    pub async fn place(&self, id: &InferenceId) -> Result<Option<Place>, InferencesError> {
        let row: Option<(i64, i64, Option<i64>)> = sqlx::query_as(
            "SELECT b.number, i.leaf, b.batch FROM executor_inferences i
             JOIN executor_batches b ON b.number = i.batch WHERE i.id = ?",
        )
        .bind(&id.0[..])
        .fetch_optional(&self.store.pool)
        .await?;
        let Some((number, index, batch)) = row else { return Ok(None) };
        let members: Vec<ReceiptRow> = sqlx::query_as(
            "SELECT id, request, tokens, rows FROM executor_inferences WHERE batch = ? ORDER BY leaf",
        )
        .bind(number)
        .fetch_all(&self.store.pool)
        .await?;
        let leaves = members.into_iter().map(|row| Ok(leaf(&receipt(row)?)));
        Ok(Some(Place {
            batch: batch.map(|batch| loaded(batch).map(BatchId)).transpose()?,
            index: usize::try_from(index).map_err(|_| InferencesError::Unreadable {
                what: "a leaf number",
                found: index.to_string(),
            })?,
            leaves: leaves.collect::<Result<_, InferencesError>>()?,
        }))
    }
}

fn moved(rows: u64, number: i64, expected: &'static str) -> Result<(), InferencesError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(InferencesError::Moved { number, expected })
    }
}
