//! Pause: payouts, withdrawals and slashes wait, for a while and not for ever.

use assay_common::msg::{EpochStatus, ExecuteMsg, NodeResponse, PauseResponse, QueryMsg};
use assay_contract::error::ContractError;

use crate::suite::*;

const DAY: u64 = 24 * 3600;

fn pause(suite: &Suite) -> PauseResponse {
    suite.query(&QueryMsg::Pause {})
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
