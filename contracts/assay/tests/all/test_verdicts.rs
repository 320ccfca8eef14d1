//! Invariant 5: a verdict from outside the jury, a second one, or a copied commitment is rejected.

use assay_common::ids::{BatchId, Digest, Window};
use assay_common::msg::{CommitmentResponse, ExecuteMsg, Page, QueryMsg, SampleKey, VerdictsResponse};
use assay_common::verdict::{AbstainReason, Outcome, VerdictPage};
use assay_contract::error::ContractError;
use cosmwasm_std::{Addr, HexBinary};

use crate::suite::*;

/// A batch of six by the first of five nodes, drawn in window 1; the fifth bonded too late for its juries.
fn drawn() -> (Suite, BatchId) {
    let mut suite = Suite::new();
    let late = suite.account("late");
    suite.register_node(&late, MIN_STAKE);
    suite.nodes.push(late);
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 6 * FEE);
    let claim = suite.claim(session, 6);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.at_window(1);
    suite.post_beacon(0);
    suite.draw(batch, 100);
    (suite, batch)
}

fn committing(window: u64, page: u32) -> ExecuteMsg {
    ExecuteMsg::CommitVerdicts { window: Window(window), page, hash: Digest([1; 32]) }
}

fn page_of(juror: &Addr, batch: BatchId, draws: &[u32]) -> VerdictPage {
    let verdicts = draws.iter().map(|draw| verdict(SampleKey { batch, draw: *draw }, VALID, 1)).collect();
    VerdictPage { juror: juror.to_string(), window: Window(1), page: 0, verdicts }
}

/// Commits to a page in window 1 and goes on to the reveal window.
fn bound(suite: &mut Suite, juror: &Addr, page: &VerdictPage) -> ExecuteMsg {
    let msg = suite.committing_page(juror, page);
    suite.accepted(juror, &msg, 0);
    suite.at_window(3);
    revealing(juror, page.clone())
}

#[test]
fn a_juror_commits_and_reveals_and_its_verdicts_stand() {
    let (mut suite, batch) = drawn();
    let juror = suite.nodes[1].clone();
    let page = page_of(&juror, batch, &[0, 3]);
    let asking = QueryMsg::Commitment { juror: juror.to_string(), window: Window(1), page: 0 };
    assert_eq!(
        suite.query::<CommitmentResponse>(&asking),
        CommitmentResponse { hash: None, revealed: false }
    );
    let msg = bound(&mut suite, &juror, &page);
    let hash = Some(page.commitment(&suite.domain(), &salt(&juror, Window(1), 0)));
    assert_eq!(suite.query::<CommitmentResponse>(&asking), CommitmentResponse { hash, revealed: false });
    suite.accepted(&juror, &msg, 0);
    assert_eq!(suite.query::<CommitmentResponse>(&asking), CommitmentResponse { hash, revealed: true });
    let told: Page<VerdictsResponse, u32> = suite.query(&QueryMsg::Verdicts {
        juror: juror.to_string(),
        window: Window(1),
        start_after: None,
        limit: None,
    });
    let expected = vec![VerdictsResponse { page: 0, verdicts: page.verdicts }];
    assert_eq!(told, Page { items: expected, next_start_after: None });
    let seat =
        |draw: usize| suite.samples(batch)[draw].seats.iter().find(|s| s.juror == juror.as_str()).cloned();
    assert_eq!(seat(3).unwrap().verdict, Some(VALID));
    assert_eq!(seat(2).unwrap().verdict, None);
}

#[test]
fn commitments_are_taken_in_the_window_of_the_draw_and_the_next() {
    let (mut suite, _) = drawn();
    let juror = suite.nodes[1].clone();
    let early = ContractError::TooEarly { window: Window(2), opens: Window(2), now: Window(1) };
    suite.refused(&juror, &committing(2, 0), 0, early);
    suite.at_window(2);
    suite.accepted(&juror, &committing(1, 0), 0);
    suite.at_window(3);
    let late = ContractError::TooLate { window: Window(1), closes: Window(2), now: Window(3) };
    suite.refused(&juror, &committing(1, 1), 0, late);
}

#[test]
fn a_node_without_a_seat_commits_to_nothing() {
    let (mut suite, _) = drawn();
    for juror in [suite.nodes[0].clone(), suite.nodes[4].clone()] {
        let expected = ContractError::NotAssigned { juror: juror.to_string(), window: Window(1) };
        suite.refused(&juror, &committing(1, 0), 0, expected);
    }
}

