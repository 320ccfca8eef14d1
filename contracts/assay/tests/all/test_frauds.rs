//! What a row can prove, and that an honest one proves nothing.

use assay_common::ids::{ModelDigest, RunSeed};
use assay_common::proof::FraudProof;
use assay_common::row::{Entry, Row, Surprisal, TokenId};
use assay_common::sampler::SamplingParams;
use assay_contract::error::ContractError;
use proptest::prelude::*;

use crate::suite::*;

/// What a proof of every row of an artifact finds, where one is accepted; otherwise the refusal of the first.
fn verdict_on(suite: &mut Suite, committed: &Committed, index: u32) -> Result<String, String> {
    let accuser = suite.account("accuser");
    let mut refusal = None;
    for position in 0..committed.artifacts[index as usize].leaves.len() {
        match suite.prove(&accuser, &committed.proof(index, position as u32)) {
            Ok(response) => return Ok(attribute(&response, "assay_fraud_proven", "finding")),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.unwrap())
}

// --- what is a fraud ---

#[test]
fn a_seed_of_another_session_or_nonce_does_not_replay() {
    let other_seed = |_: &RunSeed, number| honest_answer(&RunSeed([1; 32]), number);
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let committed = suite.commit_answers(&executor, 1, other_seed);
    assert_eq!(verdict_on(&mut suite, &committed, 0), Ok("replay".into()));

    // One nonce's answer, given again under the next.
    let mut suite = Suite::new();
    let first = std::cell::OnceCell::new();
    let committed = suite.commit_answers(&executor, 2, |seed, number| {
        first.get_or_init(|| honest_answer(seed, number)).clone()
    });
    assert!(verdict_on(&mut suite, &committed, 0).is_err());
    assert_eq!(verdict_on(&mut suite, &committed, 1), Ok("replay".into()));
}

#[test]
fn padded_unsorted_duplicated_improbable_and_foreign_rows_are_malformed() {
    type Change = fn(&mut Row);
    let bad: [(&str, Change); 9] = [
        ("padded", |row| {
            let next = |id| Entry { surprisal: Surprisal::MAX, token: TokenId(id) };
            row.entries.extend((0..5).map(|id| next(990 + id)));
            row.entries.truncate(25);
        }),
        ("short", |row| row.entries.truncate(19)),
        ("unsorted", |row| row.entries.swap(0, 1)),
        ("duplicated", |row| row.entries[1].token = row.entries[0].token),
        ("probability above one", |row| row.entries[1].surprisal = Surprisal(1)),
        ("of no probability", |row| {
            if let Some(last) = row.entries.last_mut() {
                last.surprisal = Surprisal(Surprisal::MAX.0 + 1);
            }
        }),
        ("out of the vocabulary", |row| row.entries[1].token = TokenId(VOCABULARY)),
        ("with a cut out of the vocabulary", |row| row.cut.token = TokenId(VOCABULARY)),
        ("with a cut before what it lists", |row| {
            row.cut = Entry { surprisal: Surprisal(0), token: TokenId(7) };
        }),
    ];
    for (name, change) in bad {
        let mut suite = Suite::new();
        let executor = suite.nodes[0].clone();
        let committed = suite.commit_answers(&executor, 1, |seed, number| {
            let mut artifact = honest_answer(seed, number);
            // The most probable comes first with one bit, so that a second as probable goes beyond one.
            tamper(&mut artifact, 3, |row| {
                if name == "probability above one" {
                    row.entries[0].surprisal = Surprisal(0);
                }
                change(row);
            });
            artifact
        });
        assert_eq!(verdict_on(&mut suite, &committed, 0), Ok("malformed".into()), "{name}");
    }
}

#[test]
fn bytes_that_are_no_row_are_malformed() {
    type Change = fn(&mut Vec<u8>);
    let bad: [(&str, Change); 4] = [
        ("empty", |bytes| bytes.clear()),
        ("truncated", |bytes| bytes.truncate(30)),
        ("trailing", |bytes| bytes.push(0)),
        ("not minimal", |bytes| {
            let count = bytes[16];
            bytes.splice(16..17, [count | 0x80, 0]);
        }),
    ];
    for (name, change) in bad {
        let mut suite = Suite::new();
        let executor = suite.nodes[0].clone();
        let committed = suite.commit_answers(&executor, 1, |seed, number| {
            let mut artifact = honest_answer(seed, number);
            change(&mut artifact.leaves[4]);
            artifact
        });
        assert_eq!(verdict_on(&mut suite, &committed, 0), Ok("malformed".into()), "{name}");
    }
}

#[test]
fn rows_out_of_place_and_more_rows_than_the_request_allows_are_malformed() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let committed = suite.commit_answers(&executor, 1, |seed, number| {
        let mut artifact = honest_answer(seed, number);
        artifact.leaves.swap(1, 2);
        artifact
    });
    assert_eq!(verdict_on(&mut suite, &committed, 0), Ok("malformed".into()));
    let mut suite = Suite::new();
    let committed = suite.commit_answers(&executor, 1, |seed, number| {
        let mut artifact = honest_answer(seed, number);
        artifact.request.max_new = ANSWER - 1;
        artifact
    });
    assert_eq!(verdict_on(&mut suite, &committed, 0), Ok("malformed".into()));
}

