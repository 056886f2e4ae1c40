//! Sealed, not attested, and behind the delivery cursor.

use crate::error::Result;
use crate::pg::spi::Statement;

/// Adds records; those that are in it stay.
pub fn add(seqs: &[i64]) -> Result<()> {
    static ADD: Statement = Statement::new(
        "INSERT INTO trustlog.unattested (seq) SELECT u.seq FROM pg_catalog.unnest($1) AS u (seq)
         ON CONFLICT (seq) DO NOTHING",
    );
    if seqs.is_empty() {
        return Ok(());
    }
    ADD.run(&[seqs.to_vec().into()]).map(drop)
}

/// Takes a record out.
pub fn remove(seq: i64) -> Result<()> {
    static REMOVE: Statement = Statement::new("DELETE FROM trustlog.unattested WHERE seq = $1");
    REMOVE.run(&[seq.into()]).map(drop)
}

/// Marks a record as given up, or takes the mark away.
pub fn set_discarded(seq: i64, discarded: bool) -> Result<u64> {
    static DISCARD: Statement = Statement::new("UPDATE trustlog.unattested SET discarded = $2 WHERE seq = $1");
    DISCARD.run(&[seq.into(), discarded.into()])
}
