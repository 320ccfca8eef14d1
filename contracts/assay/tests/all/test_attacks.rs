//! Attacks that cross the steps of the protocol, and the list of all attacks: docs/security.md names a test for each row.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use assay_common::ids::{BatchId, Digest, Epoch, Nonce, Window};
use assay_common::msg::{EpochStatus, EvidenceResponse, ExecuteMsg, QueryMsg, SampleResponse};
use assay_common::verdict::{Outcome, VerdictPage};
use assay_contract::error::ContractError;
use cosmwasm_std::Addr;

use crate::suite::*;

/// A batch of `count` by the first node in window 0, of a new session.
fn committed(suite: &mut Suite, count: u64) -> (Addr, BatchId) {
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, u128::from(count) * FEE);
    let claim = suite.claim(session, count);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    (executor, batch)
}

fn tallying(batch: BatchId, from: u32, limit: u32) -> ExecuteMsg {
    ExecuteMsg::Tally { batch, from, limit }
}

/// Up to the reveals, in window 3; every juror tells answers of `tokens(sample)` tokens.
fn judged(
    suite: &mut Suite,
    batch: BatchId,
    mind: &dyn Fn(&SampleResponse) -> Outcome,
    tokens: &dyn Fn(&SampleResponse) -> u32,
) {
    suite.at_window(1);
    suite.post_beacon(0);
    suite.draw(batch, 100);
    let samples = suite.samples(batch);
    let mut pages = Vec::new();
    for juror in suite.nodes.clone() {
        for mut page in suite.pages(&juror, 1, &|sample, _| Some(mind(sample))) {
            for verdict in &mut page.verdicts {
                if let Some(score) = &mut verdict.score {
                    score.tokens = tokens(&samples[verdict.draw as usize]);
                }
            }
            let msg = suite.committing_page(&juror, &page);
            suite.accepted(&juror, &msg, 0);
            pages.push((juror.clone(), page));
        }
    }
    suite.at_window(3);
    suite.reveal(pages);
}

fn evidence(suite: &Suite, executor: &Addr) -> EvidenceResponse {
    suite.query(&QueryMsg::Evidence { executor: executor.to_string() })
}

/// One message too early and one too late for each state of a batch and its epoch.
#[test]
fn early_and_late_messages_are_refused_at_each_state() {
    let mut suite = Suite::new();
    let (anyone, juror) = (suite.requester.clone(), suite.nodes[1].clone());
    let (executor, batch) = committed(&mut suite, 4);
    let window = Window(1);
    let commit = |page| ExecuteMsg::CommitVerdicts { window, page, hash: Digest([1; 32]) };
    let page = |suite: &Suite| suite.pages(&juror, 1, &honest).remove(0);

    // Committed, not drawn.
    let missing = ContractError::BeaconMissing { batch, window: Window(0) };
    suite.refused(&anyone, &ExecuteMsg::Draw { batch, limit: 9 }, 0, missing);
    suite.refused(&juror, &commit(0), 0, ContractError::TooEarly { window, opens: window, now: Window(0) });
    suite.refused(&anyone, &tallying(batch, 0, 9), 0, ContractError::NothingToTally { batch, from: 0 });
    let ahead = suite.posting(6);
    let (epoch, now) = (Epoch(1), Epoch(0));
    let expected = ContractError::EpochNotBegun { window: Window(6), epoch, now };
    suite.refused(&anyone, &ahead, 0, expected);
    // Drawn, not committed to: a commitment is never overtaken by its reveal.
    suite.at_window(1);
    suite.post_beacon(0);
    suite.draw(batch, 9);
    let (known, reveal) = (suite.posting(0), revealing(&juror, page(&suite)));
    suite.refused(&anyone, &known, 0, ContractError::BeaconKnown { window: Window(0) });
    suite.refused(&anyone, &ExecuteMsg::Draw { batch, limit: 9 }, 0, ContractError::AlreadyDrawn { batch });
    suite.refused(&juror, &reveal, 0, ContractError::TooEarly { window, opens: Window(3), now: window });
    let pages = suite.commit_verdicts(1, &honest);
    // In the reveal window: no more commitments, no tally yet.
    suite.at_window(3);
    let late = ContractError::TooLate { window, closes: Window(2), now: Window(3) };
    suite.refused(&juror, &commit(1), 0, late);
    suite.refused(&anyone, &tallying(batch, 0, 9), 0, ContractError::NothingToTally { batch, from: 0 });
    let (kept, shown): (Vec<_>, Vec<_>) = pages.into_iter().partition(|(of, _)| *of == juror);
    suite.reveal(shown);
    // After it: no more reveals; an epoch that is not over does not settle.
    suite.at_window(4);
    let late = ContractError::TooLate { window, closes: Window(3), now: Window(4) };
    suite.refused(&juror, &revealing(&juror, kept[0].1.clone()), 0, late);
    suite.accepted(&anyone, &tallying(batch, 0, 9), 0);
    suite.refused(&anyone, &tallying(batch, 0, 9), 0, ContractError::NothingToTally { batch, from: 0 });
    let early = ContractError::EpochNotOver { epoch: Epoch(0), now: Epoch(0) };
    suite.refused(&anyone, &settling(&executor, 0, 9), 0, early);
    suite.at_epoch(1);
    suite.settle(&executor, 0, 9);
    let settled = ContractError::EpochSettled { executor: executor.to_string(), epoch: Epoch(0) };
    suite.refused(&anyone, &settling(&executor, 0, 9), 0, settled);
}

