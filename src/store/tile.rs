//! Full tiles, and through them the edge and the root of the tree.

use trustlog_core::tiles::{self, Edge, Tile, TileError};
use trustlog_core::{Hash, tiles::TILE_WIDTH};

use super::leaf;
use crate::error::{Error, Result};
use crate::pg::spi::{See, Statement};

/// Keeps a tile that has become full.
pub fn insert(tile: &Tile) -> Result<()> {
    static INSERT: Statement =
        Statement::new("INSERT INTO trustlog.tile (level, n, root, hashes) VALUES ($1, $2, $3, $4)");
    INSERT
        .run(&[i16::from(tile.level).into(), signed(tile.n)?.into(), tile.root.to_vec().into(), tile.data().into()])
        .map(drop)
}

/// The right edge of the tree, read from the tables.
pub struct StoredEdge;

impl Edge for StoredEdge {
    type Error = Error;

    fn partial(&mut self, level: u8, size: u64) -> Result<Vec<Hash>> {
        static ROOTS: Statement = Statement::new(
            "SELECT t.root FROM trustlog.tile t WHERE t.level = $1 AND t.n >= $2 AND t.n < $3 ORDER BY t.n",
        );
        let width = tiles::partial_width(level, size);
        let first = signed(tiles::full_tiles(level, size) * TILE_WIDTH)?;
        let end = first + signed(width)?;
        match level.checked_sub(1) {
            None => leaf::hashes(first, end),
            Some(below) => ROOTS.rows(See::Latest, &[i16::from(below).into(), first.into(), end.into()], |row| {
                leaf::to_hash(row.need(1)?)
            }),
        }
    }
}

/// The root of the tree of `size` leaves.
pub fn root(size: i64) -> Result<Hash> {
    tiles::root(unsigned(size)?, &mut StoredEdge).map_err(edge_error)
}

/// The tiles that `new` leaves complete in a tree of `size` leaves.
pub fn completed(size: i64, new: &[Hash]) -> Result<Vec<Tile>> {
    tiles::completed_tiles(unsigned(size)?, new, &mut StoredEdge).map_err(edge_error)
}

/// What is wrong between leaves and tiles, if they do not fit: a restored table that is missing the other's rows.
pub fn misfit(see: See, size: i64) -> Result<Option<String>> {
    static COUNT: Statement =
        Statement::new("SELECT coalesce(max(t.n), -1) + 1 FROM trustlog.tile t WHERE t.level = $1");
    let leaves = unsigned(size)?;
    for level in 0_u8.. {
        let expected = signed(tiles::full_tiles(level, leaves))?;
        let found: i64 = COUNT.one(see, &[i16::from(level).into()], |row| row.need(1))?;
        if found != expected {
            return Ok(Some(format!("{size} leaves need {expected} tiles at level {level}, and there are {found}")));
        }
        if expected == 0 {
            break;
        }
    }
    Ok(None)
}

fn edge_error(error: TileError<Error>) -> Error {
    match error {
        TileError::Edge(error) => error,
        misfit @ TileError::Misfit { .. } => Error::internal(misfit.to_string()),
    }
}

fn signed(n: u64) -> Result<i64> {
    i64::try_from(n).map_err(|e| Error::internal(e.to_string()))
}

fn unsigned(n: i64) -> Result<u64> {
    u64::try_from(n).map_err(|e| Error::internal(e.to_string()))
}
