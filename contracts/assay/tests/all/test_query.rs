use assay_common::ids::{BatchId, Epoch, SessionId, Window};
use assay_common::msg::{
    AssignedPage, BatchResponse, ClockResponse, DueBeacon, DueSettle, DueTally, EpochKey, EpochResponse,
    EvidenceResponse, ExecuteMsg, ModelResponse, NodeResponse, Page, ParamsResponse, ParamsVersion, QueryMsg,
    SampleKey, SampleResponse, SessionResponse, VerdictsResponse,
};
use assay_contract::error::ContractError;
use serde::de::DeserializeOwned;

use crate::suite::*;

fn unknown<T: DeserializeOwned + std::fmt::Debug>(suite: &Suite, msg: &QueryMsg, expected: ContractError) {
    let error = suite.try_query::<T>(msg).unwrap_err();
    assert!(error.to_string().contains(&expected.to_string()), "{error}");
}

#[test]
fn the_clock_and_the_parameters_are_as_they_were_set() {
    let mut suite = Suite::empty(local_params());
    let clock: ClockResponse = suite.query(&QueryMsg::Clock {});
    assert_eq!(clock, ClockResponse { now: START - 100, window: None, epoch: None });
    suite.at_window(13);
    let clock: ClockResponse = suite.query(&QueryMsg::Clock {});
    assert_eq!((clock.window, clock.epoch), (Some(Window(13)), Some(Epoch(2))));
    let params: ParamsResponse = suite.query(&QueryMsg::Params {});
    let expected = ParamsVersion { version: 1, from: Epoch(0), params: local_params() };
    assert_eq!(params, ParamsResponse { in_force: expected, pending: None });
}

#[test]
fn what_does_not_exist_is_said_not_to() {
    let suite = Suite::new();
    let (stranger, batch) = (suite.requester.to_string(), BatchId(7));
    let (model, session) = (Default::default(), SessionId(7));
    unknown::<ModelResponse>(&suite, &QueryMsg::Model { model }, ContractError::UnknownModel { model });
    let msg = QueryMsg::Node { address: stranger.clone() };
    unknown::<NodeResponse>(&suite, &msg, ContractError::NotRegistered { address: stranger.clone() });
    let expected = ContractError::UnknownSession { session };
    unknown::<SessionResponse>(&suite, &QueryMsg::Session { session }, expected);
    unknown::<BatchResponse>(&suite, &QueryMsg::Batch { batch }, ContractError::UnknownBatch { batch });
    let msg = QueryMsg::Epoch { executor: stranger.clone(), epoch: Epoch(1) };
    let expected = ContractError::UnknownEpoch { executor: stranger, epoch: Epoch(1) };
    unknown::<EpochResponse>(&suite, &msg, expected);
}

#[test]
fn pages_of_every_size_give_every_item_once_in_order() {
    let mut suite = Suite::builder().nodes(7).build();
    let executor = suite.nodes[0].clone();
    for number in 0..5 {
        let session = suite.open_session(&executor, 50 * FEE);
        let claim = suite.claim(session, 3);
        suite.at_window(number);
        suite.commit_batch(&executor, vec![claim], 0);
    }
    let sessions = |limit| -> Vec<u64> {
        let all: Vec<SessionResponse> =
            suite.collect(|start_after| QueryMsg::Sessions { start_after, limit });
        all.iter().map(|session| session.session.0).collect()
    };
    let batches = |limit| -> Vec<u64> {
        let all: Vec<BatchResponse> = suite.collect(|start_after| QueryMsg::Batches { start_after, limit });
        all.iter().map(|batch| batch.batch.0).collect()
    };
    let nodes = |limit| -> Vec<String> {
        let all: Vec<NodeResponse> = suite.collect(|start_after| QueryMsg::Nodes { start_after, limit });
        all.into_iter().map(|node| node.address).collect()
    };
    let mut addresses: Vec<String> = suite.nodes.iter().map(|node| node.to_string()).collect();
    addresses.sort();
    for limit in [Some(1), Some(2), Some(5), Some(7), Some(1_000), None] {
        assert_eq!(sessions(limit), [1, 2, 3, 4, 5]);
        assert_eq!(batches(limit), [1, 2, 3, 4, 5]);
        assert_eq!(nodes(limit), addresses);
    }
}

