use assay_common::msg::{ExecuteMsg, ModelResponse, QueryMsg};
use assay_common::session::ModelSpec;
use assay_contract::error::ContractError;

use crate::suite::*;

fn registering(spec: ModelSpec, fee: u128) -> ExecuteMsg {
    ExecuteMsg::RegisterModel { spec, reference_fee: fee.into(), calibration: calibration() }
}

#[test]
fn a_model_says_what_its_verdicts_pay_and_what_its_nodes_bond() {
    let suite = Suite::new();
    let model: ModelResponse = suite.query(&QueryMsg::Model { model: suite.model });
    assert_eq!(model.spec, spec("model"));
    assert_eq!((model.verdict_fee.u128(), model.min_stake.u128()), (VERDICT_FEE, MIN_STAKE));
}

#[test]
fn a_model_is_registered_once() {
    let mut suite = Suite::new();
    let (sender, model) = (suite.governance.clone(), suite.model);
    suite.refused(&sender, &registering(spec("model"), 5), 0, ContractError::ModelKnown { model });
}

#[test]
fn a_specification_that_means_nothing_is_refused() {
    let mut suite = Suite::new();
    let sender = suite.governance.clone();
    let cases = [
        (registering(ModelSpec { name: String::new(), ..spec("x") }, 5), "name"),
        (registering(ModelSpec { name: "x".repeat(129), ..spec("x") }, 5), "name"),
        (registering(ModelSpec { vocabulary: 0, ..spec("x") }, 5), "vocabulary"),
        (registering(spec("x"), 0), "reference_fee"),
    ];
    for (msg, field) in cases {
        let error = suite.send(&sender, &msg, 0).unwrap_err();
        assert!(error.contains(&format!("the model's {field} breaks its rule")), "{error}");
    }
}
