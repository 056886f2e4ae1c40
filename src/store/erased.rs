//! Records that are gone, and whose op_ids stay taken.

use pgrx::PgTrigger;

use crate::error::Result;
use crate::pg::guard::Pass;
use crate::pg::spi::{See, Statement};

/// Why a TRUSTLOG_ONLY record was erased.
pub const TRUSTLOG_ONLY: &str = "TRUSTLOG_ONLY";

/// Erases TRUSTLOG_ONLY records that have been sealed and attested. The op_id and the salt stay, so that whoever holds
/// the record can still prove it.
pub fn erase_trustlog_only(seqs: &[i64]) -> Result<()> {
    static ERASE: Statement = Statement::new(
        "WITH gone AS (DELETE FROM trustlog.operation o WHERE o.seq = ANY ($1) RETURNING o.seq, o.op_id, o.salt)
         INSERT INTO trustlog.erased (seq, op_id, op_id_sha256, salt, reason)
         SELECT g.seq, g.op_id, pg_catalog.sha256(pg_catalog.convert_to(g.op_id, 'UTF8')), g.salt, $2 FROM gone g",
    );
    if seqs.is_empty() {
        return Ok(());
    }
    let _pass = Pass::take();
    ERASE.run(&[seqs.to_vec().into(), TRUSTLOG_ONLY.into()]).map(drop)
}

/// The first op_id of what an INSERT saved that had been erased before; called by its trigger.
///
/// Looks at what is committed now: a session that erased the op_id while this one waited for it must be seen, whatever the
/// isolation level. The sub-select is fenced, so that it stays one index probe a row.
pub fn taken(trigger: &PgTrigger) -> Result<Option<String>> {
    static TAKEN: Statement = Statement::new(
        "SELECT s.op_id FROM saved s
          WHERE EXISTS (SELECT FROM trustlog.erased e
                         WHERE e.op_id_sha256 = pg_catalog.sha256(pg_catalog.convert_to(s.op_id, 'UTF8')) OFFSET 0)
          LIMIT 1",
    );
    TAKEN.first_in_trigger(See::Latest, trigger, &[], |row| row.need(1))
}

/// An erased record, as far as it can be compared with one that is saved again.
pub struct Erased {
    pub seq: i64,
    pub salt: Option<Vec<u8>>,
    pub leaf_hash: Option<Vec<u8>>,
}

/// The erased record with this op_id.
pub fn find(op_id: &str) -> Result<Option<Erased>> {
    static FIND: Statement = Statement::new(
        "SELECT e.seq, e.salt, l.leaf_hash FROM trustlog.erased e LEFT JOIN trustlog.leaf l ON l.seq = e.seq
          WHERE e.op_id_sha256 = pg_catalog.sha256(pg_catalog.convert_to($1, 'UTF8'))",
    );
    FIND.first(See::Latest, &[op_id.into()], |row| {
        Ok(Erased { seq: row.need(1)?, salt: row.get(2)?, leaf_hash: row.get(3)? })
    })
}
