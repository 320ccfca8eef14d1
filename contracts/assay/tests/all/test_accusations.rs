//! What an accuser sends, as bytes, and what it takes from an executor before anything is settled.

use assay_common::draw::RATE_ONE;
use assay_common::msg::{BatchResponse, NodeResponse, QueryMsg};
use cosmwasm_std::{Addr, Binary};
use cw_multi_test::Executor;

use crate::suite::*;

fn node(suite: &Suite, address: &Addr) -> NodeResponse {
    suite.query(&QueryMsg::Node { address: address.to_string() })
}

#[test]
fn a_proof_takes_the_reputation_at_once_and_no_earlier_epoch_gives_it_back() {
    let mut suite = Suite::new();
    let executor = suite.nodes[0].clone();
    for epoch in 0..2 {
        let clean = suite.commit_answers(&executor, 12, honest_answer);
        suite.judge(6 * epoch, &[clean.batch], &honest);
        suite.at_epoch(epoch + 1);
    }
    suite.settle(&executor, 0, 200);
    assert!(node(&suite, &executor).reputation.0 > 0 && node(&suite, &executor).rate_q32 < RATE_ONE);
    let (_, committed) = cheated(&mut suite);
    let session = suite.open_session(&executor, 10 * FEE);
    assert!(suite.session(session).mark_q32 < RATE_ONE);
    let accuser = suite.account("accuser");
    suite.prove(&accuser, &committed.proof(1, 2)).unwrap();
    let condemned = |suite: &Suite| {
        let node = node(suite, &executor);
        assert_eq!((node.reputation.0, node.rate_q32), (0, RATE_ONE));
    };
    condemned(&suite);
    // What it commits to from now on is checked wholly, and so is what a new session pays for.
    let later = suite.commit_answers_of(&executor, session, 5, honest_answer);
    let batch: BatchResponse = suite.query(&QueryMsg::Batch { batch: later.batch });
    assert_eq!((batch.rate_q32, batch.samples), (RATE_ONE, 5));
    let session = suite.open_session(&executor, FEE);
    assert_eq!(suite.session(session).mark_q32, RATE_ONE);
    // The epoch before is paid, in its turn.
    let response = suite.settle(&executor, 1, 200);
    assert_eq!(attribute(&response, "assay_settled", "status"), "paid");
    assert_eq!(attribute(&response, "assay_settled", "reputation_after"), "0");
    condemned(&suite);
    suite.at_epoch(3);
    suite.settle(&executor, 2, 200);
    condemned(&suite);
}

#[test]
fn bytes_that_are_no_proof_are_refused_by_the_part_that_cannot_be_read() {
    let mut suite = Suite::new();
    let (_, committed) = cheated(&mut suite);
    let accuser = suite.account("accuser");
    let bytes = committed.proof(1, 2).encode();
    let refusal = |suite: &mut Suite, proof: String| {
        let msg = serde_json::json!({ "prove_fraud": { "proof": proof, "salt": proof_salt() } });
        let sent = suite.app.execute_contract(accuser.clone(), suite.contract.clone(), &msg, &[]);
        sent.unwrap_err().to_string()
    };
    let base64 = |bytes: &[u8]| Binary::from(bytes).to_base64();
    let paths = 8 + 4;
    for (proof, expected) in [
        ("*".into(), "the fraud proof is not in base64".to_string()),
        (base64(&[]), "the fraud proof's batch, from byte 0 on, cannot be read".into()),
        (
            base64(&bytes[..paths + 9]),
            format!("the fraud proof's batch_path, from byte {paths} on, cannot be read"),
        ),
        (base64(&bytes[..bytes.len() - 1]), "the fraud proof's row_path".into()),
        (base64(&[&bytes[..], &[0; 3]].concat()), "after the fraud proof 3 bytes are left over".into()),
    ] {
        let error = refusal(&mut suite, proof);
        assert!(error.contains(&expected), "expected {expected}, got {error}");
    }
    let error = refusal(&mut suite, base64(&bytes));
    assert!(error.contains("no standing commitment"), "{error}");
}