#[test]
fn a_page_is_committed_once_and_pages_are_bounded() {
    let (mut suite, _) = drawn();
    let juror = suite.nodes[1].clone();
    suite.accepted(&juror, &committing(1, 0), 0);
    suite.refused(
        &juror,
        &committing(1, 0),
        0,
        ContractError::AlreadyCommitted { window: Window(1), page: 0 },
    );
    // Six seats fit on one page.
    suite.refused(&juror, &committing(1, 1), 0, ContractError::BadPage { page: 1, pages: 1 });
}

#[test]
fn reveals_are_taken_in_one_window_only() {
    let (mut suite, batch) = drawn();
    let juror = suite.nodes[1].clone();
    let page = page_of(&juror, batch, &[0]);
    let msg = bound(&mut suite, &juror, &page);
    let window = Window(1);
    suite.at_window(2);
    suite.refused(&juror, &msg, 0, ContractError::TooEarly { window, opens: Window(3), now: Window(2) });
    suite.at_window(4);
    suite.refused(&juror, &msg, 0, ContractError::TooLate { window, closes: Window(3), now: Window(4) });
}

#[test]
fn a_reveal_opens_exactly_what_was_committed() {
    let (mut suite, batch) = drawn();
    let juror = suite.nodes[1].clone();
    let page = page_of(&juror, batch, &[0, 1]);
    let committed = page.commitment(&suite.domain(), &salt(&juror, Window(1), 0));
    let good = bound(&mut suite, &juror, &page);
    let mut changed = page.clone();
    changed.verdicts[1].outcome = REPLAY;
    let mut fewer = page.clone();
    fewer.verdicts.pop();
    for other in [changed, fewer] {
        let revealed = other.commitment(&suite.domain(), &salt(&juror, Window(1), 0));
        let expected = ContractError::RevealMismatch { committed, revealed };
        suite.refused(&juror, &revealing(&juror, other), 0, expected);
    }
    let (window, verdicts) = (page.window, page.verdicts.clone());
    let with =
        |salt: HexBinary| ExecuteMsg::RevealVerdicts { window, page: 0, salt, verdicts: verdicts.clone() };
    let wrong = HexBinary::from(vec![0; 32]);
    let revealed = page.commitment(&suite.domain(), &wrong);
    suite.refused(&juror, &with(wrong), 0, ContractError::RevealMismatch { committed, revealed });
    for bytes in [0, 31, 33] {
        suite.refused(&juror, &with(vec![0; bytes].into()), 0, ContractError::BadSalt { bytes });
    }
    suite.accepted(&juror, &good, 0);
    suite.refused(&juror, &good, 0, ContractError::AlreadyRevealed { window, page: 0 });
    let second = revealing(&juror, VerdictPage { page: 1, ..page });
    suite.refused(&juror, &second, 0, ContractError::NotCommitted { window, page: 1 });
}

#[test]
fn a_copied_commitment_opens_nothing() {
    let (mut suite, batch) = drawn();
    let (author, copier) = (suite.nodes[1].clone(), suite.nodes[2].clone());
    let page = page_of(&author, batch, &[0, 1]);
    let msg = suite.committing_page(&author, &page);
    suite.accepted(&author, &msg, 0);
    suite.accepted(&copier, &msg, 0);
    suite.at_window(3);
    let reveal = revealing(&author, page.clone());
    suite.accepted(&author, &reveal, 0);
    let committed = page.commitment(&suite.domain(), &salt(&author, Window(1), 0));
    let copied = VerdictPage { juror: copier.to_string(), ..page };
    let revealed = copied.commitment(&suite.domain(), &salt(&author, Window(1), 0));
    suite.refused(&copier, &reveal, 0, ContractError::RevealMismatch { committed, revealed });
}

#[test]
fn a_page_holds_a_bounded_number_of_verdicts() {
    let (mut suite, batch) = drawn();
    let juror = suite.nodes[1].clone();
    suite.at_window(3);
    for count in [0u32, 51] {
        let page = page_of(&juror, batch, &vec![0; count as usize]);
        let expected = ContractError::BadVerdictCount { count, most: 50 };
        suite.refused(&juror, &revealing(&juror, page), 0, expected);
    }
}

