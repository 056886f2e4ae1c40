//! The background processes: one launcher for the server, one worker for each database that has the extension.

pub mod launcher;

use std::ffi::CStr;
use std::time::{Duration, Instant};

use pgrx::{pg_sys, warning};
use trustlog_core::backoff::Policy;
use trustlog_core::model::Sink;
use trustlog_core::scan::{Next, Outcome, Scan, ScanFrom};

use crate::config;
use crate::log::seal::{self, Batch, Sealing};
use crate::pg::lock::{self, Extension};
use crate::pg::session::{self, Failure};
use crate::pg::shared::{self, Obstacle, Phase, Slot, Verdict};
use crate::pg::{background, catalog};

const SEALING: &CStr = c"trustlog: sealing";

/// How long to gather records between two sealing transactions when there is no backlog. Each is a commit with an fsync of
/// its own: one for every record that is saved would slow down those who save more than it gains. A record that comes
/// after a quiet time is sealed at once.
const GATHER: Duration = Duration::from_millis(5);

/// How soon to try again when another session holds the sealer's lock.
const BUSY_WAIT: Duration = Duration::from_millis(100);

/// How long after its start a worker takes every announced change of settings for one that it may have missed.
const SETTLED: Duration = Duration::from_secs(5);

/// How soon a worker that backs off notices that it is to stop.
const BACK_OFF_STEP: Duration = Duration::from_millis(50);

/// How often the settings are compared with the catalog's when nobody announced a change.
const SETTINGS_CHECK: Duration = Duration::from_secs(60);

/// Errors that repeat are tried again ever more slowly, and never later than a person would notice.
const ERROR_BACKOFF: Policy =
    Policy { base: Duration::from_secs(1), factor: 2.0, max: Duration::from_secs(60), jitter: 0.0 };

/// The life of a worker. Returns when it is to end, with the reason.
pub fn run(slot: &'static Slot) -> Verdict {
    let (extension, settings) =
        match session::transaction(|| Ok((catalog::extension(), catalog::settings_fingerprint()?))) {
            Ok((Some(extension), settings)) => (extension, settings),
            Ok((None, _)) => return Verdict::NoExtension,
            Err(failure) => {
                warning!("trustlog worker: {}", failure.message);
                return Verdict::Crashed;
            }
        };
    slot.set_phase(Phase::Idle);
    shared::wake_launcher();
    let mut worker = Worker {
        slot,
        extension,
        settings,
        settings_checked: Instant::now(),
        began: Instant::now(),
        scan: Scan::new(),
        failures: 0,
        told: None,
        told_of_sink: false,
        sealed: None,
    };
    loop {
        background::answer_interrupts();
        if slot.told_to_stop() {
            return Verdict::Restart;
        }
        worker.gather();
        // Before looking for work: what commits from now on wakes again.
        slot.clear_woken();
        match worker.step() {
            Step::Again => {}
            // What waits for a lock on the way consumes the latch; the flag stays.
            Step::Sleep(_) if slot.is_woken() => {}
            Step::Sleep(limit) => {
                slot.set_phase(Phase::Idle);
                background::sleep(limit.unwrap_or_else(config::poll_interval));
            }
            Step::BackOff(time) => back_off(slot, time),
            Step::End(verdict) => return verdict,
        }
    }
}

/// Waits whatever commits meanwhile: more work does not make what failed succeed. Told to stop it ends.
fn back_off(slot: &Slot, time: Duration) {
    slot.set_phase(Phase::Idle);
    let until = Instant::now() + time;
    while !slot.told_to_stop() {
        match until.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => background::pause(left.min(BACK_OFF_STEP)),
            _ => return,
        }
    }
}

enum Step {
    Again,
    /// Until woken, or for so long; `None` is the poll interval.
    Sleep(Option<Duration>),
    /// For so long, whatever wakes.
    BackOff(Duration),
    End(Verdict),
}

struct Worker {
    slot: &'static Slot,
    /// The extension's oid: another one means that it was dropped and created again.
    extension: pg_sys::Oid,
    settings: String,
    settings_checked: Instant,
    began: Instant,
    scan: Scan,
    /// Errors in a row.
    failures: u32,
    /// The trouble last written to the server log, so that it is written once.
    told: Option<String>,
    told_of_sink: bool,
    /// When the last batch that was not full was sealed.
    sealed: Option<Instant>,
}

impl Worker {
    /// Rests after a batch that was not full. Commits that come meanwhile send no more than one signal.
    fn gather(&mut self) {
        let rest = self.sealed.take().and_then(|at| GATHER.checked_sub(at.elapsed()));
        if let Some(rest) = rest {
            background::pause(rest);
        }
    }

