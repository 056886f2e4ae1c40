//! Background workers: registration, entry points, sleeping, ending.

use std::ffi::{CStr, c_char, c_int, c_long};
use std::time::Duration;

use pgrx::{pg_guard, pg_sys};

use super::{session, shared};
use crate::worker;

/// `backend_type` in pg_stat_activity.
pub const LAUNCHER: &CStr = c"trustlog launcher";
/// As [`LAUNCHER`].
pub const WORKER: &CStr = c"trustlog worker";

/// How long the postmaster waits before it starts a launcher that ended: long enough not to flood the log.
const LAUNCHER_RESTART_SECONDS: c_int = 1;

/// Whether the postmaster is loading the library, as `shared_preload_libraries` asks, for a server that will run (and not
/// for pg_upgrade, during which nothing may write).
pub fn preloading() -> bool {
    // SAFETY: variables of this process.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress && !pg_sys::IsBinaryUpgrade }
}

/// Registers the launcher; to be called while the library is preloaded.
pub fn register_launcher() {
    let mut worker = describe(LAUNCHER, c"trustlog_launcher_main");
    worker.bgw_restart_time = LAUNCHER_RESTART_SECONDS;
    // SAFETY: a complete description; the postmaster copies it.
    unsafe { pg_sys::RegisterBackgroundWorker(&mut worker) };
}

/// A worker that was registered.
pub struct Handle(*mut pg_sys::BackgroundWorkerHandle);

impl Handle {
    /// Whether the process is gone.
    pub fn is_stopped(&self) -> bool {
        let mut pid = 0;
        // SAFETY: the handle was made by RegisterDynamicBackgroundWorker and not freed.
        let status = unsafe { pg_sys::GetBackgroundWorkerPid(self.0, &mut pid) };
        status == pg_sys::BgwHandleStatus::BGWH_STOPPED
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: allocated by PostgreSQL for this handle alone.
        unsafe { pg_sys::pfree(self.0.cast()) };
    }
}

/// Registers a worker for the slot; `None` when all of max_worker_processes are in use. The launcher is told when it
/// ends.
pub fn start_worker(slot: usize) -> Option<Handle> {
    let mut worker = describe(WORKER, c"trustlog_worker_main");
    worker.bgw_restart_time = pg_sys::BGW_NEVER_RESTART;
    worker.bgw_main_arg = ticket(slot)?;
    // SAFETY: as in `register_launcher`; the handle is allocated in a context that outlives the launcher's transactions.
    unsafe {
        worker.bgw_notify_pid = pg_sys::MyProcPid;
        let before = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        let mut handle = std::ptr::null_mut();
        let registered = pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle);
        pg_sys::MemoryContextSwitchTo(before);
        registered.then(|| Handle(handle))
    }
}

/// What a worker's process is told: its slot, and which use of it.
fn ticket(number: usize) -> Option<pg_sys::Datum> {
    let generation = u64::from(shared::slot(number)?.generation());
    Some(pg_sys::Datum::from(generation << 32 | u64::try_from(number).ok()?))
}

/// The slot of a ticket and its database, unless it was freed since.
fn slot_of_ticket(ticket: pg_sys::Datum) -> Option<(&'static shared::Slot, pg_sys::Oid)> {
    let slot = shared::slot(ticket.value() & 0xffff_ffff)?;
    let database = slot.database();
    let current = ticket.value() >> 32 == usize::try_from(slot.generation()).ok()?;
    (current && database != pg_sys::Oid::INVALID).then_some((slot, database))
}

fn describe(name: &CStr, function: &CStr) -> pg_sys::BackgroundWorker {
    let mut worker = pg_sys::BackgroundWorker {
        bgw_flags: (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION) as c_int,
        // Never on a standby; at promotion by itself.
        bgw_start_time: pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished,
        ..Default::default()
    };
    copy(&mut worker.bgw_name, name);
    copy(&mut worker.bgw_type, name);
    copy(&mut worker.bgw_library_name, c"trustlog");
    copy(&mut worker.bgw_function_name, function);
    worker
}

fn copy(to: &mut [c_char], from: &CStr) {
    for (cell, byte) in to.iter_mut().zip(from.to_bytes()) {
        *cell = *byte as c_char;
    }
}

/// The launcher's process. Ends with a status that makes the postmaster start it again.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn trustlog_launcher_main(_arg: pg_sys::Datum) {
    // SAFETY: the first thing this process does; connects to the shared catalogs only.
    unsafe {
        handle_signals();
        pg_sys::before_shmem_exit(Some(launcher_exit), pg_sys::Datum::null());
        pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0);
        shared::set_launcher(pg_sys::MyProcPid);
        pg_sys::pgstat_report_appname(LAUNCHER.as_ptr());
    }
    worker::launcher::run();
    exit(1);
}

#[pg_guard]
unsafe extern "C-unwind" fn launcher_exit(_code: c_int, _arg: pg_sys::Datum) {
    shared::set_launcher(0);
}

