use std::path::Path;

use assay_common::ids::{BatchId, BatchRoot, Digest, Epoch, ModelDigest, SessionId, UserSeed, Window};
use assay_common::msg::ExecuteMsg;
use assay_common::params::ParamsPatch;
use assay_contract::auth::{rule, Rule, Who};
use assay_contract::error::ContractError;
use cosmwasm_schema::schema_for;
use cosmwasm_std::{coins, Uint128};
use cw_multi_test::Executor;

use crate::suite::*;

/// One message of each kind.
fn every_message() -> Vec<ExecuteMsg> {
    let (model, window, batch) = (ModelDigest::default(), Window(0), BatchId(1));
    let address = String::from("someone");
    vec![
        ExecuteMsg::RegisterModel {
            spec: spec("m"),
            reference_fee: Uint128::one(),
            calibration: calibration(),
        },
        ExecuteMsg::RegisterNode { models: vec![], endpoint: String::new() },
        ExecuteMsg::OpenSession {
            executor: address.clone(),
            model,
            user_seed: UserSeed::default(),
            session_key: Default::default(),
            fee: Uint128::one(),
            max_prompt: 1,
            max_new: 1,
            expires: Epoch(0),
        },
        ExecuteMsg::UpdateNode { models: None, endpoint: None },
        ExecuteMsg::Unbond { amount: Uint128::one() },
        ExecuteMsg::Withdraw {},
        ExecuteMsg::TopUp { session: SessionId(1) },
        ExecuteMsg::CloseSession { session: SessionId(1) },
        ExecuteMsg::CommitBatch { model, root: BatchRoot::default(), claims: vec![] },
        ExecuteMsg::PostBeacon { window, signature: Default::default() },
        ExecuteMsg::Draw { batch, limit: 1 },
        ExecuteMsg::CommitVerdicts { window, page: 0, hash: Digest::default() },
        ExecuteMsg::RevealVerdicts { window, page: 0, salt: Default::default(), verdicts: vec![] },
        ExecuteMsg::Tally { batch, from: 0, limit: 1 },
        ExecuteMsg::CommitFraud { hash: Digest::default() },
        ExecuteMsg::ProveFraud { proof: some_fraud_proof(), salt: Default::default() },
        ExecuteMsg::ProveEquivocation { proof: some_equivocation_proof(), salt: Default::default() },
        ExecuteMsg::Settle { executor: address, epoch: Epoch(0), limit: 1 },
        ExecuteMsg::Sweep { limit: 1 },
        ExecuteMsg::Claim {},
        ExecuteMsg::UpdateCalibration { model, calibration: calibration() },
        ExecuteMsg::DeprecateModel { model },
        ExecuteMsg::SetGuardians { model, guardians: vec![] },
        ExecuteMsg::UpdateParams { patch: ParamsPatch::default(), epoch: Epoch(1) },
        ExecuteMsg::CancelParams {},
        ExecuteMsg::Pause {},
        ExecuteMsg::Unpause {},
    ]
}

fn name(msg: &ExecuteMsg) -> String {
    let text = format!("{msg:?}");
    text.split([' ', '{']).next().unwrap_or_default().into()
}

/// The table as `docs/protocol.md` holds it between its two marks.
fn table() -> String {
    let mark = |set: bool| if set { "yes" } else { "no" };
    let mut table =
        String::from("| message | from | funds | before the start | while paused |\n|---|---|---|---|---|\n");
    for msg in every_message() {
        let Rule { who, takes_funds, before_start, while_paused } = rule(&msg);
        let who = match who {
            Who::Anyone => "anyone",
            Who::Governance => "governance",
            Who::Node => "registered node",
        };
        let [funds, early, paused] = [takes_funds, before_start, while_paused].map(mark);
        table += &format!("| `{}` | {who} | {funds} | {early} | {paused} |\n", name(&msg));
    }
    table
}

