//! A worker's place in shared memory.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use pgrx::pg_sys;

use super::latch::{my_procno, set_latch};
use super::{Obstacle, Phase, Verdict};

/// How much of an error's text is kept.
const TEXT: usize = 240;

/// One worker. Taken and freed by the launcher, filled by the worker.
pub struct Slot {
    database: AtomicU32,
    /// Counts the uses of the slot: a process that was registered for an earlier one must not run.
    generation: AtomicU32,
    pid: AtomicI32,
    procno: AtomicI32,
    /// Whether `procno` is the worker's.
    attached: AtomicBool,
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
    attested: UnsafeCell<pg_sys::ConditionVariable>,
}

impl Slot {
    /// # Safety
    /// Once, when the memory is allocated.
    pub(super) unsafe fn initialise(&self) {
        // SAFETY: nobody else sees the memory yet.
        unsafe { pg_sys::ConditionVariableInit(self.attested.get()) };
    }

    /// Begins another use of the slot, for a database.
    pub(super) fn take(&self, database: pg_sys::Oid) {
        self.clear();
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.database.store(database.to_u32(), Ordering::SeqCst);
    }

    /// Has the worker compare its settings with the catalog's.
    pub(super) fn announce_settings(&self) {
        self.settings.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn clear(&self) {
        for counter in [&self.sealed, &self.batches, &self.errors, &self.started_at, &self.last_sealed_at] {
            counter.store(0, Ordering::SeqCst);
        }
        self.pid.store(0, Ordering::SeqCst);
        self.procno.store(0, Ordering::SeqCst);
        self.phase.store(Phase::Starting as u8, Ordering::SeqCst);
        self.obstacle.store(Obstacle::None as u8, Ordering::SeqCst);
        self.verdict.store(Verdict::Crashed as u8, Ordering::SeqCst);
        for flag in [&self.stop, &self.woken, &self.settings, &self.attached] {
            flag.store(false, Ordering::SeqCst);
        }
        self.last_error[0].store(0, Ordering::SeqCst);
    }

    /// Frees the slot; only the launcher does, when the process is gone.
    pub fn free(&self) {
        self.database.store(0, Ordering::SeqCst);
        self.clear();
    }

    /// Makes this process the slot's worker; false when it has one already.
    pub fn attach(&self, pid: i32, now: i64) -> bool {
        if self.pid.compare_exchange(0, pid, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return false;
        }
        self.started_at.store(now, Ordering::SeqCst);
        self.procno.store(my_procno(), Ordering::SeqCst);
        self.attached.store(true, Ordering::SeqCst);
        true
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

    /// Whether somebody has woken the worker since it began to look.
    pub fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// To be called by the worker before it looks for work: what commits from now on wakes it again.
    pub fn clear_woken(&self) {
        self.woken.store(false, Ordering::SeqCst);
    }

    /// Sets the worker's latch, once until it has looked.
    pub(super) fn wake(&self) {
        // Commits that come while the worker has not looked yet need no further signal.
        if !self.woken.swap(true, Ordering::SeqCst) && self.attached.load(Ordering::SeqCst) {
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
