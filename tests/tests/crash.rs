//! Nothing that was acknowledged is lost and nothing is sealed twice when processes die.

use std::time::{Duration, Instant};

use postgres::NoTls;
use trustlog_tests::load::{Fate, Load, Way};
use trustlog_tests::measure::Random;
use trustlog_tests::{Cluster, Signal, audit, measure, wait};

const WRITERS: u64 = 12;

/// What happens to the server, in turn.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Blow {
    /// `pg_terminate_backend` of the worker.
    Terminate,
    /// SIGKILL of the worker: the server ends all its processes and recovers.
    Kill,
    /// `pg_ctl -m immediate restart`.
    Restart,
}

/// The worker's process, once there is one that has finished starting.
fn worker(cluster: &Cluster) -> i32 {
    wait::value(wait::PATIENCE, "the worker runs", || {
        let mut client = cluster.config("app", "postgres").connect(NoTls).ok()?;
        let running = "SELECT pid FROM trustlog.stat_worker WHERE datname = 'app' AND state <> 'starting'";
        Some(client.query_opt(running, &[]).ok()??.get(0))
    })
}

fn strike(cluster: &Cluster, blow: Blow) {
    let victim = worker(cluster);
    match blow {
        Blow::Terminate => {
            let mut client = cluster.connect("app");
            client.execute("SELECT pg_terminate_backend($1)", &[&victim]).unwrap();
        }
        Blow::Kill => cluster.signal(victim, Signal::KILL),
        Blow::Restart => cluster.restart_immediate(),
    }
    wait::until(wait::PATIENCE, "there is another worker", || worker(cluster) != victim);
}

/// Strikes until the time is over; returns how often each blow fell.
fn strike_until(cluster: &Cluster, until: Instant) -> [usize; 3] {
    let (mut random, mut blows) = (Random::new(7), [0; 3]);
    // The server's restarts also end the launcher's back-off, so every second blow is one of them.
    let turns = [Blow::Kill, Blow::Terminate, Blow::Restart, Blow::Terminate];
    for blow in turns.into_iter().cycle() {
        let pause = Duration::from_millis(300 + random.below(2000));
        if Instant::now() + pause > until {
            break;
        }
        std::thread::sleep(pause);
        strike(cluster, blow);
        blows[blow as usize] += 1;
    }
    blows
}

#[test]
fn crashes_lose_nothing_acknowledged_and_seal_nothing_twice() {
    let time = measure::seconds("TRUSTLOG_CRASH_SECONDS", 40);
    let cluster = Cluster::builder()
        .fsync(true)
        .setting("trustlog.seal_batch_size", 40)
        .setting("max_prepared_transactions", 2 * WRITERS)
        .start();
    drop(cluster.create_db("app"));
    worker(&cluster);
    let load = Load::new(&cluster, "app", time, true);
    let (journal, blows) = std::thread::scope(|scope| {
        let strikes = scope.spawn(|| strike_until(&cluster, load.until));
        let journal = load.run(WRITERS);
        (journal, strikes.join().expect("the striker failed"))
    });
    println!("blows: {} terminate, {} kill, {} restart", blows[0], blows[1], blows[2]);
    let mut client = cluster.connect("app");
    let log = audit::check(&mut client);
    journal.print(&log);
    journal.compare(&log);

    let prepared: i64 = client.query_one("SELECT count(*) FROM pg_prepared_xacts", &[]).unwrap().get(0);
    assert_eq!(prepared, 0, "a writer left something prepared");
    assert!(blows.iter().all(|blows| *blows > 0), "{blows:?}");
    assert!(journal.lost > 0, "no connection was lost");
    assert!(journal.unknown() + journal.count(Way::Retried, Fate::Committed) > 0, "no commit was cut off");
    let log = cluster.log();
    assert!(!log.contains("PANIC") && !log.contains("an error, to be tried again"), "{}", cluster.log_end());
}
