//! What a sealing transaction locks. The worker never waits for a lock.

use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::{background, catalog};

/// Advisory locks that SQL can take have class 1 (one bigint) or 2 (two ints) in the last field of the lock tag; a class
/// of our own cannot be taken by accident or in spite.
const CLASS: u16 = 7411;

/// Tries to become the sealer until the end of the transaction.
pub fn try_sealer() -> bool {
    try_lock(
        pg_sys::LOCKTAG {
            locktag_field1: catalog::my_database().to_u32(),
            locktag_field2: 0,
            locktag_field3: 0,
            locktag_field4: CLASS,
            locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
            locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        },
        pg_sys::ExclusiveLock,
    )
}

/// Becomes the sealer until the end of the transaction, unless another one stays for longer than this. Can be cancelled.
pub fn sealer_within(patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while !try_sealer() {
        if Instant::now() > deadline {
            return false;
        }
        background::nap(Duration::from_millis(10));
    }
    true
}

/// The extension, as a sealing transaction finds it.
pub enum Extension {
    /// It is there, and stays until the end of the transaction.
    Held(pg_sys::Oid),
    /// Somebody is dropping or altering it.
    Busy,
    /// This database has none.
    Missing,
}

/// Tries to keep the extension from being dropped until the end of the transaction.
///
/// DROP EXTENSION locks the extension before it locks its tables, one by one. Without this lock a sealing transaction
/// that holds some of them and comes to the others would deadlock with it.
pub fn try_extension() -> Extension {
    let Some(oid) = catalog::extension() else { return Extension::Missing };
    let tag = pg_sys::LOCKTAG {
        locktag_field1: catalog::my_database().to_u32(),
        locktag_field2: pg_sys::ExtensionRelationId.to_u32(),
        locktag_field3: oid.to_u32(),
        locktag_field4: 0,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    };
    // It may have been dropped between the look and the lock.
    if try_lock(tag, pg_sys::AccessShareLock) && catalog::extension() == Some(oid) {
        Extension::Held(oid)
    } else {
        Extension::Busy
    }
}

fn try_lock(tag: pg_sys::LOCKTAG, mode: u32) -> bool {
    // SAFETY: a complete tag; inside a transaction, which releases the lock at its end.
    let result = unsafe { pg_sys::LockAcquire(&tag, mode as pg_sys::LOCKMODE, false, true) };
    result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}
