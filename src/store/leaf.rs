//! The log's leaves.

use trustlog_core::Hash;

use crate::error::{Error, Result};
use crate::pg::spi::{See, Statement};

/// Appends leaves from index `first` on. `attests`: sealing is itself the attestation.
pub fn append(first: i64, seqs: &[i64], hashes: &[Hash], attests: bool) -> Result<()> {
    // The hashes travel as one value: an array of thousands of small ones costs more to take apart.
    static APPEND: Statement = Statement::new(
        "INSERT INTO trustlog.leaf (idx, seq, attested_at, leaf_hash)
         SELECT $1 + u.n - 1, u.seq, CASE WHEN $4 THEN pg_catalog.now() END,
                pg_catalog.substr($3, (32 * (u.n - 1) + 1)::pg_catalog.int4, 32)
           FROM pg_catalog.unnest($2) WITH ORDINALITY AS u (seq, n)",
    );
    APPEND.run(&[first.into(), seqs.to_vec().into(), hashes.concat().into(), attests.into()]).map(drop)
}

/// The hashes of the leaves from index `first` to before `end`, in order.
pub fn hashes(first: i64, end: i64) -> Result<Vec<Hash>> {
    static HASHES: Statement =
        Statement::new("SELECT l.leaf_hash FROM trustlog.leaf l WHERE l.idx >= $1 AND l.idx < $2 ORDER BY l.idx");
    HASHES.rows(See::Latest, &[first.into(), end.into()], |row| to_hash(row.need(1)?))
}

/// Which of these records have a leaf.
pub fn sealed_among(seqs: &[i64]) -> Result<Vec<i64>> {
    static SEALED: Statement = Statement::new("SELECT l.seq FROM trustlog.leaf l WHERE l.seq = ANY ($1)");
    SEALED.rows(See::Command, &[seqs.to_vec().into()], |row| row.need(1))
}

/// A hash out of a column that a CHECK keeps 32 bytes long.
pub fn to_hash(bytes: &[u8]) -> Result<Hash> {
    Hash::try_from(bytes).map_err(|_| Error::internal(format!("a hash of {} bytes", bytes.len())))
}
