//! The launcher: finds the databases that have the extension and keeps one worker running in each.
//!
//! A worker doubles as the probe: it connects, and ends at once when the database has no extension. One database is
//! probed at a time. States of a database, and what moves it:
//!
//! ```text
//! Wanted ──start──▶ Running ──NoExtension──▶ Without ──CREATE EXTENSION──▶ Wanted
//!   ▲                 │ └─────Restart (told to stop, settings changed)────▶ Wanted
//!   └──time is up── Resting ◀──Crashed──┘
//! ```

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pgrx::pg_sys::Oid;
use pgrx::warning;
use trustlog_core::backoff::Policy;

use crate::config;
use crate::pg::background::{self, Handle};
use crate::pg::catalog;
use crate::pg::session;
use crate::pg::shared::{self, Phase, Verdict};

/// A worker that keeps ending is started ever more slowly.
const RESTART_BACKOFF: Policy =
    Policy { base: Duration::from_secs(1), factor: 2.0, max: Duration::from_secs(60), jitter: 0.0 };

/// A worker that ran this long was healthy: its end is not counted with earlier ones.
const HEALTHY: Duration = Duration::from_secs(60);

/// Looks at everything at least this often, should a wake-up be lost.
const ROUND: Duration = Duration::from_secs(60);

/// A probe that takes longer waits for something; the next database is tried meanwhile.
const PROBE: Duration = Duration::from_secs(1);

/// How often to look whether workers of an earlier launcher have ended.
const ORPHAN_ROUND: Duration = Duration::from_millis(20);

/// How soon to look again at a database that wants a worker and cannot have one yet: a command holds it, another one is
/// being probed, or no process is free.
const SOON: Duration = Duration::from_secs(1);

/// The life of the launcher; ends only with the process.
pub fn run() {
    let mut launcher = Launcher::default();
    for (_, orphan) in shared::occupied() {
        // A launcher that ended left it: nobody would hear of its end. It may be waiting for a lock.
        orphan.tell_to_stop();
        background::terminate(orphan.pid());
    }
    shared::ask_launcher_to_rescan();
    loop {
        background::answer_interrupts();
        let rest = launcher.round();
        background::sleep(rest);
    }
}

#[derive(Default)]
struct Launcher {
    databases: HashMap<Oid, Entry>,
    /// Whether the lack of worker processes was reported.
    told_of_lack: bool,
    /// The list of databases could not be read.
    look_again: bool,
    listed: String,
}

struct Entry {
    state: State,
    /// Ends in a row that were not asked for.
    crashes: u32,
}

enum State {
    Wanted,
    Without,
    Resting { until: Instant },
    Running(Running),
}

struct Running {
    slot: usize,
    handle: Handle,
    since: Instant,
    /// CREATE EXTENSION was committed meanwhile: should the worker say there is none, it looked too early.
    asked: bool,
}

impl Launcher {
    /// Does what is to be done now and says how long nothing will be.
    fn round(&mut self) -> Duration {
        self.take_requests();
        let orphans = self.free_orphans();
        self.reap();
        for entry in self.databases.values_mut() {
            if matches!(entry.state, State::Resting { until } if until <= Instant::now()) {
                entry.state = State::Wanted;
            }
        }
        self.start();
        let resting = self.databases.values().filter_map(|entry| match entry.state {
            State::Resting { until } => Some(until.saturating_duration_since(Instant::now())),
            State::Wanted => Some(SOON),
            _ => None,
        });
        let again =
            [(orphans, ORPHAN_ROUND), (self.look_again, SOON)].into_iter().filter(|(due, _)| *due).map(|(_, at)| at);
        resting.chain(again).min().unwrap_or(ROUND).min(ROUND)
    }

    /// Frees the slots of an earlier launcher's workers that are gone; whether some are left.
    fn free_orphans(&self) -> bool {
        let mine = |number| self.databases.values().any(|e| matches!(&e.state, State::Running(r) if r.slot == number));
        let (gone, left): (Vec<_>, Vec<_>) =
            shared::occupied().filter(|(number, _)| !mine(*number)).partition(|(_, slot)| !slot.is_alive());
        for (_, slot) in gone {
            slot.free();
        }
        !left.is_empty()
    }

