//! Takeover and migration: a contract of version 0.1.0 that is there from the chain's first block on becomes one of today's.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use assay_common::ids::ModelDigest;
use assay_common::msg::{MigrateMsg, ModelSuccessor, TakeoverMsg};
use assay_common::params::{BeaconParams, ClockParams, Params};
use assay_common::session::ModelSpec;
use assay_sidecar::chain::tx::any;
use assay_sidecar::chain::Sender;
use cosmos_sdk_proto::cosmwasm::wasm::v1::MsgMigrateContract;
use cosmrs::AccountId;
use cosmwasm_std::{Binary, HexBinary};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use sha2::{Digest as _, Sha256};

use super::setup;
use super::world::Reading;
use crate::wasmd::PREFIX;

/// What version 0.1.0 had stored when everything was settled: keys and values in hexadecimal. The contract's own test of the
/// takeover begins with it too.
const STATE: &str = include_str!("../../../contracts/assay/tests/fixtures/state-0.1.0-at-rest.json");
/// The code that the chain begins with, and that takes over.
const CODE: u64 = 1;
/// The sequences of the chain's wasm module that give the next code and the next contract their numbers.
const SEQUENCES: [&[u8]; 2] = [b"\x04lastCodeId", b"\x04lastContractId"];

/// The names of what is measured here, in the order in which it happens.
pub const TAKEOVER: &str = "Takeover";
pub const MIGRATE: [&str; 2] = ["Migrate, code unpinned", "Migrate, code pinned"];

/// Old contracts, and the code of their takeover.
pub struct Old {
    code: Vec<u8>,
    /// Who may migrate them.
    admin: String,
    /// One for each code that they are migrated to.
    contracts: [String; 2],
    state: BTreeMap<HexBinary, HexBinary>,
}

/// What the message of the takeover needs to know of the old configuration.
#[derive(Deserialize)]
struct Config {
    params: ConfigParams,
}

#[derive(Deserialize)]
struct ConfigParams {
    denom: String,
    clock: ClockParams,
}

/// The prefix of the old version's keys of models.
const MODELS: &[u8] = b"\0\x05model";

impl Old {
    /// # Errors
    /// The code of the takeover is missing.
    pub fn read(wasm: &Path, admin: &str) -> Result<Self> {
        let code = std::fs::read(wasm)
            .with_context(|| format!("cannot read {} (scripts/contract builds it)", wasm.display()))?;
        let contracts = [address("first")?, address("second")?];
        Ok(Self { code, admin: admin.into(), contracts, state: serde_json::from_str(STATE)? })
    }

    /// What the wasm module begins with, as its genesis has it.
    pub fn genesis(&self) -> Value {
        let access = json!({"permission": "Everybody", "addresses": []});
        let hash = Binary::new(Sha256::digest(&self.code).to_vec());
        let code = json!({
            "code_id": CODE.to_string(),
            "code_info": {"code_hash": hash, "creator": self.admin, "instantiate_config": access},
            "code_bytes": Binary::from(self.code.as_slice()),
            "pinned": false,
        });
        let contracts: Vec<Value> = self.contracts.iter().map(|address| self.contract(address)).collect();
        let next = CODE + 1;
        let sequence = |key: &[u8]| json!({"id_key": Binary::from(key), "value": next.to_string()});
        json!({"codes": [code], "contracts": contracts, "sequences": SEQUENCES.map(sequence)})
    }

    fn contract(&self, address: &str) -> Value {
        let entry = |(key, value): (&HexBinary, &HexBinary)| json!({"key": key.to_hex().to_uppercase(), "value": Binary::from(value.as_slice())});
        let state: Vec<Value> = self.state.iter().map(entry).collect();
        let code = CODE.to_string();
        let created = json!({"block_height": "0", "tx_index": "0"});
        json!({
            "contract_address": address,
            "contract_info": {
                "code_id": code, "creator": self.admin, "admin": self.admin, "label": "assay 0.1.0",
                "created": created,
            },
            "contract_state": state,
            "contract_code_history": [{
                "operation": "CONTRACT_CODE_HISTORY_OPERATION_TYPE_GENESIS",
                "code_id": code, "updated": created, "msg": {},
            }],
        })
    }

