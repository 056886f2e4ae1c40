//! Shared memory: who the launcher and the workers are, how to wake them, what they report.
//!
//! Atomics only: no pointer, no file descriptor and nothing that one process could leave behind for another to free.
//! All-zero memory is the valid initial state. Without preloading there is none of it, and every function says so by
//! doing nothing.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use pgrx::{pg_guard, pg_sys};

/// As many workers as one server can have; `max_worker_processes` is the limit that counts.
const SLOTS: usize = 128;
/// Databases that asked for the launcher at once; when it is not enough the launcher looks at all databases.
const REQUESTS: usize = 64;
/// Database commands (DROP DATABASE, ...) running at once.
const HOLDS: usize = 64;
const TEXT: usize = 240;
const NAME: &CStr = c"trustlog";

struct Shared {
    launcher_pid: AtomicI32,
    launcher_procno: AtomicI32,
    rescan: AtomicBool,
    requests: [AtomicU32; REQUESTS],
    holds: [Hold; HOLDS],
    slots: [Slot; SLOTS],
}

/// A database that must not get a worker while a command needs it for itself.
struct Hold {
    database: AtomicU32,
    pid: AtomicI32,
}

/// Why a worker ended, as the launcher is to take it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Verdict {
    /// It said nothing: an error or a signal ended it.
    Crashed = 0,
    /// The database has no extension: leave it alone until asked.
    NoExtension = 1,
    /// It was told to stop, or its settings changed: start it again when nothing holds the database.
    Restart = 2,
}

impl Verdict {
    fn from(value: u8) -> Self {
        match value {
            1 => Self::NoExtension,
            2 => Self::Restart,
            _ => Self::Crashed,
        }
    }
}

/// What a worker is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// Registered or connecting, not known yet whether the database has the extension.
    Starting = 0,
    /// Waiting for work.
    Idle = 1,
    /// Sealing.
    Sealing = 2,
}

impl Phase {
    /// As `stat_worker` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Idle => "idle",
            Self::Sealing => "sealing",
        }
    }
}

/// What keeps a worker from sealing, as `stat` explains it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Obstacle {
    /// Nothing.
    None = 0,
    /// `trustlog.worker_enabled` is off.
    Disabled = 1,
    /// `pause('all')`.
    Paused = 2,
    /// A restored log waits for `continue_log()`.
    Frozen = 3,
    /// Another session is sealing, or has sealed and not ended its transaction.
    Busy = 4,
}

impl Obstacle {
    /// As `stat_worker` shows it.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Disabled => Some("disabled"),
            Self::Paused => Some("paused"),
            Self::Frozen => Some("frozen"),
            Self::Busy => Some("busy"),
        }
    }

    fn from(value: u8) -> Self {
        match value {
            1 => Self::Disabled,
            2 => Self::Paused,
            3 => Self::Frozen,
            4 => Self::Busy,
            _ => Self::None,
        }
    }
}

/// One worker. Taken and freed by the launcher, filled by the worker.
pub struct Slot {
    database: AtomicU32,
    /// Counts the uses of the slot: a process that was registered for an earlier one must not run.
    generation: AtomicU32,
    pid: AtomicI32,
    procno: AtomicI32,
    phase: AtomicU8,
    obstacle: AtomicU8,
    verdict: AtomicU8,
    stop: AtomicBool,
    woken: AtomicBool,
    settings: AtomicBool,
    /// Records sealed since the worker started.
    pub sealed: AtomicI64,
    /// Sealing transactions since the worker started.
    pub batches: AtomicI64,
    /// Errors since the worker started.
    pub errors: AtomicI64,
    /// Microseconds since 2000-01-01, as `timestamptz` counts; 0 is never.
    pub started_at: AtomicI64,
    /// As `started_at`.
    pub last_sealed_at: AtomicI64,
    last_error: [AtomicU8; TEXT],
    attested: std::cell::UnsafeCell<pg_sys::ConditionVariable>,
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
                pg_sys::ConditionVariableInit(slot.attested.get());
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

/// The slots of all databases that have, or are about to have, a worker.
pub fn occupied() -> impl Iterator<Item = (usize, &'static Slot)> {
    shared()
        .into_iter()
        .flat_map(|s| s.slots.iter().enumerate())
        .filter(|(_, slot)| slot.database() != pg_sys::Oid::INVALID)
}

/// The slot with this number.
pub fn slot(number: usize) -> Option<&'static Slot> {
    shared()?.slots.get(number)
}

/// The slot of a database.
pub fn slot_of(database: pg_sys::Oid) -> Option<&'static Slot> {
    occupied().map(|(_, slot)| slot).find(|slot| slot.database() == database)
}

/// Takes a free slot for a database; only the launcher does.
pub fn take_slot(database: pg_sys::Oid) -> Option<usize> {
    let (number, slot) =
        shared()?.slots.iter().enumerate().find(|(_, slot)| slot.database() == pg_sys::Oid::INVALID)?;
    slot.clear();
    slot.generation.fetch_add(1, Ordering::SeqCst);
    slot.database.store(database.to_u32(), Ordering::SeqCst);
    Some(number)
}

/// Wakes a database's worker, if it has one.
pub fn wake_worker(database: pg_sys::Oid) {
    if let Some(slot) = slot_of(database) {
        slot.wake();
    }
}

