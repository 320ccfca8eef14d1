//! From an empty chain to an assay contract that knows its model and its nodes.

use std::path::Path;

use anyhow::{Context, Result};
use assay_common::msg::{CalibrationRecord, ExecuteMsg, InstantiateMsg};
use assay_common::params::Params;
use assay_common::session::{ModelSpec, NumericScheme};
use assay_sidecar::chain::tx::any;
use assay_sidecar::chain::{Call, Chain, Sender};
use assay_sidecar::model::gguf::Gguf;
use assay_sidecar::model::spec::specification;
use assay_sidecar::model::tokenizer::Tokenizer;
use cosmos_sdk_proto::cosmwasm::wasm::v1::{
    MsgInstantiateContract, MsgStoreCode, QueryCodesRequest, QueryCodesResponse, QueryContractInfoRequest,
    QueryContractInfoResponse, QueryContractsByCodeRequest, QueryContractsByCodeResponse,
};
use cosmwasm_std::Uint128;
use sha2::{Digest as _, Sha256};

use crate::governance::Governance;
use crate::preset;

/// The model as the chain will know it, and the tokenizer that the requester needs of it.
pub struct ModelFile {
    pub spec: ModelSpec,
    pub tokenizer: Tokenizer,
}

impl ModelFile {
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let gguf = Gguf::parse(&bytes)?;
        let tokenizer = Tokenizer::from_gguf(&gguf)?;
        let spec = specification(&gguf, Sha256::digest(&bytes).into(), NumericScheme::default())?;
        Ok(Self { spec, tokenizer })
    }
}

/// Stores the contract's code; its id.
pub async fn store(chain: &Chain, deployer: &Sender, wasm: &Path) -> Result<u64> {
    let wasm_byte_code = std::fs::read(wasm).with_context(|| format!("cannot read {}", wasm.display()))?;
    let sender = deployer.account().address().to_owned();
    let store = MsgStoreCode { sender, wasm_byte_code, instantiate_permission: None };
    deployer.execute_messages(vec![any(&store)]).await.context("the chain refuses the contract's code")?;
    let request = QueryCodesRequest { pagination: None };
    let codes: QueryCodesResponse = chain.grpc("/cosmwasm.wasm.v1.Query/Codes", &request).await?;
    Ok(codes.code_infos.last().context("the chain has no code")?.code_id)
}

/// Makes a contract from the code, governed and administrated by the account `governance`; its address.
pub async fn instantiate(
    chain: &Chain,
    deployer: &Sender,
    code_id: u64,
    governance: &str,
    params: Params,
) -> Result<String> {
    let msg = InstantiateMsg { governance: governance.to_owned(), params };
    let instantiate = MsgInstantiateContract {
        sender: deployer.account().address().to_owned(),
        admin: governance.to_owned(),
        code_id,
        label: "assay".into(),
        msg: serde_json::to_vec(&msg)?,
        funds: Vec::new(),
    };
    deployer
        .execute_messages(vec![any(&instantiate)])
        .await
        .context("the contract cannot be instantiated")?;
    let request = QueryContractsByCodeRequest { code_id, pagination: None };
    let contracts: QueryContractsByCodeResponse =
        chain.grpc("/cosmwasm.wasm.v1.Query/ContractsByCode", &request).await?;
    contracts.contracts.into_iter().next_back().context("the chain has no contract")
}

/// Who may change the contract's code.
pub async fn admin(chain: &Chain) -> Result<String> {
    let request = QueryContractInfoRequest { address: chain.domain().contract.clone() };
    let answer: QueryContractInfoResponse =
        chain.grpc("/cosmwasm.wasm.v1.Query/ContractInfo", &request).await?;
    Ok(answer.contract_info.context("the chain does not know the contract")?.admin)
}

/// Has governance make the model known, with the calibration that judges it.
pub async fn register_model(
    governance: &Governance,
    spec: &ModelSpec,
    calibration: CalibrationRecord,
) -> Result<()> {
    let reference_fee = Uint128::new(preset::FEE);
    let msg = ExecuteMsg::RegisterModel { spec: spec.clone(), reference_fee, calibration };
    let decision = governance.propose("Register the model", &[msg]).await?;
    decision.executed().context("the model cannot be registered")
}

/// Bonds a node for the model.
pub async fn register_node(node: &Sender, spec: &ModelSpec, endpoint: String, stake: u128) -> Result<()> {
    let msg = ExecuteMsg::RegisterNode { models: vec![spec.digest()], endpoint };
    node.execute(Call { msg, funds: stake }).await.context("the node cannot be registered")?;
    Ok(())
}
