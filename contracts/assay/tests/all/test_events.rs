//! Events as explorers meet them: one golden file for each kind, and the two documents that are made of the declaration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assay_common::event::{Attribute, Event, Kind, KINDS, VERSION_KEY};
use assay_common::ids::{Digest, Epoch};
use assay_common::msg::{CalibrationRecord, ExecuteMsg, MigrateMsg, SampleResponse};
use assay_contract::contract::migrate;
use assay_contract::takeover;
use cosmwasm_std::testing::{mock_dependencies, mock_env};
use cosmwasm_std::Addr;

use crate::suite::*;

/// Models, calibrations, guardians, parameters and pauses.
fn governed() -> Suite {
    let mut suite = Suite::new();
    let (governance, model) = (suite.governance.clone(), suite.model);
    let guardians = vec![suite.nodes[3].to_string()];
    let another = suite.register_model("another");
    let patch = serde_json::from_str(r#"{"fees": {"slash_ppm": 200000}}"#).unwrap();
    let calibration = CalibrationRecord { digest: Digest([9; 32]), ..calibration() };
    for msg in [
        ExecuteMsg::UpdateCalibration { model, calibration },
        ExecuteMsg::SetGuardians { model, guardians },
        ExecuteMsg::DeprecateModel { model: another },
        ExecuteMsg::UpdateParams { patch, epoch: Epoch(2) },
        ExecuteMsg::CancelParams {},
        ExecuteMsg::Pause {},
        ExecuteMsg::Unpause {},
    ] {
        suite.accepted(&governance, &msg, 0);
    }
    suite
}

/// A node adds to its stake, takes a part of it out, and withdraws it.
fn bonded() -> Suite {
    let mut suite = Suite::new();
    let node = suite.nodes[0].clone();
    let endpoint = Some("http://10.0.0.2:8080".into());
    suite.accepted(&node, &ExecuteMsg::UpdateNode { models: None, endpoint }, 5);
    suite.accepted(&node, &ExecuteMsg::Unbond { amount: MIN_STAKE.into() }, 0);
    suite.at_seconds(START + 3_600);
    suite.accepted(&node, &ExecuteMsg::Withdraw {}, 0);
    suite
}

/// A session is opened, topped up, closed and paid out; its requester claims.
fn prepaid() -> Suite {
    let mut suite = Suite::new();
    let (executor, requester) = (suite.nodes[0].clone(), suite.requester.clone());
    let session = suite.open_session(&executor, 20 * FEE);
    suite.accepted(&requester, &ExecuteMsg::TopUp { session }, FEE);
    suite.accepted(&requester, &ExecuteMsg::CloseSession { session }, 0);
    suite.at_epoch(3);
    suite.accepted(&requester, &ExecuteMsg::CloseSession { session }, 0);
    suite.accepted(&requester, &ExecuteMsg::Claim {}, 0);
    suite
}

/// An honest executor is paid; a juror that stays away is benched.
fn paid() -> Suite {
    let mut suite = Suite::new();
    let (executor, away) = (suite.nodes[0].clone(), suite.nodes[3].clone());
    let session = suite.open_session(&executor, 100 * FEE);
    let claim = suite.claim(session, 18);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(0, &[batch], &|_, juror| (*juror != away).then_some(VALID));
    suite.at_epoch(1);
    suite.settle(&executor, 0, 200);
    suite
}

/// A juror that dissents alone pays for the second level.
fn contested() -> Suite {
    let mut suite = Suite::builder().nodes(12).params(|params| params.jury.second_seats = 9).build();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 2 * FEE);
    let claim = suite.claim(session, 1);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.draw_and_reveal(0, &[batch], &|sample: &SampleResponse, juror: &Addr| {
        Some(if sample.seats[0].juror == juror.as_str() { REPLAY } else { VALID })
    });
    suite.at_window(4);
    suite.post_beacon(3);
    suite.tally(batch, 0, 100);
    let pages = suite.commit_verdicts(4, &honest);
    suite.at_window(6);
    suite.reveal(pages);
    suite.at_window(7);
    suite.tally_rest(batch);
    suite
}

/// A cheat loses its epoch and a share of its stake.
fn forfeited() -> Suite {
    let mut suite = Suite::new();
    let cheat = suite.nodes[0].clone();
    let session = suite.open_session(&cheat, 40 * FEE);
    let claim = suite.claim(session, 12);
    let batch = suite.commit_batch(&cheat, vec![claim], 0);
    suite.judge(0, &[batch], &|_, _| Some(REPLAY));
    suite.at_epoch(1);
    suite.settle(&cheat, 0, 200);
    suite
}

