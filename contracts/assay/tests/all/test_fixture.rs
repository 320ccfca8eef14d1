//! Real state for the migrations of later versions: a scenario that leaves every kind of entry, and its raw storage.

use std::collections::BTreeMap;
use std::path::PathBuf;

use assay_common::ids::BatchId;
use assay_common::msg::{ExecuteMsg, SampleResponse};
use assay_common::verdict::VerdictPage;
use cosmwasm_std::{Addr, HexBinary};

use crate::suite::*;

/// A contract in the middle of its work, with what its jurors have yet to reveal and the batches that are not wholly drawn.
struct InFlight {
    suite: Suite,
    pages: Vec<(Addr, VerdictPage)>,
    undrawn: [BatchId; 2],
}

/// One epoch paid and one forfeited, with a refund that is not credited; then an epoch with a batch whose verdicts are
/// committed, one that is drawn in part, one that waits for its beacon, and a session without a batch.
fn in_flight() -> InFlight {
    let mut suite = Suite::new();
    let (honest_node, cheat, claiming) =
        (suite.nodes[0].clone(), suite.nodes[1].clone(), suite.nodes[2].clone());
    let batches = [(&honest_node, 5), (&cheat, 12)].map(|(node, count)| {
        let session = suite.open_session(node, 100 * FEE);
        let claim = suite.claim(session, count);
        suite.commit_batch(node, vec![claim], 0)
    });
    suite.judge(0, &batches, &|sample: &SampleResponse, _: &Addr| {
        Some(if sample.batch == batches[1] { REPLAY } else { VALID })
    });
    suite.at_epoch(1);
    suite.settle(&honest_node, 0, 200);
    suite.settle(&cheat, 0, 200);
    suite.accepted(&claiming, &ExecuteMsg::Claim {}, 0);

    let [committed, in_part, waiting] = [6u64, 6, 7].map(|window| {
        suite.at_window(window);
        let session = suite.open_session(&honest_node, 60 * FEE);
        let claim = suite.claim(session, 6);
        suite.commit_batch(&honest_node, vec![claim], 0)
    });
    suite.post_beacon(6);
    suite.draw(committed, 100);
    suite.draw(in_part, 2);
    let pages = suite.commit_verdicts(7, &honest);
    suite.at_window(8);
    suite.open_session(&claiming, 60 * FEE);
    InFlight { suite, pages, undrawn: [in_part, waiting] }
}

/// The same with everything judged, tallied and settled.
fn at_rest() -> Suite {
    let InFlight { mut suite, mut pages, undrawn } = in_flight();
    suite.post_beacon(7);
    for batch in undrawn {
        suite.draw(batch, 100);
    }
    let later = suite.commit_verdicts(8, &honest);
    for (window, pages) in [(9, std::mem::take(&mut pages)), (10, later)] {
        suite.at_window(window);
        suite.reveal(pages);
    }
    suite.at_epoch(2);
    for tally in suite.due().tallies {
        suite.tally(tally.batch, tally.from, 100);
    }
    let executor = suite.nodes[0].clone();
    suite.settle(&executor, 1, 200);
    suite
}

/// `cargo test -p assay-contract --test all -- --ignored writes_the_state`, with the version that is to be migrated from.
#[test]
#[ignore = "writes fixtures"]
fn writes_the_state_of_this_version() {
    for (name, suite) in [("in-flight", in_flight().suite), ("at-rest", at_rest())] {
        let entries: BTreeMap<String, String> = suite
            .app
            .dump_wasm_raw(&suite.contract)
            .into_iter()
            .map(|(key, value)| (HexBinary::from(key).to_hex(), HexBinary::from(value).to_hex()))
            .collect();
        let name = format!("state-{}-{name}.json", env!("CARGO_PKG_VERSION"));
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, serde_json::to_string_pretty(&entries).unwrap() + "\n").unwrap();
    }
}
