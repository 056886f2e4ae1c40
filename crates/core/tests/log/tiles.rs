//! Tiles and the root from the right edge, against the plain tree and two other implementations.

use crate::others::{Numbers, Tlog, entry};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::convert::Infallible;
use tlog_tiles::HashReader;
use trustlog_core::Hash;
use trustlog_core::merkle::{self, leaf_hash};
use trustlog_core::tiles::{Edge, TILE_WIDTH, Tile, TileError, completed_tiles, full_tiles, partial_width, root};

/// A log in memory, stored as the extension stores it: leaf hashes and full tiles.
#[derive(Default)]
struct Log {
    leaves: Vec<Hash>,
    tiles: BTreeMap<(u8, u64), Tile>,
    /// The levels of the edge that were read.
    reads: Vec<u8>,
}

impl Log {
    fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// Appends the next `count` leaves and returns the tiles this completed.
    fn append(&mut self, count: u64) -> Vec<Tile> {
        let size = self.size();
        let new: Vec<_> = (size..size + count).map(|index| leaf_hash(&entry(index))).collect();
        let tiles = completed_tiles(size, &new, self).unwrap();
        self.leaves.extend(new);
        for tile in &tiles {
            let before = self.tiles.insert((tile.level, tile.n), tile.clone());
            assert!(before.is_none(), "tile {}/{} completed twice", tile.level, tile.n);
        }
        tiles
    }

    fn root(&mut self) -> Hash {
        root(self.size(), self).unwrap()
    }
}

impl Edge for Log {
    type Error = Infallible;

    fn partial(&mut self, level: u8, size: u64) -> Result<Vec<Hash>, Infallible> {
        self.reads.push(level);
        let start = full_tiles(level, size) * TILE_WIDTH;
        let places = start..start + partial_width(level, size);
        assert!(!places.is_empty());
        Ok(match level.checked_sub(1) {
            None => places.map(|index| self.leaves[usize::try_from(index).unwrap()]).collect(),
            Some(below) => places.map(|n| self.tiles[&(below, n)].root).collect(),
        })
    }
}

#[test]
fn roots_equal_those_of_others_at_every_small_size() {
    let mut log = Log::default();
    let mut tlog = Tlog::default();
    assert_eq!(log.root(), merkle::empty_root());
    for index in 0..1030 {
        log.append(1);
        tlog.push(entry(index));
        assert_eq!(log.root(), tlog.root(), "size {}", log.size());
    }
}

/// Which full tiles the `tlog_tiles` crate wants when a tree grows, in its order.
fn tiles_wanted(old_size: u64, new_size: u64) -> Vec<(u8, u64)> {
    let tiles = tlog_tiles::Tile::new_tiles(8, old_size, new_size);
    let full = tiles.iter().filter(|tile| u64::from(tile.width()) == TILE_WIDTH);
    full.map(|tile| (tile.level(), tile.level_index())).collect()
}

#[test]
fn a_growing_log_equals_those_of_others() {
    const END: u64 = 200_000;
    let mut numbers = Numbers(2);
    let mut log = Log::default();
    let mut tlog = Tlog::default();
    while log.size() < END {
        let old = log.size();
        // Mostly batches as a busy worker seals them, some of a few records, some empty.
        let most = [2, 300, 12_000][usize::try_from(numbers.below(3)).unwrap()];
        let tiles = log.append(numbers.below(most).min(END - old));
        (old..log.size()).for_each(|index| tlog.push(entry(index)));
        let places: Vec<_> = tiles.iter().map(|tile| (tile.level, tile.n)).collect();
        assert_eq!(places, tiles_wanted(old, log.size()));
        assert_eq!(log.root(), tlog.root(), "size {}", log.size());
    }
    assert_eq!(log.root(), merkle::root(&log.leaves));
    assert_eq!(log.tiles.len(), 781 + 3);
}

#[test]
fn tile_data_equals_that_of_others() {
    const SIZE: u64 = 65_536 + 300;
    let mut log = Log::default();
    log.append(SIZE);
    let mut tlog = Tlog::default();
    (0..SIZE).for_each(|index| tlog.push(entry(index)));
    assert_eq!(log.root(), tlog.root());
    assert_eq!(log.root(), merkle::root(&log.leaves));
    assert_eq!(log.tiles.len(), 257 + 1);
    for tile in log.tiles.values() {
        let other = tlog_tiles::Tile::new(8, tile.level, tile.n, 256, false);
        assert_eq!(tile.data(), other.read_data(tlog.stored()).unwrap());
        assert_eq!(tile.data().len(), 8192);
        assert_eq!(tile.root, tlog_tiles::Tile::subtree_hash(&tile.data()).0);
    }
}

#[test]
fn the_edge_is_read_only_where_a_tile_is_completed() {
    let mut log = Log::default();
    for index in 0..65_536_u64 {
        log.reads.clear();
        log.append(1);
        let expected: &[u8] = match index % 65_536 {
            65_535 => &[0, 1],
            _ if index % 256 == 255 => &[0],
            _ => &[],
        };
        assert_eq!(log.reads, expected, "index {index}");
    }
    // Nothing is left over at the edge here, so there is nothing to read.
    log.reads.clear();
    assert_eq!(log.append(256).len(), 1);
    assert_eq!(log.reads, [] as [u8; 0]);
}

