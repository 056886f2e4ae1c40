//! Where to scan next: single rules, then a simulated worker.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use trustlog_core::scan::{Next, Outcome, Scan, ScanFrom};

const SECOND: Duration = Duration::from_secs(1);
const START: Next = Next::Scan(ScanFrom::Start);

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn floor(seq: i64) -> Next {
    Next::Scan(ScanFrom::Floor(seq))
}

/// A [`Scan`] and a clock that only moves when told.
struct Driver {
    scan: Scan,
    now: Instant,
}

impl Driver {
    fn new() -> Self {
        Self { scan: Scan::new(), now: Instant::now() }
    }

    fn next(&mut self) -> Next {
        self.scan.next(self.now)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// A scan of `took` that found this.
    fn found(&mut self, highest: Option<i64>, full: bool, took: Duration) {
        self.pass(took);
        let outcome = Outcome { highest, full, took };
        self.scan.record(outcome, self.now);
    }

    fn empty(&mut self) {
        self.found(None, false, ms(1));
    }

    fn some(&mut self, highest: i64) {
        self.found(Some(highest), false, ms(1));
    }

    fn full(&mut self, highest: i64) {
        self.found(Some(highest), true, ms(1));
    }

    /// Asleep, with everything up to `seq` sealed long ago.
    fn asleep(seq: i64) -> Self {
        let mut driver = Self::new();
        assert_eq!(driver.next(), START);
        driver.some(seq);
        driver.pass(SECOND * 5);
        assert_eq!(driver.next(), START);
        driver.empty();
        assert_eq!(driver.next(), Next::Sleep(None));
        driver.pass(SECOND * 5);
        driver
    }
}

#[test]
fn the_first_scan_is_from_the_start_and_an_empty_one_leads_to_sleep() {
    let mut driver = Driver::new();
    assert_eq!(driver.next(), START);
    driver.empty();
    assert_eq!(driver.next(), Next::Sleep(None));
}

#[test]
fn a_wake_up_scans_from_the_floor_then_from_the_start_then_sleeps() {
    let mut driver = Driver::asleep(41);
    assert_eq!(driver.next(), floor(41));
    driver.some(42);
    assert_eq!(driver.next(), START);
    driver.empty();
    assert_eq!(driver.next(), Next::Sleep(None));
}

#[test]
fn after_an_error_the_next_scan_is_from_the_start() {
    let mut driver = Driver::asleep(41);
    assert_eq!(driver.next(), floor(41));
    driver.scan.reset();
    assert_eq!(driver.next(), START);
    driver.some(42);
    // The floor is forgotten too: the table may be another one by now.
    assert_eq!(driver.next(), START);
}

#[test]
fn a_burst_goes_onwards_and_looks_at_the_start_every_second() {
    let mut driver = Driver::asleep(0);
    for seq in 1..=1000 {
        assert_eq!(driver.next(), floor(seq - 1));
        driver.full(seq);
    }
    assert_eq!(driver.next(), START);
    // A late row was there; the scan went on past it to where the burst had come.
    driver.full(1003);
    assert_eq!(driver.next(), floor(1003));
}

#[test]
fn without_a_backlog_the_start_is_looked_at_as_often_as_that_is_cheap() {
    let mut driver = Driver::asleep(0);
    let mut starts = 0;
    for seq in 1..=10_000 {
        starts += u32::from(driver.next() == START);
        driver.some(seq);
    }
    // One millisecond in eleven.
    assert!((900..920).contains(&starts), "{starts}");
}

#[test]
fn without_a_backlog_a_slow_start_is_looked_at_once_a_second() {
    let mut driver = Driver::asleep(0);
    let (begin, mut starts) = (driver.now, 0);
    for seq in 1..=10_000 {
        if driver.next() == START {
            starts += 1;
            driver.found(Some(seq), false, ms(150));
        } else {
            driver.some(seq);
        }
    }
    let seconds = (driver.now - begin).as_secs();
    assert!((seconds - 2..=seconds + 1).contains(&starts), "{starts} in {seconds} s");
}

#[test]
fn before_a_slow_scan_from_the_start_is_repeated_there_is_a_nap() {
    let mut driver = Driver::asleep(41);
    assert_eq!(driver.next(), floor(41));
    driver.empty();
    assert_eq!(driver.next(), START);
    driver.found(Some(42), false, ms(30));
    assert_eq!(driver.next(), floor(41));
    driver.empty();
    assert_eq!(driver.next(), Next::Sleep(Some(ms(299))));
    // Woken early: once more from the floor, and the rest of the nap.
    driver.pass(ms(100));
    assert_eq!(driver.next(), floor(41));
    driver.empty();
    assert_eq!(driver.next(), Next::Sleep(Some(ms(198))));
    driver.pass(ms(198));
    assert_eq!(driver.next(), START);
    driver.empty();
    assert_eq!(driver.next(), Next::Sleep(None));
}

#[test]
fn a_nap_is_never_longer_than_a_second() {
    let mut driver = Driver::asleep(41);
    assert_eq!(driver.next(), floor(41));
    driver.empty();
    assert_eq!(driver.next(), START);
    driver.found(Some(42), false, SECOND * 3600);
    assert_eq!(driver.next(), floor(41));
    driver.found(None, false, Duration::ZERO);
    assert_eq!(driver.next(), Next::Sleep(Some(SECOND)));
}

#[test]
fn the_floor_lags_between_one_second_and_two() {
    let mut driver = Driver::asleep(0);
    let begin = driver.now;
    // The seq sealed at each moment is the number of milliseconds since the beginning.
    for seq in 1..=10_000 {
        if let Next::Scan(ScanFrom::Floor(floor)) = driver.next() {
            let sealed_at = begin + ms(floor.cast_unsigned());
            let lag = driver.now - sealed_at;
            assert!(lag > SECOND || floor == 0, "{lag:?} at {seq}");
            assert!(lag < SECOND * 2 + ms(10), "{lag:?} at {seq}");
        }
        driver.some(seq);
    }
}

#[test]
fn the_floor_catches_up_after_a_burst_and_a_pause() {
    let mut driver = Driver::asleep(0);
    assert_eq!(driver.next(), floor(0));
    (1..=500).for_each(|seq| driver.full(seq));
    driver.empty();
    assert_eq!(driver.next(), START);
    driver.empty();
    assert_eq!(driver.next(), Next::Sleep(None));
    driver.pass(SECOND * 2);
    assert_eq!(driver.next(), floor(500));
}

#[test]
fn the_floor_moves_during_a_burst_too() {
    let mut driver = Driver::asleep(0);
    for seq in 1..=3000 {
        assert!(matches!(driver.next(), Next::Scan(_)));
        driver.full(seq);
    }
    assert!(matches!(driver.next(), Next::Scan(_)));
    driver.some(3001);
    assert_eq!(driver.next(), START);
    driver.some(3002);
    let Next::Scan(ScanFrom::Floor(floor)) = driver.next() else {
        panic!("no scan from the floor");
    };
    assert!((1002..2002).contains(&floor), "{floor}");
}

#[test]
fn a_late_row_does_not_pull_the_floor_down() {
    let mut driver = Driver::asleep(500);
    assert_eq!(driver.next(), floor(500));
    driver.empty();
    assert_eq!(driver.next(), START);
    driver.some(3);
    driver.pass(ms(5));
    assert_eq!(driver.next(), floor(500));
    driver.pass(ms(20));
    driver.empty();
    assert_eq!(driver.next(), START);
    driver.empty();
    assert_eq!(driver.next(), Next::Sleep(None));
    driver.pass(SECOND * 5);
    assert_eq!(driver.next(), floor(500));
}

/// A row of the queue.
#[derive(Clone, Copy, Debug)]
struct Row {
    seq: i64,
    /// When its transaction commits, since the beginning.
    commit: Duration,
}

/// The worker's loop over a queue in which rows become visible at their commit.
struct Simulation {
    driver: Driver,
    begin: Instant,
    rows: Vec<Row>,
    batch: usize,
    scan_cost: Duration,
    /// When each row was sealed, by `seq`.
    sealed: BTreeMap<i64, Duration>,
    /// When the latch was reset last: the commits up to here were visible to the last scan.
    latch_reset: Duration,
    last_scan: Option<(ScanFrom, usize)>,
}

const POLL: Duration = Duration::from_secs(10);

impl Simulation {
    fn new(mut rows: Vec<Row>, batch: usize, scan_cost: Duration) -> Self {
        rows.sort_by_key(|row| row.seq);
        let driver = Driver::new();
        Self {
            begin: driver.now,
            driver,
            rows,
            batch,
            scan_cost,
            sealed: BTreeMap::new(),
            latch_reset: Duration::ZERO,
            last_scan: None,
        }
    }

