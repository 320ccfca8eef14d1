//! The whole network on real parts: wasmd, the contract's wasm, the model, four node processes.
//!
//! Run by `scripts/test`, one test at a time: each needs the machine for itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Audits that make a node's record mean something, and that a cheat must fail.
const LEAST_AUDITS: u64 = 10;
const LEAST_FAILS: u64 = 9;
/// Blocks that a network of which one validator stopped must still have made.
const LEAST_BLOCKS: u64 = 10;
/// The explorer's tests.
const LEAST_EXPLORED: u32 = 10;
/// Walks the contract with the TypeScript client that `scripts/client` builds.
const EXPLORER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/explore");
const HONEST: [&str; 3] = ["alder", "birch", "cedar"];
const CHEAT: &str = "rowan";

struct Run {
    summary: Value,
    _dir: tempfile::TempDir,
}

impl Run {
    fn of(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path: PathBuf = dir.path().join("summary.json");
        let status = Command::new(env!("CARGO_BIN_EXE_assay-localnet"))
            .args(arguments)
            .arg("--summary")
            .arg(&path)
            .status()
            .expect("the local net starts");
        assert!(status.success(), "assay-localnet {}: {status}", arguments.join(" "));
        Self { summary: read(&path), _dir: dir }
    }

    fn epochs(&self) -> &[Value] {
        self.summary["epochs"].as_array().expect("epochs")
    }

    /// One node's record in every epoch, in order.
    fn records(&self, name: &str) -> Vec<&Value> {
        let of_epoch = |epoch: &'_ Value| {
            let nodes = epoch["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
            nodes.iter().position(|node| node["name"] == name)
        };
        let found = self.epochs().iter().map(|epoch| {
            let place = of_epoch(epoch).unwrap_or_else(|| panic!("{name} is missing in {epoch}"));
            &epoch["nodes"][place]
        });
        found.collect()
    }

    fn sum(&self, name: &str, field: &str) -> u64 {
        self.records(name).into_iter().map(|record| number(record, field)).sum()
    }
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("the summary was written");
    println!("{text}");
    serde_json::from_str(&text).expect("the summary is JSON")
}

fn number(record: &Value, field: &str) -> u64 {
    record[field].as_u64().unwrap_or_else(|| panic!("{field} is no number in {record}"))
}

fn text_number(record: &Value, field: &str) -> u64 {
    let text = record[field].as_str().unwrap_or_else(|| panic!("{field} is no text in {record}"));
    text.parse().unwrap_or_else(|_| panic!("{field} is no number in {record}"))
}

/// An honest node has been checked enough, is found honest, and is paid to the last unit.
fn assert_honest(run: &Run, name: &str) {
    for record in run.records(name) {
        assert_eq!(record["role"], "honest");
        assert_eq!(record["forfeited"], false, "{record}");
        assert_eq!(number(record, "slashed"), 0, "{record}");
        assert_eq!(number(record, "refunded"), 0, "{record}");
        let due = number(record, "fees") - number(record, "reserve") - number(record, "checks");
        assert_eq!(number(record, "reward"), due, "{record}");
        assert!(number(record, "reputation_ppm") > 0, "{record}");
    }
    let (sampled, valid) = (run.sum(name, "sampled"), run.sum(name, "valid"));
    assert!(sampled >= LEAST_AUDITS, "{name} was checked {sampled} times");
    assert!(valid * 10 >= sampled * 9, "{name}: {valid} of {sampled} valid");
    assert_eq!(run.sum(name, "fail"), 0, "{name}");
}

/// The cheat is caught at once, earns nothing and stands at zero.
fn assert_caught(run: &Run) {
    let records = run.records(CHEAT);
    let first = records[0];
    assert_eq!(first["forfeited"], true, "{first}");
    assert!(number(first, "fail") >= LEAST_FAILS, "{first}");
    assert!(number(first, "slashed") > 0, "{first}");
    for record in records {
        if record["forfeited"] == true {
            assert_eq!(number(record, "reward"), 0, "{record}");
            assert_eq!(number(record, "refunded"), number(record, "fees"), "{record}");
            assert_eq!(number(record, "reputation_ppm"), 0, "{record}");
        }
    }
}

/// A juror proved the fraud on chain: what the jury would have said does not matter any more.
fn assert_proven(run: &Run, finding: &str) {
    let first = run.records(CHEAT)[0];
    assert_eq!(first["proven"]["finding"], finding, "{first}");
    let accuser = first["proven"]["accuser"].as_str().expect("an address");
    assert!(HONEST.iter().any(|name| run.records(name)[0]["address"] == accuser), "{first}");
    assert_eq!(first["forfeited"], true, "{first}");
    assert!(number(first, "slashed") > 0, "{first}");
    assert_eq!(number(first, "bounty"), number(first, "slashed") / 20, "{first}");
    assert_eq!((number(first, "valid"), number(first, "fail")), (0, 0), "{first}");
    assert_eq!(number(first, "reward"), 0, "{first}");
    assert_eq!(number(first, "refunded"), number(first, "fees"), "{first}");
    assert_eq!(number(first, "reputation_ppm"), 0, "{first}");
}

