//! An altered delivery: a receipt of the executor against what it committed to.

use assay_common::digest::Domain;
use assay_common::ids::{BatchRoot, Digest, InferenceId, Nonce};
use assay_common::msg::{EpochStatus, ExecuteMsg};
use assay_common::proof::EquivocationProof;
use assay_common::session::{inference_id, Receipt};
use assay_contract::error::ContractError;
use cosmwasm_std::Addr;
use k256::ecdsa::SigningKey;

use crate::suite::*;

fn executor_key() -> SigningKey {
    SigningKey::from_slice(&[11; 32]).unwrap()
}

/// A chain with an executor whose key is known, and its batch of three honest artifacts.
fn signed() -> (Suite, Addr, Committed) {
    let mut suite = Suite::empty(local_params());
    suite.register_model("model");
    let executor = suite.key_account(&executor_key());
    suite.register_node(&executor, 2 * MIN_STAKE);
    for number in 0..3 {
        let node = suite.account(&format!("node{number}"));
        suite.register_node(&node, 2 * MIN_STAKE);
    }
    suite.at_window(0);
    let committed = suite.commit_answers(&executor, 3, honest_answer);
    (suite, executor, committed)
}

/// What the requester got instead of artifact 1: other tokens, under a receipt of the executor.
fn altered(suite: &Suite, committed: &Committed, key: &SigningKey) -> EquivocationProof {
    let mut delivered = committed.artifacts[1].clone();
    delivered.tokens[0] ^= 1;
    let receipt = delivered.receipt(committed.receipts[1].inference);
    committed.against(suite, 1, receipt, key)
}

#[test]
fn an_altered_delivery_is_proven_by_receipt_against_leaf() {
    let (mut suite, executor, committed) = signed();
    let requester = suite.requester.clone();
    let proof = altered(&suite, &committed, &executor_key());
    let response = suite.prove_receipt(&requester, &proof).unwrap();
    assert_eq!(attribute(&response, "assay_fraud_proven", "finding"), "equivocation");
    suite.at_epoch(1);
    suite.settle(&executor, 0, 10);
    let epoch = suite.epoch(&executor, 0);
    assert_eq!((epoch.status, epoch.bounty.u128()), (EpochStatus::Forfeited, BOUNTY));
}

#[test]
fn a_leaf_of_any_bytes_is_no_excuse_for_an_altered_delivery() {
    let (mut suite, executor, _) = signed();
    // The executor commits to a leaf that names another inference than the claims say.
    let committed = suite.commit_answers(&executor, 1, honest_answer);
    let foreign = Committed {
        receipts: vec![Receipt { inference: InferenceId([1; 32]), ..committed.receipts[0] }],
        ..committed
    };
    let session = suite.open_session(&executor, 2 * FEE);
    let root = BatchRoot(foreign.against(&suite, 0, foreign.receipts[0], &executor_key()).leaf.0);
    let claims = vec![suite.claim(session, 1)];
    let msg = ExecuteMsg::CommitBatch { model: suite.model, root, claims };
    let response = suite.accepted(&executor, &msg, 0);
    let batch = attribute(&response, "assay_batch_committed", "batch").parse().unwrap();
    let inference = inference_id(&suite.domain(), session, Nonce(1));
    let receipt = Receipt { inference, ..foreign.receipts[0] };
    let proof = EquivocationProof { batch, ..foreign.against(&suite, 0, receipt, &executor_key()) };
    let requester = suite.requester.clone();
    suite.prove_receipt(&requester, &proof).unwrap();
}

#[test]
fn a_receipt_that_the_executor_did_not_sign_or_kept_proves_nothing() {
    let (mut suite, executor, committed) = signed();
    let accuser = suite.account("accuser");
    let other = SigningKey::from_slice(&[12; 32]).unwrap();
    let good = altered(&suite, &committed, &executor_key());
    let foreign = altered(&suite, &committed, &other);
    let signer = suite.key_account(&other).to_string();
    let key = good.public_key.to_hex();
    let elsewhere = Domain { chain_id: "elsewhere".into(), contract: suite.contract.to_string() };
    let kept = committed.against(&suite, 1, committed.receipts[1], &executor_key());
    let batch = committed.batch;
    let (expected, found) = (committed.receipts[1].inference, committed.receipts[0].inference);
    let bent = [
        (foreign.clone(), ContractError::ReceiptSigner { signer, executor: executor.to_string() }),
        (
            EquivocationProof { signature: foreign.signature, ..good.clone() },
            ContractError::ReceiptUnsigned { key: key.clone() },
        ),
        (
            EquivocationProof { signature: Default::default(), ..good.clone() },
            ContractError::ReceiptUnsigned { key: key.clone() },
        ),
        (
            EquivocationProof {
                signature: sign(&executor_key(), &good.receipt.digest(&elsewhere)),
                ..good.clone()
            },
            ContractError::ReceiptUnsigned { key },
        ),
        (kept, ContractError::ReceiptKept { batch, index: 1 }),
        (
            committed.against(&suite, 1, committed.receipts[0], &executor_key()),
            ContractError::ReceiptOfOther { batch, index: 1, expected, found },
        ),
        (
            EquivocationProof { leaf: Digest([1; 32]), ..good.clone() },
            ContractError::NotUnderRoot { batch, index: 1 },
        ),
        (
            EquivocationProof { path: good.path[..1].to_vec(), ..good.clone() },
            ContractError::NotUnderRoot { batch, index: 1 },
        ),
        // An inner node stands for no leaf.
        (
            EquivocationProof { leaf: good.path[0], path: good.path[1..].to_vec(), ..good.clone() },
            ContractError::NotUnderRoot { batch, index: 1 },
        ),
    ];
    for (proof, expected) in bent {
        let error = suite.prove_receipt(&accuser, &proof).unwrap_err();
        assert!(error.contains(&expected.to_string()), "expected {expected}, got {error}");
    }
    suite.prove_receipt(&accuser, &good).unwrap();
}
