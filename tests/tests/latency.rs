//! Commits wake the worker: records are attested at once, and an idle worker costs nothing.
//!
//! The poll interval is ten minutes, so whatever is found in time was announced. What was measured is printed
//! (`--nocapture`).

use std::time::{Duration, Instant};

use postgres::{Client, Statement};
use trustlog_tests::measure::{self, Random, Times};
use trustlog_tests::operation::{Operation, SAVE};
use trustlog_tests::{Cluster, audit, wait};

/// A wake-up that is missing shows as ten minutes, one that is late by a whole scan interval as a second.
const AT_ONCE: Duration = Duration::from_secs(1);

fn cluster() -> Cluster {
    Cluster::builder().setting("trustlog.poll_interval", "10min").setting("max_prepared_transactions", 100).start()
}

fn save(client: &mut impl postgres::GenericClient, operation: &Operation) -> i64 {
    operation.save_params(|params| client.query_one(SAVE, params)).unwrap().get(0)
}

/// Sees from outside when a record is attested.
struct Watcher {
    client: Client,
    status: Statement,
}

impl Watcher {
    fn new(cluster: &Cluster) -> Self {
        let mut client = cluster.connect("app");
        let status = "SELECT trustlog_status = 'TRUSTLOGGED' FROM trustlog.operation_status WHERE seq = $1";
        let status = client.prepare(status).unwrap();
        Self { client, status }
    }

    fn is_attested(&mut self, seq: i64) -> bool {
        self.client.query_one(&self.status, &[&seq]).unwrap().get(0)
    }

    /// How long after `committed` the record is attested.
    fn wait(&mut self, seq: i64, committed: Instant) -> Duration {
        while !self.is_attested(seq) {
            assert!(committed.elapsed() < wait::PATIENCE, "record {seq} is not attested");
        }
        committed.elapsed()
    }
}

/// Saves until told to stop.
fn traffic(cluster: &Cluster, name: &str, until: impl Fn() -> bool) {
    let mut client = cluster.connect("app");
    for number in 0.. {
        if until() {
            break;
        }
        save(&mut client, &Operation::new(format!("{name}-{number}")));
    }
}

#[test]
fn no_commit_waits_for_the_next_poll() {
    let cluster = cluster();
    let mut client = cluster.create_db("app");
    let mut watcher = Watcher::new(&cluster);
    let first = save(&mut client, &Operation::new("first"));
    watcher.wait(first, Instant::now());
    let mut random = Random::new(1);
    let times = (0..500).map(|number| {
        // Meets the worker asleep, just falling asleep, and at work.
        let pause = [0, 0, 0, 1, 2, 5, 10, 40][usize::try_from(random.below(8)).unwrap()];
        std::thread::sleep(Duration::from_millis(pause));
        let seq = save(&mut client, &Operation::new(format!("op-{number}")));
        watcher.wait(seq, Instant::now())
    });
    let times = Times::of(times.collect()).print("commit to TRUSTLOGGED");
    assert!(times.percentile(99) < AT_ONCE);
    audit::check(&mut client);
}

/// Opens transactions that save, lets others commit for so long that the scan's floor passes theirs, and measures how
/// long each waits after its own commit.
fn measure_late_commits(cluster: &Cluster, busy: bool) -> Times {
    let name = if busy { "busy" } else { "calm" };
    let mut watcher = Watcher::new(cluster);
    let mut late: Vec<_> = (0..20)
        .map(|number| {
            let mut client = cluster.connect("app");
            client.batch_execute("BEGIN").unwrap();
            let seq = save(&mut client, &Operation::new(format!("late-{name}-{number}")));
            (client, seq)
        })
        .collect();
    let opened = Instant::now();
    traffic(cluster, &format!("{name}-before"), || opened.elapsed() > Duration::from_millis(2500));
    let mut commit = |late: &mut Vec<(Client, i64)>| {
        let mut random = Random::new(2);
        let times = late.iter_mut().map(|(client, seq)| {
            std::thread::sleep(Duration::from_millis(random.below(150)));
            client.batch_execute("COMMIT").unwrap();
            watcher.wait(*seq, Instant::now())
        });
        Times::of(times.collect())
    };
    if !busy {
        return commit(&mut late);
    }
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            traffic(cluster, "busy-meanwhile", || done.load(std::sync::atomic::Ordering::Relaxed));
        });
        let times = commit(&mut late);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        others.join().unwrap();
        times
    })
}

#[test]
fn no_transaction_that_commits_late_waits_for_the_next_poll() {
    let cluster = cluster();
    let mut client = cluster.create_db("app");
    let calm = measure_late_commits(&cluster, false).print("late commit to TRUSTLOGGED, nothing else going on");
    assert!(calm.percentile(99) < AT_ONCE);
    // A scan from the start is due once a second while others keep the worker busy.
    let busy = measure_late_commits(&cluster, true).print("late commit to TRUSTLOGGED, others committing");
    assert!(busy.percentile(99) < 2 * AT_ONCE);
    audit::check(&mut client);
}

