//! One contract with its accounts: what is sent to it is waited for, and its gas is noted.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::{bail, ensure, Context, Result};
use assay_common::ids::{Round, Window};
use assay_common::msg::{ClockResponse, ExecuteMsg};
use assay_common::params::Params;
use assay_common::session::ModelSpec;
use assay_sidecar::chain::tx::any;
use assay_sidecar::chain::{Account, Call, Chain, Confirmation, Included, Sender};
use cosmos_sdk_proto::cosmos::tx::v1beta1::{GetTxRequest, GetTxResponse};
use cosmos_sdk_proto::cosmwasm::wasm::v1::MsgExecuteContract;
use cosmwasm_std::HexBinary;
use tokio::time::sleep;

use super::plan::Plan;

pub const POLL: Duration = Duration::from_millis(200);
/// Gas that a refused call may use.
const REFUSED_GAS: u64 = 1_000_000;

/// What one transaction with one message used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub message: &'static str,
    /// Samples, verdicts, claims or items that it handled; 1 where there is no such choice.
    pub items: u32,
    /// Of the message itself, as JSON.
    pub bytes: u64,
    pub gas: u64,
}

impl Reading {
    /// What sending `call` used.
    pub async fn of(
        message: &'static str,
        items: u32,
        (sender, call): (&Sender, Call),
    ) -> Result<(Self, Included)> {
        let bytes = serde_json::to_vec(&call.msg)?.len() as u64;
        let included = sender.execute(call).await.with_context(|| format!("{message} of {items}"))?;
        Ok((Self { message, items, bytes, gas: included.gas_used }, included))
    }
}

/// Who acts.
pub struct Cast {
    /// Governs the contract.
    pub governor: Sender,
    pub requester: Sender,
    /// Turns the cranks, and accuses.
    pub keeper: Sender,
    pub nodes: Vec<Sender>,
    /// Signs the vouchers.
    pub session_key: Account,
}

pub struct World {
    pub plan: Plan,
    pub chain: Chain,
    pub params: Params,
    /// Where the beacon's rounds are.
    pub beacon: String,
    pub model: ModelSpec,
    pub cast: Cast,
    pub readings: Mutex<Vec<Reading>>,
}

/// The first event that `$pattern` matches in what a transaction brought.
macro_rules! told {
    ($included:expr, $pattern:pat => $value:expr) => {
        $included.events.iter().find_map(|event| match event {
            $pattern => Some($value),
            _ => None,
        })
    };
}
pub(super) use told;

impl World {
    /// Sends a message, waits for its block, and notes what it used.
    pub async fn measure(
        &self,
        (message, items): (&'static str, u32),
        sender: &Sender,
        call: Call,
    ) -> Result<Included> {
        let found = Reading::of(message, items, (sender, call)).await;
        let (reading, included) = found.with_context(|| self.plan.name)?;
        self.note(reading);
        Ok(included)
    }

    pub fn note(&self, reading: Reading) {
        self.readings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(reading);
    }

    /// Sends a message that the contract refuses for want of anything to do, and notes what it used.
    pub async fn measure_refused(
        &self,
        message: &'static str,
        sender: &Sender,
        msg: &ExecuteMsg,
    ) -> Result<()> {
        let msg = serde_json::to_vec(msg)?;
        let bytes = msg.len() as u64;
        let call = MsgExecuteContract {
            sender: sender.account().address().into(),
            contract: self.chain.domain().contract.clone(),
            msg,
            funds: Vec::new(),
        };
        let pending = sender.broadcast_blind(vec![any(&call)], REFUSED_GAS).await?;
        let confirmation = sender.confirm(&pending).await?;
        ensure!(
            matches!(confirmation, Confirmation::Rejected { .. }),
            "{message} was to be refused: {confirmation:?}"
        );
        let request = GetTxRequest { hash: pending.hash };
        let found: GetTxResponse = self.chain.grpc("/cosmos.tx.v1beta1.Service/GetTx", &request).await?;
        let used = found.tx_response.context("the chain does not know its own transaction")?.gas_used;
        self.note(Reading { message, items: 1, bytes, gas: u64::try_from(used)? });
        Ok(())
    }

    /// Waits for a window.
    ///
    /// # Errors
    /// It is over.
    pub async fn at_window(&self, window: Window) -> Result<()> {
        loop {
            let ClockResponse { window: now, .. } = self.chain.clock().await?;
            match now {
                Some(now) if now == window => return Ok(()),
                Some(now) if now > window => {
                    bail!(
                        "{}: window {window} is over, it is {now}: this machine is too slow",
                        self.plan.name
                    )
                }
                _ => sleep(POLL).await,
            }
        }
    }

    /// The first window of an epoch, or a later one of the same epoch.
    pub async fn at_epoch(&self, epoch: u64) -> Result<()> {
        while self.chain.clock().await?.epoch.is_none_or(|now| now.0 < epoch) {
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Posts the beacon of a window that is over.
    pub async fn post_beacon(&self, window: Window) -> Result<()> {
        let round = self.params.beacon.round(&self.params.clock, window);
        let msg = ExecuteMsg::PostBeacon { window, signature: self.signature(round).await? };
        self.measure(("PostBeacon", 1), &self.cast.keeper, Call::new(msg)).await?;
        Ok(())
    }

    async fn signature(&self, round: Round) -> Result<HexBinary> {
        let url = format!("{}/public/{round}", self.beacon);
        loop {
            let answer = reqwest::get(&url).await?;
            if answer.status() == reqwest::StatusCode::TOO_EARLY {
                sleep(POLL).await;
                continue;
            }
            let signed: serde_json::Value = answer.error_for_status()?.json().await?;
            let signature = signed["signature"].as_str().context("the beacon's round has no signature")?;
            let bytes = hex::decode(signature).context("the beacon's signature is no hexadecimal")?;
            return Ok(bytes.into());
        }
    }
}
