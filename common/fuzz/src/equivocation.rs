//! Receipts set against leaves, and leaves under roots.

use assay_common::ids::{BatchId, Digest};
use assay_common::merkle;
use assay_common::proof::{hashes, EquivocationProof};
use assay_common::session::Receipt;
use borsh::{BorshDeserialize, BorshSerialize};
use cosmwasm_std::{from_json, to_json_vec, HexBinary};

use crate::{memory, plain, real};

/// A proof, and the root and the number of leaves that the chain has.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
struct Input {
    receipt: Receipt,
    public_key: Vec<u8>,
    signature: Vec<u8>,
    batch: BatchId,
    index: u32,
    leaf: Digest,
    path: Vec<Digest>,
    root: Digest,
    count: u32,
}

pub fn check(bytes: &[u8]) {
    let Ok(input) = memory::bounded(bytes.len(), || borsh::from_slice::<Input>(bytes)) else { return };
    let Input { receipt, batch, index, leaf, root, count, .. } = input;
    let proof = EquivocationProof {
        receipt,
        public_key: HexBinary::from(input.public_key.as_slice()),
        signature: HexBinary::from(input.signature.as_slice()),
        batch,
        index,
        leaf,
        path: input.path.clone(),
    };
    let artifact = plain::tagged("artifact", &[&receipt.request.0, &receipt.tokens.0, &receipt.rows.0]);
    let promised = merkle::leaf_hash(&[receipt.inference.0, artifact].concat());
    assert_eq!(proof.differs(), promised != leaf.0);
    // What is hashed are the fields up to the path, as they came.
    assert_eq!(proof.digest().0, plain::tagged("equivocation", &[&bytes[..bytes.len() - 36]]));
    let path = hashes(&input.path);
    let (count, index) = (u64::from(count), u64::from(index));
    let reached = plain::climb(count, index, leaf.0, &path);
    assert_eq!(merkle::climb(count, index, leaf.0, &path), reached);
    assert_eq!(merkle::verify(&root.0, count, index, leaf.0, &path), reached == Some(root.0));
    let json = to_json_vec(&proof).expect("a proof is plain data");
    assert_eq!(from_json::<EquivocationProof>(json).expect("it was written"), proof);
}

/// Leaves of trees of some shapes, one of them the promised one.
pub fn seeds() -> Vec<Vec<u8>> {
    let artifact = real::artifact(real::samplings()[0]);
    let mut leaves: Vec<[u8; 32]> = (1..=13).map(|byte| [byte; 32]).collect();
    leaves[4] = real::committed(&artifact);
    let input = |(count, index): (u32, u32)| {
        let leaves = &leaves[..count as usize];
        let path = merkle::path(leaves, index as usize).expect("the leaf is there");
        Input {
            receipt: artifact.receipt(real::INFERENCE),
            public_key: vec![2; 33],
            signature: vec![3; 64],
            batch: BatchId(1),
            index,
            leaf: Digest(leaves[index as usize]),
            path: path.into_iter().map(Digest).collect(),
            root: Digest(merkle::root(leaves)),
            count,
        }
    };
    let inputs = [(1, 0), (2, 1), (5, 4), (8, 3), (13, 12)].map(input);
    inputs.map(|input| borsh::to_vec(&input).expect("writing to memory does not fail")).to_vec()
}