    /// Takes both contracts over, and migrates one to each of the codes; `admin` signs.
    pub async fn migrate(
        &self,
        admin: &Sender,
        codes: [u64; 2],
        beacon: &BeaconParams,
    ) -> Result<Vec<Reading>> {
        let takeover = self.takeover(beacon)?;
        let entries = u32::try_from(self.state.len())?;
        let mut readings = Vec::new();
        for ((contract, code), name) in self.contracts.iter().zip(codes).zip(MIGRATE) {
            readings.push(migrate((TAKEOVER, entries), admin, (contract, CODE), &takeover).await?);
            readings.push(migrate((name, 1), admin, (contract, code), &MigrateMsg {}).await?);
        }
        Ok(readings)
    }

    /// Today's parameters, on the clock and in the money of the old ones, and what each model becomes.
    fn takeover(&self, beacon: &BeaconParams) -> Result<TakeoverMsg> {
        let Config { params: ConfigParams { denom, clock } } = self.item(b"config")?;
        let params = Params::local(&denom, clock, beacon.clone());
        let ModelSpec { scheme, constants, .. } = setup::model();
        let models = self.models()?.into_iter().map(|model| ModelSuccessor {
            model,
            scheme,
            constants,
            calibration: setup::calibration(),
        });
        Ok(TakeoverMsg { params, models: models.collect() })
    }

    fn item<T: serde::de::DeserializeOwned>(&self, key: &[u8]) -> Result<T> {
        let value = self.state.get(&HexBinary::from(key));
        let value =
            value.with_context(|| format!("the old state has no {}", String::from_utf8_lossy(key)))?;
        Ok(serde_json::from_slice(value)?)
    }

    /// The digests under which the old version stored its models.
    fn models(&self) -> Result<Vec<ModelDigest>> {
        let digests = self.state.keys().filter_map(|key| key.strip_prefix(MODELS));
        let digests = digests.map(|digest| Ok(ModelDigest(digest.try_into().context("a model's key")?)));
        digests.collect()
    }
}

/// Of a contract, as long as those that the chain itself makes up.
fn address(name: &str) -> Result<String> {
    let id = AccountId::new(PREFIX, &Sha256::digest(name.as_bytes()));
    Ok(id.map_err(|error| anyhow::anyhow!("no address of {name}: {error}"))?.to_string())
}

async fn migrate(
    (message, items): (&'static str, u32),
    admin: &Sender,
    (contract, code_id): (&str, u64),
    msg: &impl Serialize,
) -> Result<Reading> {
    let msg = serde_json::to_vec(msg)?;
    let bytes = msg.len() as u64;
    let sender = admin.account().address().to_owned();
    let migrate = MsgMigrateContract { sender, contract: contract.into(), code_id, msg };
    let included = admin.execute_messages(vec![any(&migrate)]).await.context(message)?;
    Ok(Reading { message, items, bytes, gas: included.gas_used })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_message_of_the_takeover_follows_from_the_old_state() {
        let state = serde_json::from_str(STATE).unwrap();
        let contracts = [address("first").unwrap(), address("second").unwrap()];
        assert_ne!(contracts[0], contracts[1]);
        let old = Old { code: Vec::new(), admin: String::new(), contracts, state };
        let beacon =
            BeaconParams { public_key: vec![0; 96].into(), genesis: 0, period_seconds: 1, delay_seconds: 2 };
        let TakeoverMsg { params, models } = old.takeover(&beacon).unwrap();
        assert_eq!(params.denom, "units");
        assert_eq!(params.check(), Ok(()));
        assert_eq!(models.len(), 1);
        let genesis = old.genesis();
        let entries = genesis["contracts"][1]["contract_state"].as_array().unwrap().len();
        assert_eq!(entries, old.state.len());
    }
}