/// No unit was made or lost, and every requester has what it did not spend on paid work.
fn assert_books_balance(run: &Run) {
    let books = &run.summary["conservation"];
    let supply = number(books, "supply_at_end");
    assert_eq!(supply + number(books, "burned"), number(books, "supply_at_genesis"), "{books}");
    assert_eq!(number(books, "sum_of_balances"), supply, "{books}");
    assert_eq!(number(books, "contract_balance"), number(books, "pools_held"), "{books}");

    let sessions = run.summary["refunds"].as_array().expect("refunds");
    assert_eq!(sessions.len(), HONEST.len() + 1);
    for session in sessions {
        let spent = number(session, "paid_in_paid_epochs");
        assert_eq!(number(session, "escrow") + spent, number(session, "deposit"), "{session}");
        let forfeited = run.records(session["executor"].as_str().expect("a name")).into_iter();
        let lost: u64 =
            forfeited.filter(|record| record["forfeited"] == true).map(|record| number(record, "fees")).sum();
        assert_eq!(number(session, "paid_in_forfeited_epochs"), lost, "{session}");
    }
}

/// The explorer walked the contract with the TypeScript client, and everything that it was told agreed.
fn assert_explored(run: &Run) {
    let report = run.summary["when_settled"].as_str().expect("the explorer's report");
    let count = |of: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(&format!("# {of} ")));
        line.and_then(|count| count.parse::<u32>().ok()).unwrap_or_else(|| panic!("no {of} in {report}"))
    };
    assert!(count("pass") >= LEAST_EXPLORED, "{report}");
    assert_eq!(["fail", "cancelled", "skipped", "todo"].map(count), [0; 4], "{report}");
}

#[test]
fn a_quantised_model_forfeits_while_a_killed_juror_reveals_once_and_the_honest_are_paid() {
    let arguments = ["--cheat", "int4", "--epochs", "2", "--kill-before-reveal", "birch"];
    let run = Run::of(&[arguments.as_slice(), &["--when-settled", EXPLORER]].concat());
    assert_eq!(run.epochs().len(), 2);
    assert_caught(&run);
    HONEST.iter().for_each(|name| assert_honest(&run, name));
    assert_books_balance(&run);
    assert_explored(&run);

    let chain = &run.summary["chain"];
    assert_eq!(chain["contract_admin"], chain["governance"], "the gov module is not the contract's admin");
    let changes = chain["param_changes"].as_array().expect("changes");
    assert_eq!(changes.len(), 1, "{chain}");
    assert_eq!(changes[0]["field"], "reputation.step_ppm", "{chain}");
    assert_eq!(changes[0]["version"], chain["params_in_force"], "{chain}");
    // The first epoch is settled under the parameters that it was opened under, the second under the new ones.
    for name in HONEST {
        let grown: Vec<u64> =
            run.records(name).into_iter().map(|record| number(record, "reputation_ppm")).collect();
        let steps = ["before", "after"].map(|step| text_number(&changes[0], step));
        assert_eq!(grown, [steps[0], steps[0] + steps[1]], "{name}");
    }

    let killed = &run.summary["killed"];
    assert_eq!(killed["node"], "birch", "nobody was killed between commitment and reveal");
    assert_eq!(killed["revealed"], true, "{killed}");
    assert_eq!(number(killed, "duplicate_reveals"), 0, "{killed}");
    assert_eq!(number(&run.summary, "duplicate_reveals"), 0);

    let speed = &run.summary["tokens_per_second"];
    assert!(speed["generate"].as_f64() > Some(0.0) && speed["verify"].as_f64() > Some(0.0), "{speed}");
    let bytes = run.summary["artifact_bytes_per_token"].as_f64();
    assert!(bytes > Some(40.0) && bytes < Some(256.0), "{bytes:?} bytes a token");
}

#[test]
fn noise_of_ones_own_choice_is_proven_on_chain_by_a_juror() {
    let run = Run::of(&["--cheat", "wrong-seed", "--epochs", "1"]);
    assert_proven(&run, "replay");
    HONEST.iter().for_each(|name| assert_honest(&run, name));
    assert_books_balance(&run);
}

#[test]
fn four_honest_nodes_are_all_paid_and_nobody_forfeits_though_a_validator_of_the_chain_stops() {
    let run = Run::of(&["--cheat", "none", "--epochs", "1", "--validators", "4", "--stop-validator"]);
    HONEST.iter().chain([&CHEAT]).for_each(|name| assert_honest(&run, name));
    assert_books_balance(&run);
    assert_eq!(number(&run.summary["conservation"], "burned"), 0);

    let chain = &run.summary["chain"];
    assert_eq!(number(chain, "validators"), 4, "{chain}");
    assert_eq!(chain["stopped"]["used_by"], "alder", "no validator was stopped: {chain}");
    assert!(number(chain, "height") > number(&chain["stopped"], "height") + LEAST_BLOCKS, "{chain}");
}

#[test]
fn an_executor_that_serves_one_juror_alone_is_judged_by_all_of_them() {
    let run = Run::of(&["--cheat", "withhold", "--epochs", "1"]);
    HONEST.iter().for_each(|name| assert_honest(&run, name));
    let (sampled, valid) = (run.sum(CHEAT, "sampled"), run.sum(CHEAT, "valid"));
    assert!(sampled >= LEAST_AUDITS && valid * 10 >= sampled * 9, "{valid} of {sampled} valid");
    assert_eq!(run.sum(CHEAT, "unavailable"), 0);
    assert_books_balance(&run);
    let artifacts = &run.summary["artifacts"];
    // Of each of its samples, all jurors but the first have it from another.
    assert!(number(artifacts, "fetched_from_jurors") >= sampled, "{artifacts}");
}