/// The right edge of a tree too large to build: every hash made up from its place.
struct MadeUp;

fn made_up(level: u8, place: u64) -> Hash {
    leaf_hash(&[&[level][..], &place.to_be_bytes()].concat())
}

impl Edge for MadeUp {
    type Error = Infallible;

    fn partial(&mut self, level: u8, size: u64) -> Result<Vec<Hash>, Infallible> {
        let start = full_tiles(level, size) * TILE_WIDTH;
        let places = start..start + partial_width(level, size);
        Ok(places.map(|place| made_up(level, place)).collect())
    }
}

impl HashReader for MadeUp {
    /// Nodes of the binary tree inside the partial tiles, from the made-up hashes below them.
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let node = |index: &u64| {
            let (binary_level, n) = tlog_tiles::split_stored_hash_index(*index);
            let (level, height) = (binary_level / 8, binary_level % 8);
            let places = n << height..(n + 1) << height;
            let data: Vec<_> = places.flat_map(|place| made_up(level, place)).collect();
            tlog_tiles::Tile::subtree_hash(&data)
        };
        Ok(indexes.iter().map(node).collect())
    }
}

fn compare_made_up(size: u64) {
    let expected = tlog_tiles::tree_hash(size, &MadeUp).unwrap();
    assert_eq!(root(size, &mut MadeUp).unwrap(), expected.0, "size {size}");
}

#[test]
fn roots_of_huge_trees_equal_those_of_others() {
    for level in 1..8 {
        let leaves = 1_u64 << (8 * level);
        for size in [leaves - 1, leaves, leaves + 1, leaves * 3, leaves * 255 - 1] {
            compare_made_up(size.min(1 << 60));
        }
    }
}

#[test]
fn one_leaf_can_complete_a_tile_of_every_level() {
    for levels in 1..=7_u8 {
        let size = (1_u64 << (8 * levels)) - 1;
        let tiles = completed_tiles(size, &[made_up(0, size)], &mut MadeUp).unwrap();
        let places: Vec<_> = tiles.iter().map(|tile| (tile.level, tile.n)).collect();
        let expected = (0..levels).map(|level| (level, full_tiles(level, size)));
        assert_eq!(places, expected.collect::<Vec<_>>());
        for tile in &tiles {
            assert_eq!(tile.hashes.len() as u64, TILE_WIDTH);
            assert_eq!(tile.hashes[0], made_up(tile.level, tile.n * TILE_WIDTH));
            assert_eq!(tile.root, tlog_tiles::Tile::subtree_hash(&tile.data()).0);
        }
        let above = tiles.iter().skip(1).map(|tile| tile.hashes[255]);
        let below = tiles.iter().map(|tile| tile.root);
        assert!(above.zip(below).all(|(last, root)| last == root));
    }
}

/// An edge of another size than the tree is said to have, or one that cannot be read.
struct Broken(Result<usize, &'static str>);

impl Edge for Broken {
    type Error = &'static str;

    fn partial(&mut self, _level: u8, _size: u64) -> Result<Vec<Hash>, &'static str> {
        self.0.map(|length| vec![[0; 32]; length])
    }
}

#[test]
fn an_edge_that_does_not_fit_is_a_fault() {
    let misfit = |found| TileError::<&str>::Misfit { level: 0, expected: 255, found };
    for found in [0, 254, 256, 511] {
        let expected = format!("{:?}", misfit(found as u64));
        let edge = &mut Broken(Ok(found));
        let completed = completed_tiles(255, &[[0; 32]], edge).unwrap_err();
        assert_eq!(format!("{completed:?}"), expected);
        assert_eq!(format!("{:?}", root(255, edge).unwrap_err()), expected);
    }
    assert_eq!(misfit(7).to_string(), "tile level 0: expected 255 hashes at the right edge, found 7");
}

#[test]
fn an_edge_that_cannot_be_read_is_passed_on() {
    let edge = &mut Broken(Err("disk on fire"));
    let error = completed_tiles(255, &[[0; 32]], edge).unwrap_err();
    assert!(matches!(error, TileError::Edge("disk on fire")));
    assert!(matches!(root(1, edge), Err(TileError::Edge("disk on fire"))));
}

#[test]
fn an_empty_append_completes_nothing() {
    for size in [0, 255, 256, 65_536] {
        assert_eq!(completed_tiles(size, &[], &mut Broken(Err("read"))).unwrap(), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn roots_of_random_huge_trees_equal_those_of_others(bits in 1_u32..60, size in any::<u64>()) {
        compare_made_up(size >> (64 - bits));
    }

    #[test]
    fn widths_are_the_digits_of_the_size(size in 0..=i64::MAX.cast_unsigned(), level in any::<u8>()) {
        let width = |level: u8| partial_width(level, size);
        let sum = (0..8).fold(0, |sum, level| sum + (width(level) << (8 * level)));
        prop_assert_eq!(sum, size);
        prop_assert!(width(level) < TILE_WIDTH);
        if level >= 8 {
            prop_assert_eq!(width(level), 0);
        } else {
            let whole = full_tiles(level, size) * TILE_WIDTH + width(level);
            prop_assert_eq!(whole, size >> (8 * level));
        }
        if level >= 7 {
            prop_assert_eq!(full_tiles(level, size), 0);
        }
    }
}
