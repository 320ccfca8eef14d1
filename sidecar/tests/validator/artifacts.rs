use assay_common::artifact::Artifact;
use assay_common::digest::Domain;
use assay_common::evidence::Bins;
use assay_common::ids::{
    BatchRoot, Digest, DrawSeed, InferenceId, ModelDigest, Nonce, RunSeed, SessionId, UserSeed,
};
use assay_common::judge::cell::{CellSummary, Histogram};
use assay_common::judge::far::FarLimit;
use assay_common::judge::null::{CellNull, Null};
use assay_common::judge::statistic::{Moments, Predictor, Scorer, Statistic, STATISTIC_VERSION, TERMS};
use assay_common::judge::whitening::{Whitened, FEATURES};
use assay_common::judge::{Calibration, Cell, Limit, Measurement, Platform, Position};
use assay_common::merkle;
use assay_common::params::PerAlternative;
use assay_common::probe::PROBES;
use assay_common::row::{encode_leaf, Row};
use assay_common::sampler::{sample_full, top_candidates, SamplingParams};
use assay_common::session::{
    batch_leaf, constants_digest, inference_id, prompt_digest, voucher_digest, ModelSpec, NumericScheme,
    Request,
};
use assay_common::verdict::{InvalidReason, Outcome, Score, UnavailableReason};
use assay_sidecar::chain::Account;
use assay_sidecar::http::ArtifactResponse;
use assay_sidecar::validator::judge::{admit, decide};
use assay_sidecar::validator::{fetch, Case};

const VOCABULARY: u32 = 40;
const GREEDY: SamplingParams = SamplingParams { temperature_milli: 0, ..SamplingParams::OPEN };

/// A case about nothing, for tests of what is stored.
pub fn case() -> Case {
    Case {
        executor: "wasm1executor".into(),
        model: ModelDigest([1; 32]),
        calibration: Digest([6; 32]),
        root: BatchRoot([2; 32]),
        count: 4,
        index: 1,
        inference: InferenceId([3; 32]),
        session: SessionId(1),
        nonce: Nonce(2),
        user_seed: UserSeed([4; 32]),
        session_key: vec![2; 33].into(),
        max_prompt: 8,
        max_new: 4,
        probe_seeds: vec![DrawSeed([6; 32])],
    }
}

pub fn domain() -> Domain {
    Domain { chain_id: "test-1".into(), contract: "wasm1contract".into() }
}

pub fn spec() -> ModelSpec {
    ModelSpec {
        name: "toy".into(),
        weights: Digest([5; 32]),
        scheme: NumericScheme::Bf16F32,
        constants: constants_digest("toy", &[]),
        vocabulary: VOCABULARY,
    }
}

/// An honest answer of three tokens, the second inference of a batch of two, and what the chain says about it.
#[derive(Clone)]
pub struct Trial {
    pub artifact: Artifact,
    requester: Account,
    pub case: Case,
}

impl Trial {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let requester = Account::generate(&dir.path().join("key"), "wasm").unwrap();
        let (salt, prompt) = ([6; 32], vec![1, 2, 3]);
        let request = Request {
            model: spec().digest(),
            sampling: GREEDY,
            max_new: 3,
            stop_ids: vec![],
            prompt: prompt_digest(&salt, &prompt),
        };
        let rows: Vec<_> = (0..3u32)
            .map(|position| {
                let surprisals: Vec<u32> =
                    (0..VOCABULARY).map(|id| 1_300 + (id + position) % VOCABULARY).collect();
                let candidates = top_candidates(&surprisals, VOCABULARY as usize);
                sample_full(&candidates, &GREEDY, &RunSeed([0; 32]), position).unwrap().row
            })
            .collect();
        let tokens = rows.iter().map(|row| row.token.0).collect();
        let leaves = (0u32..).zip(&rows).map(|(position, row)| encode_leaf(position, row)).collect();
        let session_key = requester.sign(&[0; 32]).public_key;
        let inference = inference_id(&domain(), SessionId(1), Nonce(2));
        let case = Case { model: spec().digest(), inference, session_key, count: 2, index: 1, ..case() };
        Self { artifact: Artifact { request, salt, prompt, tokens, leaves }, requester, case }
    }

    /// Commits to the artifact as it is now, and serves it.
    pub fn served(&mut self) -> ArtifactResponse {
        let digest = self.artifact.receipt(self.case.inference).artifact();
        let leaf = merkle::leaf_hash(&batch_leaf(&self.case.inference, &digest));
        let leaves = [merkle::leaf_hash(b"another"), leaf];
        self.case.root = BatchRoot(merkle::root(&leaves));
        let path = merkle::path(&leaves, 1).unwrap().into_iter().map(Into::into).collect();
        let request = self.artifact.request.digest();
        let voucher = voucher_digest(&domain(), self.case.session, self.case.nonce, &request);
        let voucher = self.requester.sign(&voucher.0).signature;
        ArtifactResponse { artifact: self.artifact.encode().into(), path, voucher }
    }

    /// Signs the second token that its row lists, where the seed gives the first.
    pub fn cheat(&mut self, position: usize) {
        let row = self.artifact.rows(VOCABULARY).unwrap()[position].clone();
        let token = row.entries[1].token;
        self.artifact.tokens[position] = token.0;
        self.artifact.leaves[position] = encode_leaf(position as u32, &Row { token, ..row });
    }

    fn outcome(&self, evidence: &ArtifactResponse) -> Result<(), Outcome> {
        admit(&domain(), &self.case, evidence, VOCABULARY).map(|_| ())
    }
}

