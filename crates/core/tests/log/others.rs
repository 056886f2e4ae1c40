//! What several tests need: leaves, a repeatable choice of sizes, and two implementations by other people.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use tlog_tiles::HashReader;
use trustlog_core::Hash;

/// The entry at `index` of the test log.
pub fn entry(index: u64) -> Hash {
    let mut entry = [0x5a; 32];
    entry[..8].copy_from_slice(&index.to_be_bytes());
    entry
}

/// Numbers that look random and are the same in every run (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// The tree of the `ct-merkle` crate.
#[derive(Default)]
pub struct CtMerkle(MemoryBackedTree<sha2_for_ct_merkle::Sha256, Hash>);

impl CtMerkle {
    pub fn push(&mut self, entry: Hash) {
        self.0.push(entry);
    }

    pub fn root(&self) -> Hash {
        (*self.0.root().as_bytes()).into()
    }
}

/// The tree of the `tlog_tiles` crate, with its stored hashes in memory.
#[derive(Default)]
pub struct Tlog {
    size: u64,
    stored: StoredHashes,
}

#[derive(Default)]
pub struct StoredHashes(Vec<tlog_tiles::Hash>);

impl Tlog {
    pub fn push(&mut self, entry: Hash) {
        let new = tlog_tiles::stored_hashes(self.size, &entry, &self.stored).unwrap();
        self.stored.0.extend(new);
        self.size += 1;
    }

    pub fn root(&self) -> Hash {
        tlog_tiles::tree_hash(self.size, &self.stored).unwrap().0
    }

    pub fn stored(&self) -> &StoredHashes {
        &self.stored
    }
}

impl HashReader for StoredHashes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let at = |index: &u64| self.0[usize::try_from(*index).unwrap()];
        Ok(indexes.iter().map(at).collect())
    }
}
