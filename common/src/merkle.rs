//! Merkle trees in the shape of RFC 6962: leaves hashed under 0x00, inner nodes under 0x01, split at the largest power of two.

use crate::digest::sha256;

/// The longest path that a proof may have: a tree of 2³² leaves.
pub const MAX_DEPTH: usize = 32;

/// Hash of one leaf's bytes (RFC 6962 §2.1).
pub fn leaf_hash(data: &[u8]) -> [u8; 32] {
    sha256(&[&[0], data])
}

fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1], left, right])
}

/// Root over leaf hashes; the root of no leaf is the hash of nothing, as in RFC 6962.
pub fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// Siblings from the leaf up to the root; `None` where there is no such leaf.
pub fn path(leaves: &[[u8; 32]], index: usize) -> Option<Vec<[u8; 32]>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut below, sibling) = if index < at {
        (path(left, index)?, root(right))
    } else {
        (path(right, index.checked_sub(at)?)?, root(left))
    };
    below.push(sibling);
    Some(below)
}

/// Whether `leaf` is leaf number `index` of the `count` leaves under `root`.
pub fn verify(root: &[u8; 32], count: u64, index: u64, leaf: [u8; 32], path: &[[u8; 32]]) -> bool {
    climb(count, index, leaf, path).is_some_and(|reached| reached == *root)
}

/// The root that a path leads to from leaf number `index` of `count` leaves (RFC 9162 §2.1.3.2); `None` where a path of
/// this length belongs to no such leaf.
///
/// A root alone does not say how many leaves are under it: whoever trusts `index` must know `count` from elsewhere.
pub fn climb(count: u64, index: u64, leaf: [u8; 32], path: &[[u8; 32]]) -> Option<[u8; 32]> {
    if index >= count || path.len() > MAX_DEPTH {
        return None;
    }
    let (mut node, mut last) = (index, count.saturating_sub(1));
    let mut hash = leaf;
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// The largest power of two below `count`, for count ≥ 2.
fn split(count: usize) -> usize {
    count.div_ceil(2).next_power_of_two()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn leaves(count: u8) -> Vec<[u8; 32]> {
        (0..count).map(|i| leaf_hash(&[i])).collect()
    }

    #[test]
    fn every_leaf_of_every_small_tree_proves_itself_and_nothing_else() {
        for count in 1..=33u8 {
            let leaves = leaves(count);
            let root = root(&leaves);
            for index in 0..usize::from(count) {
                let path = path(&leaves, index).unwrap();
                for (other, leaf) in leaves.iter().enumerate() {
                    let holds = verify(&root, count.into(), index as u64, *leaf, &path);
                    assert_eq!(holds, other == index, "{count} {index} {other}");
                }
                assert!(!verify(&root, count.into(), u64::from(count), leaves[index], &path));
                let mut longer = path.clone();
                longer.push([7; 32]);
                assert!(!verify(&root, count.into(), index as u64, leaves[index], &longer));
            }
        }
    }

    #[test]
    fn the_split_is_the_largest_power_of_two_below_the_count() {
        let splits: Vec<usize> = (2..=9).map(split).collect();
        assert_eq!(splits, [1, 2, 2, 4, 4, 4, 4, 8]);
    }
}