#[test]
fn a_page_that_ends_the_collection_says_so_and_one_that_asks_for_too_much_is_cut() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    for _ in 0..101 {
        suite.open_session(&executor, 1);
    }
    let page = |start_after: Option<u64>, limit| -> Page<SessionResponse, SessionId> {
        suite.query(&QueryMsg::Sessions { start_after: start_after.map(SessionId), limit })
    };
    let ends =
        |page: Page<SessionResponse, SessionId>| (page.items.len(), page.next_start_after.map(|id| id.0));
    assert_eq!(ends(page(None, None)), (30, Some(30)));
    assert_eq!(ends(page(None, Some(5_000))), (100, Some(100)));
    assert_eq!(ends(page(Some(91), Some(10))), (10, None));
    assert_eq!(ends(page(Some(101), Some(10))), (0, None));
}

#[test]
fn models_and_epochs_come_in_pages_too() {
    let mut suite = Suite::new();
    for name in ["a", "b", "c"] {
        suite.register_model(name);
    }
    let models: Vec<ModelResponse> =
        suite.collect(|start_after| QueryMsg::Models { start_after, limit: Some(2) });
    assert_eq!(models.len(), 4);
    assert!(models.windows(2).all(|pair| pair[0].model < pair[1].model));
    suite.model = spec("model").digest();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 50 * FEE);
    for epoch in 0..3 {
        suite.at_epoch(epoch);
        let claim = suite.claim(session, epoch + 1);
        suite.commit_batch(&executor, vec![claim], 0);
    }
    let epochs: Vec<EpochResponse> = suite.collect(|start_after| QueryMsg::Epochs {
        executor: executor.to_string(),
        start_after,
        limit: Some(2),
    });
    assert_eq!(epochs.iter().map(|e| e.epoch.0).collect::<Vec<_>>(), [0, 1, 2]);
}

/// One batch of three by each of two nodes, drawn; two epochs.
fn worked() -> (Suite, [BatchId; 2]) {
    let mut suite = Suite::new();
    let executors = [suite.nodes[0].clone(), suite.nodes[1].clone()];
    let batches = executors.each_ref().map(|executor| {
        let session = suite.open_session(executor, 50 * FEE);
        let claim = suite.claim(session, 3);
        suite.commit_batch(executor, vec![claim], 0)
    });
    suite.at_window(1);
    suite.post_beacon(0);
    batches.iter().for_each(|batch| suite.draw(*batch, 100));
    (suite, batches)
}

#[test]
fn many_at_once_are_what_they_are_one_by_one_in_the_order_of_the_ids_and_none_where_there_is_none() {
    let (suite, [first, second]) = worked();
    let stranger = suite.requester.to_string();
    let [one, two] = [&suite.nodes[0], &suite.nodes[1]].map(ToString::to_string);

    let nodes: Vec<Option<NodeResponse>> =
        suite.query(&QueryMsg::NodesById { addresses: vec![two.clone(), stranger.clone(), one.clone()] });
    let node = |address: &str| suite.query(&QueryMsg::Node { address: address.into() });
    assert_eq!(nodes, [Some(node(&two)), None, Some(node(&one))]);

    let evidence: Vec<Option<EvidenceResponse>> =
        suite.query(&QueryMsg::EvidenceById { executors: vec![stranger.clone(), one.clone()] });
    assert_eq!(evidence, [None, Some(suite.query(&QueryMsg::Evidence { executor: one.clone() }))]);

    let models: Vec<Option<ModelResponse>> =
        suite.query(&QueryMsg::ModelsById { models: vec![Default::default(), suite.model] });
    assert_eq!(models, [None, Some(suite.query(&QueryMsg::Model { model: suite.model }))]);

    let ids = [2, 9, 1].map(SessionId);
    let sessions: Vec<Option<SessionResponse>> =
        suite.query(&QueryMsg::SessionsById { sessions: ids.to_vec() });
    assert_eq!(sessions, [Some(suite.session(ids[0])), None, Some(suite.session(ids[2]))]);

    let batches: Vec<Option<BatchResponse>> =
        suite.query(&QueryMsg::BatchesById { batches: vec![BatchId(9), second, first, first] });
    let batch = |batch| Some(suite.query(&QueryMsg::Batch { batch }));
    assert_eq!(batches, [None, batch(second), batch(first), batch(first)]);

    let key = |batch, draw| SampleKey { batch, draw };
    let keys = vec![key(second, 2), key(second, 3), key(BatchId(9), 0), key(first, 0)];
    let samples: Vec<Option<SampleResponse>> = suite.query(&QueryMsg::SamplesById { samples: keys });
    let found = [Some(suite.samples(second)[2].clone()), None, None, Some(suite.samples(first)[0].clone())];
    assert_eq!(samples, found);

    let of = |executor: &str, epoch| EpochKey { executor: executor.into(), epoch: Epoch(epoch) };
    let epochs: Vec<Option<EpochResponse>> =
        suite.query(&QueryMsg::EpochsById { epochs: vec![of(&one, 0), of(&one, 7), of(&stranger, 0)] });
    assert_eq!(epochs, [Some(suite.epoch(&suite.nodes[0], 0)), None, None]);

    let none: Vec<Option<BatchResponse>> = suite.query(&QueryMsg::BatchesById { batches: vec![] });
    assert_eq!(none, []);
}