#[test]
fn sampling_out_of_range_and_requests_beyond_the_session_are_frauds() {
    type Change = fn(&mut assay_common::session::Request);
    let bad: [(&str, Change); 5] = [
        ("sampling", |request| request.sampling.temperature_milli = 100_001),
        ("sampling", |request| request.sampling.top_p_ppm = 0),
        ("sampling", |request| request.sampling.min_p_ppm = 1_000_001),
        ("request", |request| request.max_new = 101),
        ("request", |request| request.model = ModelDigest([1; 32])),
    ];
    for (expected, change) in bad {
        let mut suite = Suite::new();
        let executor = suite.nodes[0].clone();
        let committed = suite.commit_answers(&executor, 1, |seed, number| {
            let mut artifact = honest_answer(seed, number);
            change(&mut artifact.request);
            artifact
        });
        assert_eq!(verdict_on(&mut suite, &committed, 0), Ok(expected.into()));
    }
}

// --- what is not ---

/// Every honest position, shown under every number and size of tree that its path may pretend to.
fn no_honest_row_is_proven(committed: &Committed, suite: &mut Suite, index: u32) {
    let accuser = suite.account("framer");
    for position in 0..committed.artifacts[index as usize].leaves.len() as u32 {
        let honest = committed.proof(index, position);
        for (rows, shown) in (1..12).flat_map(|rows| (0..rows).map(move |shown| (rows, shown))) {
            let bent = FraudProof { rows, position: shown, ..honest.clone() };
            assert!(suite.prove(&accuser, &bent).is_err(), "row {position} as {shown} of {rows}");
        }
    }
}

#[test]
fn an_honest_row_proves_nothing_under_any_number_and_any_size_of_tree() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    let committed = suite.commit_answers(&executor, 3, honest_answer);
    let nothing = ContractError::NothingProven { batch: committed.batch, index: 1, position: 0 };
    assert!(verdict_on(&mut suite, &committed, 1).unwrap_err().contains(&nothing.to_string()));
    no_honest_row_is_proven(&committed, &mut suite, 1);
}

fn sampling() -> impl Strategy<Value = SamplingParams> {
    let temperature = prop_oneof![Just(0u32), Just(300), Just(1_000), Just(2_000), 0u32..100_001];
    let top_k = prop_oneof![Just(0u32), 1u32..25, Just(1_000)];
    let top_p = prop_oneof![Just(1_000_000u32), 1u32..1_000_001];
    let min_p = prop_oneof![Just(0u32), 0u32..1_000_001];
    (temperature, top_k, top_p, min_p).prop_map(|(temperature_milli, top_k, top_p_ppm, min_p_ppm)| {
        SamplingParams { temperature_milli, top_k, top_p_ppm, min_p_ppm, ..SamplingParams::OPEN }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Invariant 2, on the contract.
    #[test]
    fn an_honest_artifact_is_never_proven(sampling in sampling(), tokens in 1u32..20, random: u64) {
        let mut suite = Suite::new();
        let executor = suite.nodes[0].clone();
        let answer = |seed: &RunSeed, number| answer(seed, sampling, tokens, random ^ u64::from(number));
        let committed = suite.commit_answers(&executor, 2, answer);
        for index in 0..2 {
            prop_assert!(verdict_on(&mut suite, &committed, index).is_err());
        }
    }
}
