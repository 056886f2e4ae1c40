//! What happens at the end of a transaction: waking the worker, dropping the append-only pass.
//!
//! One callback for the life of the session. It never fails, allocates nothing and waits for nothing.

use std::cell::Cell;

use pgrx::{pg_guard, pg_sys};

use super::{guard, shared};

thread_local! {
    static WAKE: Cell<bool> = const { Cell::new(false) };
    static WAKE_ON_ABORT: Cell<bool> = const { Cell::new(false) };
    static ANNOUNCE: Cell<bool> = const { Cell::new(false) };
    static ASK_LAUNCHER: Cell<bool> = const { Cell::new(false) };
    static RESCAN: Cell<bool> = const { Cell::new(false) };
    /// Whose settings changed: a database's, or with `INVALID` anybody's.
    static SETTINGS: Cell<Option<pg_sys::Oid>> = const { Cell::new(None) };
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

/// Registers the callbacks; once, when the library is loaded.
pub fn register() {
    // SAFETY: the callbacks are `extern "C-unwind"` functions of the expected types, and stay loaded.
    unsafe {
        pg_sys::RegisterXactCallback(Some(at_end), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(at_subtransaction_end), std::ptr::null_mut());
    }
}

/// Wakes this database's worker when the transaction commits.
pub fn wake_at_commit() {
    WAKE.set(true);
}

/// Wakes this database's worker when the transaction ends either way: for who holds locks that the sealer skips.
pub fn wake_at_end() {
    WAKE.set(true);
    WAKE_ON_ABORT.set(true);
}

/// Tells whoever waits for an attestation, when the transaction commits, that there are new ones.
pub fn announce_at_commit() {
    ANNOUNCE.set(true);
}

/// Has the launcher look at this database when the transaction commits.
pub fn ask_launcher_at_commit() {
    ASK_LAUNCHER.set(true);
}

/// Has the launcher look at the list of databases when the transaction commits.
pub fn rescan_at_commit() {
    RESCAN.set(true);
}

/// Has the worker of a database compare its settings with the catalog's when the transaction commits; all workers for
/// `INVALID`, or when it is called for several databases.
pub fn settings_changed_at_commit(database: pg_sys::Oid) {
    let only = SETTINGS.get().is_none_or(|earlier| earlier == database);
    SETTINGS.set(Some(if only { database } else { pg_sys::Oid::INVALID }));
}

/// Keeps a database free of workers until the transaction ends, either way.
pub fn hold_until_end(database: pg_sys::Oid) {
    HOLDS.set(true);
    shared::hold(database, my_pid());
}

fn my_pid() -> i32 {
    // SAFETY: set for the life of the process.
    unsafe { pg_sys::MyProcPid }
}

#[pg_guard]
unsafe extern "C-unwind" fn at_end(event: pg_sys::XactEvent::Type, _arg: *mut std::ffi::c_void) {
    use pg_sys::XactEvent::{
        XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PARALLEL_ABORT, XACT_EVENT_PARALLEL_COMMIT, XACT_EVENT_PREPARE,
    };
    // SAFETY: set for the life of the session before any transaction runs.
    let database = unsafe { pg_sys::MyDatabaseId };
    match event {
        XACT_EVENT_COMMIT => {
            if let Some(database) = SETTINGS.get() {
                shared::settings_changed(database);
            }
            if WAKE.get() {
                shared::wake_worker(database);
            }
            if ANNOUNCE.get() {
                shared::announce_attestations(database);
            }
            if ASK_LAUNCHER.get() {
                shared::ask_launcher(database);
            }
            if RESCAN.get() {
                shared::ask_launcher_to_rescan();
            }
        }
        XACT_EVENT_ABORT if WAKE_ON_ABORT.get() => shared::wake_worker(database),
        // A prepared transaction wakes the worker when COMMIT PREPARED is run: see `hooks`.
        XACT_EVENT_ABORT | XACT_EVENT_PREPARE | XACT_EVENT_PARALLEL_COMMIT | XACT_EVENT_PARALLEL_ABORT => {}
        _ => return,
    }
    SETTINGS.set(None);
    for flag in [&WAKE, &WAKE_ON_ABORT, &ANNOUNCE, &ASK_LAUNCHER, &RESCAN] {
        flag.set(false);
    }
    if HOLDS.replace(false) {
        shared::release(my_pid());
        shared::ask_launcher_to_rescan();
    }
    guard::revoke();
}

#[pg_guard]
unsafe extern "C-unwind" fn at_subtransaction_end(
    event: pg_sys::SubXactEvent::Type,
    _mine: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _arg: *mut std::ffi::c_void,
) {
    if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
        guard::revoke();
    }
}
