//! Pause: payouts, withdrawals and slashes wait, for a while and not for ever.

use assay_common::ids::SessionId;
use assay_common::msg::{BatchResponse, EpochStatus, ExecuteMsg, NodeResponse, PauseResponse, QueryMsg};
use assay_contract::error::ContractError;

use crate::suite::*;

const DAY: u64 = 24 * 3600;

fn pause(suite: &Suite) -> PauseResponse {
    suite.query(&QueryMsg::PauseStatus {})
}

fn govern(suite: &mut Suite, msg: &ExecuteMsg) {
    let governance = suite.governance.clone();
    suite.accepted(&governance, msg, 0);
}

#[test]
fn a_pause_lapses_after_seven_days_and_the_next_waits_for_as_long() {
    let mut suite = Suite::new();
    let governance = suite.governance.clone();
    let start = START + 5;
    govern(&mut suite, &ExecuteMsg::Pause {});
    suite.refused(&governance, &ExecuteMsg::Pause {}, 0, ContractError::Paused { until: start + 7 * DAY });
    suite.at_seconds(start + 7 * DAY - 1);
    assert_eq!(pause(&suite).until, Some(start + 7 * DAY));
    suite.at_seconds(start + 7 * DAY);
    assert_eq!(pause(&suite).until, None);
    suite.refused(&governance, &ExecuteMsg::Unpause {}, 0, ContractError::NotPaused);
    let (from, now) = (start + 14 * DAY, start + 7 * DAY);
    suite.refused(&governance, &ExecuteMsg::Pause {}, 0, ContractError::PauseTooSoon { from, now });
    suite.at_seconds(from);
    govern(&mut suite, &ExecuteMsg::Pause {});
}

#[test]
fn a_pause_that_governance_ends_frees_at_once_what_it_froze() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 50 * FEE);
    let claim = suite.claim(session, 5);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(0, &[batch], &honest);
    let (juror, until) = (suite.nodes[1].clone(), START + 45 + 7 * DAY);
    govern(&mut suite, &ExecuteMsg::Pause {});
    suite.at_epoch(1);
    suite.refused(&juror, &ExecuteMsg::Claim {}, 0, ContractError::Paused { until });
    suite.refused(&juror, &settling(&executor, 0, 200), 0, ContractError::Paused { until });
    assert_eq!(suite.due().settlements, []);
    let response = {
        let governance = suite.governance.clone();
        suite.accepted(&governance, &ExecuteMsg::Unpause {}, 0)
    };
    let event = attributes(&response, "assay_unpaused");
    assert_eq!(event["until_before"], until.to_string());
    assert_eq!(event["until_after"], (START + 65).to_string());
    assert_eq!(suite.due().settlements.len(), 1);
    suite.settle(&executor, 0, 200);
    suite.accepted(&juror, &ExecuteMsg::Claim {}, 0);
}

/// The cheat asks for its stake back, and a friendly government pauses until the wait is over.
#[test]
fn a_pause_abused_as_an_escape_brings_no_release_nearer_and_no_slash_out_of_reach() {
    let mut suite = Suite::new();
    let (cheat, wait) = (suite.nodes[0].clone(), u64::from(suite.params.limits.unbonding_seconds));
    let session = suite.open_session(&cheat, 50 * FEE);
    let claim = suite.claim(session, 12);
    let batch = suite.commit_batch(&cheat, vec![claim], 0);
    suite.judge(0, &[batch], &|_, _| Some(REPLAY));
    suite.accepted(&cheat, &ExecuteMsg::Unbond { amount: (2 * MIN_STAKE).into() }, 0);
    govern(&mut suite, &ExecuteMsg::Pause {});
    let paused_at = START + 45;
    let (withdraw, until) = (ExecuteMsg::Withdraw {}, paused_at + 7 * DAY);
    suite.at_seconds(paused_at + wait);
    suite.refused(&cheat, &withdraw, 0, ContractError::Paused { until });
    // The pause lapses: not a second of the wait has passed.
    suite.at_seconds(until);
    let release = until + wait;
    let shown: NodeResponse = suite.query(&QueryMsg::Node { address: cheat.to_string() });
    assert_eq!(shown.unbonding[0].release, release);
    suite.refused(&cheat, &withdraw, 0, ContractError::StillUnbonding { release, now: until });
    suite.settle(&cheat, 0, 200);
    let epoch = suite.epoch(&cheat, 0);
    assert_eq!((epoch.status, epoch.slashed.u128()), (EpochStatus::Forfeited, 2 * MIN_STAKE / 10));
    suite.at_seconds(release);
    let response = suite.accepted(&cheat, &withdraw, 0);
    let amount = attribute(&response, "assay_withdrawn", "amount");
    assert_eq!(amount, (2 * MIN_STAKE - 2 * MIN_STAKE / 10).to_string());
}

