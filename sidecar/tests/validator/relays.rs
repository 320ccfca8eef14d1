//! An artifact that the executor keeps from one juror comes from another, and nobody answers for what others send.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_common::ids::{BatchId, Epoch, Window};
use assay_common::msg::{NodeResponse, QueryMsg, SampleResponse, Seat as OnChain};
use assay_common::reputation::Reputation;
use assay_common::verdict::{FinalOutcome, InvalidReason, Outcome, UnavailableReason};
use assay_sidecar::artifacts::{self, Shelf};
use assay_sidecar::config::ValidatorConfig;
use assay_sidecar::executor::Contract;
use assay_sidecar::http::ArtifactResponse;
use assay_sidecar::validator::jobs::{self, Seat, State};
use assay_sidecar::validator::relay::Relayed;
use assay_sidecar::validator::{fetch, judge, keep, pipeline, Juror};
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use cosmwasm_std::Uint128;

use super::accusations::know;
use super::artifacts::{domain, Trial};
use super::node::CLOCK;
use super::suite::{configured, end_of, key, params, validator_config, write_calibration, Suite};

const BATCH: BatchId = BatchId(1);
const DRAWN: u64 = 20;

/// What a node does that is asked for the artifact.
#[derive(Clone)]
enum Manner {
    Gives(ArtifactResponse),
    /// The artifact, and so many bytes more.
    Pads(ArtifactResponse, usize),
    Refuses,
    Silent,
}

async fn answer(Shared((manner, asked)): Shared<(Manner, Arc<AtomicUsize>)>) -> Response {
    asked.fetch_add(1, Ordering::SeqCst);
    match manner {
        Manner::Gives(evidence) => Json(evidence).into_response(),
        Manner::Pads(evidence, bytes) => {
            (serde_json::to_string(&evidence).unwrap() + &" ".repeat(bytes)).into_response()
        }
        Manner::Refuses => StatusCode::FORBIDDEN.into_response(),
        Manner::Silent => std::future::pending().await,
    }
}

