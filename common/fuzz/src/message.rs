//! The contract's messages and queries, as JSON, and the rules of what governance sends in them.

use assay_common::draw::RATE_ONE;
use assay_common::evidence::{check_bins, size_class, Audit, Bins, Scheme, CLASS_EDGES};
use assay_common::ids::{
    BatchId, BatchRoot, Digest, Epoch, ModelDigest, Nonce, RequestDigest, SessionId, UserSeed, Window,
};
use assay_common::msg::{
    CalibrationRecord, Claim, ExecuteMsg, InstantiateMsg, MigrateMsg, QueryMsg, TakeoverMsg,
};
use assay_common::params::{
    BeaconParams, ClockParams, EvidenceParams, Params, ParamsPatch, PerAlternative, ALTERNATIVES, PPM,
};
use assay_common::proof::EquivocationProof;
use assay_common::reputation::Reputation;
use assay_common::session::{ModelSpec, NumericScheme};
use cosmwasm_std::{from_json, to_json_vec, HexBinary, Uint128};
use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::{choice, memory, real, signed};

/// A byte that chooses the kind, then what may be its JSON.
pub fn check(input: &[u8]) {
    let Some((kind, json)) = choice(input, 5) else { return };
    match kind {
        0 => execute(json),
        1 => drop(read::<QueryMsg>(json)),
        2 => {
            if let Some(message) = read::<InstantiateMsg>(json) {
                params(&message.params);
            }
        }
        3 => {
            if let Some(message) = read::<TakeoverMsg>(json) {
                params(&message.params);
                message.models.iter().for_each(|model| calibration(&model.calibration));
            }
        }
        _ => drop(read::<MigrateMsg>(json)),
    }
}

/// The message of this JSON, which is the same written and read again.
fn read<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(json: &[u8]) -> Option<T> {
    let message: T = memory::bounded(json.len(), || from_json(json)).ok()?;
    let written = to_json_vec(&message).expect("a message is plain data");
    let again: T = from_json(&written).expect("what was written is read");
    assert_eq!(again, message);
    assert_eq!(to_json_vec(&again).expect("a message is plain data"), written);
    Some(message)
}

fn execute(json: &[u8]) {
    match read::<ExecuteMsg>(json) {
        Some(ExecuteMsg::RegisterModel { calibration: record, .. }) => calibration(&record),
        Some(ExecuteMsg::UpdateCalibration { calibration: record, .. }) => calibration(&record),
        Some(ExecuteMsg::UpdateParams { patch, .. }) => {
            let before = local();
            let (after, changes) = before.patched(&patch);
            assert_eq!(changes.is_empty(), after == before);
            params(&after);
        }
        _ => {}
    }
}

/// Parameters that are accepted leave every formula in its bounds.
fn params(params: &Params) {
    if params.check().is_err() {
        return;
    }
    assert!(params.evidence.bound() > 0);
    assert_eq!(Reputation(0).rate_q32(&params.reputation), RATE_ONE);
    assert!((1..=RATE_ONE).contains(&Reputation(PPM).rate_q32(&params.reputation)));
    let fee = Uint128::new(1 << 100);
    assert!(params.verdict_fee(fee) <= fee && params.min_stake(fee) >= fee);
    let (clock, beacon) = (&params.clock, &params.beacon);
    let window = Window(1_000);
    assert!(beacon.time(beacon.round(clock, window)) >= clock.end(window).min(u64::MAX - (1 << 33)));
}

/// A calibration that is accepted makes an e-process: under the honest shares no alternative's factor is above 1 on average.
fn calibration(record: &CalibrationRecord) {
    if check_bins(&record.bins).is_err() {
        return;
    }
    for full_weight_tokens in [1, 32, 512, 1 << 20] {
        let scheme = Scheme::new(&EvidenceParams { full_weight_tokens, ..local().evidence }, &record.bins);
        for tokens in CLASS_EDGES {
            let class = size_class(tokens);
            let bins = record.bins.get(usize::from(class)).unwrap_or(&record.bins[0]);
            (0..ALTERNATIVES).for_each(|alternative| expect_at_most_one(&scheme, bins, class, alternative));
        }
    }
}

fn expect_at_most_one(scheme: &Scheme, bins: &Bins, class: u8, alternative: usize) {
    let last = bins.honest_ppm.len() - 1;
    let audit = |bin: usize| match u8::try_from(bin) {
        Ok(bin) if usize::from(bin) < last => Audit::Pass { class, bin },
        _ => Audit::Fail { class },
    };
    let factor = |bin: usize| (scheme.step(audit(bin))[alternative] as f64 / 65_536.0).exp2();
    let mean: f64 = (0..=last).map(|bin| f64::from(bins.honest_ppm[bin]) / 1e6 * factor(bin)).sum();
    assert!(mean <= 1.0 + 1e-12, "{mean} for alternative {alternative} in class {class} of {bins:?}");
}

