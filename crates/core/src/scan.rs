//! Where the sealing worker looks next in the queue of records that wait to be sealed.
//!
//! The queue is an index on `seq`. Sealed rows stay in it as dead entries until vacuum removes them, or much longer
//! when some old transaction still sees them, so walking it from its start for every batch gets slower and slower. On
//! the other hand a record that is committed late has a `seq` below those already sealed, and only a scan from the
//! start is sure to meet it. [`Scan`] mixes three kinds of scan:
//!
//! - **onwards**, directly after the last row of a full batch: during a burst everything visible before it has just
//!   been taken;
//! - **from the floor**, the highest `seq` sealed more than a second ago, or up to a second older: finds at once what
//!   was committed slightly out of order, and walks few dead entries;
//! - **from the start**: at least once a second while there is work, more often when that is cheap and there is no
//!   backlog, and before every real sleep.
//!
//! So every record is found whatever the floor is, and a late one is found within about a second, usually much sooner.
//!
//! The clock is the caller's: every call is told the time.

mod floor;

use floor::Floor;
use std::time::{Duration, Instant};

/// While there is work, a late record waits no longer than this for a scan from the start. Also the longest nap.
const START_INTERVAL: Duration = Duration::from_secs(1);

/// Rest after a scan from the start, as a multiple of its duration: when dead entries make it slow, it takes no more
/// than about a tenth of the time.
const START_REST_FACTOR: u32 = 10;

/// From where to scan, upwards in `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanFrom {
    /// The lowest `seq` there is.
    Start,
    /// The first `seq` greater than this one.
    Floor(i64),
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Take a batch, then call [`Scan::record`].
    Scan(ScanFrom),
    /// Wait for a wake-up, but no longer than this (or, with `None`, the poll interval), then ask again. The wake-up
    /// must count from the beginning of the last scan: a record committed during the scan ends the wait at once. A
    /// clock that is coarser than the time given should round it up, or the wait turns into a few more scans.
    Sleep(Option<Duration>),
}

/// How a scan went whose transaction has committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The highest `seq` taken out of the queue; `None` if there was nothing to take.
    pub highest: Option<i64>,
    /// Whether the batch reached its limit, so that more may follow.
    pub full: bool,
    /// How long the scan took.
    pub took: Duration,
}

/// Decides where to scan next and when to sleep.
///
/// Call [`next`](Self::next); do what it says; after a scan call [`record`](Self::record), after an error
/// [`reset`](Self::reset); repeat.
#[derive(Debug, Default)]
pub struct Scan {
    phase: Phase,
    /// Whether the scan handed out last is one from the start.
    from_start: bool,
    /// The last scan from the start.
    start_scan: Option<StartScan>,
    /// When the last real sleep ended.
    woken: Option<Instant>,
    floor: Floor,
}

/// What the last scan or sleep left behind.
#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    /// Nothing is known yet.
    #[default]
    Unknown,
    /// The last batch was full and ended with this `seq`.
    Full(i64),
    /// The last batch was not full and not empty.
    Partial,
    /// Nothing was found, but not from the start.
    Drained,
    /// Waiting until a scan from the start is due.
    Napping,
    /// Nothing was found from the start.
    Empty,
    /// In a real sleep.
    Asleep,
}

#[derive(Clone, Copy, Debug)]
struct StartScan {
    ended: Instant,
    took: Duration,
}

impl Scan {
    /// Knows nothing yet, so begins with a scan from the start.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything: the next scan is one from the start. For use after an error.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// What to do at the time `now`. Being asked again after [`Next::Sleep`] means that the wait is over.
    pub fn next(&mut self, now: Instant) -> Next {
        match self.phase {
            Phase::Unknown => self.scan(ScanFrom::Start),
            Phase::Full(_) if self.late_rows_may_wait(now) => self.scan(ScanFrom::Start),
            Phase::Full(last) => self.scan(ScanFrom::Floor(last)),
            // Without a backlog there is time to look at the start as often as that is cheap, so that late records do not
            // wait longer than others.
            Phase::Partial => match self.rest_before_start(now) {
                Some(_not_yet) => self.scan_from_floor(now),
                None => self.scan(ScanFrom::Start),
            },
            Phase::Drained => match self.rest_before_start(now) {
                Some(rest) => self.sleep(Phase::Napping, Some(rest)),
                None => self.scan(ScanFrom::Start),
            },
            Phase::Napping => match self.rest_before_start(now) {
                Some(_woken_early) => self.scan_from_floor(now),
                None => self.scan(ScanFrom::Start),
            },
            Phase::Empty => self.sleep(Phase::Asleep, None),
            Phase::Asleep => {
                self.woken = Some(now);
                self.scan_from_floor(now)
            }
        }
    }

    /// Takes note of how the scan handed out last went; `now` is when its transaction had committed.
    pub fn record(&mut self, outcome: Outcome, now: Instant) {
        if self.from_start {
            self.start_scan = Some(StartScan { ended: now, took: outcome.took });
        }
        self.phase = match outcome.highest {
            Some(highest) => {
                self.floor.sealed(highest, now);
                if outcome.full { Phase::Full(highest) } else { Phase::Partial }
            }
            None if self.from_start => Phase::Empty,
            None => Phase::Drained,
        };
    }

    fn scan(&mut self, from: ScanFrom) -> Next {
        self.from_start = from == ScanFrom::Start;
        Next::Scan(from)
    }

    fn scan_from_floor(&mut self, now: Instant) -> Next {
        // Without a floor little has been sealed yet, so the start is as good.
        let floor = self.floor.at(now);
        self.scan(floor.map_or(ScanFrom::Start, ScanFrom::Floor))
    }

    fn sleep(&mut self, phase: Phase, limit: Option<Duration>) -> Next {
        self.phase = phase;
        Next::Sleep(limit)
    }

    /// Whether, with work going on, the last look at the start is too long ago. A sleep counts as a look, because it
    /// began with one and ends when something is committed: the wake-up is answered from the floor, without delay.
    fn late_rows_may_wait(&self, now: Instant) -> bool {
        let looked = self.start_scan.map(|scan| scan.ended).max(self.woken);
        looked.is_none_or(|at| now.saturating_duration_since(at) >= START_INTERVAL)
    }

    /// How long a scan from the start still has to wait; `None` when it is due.
    fn rest_before_start(&self, now: Instant) -> Option<Duration> {
        let last = self.start_scan?;
        let rest = last.took.saturating_mul(START_REST_FACTOR).min(START_INTERVAL);
        rest.checked_sub(now.saturating_duration_since(last.ended)).filter(|rest| !rest.is_zero())
    }
}
