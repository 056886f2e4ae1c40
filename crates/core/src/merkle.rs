//! The Merkle tree of RFC 6962 §2.1 over SHA-256 (the same in RFC 9162 §2.1.1).

use crate::hash::{Hash, sha256};

// Different first bytes keep a leaf from passing as an inner node and the other way round.
const LEAF: &[u8] = &[0];
const NODE: &[u8] = &[1];

/// The hash of a leaf: SHA-256 of the byte 0 and the entry (RFC 6962 §2.1).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[LEAF, entry])
}

/// The hash of an inner node: SHA-256 of the byte 1 and the hashes of both children (RFC 6962 §2.1).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[NODE, left, right])
}

/// The root of the tree without leaves: SHA-256 of nothing (RFC 6962 §2.1).
#[must_use]
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// The root of the tree over these leaves, oldest first: the Merkle Tree Hash of RFC 6962 §2.1, from leaf hashes.
///
/// The roots of complete subtrees of one size may stand for the leaves, followed by the root of a smaller incomplete
/// one: the tree splits at powers of two, so it comes out the same.
#[must_use]
pub fn root(leaf_hashes: &[Hash]) -> Hash {
    match leaf_hashes {
        [] => empty_root(),
        [only] => *only,
        several => {
            let (left, right) = several.split_at(split(several.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// The largest power of two smaller than `n`, for `n` of at least 2.
const fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}