#[test]
fn the_documented_table_of_who_may_send_what_is_the_contracts() {
    const MARKS: [&str; 2] = ["<!-- authorisation -->\n", "<!-- end of authorisation -->\n"];
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(MARKS[0]).expect("the table's first mark");
    let (documented, after) = rest.split_once(MARKS[1]).expect("the table's last mark");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, [before, MARKS[0], &table(), MARKS[1], after].concat()).unwrap();
        return;
    }
    let update = "UPDATE_DOCS=1 cargo test -p assay-contract --test all test_auth";
    assert_eq!(
        documented,
        table(),
        "docs/protocol.md has another table; if this one is right, run: {update}"
    );
}

#[test]
fn the_table_has_every_message() {
    let schema = serde_json::to_value(schema_for!(ExecuteMsg)).unwrap();
    let kinds = schema["oneOf"].as_array().unwrap().iter();
    let mut declared: Vec<&str> = kinds.map(|kind| kind["required"][0].as_str().unwrap()).collect();
    let sent: Vec<String> = every_message()
        .iter()
        .map(|msg| serde_json::to_value(msg).unwrap().as_object().unwrap().keys().next().unwrap().clone())
        .collect();
    declared.sort_by_key(|kind| sent.iter().position(|sent| sent == kind));
    assert_eq!(declared, sent);
}

#[test]
fn what_must_wait_for_the_start_is_refused_before_it() {
    let mut suite = Suite::empty(local_params());
    let sender = suite.requester.clone();
    for msg in every_message().iter().filter(|msg| !rule(msg).before_start) {
        suite.refused(&sender, msg, 0, ContractError::NotStarted { start: START });
    }
}

#[test]
fn funds_are_refused_where_none_are_due() {
    let mut suite = Suite::new();
    let sender = suite.requester.clone();
    for msg in every_message().iter().filter(|msg| !rule(msg).takes_funds) {
        suite.refused(&sender, msg, 5, ContractError::FundsNotAccepted { sent: "5units".into() });
    }
}

#[test]
fn funds_of_another_denomination_are_refused_everywhere() {
    let mut suite = Suite::new();
    let sender = suite.requester.clone();
    let funds = coins(5, "pebbles");
    let mint = cw_multi_test::BankSudo::Mint { to_address: sender.to_string(), amount: funds.clone() };
    suite.app.sudo(mint.into()).unwrap();
    for msg in every_message() {
        let contract = suite.contract.clone();
        let error = suite.app.execute_contract(sender.clone(), contract, &msg, &funds).unwrap_err();
        let expected = ContractError::WrongFunds { sent: "5pebbles".into(), denom: DENOM.into() };
        assert!(error.to_string().contains(&expected.to_string()), "{msg:?}: {error}");
    }
}

#[test]
fn only_governance_and_only_nodes_where_the_table_says_so() {
    let mut suite = Suite::new();
    let sender = suite.requester.clone();
    let address = sender.to_string();
    for msg in every_message() {
        let expected = match rule(&msg).who {
            Who::Anyone => continue,
            Who::Governance => ContractError::NotGovernance { sender: address.clone() },
            Who::Node => ContractError::NotRegistered { address: address.clone() },
        };
        suite.refused(&sender, &msg, 0, expected);
    }
}

#[test]
fn what_pays_out_or_takes_is_refused_while_payouts_are_paused() {
    let mut suite = Suite::new();
    let (governance, sender) = (suite.governance.clone(), suite.nodes[0].clone());
    suite.accepted(&governance, &ExecuteMsg::Pause {}, 0);
    let until = suite.app.block_info().time.seconds() + 7 * 24 * 3600;
    for msg in every_message().iter().filter(|msg| rule(msg).who != Who::Governance) {
        let answer = suite.send(&sender, msg, 0);
        let expected = ContractError::Paused { until }.to_string();
        let paused = answer.as_ref().is_err_and(|error| error.contains(&expected));
        assert_eq!(paused, !rule(msg).while_paused, "{msg:?}: {answer:?}");
    }
}
