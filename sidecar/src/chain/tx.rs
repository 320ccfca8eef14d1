//! Transactions: signed, stored by the caller, broadcast, and resolved by hash.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use assay_common::digest::sha256;
use assay_common::event::Event;
use assay_common::msg::ExecuteMsg;
use cosmos_sdk_proto::cosmos::auth::v1beta1::{BaseAccount, QueryAccountRequest, QueryAccountResponse};
use cosmos_sdk_proto::cosmos::base::v1beta1::Coin;
use cosmos_sdk_proto::cosmos::tx::v1beta1::{SimulateRequest, SimulateResponse, TxRaw};
use cosmos_sdk_proto::cosmwasm::wasm::v1::MsgExecuteContract;
use cosmrs::tx::{Body, Fee, SignDoc, SignerInfo};
use cosmrs::Any;
use prost::{Message, Name};
use serde::{Deserialize, Serialize};
use tendermint::Hash;
use tendermint_rpc::{Client, HttpClient};
use tokio::sync::Mutex;

use super::account::Account;
use super::endpoints::{is_answer, is_taken};
use super::rpc::{Chain, ChainError};
use crate::config::ChainConfig;

/// A transaction that is in no block after so many is lost, and may be sent again under another hash.
const LIFETIME_BLOCKS: u64 = 20;
/// Gas asked for, in hundredths of what the simulation used.
const GAS_MARGIN_PERCENT: u64 = 140;
/// Blocks to wait for when the mempool holds transactions of this account that we do not know of.
const SEQUENCE_TRIES: u32 = 4;
/// Code of the SDK (types/errors): a wrong sequence.
const WRONG_SEQUENCE: u32 = 32;
/// The SDK's text for code 32: a simulation gives no code of its own.
const WRONG_SEQUENCE_TEXT: &str = "incorrect account sequence";
/// What a node says of a transaction that is in no block; any other refusal leaves open whether it is.
const NOT_FOUND_TEXT: &str = "not found";

/// Why a transaction did not happen, or is not known to have happened.
#[derive(Debug, thiserror::Error)]
pub enum TxError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("{address} has no account on the chain; send it some {denom} first")]
    NoAccount { address: String, denom: String },
    #[error("{address} is an account of type {type_url}; a plain one is needed")]
    AccountType { address: String, type_url: String },
    #[error("the transaction cannot be encoded: {0}")]
    Encoding(String),
    #[error("the transaction could not be stored, so it was not broadcast")]
    Persist(#[source] anyhow::Error),
    #[error("the chain rejects the transaction with code {code}: {log}")]
    Rejected { code: u32, log: String },
    #[error("another transaction of {address} came between; try again")]
    Sequence { address: String },
    #[error("transaction {hash} is in no block up to height {timeout_height}")]
    Expired { hash: String, timeout_height: u64 },
}

/// One message to the contract, with the money that goes with it.
#[derive(Clone, Debug)]
pub struct Call {
    pub msg: ExecuteMsg,
    pub funds: u128,
}

impl Call {
    /// A message without money.
    pub fn new(msg: ExecuteMsg) -> Self {
        Self { msg, funds: 0 }
    }
}

/// A transaction that may be in the mempool; after `timeout_height` it is in a block or never will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Uppercase hexadecimal, as the chain prints it.
    pub hash: String,
    pub timeout_height: u64,
}

/// A transaction that was executed.
#[derive(Clone, Debug)]
pub struct Included {
    pub height: u64,
    pub gas_used: u64,
    /// The contract's.
    pub events: Vec<Event>,
}

/// What became of a transaction.
#[derive(Clone, Debug)]
pub enum Confirmation {
    Included(Included),
    Rejected { code: u32, log: String },
    Expired,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    account_number: u64,
    sequence: u64,
}

/// Sends the transactions of one account, one after the other. Clones share the sequence.
#[derive(Clone)]
pub struct Sender {
    chain: Chain,
    account: Account,
    denom: Arc<str>,
    gas_price_micro: u64,
    poll: Duration,
    /// None: to be read from the chain.
    place: Arc<Mutex<Option<Place>>>,
}

