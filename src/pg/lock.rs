//! The sealer's lock: one sealer a database.

use pgrx::pg_sys;

/// Advisory locks that SQL can take have class 1 (one bigint) or 2 (two ints) in the last field of the lock tag; a class
/// of our own cannot be taken by accident or in spite.
const CLASS: u16 = 7411;

/// Tries to become the sealer until the end of the transaction. Never waits.
pub fn try_sealer() -> bool {
    let tag = pg_sys::LOCKTAG {
        // SAFETY: set for the life of the session.
        locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
        locktag_field2: 0,
        locktag_field3: 0,
        locktag_field4: CLASS,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    };
    // SAFETY: a complete tag; inside a transaction, which releases the lock at its end.
    let result = unsafe { pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock as pg_sys::LOCKMODE, false, true) };
    result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}