#[test]
fn a_list_of_ids_is_refused_where_it_is_too_long_or_holds_what_cannot_be_one() {
    let suite = Suite::new();
    let refused = |msg: &QueryMsg| suite.try_query::<Vec<Option<NodeResponse>>>(msg).unwrap_err().to_string();
    let sessions = |count| QueryMsg::SessionsById { sessions: vec![SessionId(1); count] };
    let expected = ContractError::TooManyIds { count: 101, most: 100 };
    assert!(refused(&sessions(101)).contains(&expected.to_string()));
    let most: Vec<Option<SessionResponse>> = suite.query(&sessions(100));
    assert_eq!(most, vec![None; 100]);
    let nobody = QueryMsg::NodesById { addresses: vec!["nobody".into()] };
    assert!(!refused(&nobody).is_empty());
}

#[test]
fn verdicts_come_in_the_pages_of_the_assignments() {
    let mut suite = Suite::builder().params(|params| params.limits.verdict_page = 4).build();
    let (executor, juror) = (suite.nodes[0].clone(), suite.nodes[1].clone());
    let session = suite.open_session(&executor, 90 * FEE);
    let claim = suite.claim(session, 30);
    let batch = suite.commit_batch(&executor, vec![claim], 0);
    suite.draw_and_reveal(0, &[batch], &honest);
    let read = |start_after, limit| -> Page<VerdictsResponse, u32> {
        let juror = juror.to_string();
        suite.query(&QueryMsg::Verdicts { juror, window: Window(1), start_after, limit })
    };
    let whole: Vec<VerdictsResponse> = suite.collect(|start_after| QueryMsg::Verdicts {
        juror: juror.to_string(),
        window: Window(1),
        start_after,
        limit: Some(2),
    });
    let keys =
        whole.iter().flat_map(|page| &page.verdicts).map(|v| SampleKey { batch: v.batch, draw: v.draw });
    assert_eq!(keys.collect::<Vec<_>>(), suite.assignments(&juror, Window(1)));
    assert!(whole.iter().flat_map(|page| &page.verdicts).all(|verdict| verdict.outcome == VALID));
    assert_eq!(whole.len(), 8);
    // Five pages at most, however many are asked for.
    let first = read(None, Some(100));
    assert_eq!((first.items.as_slice(), first.next_start_after), (&whole[..5], Some(4)));
    let rest = read(Some(4), None);
    assert_eq!((rest.items.as_slice(), rest.next_start_after), (&whole[5..], None));
}