    fn step(&mut self) -> Step {
        let announced = self.slot.take_settings_changed();
        if announced || self.settings_checked.elapsed() > SETTINGS_CHECK {
            match self.settings_changed() {
                // A new process reads them as every session does. (What changed while this process connected is in the
                // catalog it compares with, and not in force.)
                Ok(changed) if changed || (announced && self.began.elapsed() < SETTLED) => {
                    return Step::End(Verdict::Restart);
                }
                Ok(_) => {}
                Err(failure) => return self.failed(&failure),
            }
        }
        if !config::worker_enabled() {
            self.slot.set_obstacle(Obstacle::Disabled);
            self.scan.reset();
            return self.check_extension();
        }
        self.warn_of_sink();
        match self.scan.next(Instant::now()) {
            Next::Sleep(limit) => Step::Sleep(limit),
            Next::Scan(from) => self.seal(from),
        }
    }

    fn seal(&mut self, from: ScanFrom) -> Step {
        background::report_running(SEALING);
        self.slot.set_phase(Phase::Sealing);
        let (began, limit) = (Instant::now(), config::seal_batch_size());
        let (extension, careful) = (self.extension, self.failures > 0);
        let result = session::transaction(|| match lock::try_extension() {
            Extension::Held(found) if found == extension => seal::seal_batch(from, limit, careful).map(Found::Sealing),
            Extension::Held(other) => Ok(Found::Recreated(other)),
            Extension::Busy => Ok(Found::Sealing(Sealing::Busy)),
            Extension::Missing => Ok(Found::Dropped),
        });
        match result {
            Ok(Found::Dropped) => Step::End(Verdict::NoExtension),
            Ok(Found::Recreated(other)) => {
                self.extension = other;
                self.scan.reset();
                Step::Again
            }
            Ok(Found::Sealing(sealing)) => {
                self.failures = 0;
                self.after(sealing, limit, began)
            }
            Err(failure) => self.failed(&failure),
        }
    }

    fn after(&mut self, sealing: Sealing, limit: i64, began: Instant) -> Step {
        match sealing {
            Sealing::Done(batch) => {
                self.told = None;
                self.slot.set_obstacle(Obstacle::None);
                let now = Instant::now();
                let full = i64::try_from(batch.taken).is_ok_and(|taken| taken >= limit);
                self.sealed = (batch.taken > 0 && !full).then_some(now);
                self.scan.record(Outcome { highest: batch.highest, full, took: now.duration_since(began) }, now);
                self.report(&batch);
                Step::Again
            }
            Sealing::Busy => self.obstructed(Obstacle::Busy, Step::BackOff(BUSY_WAIT)),
            Sealing::Paused => self.obstructed(Obstacle::Paused, Step::Sleep(None)),
            Sealing::Frozen(frozen) => {
                self.tell(format!("the log is frozen, nothing is sealed: {}", frozen.why), Some(frozen.remedy));
                self.obstructed(Obstacle::Frozen, Step::Sleep(None))
            }
        }
    }

    fn obstructed(&mut self, obstacle: Obstacle, then: Step) -> Step {
        self.slot.set_obstacle(obstacle);
        self.scan.reset();
        then
    }

    fn report(&self, batch: &Batch) {
        use std::sync::atomic::Ordering::SeqCst;
        if batch.taken == 0 {
            return;
        }
        self.slot.batches.fetch_add(1, SeqCst);
        self.slot.sealed.fetch_add(i64::try_from(batch.sealed).unwrap_or(0), SeqCst);
        self.slot.last_sealed_at.store(session::now(), SeqCst);
        self.slot.announce_attestations();
        for (seq, reason) in &batch.set_aside {
            warning!("trustlog worker: record {seq} cannot be sealed and was set aside: {reason}");
        }
    }

    fn failed(&mut self, failure: &Failure) -> Step {
        self.slot.errors.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.slot.set_last_error(&failure.message);
        self.tell(format!("an error, to be tried again: {}", failure.message), None);
        self.scan.reset();
        let wait = ERROR_BACKOFF.delay(self.failures, 0.5);
        self.failures = self.failures.saturating_add(1);
        Step::BackOff(wait)
    }

    /// Writes trouble to the server log, unless it is the same as before.
    fn tell(&mut self, what: String, hint: Option<&'static str>) {
        if self.told.as_ref() == Some(&what) {
            return;
        }
        match hint {
            Some(hint) => warning!("trustlog worker: {what}. {hint}"),
            None => warning!("trustlog worker: {what}"),
        }
        self.told = Some(what);
    }

    fn warn_of_sink(&mut self) {
        let http = config::sink() == Sink::Http;
        if http && !self.told_of_sink {
            warning!(
                "trustlog worker: trustlog.sink is http, and this version does not deliver over HTTP: \
                 records are sealed and wait"
            );
        }
        self.told_of_sink = http;
    }

    fn check_extension(&mut self) -> Step {
        match session::transaction(|| Ok(catalog::extension())) {
            Ok(Some(_)) => Step::Sleep(None),
            Ok(None) => Step::End(Verdict::NoExtension),
            Err(failure) => self.failed(&failure),
        }
    }

    fn settings_changed(&mut self) -> Result<bool, Failure> {
        self.settings_checked = Instant::now();
        Ok(session::transaction(catalog::settings_fingerprint)? != self.settings)
    }
}

/// What a worker's transaction found.
enum Found {
    Sealing(Sealing),
    Recreated(pg_sys::Oid),
    Dropped,
}