    fn clock(&self) -> Duration {
        self.driver.now - self.begin
    }

    /// Runs until everything is sealed and the worker sleeps.
    fn run(mut self) -> Self {
        for _ in 0..1_000_000 {
            match self.driver.next() {
                Next::Scan(from) => self.scan(from),
                Next::Sleep(limit) => {
                    self.check_sleep(limit);
                    if limit.is_none() && self.sealed.len() == self.rows.len() {
                        return self;
                    }
                    self.sleep(limit.unwrap_or(POLL));
                }
            }
        }
        panic!("the worker is spinning at {:?}", self.clock());
    }

    fn scan(&mut self, from: ScanFrom) {
        let visible_until = self.clock();
        self.latch_reset = visible_until;
        let waiting = self.rows.iter().filter(|row| {
            let reached = match from {
                ScanFrom::Start => true,
                ScanFrom::Floor(floor) => row.seq > floor,
            };
            reached && row.commit <= visible_until && !self.sealed.contains_key(&row.seq)
        });
        let taken: Vec<_> = waiting.take(self.batch).map(|row| row.seq).collect();
        self.driver.found(taken.last().copied(), taken.len() == self.batch, self.scan_cost);
        let now = self.clock();
        self.sealed.extend(taken.iter().map(|seq| (*seq, now)));
        self.last_scan = Some((from, taken.len()));
    }