#[test]
fn assignments_come_in_the_pages_that_their_verdicts_belong_on() {
    let mut suite = Suite::builder().params(|params| params.limits.verdict_page = 4).build();
    let (executor, juror) = (suite.nodes[0].clone(), suite.nodes[1].clone());
    for _ in 0..3 {
        let session = suite.open_session(&executor, 50 * FEE);
        let claim = suite.claim(session, 5);
        suite.commit_batch(&executor, vec![claim], 0);
    }
    suite.at_window(1);
    suite.post_beacon(0);
    for batch in [3, 1, 2] {
        suite.draw(BatchId(batch), 100);
    }
    let draws = |batch| (0..5).map(move |draw| SampleKey { batch: BatchId(batch), draw });
    let expected: Vec<SampleKey> = [3, 1, 2].into_iter().flat_map(draws).collect();
    for limit in [1, 2, 3, 4, 100] {
        let found: Vec<AssignedPage> = suite.collect(|start_after| QueryMsg::Assignments {
            juror: juror.to_string(),
            window: Window(1),
            start_after,
            limit: Some(limit),
        });
        let sizes: Vec<usize> = found.iter().map(|page| page.samples.len()).collect();
        assert_eq!(sizes, [4, 4, 4, 3]);
        assert_eq!(found.into_iter().flat_map(|page| page.samples).collect::<Vec<_>>(), expected);
    }
}

/// A node that knows nothing but `Due` brings an epoch to its end, and is never sent to do what is refused.
#[test]
fn what_is_due_leads_from_the_commitment_to_the_payment() {
    let mut suite = Suite::new();
    let mut batches = Vec::new();
    for executor in suite.nodes.clone() {
        let session = suite.open_session(&executor, 50 * FEE);
        let claim = suite.claim(session, 5);
        batches.push(suite.commit_batch(&executor, vec![claim], 0));
    }
    assert_eq!(suite.due(), Default::default());
    suite.at_seconds(START + 11); // window 0 is over, its beacon's delay is not
    assert_eq!(suite.due(), Default::default());
    suite.at_seconds(START + 12);
    assert_eq!(suite.due().beacons, [DueBeacon { window: Window(0), round: suite.round(0) }]);
    suite.post_beacon(0);
    let due = suite.due();
    assert_eq!((due.beacons, due.draws), (vec![], batches.clone()));
    suite.draw(batches[0], 2);
    assert_eq!(suite.due().draws, batches);
    for batch in &batches {
        suite.draw(*batch, 100);
    }
    assert_eq!(suite.due(), Default::default());
    let pages = suite.commit_verdicts(1, &honest);
    suite.at_window(3);
    suite.reveal(pages);
    assert_eq!(suite.due(), Default::default());
    suite.at_window(4);
    let expected: Vec<DueTally> = batches.iter().map(|batch| DueTally { batch: *batch, from: 0 }).collect();
    assert_eq!(suite.due().tallies, expected);
    let few: assay_common::msg::DueResponse = suite.query(&QueryMsg::Due { limit: Some(2) });
    assert_eq!(few.tallies.len(), 2);
    for batch in &batches {
        suite.tally(*batch, 0, 100);
    }
    assert_eq!(suite.due(), Default::default());
    suite.at_epoch(1);
    for DueSettle { executor, epoch } in suite.due().settlements {
        let sender = suite.requester.clone();
        suite.accepted(&sender, &ExecuteMsg::Settle { executor, epoch, limit: 200 }, 0);
    }
    assert_eq!(suite.due(), Default::default());
    assert_eq!(suite.pools().pending.u128(), 0);
}

#[test]
fn a_settlement_is_due_only_when_it_would_get_somewhere() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let session = suite.open_session(&executor, 50 * FEE);
    let claim = suite.claim(session, 4);
    let first = suite.commit_batch(&executor, vec![claim], 0);
    suite.at_epoch(1);
    let claim = suite.claim(session, 8);
    let second = suite.commit_batch(&executor, vec![claim], 0);
    suite.judge(6, &[second], &honest);
    suite.at_epoch(2);
    // The second epoch is closed but comes after the first, which is not even drawn.
    assert_eq!(suite.due().settlements, []);
    suite.post_beacon(0);
    suite.draw(first, 100);
    assert_eq!(suite.due().settlements, []);
    suite.at_window(15);
    suite.tally(first, 0, 100);
    let due = |epoch| vec![DueSettle { executor: executor.to_string(), epoch: Epoch(epoch) }];
    assert_eq!(suite.due().settlements, due(0));
    suite.settle(&executor, 0, 4); // folds all of it and pays
    assert_eq!(suite.due().settlements, due(1));
    suite.settle(&executor, 1, 3);
    assert_eq!(suite.due().settlements, due(1));
}
