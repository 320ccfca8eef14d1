//! The executor: it answers requests that a session pays for, keeps every artifact, and commits to them in batches.
//!
//! `admit` decides what may be answered, `desk` gathers and answers, `serve` speaks HTTP, `inferences` and `batches` are
//! the stored state, `plan` lays out a batch and `batch` commits to it on chain.

pub mod admit;
pub mod answer;
pub mod batch;
pub mod batches;
pub mod desk;
pub mod inferences;
pub mod plan;
pub mod serve;

use std::sync::Arc;

use assay_common::msg::QueryMsg;
use futures::future::BoxFuture;
use futures::FutureExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::chain::rpc::{Chain, ChainError};

type Ask = dyn Fn(QueryMsg) -> BoxFuture<'static, Result<Value, ChainError>> + Send + Sync;

/// Queries to the contract: the chain's, or in tests a table's.
#[derive(Clone)]
pub struct Contract(Arc<Ask>);

impl Contract {
    pub fn on(chain: Chain) -> Self {
        Self::answering(move |query| {
            let chain = chain.clone();
            async move { chain.query(&query).await }.boxed()
        })
    }

    /// A contract whose answers `ask` makes.
    pub fn answering(
        ask: impl Fn(QueryMsg) -> BoxFuture<'static, Result<Value, ChainError>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(ask))
    }

    /// # Errors
    /// The chain cannot be reached, the contract refuses, or the answer is not a `T`.
    pub async fn query<T: DeserializeOwned>(&self, query: QueryMsg) -> Result<T, ChainError> {
        let value = (self.0)(query).await?;
        serde_json::from_value(value).map_err(|error| ChainError::Unreadable {
            path: "the contract".into(),
            reason: error.to_string(),
        })
    }
}
