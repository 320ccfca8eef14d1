use std::time::Duration;

use assay_common::event::Event;
use assay_common::ids::{
    BatchId, BatchRoot, Digest, Epoch, InferenceId, ModelDigest, Nonce, Round, SessionId, UserSeed, Window,
};
use assay_common::msg::{BatchResponse, QueryMsg, SampleResponse, SessionResponse, SessionStatus};
use assay_sidecar::store::Store;
use assay_sidecar::validator::{jobs, pipeline, watch, Juror};
use cosmwasm_std::Uint128;

use super::suite::{key, params, submit, Suite};

fn drawn(batch: u64, window: u64, from: u32, to: u32) -> Event {
    let executor = "wasm1executor".into();
    Event::Drawn { batch: BatchId(batch), executor, window: Window(window), from, to, complete: true }
}

async fn keys(store: &Store) -> Vec<(i64, u32)> {
    sqlx::query_as("SELECT batch, draw FROM jobs ORDER BY batch, draw").fetch_all(&store.pool).await.unwrap()
}

async fn look(juror: &Juror, started: &mut bool) {
    watch::look(juror, started).await.unwrap();
}

#[tokio::test]
async fn the_first_start_asks_for_the_open_windows_and_begins_at_the_present_block() {
    let suite = Suite::new().await;
    suite.node.state().enter(6);
    for window in [3, 4, 6] {
        suite.node.state().seats.insert(Window(window), vec![key(window, 0), key(window, 1)]);
    }
    let juror = suite.juror().await;
    look(&juror, &mut false).await;
    assert_eq!(keys(&juror.store).await, [(4, 0), (4, 1), (6, 0), (6, 1)]);
    assert_eq!(jobs::cursor(&juror.store).await.unwrap(), Some(101));
}

#[tokio::test]
async fn each_draw_gives_our_seats_of_its_window_and_a_restart_goes_on_where_it_was() {
    let suite = Suite::new().await;
    let juror = suite.juror().await;
    let mut started = false;
    look(&juror, &mut started).await;
    {
        let mut state = suite.node.state();
        state.enter(20);
        state.seats.insert(Window(20), vec![key(7, 1), key(8, 0), key(8, 2)]);
        state.events.insert(101, vec![drawn(8, 20, 0, 3)]);
    }
    look(&juror, &mut started).await;
    assert_eq!(keys(&juror.store).await, [(7, 1), (8, 0), (8, 2)]);
    drop(juror);
    // While the node is down, time goes on beyond what a start asks for; only the block still says it.
    {
        let mut state = suite.node.state();
        state.seats.insert(Window(20), vec![key(7, 1), key(8, 0), key(8, 2), key(8, 3)]);
        state.events.insert(102, vec![drawn(8, 20, 3, 9)]);
        state.enter(40);
        state.enter(40);
    }
    let juror = suite.juror().await;
    look(&juror, &mut false).await;
    assert_eq!(keys(&juror.store).await, [(7, 1), (8, 0), (8, 2), (8, 3)]);
    assert_eq!(jobs::cursor(&juror.store).await.unwrap(), Some(103));
}

#[tokio::test]
async fn blocks_that_the_node_no_longer_has_are_passed_over() {
    let suite = Suite::new().await;
    let juror = suite.juror().await;
    look(&juror, &mut false).await;
    drop(juror);
    suite.node.state().height = 400;
    suite.node.state().earliest = 300;
    let juror = suite.juror().await;
    look(&juror, &mut false).await;
    assert_eq!(jobs::cursor(&juror.store).await.unwrap(), Some(400));
}

/// What the chain says about draw 0 of batch 1.
fn sampled(suite: &Suite) {
    let (batch, session, model) = (BatchId(1), SessionId(1), ModelDigest([1; 32]));
    let sample = SampleResponse {
        batch,
        draw: 0,
        index: 0,
        session,
        nonce: Nonce(1),
        inference: InferenceId([3; 32]),
        window: Window(20),
        seats: vec![],
        second: None,
        probe_seeds: vec![],
        outcome: None,
        size_class: 0,
        bin: 0,
    };
    suite.answer(&QueryMsg::Sample { batch, draw: 0 }, &sample);
    let record = BatchResponse {
        batch,
        executor: "wasm1executor".into(),
        model,
        root: BatchRoot([2; 32]),
        count: 1,
        claims: vec![],
        window: Window(19),
        epoch: Epoch(3),
        round: Round(1),
        sampler: assay_common::replay::SamplerVersion::CURRENT,
        params: 1,
        calibration: Digest([6; 32]),
        rate_q32: 1 << 32,
        fees: Uint128::new(1),
        samples: 1,
        drawn: 1,
        closed: 0,
    };
    suite.answer(&QueryMsg::Batch { batch }, &record);
    let terms = SessionResponse {
        session,
        requester: "wasm1requester".into(),
        executor: "wasm1executor".into(),
        model,
        user_seed: UserSeed([4; 32]),
        session_key: vec![2; 33].into(),
        fee: Uint128::new(1),
        max_prompt: 8,
        max_new: 4,
        expires: Epoch(9),
        status: SessionStatus::Open,
        closes: Epoch(11),
        unsettled: Vec::new(),
        escrow: Uint128::new(1),
        nonce: Nonce(1),
        mark_q32: 1 << 32,
    };
    suite.answer(&QueryMsg::Session { session }, &terms);
    suite.govern(record.epoch, params());
}

#[tokio::test]
async fn a_node_without_the_model_abstains_from_draw_to_reveal() {
    let suite = Suite::new().await;
    suite.node.state().enter(20);
    suite.node.state().seats.insert(Window(20), vec![key(1, 0)]);
    let juror = suite.juror().await;
    look(&juror, &mut false).await;
    let claim = || jobs::claim(&juror.store, 0, Duration::from_secs(1));
    // The chain does not know the sample yet as far as this node sees: nothing is concluded from that.
    let job = claim().await.unwrap().unwrap();
    pipeline::work(juror.clone(), job).await.unwrap();
    assert_eq!(jobs::unjudged(&juror.store, Window(20)).await.unwrap(), 1);
    sampled(&suite);
    jobs::release(&juror.store).await.unwrap();
    let job = claim().await.unwrap().unwrap();
    pipeline::work(juror.clone(), job).await.unwrap();
    assert_eq!(jobs::unjudged(&juror.store, Window(20)).await.unwrap(), 0);
    for window in [21, 22] {
        suite.node.state().enter(window);
        submit(&juror).await;
    }
    let revealed = suite.node.state().revealed.clone();
    assert_eq!(
        serde_json::to_string(&revealed[0].outcome).unwrap(),
        r#"{"inconclusive":{"reason":"no_model"}}"#
    );
}
