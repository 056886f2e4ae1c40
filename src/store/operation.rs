//! Records.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use trustlog_core::model::{Strategy, doid_prefix};
use trustlog_core::record::{Record, entry};
use trustlog_core::{Hash, merkle};

use crate::error::{Error, Result};
use crate::pg::spi::{Row, See, Statement};

/// Microseconds from the Unix epoch to 2000-01-01, where PostgreSQL's timestamps begin.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// What the leaf of a record is made from, in the order that [`leaf_hash`] expects.
macro_rules! record_columns {
    () => {
        "o.seq, o.op_id, o.op_actor, o.doid, o.producer_id, o.request_body_hash, o.response_body_hash, o.op_source,
         o.op_code, o.do_prefix, o.do_repository, pg_catalog.host(o.client_ip), pg_catalog.host(o.server_ip),
         o.\"timestamp\", o.salt, o.strategy"
    };
}

macro_rules! to_seal {
    () => {
        concat!(
            "SELECT ",
            record_columns!(),
            ", a.seq IS NOT NULL
               FROM pg_catalog.unnest($1) AS u (seq)
               JOIN trustlog.operation o ON o.seq = u.seq
               LEFT JOIN trustlog.attestation a ON a.seq = u.seq"
        )
    };
}

/// For the test that pins the plan of [`to_seal`].
#[cfg(any(test, feature = "pg_test"))]
pub const EXPLAIN_TO_SEAL: &str = concat!("EXPLAIN (COSTS OFF) ", to_seal!());

/// A record on its way into the log.
pub struct Leafed {
    /// Its key.
    pub seq: i64,
    /// Its leaf hash, or why it has none.
    pub leaf_hash: std::result::Result<Hash, String>,
    /// TRUSTLOG_ONLY: to be erased when attested.
    pub trustlog_only: bool,
    /// Attested by hand before it was sealed.
    pub attested: bool,
}

/// Records with these keys, in order; those that do not exist are left out. Looks with a new snapshot, so
/// that an attestation by hand whose locks have just gone is seen.
pub fn to_seal(seqs: &[i64]) -> Result<Vec<Leafed>> {
    static TO_SEAL: Statement = Statement::new(to_seal!());
    let mut records = TO_SEAL.rows(See::Command, &[seqs.to_vec().into()], |row| {
        Ok(Leafed {
            seq: row.need(1)?,
            leaf_hash: leaf_hash(row)?,
            trustlog_only: row.need::<&str>(16)? == Strategy::TrustlogOnly.as_str(),
            attested: row.need(17)?,
        })
    })?;
    records.sort_unstable_by_key(|record| record.seq);
    Ok(records)
}

fn leaf_hash(row: &Row) -> Result<std::result::Result<Hash, String>> {
    let record = Record {
        op_id: row.need(2)?,
        op_actor: row.need(3)?,
        doid: row.need(4)?,
        producer_id: row.need(5)?,
        request_body_hash: row.get(6)?,
        response_body_hash: row.get(7)?,
        op_source: row.need(8)?,
        op_code: row.need(9)?,
        do_prefix: row.need(10)?,
        do_repository: row.need(11)?,
        client_ip: row.get(12)?,
        server_ip: row.get(13)?,
        timestamp_micros: unix_micros(row.need(14)?),
    };
    let salt: &[u8] = row.need(15)?;
    Ok(hash_record(&record, salt))
}

/// The leaf hash of a record with its salt.
pub fn hash_record(record: &Record, salt: &[u8]) -> std::result::Result<Hash, String> {
    let bytes = record.record_bytes().map_err(|e| e.to_string())?;
    Ok(merkle::leaf_hash(&entry(salt, &bytes)))
}

/// Microseconds since the Unix epoch.
pub fn unix_micros(at: TimestampWithTimeZone) -> i64 {
    i64::from(at).saturating_add(POSTGRES_EPOCH_MICROS)
}

/// The reverse of [`unix_micros`]; `None` beyond what a `timestamptz` holds.
pub fn from_unix_micros(micros: i64) -> Option<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(micros.checked_sub(POSTGRES_EPOCH_MICROS)?).ok()
}

/// A record to be saved, checked. `None` is what the caller left out.
pub struct NewOperation {
    pub op_id: String,
    pub op_actor: String,
    pub doid: String,
    pub producer_id: String,
    pub op_source: String,
    pub op_code: i32,
    pub do_repository: String,
    pub do_prefix: Option<String>,
    pub op_time: Option<TimestampWithTimeZone>,
    pub request_body_hash: Option<String>,
    pub response_body_hash: Option<String>,
    pub client_ip: Option<String>,
    pub server_ip: Option<String>,
    pub strategy: Option<Strategy>,
}

impl NewOperation {
    /// Its prefix, as given or as it follows from the doid.
    pub fn do_prefix(&self) -> &str {
        self.do_prefix.as_deref().unwrap_or_else(|| doid_prefix(&self.doid))
    }
}

/// The oid of the table.
pub fn table() -> Result<pg_sys::Oid> {
    static TABLE: Statement = Statement::new("SELECT 'trustlog.operation'::pg_catalog.regclass::pg_catalog.oid");
    TABLE.one(See::Latest, &[], |row| row.need(1))
}

/// Locks a record until the end of the transaction.
pub fn lock(seq: i64) -> Result<()> {
    static LOCK: Statement = Statement::new("SELECT 1 FROM trustlog.operation o WHERE o.seq = $1 FOR UPDATE");
    LOCK.run(&[seq.into()]).map(drop)
}

