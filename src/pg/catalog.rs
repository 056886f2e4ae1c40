//! What the catalogs say: databases, the extension, a database's settings.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::spi::{See, Statement};
use crate::error::Result;

const EXTENSION: &CStr = c"trustlog";

/// A database as the launcher sees it.
pub struct Database {
    /// Its oid.
    pub oid: pg_sys::Oid,
    /// Its name.
    pub name: String,
    /// Whether a worker may connect: no template, and connections are allowed.
    pub eligible: bool,
}

/// All databases. Works without a database of one's own; inside a transaction.
pub fn databases() -> Vec<Database> {
    let mut found = Vec::new();
    // SAFETY: a plain scan of a shared catalog under AccessShareLock; the tuples are read before the scan moves on, and
    // every row of pg_database begins with FormData_pg_database.
    unsafe {
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let row = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            // A connection limit of -2 marks a database whose DROP was interrupted.
            let usable = row.datallowconn && row.datconnlimit != -2;
            found.push(Database {
                oid: row.oid,
                name: CStr::from_ptr(row.datname.data.as_ptr()).to_string_lossy().into_owned(),
                eligible: usable && !row.datistemplate,
            });
        }
        pg_sys::table_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
    }
    found
}

/// The oid of the extension in this database, if it has it.
pub fn extension() -> Option<pg_sys::Oid> {
    // SAFETY: a NUL-terminated name; inside a transaction.
    let oid = unsafe { pg_sys::get_extension_oid(EXTENSION.as_ptr(), true) };
    (oid != pg_sys::Oid::INVALID).then_some(oid)
}

/// What ALTER DATABASE ... SET and ALTER ROLE ... SET say for this session, as one text to compare.
pub fn settings_fingerprint() -> Result<String> {
    static SETTINGS: Statement = Statement::new(
        "SELECT coalesce(string_agg(s.setdatabase || '/' || s.setrole || ':' || s.setconfig::text, ';'
                                     ORDER BY s.setdatabase, s.setrole), '')
            FROM pg_catalog.pg_db_role_setting s
           WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d
                                        WHERE d.datname = pg_catalog.current_database()))
             AND s.setrole IN (0, (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = session_user))",
    );
    SETTINGS.one(See::Caller, &[], |row| row.need(1))
}

/// Whether the role that called the outermost SECURITY DEFINER function may read a table: all of it or some columns.
pub fn caller_may_read(table: pg_sys::Oid) -> bool {
    let select = pg_sys::ACL_SELECT as pg_sys::AclMode;
    // SAFETY: looks at ACLs; `table` exists, or the answer is an error raised by PostgreSQL.
    unsafe {
        let role = pg_sys::GetOuterUserId();
        pg_sys::pg_class_aclcheck(table, role, select) == pg_sys::AclResult::ACLCHECK_OK
            || pg_sys::pg_attribute_aclcheck_all(table, role, select, pg_sys::AclMaskHow::ACLMASK_ANY)
                == pg_sys::AclResult::ACLCHECK_OK
    }
}

/// Whether a row version was written by the transaction that is running (subtransactions included).
pub fn is_my_own(xmin: u32) -> bool {
    // SAFETY: looks at this process's own transaction state.
    unsafe { pg_sys::TransactionIdIsCurrentTransactionId(pg_sys::TransactionId::from(xmin)) }
}

/// Whether this transaction sees one snapshot throughout (REPEATABLE READ or SERIALIZABLE).
pub fn sees_one_snapshot() -> bool {
    // SAFETY: a variable of this process.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// This session's database.
pub fn my_database() -> pg_sys::Oid {
    // SAFETY: set for the life of the session.
    unsafe { pg_sys::MyDatabaseId }
}

/// 16 bytes of the operating system's randomness, or `None` when it has none to give.
pub fn random_bytes() -> Option<[u8; 16]> {
    let mut bytes = [0_u8; 16];
    // SAFETY: the buffer has the length that is passed.
    let ok = unsafe { pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), bytes.len()) };
    ok.then_some(bytes)
}

/// The name of the database's encoding.
pub fn encoding() -> String {
    // SAFETY: a NUL-terminated static name.
    unsafe { CStr::from_ptr(pg_sys::GetDatabaseEncodingName()) }.to_string_lossy().into_owned()
}
