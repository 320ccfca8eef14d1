//! Queries and events over the RPC of the chain's nodes; the websocket is only [a wake-up call](Chain::wake_on_blocks).

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_common::digest::Domain;
use assay_common::event::{Event, EventError};
use assay_common::msg::{ClockResponse, QueryMsg};
use cosmos_sdk_proto::cosmwasm::wasm::v1::{QuerySmartContractStateRequest, QuerySmartContractStateResponse};
use futures::StreamExt;
use prost::Message;
use serde::de::DeserializeOwned;
use tendermint_rpc::client::CompatMode;
use tendermint_rpc::query::EventType;
use tendermint_rpc::{Client, HttpClient, SubscriptionClient, WebSocketClient, WebSocketClientUrl};
use tokio::sync::Notify;

use super::endpoints::Endpoints;
use crate::config::ChainConfig;

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
    #[error("the node {rpc} is on chain {found}, the configuration says {expected}")]
    WrongChain { rpc: String, expected: String, found: String },
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

/// The chain's nodes and the contract on it. Clones share the connections, and the node in use.
#[derive(Clone)]
pub struct Chain {
    endpoints: Endpoints,
    domain: Arc<Domain>,
}

impl Chain {
    /// Connects to a node that follows the right chain and has caught up with it: the first that answers, and from then
    /// on the next whenever one is out of reach.
    ///
    /// # Errors
    /// None can be reached, or the first that can follows another chain, is still syncing, or keeps no index of
    /// transactions.
    pub async fn connect(config: &ChainConfig) -> Result<Self, ChainError> {
        let endpoints = Endpoints::connect(config).await?;
        let domain = Domain { chain_id: config.chain_id.clone(), contract: config.contract.clone() };
        Ok(Self { endpoints, domain: Arc::new(domain) })
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
        let ask = |http: HttpClient| {
            let (path, bytes) = (path.to_string(), bytes.clone());
            async move { http.abci_query(Some(path), bytes, None, false).await }
        };
        let answer = self.endpoints.read("abci_query", ask).await?;
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
        let info = self.endpoints.read("abci_info", |http| async move { http.abci_info().await }).await?;
        Ok(info.last_block_height.value())
    }

    /// Height of the oldest block that the node still has.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub async fn earliest_height(&self) -> Result<u64, ChainError> {
        let status = self.endpoints.read("status", |http| async move { http.status().await }).await?;
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
        let results =
            self.endpoints.read("block_results", |http| async move { http.block_results(at).await }).await?;
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

    pub(super) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Notifies `wake` at every new block until the subscription ends, which says nothing about the chain.
    ///
    /// # Errors
    /// The websocket cannot be had, or broke.
    pub async fn wake_on_blocks(&self, wake: &Notify) -> Result<(), ChainError> {
        let node = self.endpoints.in_use();
        let failed = |error| node.error("websocket", error);
        let address = format!("{}/websocket", node.rpc.trim_end_matches('/').replacen("http", "ws", 1));
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

/// Keys and values that are text; the contract writes no others.
fn attributes(event: &tendermint::abci::Event) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    event.attributes.iter().map(|a| (text(a.key_bytes()), text(a.value_bytes()))).collect()
}
