//! A node that runs follows what governance changes.

use assay_common::event::Event;
use assay_common::ids::{Digest, Epoch};
use assay_common::judge::Calibration;
use assay_common::msg::{CalibrationVersion, QueryMsg};
use assay_common::verdict::AbstainReason;
use assay_sidecar::validator::{jobs, watch, Case};

use super::artifacts::{calibration, case, spec};
use super::suite::{model, write_calibration, Suite};

/// Governance announces a calibration with this record for the next epoch.
fn announce(suite: &Suite, digest: Digest, announced: &Calibration) {
    let first = calibration().record(write_calibration(&suite.calibration_files()[0], &calibration()));
    let version = |version, from, record| CalibrationVersion { version, from: Epoch(from), record };
    let next = version(2, 1, announced.record(digest));
    suite.answer(&QueryMsg::Model { model: spec().digest() }, &model(version(1, 0, first), Some(next)));
}

fn other() -> Calibration {
    Calibration { probe_miss: 0.002, ..calibration() }
}

fn judged_by(calibration: Digest) -> Case {
    Case { model: spec().digest(), calibration, ..case() }
}

#[tokio::test]
async fn a_calibration_that_comes_later_is_found_without_a_restart() {
    let suite = Suite::new().await;
    let juror = suite.judging_juror().await;
    let [first, next] = suite.calibration_files();
    let old = write_calibration(&first, &calibration());
    let new = write_calibration(&next, &other());
    std::fs::remove_file(&next).unwrap();
    announce(&suite, new, &other());

    assert_eq!(juror.abstains(&judged_by(old)).await.unwrap(), None);
    assert_eq!(juror.abstains(&judged_by(new)).await.unwrap(), Some(AbstainReason::NoCalibration));
    write_calibration(&next, &other());
    assert_eq!(juror.abstains(&judged_by(new)).await.unwrap(), None);
    // What was read once stays, so that the old one may make room.
    std::fs::remove_file(&first).unwrap();
    assert_eq!(juror.abstains(&judged_by(old)).await.unwrap(), None);
}

#[tokio::test]
async fn a_calibration_that_was_measured_on_other_machines_is_not_judged_by() {
    let suite = Suite::new().await;
    let juror = suite.judging_juror().await;
    let mut foreign = other();
    foreign.cells[0].cell.juror.device = "another".into();
    let digest = write_calibration(&suite.calibration_files()[1], &foreign);
    announce(&suite, digest, &foreign);
    let found = juror.abstains(&judged_by(digest)).await.unwrap();
    assert_eq!(found, Some(AbstainReason::NoCalibration));
}

#[tokio::test]
async fn an_announced_calibration_is_read_when_its_block_is() {
    let suite = Suite::new().await;
    let juror = suite.judging_juror().await;
    let [first, next] = suite.calibration_files();
    let (before, after) = (write_calibration(&first, &calibration()), write_calibration(&next, &other()));
    let mut started = false;
    watch::look(&juror, &mut started).await.unwrap();
    announce(&suite, after, &other());
    let (model, epoch) = (spec().digest(), Epoch(1));
    suite.node.state().enter(1);
    let event = Event::CalibrationUpdated { model, version: 2, epoch, before, after };
    suite.node.state().events.insert(101, vec![event]);
    watch::look(&juror, &mut started).await.unwrap();
    assert_eq!(jobs::cursor(&juror.store).await.unwrap(), Some(101));
    std::fs::remove_file(&next).unwrap();
    assert_eq!(juror.abstains(&judged_by(after)).await.unwrap(), None);
}

#[tokio::test]
async fn a_calibration_with_other_bins_than_the_chain_holds_is_not_judged_by() {
    let suite = Suite::new().await;
    let juror = suite.judging_juror().await;
    let [_, next] = suite.calibration_files();
    let digest = write_calibration(&next, &other());
    announce(&suite, digest, &Calibration { probe_tolerance: 99, ..other() });
    let found = juror.abstains(&judged_by(digest)).await.unwrap();
    assert_eq!(found, Some(AbstainReason::NoCalibration));
}
