use assay_common::ids::{BatchId, BatchRoot, Digest, Epoch, ModelDigest, Round, SessionId, UserSeed, Window};
use assay_common::msg::ExecuteMsg;
use assay_contract::auth::{rule, Who};
use assay_contract::error::ContractError;
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
        ExecuteMsg::PostBeacon { round: Round(1), signature: Default::default() },
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
    ]
}

fn name(msg: &ExecuteMsg) -> String {
    let text = format!("{msg:?}");
    text.split([' ', '{']).next().unwrap_or_default().into()
}

#[test]
fn the_table_of_who_may_send_what() {
    let mark = |set: bool, word: &'static str| if set { word } else { "-" };
    let table: Vec<String> = every_message()
        .iter()
        .map(|msg| {
            let rule = rule(msg);
            let (funds, early) =
                (mark(rule.takes_funds, "funds"), mark(rule.before_start, "before the start"));
            format!("{:17} {:10} {funds:5} {early}", name(msg), format!("{:?}", rule.who))
        })
        .collect();
    insta::assert_snapshot!(table.join("\n"), @r"
    RegisterModel     Governance -     before the start
    RegisterNode      Anyone     funds before the start
    OpenSession       Anyone     funds before the start
    UpdateNode        Node       funds before the start
    Unbond            Node       -     before the start
    Withdraw          Node       -     before the start
    TopUp             Anyone     funds before the start
    CloseSession      Anyone     -     before the start
    CommitBatch       Node       funds -
    PostBeacon        Anyone     -     -
    Draw              Anyone     -     -
    CommitVerdicts    Node       -     -
    RevealVerdicts    Node       -     -
    Tally             Anyone     -     -
    CommitFraud       Anyone     -     -
    ProveFraud        Anyone     -     -
    ProveEquivocation Anyone     -     -
    Settle            Anyone     -     -
    Sweep             Anyone     -     -
    Claim             Anyone     -     -
    ");
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