fn local() -> Params {
    let clock = ClockParams { start: 1_700_000_000, window_seconds: 15, windows_per_epoch: 6 };
    let public_key = HexBinary::from(vec![1; 96]);
    let beacon = BeaconParams { public_key, genesis: 1_692_803_367, period_seconds: 1, delay_seconds: 2 };
    Params::local("unit", clock, beacon)
}

/// Messages of each side: requester, executor, juror, accuser, governance; queries; an instantiation.
pub fn seeds() -> Vec<Vec<u8>> {
    let with_kind = |kind: u8, json: Vec<u8>| [&[kind], &json[..]].concat();
    let instantiate = InstantiateMsg { governance: "wasm1governance".into(), params: local() };
    let queries = [
        QueryMsg::Batches { start_after: Some(BatchId(3)), limit: None },
        QueryMsg::Assignments {
            juror: "wasm1juror".into(),
            window: Window(9),
            start_after: None,
            limit: Some(5),
        },
        QueryMsg::ValidateParams {
            patch: ParamsPatch { denom: Some("unit".into()), ..ParamsPatch::default() },
        },
    ];
    let messages = messages().into_iter().map(|message| with_kind(0, to_json(&message)));
    let queries = queries.into_iter().map(|query| with_kind(1, to_json(&query)));
    messages
        .chain(queries)
        .chain([with_kind(2, to_json(&instantiate)), with_kind(4, b"{}".to_vec())])
        .collect()
}

fn to_json<T: Serialize>(message: &T) -> Vec<u8> {
    to_json_vec(message).expect("a message is plain data")
}

fn messages() -> Vec<ExecuteMsg> {
    let (model, request) = (ModelDigest([1; 32]), RequestDigest([2; 32]));
    let artifact = real::artifact(real::samplings()[1]);
    let salt = HexBinary::from([6; 32]);
    let spec = ModelSpec {
        name: "gemma".into(),
        weights: Digest([4; 32]),
        scheme: NumericScheme::Bf16F32,
        constants: Digest([8; 32]),
        vocabulary: 64,
    };
    let bins = vec![Bins::verdict_only(10_000, PerAlternative([30_000, 100_000, 400_000]))];
    let calibration = CalibrationRecord { digest: Digest([5; 32]), probe_tolerance: 24, bins };
    let receipt = artifact.receipt(real::INFERENCE);
    let equivocation = EquivocationProof {
        receipt,
        public_key: HexBinary::from(vec![2; 33]),
        signature: HexBinary::from(vec![3; 64]),
        batch: BatchId(1),
        index: 0,
        leaf: Digest([8; 32]),
        path: vec![Digest([9; 32])],
    };
    let claim =
        Claim { session: SessionId(3), nonce_to: Nonce(4), request, signature: HexBinary::from(vec![3; 64]) };
    vec![
        ExecuteMsg::RegisterModel { spec, reference_fee: Uint128::new(1_000), calibration },
        ExecuteMsg::OpenSession {
            executor: "wasm1executor".into(),
            model,
            user_seed: UserSeed([3; 32]),
            session_key: HexBinary::from(vec![2; 33]),
            fee: Uint128::new(1_000),
            max_prompt: 100,
            max_new: 8,
            expires: Epoch(20),
        },
        ExecuteMsg::CommitBatch { model, root: BatchRoot([7; 32]), claims: vec![claim] },
        ExecuteMsg::RevealVerdicts {
            window: Window(9),
            page: 0,
            salt: salt.clone(),
            verdicts: signed::page().verdicts,
        },
        ExecuteMsg::ProveFraud { proof: real::proof(&artifact, 2), salt: salt.clone() },
        ExecuteMsg::ProveEquivocation { proof: equivocation, salt },
        ExecuteMsg::UpdateParams { patch: patch(), epoch: Epoch(9) },
        ExecuteMsg::Settle { executor: "wasm1executor".into(), epoch: Epoch(2), limit: 50 },
        ExecuteMsg::Pause {},
    ]
}

fn patch() -> ParamsPatch {
    let mut patch = ParamsPatch::default();
    patch.limits.settle_page = Some(100);
    patch.evidence.full_weight_tokens = Some(64);
    patch
}
