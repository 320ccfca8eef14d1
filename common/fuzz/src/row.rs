//! The bytes of a leaf.

use std::mem::size_of;

use assay_common::row::{decode_leaf, encode_leaf, Entry, MAX_ENTRIES};

use crate::{choice, memory, plain, real, VOCABULARIES};

/// A byte that chooses the vocabulary, then what may be a leaf.
pub fn check(input: &[u8]) {
    let Some((chosen, bytes)) = choice(input, VOCABULARIES.len()) else { return };
    match memory::bounded(0, || decode_leaf(bytes)) {
        Err(rule) => {
            assert_eq!(plain::decode(bytes), None, "{rule}");
            assert!(rule.offset().unwrap_or(0) <= bytes.len(), "{rule}");
        }
        Ok(leaf) => {
            assert_eq!(encode_leaf(leaf.position, &leaf.row), bytes);
            assert!(leaf.row.entries.capacity() * size_of::<Entry>() <= MAX_ENTRIES * size_of::<Entry>());
            let vocabulary = VOCABULARIES[chosen];
            let broken = leaf.row.check(vocabulary).err();
            assert_eq!(broken.is_none(), plain::is_well_formed(&leaf.row, vocabulary), "{broken:?}");
            assert_eq!(plain::decode(bytes), Some(leaf));
        }
    }
}

/// Honest leaves.
pub fn seeds() -> Vec<Vec<u8>> {
    let artifacts = real::samplings().map(real::artifact);
    artifacts.iter().map(|artifact| [&[0], &artifact.leaves[0][..]].concat()).collect()
}