/// Has every worker compare its settings with the catalog's.
pub fn settings_changed() {
    for (_, slot) in occupied() {
        slot.settings.store(true, Ordering::SeqCst);
        slot.wake();
    }
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

impl Slot {
    fn clear(&self) {
        for counter in [&self.sealed, &self.batches, &self.errors, &self.started_at, &self.last_sealed_at] {
            counter.store(0, Ordering::SeqCst);
        }
        self.pid.store(0, Ordering::SeqCst);
        self.procno.store(0, Ordering::SeqCst);
        self.phase.store(Phase::Starting as u8, Ordering::SeqCst);
        self.obstacle.store(Obstacle::None as u8, Ordering::SeqCst);
        self.verdict.store(Verdict::Crashed as u8, Ordering::SeqCst);
        for flag in [&self.stop, &self.woken, &self.settings] {
            flag.store(false, Ordering::SeqCst);
        }
        self.last_error[0].store(0, Ordering::SeqCst);
    }

    /// Frees the slot; only the launcher does, when the process is gone.
    pub fn free(&self) {
        self.database.store(0, Ordering::SeqCst);
        self.clear();
    }

    /// Makes this process the slot's worker.
    pub fn attach(&self, pid: i32, now: i64) {
        self.started_at.store(now, Ordering::SeqCst);
        self.procno.store(my_procno(), Ordering::SeqCst);
        self.pid.store(pid, Ordering::SeqCst);
    }

    /// The worker's database; `INVALID` when the slot is free.
    pub fn database(&self) -> pg_sys::Oid {
        pg_sys::Oid::from(self.database.load(Ordering::SeqCst))
    }

    /// Which use of the slot this is.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::SeqCst)
    }

    /// The worker's pid, 0 before it runs.
    pub fn pid(&self) -> i32 {
        self.pid.load(Ordering::SeqCst)
    }

    /// Whether the slot's process is there.
    pub fn is_alive(&self) -> bool {
        // SAFETY: looks the pid up in the array of processes, whose entries are always valid memory. A pid that was used
        // again belongs to no worker, or to one of another database.
        unsafe {
            let process = pg_sys::BackendPidGetProc(self.pid());
            !process.is_null() && (*process).isBackgroundWorker && (*process).databaseId == self.database()
        }
    }

    /// What the worker is doing.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            1 => Phase::Idle,
            2 => Phase::Sealing,
            _ => Phase::Starting,
        }
    }

    /// Says what the worker is doing.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    /// What keeps the worker from sealing.
    pub fn obstacle(&self) -> Obstacle {
        Obstacle::from(self.obstacle.load(Ordering::SeqCst))
    }

    /// Says what keeps the worker from sealing.
    pub fn set_obstacle(&self, obstacle: Obstacle) {
        self.obstacle.store(obstacle as u8, Ordering::SeqCst);
    }

    /// What the worker said when it ended.
    pub fn verdict(&self) -> Verdict {
        Verdict::from(self.verdict.load(Ordering::SeqCst))
    }

    /// Says why the worker is about to end.
    pub fn set_verdict(&self, verdict: Verdict) {
        self.verdict.store(verdict as u8, Ordering::SeqCst);
    }

    /// Tells the worker to end.
    pub fn tell_to_stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Whether the worker is to end.
    pub fn told_to_stop(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Whether the settings were changed since the last call.
    pub fn take_settings_changed(&self) -> bool {
        self.settings.swap(false, Ordering::SeqCst)
    }

    /// To be called by the worker before it looks for work: what commits from now on wakes it again.
    pub fn take_woken(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    fn wake(&self) {
        // Commits that come while the worker has not looked yet need no further signal.
        if !self.woken.swap(true, Ordering::SeqCst) && self.pid() != 0 {
            set_latch(self.procno.load(Ordering::SeqCst), self.pid());
        }
    }

    /// The worker's last error, if any.
    pub fn last_error(&self) -> Option<String> {
        let bytes: Vec<u8> = self.last_error.iter().map(|b| b.load(Ordering::SeqCst)).take_while(|b| *b != 0).collect();
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Keeps the beginning of an error's text for `stat`.
    pub fn set_last_error(&self, text: &str) {
        let mut end = text.len().min(TEXT - 1);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        for (cell, byte) in self.last_error.iter().zip(text[..end].bytes().chain([0])) {
            cell.store(byte, Ordering::SeqCst);
        }
    }

    /// Wakes everybody in [`Slot::wait_for_attestations`].
    pub fn announce_attestations(&self) {
        // SAFETY: initialised when the memory was, and only ever used through PostgreSQL's functions.
        unsafe { pg_sys::ConditionVariableBroadcast(self.attested.get()) };
    }

    /// Begins to watch for attestations, so that none between a check and a wait is missed.
    pub fn watch_attestations(&self) {
        // SAFETY: as above; the caller cancels when done, and so does the end of the transaction.
        unsafe { pg_sys::ConditionVariablePrepareToSleep(self.attested.get()) };
    }

    /// Waits until records were attested, or for the given time. Can be cancelled.
    pub fn wait_for_attestations(&self, timeout: Duration) {
        let millis = std::ffi::c_long::try_from(timeout.as_millis()).unwrap_or(std::ffi::c_long::MAX).max(1);
        // SAFETY: as above.
        unsafe { pg_sys::ConditionVariableTimedSleep(self.attested.get(), millis, pg_sys::PG_WAIT_EXTENSION) };
    }
}

/// Ends [`Slot::watch_attestations`].
pub fn stop_watching() {
    // SAFETY: harmless when nothing is watched.
    unsafe { pg_sys::ConditionVariableCancelSleep() };
}

/// Announces attestations made by this session in its own database.
pub fn announce_attestations(database: pg_sys::Oid) {
    if let Some(slot) = slot_of(database) {
        slot.announce_attestations();
    }
}

/// Whether a process with this pid is connected to shared memory.
pub fn is_alive(pid: i32) -> bool {
    // SAFETY: looks the pid up in the process array under its lock.
    unsafe { !pg_sys::BackendPidGetProc(pid).is_null() }
}

fn my_procno() -> i32 {
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
fn set_latch(procno: i32, pid: i32) {
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
