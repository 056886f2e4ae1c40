//! The queue of the sealer.

use pgrx::PgTrigger;

use crate::error::Result;
use crate::pg::spi::{See, Statement};

/// Puts what an INSERT saved into the outbox; called by its trigger. A record whose `created_at` is not this
/// transaction's was restored from a dump.
pub fn feed(trigger: &PgTrigger) -> Result<u64> {
    static FEED: Statement = Statement::new(
        "INSERT INTO trustlog.outbox (seq, restored)
         SELECT s.seq, s.created_at <> pg_catalog.now() FROM saved s WHERE s.strategy <> 'DB_ONLY'",
    );
    FEED.run_in_trigger(trigger, &[])
}

macro_rules! take {
    () => {
        "DELETE FROM trustlog.outbox
          WHERE ctid = ANY (ARRAY(SELECT o.ctid FROM trustlog.outbox o WHERE o.seq > $1 ORDER BY o.seq LIMIT $2
                                  FOR UPDATE SKIP LOCKED))
         RETURNING seq"
    };
}

/// For the test that pins the plan of [`take`].
#[cfg(any(test, feature = "pg_test"))]
pub const EXPLAIN_TAKE: &str = concat!("EXPLAIN (COSTS OFF) ", take!());

/// Takes at most `limit` rows with `seq > after`, lowest first, and returns how many, and the records they stand for, in
/// order. Rows that somebody
/// holds locked (because the record is being attested by hand) are left for later.
pub fn take(after: i64, limit: i64) -> Result<(usize, Vec<i64>)> {
    static TAKE: Statement = Statement::planned_each_time(take!());
    let mut seqs = TAKE.rows(See::Command, &[after.into(), limit.into()], |row| row.need(1))?;
    let rows = seqs.len();
    seqs.sort_unstable();
    // A record that is queued twice is sealed once.
    seqs.dedup();
    Ok((rows, seqs))
}

/// Locks the row of a record that is not sealed yet, so that the sealer leaves it alone until this transaction ends.
/// Waits for a sealing transaction under way.
pub fn lock(seq: i64) -> Result<()> {
    static LOCK: Statement = Statement::new("SELECT 1 FROM trustlog.outbox o WHERE o.seq = $1 FOR UPDATE");
    LOCK.run(&[seq.into()]).map(drop)
}

/// Moves a row that cannot be sealed out of the way.
pub fn set_aside(seq: i64, reason: &str) -> Result<()> {
    static SET_ASIDE: Statement =
        Statement::new("INSERT INTO trustlog.set_aside (seq, reason) VALUES ($1, $2) ON CONFLICT (seq) DO NOTHING");
    SET_ASIDE.run(&[seq.into(), reason.into()]).map(drop)
}

/// Drops restored rows whose record has a leaf already, makes the others ordinary, and returns how many wait then.
pub fn release_restored() -> Result<i64> {
    static DROP_SEALED: Statement =
        Statement::new("DELETE FROM trustlog.outbox o USING trustlog.leaf l WHERE o.restored AND l.seq = o.seq");
    static RELEASE: Statement = Statement::new("UPDATE trustlog.outbox SET restored = false WHERE restored");
    static COUNT: Statement = Statement::new("SELECT count(*) FROM trustlog.outbox");
    DROP_SEALED.run(&[])?;
    RELEASE.run(&[])?;
    COUNT.one(See::Command, &[], |row| row.need(1))
}