    fn take_requests(&mut self) {
        let (asked, mut all) = shared::take_requests();
        for database in asked {
            match self.databases.get_mut(&database).map(|entry| &mut entry.state) {
                Some(State::Running(running)) => {
                    running.asked = true;
                    shared::wake_worker(database);
                }
                Some(state) => *state = State::Wanted,
                None => all = true,
            }
        }
        let listed = config::databases();
        if all || self.look_again || listed != self.listed {
            self.listed = listed;
            self.look_at_all();
        }
    }

    /// Compares what is known with the list of databases.
    fn look_at_all(&mut self) {
        let found = match session::transaction(|| Ok(catalog::databases())) {
            Ok(found) => found,
            Err(failure) => {
                warning!("trustlog launcher: cannot list the databases, will try again: {}", failure.message);
                self.look_again = true;
                return;
            }
        };
        self.look_again = false;
        let eligible: Vec<Oid> =
            found.into_iter().filter(|d| d.eligible && self.is_listed(&d.name)).map(|d| d.oid).collect();
        for oid in &eligible {
            self.databases.entry(*oid).or_insert(Entry { state: State::Wanted, crashes: 0 });
        }
        self.databases.retain(|oid, entry| {
            if eligible.contains(oid) {
                return true;
            }
            if let State::Running(running) = &entry.state {
                if let Some(slot) = shared::slot(running.slot) {
                    slot.tell_to_stop();
                }
                return true;
            }
            false
        });
    }

    fn is_listed(&self, name: &str) -> bool {
        self.listed.split(',').map(str::trim).any(|listed| listed == "*" || listed == name)
    }

    /// Takes note of workers that ended.
    fn reap(&mut self) {
        for entry in self.databases.values_mut() {
            let State::Running(running) = &entry.state else { continue };
            if !running.handle.is_stopped() {
                continue;
            }
            let Some(slot) = shared::slot(running.slot) else { continue };
            let verdict = slot.verdict();
            slot.free();
            entry.state = match verdict {
                Verdict::NoExtension if !running.asked => State::Without,
                Verdict::NoExtension | Verdict::Restart => State::Wanted,
                Verdict::Crashed => {
                    entry.crashes = if running.since.elapsed() > HEALTHY { 0 } else { entry.crashes + 1 };
                    State::Resting {
                        until: Instant::now() + RESTART_BACKOFF.delay(entry.crashes.saturating_sub(1), 0.5),
                    }
                }
            };
        }
    }

    /// Starts the worker of one database that wants one, unless another is being probed.
    fn start(&mut self) {
        if self.is_probing() || !self.databases.values().any(|entry| matches!(entry.state, State::Wanted)) {
            return;
        }
        // The list may have changed since: a database that is gone must not be connected to.
        self.look_at_all();
        let wanted = self.databases.iter_mut().find(|(oid, entry)| {
            matches!(entry.state, State::Wanted) && !shared::held(**oid) && shared::slot_of(**oid).is_none()
        });
        let Some((oid, entry)) = wanted else { return };
        let slot = shared::take_slot(*oid);
        // A command may have taken hold of the database meanwhile; it looks for a worker after it has done so.
        let handle = slot.filter(|_| !shared::held(*oid)).and_then(background::start_worker);
        match (slot, handle) {
            (Some(slot), Some(handle)) => {
                self.told_of_lack = false;
                entry.state = State::Running(Running { slot, handle, since: Instant::now(), asked: false });
                return;
            }
            (Some(slot), None) => {
                if let Some(slot) = shared::slot(slot) {
                    slot.free();
                }
            }
            (None, _) => {}
        }
        entry.state = State::Resting { until: Instant::now() + SOON };
        if !shared::held(*oid) && !std::mem::replace(&mut self.told_of_lack, true) {
            warning!("trustlog launcher: no worker process is free; raise max_worker_processes");
        }
    }

    fn is_probing(&self) -> bool {
        self.databases.values().any(|entry| match &entry.state {
            State::Running(running) => {
                running.since.elapsed() < PROBE
                    && shared::slot(running.slot).is_some_and(|slot| slot.phase() == Phase::Starting)
            }
            _ => false,
        })
    }
}
