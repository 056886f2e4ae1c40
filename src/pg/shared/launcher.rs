//! What the launcher is told: requests, and databases that must have no worker for a while.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use pgrx::pg_sys;

use super::latch::{is_alive, my_procno, set_latch};
use super::shared;

/// A database that must not get a worker while a command needs it for itself.
pub(super) struct Hold {
    database: AtomicU32,
    pid: AtomicI32,
}

/// The pid and wake-up address of the launcher, set by itself.
pub fn set_launcher(pid: i32) {
    if let Some(shared) = shared() {
        shared.launcher_procno.store(my_procno(), Ordering::SeqCst);
        shared.launcher_pid.store(pid, Ordering::SeqCst);
    }
}

/// The launcher's pid, 0 if there is none.
pub fn launcher_pid() -> i32 {
    shared().map_or(0, |s| s.launcher_pid.load(Ordering::SeqCst))
}

/// Has the launcher look at one database.
pub fn ask_launcher(database: pg_sys::Oid) {
    let Some(shared) = shared() else { return };
    let asked = shared
        .requests
        .iter()
        .any(|request| request.compare_exchange(0, database.to_u32(), Ordering::SeqCst, Ordering::SeqCst).is_ok());
    if !asked {
        shared.rescan.store(true, Ordering::SeqCst);
    }
    wake_launcher();
}

/// Has the launcher look at the list of databases.
pub fn ask_launcher_to_rescan() {
    if let Some(shared) = shared() {
        shared.rescan.store(true, Ordering::SeqCst);
        wake_launcher();
    }
}

/// Wakes the launcher.
pub fn wake_launcher() {
    if let Some(shared) = shared()
        && shared.launcher_pid.load(Ordering::SeqCst) != 0
    {
        set_latch(shared.launcher_procno.load(Ordering::SeqCst), shared.launcher_pid.load(Ordering::SeqCst));
    }
}

/// The databases that asked since the last call, and whether all are to be looked at.
pub fn take_requests() -> (Vec<pg_sys::Oid>, bool) {
    let Some(shared) = shared() else { return (Vec::new(), false) };
    let asked = shared.requests.iter().map(|r| r.swap(0, Ordering::SeqCst)).filter(|r| *r != 0);
    (asked.map(pg_sys::Oid::from).collect(), shared.rescan.swap(false, Ordering::SeqCst))
}

/// Keeps a database free of workers until [`release`], or until this session ends.
pub fn hold(database: pg_sys::Oid, pid: i32) {
    for hold in shared().iter().flat_map(|s| s.holds.iter()) {
        if hold.pid.compare_exchange(0, pid, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            hold.database.store(database.to_u32(), Ordering::SeqCst);
            return;
        }
    }
}

/// Ends all holds of a session.
pub fn release(pid: i32) {
    for hold in shared().iter().flat_map(|s| s.holds.iter()) {
        if hold.pid.load(Ordering::SeqCst) == pid {
            hold.free();
        }
    }
}

/// Whether a live session holds the database. Holds of sessions that are gone are freed.
pub fn held(database: pg_sys::Oid) -> bool {
    let mut held = false;
    for hold in shared().iter().flat_map(|s| s.holds.iter()) {
        let pid = hold.pid.load(Ordering::SeqCst);
        if pid != 0 && !is_alive(pid) {
            hold.free();
        } else if pid != 0 && hold.database.load(Ordering::SeqCst) == database.to_u32() {
            held = true;
        }
    }
    held
}

impl Hold {
    fn free(&self) {
        self.database.store(0, Ordering::SeqCst);
        self.pid.store(0, Ordering::SeqCst);
    }
}