impl Sender {
    pub fn new(chain: Chain, account: Account, config: &ChainConfig) -> Self {
        Self {
            chain,
            account,
            denom: config.denom.as_str().into(),
            gas_price_micro: config.gas_price_micro,
            poll: config.poll,
            place: Arc::new(Mutex::new(None)),
        }
    }

    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Signs, hands hash and timeout to `persist` before it broadcasts, and returns when the mempool took it.
    ///
    /// # Errors
    /// [`TxError::Rejected`] and [`TxError::Sequence`]: it is not in the mempool. Any other error after `persist`
    /// leaves that open: resolve it by hash.
    pub async fn broadcast<F, Fut>(&self, calls: Vec<Call>, persist: F) -> Result<Pending, TxError>
    where
        F: FnOnce(Pending) -> Fut + Send,
        Fut: Future<Output = anyhow::Result<()>> + Send,
    {
        let messages: Result<Vec<Any>, TxError> = calls.iter().map(|call| self.message(call)).collect();
        self.broadcast_messages(messages?, persist).await
    }

    /// [`Sender::broadcast`] for messages of any module.
    ///
    /// # Errors
    /// As there.
    pub async fn broadcast_messages<F, Fut>(&self, messages: Vec<Any>, persist: F) -> Result<Pending, TxError>
    where
        F: FnOnce(Pending) -> Fut + Send,
        Fut: Future<Output = anyhow::Result<()>> + Send,
    {
        let mut place = self.place.lock().await;
        let (at, gas) = self.simulate(&mut place, &messages).await?;
        self.hand_over(&mut place, &messages, (at, gas), persist).await
    }

    /// Broadcasts with so much gas and without a simulation, so that what the contract refuses ends in a block too.
    ///
    /// # Errors
    /// As [`Sender::broadcast`].
    pub async fn broadcast_blind(&self, messages: Vec<Any>, gas: u64) -> Result<Pending, TxError> {
        let mut place = self.place.lock().await;
        let at = match *place {
            Some(at) => at,
            None => self.read_place().await?,
        };
        self.hand_over(&mut place, &messages, (at, gas), |_| async { Ok(()) }).await
    }

    async fn hand_over<F, Fut>(
        &self,
        place: &mut Option<Place>,
        messages: &[Any],
        (at, gas): (Place, u64),
        persist: F,
    ) -> Result<Pending, TxError>
    where
        F: FnOnce(Pending) -> Fut + Send,
        Fut: Future<Output = anyhow::Result<()>> + Send,
    {
        let timeout_height = self.chain.height().await?.saturating_add(LIFETIME_BLOCKS);
        let bytes = self.sign(messages, at, gas, timeout_height)?;
        let pending = Pending { hash: hex::encode_upper(sha256(&[&bytes])), timeout_height };
        persist(pending.clone()).await.map_err(TxError::Persist)?;
        // Unknown until the mempool has answered.
        *place = None;
        let answer = self.chain.endpoints().broadcast(bytes).await?;
        match answer.code.value() {
            _ if is_taken(&answer) => {
                *place = Some(Place { sequence: at.sequence.saturating_add(1), ..at });
                Ok(pending)
            }
            WRONG_SEQUENCE => Err(TxError::Sequence { address: self.account.address().into() }),
            code => {
                *place = Some(at);
                Err(TxError::Rejected { code, log: answer.log })
            }
        }
    }

