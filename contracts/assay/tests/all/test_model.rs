use assay_common::ids::{BatchId, Digest, Epoch};
use assay_common::msg::{BatchResponse, CalibrationRecord, EpochStatus, ExecuteMsg, ModelResponse, QueryMsg};
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

fn of_digest(byte: u8) -> CalibrationRecord {
    CalibrationRecord { digest: Digest([byte; 32]), ..calibration() }
}

fn calibrate(suite: &mut Suite, byte: u8) {
    let (governance, model) = (suite.governance.clone(), suite.model);
    let msg = ExecuteMsg::UpdateCalibration { model, calibration: of_digest(byte) };
    suite.accepted(&governance, &msg, 0);
}

fn model(suite: &Suite) -> ModelResponse {
    suite.query(&QueryMsg::Model { model: suite.model })
}

#[test]
fn a_batch_is_judged_by_the_calibration_of_its_epoch() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 90 * FEE);
    let mut batches = Vec::new();
    for epoch in 0..3u8 {
        suite.at_epoch(epoch.into());
        calibrate(&mut suite, 10 + epoch);
        let claim = suite.claim(session, 2 + u64::from(epoch));
        batches.push(suite.commit_batch(&executor, vec![claim], 0));
        assert_eq!(model(&suite).next_calibration.unwrap().record, of_digest(10 + epoch));
    }
    let of = |batch: BatchId| suite.query::<BatchResponse>(&QueryMsg::Batch { batch }).calibration;
    assert_eq!(batches.into_iter().map(of).collect::<Vec<_>>(), [8, 10, 11].map(|byte| Digest([byte; 32])));
    let now = model(&suite).calibration;
    assert_eq!((now.version, now.from, now.record), (3, Epoch(2), of_digest(11)));
}

#[test]
fn a_calibration_that_waits_is_replaced_and_the_present_one_is_not_announced_again() {
    let mut suite = Suite::new();
    let (governance, digest) = (suite.governance.clone(), suite.model);
    let msg = |byte| ExecuteMsg::UpdateCalibration { model: digest, calibration: of_digest(byte) };
    let known = |byte| ContractError::CalibrationKnown { model: digest, calibration: Digest([byte; 32]) };
    suite.refused(&governance, &msg(8), 0, known(8));
    let response = suite.accepted(&governance, &msg(9), 0);
    let event = attributes(&response, "assay_calibration_updated");
    let values = ["version", "epoch", "before", "after"].map(|key| event[key].clone());
    assert_eq!(values, ["2", "1", &"08".repeat(32), &"09".repeat(32)]);
    suite.refused(&governance, &msg(9), 0, known(9));
    suite.accepted(&governance, &msg(8), 0);
    suite.at_epoch(1);
    let now = model(&suite).calibration;
    assert_eq!((now.version, now.record), (3, of_digest(8)));
}

#[test]
fn a_model_deprecated_in_flight_takes_nothing_new_and_finishes_what_it_has() {
    let mut suite = Suite::new();
    let (governance, executor) = (suite.governance.clone(), suite.nodes[0].clone());
    let digest = suite.model;
    let session = suite.open_session(&executor, 90 * FEE);
    let claim = suite.claim(session, 5);
    let drawn = suite.commit_batch(&executor, vec![claim], 0);
    suite.accepted(&governance, &ExecuteMsg::DeprecateModel { model: digest }, 0);
    let deprecated = ContractError::ModelDeprecated { model: digest };
    suite.refused(&governance, &ExecuteMsg::DeprecateModel { model: digest }, 0, deprecated.clone());
    assert!(model(&suite).deprecated);

    let (requester, newcomer) = (suite.requester.clone(), suite.account("newcomer"));
    let (opening, registration) = (suite.opening(&executor), suite.registration());
    suite.refused(&requester, &opening, 10 * FEE, deprecated.clone());
    suite.refused(&newcomer, &registration, MIN_STAKE, deprecated);
    // The open session is served on, judged and paid.
    let claim = suite.claim(session, 9);
    let after = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(0, &[drawn, after], &honest);
    suite.at_epoch(1);
    suite.settle(&executor, 0, 200);
    let epoch = suite.epoch(&executor, 0);
    assert_eq!((epoch.status, epoch.closed.valid), (EpochStatus::Paid, 9));
}
