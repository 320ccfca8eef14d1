//! Parameters by version: changes come with a later epoch, and what was opened before keeps its own.

use assay_common::ids::{Epoch, SessionId, Window};
use assay_common::msg::{
    BatchResponse, EpochStatus, EvidenceResponse, ExecuteMsg, ParamsResponse, ParamsVersion, QueryMsg,
    ValidateParamsResponse,
};
use assay_common::params::{Change, ParamError, ParamsPatch};
use assay_contract::error::ContractError;

use crate::suite::*;

fn patch(json: &str) -> ParamsPatch {
    serde_json::from_str(json).unwrap()
}

fn updating(json: &str, epoch: u64) -> ExecuteMsg {
    ExecuteMsg::UpdateParams { patch: patch(json), epoch: Epoch(epoch) }
}

fn update(suite: &mut Suite, json: &str, epoch: u64) {
    let governance = suite.governance.clone();
    suite.accepted(&governance, &updating(json, epoch), 0);
}

fn params(suite: &Suite) -> ParamsResponse {
    suite.query(&QueryMsg::Params {})
}

fn of_epoch(suite: &Suite, epoch: u64) -> ParamsVersion {
    suite.query(&QueryMsg::ParamsOf { epoch: Epoch(epoch) })
}

/// An executor with a session of 90 fees.
fn with_session(suite: &mut Suite) -> (cosmwasm_std::Addr, SessionId) {
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 90 * FEE);
    (executor, session)
}