async fn served(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// A sample of ours in window 20, and those who may have its artifact.
struct Jury {
    suite: Suite,
    trial: Trial,
    juror: Arc<Juror>,
    /// Requests to the executor and to the other jurors.
    asked: Vec<Arc<AtomicUsize>>,
}

impl Jury {
    /// The executor first, then the other jurors.
    async fn of(manners: impl FnOnce(&ArtifactResponse) -> Vec<Manner>) -> Self {
        Self::over(Trial::new(), manners).await
    }

    async fn over(mut trial: Trial, manners: impl FnOnce(&ArtifactResponse) -> Vec<Manner>) -> Self {
        let suite = Suite::new().await;
        let evidence = trial.served();
        let mut jury = Self { juror: suite.judging_juror().await, suite, trial, asked: Vec::new() };
        let mut endpoints = Vec::new();
        for manner in manners(&evidence) {
            let asked = Arc::new(AtomicUsize::new(0));
            let router = Router::new().route("/v1/artifacts/{inference}", get(answer));
            endpoints.push(served(router.with_state((manner, asked.clone()))).await);
            jury.asked.push(asked);
        }
        jury.seated(&endpoints).await;
        jury
    }

    /// What the chain says: batch, session, model, the seats, and where everybody is.
    async fn seated(&mut self, endpoints: &[String]) {
        let [first, _] = self.suite.calibration_files();
        self.trial.case.calibration = write_calibration(&first, &super::artifacts::calibration());
        know(&self.suite, &self.trial, BATCH);
        self.suite.node.state().ticking = false;
        self.suite.govern(Epoch(0), params());
        let others = (1..endpoints.len()).map(|number| format!("wasm1juror{number}"));
        self.register(&self.trial.case.executor, &endpoints[0]);
        let mut seats = vec![self.juror.address().to_owned()];
        for (juror, endpoint) in others.zip(&endpoints[1..]) {
            self.register(&juror, endpoint);
            seats.push(juror);
        }
        self.sample(&seats, None);
        self.suite.node.state().enter(DRAWN);
        let (key, window) = (key(BATCH.0, 0), Window(DRAWN));
        let seat = Seat { key, window, page: 0, deadline: end_of(DRAWN + 1) };
        jobs::record(&self.juror.store, 10, &[seat]).await.unwrap();
    }

    fn register(&self, address: &str, endpoint: &str) {
        let node = NodeResponse {
            address: address.into(),
            models: vec![self.trial.case.model],
            endpoint: endpoint.into(),
            stake: Uint128::new(1),
            unbonding: Vec::new(),
            reputation: Reputation::default(),
            benched: false,
            rate_q32: 1 << 32,
        };
        self.suite.answer(&QueryMsg::Node { address: address.into() }, &node);
    }

    fn sample(&self, seats: &[String], outcome: Option<FinalOutcome>) {
        let case = &self.trial.case;
        let seat = |juror: &String| OnChain { juror: juror.clone(), verdict: None, score: None };
        let sample = SampleResponse {
            batch: BATCH,
            draw: 0,
            index: case.index,
            session: case.session,
            nonce: case.nonce,
            inference: case.inference,
            window: Window(DRAWN),
            seats: seats.iter().map(seat).collect(),
            second: None,
            probe_seeds: case.probe_seeds.clone(),
            outcome,
            size_class: 0,
            bin: 0,
        };
        self.suite.answer(&QueryMsg::Sample { batch: BATCH, draw: 0 }, &sample);
    }

    /// One step of the pipeline at a second of the chain's time before the end of the commit window; the job after it.
    async fn step(&self, before_the_end: u64) -> Now {
        self.suite.node.state().now = end_of(DRAWN + 1) - before_the_end;
        jobs::release(&self.juror.store).await.unwrap();
        let job = jobs::claim(&self.juror.store, 0, Duration::from_secs(60)).await.unwrap().unwrap();
        pipeline::work(self.juror.clone(), job).await.unwrap();
        stored(&self.juror).await
    }

    fn asked(&self) -> Vec<usize> {
        self.asked.iter().map(|asked| asked.load(Ordering::SeqCst)).collect()
    }
}

/// Where the one job of a juror stands.
struct Now {
    state: State,
    attempts: u32,
    outcome: Option<Outcome>,
}

async fn stored(juror: &Juror) -> Now {
    let row: (String, u32, Option<String>) = sqlx::query_as("SELECT state, attempts, outcome FROM jobs")
        .fetch_one(&juror.store.pool)
        .await
        .unwrap();
    let (state, attempts, outcome) = row;
    let state = serde_json::from_value(state.into()).unwrap();
    Now { state, attempts, outcome: outcome.map(|outcome| serde_json::from_str(&outcome).unwrap()) }
}

async fn reason(juror: &Juror) -> String {
    let found: Option<String> =
        sqlx::query_scalar("SELECT reason FROM jobs").fetch_one(&juror.store.pool).await.unwrap();
    found.unwrap_or_default()
}

async fn held(jury: &Jury) -> Option<ArtifactResponse> {
    keep::held(&jury.juror.store, key(BATCH.0, 0), &jury.trial.case.inference).await.unwrap()
}

fn unavailable(reason: UnavailableReason) -> Option<Outcome> {
    Some(Outcome::Unavailable { reason })
}

/// Bytes that were not committed to.
fn foreign(evidence: &ArtifactResponse) -> ArtifactResponse {
    let mut bytes = evidence.artifact.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    ArtifactResponse { artifact: bytes.into(), ..evidence.clone() }
}

/// The right bytes with the voucher of a stranger.
fn unvouched(evidence: &ArtifactResponse) -> ArtifactResponse {
    ArtifactResponse { voucher: Trial::new().served().voucher, ..evidence.clone() }
}

#[tokio::test]
async fn an_executor_that_answers_is_the_only_one_that_is_asked() {
    let jury = Jury::of(|good| vec![Manner::Gives(good.clone()); 3]).await;
    assert_eq!(jury.step(18).await.state, State::Fetched);
    assert_eq!(jury.asked(), [1, 0, 0]);
    let counted = Relayed { fetched_from_executors: 1, ..Relayed::default() };
    assert_eq!(jury.juror.traffic.now(), counted);
}

#[tokio::test]
async fn what_the_executor_keeps_from_one_juror_comes_from_another() {
    let jury = Jury::of(|good| vec![Manner::Refuses, Manner::Refuses, Manner::Gives(good.clone())]).await;
    assert_eq!(jury.step(18).await.state, State::Fetched);
    let counted = Relayed { fetched_from_jurors: 1, ..Relayed::default() };
    assert_eq!(jury.juror.traffic.now(), counted);
    let evidence = held(&jury).await.unwrap();
    assert!(judge::admit(&domain(), &jury.trial.case, &evidence, 40).is_ok());
}

#[tokio::test]
async fn what_another_juror_made_up_is_passed_over() {
    let jury = Jury::of(|good| {
        let mut manners = vec![Manner::Refuses];
        manners.extend([foreign(good), unvouched(good), good.clone()].map(Manner::Gives));
        manners
    })
    .await;
    assert_eq!(jury.step(18).await.state, State::Fetched);
    let evidence = held(&jury).await.unwrap();
    assert!(judge::admit(&domain(), &jury.trial.case, &evidence, 40).is_ok());
}

#[tokio::test]
async fn lies_of_other_jurors_are_never_held_against_the_executor() {
    let jury =
        Jury::of(|good| vec![Manner::Refuses, Manner::Gives(foreign(good)), Manner::Gives(unvouched(good))])
            .await;
    let early = jury.step(18).await;
    assert_eq!((early.state, early.attempts), (State::Sampled, 1));
    assert_eq!(jury.step(4).await.outcome, unavailable(UnavailableReason::Absent));
}

#[tokio::test]
async fn wrong_bytes_of_the_executor_are_a_mismatch_only_when_nobody_has_the_right_ones() {
    let alone = Jury::of(|good| vec![Manner::Gives(foreign(good)), Manner::Refuses]).await;
    for _ in 0..3 {
        assert_eq!(alone.step(18).await.state, State::Sampled);
    }
    assert_eq!(alone.step(4).await.outcome, unavailable(UnavailableReason::Mismatch));
    let split = Jury::of(|good| vec![Manner::Gives(foreign(good)), Manner::Gives(good.clone())]).await;
    assert_eq!(split.step(18).await.state, State::Fetched);
}

#[tokio::test]
async fn an_executor_without_a_voucher_is_at_fault_only_when_no_juror_has_one() {
    let split = Jury::of(|good| vec![Manner::Gives(unvouched(good)), Manner::Gives(good.clone())]).await;
    assert_eq!(split.step(18).await.state, State::Fetched);
    let evidence = held(&split).await.unwrap();
    assert!(judge::admit(&domain(), &split.trial.case, &evidence, 40).is_ok());

    let alone = Jury::of(|good| vec![Manner::Gives(unvouched(good)), Manner::Gives(unvouched(good))]).await;
    assert_eq!(alone.step(18).await.state, State::Sampled);
    assert_eq!(alone.step(4).await.state, State::Fetched);
    let invalid = Outcome::Invalid { reason: InvalidReason::Voucher };
    assert_eq!(alone.step(4).await.outcome, Some(invalid));
}

#[tokio::test]
async fn those_who_are_silent_cost_a_head_start_each_and_not_their_whole_time() {
    let config = ValidatorConfig { fetch_timeout: Duration::from_secs(4), ..validator_config() };
    let jury = Jury::of(|good| vec![Manner::Silent, Manner::Silent, Manner::Gives(good.clone())]).await;
    let juror = configured(&jury.juror, config);
    let begin = Instant::now();
    let job = jobs::claim(&juror.store, 0, Duration::from_secs(60)).await.unwrap().unwrap();
    let next = fetch::step(&juror, &job).await.unwrap();
    assert!(matches!(next, jobs::Next::Fetched { .. }), "{next:?}");
    // One after the other, the two would have cost eight seconds.
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

#[test]
fn no_attempt_outlasts_the_time_that_is_left_for_it() {
    let config = ValidatorConfig { fetch_timeout: Duration::from_secs(4), ..validator_config() };
    let whole = |sources, left| fetch::pace(&config, sources, left).whole.as_secs();
    assert_eq!(fetch::pace(&config, 3, 100).head_start, Duration::from_secs(1));
    // One head start for each but the last, and then its own time.
    assert_eq!([whole(1, 100), whole(3, 100), whole(21, 100)], [4, 6, 24]);
    assert_eq!([whole(21, 9), whole(21, 2), whole(21, 0)], [9, 4, 4]);
}

#[tokio::test]
async fn silence_of_everybody_is_unavailable_while_there_is_time_to_say_so() {
    let jury = Jury::of(|_| vec![Manner::Silent, Manner::Refuses, Manner::Silent]).await;
    let early = jury.step(18).await;
    assert_eq!((early.state, early.attempts), (State::Sampled, 1));
    // A second for the sources, three before the end in which the page is made.
    assert_eq!(jury.step(4).await.outcome, unavailable(UnavailableReason::Absent));
}

#[tokio::test]
async fn a_chain_that_is_out_of_reach_says_nothing_about_the_executor() {
    let jury = Jury::of(|good| vec![Manner::Refuses, Manner::Gives(good.clone())]).await;
    jury.suite.node.state().breaks_at = |call| call == "abci_query";
    let late = jury.step(1).await;
    assert_eq!((late.state, late.outcome), (State::Sampled, None));
}

#[tokio::test]
async fn more_bytes_than_the_parameters_of_the_batch_allow_are_not_read() {
    let jury = Jury::of(|good| vec![Manner::Refuses, Manner::Pads(good.clone(), 60_000)]).await;
    let mut small = params();
    (small.limits.artifact_bytes_per_token, small.limits.artifact_bytes_fixed) = (1, 1);
    // What governance has changed for another epoch does not matter.
    jury.suite.govern(Epoch(1), small.clone());
    assert_eq!(jury.step(18).await.state, State::Fetched);

    let jury = Jury::of(|good| vec![Manner::Refuses, Manner::Pads(good.clone(), 60_000)]).await;
    jury.suite.govern(Epoch(0), small);
    assert_eq!(jury.step(18).await.state, State::Sampled);
    let reason = reason(&jury.juror).await;
    assert!(reason.contains("juror wasm1juror1: more than 16404 bytes"), "{reason}");
}

/// The node's own route, with what it has fetched.
async fn relay(jury: &Jury) -> String {
    let juror = &jury.juror;
    let contract = Contract::on(juror.chain.clone());
    let shelf = Shelf::new((contract, domain()), "wasm", juror.store.clone(), juror.traffic.clone());
    served(artifacts::routes(shelf)).await
}

#[tokio::test]
async fn a_juror_of_the_second_level_gets_it_from_the_first_when_the_executor_is_gone() {
    let first = Jury::of(|good| vec![Manner::Gives(good.clone())]).await;
    let second = Jury::over(first.trial.clone(), |_| vec![Manner::Refuses; 2]).await;
    let endpoint = relay(&first).await;
    second.register("wasm1juror1", &endpoint);
    let seats = [&first, &second].map(|jury| jury.juror.address().to_owned());
    first.sample(&seats[..1], None);
    // It has not fetched it yet, and the other has no seat yet.
    assert_eq!(second.step(18).await.state, State::Sampled);
    let told = reason(&second.juror).await;
    assert!(told.contains("has no seat in the jury of sample 0 of batch 1"), "{told}");
    first.sample(&seats, None);
    assert_eq!(second.step(18).await.state, State::Sampled);
    let told = reason(&second.juror).await;
    assert!(told.contains("404"), "{told}");

    assert_eq!(first.step(18).await.state, State::Fetched);
    sqlx::query("UPDATE jobs SET state = 'confirmed', outcome = '\"valid\"'")
        .execute(&first.juror.store.pool)
        .await
        .unwrap();
    // Contested: long after its verdict is on the chain it is kept.
    first.suite.node.state().enter(DRAWN + 8);
    keep::look(&first.juror).await.unwrap();
    assert_eq!(second.step(18).await.state, State::Fetched);
    assert_eq!(held(&second).await, held(&first).await);
    let counted = Relayed { fetched_from_executors: 1, served_to_jurors: 1, ..Relayed::default() };
    assert_eq!(first.juror.traffic.now(), counted);

    // Closed: nobody needs it any more. The chain is asked once in a window.
    first.sample(&seats, Some(FinalOutcome::Valid));
    keep::look(&first.juror).await.unwrap();
    assert!(held(&first).await.is_some());
    first.suite.node.state().now += u64::from(CLOCK.window_seconds);
    keep::look(&first.juror).await.unwrap();
    assert!(held(&first).await.is_none());
}

#[tokio::test]
async fn an_inference_that_is_not_the_samples_is_refused() {
    let first = Jury::of(|good| vec![Manner::Gives(good.clone())]).await;
    first.step(18).await;
    let endpoint = relay(&first).await;
    let (inference, account) = (assay_common::ids::InferenceId([9; 32]), &first.suite.account);
    let url = fetch::address(&endpoint, &inference, &[("batch", BATCH.0), ("draw", 0)]).unwrap();
    let request = fetch::signed(reqwest::Client::new().get(url), account, &domain(), &inference).unwrap();
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let unsigned = reqwest::get(format!("{endpoint}/v1/artifacts/{inference}?batch=1&draw=0")).await.unwrap();
    assert_eq!(unsigned.status(), StatusCode::BAD_REQUEST);
}
