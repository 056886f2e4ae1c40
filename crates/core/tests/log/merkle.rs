//! The Merkle tree against known roots and two other implementations.

use crate::others::{CtMerkle, Numbers, Tlog, entry};
use trustlog_core::Hash;
use trustlog_core::merkle::{empty_root, leaf_hash, node_hash, root};

/// The entries of the test tree that Certificate Transparency implementations share.
const CT_ENTRIES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

/// Its roots for 0 to 8 entries.
const CT_ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_ct_test_tree_has_its_known_roots() {
    let leaves = CT_ENTRIES.map(leaf_hash);
    for (size, expected) in CT_ROOTS.iter().enumerate() {
        assert_eq!(hex(&root(&leaves[..size])), *expected, "size {size}");
    }
    assert_eq!(hex(&empty_root()), CT_ROOTS[0]);
}

#[test]
fn a_leaf_never_hashes_like_a_node() {
    let (left, right) = ([1; 32], [2; 32]);
    assert_ne!(leaf_hash(&[left, right].concat()), node_hash(&left, &right));
    assert_ne!(node_hash(&left, &right), node_hash(&right, &left));
}

/// Our leaves and both other trees, grown together.
#[derive(Default)]
struct Trees {
    leaves: Vec<Hash>,
    ct_merkle: CtMerkle,
    tlog: Tlog,
}

impl Trees {
    fn grow_to(&mut self, size: u64) {
        for index in self.leaves.len() as u64..size {
            self.leaves.push(leaf_hash(&entry(index)));
            self.ct_merkle.push(entry(index));
            self.tlog.push(entry(index));
        }
    }

    fn compare(&self) {
        let (size, root) = (self.leaves.len(), root(&self.leaves));
        // ct-merkle has no empty tree to ask.
        if size > 0 {
            assert_eq!(root, self.ct_merkle.root(), "size {size}, ct-merkle");
        }
        assert_eq!(root, self.tlog.root(), "size {size}, tlog_tiles");
    }
}

#[test]
fn roots_equal_those_of_others_at_every_small_size() {
    let mut trees = Trees::default();
    for size in 0..=1030 {
        trees.grow_to(size);
        trees.compare();
    }
}

#[test]
fn roots_equal_those_of_others_at_random_sizes() {
    let mut numbers = Numbers(1);
    let mut sizes = [(); 5].map(|()| numbers.below(20_000));
    sizes.sort_unstable();
    let mut trees = Trees::default();
    for size in sizes {
        trees.grow_to(size);
        trees.compare();
    }
}