#[test]
fn a_patch_changes_what_it_names_and_says_from_what_to_what() {
    let before = local_params();
    let (after, changes) =
        before.patched(&patch(r#"{"jury": {"seats": 5, "quorum": 2}, "evidence": {"audits": "20000"}}"#));
    let change =
        |field: &str, from: &str, to: &str| Change { field: field.into(), from: from.into(), to: to.into() };
    let audits = change("evidence.audits", "10000", "20000");
    assert_eq!(changes, [change("jury.seats", "3", "5"), audits]);
    let mut expected = before;
    expected.jury.seats = 5;
    expected.evidence.audits = 20_000u64.into();
    assert_eq!(after, expected);
}

#[test]
fn a_field_that_no_parameter_has_is_refused() {
    for json in [r#"{"jury": {"seat": 5}}"#, r#"{"juries": {}}"#] {
        let error = serde_json::from_str::<ParamsPatch>(json).unwrap_err();
        assert!(error.to_string().contains("unknown field"), "{error}");
    }
}

#[test]
fn a_change_comes_with_its_epoch_without_anybody_turning_a_crank() {
    let mut suite = Suite::new();
    update(&mut suite, r#"{"limits": {"claims_per_batch": 7}}"#, 2);
    for (epoch, version, claims, pending) in [(0, 1, 50, true), (1, 1, 50, true), (2, 2, 7, false)] {
        suite.at_epoch(epoch);
        let params = params(&suite);
        let found = (params.in_force.version, params.in_force.params.limits.claims_per_batch);
        assert_eq!((found, params.pending.is_some()), ((version, claims), pending), "epoch {epoch}");
    }
    assert_eq!([0, 1, 2, 9].map(|epoch| of_epoch(&suite, epoch).version), [1, 1, 2, 2]);
}

#[test]
fn a_change_names_each_field_with_its_values_before_and_after() {
    let mut suite = Suite::new();
    let governance = suite.governance.clone();
    let response = suite.accepted(
        &governance,
        &updating(r#"{"jury": {"seats": 2, "quorum": 1}, "fees": {"slash_ppm": 100000}}"#, 3),
        0,
    );
    let changes: Vec<String> = response
        .events
        .iter()
        .filter(|event| event.ty == "wasm-assay_param_changed")
        .map(|event| {
            let values: Vec<&str> = event.attributes[2..].iter().map(|a| a.value.as_str()).collect();
            values.join(" ")
        })
        .collect();
    assert_eq!(changes, ["2 3 jury.seats 3 2", "2 3 jury.quorum 2 1"]);
}

#[test]
fn only_a_later_epoch_is_taken_and_one_change_at_a_time() {
    let mut suite = Suite::new();
    let governance = suite.governance.clone();
    suite.at_epoch(3);
    for epoch in [0, 3] {
        let expected = ContractError::EpochHasBegun { epoch: Epoch(epoch), now: Epoch(3) };
        suite.refused(&governance, &updating(r#"{"jury": {"quorum": 3}}"#, epoch), 0, expected);
    }
    let same = updating(r#"{"jury": {"quorum": 2}}"#, 4);
    suite.refused(&governance, &same, 0, ContractError::NothingChanges);
    update(&mut suite, r#"{"jury": {"quorum": 3}}"#, 5);
    let another = updating(r#"{"jury": {"quorum": 1}}"#, 9);
    let expected = ContractError::ChangePending { version: 2, epoch: Epoch(5) };
    suite.refused(&governance, &another, 0, expected);
    suite.at_epoch(5);
    suite.accepted(&governance, &another, 0);
}

#[test]
fn a_pending_change_can_be_cancelled_and_one_in_force_cannot() {
    let mut suite = Suite::new();
    let governance = suite.governance.clone();
    let cancel = ExecuteMsg::CancelParams {};
    suite.refused(&governance, &cancel, 0, ContractError::NothingPending);
    update(&mut suite, r#"{"jury": {"quorum": 3}}"#, 2);
    let response = suite.accepted(&governance, &cancel, 0);
    assert_eq!(attribute(&response, "assay_params_cancelled", "version"), "2");
    suite.at_epoch(2);
    assert_eq!(params(&suite).in_force.version, 1);
    update(&mut suite, r#"{"jury": {"quorum": 3}}"#, 3);
    suite.at_epoch(3);
    assert_eq!(params(&suite).in_force.version, 3);
    suite.refused(&governance, &cancel, 0, ContractError::NothingPending);
}

#[test]
fn a_patch_is_judged_in_advance_with_every_broken_rule_and_every_change() {
    let suite = Suite::new();
    let json =
        r#"{"denom": "x", "clock": {"window_seconds": 20}, "jury": {"quorum": 4}, "fees": {"slash_ppm": 0}}"#;
    let answer: ValidateParamsResponse = suite.query(&QueryMsg::ValidateParams { patch: patch(json) });
    let fields: Vec<&str> = answer.errors.iter().map(|broken| broken.field.as_str()).collect();
    assert_eq!(fields, ["denom", "clock.window_seconds", "jury.quorum", "fees.slash_ppm"]);
    let changes: Vec<String> =
        answer.changes.iter().map(|c| format!("{} {} {}", c.field, c.from, c.to)).collect();
    let expected =
        ["denom units x", "clock.window_seconds 10 20", "jury.quorum 2 4", "fees.slash_ppm 100000 0"];
    assert_eq!(changes, expected);
    let good = patch(r#"{"jury": {"quorum": 3}}"#);
    let answer: ValidateParamsResponse = suite.query(&QueryMsg::ValidateParams { patch: good });
    assert_eq!(answer.errors, []);
}

#[test]
fn the_update_refuses_what_the_query_refuses() {
    let mut suite = Suite::new();
    let governance = suite.governance.clone();
    let cases = [
        r#"{"denom": "x"}"#,
        r#"{"clock": {"start": 1}}"#,
        r#"{"beacon": {"public_key": "00"}}"#,
        r#"{"beacon": {"period_seconds": 11}}"#,
        r#"{"beacon": {"genesis": 1800000000000}}"#,
        r#"{"jury": {"seats": 22, "min_others_to_commit": 1}, "limits": {"draw_page": 201}}"#,
    ];
    for json in cases {
        let answer: ValidateParamsResponse = suite.query(&QueryMsg::ValidateParams { patch: patch(json) });
        assert!(!answer.errors.is_empty(), "{json}");
        suite.refused(&governance, &updating(json, 1), 0, ContractError::BadParams { broken: answer.errors });
    }
}

#[test]
fn an_error_names_field_value_and_rule() {
    let mut params = local_params();
    params.jury.quorum = 4;
    let broken = params.check().unwrap_err();
    let expected = ParamError {
        field: "jury.quorum".into(),
        value: "4".into(),
        rule: "between 1 and jury.seats".into(),
    };
    assert_eq!(broken, [expected]);
    assert_eq!(broken[0].to_string(), "jury.quorum is 4: between 1 and jury.seats");
}

// --- parameters changed in flight ---

/// A quorum that is raised in flight would turn this batch's two verdicts a sample into an open jury.
#[test]
fn parameters_changed_in_flight_leave_a_batch_its_quorum_and_pay() {
    let mut suite = Suite::new();
    let (executor, session) = with_session(&mut suite);
    suite.at_window(4);
    update(&mut suite, r#"{"jury": {"seats": 2, "min_others_to_commit": 2}, "fees": {"verdict_ppm": 1}}"#, 1);
    let claim = suite.claim(session, 6);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.at_window(6);
    suite.post_beacon(4);
    suite.draw(batch, 100);
    assert!(suite.samples(batch).iter().all(|sample| sample.seats.len() == 3));
    // One juror of three says nothing: a quorum of two is there.
    let silent = suite.nodes[3].clone();
    let pages = suite.commit_verdicts(6, &|_, juror| (*juror != silent).then_some(VALID));
    suite.at_window(8);
    suite.reveal(pages);
    update(&mut suite, r#"{"jury": {"seats": 3, "quorum": 3, "min_others_to_commit": 3}}"#, 2);
    suite.at_epoch(2);
    suite.tally(batch, 0, 100);
    assert_eq!(suite.epoch(&executor, 0).closed.valid, 6);
    let paid = suite.pools().claimable.u128();
    assert_eq!(paid % VERDICT_FEE, 0);
    assert!(paid > 0);
    let found: BatchResponse = suite.query(&QueryMsg::Batch { batch });
    assert_eq!((found.params, params(&suite).in_force.version), (1, 3));
}

#[test]
fn parameters_changed_in_flight_leave_an_epoch_its_evidence_and_slash() {
    let run = |changed: bool| {
        let mut suite = Suite::new();
        let (executor, session) = with_session(&mut suite);
        let claim = suite.claim(session, 12);
        let batch = suite.commit_batch(&executor, vec![claim], 0);
        if changed {
            let json = r#"{"evidence": {"false_forfeit_one_in": "100000000000000"},
                           "fees": {"slash_ppm": 1000000}, "jury": {"min_others_to_slash": 500}}"#;
            update(&mut suite, json, 1);
        }
        suite.judge(0, &[batch], &|_, _| Some(REPLAY));
        suite.at_epoch(1);
        suite.settle(&executor, 0, 200);
        let epoch = suite.epoch(&executor, 0);
        assert_eq!(epoch.status, EpochStatus::Forfeited);
        (epoch.slashed, epoch.refunded, epoch.folded, suite.pools())
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_page_of_verdicts_keeps_the_size_under_which_its_seats_were_numbered() {
    let mut suite = Suite::builder().params(|p| p.limits.verdict_page = 2).build();
    let (executor, session) = with_session(&mut suite);
    suite.at_window(3);
    let claim = suite.claim(session, 9);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    update(&mut suite, r#"{"limits": {"verdict_page": 50}}"#, 1);
    suite.at_window(4);
    suite.post_beacon(3);
    suite.draw(batch, 100);
    suite.at_window(5);
    let pages = suite.commit_verdicts(4, &honest);
    assert!(pages.iter().all(|(_, page)| page.verdicts.len() <= 2));
    suite.at_window(6); // the reveal is in the epoch of the larger page
    let juror = pages[0].0.clone();
    let again = suite.pages(&juror, 4, &honest);
    let ours: Vec<_> = pages.iter().filter(|(of, _)| *of == juror).map(|(_, page)| page.clone()).collect();
    assert_eq!(again, ours);
    suite.reveal(pages);
    suite.at_window(7);
    suite.tally(batch, 0, 100);
    assert_eq!(suite.epoch(&executor, 0).closed.valid, 9);
}

/// The new beacon counts its rounds from another time: the same numbers are rounds of other windows under the old one.
#[test]
fn a_beacon_changed_in_flight_draws_only_for_what_is_committed_under_it() {
    let mut suite = Suite::new();
    let (executor, session) = with_session(&mut suite);
    let (old, new) = (Beacon::new(1), Beacon::new(2));
    suite.at_window(5);
    let claim = suite.claim(session, 4);
    let before = suite.commit_batch(&executor, vec![claim], 0);
    let genesis = START + 50;
    let json = format!(
        r#"{{"beacon": {{"public_key": "{}", "genesis": {genesis}, "period_seconds": 2}}}}"#,
        new.public_key()
    );
    update(&mut suite, &json, 1);
    suite.at_window(6);
    let claim = suite.claim(session, 8);
    let after = suite.commit_batch(&executor, vec![claim], 0);
    let rounds = [before, after].map(|batch| suite.query::<BatchResponse>(&QueryMsg::Batch { batch }).round);
    assert_eq!(rounds[0], suite.round(5));
    assert!(rounds[1] < rounds[0], "{rounds:?}");
    suite.at_window(7);
    let due: Vec<_> = suite.due().beacons.into_iter().map(|due| (due.window, due.round)).collect();
    assert_eq!(due, [(Window(5), rounds[0]), (Window(6), rounds[1])]);

    let sender = suite.requester.clone();
    let posting = |window: u64, beacon: &Beacon, round| ExecuteMsg::PostBeacon {
        window: Window(window),
        signature: beacon.sign(round),
    };
    for (window, good, bad, round) in [(5, &old, &new, rounds[0]), (6, &new, &old, rounds[1])] {
        let expected = ContractError::BadSignature { window: Window(window), round };
        suite.refused(&sender, &posting(window, bad, round), 0, expected);
        suite.accepted(&sender, &posting(window, good, round), 0);
    }
    suite.draw(before, 100);
    suite.draw(after, 100);
}

#[test]
fn the_evidence_is_shown_against_the_bound_in_force() {
    let mut suite = Suite::new();
    let address = suite.nodes[0].to_string();
    let bound = |suite: &Suite| -> i64 {
        suite.query::<EvidenceResponse>(&QueryMsg::Evidence { executor: address.clone() }).bound
    };
    let before = bound(&suite);
    update(&mut suite, r#"{"evidence": {"false_forfeit_one_in": "1000"}}"#, 1);
    assert_eq!(bound(&suite), before);
    suite.at_epoch(1);
    assert!(bound(&suite) < before);
}

#[test]
fn versions_are_kept_while_a_batch_is_stored_and_dropped_when_none_is() {
    let mut suite = Suite::new();
    // No batch: a version that has ended is dropped by the next change.
    for epoch in 1..6 {
        update(&mut suite, &format!(r#"{{"limits": {{"claims_per_batch": {epoch}}}}}"#), epoch);
        suite.at_epoch(epoch);
    }
    let gone = suite.try_query::<ParamsVersion>(&QueryMsg::ParamsOf { epoch: Epoch(2) }).unwrap_err();
    let expected = ContractError::ParamsGone { epoch: Epoch(2) };
    assert!(gone.to_string().contains(&expected.to_string()), "{gone}");
    // With one: everything from its epoch on is kept.
    let (executor, session) = with_session(&mut suite);
    let claim = suite.claim(session, 4);
    suite.commit_batch(&executor, vec![claim], 0);
    for epoch in 6..12 {
        update(&mut suite, &format!(r#"{{"limits": {{"claims_per_batch": {epoch}}}}}"#), epoch);
        suite.at_epoch(epoch);
    }
    for epoch in 5..12u32 {
        assert_eq!(of_epoch(&suite, epoch.into()).params.limits.claims_per_batch, epoch);
    }
}
