//! Queries and events over a node's RPC; the websocket is only [a wake-up call](Chain::wake_on_blocks).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_common::digest::Domain;
use assay_common::event::{Event, EventError};
use assay_common::msg::{ClockResponse, QueryMsg};
use backon::{ExponentialBuilder, Retryable};
use cosmos_sdk_proto::cosmwasm::wasm::v1::{QuerySmartContractStateRequest, QuerySmartContractStateResponse};
use futures::StreamExt;
use prost::Message;
use serde::de::DeserializeOwned;
use tendermint_rpc::client::CompatMode;
use tendermint_rpc::error::ErrorDetail;
use tendermint_rpc::query::EventType;
use tendermint_rpc::{
    Client, HttpClient, HttpClientUrl, SubscriptionClient, WebSocketClient, WebSocketClientUrl,
};
use tokio::sync::Notify;

use crate::config::ChainConfig;

/// Limit of one request to the node.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts of one read before the caller learns that the node is out of reach.
const READ_ATTEMPTS: usize = 3;

/// Why something could not be read from the chain.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    #[error("{rpc} is no HTTP address of a node: {reason}")]
    Address { rpc: String, reason: String },
    // The client's error would print a backtrace as its source, so only its text is kept.
    #[error("the node {rpc} does not answer {call}: {reason}")]
    Unreachable { rpc: String, call: &'static str, reason: String },
    #[error("the node {rpc} is still syncing, at height {height}; start again when it has caught up")]
    Syncing { rpc: String, height: u64 },
    #[error("the node is on chain {found}, the configuration says {expected}")]
    WrongChain { expected: String, found: String },
    #[error("the node {rpc} keeps no index of transactions; set `indexer = \"kv\"` in its config.toml")]
    NoIndex { rpc: String },
    #[error("the chain refuses the query {path} with code {code}: {log}")]
    Query { path: String, code: u32, log: String },
    #[error("the node refuses {call}: {reason}")]
    Refused { call: &'static str, reason: String },
    #[error("the answer to {path} cannot be read: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("the contract's events at height {height} cannot be read")]
    Event {
        height: u64,
        #[source]
        source: EventError,
    },
}

impl ChainError {
    /// Whether the node could not be asked at all: nothing follows about anybody but ourselves.
    pub fn is_outage(&self) -> bool {
        matches!(self, ChainError::Unreachable { .. })
    }
}

/// A node of the chain and the contract on it. Clones share one connection pool.
#[derive(Clone)]
pub struct Chain {
    http: HttpClient,
    rpc: Arc<str>,
    domain: Arc<Domain>,
}

impl Chain {
    /// Connects to a node that follows the right chain and has caught up with it.
    ///
    /// # Errors
    /// It cannot be reached, follows another chain, is still syncing, or keeps no index of transactions.
    pub async fn connect(config: &ChainConfig) -> Result<Self, ChainError> {
        let address = |error: tendermint_rpc::Error| ChainError::Address {
            rpc: config.rpc.clone(),
            reason: format!("{:#}", error.trace()),
        };
        let url: HttpClientUrl = config.rpc.parse().map_err(address)?;
        let http = HttpClient::builder(url)
            .compat_mode(CompatMode::V0_38)
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(address)?;
        let domain = Domain { chain_id: config.chain_id.clone(), contract: config.contract.clone() };
        let chain = Self { http, rpc: config.rpc.as_str().into(), domain: Arc::new(domain) };
        chain.check().await?;
        Ok(chain)
    }

    async fn check(&self) -> Result<(), ChainError> {
        let status = self.read("status", || self.http.status()).await?;
        let found = status.node_info.network.to_string();
        if found != self.domain.chain_id {
            return Err(ChainError::WrongChain { expected: self.domain.chain_id.clone(), found });
        }
        let rpc = self.rpc.to_string();
        if status.sync_info.catching_up {
            return Err(ChainError::Syncing { rpc, height: status.sync_info.latest_block_height.value() });
        }
        if !bool::from(status.node_info.other.tx_index) {
            return Err(ChainError::NoIndex { rpc });
        }
        Ok(())
    }

    /// Chain id and contract, which everything signed is bound to.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Asks the contract.
    ///
    /// # Errors
    /// The node cannot be reached, the contract refuses, or the answer is not a `T`.
    pub async fn query<T: DeserializeOwned>(&self, query: &QueryMsg) -> Result<T, ChainError> {
        let path = "/cosmwasm.wasm.v1.Query/SmartContractState";
        let unreadable = |error: serde_json::Error| ChainError::Unreadable {
            path: path.into(),
            reason: error.to_string(),
        };
        let query_data = serde_json::to_vec(query).map_err(unreadable)?;
        let request = QuerySmartContractStateRequest { address: self.domain.contract.clone(), query_data };
        let answer: QuerySmartContractStateResponse = self.grpc(path, &request).await?;
        serde_json::from_slice(&answer.data).map_err(unreadable)
    }

    /// The chain's time, and the window and epoch it is in.
    ///
    /// # Errors
    /// As [`Chain::query`].
    pub async fn clock(&self) -> Result<ClockResponse, ChainError> {
        self.query(&QueryMsg::Clock {}).await
    }

    /// Asks any module of the chain, such as `/cosmos.bank.v1beta1.Query/Balance`.
    ///
    /// # Errors
    /// The node cannot be reached, the module refuses, or the answer is not an `A`.
    pub async fn grpc<Q: Message, A: Message + Default>(
        &self,
        path: &str,
        request: &Q,
    ) -> Result<A, ChainError> {
        let bytes = request.encode_to_vec();
        let ask = || self.http.abci_query(Some(path.to_string()), bytes.clone(), None, false);
        let answer = self.read("abci_query", ask).await?;
        if answer.code.is_err() {
            return Err(ChainError::Query { path: path.into(), code: answer.code.value(), log: answer.log });
        }
        A::decode(answer.value.as_slice())
            .map_err(|error| ChainError::Unreadable { path: path.into(), reason: error.to_string() })
    }

    /// Height of the last block whose results and state can be read.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub async fn height(&self) -> Result<u64, ChainError> {
        let info = self.read("abci_info", || self.http.abci_info()).await?;
        Ok(info.last_block_height.value())
    }

    /// Height of the oldest block that the node still has.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub async fn earliest_height(&self) -> Result<u64, ChainError> {
        let status = self.read("status", || self.http.status()).await?;
        Ok(status.sync_info.earliest_block_height.value())
    }

    /// What the contract said in one block, in order; failed transactions say nothing.
    ///
    /// # Errors
    /// The node cannot be reached or does not have the block, or an event of the contract cannot be read.
    pub async fn events(&self, height: u64) -> Result<Vec<Event>, ChainError> {
        let at = u32::try_from(height).map_err(|_| ChainError::Refused {
            call: "block_results",
            reason: format!("no height {height}"),
        })?;
        let results = self.read("block_results", || self.http.block_results(at)).await?;
        let transactions = results.txs_results.unwrap_or_default();
        let executed = transactions.iter().filter(|tx| tx.code.is_ok()).flat_map(|tx| &tx.events);
        let all = executed.chain(&results.finalize_block_events);
        self.decode(all, height)
    }

    pub(super) fn decode<'a>(
        &self,
        events: impl Iterator<Item = &'a tendermint::abci::Event>,
        height: u64,
    ) -> Result<Vec<Event>, ChainError> {
        let contract = &self.domain.contract;
        let mut ours = Vec::new();
        for event in events {
            let attributes = attributes(event);
            if attributes.get("_contract_address") != Some(contract) {
                continue;
            }
            let event = Event::decode(&event.kind, &attributes)
                .map_err(|source| ChainError::Event { height, source })?;
            ours.extend(event);
        }
        Ok(ours)
    }

    /// Reads with a few attempts: a node that restarts or a connection that was dropped costs a moment, no more.
    async fn read<T, F, Fut>(&self, call: &'static str, ask: F) -> Result<T, ChainError>
    where
        F: FnMut() -> Fut,
        Fut: std::future::Future<Output = Result<T, tendermint_rpc::Error>>,
    {
        let retries = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_times(READ_ATTEMPTS - 1);
        let answer = ask.retry(retries).when(|error| !is_answer(error)).await;
        answer.map_err(|error| self.error(call, error))
    }

    pub(super) fn error(&self, call: &'static str, error: tendermint_rpc::Error) -> ChainError {
        match error.detail() {
            ErrorDetail::Response(response) => {
                ChainError::Refused { call, reason: response.source.to_string() }
            }
            // Its trace names the cause too.
            _ => {
                let reason = format!("{:#}", error.trace());
                ChainError::Unreachable { rpc: self.rpc.to_string(), call, reason }
            }
        }
    }

    pub(super) fn http(&self) -> &HttpClient {
        &self.http
    }

    /// Notifies `wake` at every new block until the subscription ends, which says nothing about the chain.
    ///
    /// # Errors
    /// The websocket cannot be had, or broke.
    pub async fn wake_on_blocks(&self, wake: &Notify) -> Result<(), ChainError> {
        let failed = |error| self.error("websocket", error);
        let address = format!("{}/websocket", self.rpc.trim_end_matches('/').replacen("http", "ws", 1));
        let url: WebSocketClientUrl = address.parse().map_err(failed)?;
        let builder = WebSocketClient::builder(url).compat_mode(CompatMode::V0_38);
        let (client, driver) = builder.build().await.map_err(failed)?;
        let listen = async {
            let mut blocks = client.subscribe(EventType::NewBlock.into()).await.map_err(failed)?;
            while let Some(block) = blocks.next().await {
                block.map_err(failed)?;
                wake.notify_one();
            }
            Ok(())
        };
        tokio::select! {
            ended = driver.run() => ended.map_err(failed),
            ended = listen => ended,
        }
    }
}

/// Whether the node answered, if only to refuse.
fn is_answer(error: &tendermint_rpc::Error) -> bool {
    matches!(error.detail(), ErrorDetail::Response(_))
}

/// Keys and values that are text; the contract writes no others.
fn attributes(event: &tendermint::abci::Event) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    event.attributes.iter().map(|a| (text(a.key_bytes()), text(a.value_bytes()))).collect()
}