#[test]
fn a_page_with_one_bad_verdict_counts_for_nothing() {
    let (mut suite, batch) = drawn();
    let juror = suite.nodes[1].clone();
    let msg = bound(&mut suite, &juror, &page_of(&juror, batch, &[0, 99]));
    suite.refused(&juror, &msg, 0, ContractError::UnknownSample { batch, draw: 99 });
    assert!(suite.samples(batch).iter().all(|sample| sample.seats.iter().all(|seat| seat.verdict.is_none())));
}

#[test]
fn a_second_verdict_on_a_sample_is_refused() {
    let (mut suite, batch) = drawn();
    let juror = suite.nodes[2].clone();
    let msg = bound(&mut suite, &juror, &page_of(&juror, batch, &[4, 4]));
    suite.refused(&juror, &msg, 0, ContractError::DuplicateVerdict { batch, draw: 4 });
}

/// Else a juror could commit to every outcome on pages of their own, and open the one that the others chose.
#[test]
fn a_juror_cannot_commit_to_two_outcomes_of_one_sample() {
    let mut suite = Suite::new();
    let (executor, juror) = (suite.nodes[0].clone(), suite.nodes[1].clone());
    let session = suite.open_session(&executor, 60 * FEE);
    let claim = suite.claim(session, 60);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.at_window(1);
    suite.post_beacon(0);
    suite.draw(batch, 100);
    let page = page_of(&juror, batch, &[2]);
    let mut other = VerdictPage { page: 1, ..page.clone() };
    other.verdicts[0] = verdict(SampleKey { batch, draw: other.verdicts[0].draw }, Outcome::Malformed, 1);
    for page in [&page, &other] {
        let msg = suite.committing_page(&juror, page);
        suite.accepted(&juror, &msg, 0);
    }
    suite.at_window(3);
    let expected = ContractError::WrongPage { batch, draw: 2, page: 1, belongs: 0 };
    suite.refused(&juror, &revealing(&juror, other), 0, expected);
    suite.accepted(&juror, &revealing(&juror, page), 0);
}

/// With more nodes than seats a juror of one sample has none on another.
#[test]
fn a_verdict_from_outside_the_jury_is_refused() {
    let mut suite = Suite::builder().nodes(8).build();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 30 * FEE);
    let claim = suite.claim(session, 30);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.at_window(1);
    suite.post_beacon(0);
    suite.draw(batch, 100);
    let juror = suite.nodes[1].clone();
    let seats = suite.assignments(&juror, Window(1));
    let outside = (0..30).find(|draw| !seats.iter().any(|key| key.draw == *draw)).unwrap();
    assert!(!seats.is_empty());
    let msg = bound(&mut suite, &juror, &page_of(&juror, batch, &[outside]));
    let expected = ContractError::NotSeated { juror: juror.to_string(), batch, draw: outside };
    suite.refused(&juror, &msg, 0, expected);
}

#[test]
fn a_verdict_on_a_sample_of_another_window_is_refused() {
    let (mut suite, batch) = drawn();
    let (executor, juror) = (suite.nodes[0].clone(), suite.nodes[1].clone());
    let session = suite.open_session(&executor, FEE);
    let claim = suite.claim(session, 1);
    let later = suite.commit_batch(&executor, vec![claim], 0);
    suite.at_window(2);
    suite.post_beacon(1);
    suite.draw(later, 1);
    let mut page = page_of(&juror, batch, &[0]);
    page.verdicts.push(verdict(SampleKey { batch: later, draw: 0 }, VALID, 1));
    let msg = bound(&mut suite, &juror, &page);
    let expected = ContractError::WrongWindow { batch: later, draw: 0, drawn: Window(2), page: Window(1) };
    suite.refused(&juror, &msg, 0, expected);
}

#[test]
fn an_abstention_is_recorded_like_any_verdict() {
    let (mut suite, batch) = drawn();
    let juror = suite.nodes[1].clone();
    let outcome = Outcome::Inconclusive { reason: AbstainReason::NoModel };
    let mut page = page_of(&juror, batch, &[0]);
    page.verdicts[0] = verdict(SampleKey { batch, draw: 0 }, outcome, 1);
    let msg = bound(&mut suite, &juror, &page);
    suite.accepted(&juror, &msg, 0);
    let seats = &suite.samples(batch)[0].seats;
    assert!(seats.iter().any(|seat| seat.verdict == Some(outcome)));
}