#[test]
fn no_prepared_transaction_waits_for_the_next_poll() {
    let cluster = cluster();
    let mut client = cluster.create_db("app");
    let mut other = cluster.connect("app");
    let mut watcher = Watcher::new(&cluster);
    let times = (0..50).map(|number| {
        client.batch_execute("BEGIN").unwrap();
        let seq = save(&mut client, &Operation::new(format!("op-{number}")));
        client.batch_execute("PREPARE TRANSACTION 'p'").unwrap();
        // Whichever session carries it out.
        let who = if number % 2 == 0 { &mut client } else { &mut other };
        who.batch_execute("COMMIT PREPARED 'p'").unwrap();
        watcher.wait(seq, Instant::now())
    });
    let times = Times::of(times.collect()).print("COMMIT PREPARED to TRUSTLOGGED");
    assert!(times.percentile(99) < AT_ONCE);
    audit::check(&mut client);
}

#[test]
fn wait_for_attestation_does_not_wait_longer_than_it_takes() {
    let cluster = cluster();
    let mut client = cluster.create_db("app");
    let times = (0..200).map(|number| {
        let operation = Operation::new(format!("op-{number}"));
        save(&mut client, &operation);
        let start = Instant::now();
        wait_for(&mut client, &operation);
        start.elapsed()
    });
    let times = Times::of(times.collect()).print("wait_for_attestation() after commit");
    assert!(times.percentile(99) < AT_ONCE);

    // It looks by itself once a second: that it returns sooner is because it was told.
    let mut waiter = cluster.connect("app");
    let times = (0..20).map(|number| {
        let operation = Operation::new(format!("paused-{number}"));
        client.execute("SELECT trustlog.pause('all')", &[]).unwrap();
        save(&mut client, &operation);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                wait_for(&mut waiter, &operation);
                Instant::now()
            });
            wait::until(wait::PATIENCE, "the session waits", || {
                let waits = "SELECT count(*) FROM pg_stat_activity
                              WHERE query LIKE '%wait_for_attestation($1%' AND wait_event_type = 'Extension' AND state = 'active'";
                client.query_one(waits, &[]).unwrap().get::<_, i64>(0) == 1
            });
            client.execute("SELECT trustlog.resume()", &[]).unwrap();
            let resumed = Instant::now();
            waiting.join().unwrap().saturating_duration_since(resumed)
        })
    });
    let times = Times::of(times.collect()).print("resume() to the end of wait_for_attestation()");
    assert!(times.percentile(50) < AT_ONCE / 4);
}

fn wait_for(client: &mut Client, operation: &Operation) {
    let wait = "SELECT trustlog.wait_for_attestation($1, '30 s')";
    assert!(client.query_one(wait, &[&operation.op_id]).unwrap().get::<_, bool>(0), "it timed out");
}

/// What an idle server does that can be seen: the next transaction id, and the end of the WAL.
fn traces(client: &mut Client) -> (String, String) {
    let traces = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text, pg_current_wal_insert_lsn()::text";
    let row = client.query_one(traces, &[]).unwrap();
    (row.get(0), row.get(1))
}

#[test]
fn an_idle_worker_uses_no_transaction_ids_and_writes_no_wal() {
    let time = measure::seconds("TRUSTLOG_IDLE_SECONDS", 60);
    // Polls often. Without what PostgreSQL itself writes while idle: autovacuum, timed checkpoints, and the running
    // transactions that the background writer logs for standbys.
    let cluster = Cluster::builder()
        .setting("trustlog.poll_interval", "1s")
        .setting("autovacuum", "off")
        .setting("checkpoint_timeout", "1d")
        .setting("wal_level", "minimal")
        .setting("max_wal_senders", 0)
        .start();
    let mut client = cluster.create_db("app");
    for number in 0..1000 {
        save(&mut client, &Operation::new(format!("op-{number}")));
    }
    audit::check(&mut client);

    // The first polls after work may still tidy up pages.
    let mut polls = Polls::new(&cluster);
    wait::until(wait::PATIENCE, "the worker has come to rest", || {
        let before = traces(&mut client);
        polls.wait_for_more(3);
        before == traces(&mut client)
    });
    let (start, before, seen) = (Instant::now(), traces(&mut client), polls.seen);
    while start.elapsed() < time {
        polls.wait_for_more(1);
        assert_eq!(traces(&mut client), before, "after {:?}", start.elapsed());
    }
    let polled = polls.seen - seen;
    println!("{polled} polls in {:?} left no trace", start.elapsed());
    assert!(polled >= time.as_secs() / 2, "the worker polled only {polled} times");

    // Rest is not death.
    let seq = save(&mut client, &Operation::new("last"));
    Watcher::new(&cluster).wait(seq, Instant::now());
    assert_ne!(traces(&mut client), before);
}

/// Counts the polls of the worker, which shows each in pg_stat_activity.
struct Polls {
    client: Client,
    last: String,
    seen: u64,
}

impl Polls {
    fn new(cluster: &Cluster) -> Self {
        Self { client: cluster.connect("app"), last: String::new(), seen: 0 }
    }

    fn wait_for_more(&mut self, count: u64) {
        let end = self.seen + count;
        wait::until(wait::PATIENCE, "the worker polls", || {
            let at = "SELECT state_change::text FROM pg_stat_activity WHERE backend_type = 'trustlog worker' AND state = 'idle'";
            let at = self.client.query_opt(at, &[]).unwrap().map(|row| row.get(0));
            if let Some(at) = at.filter(|at| *at != self.last) {
                self.last = at;
                self.seen += 1;
            }
            self.seen >= end
        });
    }
}
