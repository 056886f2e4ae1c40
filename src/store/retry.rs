//! Retries and dead letters.

use pgrx::datum::TimestampWithTimeZone;

use crate::error::Result;
use crate::pg::spi::{See, Statement};

/// The delay of the next try, in milliseconds, is added to the clock in SQL: statements of one long transaction must not
/// all be due at its beginning.
pub enum Due {
    /// At a given time.
    At(TimestampWithTimeZone),
    /// After so many milliseconds.
    In(i64),
}

impl Due {
    fn args(&self) -> (Option<TimestampWithTimeZone>, i64) {
        match self {
            Self::At(time) => (Some(*time), 0),
            Self::In(millis) => (None, *millis),
        }
    }
}

macro_rules! due {
    () => {
        "coalesce($3, pg_catalog.clock_timestamp() + $4 * interval '1 millisecond')"
    };
}

/// How often the record was retried, `None` when it is not in the table.
pub fn count(op_id: &str) -> Result<Option<i32>> {
    static COUNT: Statement = Statement::new("SELECT r.retry_count FROM trustlog.retry r WHERE r.op_id = $1");
    COUNT.first(See::Latest, &[op_id.into()], |row| row.need(1))
}

/// Queues a record with no tries yet; when it is queued already, keeps its count and takes the new message and time.
pub fn add(op_id: &str, error_message: Option<&str>, due: &Due) -> Result<()> {
    static ADD: Statement = Statement::new(concat!(
        "INSERT INTO trustlog.retry (op_id, error_message, next_retry_at) VALUES ($1, $2, ",
        due!(),
        ") ON CONFLICT (op_id) DO UPDATE
           SET error_message = excluded.error_message, next_retry_at = excluded.next_retry_at,
               updated_at = pg_catalog.now()"
    ));
    let (at, millis) = due.args();
    ADD.run(&[op_id.into(), error_message.into(), at.into(), millis.into()]).map(drop)
}

/// Counts a try that failed; returns how many there were.
pub fn increment(op_id: &str, error_message: Option<&str>, due: &Due) -> Result<i32> {
    static INCREMENT: Statement = Statement::new(concat!(
        "INSERT INTO trustlog.retry AS r (op_id, error_message, next_retry_at, retry_count, retry_status, last_retry_at)
         VALUES ($1, $2, ",
        due!(),
        ", 1, 'RETRYING', pg_catalog.clock_timestamp()) ON CONFLICT (op_id) DO UPDATE
           SET error_message = excluded.error_message, next_retry_at = excluded.next_retry_at,
               retry_count = r.retry_count + 1, retry_status = 'RETRYING', last_retry_at = excluded.last_retry_at,
               updated_at = pg_catalog.now()
         RETURNING r.retry_count"
    ));
    let (at, millis) = due.args();
    INCREMENT.one(See::Command, &[op_id.into(), error_message.into(), at.into(), millis.into()], |row| row.need(1))
}

/// Makes a record a dead letter.
pub fn bury(op_id: &str, error_message: Option<&str>) -> Result<()> {
    static BURY: Statement = Statement::new(
        "INSERT INTO trustlog.retry AS r (op_id, error_message, retry_status) VALUES ($1, $2, 'DEAD_LETTER')
         ON CONFLICT (op_id) DO UPDATE
           SET error_message = coalesce(excluded.error_message, r.error_message), retry_status = 'DEAD_LETTER',
               next_retry_at = NULL, updated_at = pg_catalog.now()",
    );
    BURY.run(&[op_id.into(), error_message.into()]).map(drop)
}

/// Makes dead letters pending again, due now, with no tries: those named, or all. In order of op_id, so that two callers
/// cannot deadlock.
pub fn requeue(op_ids: Option<&[String]>) -> Result<u64> {
    static REQUEUE: Statement = Statement::new(
        "WITH dead AS (SELECT r.op_id FROM trustlog.retry r
                        WHERE r.retry_status = 'DEAD_LETTER' AND ($1 IS NULL OR r.op_id = ANY ($1))
                        ORDER BY r.op_id FOR UPDATE)
         UPDATE trustlog.retry r
            SET retry_status = 'PENDING', retry_count = 0, next_retry_at = pg_catalog.clock_timestamp(),
                updated_at = pg_catalog.now()
           FROM dead d WHERE r.op_id = d.op_id",
    );
    REQUEUE.run(&[op_ids.map(<[String]>::to_vec).into()])
}

/// Takes records out that sealing has attested. Whoever queues a record that is not sealed yet locks its outbox row, so
/// none is missed.
pub fn remove_sealed(seqs: &[i64]) -> Result<()> {
    static ANY: Statement = Statement::new("SELECT EXISTS (SELECT FROM trustlog.retry)");
    // What somebody has locked to retry it stays: the sealer never waits, and the finders pass over what is attested.
    static REMOVE: Statement = Statement::new(
        "DELETE FROM trustlog.retry WHERE op_id = ANY (ARRAY(
             SELECT r.op_id FROM trustlog.retry r JOIN trustlog.operation o ON o.op_id = r.op_id
              WHERE o.seq = ANY ($1) FOR UPDATE OF r SKIP LOCKED))",
    );
    // Nearly always there are none, and that costs one look.
    if ANY.one(See::Command, &[], |row| row.need(1))? {
        REMOVE.run(&[seqs.to_vec().into()])?;
    }
    Ok(())
}

/// Takes a dead letter out; whether it was one.
pub fn remove_dead(op_id: &str) -> Result<bool> {
    static REMOVE: Statement =
        Statement::new("DELETE FROM trustlog.retry WHERE op_id = $1 AND retry_status = 'DEAD_LETTER'");
    REMOVE.run(&[op_id.into()]).map(|rows| rows == 1)
}

/// Takes a record out; whether it was in.
pub fn remove(op_id: &str) -> Result<bool> {
    static REMOVE: Statement = Statement::new("DELETE FROM trustlog.retry WHERE op_id = $1");
    REMOVE.run(&[op_id.into()]).map(|rows| rows == 1)
}