    /// What became of a transaction; `None` while it may still happen.
    ///
    /// # Errors
    /// The chain cannot be asked.
    pub async fn lookup(&self, pending: &Pending) -> Result<Option<Confirmation>, TxError> {
        let hash: Hash =
            pending.hash.parse().map_err(|_| TxError::Encoding(format!("no hash: {}", pending.hash)))?;
        // The height first: a block that comes between the two reads must not turn inclusion into expiry. Both of the same
        // node: one that is behind has not seen the transaction, and proves nothing about the other's height.
        let ask = |http: HttpClient| async move {
            let height = http.abci_info().await?.last_block_height.value();
            match http.tx(hash, false).await {
                Err(refusal) if is_answer(&refusal) => Ok((height, Err(refusal))),
                found => Ok((height, Ok(found?))),
            }
        };
        let (height, found) = self.chain.endpoints().read("tx", ask).await?;
        match found {
            Ok(tx) if tx.tx_result.code.is_ok() => {
                let at = tx.height.value();
                let events = self.chain.decode(tx.tx_result.events.iter(), at)?;
                let gas_used = u64::try_from(tx.tx_result.gas_used).unwrap_or(0);
                Ok(Some(Confirmation::Included(Included { height: at, gas_used, events })))
            }
            Ok(tx) => {
                let (code, log) = (tx.tx_result.code.value(), tx.tx_result.log);
                Ok(Some(Confirmation::Rejected { code, log }))
            }
            Err(refusal) => match self.chain.endpoints().in_use().error("tx", refusal) {
                ChainError::Refused { reason, .. } if reason.contains(NOT_FOUND_TEXT) => {
                    // The index follows the block by a moment, so one more block is waited for.
                    if height <= pending.timeout_height.saturating_add(1) {
                        return Ok(None);
                    }
                    *self.place.lock().await = None;
                    Ok(Some(Confirmation::Expired))
                }
                error => Err(error.into()),
            },
        }
    }

    /// Waits until a transaction is in a block, or never will be.
    ///
    /// # Errors
    /// The chain cannot be asked.
    pub async fn confirm(&self, pending: &Pending) -> Result<Confirmation, TxError> {
        loop {
            if let Some(confirmation) = self.lookup(pending).await? {
                return Ok(confirmation);
            }
            tokio::time::sleep(self.poll).await;
        }
    }

    /// Broadcasts and confirms, for calls that need no memory: whoever repeats them does no harm.
    ///
    /// # Errors
    /// It was not executed, or that is not known.
    pub async fn execute(&self, call: Call) -> Result<Included, TxError> {
        let pending = self.broadcast(vec![call], |_| async { Ok(()) }).await?;
        self.included(pending).await
    }

    /// [`Sender::execute`] for messages of any module.
    ///
    /// # Errors
    /// As there.
    pub async fn execute_messages(&self, messages: Vec<Any>) -> Result<Included, TxError> {
        let pending = self.broadcast_messages(messages, |_| async { Ok(()) }).await?;
        self.included(pending).await
    }

    async fn included(&self, pending: Pending) -> Result<Included, TxError> {
        match self.confirm(&pending).await? {
            Confirmation::Included(included) => Ok(included),
            Confirmation::Rejected { code, log } => Err(TxError::Rejected { code, log }),
            Confirmation::Expired => {
                let Pending { hash, timeout_height } = pending;
                Err(TxError::Expired { hash, timeout_height })
            }
        }
    }

    fn message(&self, call: &Call) -> Result<Any, TxError> {
        let amount = call.funds.to_string();
        let funds = Coin { denom: self.denom.to_string(), amount };
        let message = MsgExecuteContract {
            sender: self.account.address().into(),
            contract: self.chain.domain().contract.clone(),
            msg: serde_json::to_vec(&call.msg).map_err(|error| TxError::Encoding(error.to_string()))?,
            funds: if call.funds == 0 { Vec::new() } else { vec![funds] },
        };
        Ok(any(&message))
    }

    /// The place that the mempool expects, and the gas to ask for.
    async fn simulate(&self, place: &mut Option<Place>, messages: &[Any]) -> Result<(Place, u64), TxError> {
        for _ in 0..SEQUENCE_TRIES {
            let at = match *place {
                Some(at) => at,
                None => self.read_place().await?,
            };
            match self.try_simulate(messages, at).await {
                Ok(gas) => {
                    *place = Some(at);
                    return Ok((at, gas));
                }
                Err(TxError::Chain(ChainError::Query { log, .. })) if log.contains(WRONG_SEQUENCE_TEXT) => {
                    // Transactions that we forgot are in the mempool: they will be in the next block.
                    *place = None;
                    self.next_block().await?;
                }
                Err(TxError::Chain(ChainError::Query { code, log, .. })) => {
                    *place = Some(at);
                    return Err(TxError::Rejected { code, log });
                }
                Err(error) => return Err(error),
            }
        }
        Err(TxError::Sequence { address: self.account.address().into() })
    }

