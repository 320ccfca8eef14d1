//! Merkle roots, paths, and proofs that hold or do not.

use assay_common::ids::Digest;
use assay_common::merkle::{leaf_hash, path, root, verify};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Bytes, Given};

/// Leaves, and one of them.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Tree {
    pub leaves: Vec<Bytes>,
    pub index: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct TreeOutcome {
    pub root: Digest,
    /// From the leaf's sibling up; absent where there is no such leaf.
    pub path: Option<Vec<Digest>>,
}

impl Given for Tree {
    type Outcome = TreeOutcome;
    fn outcome(&self) -> TreeOutcome {
        let hashes: Vec<[u8; 32]> = self.leaves.iter().map(|leaf| leaf_hash(&leaf.0)).collect();
        let path = path(&hashes, self.index as usize);
        TreeOutcome {
            root: Digest(root(&hashes)),
            path: path.map(|path| path.into_iter().map(Digest).collect()),
        }
    }
}

/// The claim that `leaf` (hashed) is leaf number `index` of `count` under `root`.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Proof {
    pub root: Digest,
    pub count: u32,
    pub index: u32,
    pub leaf: Digest,
    pub path: Vec<Digest>,
}

impl Given for Proof {
    type Outcome = bool;
    fn outcome(&self) -> bool {
        let path: Vec<[u8; 32]> = self.path.iter().map(|hash| hash.0).collect();
        verify(&self.root.0, self.count.into(), self.index.into(), self.leaf.0, &path)
    }
}
