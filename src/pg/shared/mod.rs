//! Shared memory: who the launcher and the workers are, how to wake them, what they report.
//!
//! Atomics only: no pointer, no file descriptor and nothing that one process could leave behind for another to free.
//! All-zero memory is the valid initial state. Without preloading there is none of it, and every function says so by
//! doing nothing.

mod latch;
mod launcher;
mod report;
mod slot;
mod workers;

use launcher::Hold;
pub use launcher::*;
pub use report::{Obstacle, Phase, Verdict};
pub use slot::{Slot, stop_watching};
pub use workers::*;

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering};

use pgrx::{pg_guard, pg_sys};

/// As many workers as one server can have; `max_worker_processes` is the limit that counts.
const SLOTS: usize = 128;
/// Databases that asked for the launcher at once; when it is not enough the launcher looks at all databases.
const REQUESTS: usize = 64;
/// Database commands (DROP DATABASE, ...) running at once.
const HOLDS: usize = 64;
const NAME: &CStr = c"trustlog";

struct Shared {
    launcher_pid: AtomicI32,
    launcher_procno: AtomicI32,
    rescan: AtomicBool,
    requests: [AtomicU32; REQUESTS],
    holds: [Hold; HOLDS],
    slots: [Slot; SLOTS],
}

static SHARED: AtomicPtr<Shared> = AtomicPtr::new(std::ptr::null_mut());

/// Has the postmaster allocate the memory; to be called while the library is preloaded.
pub fn request() {
    // SAFETY: the postmaster is single-threaded; earlier hooks are kept and called.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        pg_sys::RequestAddinShmemSpace(size_of::<Shared>());
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        {
            static mut EARLIER: pg_sys::shmem_request_hook_type = None;
            #[pg_guard]
            unsafe extern "C-unwind" fn hook() {
                // SAFETY: called by the postmaster at the one time when memory may be requested.
                unsafe {
                    if let Some(earlier) = EARLIER {
                        earlier();
                    }
                    pg_sys::RequestAddinShmemSpace(size_of::<Shared>());
                }
            }
            EARLIER = pg_sys::shmem_request_hook;
            pg_sys::shmem_request_hook = Some(hook);
        }
        static mut EARLIER_STARTUP: pg_sys::shmem_startup_hook_type = None;
        #[pg_guard]
        unsafe extern "C-unwind" fn startup() {
            // SAFETY: called by the postmaster (again after a crash) when shared memory is set up.
            unsafe {
                if let Some(earlier) = EARLIER_STARTUP {
                    earlier();
                }
                attach();
            }
        }
        EARLIER_STARTUP = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(startup);
    }
}

/// # Safety
/// Only from the shmem startup hook.
unsafe fn attach() {
    let mut found = false;
    // SAFETY: the size was requested. Without EXEC_BACKEND only the postmaster runs this, before there are children,
    // so no lock is needed, and every child inherits the address.
    unsafe {
        let shared = pg_sys::ShmemInitStruct(NAME.as_ptr(), size_of::<Shared>(), &mut found).cast::<Shared>();
        if !found {
            std::ptr::write_bytes(shared, 0, 1);
            for slot in &(*shared).slots {
                slot.initialise();
            }
        }
        SHARED.store(shared, Ordering::SeqCst);
    }
}

fn shared() -> Option<&'static Shared> {
    // SAFETY: null, or memory that lives as long as the process; all of it is atomics, and condition variables that are
    // only handed to PostgreSQL.
    unsafe { SHARED.load(Ordering::Relaxed).as_ref() }
}

/// Whether the library was preloaded.
pub fn available() -> bool {
    shared().is_some()
}