/// An address in the canonical text form, as records have it.
pub fn canonical_address(address: Option<&str>) -> Result<Option<String>> {
    static HOST: Statement = Statement::new("SELECT pg_catalog.host($1::pg_catalog.inet)");
    HOST.one(See::Latest, &[address.into()], |row| row.get(1))
}

/// A record that is in the table.
pub struct Saved {
    pub seq: i64,
    pub op_id: String,
    pub leaf_hash: Option<Hash>,
}

/// Inserts records whose op_id is free, in the order of `operations`, and returns those inserted. Waits for sessions that
/// are saving the same op_id.
pub fn insert(operations: &[&NewOperation], default_strategy: Strategy) -> Result<Vec<Saved>> {
    static INSERT: Statement = Statement::new(concat!(
        "INSERT INTO trustlog.operation AS o
           (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, do_prefix, \"timestamp\",
            request_body_hash, response_body_hash, client_ip, server_ip, strategy)
         SELECT u.op_id, u.op_actor, u.doid, u.producer_id, u.op_source, u.op_code, u.do_repository, u.do_prefix,
                coalesce(u.op_time, pg_catalog.now()), u.request_body_hash, u.response_body_hash,
                u.client_ip::pg_catalog.inet, u.server_ip::pg_catalog.inet, u.strategy
           FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8),
                pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12),
                pg_catalog.unnest($13), pg_catalog.unnest($14))
             AS u (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, do_prefix, op_time,
                   request_body_hash, response_body_hash, client_ip, server_ip, strategy)
         ON CONFLICT (op_id) DO NOTHING
         RETURNING ",
        record_columns!()
    ));
    let texts = |get: fn(&NewOperation) -> &str| operations.iter().map(|o| get(o)).collect::<Vec<&str>>();
    let optional =
        |get: fn(&NewOperation) -> Option<&str>| operations.iter().map(|o| get(o)).collect::<Vec<Option<&str>>>();
    let args = [
        texts(|o| &o.op_id).into(),
        texts(|o| &o.op_actor).into(),
        texts(|o| &o.doid).into(),
        texts(|o| &o.producer_id).into(),
        texts(|o| &o.op_source).into(),
        operations.iter().map(|o| o.op_code).collect::<Vec<i32>>().into(),
        texts(|o| &o.do_repository).into(),
        texts(NewOperation::do_prefix).into(),
        operations.iter().map(|o| o.op_time).collect::<Vec<Option<TimestampWithTimeZone>>>().into(),
        optional(|o| o.request_body_hash.as_deref()).into(),
        optional(|o| o.response_body_hash.as_deref()).into(),
        optional(|o| o.client_ip.as_deref()).into(),
        optional(|o| o.server_ip.as_deref()).into(),
        operations.iter().map(|o| o.strategy.unwrap_or(default_strategy).as_str()).collect::<Vec<&str>>().into(),
    ];
    INSERT.rows(See::Command, &args, saved)
}

fn saved(row: &Row) -> Result<Saved> {
    Ok(Saved { seq: row.need(1)?, op_id: row.need(2)?, leaf_hash: leaf_of(row)? })
}

/// The leaf hash of a row of `record_columns!`; DB_ONLY records never get a leaf.
fn leaf_of(row: &Row) -> Result<Option<Hash>> {
    if row.need::<&str>(16)? == Strategy::DbOnly.as_str() {
        return Ok(None);
    }
    leaf_hash(row)?.map(Some).map_err(Error::internal)
}

/// A record that was there before, compared with the one to be saved.
pub struct Existing {
    pub saved: Saved,
    /// Fields that the caller gave and that differ.
    pub differing: Vec<&'static str>,
}

/// The record with the op_id of `new`, if there is one, compared with it.
pub fn compare(new: &NewOperation) -> Result<Option<Existing>> {
    static FIND: Statement = Statement::new(concat!(
        "SELECT ",
        record_columns!(),
        ", pg_catalog.host(o.client_ip) IS DISTINCT FROM pg_catalog.host($2::pg_catalog.inet),
           pg_catalog.host(o.server_ip) IS DISTINCT FROM pg_catalog.host($3::pg_catalog.inet)
           FROM trustlog.operation o WHERE o.op_id = $1"
    ));
    let args = [new.op_id.as_str().into(), new.client_ip.as_deref().into(), new.server_ip.as_deref().into()];
    FIND.first(See::Command, &args, |row| Ok(Existing { saved: saved(row)?, differing: differing(row, new)? }))
}

fn differing(row: &Row, new: &NewOperation) -> Result<Vec<&'static str>> {
    let given = |value: &Option<String>, column: usize| -> Result<bool> {
        Ok(value.is_some() && value.as_deref() != row.get::<&str>(column)?)
    };
    let strategy = new.strategy.map(Strategy::as_str);
    let checks = [
        ("op_actor", row.need::<&str>(3)? != new.op_actor),
        ("doid", row.need::<&str>(4)? != new.doid),
        ("producer_id", row.need::<&str>(5)? != new.producer_id),
        ("request_body_hash", given(&new.request_body_hash, 6)?),
        ("response_body_hash", given(&new.response_body_hash, 7)?),
        ("op_source", row.need::<&str>(8)? != new.op_source),
        ("op_code", row.need::<i32>(9)? != new.op_code),
        ("do_prefix", given(&new.do_prefix, 10)?),
        ("do_repository", row.need::<&str>(11)? != new.do_repository),
        ("client_ip", new.client_ip.is_some() && row.need(17)?),
        ("server_ip", new.server_ip.is_some() && row.need(18)?),
        ("timestamp", new.op_time.is_some() && new.op_time != row.get(14)?),
        ("strategy", strategy.is_some() && strategy != row.get::<&str>(16)?),
    ];
    Ok(checks.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect())
}
