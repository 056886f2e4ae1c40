//! Processes and their latches.

use pgrx::pg_sys;

/// Whether a process with this pid is connected to shared memory.
pub(super) fn is_alive(pid: i32) -> bool {
    // SAFETY: looks the pid up in the process array under its lock.
    unsafe { !pg_sys::BackendPidGetProc(pid).is_null() }
}

pub(super) fn my_procno() -> i32 {
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    // SAFETY: set once the process has joined shared memory, as every caller has.
    unsafe {
        pg_sys::MyProcNumber
    }
    #[cfg(not(any(feature = "pg17", feature = "pg18")))]
    // SAFETY: as above.
    unsafe {
        (*pg_sys::MyProc).pgprocno
    }
}

/// Sets another process's latch. Should the process be gone, somebody else's latch is set, which is harmless.
pub(super) fn set_latch(procno: i32, pid: i32) {
    let _ = (procno, pid);
    // SAFETY: a number that a live process published; the array of processes never moves.
    #[cfg(any(feature = "pg13", feature = "pg14"))]
    unsafe {
        pg_sys::ProcSendSignal(pid);
    }
    // SAFETY: as above.
    #[cfg(not(any(feature = "pg13", feature = "pg14")))]
    unsafe {
        pg_sys::ProcSendSignal(procno);
    }
}
