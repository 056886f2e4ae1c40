//! The one row of durable state, and what the sealer must know before it seals.

use trustlog_core::Hash;
use trustlog_core::model::Sink;

use crate::error::{Error, Result};
use crate::pg::catalog;
use crate::pg::spi::{See, Statement};

/// What decides whether sealing may go on.
pub struct Gate {
    /// Leaves in the log.
    pub size: i64,
    /// The sink of the last sealing.
    pub sink: Sink,
    /// `pause('all')`.
    pub paused: bool,
    /// A restored record waits in the outbox.
    pub restored: bool,
    /// The log was begun, or continued, in this very database.
    pub at_home: bool,
}

/// Reads the gate; without a state row everything is as it was at the beginning.
pub fn gate(see: See) -> Result<Gate> {
    static GATE: Statement = Statement::new(
        "SELECT coalesce((SELECT max(l.idx) FROM trustlog.leaf l), -1) + 1,
                coalesce((SELECT s.sink FROM trustlog.state s WHERE s.only_row), 'log'),
                coalesce((SELECT s.paused = 'all' FROM trustlog.state s WHERE s.only_row), false),
                EXISTS (SELECT FROM trustlog.outbox o WHERE o.restored),
                coalesce((SELECT h.database FROM trustlog.home h WHERE h.only_row) = $1, false)",
    );
    GATE.one(see, &[catalog::my_database().into()], |row| {
        let sink: &str = row.need(2)?;
        Ok(Gate {
            size: row.need(1)?,
            sink: Sink::parse(sink).ok_or_else(|| Error::internal(format!("sink {sink}")))?,
            paused: row.need(3)?,
            restored: row.need(4)?,
            at_home: row.need(5)?,
        })
    })
}

/// Makes this database the home of the log.
pub fn settle() -> Result<()> {
    static SETTLE: Statement = Statement::new(
        "INSERT INTO trustlog.home (database) VALUES ($1) ON CONFLICT (only_row) DO UPDATE SET database = excluded.database",
    );
    SETTLE.run(&[catalog::my_database().into()]).map(drop)
}

/// Leaves in the log.
pub fn size() -> Result<i64> {
    Ok(gate(See::Latest)?.size)
}

/// Where the delivery cursor stands when the sink in force is `http`; under the other sinks it is the end of the log.
pub fn delivery_cursor() -> Result<Option<i64>> {
    static CURSOR: Statement = Statement::new(
        "SELECT (SELECT c.cursor_value::pg_catalog.int8 FROM trustlog.cursor c WHERE c.cursor_key = 'delivery')
          WHERE EXISTS (SELECT FROM trustlog.state s WHERE s.only_row AND s.sink = 'http')",
    );
    Ok(CURSOR.first(See::Latest, &[], |row| row.get(1))?.flatten())
}

/// Locks the row, if there is one, so that [`switch_sink`] does not wait for a session that pauses or resumes; false when
/// such a session has it.
pub fn try_lock() -> Result<bool> {
    static LOCK: Statement = Statement::new("SELECT 1 FROM trustlog.state s WHERE s.only_row FOR UPDATE SKIP LOCKED");
    static EXISTS: Statement = Statement::new("SELECT EXISTS (SELECT FROM trustlog.state s WHERE s.only_row)");
    Ok(LOCK.run(&[])? > 0 || !EXISTS.one(See::Command, &[], |row| row.need(1))?)
}

/// Puts another sink in force. No record's status changes: what the old one left unattested beyond its cursor moves to
/// `unattested`, and a new `http` sink begins at the end of the log.
pub fn switch_sink(from: Sink, to: Sink, size: i64) -> Result<()> {
    static STRAND: Statement = Statement::new(
        "INSERT INTO trustlog.unattested (seq)
         SELECT l.seq FROM trustlog.leaf l
          WHERE l.idx >= (SELECT c.cursor_value::pg_catalog.int8 FROM trustlog.cursor c WHERE c.cursor_key = 'delivery')
            AND l.attested_at IS NULL
            AND NOT EXISTS (SELECT FROM trustlog.attestation a WHERE a.seq = l.seq)
         ON CONFLICT (seq) DO NOTHING",
    );
    static FORGET: Statement = Statement::new("DELETE FROM trustlog.cursor WHERE cursor_key = 'delivery'");
    static BEGIN: Statement = Statement::new(
        "INSERT INTO trustlog.cursor (cursor_key, cursor_value) VALUES ('delivery', $1::pg_catalog.text)
         ON CONFLICT (cursor_key) DO UPDATE SET cursor_value = excluded.cursor_value, last_updated_at = pg_catalog.now()",
    );
    static IN_FORCE: Statement = Statement::new(
        "INSERT INTO trustlog.state (sink) VALUES ($1) ON CONFLICT (only_row) DO UPDATE SET sink = excluded.sink",
    );
    if from == Sink::Http {
        STRAND.run(&[])?;
        FORGET.run(&[])?;
    }
    if to == Sink::Http {
        BEGIN.run(&[size.to_string().into()])?;
    }
    IN_FORCE.run(&[to.as_str().into()]).map(drop)
}

/// Pauses (`delivery`, `all`) or resumes (`None`).
pub fn set_paused(what: Option<&str>) -> Result<()> {
    static PAUSE: Statement = Statement::new(
        "INSERT INTO trustlog.state (paused, paused_at) VALUES ($1, pg_catalog.now())
         ON CONFLICT (only_row) DO UPDATE SET paused = excluded.paused, paused_at = excluded.paused_at",
    );
    static RESUME: Statement = Statement::new("UPDATE trustlog.state SET paused = NULL, paused_at = NULL");
    match what {
        Some(what) => PAUSE.run(&[what.into()]).map(drop),
        None => RESUME.run(&[]).map(drop),
    }
}

/// Notes that the log goes on after a restore: as a new history that began at `size` with `root`, or as the same one.
pub fn continue_log(new_epoch: bool, size: i64, root: &Hash) -> Result<()> {
    static CONTINUE: Statement = Statement::new(
        "INSERT INTO trustlog.state AS s (epoch, epoch_size, epoch_root, continued_at)
         VALUES ($1::pg_catalog.int4, $2 * $1, CASE WHEN $1 = 1 THEN $3 END, pg_catalog.now())
         ON CONFLICT (only_row) DO UPDATE
           SET epoch = s.epoch + $1, continued_at = excluded.continued_at,
               epoch_size = CASE WHEN $1 = 1 THEN $2 ELSE s.epoch_size END,
               epoch_root = CASE WHEN $1 = 1 THEN $3 ELSE s.epoch_root END",
    );
    CONTINUE.run(&[i32::from(new_epoch).into(), size.into(), root.to_vec().into()]).map(drop)
}