    fn check_sleep(&self, limit: Option<Duration>) {
        let Some(limit) = limit else {
            assert_eq!(self.last_scan, Some((ScanFrom::Start, 0)));
            return;
        };
        assert!(limit > Duration::ZERO && limit <= SECOND.min(self.scan_cost * 10));
        assert_eq!(self.last_scan.unwrap().1, 0);
    }

    fn sleep(&mut self, limit: Duration) {
        let now = self.clock();
        let commits = self.rows.iter().map(|row| row.commit);
        let latch = commits.filter(|commit| *commit > self.latch_reset).min();
        let woken = latch.map_or(now + limit, |commit| commit.max(now).min(now + limit));
        self.driver.pass(woken - now);
    }

    fn longest_wait(&self) -> Duration {
        let wait = |row: &Row| self.sealed[&row.seq] - row.commit;
        self.rows.iter().map(wait).max().unwrap_or_default()
    }
}

#[test]
fn late_commits_in_a_burst_wait_about_a_second() {
    // 4,000 rows a second, each seq a quarter of a millisecond; a scan seals 4 in a millisecond, so all are full.
    let mut rows: Vec<_> = (1..=20_000)
        .map(|seq| Row { seq: seq * 2, commit: Duration::from_micros(seq.cast_unsigned() * 250) })
        .collect();
    // Odd ones draw a low seq and commit much later, at times that fit no other rhythm.
    let late: Vec<_> = (0..12).map(|n| Row { seq: n * 10 + 1, commit: ms(100 + n.cast_unsigned() * 391) }).collect();
    rows.extend(&late);
    let done = Simulation::new(rows, 4, ms(1)).run();
    for row in late {
        let wait = done.sealed[&row.seq] - row.commit;
        assert!(wait <= SECOND + ms(5), "{row:?} waited {wait:?}");
    }
    assert!(done.longest_wait() <= SECOND + ms(5));
}

#[test]
fn slightly_late_commits_do_not_wait() {
    // Pairs of rows whose order of commit is the reverse of their seq, half a second apart.
    let rows = (0..100).map(|n: u64| Row { seq: (n ^ 1).cast_signed(), commit: ms(n * 500) });
    let done = Simulation::new(rows.collect(), 10, ms(1)).run();
    assert!(done.longest_wait() <= ms(20), "{:?}", done.longest_wait());
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    // Commits come in any order, in clusters and with pauses.
    let commit = prop_oneof![0_u64..20_000_000, 3_000_000_u64..3_100_000, 9_000_000_u64..9_001_000];
    prop::collection::vec(commit, 0..300).prop_map(|commits| {
        let row = |(seq, micros)| Row { seq, commit: Duration::from_micros(micros) };
        (1..).zip(commits).map(row).collect()
    })
}

proptest! {
    #[test]
    fn every_row_is_sealed_within_about_a_second(
        rows in rows(), batch in 1_usize..50, cost in 1_u64..3000,
    ) {
        let cost = Duration::from_micros(cost);
        let scans = u32::try_from(rows.len() / batch).unwrap() + 5;
        let done = Simulation::new(rows, batch, cost).run();
        prop_assert!(done.longest_wait() <= SECOND + cost * scans, "{:?}", done.longest_wait());
    }
}