/// Somebody proves a fraud; a commitment to another proof lapses and is swept.
fn proven() -> Suite {
    let mut suite = Suite::new();
    let (executor, accuser) = (suite.nodes[0].clone(), suite.account("accuser"));
    let committed = suite.commit_answers(&executor, 3, |seed, number| {
        let mut artifact = honest_answer(seed, number);
        tamper(&mut artifact, 2, swap_token);
        artifact
    });
    suite.prove(&accuser, &committed.proof(1, 2)).unwrap();
    suite.accepted(&accuser, &ExecuteMsg::CommitFraud { hash: Digest([7; 32]) }, 0);
    suite.at_epoch(2);
    suite.accepted(&accuser, &ExecuteMsg::Sweep { limit: 50 }, 0);
    suite
}

/// The code goes on with a state that was taken over.
fn migrated() -> Vec<cosmwasm_std::Event> {
    let mut deps = mock_dependencies();
    let name = env!("CARGO_PKG_NAME");
    cw2::set_contract_version(&mut deps.storage, name, takeover::TAKEN_OVER).unwrap();
    migrate(deps.as_mut(), mock_env(), MigrateMsg {}).unwrap().events
}

/// Everything that was told, by the chain's names of the kinds.
fn told() -> Vec<cosmwasm_std::Event> {
    let lives = [governed, bonded, prepaid, paid, contested, forfeited, proven];
    lives.into_iter().flat_map(|life| life().told).chain(migrated()).collect()
}

/// What the contract wrote, without what the chain adds.
fn written(event: &cosmwasm_std::Event) -> Vec<(String, String)> {
    let own = event.attributes.iter().filter(|attribute| attribute.key != "_contract_address");
    own.map(|attribute| (attribute.key.clone(), attribute.value.clone())).collect()
}

#[test]
fn each_kind_of_event_is_as_its_golden_file_has_it_and_is_read_back() {
    let told = told();
    let find = |kind: &Kind| told.iter().find(|event| event.ty.trim_start_matches("wasm-") == kind.kind);
    for kind in KINDS {
        let event = find(kind).unwrap_or_else(|| panic!("nobody here makes the contract tell {}", kind.kind));
        let written = written(event);
        let keys: Vec<&str> = written.iter().map(|(key, _)| key.as_str()).collect();
        let declared = kind.attributes.iter().map(|attribute| attribute.key);
        assert_eq!(keys, [VERSION_KEY].into_iter().chain(declared).collect::<Vec<_>>(), "{}", kind.kind);
        assert_eq!(written[0].1, kind.version.to_string(), "{}", kind.kind);

        let attributes: BTreeMap<String, String> = written.iter().cloned().collect();
        let read = Event::decode(&event.ty, &attributes).unwrap().expect("a kind of ours");
        assert_eq!(self::written(&read.into()), written, "{}", kind.kind);

        let lines: Vec<String> = written.into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
        insta::with_settings!({ snapshot_path => "../golden/events", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(kind.kind, lines.join("\n"));
        });
    }
}

// --- documents ---

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a committed file with what it must hold, or writes it where `UPDATE_DOCS` is set.
fn assert_is(file: &Path, expected: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, expected).unwrap();
        return;
    }
    let update = "UPDATE_DOCS=1 cargo test -p assay-contract --test all test_events";
    let found = std::fs::read_to_string(file).unwrap();
    assert!(found == expected, "{} is not that of the events: run {update}", file.display());
}

#[test]
fn the_committed_schema_of_the_events_is_that_of_the_code() {
    let json = serde_json::to_string_pretty(KINDS).unwrap() + "\n";
    assert_is(&Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/events.json"), &json);
}

/// What the value of an attribute is, in words.
fn unit(of: &str) -> &str {
    match of {
        "Uint128" => "money",
        "Epoch" => "epoch",
        "Window" => "window",
        "Round" => "beacon round",
        "SessionId" => "session id",
        "BatchId" => "batch id",
        "ModelDigest" | "Digest" | "BatchRoot" | "Randomness" => "32 bytes, hex",
        "u32" | "u64" | "i64" => "number",
        "bool" => "true or false",
        "String" => "text",
        other => panic!("no words for {other}"),
    }
}

fn documented(kind: &Kind) -> String {
    let mut text = format!("\n### `{}`, version {}\n\n{}\n\n", kind.kind, kind.version, kind.about);
    for Attribute { key, of, about } in kind.attributes {
        let about = if about.is_empty() { String::new() } else { format!(": {about}") };
        text += &format!("- `{key}`, {}{about}\n", unit(of));
    }
    text
}

#[test]
fn the_documented_events_are_those_of_the_code() {
    const MARK: &str = "<!-- the rest of this page is written by test_events.rs -->\n";
    let file = root().join("docs/events.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, _) = text.split_once(MARK).expect("the mark");
    let kinds: String = KINDS.iter().map(documented).collect();
    assert_is(&file, &[before, MARK, &kinds].concat());
}
