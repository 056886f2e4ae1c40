//! Tiles of the log as in C2SP tlog-tiles: 256 hashes wide, cut from the tree of RFC 6962.
//!
//! Only full tiles are stored: they never change, so storing them leaves nothing to update or to clean up. What is not
//! in a full tile yet, the right edge of the tree, is at most 255 hashes a level: at level 0 the newest leaf hashes,
//! above it the roots of the newest full tiles one level below. That is enough to complete tiles and to compute the
//! root.
//!
//! Sizes count leaves and stay below 2^63, the range of a `bigint`.

use crate::hash::Hash;
use crate::merkle;

/// Hashes in a full tile.
pub const TILE_WIDTH: u64 = 256;

/// A tile holds 2^8 hashes, so each level takes eight bits of the tree size.
const LEVEL_BITS: u32 = 8;

/// Levels that a tree of fewer than 2^63 leaves can have.
const LEVELS: u8 = 8;

/// [`TILE_WIDTH`] as a length.
const WIDTH: usize = 1 << LEVEL_BITS;

/// A full tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// 0 for a tile of leaf hashes, one more for each tile level above.
    pub level: u8,
    /// Which tile of its level, counted from 0 at the oldest leaves.
    pub n: u64,
    /// The root of the subtree below this tile, and so one of the hashes of the tile above.
    pub root: Hash,
    /// The 256 hashes, oldest first.
    pub hashes: Vec<Hash>,
}

impl Tile {
    fn new(level: u8, n: u64, hashes: &[Hash]) -> Self {
        Self { level, n, root: merkle::root(hashes), hashes: hashes.to_vec() }
    }

    /// The tile as tlog-tiles serves it: the hashes one after the other, 8,192 bytes.
    #[must_use]
    pub fn data(&self) -> Vec<u8> {
        self.hashes.concat()
    }
}

/// Reads the right edge of the stored tree.
pub trait Edge {
    /// Why reading failed.
    type Error;

    /// The hashes of the partial tile at the right edge of `level`, for a tree of `size` leaves, oldest first: at level
    /// 0 leaf hashes, above it the roots of the full tiles one level below.
    ///
    /// They are the [`partial_width`] hashes that follow the first [`full_tiles`] × 256 of that level. Never asked for
    /// a partial tile without hashes.
    ///
    /// # Errors
    /// Whatever kept the hashes from being read.
    fn partial(&mut self, level: u8, size: u64) -> Result<Vec<Hash>, Self::Error>;
}

/// Why tiles or the root could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum TileError<E> {
    /// The right edge could not be read.
    #[error("cannot read the right edge of the tree: {0}")]
    Edge(#[source] E),
    /// The right edge does not belong to a tree of this size: leaves or tiles are missing or left over.
    #[error("tile level {level}: expected {expected} hashes at the right edge, found {found}")]
    Misfit {
        /// The tile level.
        level: u8,
        /// Hashes that a tree of the given size has there.
        expected: u64,
        /// Hashes that were read.
        found: u64,
    },
}

/// Hashes in the partial tile at the right edge of `level`, 0 to 255, in a tree of `size` leaves.
#[must_use]
pub fn partial_width(level: u8, size: u64) -> u64 {
    subtrees(u32::from(level), size) % TILE_WIDTH
}

/// Full tiles of `level` in a tree of `size` leaves.
#[must_use]
pub fn full_tiles(level: u8, size: u64) -> u64 {
    subtrees(u32::from(level) + 1, size)
}

/// Complete subtrees of 256^`level` leaves in a tree of `size` leaves. From level 8 on no size is large enough for one.
fn subtrees(level: u32, size: u64) -> u64 {
    size.checked_shr(level * LEVEL_BITS).unwrap_or(0)
}

/// The full tiles of all levels that appending `new_leaves` (leaf hashes) to a tree of `size` leaves completes: lowest
/// level first, oldest first within a level.
///
/// A level of the edge is read only if one of its tiles is completed. So 255 of 256 appends of a single leaf read
/// nothing.
///
/// # Errors
/// [`TileError`] when the edge cannot be read or does not fit `size`.
pub fn completed_tiles<E: Edge>(
    size: u64,
    new_leaves: &[Hash],
    edge: &mut E,
) -> Result<Vec<Tile>, TileError<E::Error>> {
    // Sizes stay far below the end of the range; saturating only rules out a panic.
    let new_size = size.saturating_add(new_leaves.len() as u64);
    let mut tiles = Vec::new();
    // What the append adds to the level: first the leaves, then the roots of the tiles completed one level below.
    let mut added = new_leaves.to_vec();
    for level in 0..LEVELS {
        let complete = full_tiles(level, size);
        if full_tiles(level, new_size) == complete {
            break;
        }
        let mut hashes = read_partial(level, size, edge)?;
        hashes.append(&mut added);
        for (n, full) in (complete..).zip(hashes.chunks_exact(WIDTH)) {
            let tile = Tile::new(level, n, full);
            added.push(tile.root);
            tiles.push(tile);
        }
    }
    Ok(tiles)
}

/// The root of a tree of `size` leaves, from its right edge alone: at most 255 hashes a level.
///
/// # Errors
/// [`TileError`] when the edge cannot be read or does not fit `size`.
pub fn root<E: Edge>(size: u64, edge: &mut E) -> Result<Hash, TileError<E::Error>> {
    // The root of all leaves that the levels done so far have not gathered into full tiles.
    let mut rest = None;
    for level in 0..LEVELS {
        let mut hashes = read_partial(level, size, edge)?;
        hashes.extend(rest);
        if !hashes.is_empty() {
            rest = Some(merkle::root(&hashes));
        }
    }
    Ok(rest.unwrap_or_else(merkle::empty_root))
}

/// Reads one level of the edge and checks that it has the right number of hashes.
fn read_partial<E: Edge>(level: u8, size: u64, edge: &mut E) -> Result<Vec<Hash>, TileError<E::Error>> {
    let expected = partial_width(level, size);
    if expected == 0 {
        return Ok(Vec::new());
    }
    let hashes = edge.partial(level, size).map_err(TileError::Edge)?;
    let found = hashes.len() as u64;
    if found != expected {
        return Err(TileError::Misfit { level, expected, found });
    }
    Ok(hashes)
}
