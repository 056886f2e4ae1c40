//! The attestation status of a record, which follows from what exists.

use trustlog_core::model::{Sink, Strategy};

use crate::error::{Error, Result};
use crate::pg::catalog;
use crate::pg::guard::Pass;
use crate::pg::spi::{See, Statement};

/// Where a record stands.
#[derive(PartialEq)]
pub struct Standing {
    /// Its key.
    pub seq: i64,
    /// Its strategy; `None` when the record was erased.
    pub strategy: Option<Strategy>,
    /// Its leaf's index, if it is sealed.
    pub leaf_index: Option<i64>,
    /// Whether sealing was the attestation.
    pub attested_by_seal: bool,
    /// The sink of its attestation row, if there is one.
    pub attested_by: Option<String>,
    /// Whether it is a dead letter.
    pub dead: bool,
}

impl Standing {
    /// Whether it is TRUSTLOGGED.
    pub fn is_attested(&self) -> bool {
        self.attested_by_seal || self.attested_by.is_some()
    }

    /// Whether it was attested by hand and by nothing else.
    pub fn is_attested_by_hand_only(&self) -> bool {
        !self.attested_by_seal && self.attested_by.as_deref() == Some(Sink::Manual.as_str())
    }
}

/// Where the record with this op_id stands now, committed or in this transaction; P0002 when there is none.
pub fn find(op_id: &str) -> Result<Standing> {
    look(op_id, See::Latest)?.ok_or_else(|| Error::unknown(op_id))
}

/// As [`find`], for somebody who is about to change that. A transaction that sees one snapshot throughout would change
/// nothing of what is newer, and not be told: 40001.
pub fn find_to_change(op_id: &str) -> Result<Standing> {
    let now = find(op_id)?;
    if catalog::sees_one_snapshot() && look(op_id, See::Command)?.as_ref() != Some(&now) {
        return Err(Error::Serialization { op_id: op_id.to_owned() });
    }
    Ok(now)
}

fn look(op_id: &str, see: See) -> Result<Option<Standing>> {
    static FIND: Statement = Statement::new(
        "SELECT r.seq, r.strategy, l.idx, l.attested_at IS NOT NULL, a.sink,
                EXISTS (SELECT FROM trustlog.retry t WHERE t.op_id = $1 AND t.retry_status = 'DEAD_LETTER')
           FROM (SELECT o.seq, o.strategy FROM trustlog.operation o WHERE o.op_id = $1
                 UNION ALL
                 SELECT e.seq, NULL FROM trustlog.erased e
                  WHERE e.op_id_sha256 = pg_catalog.sha256(pg_catalog.convert_to($1, 'UTF8'))) r
           LEFT JOIN trustlog.leaf l ON l.seq = r.seq
           LEFT JOIN trustlog.attestation a ON a.seq = r.seq",
    );
    FIND.first(see, &[op_id.into()], |row| {
        let strategy: Option<&str> = row.get(2)?;
        Ok(Standing {
            seq: row.need(1)?,
            strategy: strategy.and_then(Strategy::parse),
            leaf_index: row.get(3)?,
            attested_by_seal: row.need(4)?,
            attested_by: row.get(5)?,
            dead: row.need(6)?,
        })
    })
}

/// Writes an attestation by hand; false when there is one already. Waits for a session that is writing one.
pub fn attest_by_hand(seq: i64) -> Result<bool> {
    static ATTEST: Statement = Statement::new(
        "INSERT INTO trustlog.attestation (seq, sink) VALUES ($1, 'manual') ON CONFLICT (seq) DO NOTHING",
    );
    ATTEST.run(&[seq.into()]).map(|rows| rows == 1)
}

/// Withdraws an attestation by hand; false when there is none.
pub fn withdraw_by_hand(seq: i64) -> Result<bool> {
    static WITHDRAW: Statement = Statement::new("DELETE FROM trustlog.attestation WHERE seq = $1 AND sink = 'manual'");
    let _pass = Pass::take();
    WITHDRAW.run(&[seq.into()]).map(|rows| rows == 1)
}

/// Whether a record was saved by the transaction that is running: nobody else can see it yet.
pub fn saved_by_this_transaction(seq: i64) -> Result<bool> {
    static XMIN: Statement =
        Statement::new("SELECT o.xmin::pg_catalog.text::pg_catalog.int8 FROM trustlog.operation o WHERE o.seq = $1");
    let xmin: Option<i64> = XMIN.first(See::Latest, &[seq.into()], |row| row.need(1))?;
    Ok(xmin.and_then(|xmin| u32::try_from(xmin).ok()).is_some_and(catalog::is_my_own))
}