const MISMATCH: Outcome = Outcome::Unavailable { reason: UnavailableReason::Mismatch };

fn invalid(reason: InvalidReason) -> Result<(), Outcome> {
    Err(Outcome::Invalid { reason })
}

#[test]
fn an_honest_artifact_is_admitted() {
    let mut trial = Trial::new();
    let evidence = trial.served();
    assert_eq!(trial.outcome(&evidence), Ok(()));
}

#[test]
fn bytes_that_were_not_committed_to_are_unavailable_whatever_they_say() {
    let mut trial = Trial::new();
    let evidence = trial.served();
    for at in 0..evidence.artifact.len() {
        let mut bytes = evidence.artifact.to_vec();
        bytes[at] ^= 1;
        let changed = ArtifactResponse { artifact: bytes.into(), ..evidence.clone() };
        assert_eq!(trial.outcome(&changed), Err(MISMATCH), "byte {at}");
    }
    let truncated = evidence.artifact[..evidence.artifact.len() - 1].to_vec().into();
    assert_eq!(trial.outcome(&ArtifactResponse { artifact: truncated, ..evidence.clone() }), Err(MISMATCH));
    let longer = [evidence.artifact.as_slice(), &[0]].concat().into();
    assert_eq!(trial.outcome(&ArtifactResponse { artifact: longer, ..evidence.clone() }), Err(MISMATCH));
    let path = vec![vec![7; 31].into()];
    assert_eq!(trial.outcome(&ArtifactResponse { path, ..evidence }), Err(MISMATCH));
}

#[test]
fn committed_bytes_that_break_the_format_are_malformed_before_anything_else_is_looked_at() {
    let mut trial = Trial::new();
    trial.artifact.leaves.pop();
    trial.artifact.request.model = ModelDigest([9; 32]);
    let evidence = trial.served();
    assert_eq!(trial.outcome(&evidence), Err(Outcome::Malformed));
}

#[test]
fn a_request_beyond_the_session_is_invalid() {
    let changes: [fn(&mut Trial); 3] = [
        |trial| trial.artifact.request.model = ModelDigest([9; 32]),
        |trial| trial.artifact.request.max_new = 5,
        |trial| trial.case.max_prompt = 2,
    ];
    for change in changes {
        let mut trial = Trial::new();
        change(&mut trial);
        let evidence = trial.served();
        assert_eq!(trial.outcome(&evidence), invalid(InvalidReason::Request));
    }
}

#[test]
fn a_request_that_the_session_key_did_not_sign_is_invalid() {
    let mut trial = Trial::new();
    let evidence = trial.served();
    let stranger = Trial::new().requester;
    let request = trial.artifact.request.digest();
    let voucher = voucher_digest(&domain(), trial.case.session, trial.case.nonce, &request);
    let forged = stranger.sign(&voucher.0).signature;
    assert_eq!(
        trial.outcome(&ArtifactResponse { voucher: forged, ..evidence.clone() }),
        invalid(InvalidReason::Voucher)
    );
    let none = ArtifactResponse { voucher: Vec::new().into(), ..evidence.clone() };
    assert_eq!(trial.outcome(&none), invalid(InvalidReason::Voucher));
    // A voucher of another nonce does not cover this one.
    trial.case.nonce = Nonce(3);
    assert_eq!(trial.outcome(&evidence), invalid(InvalidReason::Voucher));
}