    async fn try_simulate(&self, messages: &[Any], at: Place) -> Result<u64, TxError> {
        let (body, auth_info, _) = self.parts(messages, at, 0, 0)?;
        let raw = TxRaw { body_bytes: body, auth_info_bytes: auth_info, signatures: vec![Vec::new()] };
        let request = SimulateRequest { tx_bytes: raw.encode_to_vec(), ..Default::default() };
        let path = "/cosmos.tx.v1beta1.Service/Simulate";
        let answer: SimulateResponse = self.chain.grpc(path, &request).await?;
        let used = answer.gas_info.map(|gas| gas.gas_used);
        let used = used.ok_or(ChainError::Unreadable { path: path.into(), reason: "no gas_info".into() })?;
        Ok(used.saturating_mul(GAS_MARGIN_PERCENT).div_ceil(100))
    }

    async fn next_block(&self) -> Result<(), TxError> {
        let height = self.chain.height().await?;
        while self.chain.height().await? <= height {
            tokio::time::sleep(self.poll).await;
        }
        Ok(())
    }

    async fn read_place(&self) -> Result<Place, TxError> {
        let address = self.account.address().to_string();
        let request = QueryAccountRequest { address: address.clone() };
        let path = "/cosmos.auth.v1beta1.Query/Account";
        let answer: Result<QueryAccountResponse, ChainError> = self.chain.grpc(path, &request).await;
        let account = match answer {
            Ok(answer) => answer.account,
            Err(ChainError::Query { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(account) = account else {
            return Err(TxError::NoAccount { address, denom: self.denom.to_string() });
        };
        if account.type_url != BaseAccount::type_url() {
            return Err(TxError::AccountType { address, type_url: account.type_url });
        }
        let base = BaseAccount::decode(account.value.as_slice())
            .map_err(|error| ChainError::Unreadable { path: path.into(), reason: error.to_string() })?;
        Ok(Place { account_number: base.account_number, sequence: base.sequence })
    }

    fn sign(&self, messages: &[Any], at: Place, gas: u64, timeout: u64) -> Result<Vec<u8>, TxError> {
        let (body_bytes, auth_info_bytes, document) = self.parts(messages, at, gas, timeout)?;
        let signed = self.account.sign(&sha256(&[&document]));
        let signatures = vec![signed.signature.to_vec()];
        Ok(TxRaw { body_bytes, auth_info_bytes, signatures }.encode_to_vec())
    }

    /// Bytes of body, of signer and fee, and of the document that is signed.
    fn parts(&self, messages: &[Any], at: Place, gas: u64, timeout: u64) -> Result<Parts, TxError> {
        let encoding = |error: &dyn ToString| TxError::Encoding(error.to_string());
        let timeout = u32::try_from(timeout).map_err(|error| encoding(&error))?;
        let body = Body::new(messages.to_vec(), "", timeout);
        let price = u128::from(gas).saturating_mul(u128::from(self.gas_price_micro)).div_ceil(1_000_000);
        let denom = self.denom.parse().map_err(|error| encoding(&error))?;
        let amount = if price == 0 { Vec::new() } else { vec![cosmrs::Coin { denom, amount: price }] };
        let fee = Fee { amount, gas_limit: gas, payer: None, granter: None };
        let auth_info =
            SignerInfo::single_direct(Some(self.account.public_key()), at.sequence).auth_info(fee);
        let chain_id = self.chain.domain().chain_id.parse().map_err(|error| encoding(&error))?;
        let document = SignDoc::new(&body, &auth_info, &chain_id, at.account_number)
            .map_err(|error| encoding(&error))?;
        let (body, auth_info) = (document.body_bytes.clone(), document.auth_info_bytes.clone());
        Ok((body, auth_info, document.into_bytes().map_err(|error| encoding(&error))?))
    }
}

type Parts = (Vec<u8>, Vec<u8>, Vec<u8>);

/// A message under its type's URL.
pub fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}