/// A worker's process; the argument is its ticket. The launcher decides whether another one follows.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn trustlog_worker_main(arg: pg_sys::Datum) {
    let Some((slot, database)) = slot_of_ticket(arg) else { return };
    // SAFETY: the first thing this process does.
    unsafe { handle_signals() };
    if slot.told_to_stop() {
        slot.set_verdict(shared::Verdict::Restart);
        exit(0);
    }
    // SAFETY: connects as the bootstrap superuser to the database the launcher named; ends the process if that is gone.
    unsafe {
        pg_sys::BackgroundWorkerInitializeConnectionByOid(database, pg_sys::Oid::INVALID, 0);
        // Connecting may take long. Should a new launcher have given the slot away meanwhile, it is not ours any more.
        if slot_of_ticket(arg).is_none() || !slot.attach(pg_sys::MyProcPid, session::now()) {
            exit(0);
        }
        pg_sys::pgstat_report_appname(WORKER.as_ptr());
    }
    session::override_settings();
    let verdict = worker::run(slot);
    slot.set_verdict(verdict);
    exit(0);
}

/// # Safety
/// Only at the start of a background worker, when signals are still blocked.
unsafe fn handle_signals() {
    // SAFETY: PostgreSQL's own handlers: SIGTERM ends the process at the next check for interrupts, also within a
    // statement; SIGHUP sets a flag and the latch.
    unsafe {
        pg_sys::pqsignal(pg_sys::SIGTERM as c_int, Some(die));
        pg_sys::pqsignal(pg_sys::SIGHUP as c_int, Some(reload));
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

// Signal handlers must not be wrapped in a guard: they only call PostgreSQL's handlers, on the one thread there is.
unsafe extern "C-unwind" fn die(signal: c_int) {
    // SAFETY: made to be called from a signal handler.
    unsafe { pg_sys::die(signal) };
}

unsafe extern "C-unwind" fn reload(signal: c_int) {
    // SAFETY: as above.
    unsafe { pg_sys::SignalHandlerForConfigReload(signal) };
}

/// Ends the process.
pub fn exit(code: c_int) -> ! {
    // SAFETY: never returns; runs the exit callbacks.
    unsafe { pg_sys::proc_exit(code) }
}

/// Sleeps until woken or for the given time; then answers interrupts and reads the configuration if it changed.
pub fn sleep(timeout: Duration) {
    // SAFETY: no text to copy.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null()) };
    wait_for_latch(timeout);
    answer_interrupts();
}

/// Waits for the given time, whatever sets the latch; the next [`sleep`] sees that it was set.
pub fn pause(time: Duration) {
    // SAFETY: without a latch only the time and the postmaster's end are waited for.
    unsafe { wait(std::ptr::null_mut(), pg_sys::WL_TIMEOUT, time) };
    answer_interrupts();
}

/// A short wait in any session; can be cancelled.
pub fn nap(timeout: Duration) {
    // Resetting the latch is safe: whoever set it for another reason is answered by the check for interrupts, and callers
    // look at their condition again.
    wait_for_latch(timeout);
    pgrx::check_for_interrupts!();
}

fn wait_for_latch(timeout: Duration) {
    // SAFETY: this process's own latch.
    unsafe {
        wait(pg_sys::MyLatch, pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT, timeout);
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
}

/// Ends with the postmaster. The time is rounded up: a wait of less than a millisecond must not become none.
///
/// # Safety
/// `latch` is this process's own, or null when `events` does not name it.
unsafe fn wait(latch: *mut pg_sys::Latch, events: u32, time: Duration) {
    let millis = c_long::try_from(time.as_micros().div_ceil(1000)).unwrap_or(c_long::MAX);
    let events = (events | pg_sys::WL_EXIT_ON_PM_DEATH) as c_int;
    // SAFETY: as the caller promises.
    unsafe { pg_sys::WaitLatch(latch, events, millis, pg_sys::PG_WAIT_EXTENSION) };
}

/// Answers what other processes ask of this one (barriers, SIGTERM) and follows a configuration reload.
pub fn answer_interrupts() {
    pgrx::check_for_interrupts!();
    // SAFETY: outside a transaction, as PostgreSQL's own workers do it.
    unsafe {
        if pg_sys::ConfigReloadPending != 0 {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// Shows in pg_stat_activity what the process is at.
pub fn report_running(what: &CStr) {
    // SAFETY: a NUL-terminated text, copied.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, what.as_ptr()) };
}

/// Asks a process to end, also while it waits for a lock. Does nothing for 0, the pid of a worker that has not connected
/// yet: to the system it would mean this process's whole group.
pub fn terminate(pid: i32) {
    if pid <= 0 {
        return;
    }
    // SAFETY: a plain system call; the pid is that of a process of this server.
    unsafe { libc::kill(pid, libc::SIGTERM) };
}
