//! Invariant 7: no message's cost grows with the number of nodes, inferences or epochs beyond its page limit.
//!
//! Cost is counted in storage entries read and written. A model's stake table is in entries of up to 64 nodes each, up to 512
//! nodes: a draw reads them all, a commitment the one of its executor.

use assay_common::ids::{BatchId, Window};
use assay_common::msg::{ExecuteMsg, QueryMsg};
use cosmwasm_std::Addr;

use crate::suite::*;

/// What the world holds besides the work that is measured.
#[derive(Clone, Copy)]
struct World {
    nodes: u32,
    inferences: u64,
    epochs: u64,
}

type Cost = (u64, u64);

fn cost(suite: &mut Suite, act: impl FnOnce(&mut Suite)) -> Cost {
    let before = (suite.counter.reads.get(), suite.counter.writes.get());
    act(suite);
    (suite.counter.reads.get() - before.0, suite.counter.writes.get() - before.1)
}

/// The cost of one message, without the queries that the suite checks the money with.
fn message(suite: &mut Suite, sender: &Addr, msg: &ExecuteMsg) -> Cost {
    let check = cost(suite, |suite| suite.check_money());
    let (reads, writes) = cost(suite, |suite| {
        suite.accepted(sender, msg, 0);
    });
    (reads - check.0, writes)
}

/// Epochs in which the executor and another have been through it all.
fn history(suite: &mut Suite, epochs: u64) {
    let executors = suite.nodes[..2].to_vec();
    for epoch in 0..epochs {
        let first = epoch * 6;
        suite.at_window(first);
        let mut batches = Vec::new();
        for executor in &executors {
            let session = suite.open_session(executor, 5 * FEE);
            let claim = suite.claim(session, 5);
            batches.push(suite.commit_batch(executor, vec![claim], 0));
        }
        suite.judge(first, &batches, &|_, _| Some(VALID));
        suite.at_epoch(epoch + 1);
        for executor in &executors {
            suite.settle(executor, epoch, 200);
        }
    }
}

/// The cost of each step of one batch's path, with pages of ten.
fn costs(world: World) -> Vec<(&'static str, Cost)> {
    let params = |p: &mut assay_common::params::Params| {
        p.jury.max_samples_per_window = 10_000;
        p.jury.second_seats = p.jury.seats; // one juror alone reveals below
        p.reputation.min_checked = 10_000;
    };
    let mut suite = Suite::builder().params(params).nodes(world.nodes).build();
    history(&mut suite, world.epochs);
    let (executor, sender) = (suite.nodes[0].clone(), suite.requester.clone());
    let first = world.epochs * 6;
    suite.at_window(first);
    let session = suite.open_session(&executor, u128::from(world.inferences) * FEE);
    let mut found = Vec::new();
    let msg = suite.committing(vec![suite.claim(session, world.inferences)]);
    found.push(("commit batch", message(&mut suite, &executor, &msg)));
    let batch = BatchId(world.epochs * 2 + 1);
    suite.at_window(first + 1);
    let msg = suite.posting(first);
    found.push(("post beacon", message(&mut suite, &sender, &msg)));
    found.push(("draw", message(&mut suite, &sender, &ExecuteMsg::Draw { batch, limit: 10 })));
    let juror = suite.samples(batch)[0].seats[0].juror.clone();
    let juror = suite.nodes.iter().find(|node| node.as_str() == juror).unwrap().clone();
    let mut page = suite.pages(&juror, first + 1, &honest).remove(0);
    page.verdicts.truncate(1);
    let msg = suite.committing_page(&juror, &page);
    found.push(("commit verdicts", message(&mut suite, &juror, &msg)));
    let asking = QueryMsg::Assignments {
        juror: juror.to_string(),
        window: Window(first + 1),
        start_after: None,
        limit: Some(1),
    };
    let query = cost(&mut suite, |suite| {
        suite.query::<serde_json::Value>(&asking);
    });
    found.push(("assignments", query));
    suite.at_window(first + 3);
    found.push(("reveal", message(&mut suite, &juror, &revealing(&juror, page))));
    suite.at_epoch(world.epochs + 1);
    let msg = ExecuteMsg::Tally { batch, from: 0, limit: 3 };
    found.push(("tally", message(&mut suite, &sender, &msg)));
    found.push(("settle", message(&mut suite, &sender, &settling(&executor, world.epochs, 2))));
    found.push(("due", cost(&mut suite, |suite| drop(suite.due()))));
    found
}

#[test]
fn no_cost_grows_with_nodes_inferences_or_epochs() {
    let small = World { nodes: 4, inferences: 12, epochs: 1 };
    let expected = costs(small);
    for world in
        [World { nodes: 200, ..small }, World { inferences: 2_000, ..small }, World { epochs: 12, ..small }]
    {
        for ((step, expected), (_, found)) in expected.iter().zip(costs(world)) {
            // With more nodes the seats of a page are of more jurors: as many as the page has seats, three of ten draws
            // and of three. Each has a purse and an address, or a count and a list of seats, of its own.
            let leaves = u64::from(world.nodes).div_ceil(64);
            let spread = match *step {
                "tally" => (18, 9),
                "draw" => (54 + leaves, 54),
                "commit batch" => (1, 0),
                // Whether a contested sample waits for a beacon depends on who is left to be seated.
                "due" => (leaves, 0),
                _ => (0, 0),
            };
            let bounded = found.0 <= expected.0 + spread.0 && found.1 <= expected.1 + spread.1;
            assert!(bounded, "{step}: {found:?} against {expected:?}");
        }
    }
}
