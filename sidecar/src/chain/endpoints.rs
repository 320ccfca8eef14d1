//! The chain's nodes that may be asked: one is in use, and while it is out of reach the next that is fit takes its place.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tendermint_rpc::client::CompatMode;
use tendermint_rpc::endpoint::broadcast::tx_sync::Response as Broadcast;
use tendermint_rpc::error::ErrorDetail;
use tendermint_rpc::{Client, HttpClient, HttpClientUrl};

use super::rpc::ChainError;
use crate::config::ChainConfig;

/// Limit of one request to a node.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts of one read before a node counts as out of reach.
const READ_ATTEMPTS: usize = 3;
/// Code of the SDK (types/errors): the mempool has this transaction already.
const ALREADY_IN_MEMPOOL: u32 = 19;

/// One node's RPC.
pub(super) struct Endpoint {
    pub(super) rpc: String,
    http: HttpClient,
}

/// All nodes that are configured. Clones share which of them is in use.
#[derive(Clone)]
pub(super) struct Endpoints {
    /// In the order in which they take each other's place; never empty.
    all: Arc<[Endpoint]>,
    in_use: Arc<AtomicUsize>,
    chain_id: Arc<str>,
}

impl Endpoints {
    /// Takes up the first node that answers.
    ///
    /// # Errors
    /// None can be reached, or the first that can follows another chain, is still syncing or keeps no index.
    pub async fn connect(config: &ChainConfig) -> Result<Self, ChainError> {
        let all: Result<Vec<Endpoint>, ChainError> = config.rpcs().map(Endpoint::new).collect();
        let endpoints = Self {
            all: all?.into(),
            in_use: Arc::new(AtomicUsize::new(0)),
            chain_id: config.chain_id.as_str().into(),
        };
        match endpoints.all[0].check(&endpoints.chain_id).await {
            Err(outage) if outage.is_outage() => {
                endpoints.fail_over(0, &outage).await.ok_or(outage)?;
            }
            checked => checked?,
        }
        Ok(endpoints)
    }

    pub fn in_use(&self) -> &Endpoint {
        &self.all[self.index()]
    }

    fn index(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Asks the node in use, and while nodes are out of reach each further one.
    ///
    /// # Errors
    /// No node can be reached, or the one that was refuses.
    pub async fn read<T, F, Fut>(&self, call: &'static str, ask: F) -> Result<T, ChainError>
    where
        F: Fn(HttpClient) -> Fut,
        Fut: Future<Output = Result<T, tendermint_rpc::Error>>,
    {
        let mut at = self.index();
        // Nodes that come and go do not keep a caller for ever.
        for _ in 1..self.all.len() {
            match self.all[at].read(call, &ask).await {
                Err(outage) if outage.is_outage() => {
                    at = self.fail_over(at, &outage).await.ok_or(outage)?;
                }
                answer => return answer,
            }
        }
        self.all[at].read(call, &ask).await
    }

    /// Hands a transaction to the mempool.
    ///
    /// # Errors
    /// [`ChainError::Unreachable`]: a node broke off, so it may or may not be in the mempool.
    pub async fn broadcast(&self, bytes: Vec<u8>) -> Result<Broadcast, ChainError> {
        let first = self.index();
        let outage = match self.all[first].broadcast(bytes.clone()).await {
            Err(outage) if outage.is_outage() => outage,
            answer => return answer,
        };
        let Some(next) = self.fail_over(first, &outage).await else { return Err(outage) };
        match self.all[next].broadcast(bytes).await {
            Ok(answer) if is_taken(&answer) => Ok(answer),
            // It may refuse because the first node has passed the transaction on: that proves nothing.
            Ok(_) | Err(_) => Err(outage),
        }
    }

    /// The next fit node after `from`, from now on in use; `None`: there is none.
    async fn fail_over(&self, from: usize, outage: &ChainError) -> Option<usize> {
        let already = self.index();
        if already != from {
            return Some(already);
        }
        for step in 1..self.all.len() {
            let at = (from + step) % self.all.len();
            let (lost, next) = (&self.all[from].rpc, &self.all[at]);
            match next.check(&self.chain_id).await {
                Ok(()) => {
                    self.in_use.store(at, Ordering::Relaxed);
                    tracing::warn!(chain.lost = lost, chain.rpc = next.rpc, %outage, "chain.failed_over");
                    return Some(at);
                }
                Err(error) => tracing::warn!(chain.rpc = next.rpc, %error, "chain.fallback_unfit"),
            }
        }
        None
    }
}

impl Endpoint {
    fn new(rpc: &str) -> Result<Self, ChainError> {
        let address = |error: tendermint_rpc::Error| ChainError::Address {
            rpc: rpc.into(),
            reason: format!("{:#}", error.trace()),
        };
        let url: HttpClientUrl = rpc.parse().map_err(address)?;
        let builder = HttpClient::builder(url).compat_mode(CompatMode::V0_38).timeout(REQUEST_TIMEOUT);
        Ok(Self { rpc: rpc.into(), http: builder.build().map_err(address)? })
    }

    /// Whether this node follows the right chain, has caught up with it, and finds transactions.
    async fn check(&self, chain_id: &str) -> Result<(), ChainError> {
        let status = self.read("status", &|http: HttpClient| async move { http.status().await }).await?;
        let rpc = self.rpc.clone();
        let found = status.node_info.network.to_string();
        if found != chain_id {
            return Err(ChainError::WrongChain { rpc, expected: chain_id.into(), found });
        }
        if status.sync_info.catching_up {
            return Err(ChainError::Syncing { rpc, height: status.sync_info.latest_block_height.value() });
        }
        if !bool::from(status.node_info.other.tx_index) {
            return Err(ChainError::NoIndex { rpc });
        }
        Ok(())
    }

    /// Reads with a few attempts: a node that restarts or a connection that was dropped costs a moment, no more.
    async fn read<T, F, Fut>(&self, call: &'static str, ask: &F) -> Result<T, ChainError>
    where
        F: Fn(HttpClient) -> Fut,
        Fut: Future<Output = Result<T, tendermint_rpc::Error>>,
    {
        let retries = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_times(READ_ATTEMPTS - 1);
        let ask = || ask(self.http.clone());
        let answer = ask.retry(retries).when(|error| !is_answer(error)).await;
        answer.map_err(|error| self.error(call, error))
    }

    async fn broadcast(&self, bytes: Vec<u8>) -> Result<Broadcast, ChainError> {
        let answer = self.http.broadcast_tx_sync(bytes).await;
        answer.map_err(|error| self.error("broadcast_tx_sync", error))
    }

    pub fn error(&self, call: &'static str, error: tendermint_rpc::Error) -> ChainError {
        match error.detail() {
            ErrorDetail::Response(response) => {
                ChainError::Refused { call, reason: response.source.to_string() }
            }
            // Its trace names the cause too.
            _ => {
                let reason = format!("{:#}", error.trace());
                ChainError::Unreachable { rpc: self.rpc.clone(), call, reason }
            }
        }
    }
}

/// Whether the mempool has the transaction.
pub(super) fn is_taken(answer: &Broadcast) -> bool {
    matches!(answer.code.value(), 0 | ALREADY_IN_MEMPOOL)
}

/// Whether the node answered, if only to refuse.
pub(super) fn is_answer(error: &tendermint_rpc::Error) -> bool {
    matches!(error.detail(), ErrorDetail::Response(_))
}
