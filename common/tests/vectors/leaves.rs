//! The bytes of a leaf, and the rules that they may break.

use assay_common::ids::Digest;
use assay_common::merkle::leaf_hash;
use assay_common::row::{decode_leaf, Entry, RowRule};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{Bytes, Given};

/// Bytes that may be a leaf.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct LeafBytes {
    pub vocabulary: u32,
    pub bytes: Bytes,
}

/// What the bytes say, and the first rule that they break.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct LeafOutcome {
    /// As a leaf of an artifact's tree.
    pub hash: Digest,
    /// Where the bytes decode.
    pub leaf: Option<Decoded>,
    pub broken: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Decoded {
    pub position: u32,
    pub token: u32,
    /// Surprisal and id.
    pub cut: (u32, u32),
    /// Surprisal and id of each.
    pub entries: Vec<(u32, u32)>,
}

impl Given for LeafBytes {
    type Outcome = LeafOutcome;
    fn outcome(&self) -> LeafOutcome {
        let hash = Digest(leaf_hash(&self.bytes.0));
        match decode_leaf(&self.bytes.0) {
            Err(rule) => LeafOutcome { hash, leaf: None, broken: Some(rule_name(rule)) },
            Ok(leaf) => {
                let entries = leaf.row.entries.iter().map(pair).collect();
                let (token, cut) = (leaf.row.token.0, pair(&leaf.row.cut));
                let decoded = Decoded { position: leaf.position, token, cut, entries };
                let broken = leaf.row.check(self.vocabulary).err().map(rule_name);
                LeafOutcome { hash, leaf: Some(decoded), broken }
            }
        }
    }
}

pub fn pair(entry: &Entry) -> (u32, u32) {
    (entry.surprisal.0, entry.token.0)
}

/// The rule without the numbers of its case.
pub fn rule_name(rule: RowRule) -> String {
    let mut name = format!("{rule:?}");
    name.truncate(name.find(' ').unwrap_or(name.len()));
    name
}