/// A juror that waits for the others' verdicts, and shows theirs as its own.
#[test]
fn a_reveal_without_a_commitment_is_refused_though_it_says_what_all_others_say() {
    let mut suite = Suite::new();
    let late = suite.nodes[1].clone();
    let (_, batch) = committed(&mut suite, 2);
    suite.at_window(1);
    suite.post_beacon(0);
    suite.draw(batch, 9);
    let pages = suite.commit_verdicts(1, &|_, juror| (*juror != late).then_some(VALID));
    suite.at_window(3);
    let copied = VerdictPage { juror: late.to_string(), ..pages[0].1.clone() };
    suite.reveal(pages);
    let expected = ContractError::NotCommitted { window: Window(1), page: 0 };
    suite.refused(&late, &revealing(&late, copied), 0, expected);
    let seats = suite.samples(batch).remove(0).seats;
    let own = seats.iter().find(|seat| seat.juror == late.as_str());
    assert_eq!(own.map(|seat| seat.verdict), Some(None));
}

/// The same voucher again, an older one after it, and one session's voucher for another of the same requester and key.
#[test]
fn a_replayed_voucher_pays_nothing_more() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let (session, other) = (suite.open_session(&executor, 20 * FEE), suite.open_session(&executor, 20 * FEE));
    let (older, voucher) = (suite.claim(session, 3), suite.claim(session, 5));
    suite.commit_batch(&executor, vec![voucher.clone()], 0);
    let escrow = suite.pools().escrow;
    for window in [0, 1, 7] {
        suite.at_window(window);
        for replayed in [&voucher, &older] {
            let msg = suite.committing(vec![replayed.clone()]);
            let claimed = replayed.nonce_to;
            let expected = ContractError::NonceNotRising { session, nonce: Nonce(5), claimed };
            suite.refused(&executor, &msg, 0, expected);
        }
        let msg = suite.committing(vec![assay_common::msg::Claim { session: other, ..voucher.clone() }]);
        suite.refused(&executor, &msg, 0, ContractError::BadVoucher { session: other, nonce: Nonce(5) });
    }
    assert_eq!(suite.pools().escrow, escrow);
}

/// Whoever draws chooses how large the pages are and whose batch comes first, and nothing else.
#[test]
fn a_draw_twice_or_in_pages_out_of_order_changes_no_jury() {
    let juries = |order: &[(u64, u32)]| {
        let mut suite = Suite::builder().nodes(8).build();
        let batches = [committed(&mut suite, 30).1, committed(&mut suite, 30).1];
        suite.at_window(1);
        suite.post_beacon(0);
        for (batch, limit) in order {
            suite.draw(BatchId(*batch), *limit);
        }
        let anyone = suite.requester.clone();
        for batch in batches {
            let again = ExecuteMsg::Draw { batch, limit: 30 };
            suite.refused(&anyone, &again, 0, ContractError::AlreadyDrawn { batch });
        }
        batches.map(|batch| suite.samples(batch))
    };
    let straight = juries(&[(1, 30), (2, 30)]);
    assert_eq!(juries(&[(2, 7), (1, 1), (2, 22), (1, 28), (2, 9), (1, 9)]), straight);
    assert_ne!(straight[0][0].index, straight[1][0].index, "each batch has its own draw");
}