#[test]
fn the_clock_of_releases_stands_still_in_every_pause_and_runs_between_them() {
    let mut suite = Suite::new();
    let running = pause(&suite).running;
    govern(&mut suite, &ExecuteMsg::Pause {});
    let paused_at = START + 5;
    for days in [1, 6] {
        suite.at_seconds(paused_at + days * DAY);
        assert_eq!(pause(&suite).running, running);
    }
    suite.at_seconds(paused_at + 14 * DAY);
    assert_eq!(pause(&suite).running, running + 7 * DAY);
    govern(&mut suite, &ExecuteMsg::Pause {});
    suite.at_seconds(paused_at + 16 * DAY);
    govern(&mut suite, &ExecuteMsg::Unpause {});
    suite.at_seconds(paused_at + 17 * DAY);
    assert_eq!(pause(&suite).running, running + 8 * DAY);
}

/// Two pauses within one fraud window and one before it, and results that are kept for less time than all of it takes.
#[test]
fn every_pause_within_the_fraud_window_extends_it_and_none_before_it_does() {
    let mut suite = Suite::builder()
        .params(|p| {
            (p.clock.window_seconds, p.clock.windows_per_epoch) = (3_600, 24);
            p.limits.unbonding_seconds = 200_000;
            (p.fraud.window_seconds, p.limits.kept_epochs) = (10 * 24 * 3_600, 11);
        })
        .build();
    let (executor, accuser) = (suite.nodes[0].clone(), suite.account("accuser"));
    govern(&mut suite, &ExecuteMsg::Pause {});
    suite.at_seconds(START + 5 + 2 * DAY);
    govern(&mut suite, &ExecuteMsg::Unpause {});
    suite.at_epoch(9);
    let committed = suite.commit_answers(&executor, 2, |seed, number| {
        let mut artifact = honest_answer(seed, number);
        tamper(&mut artifact, 1, swap_token);
        artifact
    });
    let (session, requester) = (SessionId(1), suite.requester.clone());
    suite.accepted(&requester, &ExecuteMsg::CloseSession { session }, 0);
    govern(&mut suite, &ExecuteMsg::Pause {});
    suite.judge(9 * 24, &[committed.batch], &honest);
    suite.at_epoch(16);
    suite.settle(&executor, 9, 200);
    suite.at_epoch(23);
    govern(&mut suite, &ExecuteMsg::Pause {});
    // The batch's window ends an hour after it began; then ten days, and twice seven that do not count.
    let until = START + 3_600 + (9 + 10 + 14) * DAY;
    // The session is paid out at its end; what a proof needs of it stays.
    for epoch in [24, 32] {
        suite.at_epoch(epoch);
        while suite.due().sweep {
            suite.accepted(&accuser, &ExecuteMsg::Sweep { limit: 50 }, 0);
        }
    }
    let (batch, proof) = (committed.batch, committed.proof(0, 1));
    suite.at_seconds(until + 1);
    let error = suite.prove(&accuser, &proof).unwrap_err();
    assert!(error.contains("could be accused until"), "{error}");
    suite.at_seconds(until);
    let response = suite.accepted(&accuser, &proving(&proof), 0);
    assert_eq!(attribute(&response, "assay_slashed", "amount"), SLASH.to_string());
    suite.at_seconds(until + 1);
    suite.accepted(&accuser, &ExecuteMsg::Sweep { limit: 50 }, 0);
    assert!(suite.try_query::<BatchResponse>(&QueryMsg::Batch { batch }).is_err());
}
