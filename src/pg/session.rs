//! The session of a worker: its transactions and the settings it insists on.

use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgTryBuilder, pg_sys};

use crate::error::Error;

/// Why a worker's transaction failed. It was rolled back.
#[derive(Debug)]
pub struct Failure {
    /// For the log and for `stat`.
    pub message: String,
}

/// Settings that the owner of a database could turn against its worker, and plans that a worker must not be talked out
/// of: it walks queues in index order, whatever the statistics say.
const OVERRIDES: &[(&CStr, &CStr)] = &[
    (c"role", c"none"),
    (c"search_path", c"pg_catalog, pg_temp"),
    (c"default_transaction_isolation", c"read committed"),
    (c"default_transaction_read_only", c"off"),
    (c"default_transaction_deferrable", c"off"),
    (c"synchronous_commit", c"on"),
    (c"lock_timeout", c"0"),
    (c"statement_timeout", c"0"),
    (c"idle_in_transaction_session_timeout", c"0"),
    (c"row_security", c"off"),
    (c"session_replication_role", c"replica"),
    (c"TimeZone", c"UTC"),
    (c"DateStyle", c"ISO, YMD"),
    (c"bytea_output", c"hex"),
    (c"client_min_messages", c"warning"),
    (c"enable_seqscan", c"off"),
    (c"enable_bitmapscan", c"off"),
    (c"enable_sort", c"off"),
    (c"enable_hashjoin", c"off"),
    (c"enable_mergejoin", c"off"),
    (c"enable_indexscan", c"on"),
    (c"enable_indexonlyscan", c"on"),
    (c"enable_tidscan", c"on"),
    (c"enable_nestloop", c"on"),
    (c"plan_cache_mode", c"auto"),
    (c"jit", c"off"),
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    (c"transaction_timeout", c"0"),
    (c"log_statement", c"none"),
];

/// Puts [`OVERRIDES`] in force for the life of the session.
pub fn override_settings() {
    for (name, value) in OVERRIDES {
        // SAFETY: NUL-terminated names and values of existing settings; the source outranks every configured value.
        unsafe {
            pg_sys::SetConfigOption(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_OVERRIDE,
            );
        }
    }
}

/// Runs a transaction of a worker and survives its errors: what `body` did is then rolled back.
pub fn transaction<T>(body: impl FnOnce() -> Result<T, Error>) -> Result<T, Failure> {
    PgTryBuilder::new(AssertUnwindSafe(|| {
        begin();
        let result = body();
        match result {
            Ok(value) => {
                commit();
                Ok(value)
            }
            Err(error) => {
                rollback();
                Err(Failure { message: error.to_string() })
            }
        }
    }))
    // Rust panics, too.
    .catch_others(|caught| {
        rollback();
        Err(Failure { message: message(&caught) })
    })
    .execute()
}

fn message(caught: &CaughtError) -> String {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = caught;
    format!("{} ({:?})", report.message(), report.sql_error_code())
}

fn begin() {
    // SAFETY: a worker outside a transaction; the order is that of every PostgreSQL worker.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
    }
}

fn commit() {
    // SAFETY: inside the transaction of `begin`, whose snapshot is the active one.
    unsafe {
        pg_sys::PopActiveSnapshot();
        pg_sys::CommitTransactionCommand();
        // Nobody else sends a worker's statistics; without them autovacuum never sees the queue's churn.
        pg_sys::pgstat_report_stat(false);
    }
}

fn rollback() {
    // SAFETY: in the middle of, or thrown out of, the transaction of `begin`.
    unsafe {
        pg_sys::AbortCurrentTransaction();
        pg_sys::pgstat_report_stat(false);
    }
}

/// Makes a typo in a `trustlog.` setting an error instead of a silent placeholder.
pub fn reserve_setting_prefix() {
    // SAFETY: a NUL-terminated prefix; all settings have been defined.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        pg_sys::EmitWarningsOnPlaceholders(c"trustlog".as_ptr());
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        pg_sys::MarkGUCPrefixReserved(c"trustlog".as_ptr());
    }
}

/// The time, as `timestamptz` counts: microseconds since 2000-01-01.
pub fn now() -> i64 {
    // SAFETY: reads the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}