/// Five short answers for each long fraud: they hold back nothing, where five long ones would.
#[test]
fn short_fillers_do_not_dilute_long_frauds() {
    let settled = |filler: u32| {
        let mut suite = Suite::new();
        let (executor, batch) = committed(&mut suite, 60);
        let is_fraud = |sample: &SampleResponse| sample.index.is_multiple_of(6);
        let mind = |sample: &SampleResponse| if is_fraud(sample) { REPLAY } else { VALID };
        judged(&mut suite, batch, &mind, &|sample| if is_fraud(sample) { 512 } else { filler });
        suite.at_epoch(1);
        suite.tally_rest(batch);
        suite.settle(&executor, 0, 200);
        suite.epoch(&executor, 0).status
    };
    assert_eq!(settled(1), EpochStatus::Forfeited);
    assert_eq!(settled(512), EpochStatus::Paid);
}

/// Nine failures in a row condemn, and nine among sixty do not: whoever closes them first must not make a row of them.
#[test]
fn outcomes_cranked_failures_first_condemn_nobody() {
    let settled = |failures_first: bool| {
        let mut suite = Suite::new();
        let (anyone, (executor, batch)) = (suite.requester.clone(), committed(&mut suite, 60));
        let fails = |sample: &SampleResponse| sample.index.is_multiple_of(7);
        let mind = |sample: &SampleResponse| if fails(sample) { REPLAY } else { VALID };
        judged(&mut suite, batch, &mind, &|_| 512);
        suite.at_epoch(1);
        if failures_first {
            for sample in suite.samples(batch).iter().filter(|sample| fails(sample)) {
                suite.accepted(&anyone, &tallying(batch, sample.draw, 1), 0);
                // Whatever of it is terminal is folded now, if anything is.
                let _ = suite.send(&anyone, &settling(&executor, 0, 200), 0);
            }
        }
        suite.tally_rest(batch);
        while suite.epoch(&executor, 0).status == EpochStatus::Open {
            suite.settle(&executor, 0, 200);
        }
        let account = suite.epoch(&executor, 0);
        (account.status, account.closed.fail, evidence(&suite, &executor).cusum)
    };
    let straight = settled(false);
    assert_eq!((straight.0, straight.1), (EpochStatus::Paid, 9));
    assert_eq!(settled(true), straight);
}

// --- the list ---

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The rows of the table of attacks: the attack, and the tests that are named for it as (file, function).
fn listed() -> Vec<(String, Vec<(String, String)>)> {
    let page = std::fs::read_to_string(repository().join("docs/security.md")).unwrap();
    let (_, table) = page.split_once("<!-- attacks -->").unwrap();
    let (table, _) = table.split_once("<!-- end of attacks -->").unwrap();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [attack, tests] = cells[..] else { panic!("two cells: {line}") };
        let named = tests.split('`').skip(1).step_by(2).map(|test| {
            let (file, function) = test.split_once("::").unwrap_or_else(|| panic!("file::test: {test}"));
            (file.to_string(), function.to_string())
        });
        (attack.to_string(), named.collect())
    };
    rows.map(row).collect()
}

/// Whether a source has a test of this name, and not one that is ignored.
fn has_test(source: &str, function: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {function}(")) else { return false };
    let attributes = before.rsplit("}\n").next().unwrap_or(before);
    ["#[test]", "#[tokio::test", "proptest!"].iter().any(|kind| attributes.contains(kind))
        && !attributes.contains("#[ignore")
}

#[test]
fn every_listed_attack_names_tests_that_exist() {
    let rows = listed();
    assert_eq!(rows.len(), 31, "one row for each attack");
    let mut attacks = BTreeSet::new();
    for (attack, tests) in rows {
        assert!(!tests.is_empty(), "{attack} names no test");
        for (file, function) in tests {
            let source = std::fs::read_to_string(repository().join(&file));
            let source = source.unwrap_or_else(|error| panic!("{attack}: {file}: {error}"));
            assert!(has_test(&source, &function), "{attack}: {file} has no test {function}");
        }
        assert!(attacks.insert(attack.clone()), "{attack} is listed twice");
    }
}