/// What the script of a model runs on.
pub fn platform() -> Platform {
    Platform { engine: "script".into(), device: "none".into() }
}

/// One by which a trial passes: s is a position's y, with mean 0 and standard deviation ½.
pub fn calibration() -> Calibration {
    let limit = Limit { mean: 0.001, sd: 0.001, max: 0.004, position_max: 0.02 };
    let unit = Moments { mean: 0.0, sd: 1.0 };
    let cell = CellNull { mean: 0.0, position_sd: 0.5, sequence_sd: 0.0 };
    Calibration {
        version: assay_common::judge::VERSION,
        statistic_version: STATISTIC_VERSION,
        model: spec().digest(),
        spec: spec(),
        prompts: Digest([4; 32]),
        statistic: Statistic::Magnitude,
        cells: vec![CellSummary {
            cell: Cell { executor: platform(), setting: "one at a time".into(), juror: platform() },
            answers: 100,
            tokens: 300,
            mean: cell.mean,
            position_sd: cell.position_sd,
            sequence_sd: cell.sequence_sd,
            histogram: Histogram::of(std::iter::empty()),
            far: 0,
            positions: 300,
            far_sequence_sd: 0.0,
        }],
        scorer: Scorer {
            predictor: Predictor { features: [unit; FEATURES], weights: [0.0; TERMS] },
            magnitude: unit,
            direction: unit,
        },
        null: Null { cells: vec![cell], z: 3.1 },
        far: FarLimit { share: 0.1 },
        distance: limit,
        margin: limit,
        score_edges: vec![0.5],
        bins: vec![Bins {
            honest_ppm: vec![940_000, 50_000, 10_000],
            alternatives_ppm: PerAlternative([0; 3].map(|_| vec![900_000, 60_000, 40_000])),
        }],
        probe_tolerance: 16,
        probe_miss: 0.001,
    }
}

/// Of three positions whose s is this.
fn measurement(s: f64) -> Measurement {
    let position = Position { distance: 0.001, margin: 0.0 };
    let whitened = Whitened { log_square: s, direction: 0.0, features: [0.0; FEATURES] };
    Measurement {
        positions: vec![position; 3],
        whitened: vec![whitened; 3],
        comparators: Vec::new(),
        probes: vec![300; PROBES],
    }
}

#[test]
fn what_is_admitted_is_judged_by_its_numbers() {
    let mut trial = Trial::new();
    let evidence = trial.served();
    let judged = |s| decide(&domain(), &trial.case, &evidence, &measurement(s), &calibration());
    let (outcome, report) = judged(0.0);
    assert_eq!(outcome, Outcome::Valid);
    let report = report.unwrap();
    assert_eq!(report.replay_mismatches, 0);
    assert_eq!(report.score(), Score { bin: 0, tokens: 3, probes: vec![300; PROBES] });
    // A mean of two tokens half a standard deviation up is the second bin.
    assert_eq!(judged(0.5).1.unwrap().bin, 1);
    assert_eq!(judged(1.5).0, Outcome::Invalid { reason: InvalidReason::Distance });
}

#[test]
fn a_token_that_the_signed_numbers_do_not_give_is_a_fraud_whatever_the_distance() {
    let mut trial = Trial::new();
    trial.cheat(1);
    let evidence = trial.served();
    let (outcome, report) = decide(&domain(), &trial.case, &evidence, &measurement(0.0), &calibration());
    assert_eq!(outcome, Outcome::Invalid { reason: InvalidReason::Replay });
    assert_eq!(report.unwrap().first_mismatch, Some(1));
}

#[test]
fn attempts_to_fetch_become_rarer_but_never_too_rare() {
    let waits: Vec<u128> = [0, 1, 2, 3, 4, 5, 60].map(|attempts| fetch::wait(attempts).as_millis()).to_vec();
    assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
}
