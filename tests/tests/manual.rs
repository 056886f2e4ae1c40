//! Sink `manual`: callers attest through SQL, many at a time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use postgres::{Client, Statement};
use trustlog_core::model::Strategy;
use trustlog_tests::measure::{self, Random, Times};
use trustlog_tests::operation::{self, Operation};
use trustlog_tests::{Builder, Cluster, audit, wait};

/// The poll finds nothing in time: whatever is sealed soon was announced.
fn manual() -> Builder {
    Cluster::builder()
        .setting("trustlog.sink", "manual")
        .setting("trustlog.poll_interval", "10min")
        .setting("max_prepared_transactions", 10)
}

fn operations(name: &str, count: usize) -> Vec<Operation> {
    let strategy = |number| if number % 5 == 0 { Strategy::TrustlogOnly } else { Strategy::DbAndTrustlog };
    (0..count).map(|number| Operation::with(format!("{name}-{number}"), 0, strategy(number))).collect()
}

fn insert(client: &mut Client, operations: &[Operation]) {
    for part in operations.chunks(500) {
        client.batch_execute(&operation::insert(part)).unwrap();
    }
}

fn count(client: &mut Client, from: &str) -> i64 {
    client.query_one(&format!("SELECT count(*) FROM {from}"), &[]).unwrap().get(0)
}

fn op_ids(rows: Vec<postgres::Row>) -> HashSet<String> {
    rows.into_iter().map(|row| row.get(0)).collect()
}

/// Every operation is TRUSTLOGGED, in the log with its content, and erased if it is TRUSTLOG_ONLY.
fn check_all_attested(client: &mut Client, operations: &[Operation]) {
    let log = audit::check(client);
    assert_eq!(log.leaves.len(), operations.len());
    for operation in operations {
        let found = &log.operations[&operation.op_id];
        assert!(found.attested, "{} is not attested", operation.op_id);
        assert_eq!(found.erased, operation.strategy == Strategy::TrustlogOnly, "{}", operation.op_id);
        assert_eq!(found.leaf.map(|leaf| leaf.1), Some(operation.leaf_hash(&found.salt)));
    }
    assert_eq!(count(client, "trustlog.unattested"), 0);
    assert_eq!(count(client, "trustlog.find_untrustlogged(100)"), 0);
    let behind: i64 = client.query_one("SELECT not_attested FROM trustlog.stat", &[]).unwrap().get(0);
    assert_eq!(behind, 0);
}

#[test]
fn a_status_is_not_won_by_two_sessions() {
    const SESSIONS: usize = 32;
    const RECORDS: usize = 1000;
    let cluster = manual().setting("max_connections", 50).start();
    let mut client = cluster.create_db("app");
    // The first half is sealed before the race, the rest during it.
    let operations = operations("op", RECORDS);
    insert(&mut client, &operations[..RECORDS / 2]);
    audit::wait_until_sealed(&mut client);
    client.execute("SELECT trustlog.pause('all')", &[]).unwrap();
    insert(&mut client, &operations[RECORDS / 2..]);

    let wins: Vec<AtomicUsize> = (0..RECORDS).map(|_| AtomicUsize::new(0)).collect();
    let (start, halfway) = (Barrier::new(SESSIONS), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..SESSIONS {
            scope.spawn(|| {
                let mut client = cluster.connect("app");
                let cas = "SELECT trustlog.update_status_cas($1, 'NOT_TRUSTLOGGED', 'TRUSTLOGGED')";
                let cas = client.prepare(cas).unwrap();
                start.wait();
                for (number, operation) in operations.iter().enumerate() {
                    if number == RECORDS * 3 / 4 && halfway.fetch_add(1, Relaxed) == 0 {
                        client.execute("SELECT trustlog.resume()", &[]).unwrap();
                    }
                    if client.query_one(&cas, &[&operation.op_id]).unwrap().get(0) {
                        wins[number].fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    for (number, wins) in wins.iter().enumerate() {
        assert_eq!(wins.load(Relaxed), 1, "winners of record {number}");
    }
    assert_eq!(count(&mut client, "trustlog.attestation"), i64::try_from(RECORDS).unwrap());
    check_all_attested(&mut client, &operations);
}

/// What the sessions of a loop have found so far.
#[derive(Default)]
struct Findings {
    /// Records that a session holds, or has attested.
    taken: Mutex<HashSet<String>>,
    attested: AtomicUsize,
    given_back: AtomicUsize,
    in_outbox: AtomicUsize,
    in_outbox_for_log_only: AtomicUsize,
    in_log: AtomicUsize,
}

/// Finds, attests, commits or rolls back, until `total` records are attested.
fn attest_in_a_loop(cluster: &Cluster, seed: u64, total: usize, findings: &Findings) {
    let (mut client, mut random) = (cluster.connect("app"), Random::new(seed));
    let find = "SELECT op_id, leaf_index IS NULL, strategy FROM trustlog.find_untrustlogged_with_lock($1)";
    let find = client.prepare(find).unwrap();
    let attest = "SELECT trustlog.update_status(u.op_id, 'TRUSTLOGGED') FROM unnest($1::text[]) AS u (op_id)";
    let attest = client.prepare(attest).unwrap();
    wait::until(Duration::from_secs(90), "all records are attested", || {
        let mut transaction = client.transaction().unwrap();
        let most = i32::try_from(20 + random.below(180)).unwrap();
        let rows = transaction.query(&find, &[&most]).unwrap();
        let op_ids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        {
            let mut taken = findings.taken.lock().unwrap();
            for op_id in &op_ids {
                assert!(taken.insert(op_id.clone()), "{op_id} was found twice");
            }
        }
        transaction.execute(&attest, &[&op_ids]).unwrap();
        if random.chance(10) {
            let mut taken = findings.taken.lock().unwrap();
            for op_id in &op_ids {
                taken.remove(op_id);
            }
            drop(taken);
            transaction.rollback().unwrap();
            findings.given_back.fetch_add(op_ids.len(), Relaxed);
        } else {
            transaction.commit().unwrap();
            findings.attested.fetch_add(op_ids.len(), Relaxed);
            for row in rows {
                match (row.get(1), row.get(2)) {
                    (true, "TRUSTLOG_ONLY") => findings.in_outbox_for_log_only.fetch_add(1, Relaxed),
                    (true, _) => findings.in_outbox.fetch_add(1, Relaxed),
                    (false, _) => findings.in_log.fetch_add(1, Relaxed),
                };
            }
        }
        findings.attested.load(Relaxed) >= total
    });
}

#[test]
fn no_record_is_found_by_two_sessions_that_attest_in_loops() {
    const SESSIONS: u64 = 8;
    const RECORDS: usize = 20_000;
    // Small batches: records stay in the outbox for a while, and the worker takes them while others lock them.
    let cluster = manual().setting("trustlog.seal_batch_size", 50).start();
    let mut client = cluster.create_db("app");
    // The first half is in the log when the sessions begin; the rest comes while they are at it.
    let operations = operations("op", RECORDS);
    insert(&mut client, &operations[..RECORDS / 2]);
    audit::wait_until_sealed(&mut client);
    let findings = Findings::default();
    std::thread::scope(|scope| {
        for session in 0..SESSIONS {
            let (cluster, findings) = (&cluster, &findings);
            scope.spawn(move || attest_in_a_loop(cluster, session + 1, RECORDS, findings));
        }
        // Some of it is attested while it waits in the outbox for certain, the rest while the worker takes it.
        client.batch_execute("SELECT trustlog.pause('all')").unwrap();
        let (waiting, rest) = operations[RECORDS / 2..].split_at(RECORDS / 4);
        insert(&mut client, waiting);
        wait::until(wait::PATIENCE, "records are attested in the outbox", || {
            findings.in_outbox.load(Relaxed) > 0 && findings.in_outbox_for_log_only.load(Relaxed) > 0
        });
        client.batch_execute("SELECT trustlog.resume()").unwrap();
        insert(&mut client, rest);
    });
    let [given_back, in_outbox, in_outbox_for_log_only, in_log] =
        [&findings.given_back, &findings.in_outbox, &findings.in_outbox_for_log_only, &findings.in_log]
            .map(|number| number.load(Relaxed));
    println!(
        "attested in the outbox: {in_outbox} and {in_outbox_for_log_only} TRUSTLOG_ONLY; in the log: {in_log}; given back: {given_back}"
    );
    check_all_attested(&mut client, &operations);
    assert_eq!(count(&mut client, "trustlog.attestation"), i64::try_from(RECORDS).unwrap());
    for tried in [given_back, in_outbox, in_outbox_for_log_only, in_log] {
        assert!(tried > 0);
    }
    let log = cluster.log();
    assert!(!log.contains("deadlock") && !log.contains("to be tried again"), "{}", cluster.log_end());
}

/// How a session that holds records ends without attesting them.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Rollback,
    RollbackToSavepoint,
    Disconnect,
    Terminate,
    RollbackPrepared,
}

const ENDINGS: [Ending; 5] =
    [Ending::Rollback, Ending::RollbackToSavepoint, Ending::Disconnect, Ending::Terminate, Ending::RollbackPrepared];

/// Has a session lock all there is, and attest some of it. Other sessions then find nothing.
fn hold(cluster: &Cluster, all: &HashSet<String>) -> Client {
    let mut holder = cluster.connect("app");
    holder.batch_execute("BEGIN; SAVEPOINT s").unwrap();
    let find = "SELECT op_id FROM trustlog.find_untrustlogged_with_lock(100)";
    assert_eq!(op_ids(holder.query(find, &[]).unwrap()), *all);
    let some = all.iter().min().unwrap();
    holder.execute("SELECT trustlog.update_status($1, 'TRUSTLOGGED')", &[some]).unwrap();
    assert_eq!(cluster.connect("app").query(find, &[]).unwrap().len(), 0, "found twice");
    holder
}

fn end(cluster: &Cluster, mut holder: Client, ending: Ending) {
    match ending {
        Ending::Rollback => holder.batch_execute("ROLLBACK").unwrap(),
        Ending::RollbackToSavepoint => holder.batch_execute("ROLLBACK TO SAVEPOINT s; COMMIT").unwrap(),
        Ending::Disconnect => drop(holder),
        Ending::Terminate => {
            let pid: i32 = holder.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
            cluster.connect("app").execute("SELECT pg_terminate_backend($1)", &[&pid]).unwrap();
        }
        Ending::RollbackPrepared => {
            holder.batch_execute("PREPARE TRANSACTION 'held'").unwrap();
            drop(holder);
            cluster.connect("app").batch_execute("ROLLBACK PREPARED 'held'").unwrap();
        }
    }
}

/// Waits until exactly these are found, and leaves them.
fn expect_given_back(cluster: &Cluster, all: &HashSet<String>, ending: Ending) {
    let find = "SELECT op_id FROM trustlog.find_untrustlogged_with_lock(100)";
    let mut client = cluster.connect("app");
    wait::until(wait::PATIENCE, &format!("{ending:?} gives records back"), || {
        op_ids(client.query(find, &[]).unwrap()) == *all
    });
}

#[test]
fn no_record_stays_with_a_session_that_does_not_attest_it() {
    let cluster = manual().start();
    let mut client = cluster.create_db("app");
    let operations = operations("op", 30);
    let all: HashSet<String> = operations.iter().map(|operation| operation.op_id.clone()).collect();
    // First while they are in the outbox, then when they are in the log.
    client.execute("SELECT trustlog.pause('all')", &[]).unwrap();
    insert(&mut client, &operations);
    for sealed in [false, true] {
        if sealed {
            client.execute("SELECT trustlog.resume()", &[]).unwrap();
            audit::check(&mut client);
        }
        for ending in ENDINGS {
            let holder = hold(&cluster, &all);
            end(&cluster, holder, ending);
            expect_given_back(&cluster, &all, ending);
        }
    }
}

#[test]
fn no_record_stays_unsealed_that_a_session_held_and_gave_back() {
    let cluster = manual().start();
    let mut client = cluster.create_db("app");
    for (number, ending) in ENDINGS.into_iter().enumerate() {
        client.execute("SELECT trustlog.pause('all')", &[]).unwrap();
        let operations = operations(&format!("op{number}"), 30);
        insert(&mut client, &operations);
        let all = operations.iter().map(|operation| operation.op_id.clone()).collect();
        let holder = hold(&cluster, &all);
        client.execute("SELECT trustlog.resume()", &[]).unwrap();
        // The worker seals what is not held, and comes to rest.
        let free = Operation::new(format!("free{number}"));
        insert(&mut client, std::slice::from_ref(&free));
        wait::until(wait::PATIENCE, "what is free is sealed", || {
            count(&mut client, &format!("trustlog.read_log(0, 1000) WHERE op_id = '{}'", free.op_id)) == 1
        });
        wait::until(wait::PATIENCE, "the worker rests", || {
            count(&mut client, "trustlog.stat_worker WHERE state = 'idle'") == 1
        });
        assert_eq!(count(&mut client, "trustlog.outbox"), 30, "held records were sealed");
        end(&cluster, holder, ending);
        wait::until(wait::PATIENCE / 3, &format!("records are sealed after {ending:?}"), || {
            count(&mut client, "trustlog.outbox") == 0
        });
        let attest = "SELECT trustlog.update_status(f.op_id, 'TRUSTLOGGED') FROM trustlog.find_untrustlogged(100) f";
        client.execute(attest, &[]).unwrap();
    }
    audit::check(&mut client);
}

/// The pages that finding 100 records touches, and how long it takes.
fn measure_finding(client: &mut Client, what: &str) -> i64 {
    let explain = "EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM trustlog.find_untrustlogged(100)";
    let plan: Vec<String> = client.query(explain, &[]).unwrap().iter().map(|row| row.get(0)).collect();
    let buffers = plan.iter().find_map(|line| line.trim().strip_prefix("Buffers: shared ")).expect("buffers");
    let buffers = buffers.split_whitespace().filter_map(|part| part.split_once('='));
    let buffers =
        buffers.filter(|(kind, _)| ["hit", "read"].contains(kind)).map(|(_, n)| n.parse::<i64>().unwrap()).sum();
    let find: Statement = client.prepare("SELECT * FROM trustlog.find_untrustlogged(100)").unwrap();
    let times = (0..50).map(|_| {
        let start = Instant::now();
        assert_eq!(client.query(&find, &[]).unwrap().len(), 100);
        start.elapsed()
    });
    let _ = Times::of(times.collect()).print(&format!("find_untrustlogged(100), {what}, {buffers} pages"));
    buffers
}

#[test]
fn finding_what_is_unattested_does_not_slow_down_as_the_log_grows() {
    // A million takes minutes to make: TRUSTLOG_FIND_RECORDS=1000000.
    let records = usize::try_from(measure::number("TRUSTLOG_FIND_RECORDS", 100_000)).unwrap();
    let cluster = Cluster::builder().start();
    let mut client = cluster.create_db("app");
    let many = format!(
        "INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository)
         SELECT 'op-' || n, 'actor', '86.1/' || n, 'producer', 'source', 1, 'repository' FROM generate_series(1, {records}) n"
    );
    client.batch_execute(&many).unwrap();
    wait::until(6 * wait::PATIENCE, "everything is sealed and with that attested", || {
        count(&mut client, "trustlog.outbox") == 0
    });
    // From now on by hand: attested by hand and not yet, sealed and not yet.
    client.batch_execute("ALTER DATABASE app SET trustlog.sink = 'manual'").unwrap();
    let mut probes = 0;
    wait::until(wait::PATIENCE, "the worker has the new setting", || {
        probes += 1;
        insert(&mut client, &[Operation::new(format!("probe-{probes}"))]);
        audit::wait_until_sealed(&mut client);
        count(&mut client, "trustlog.unattested") > 0
    });
    insert(&mut client, &operations("by-hand", 2000));
    audit::wait_until_sealed(&mut client);
    let attest = "SELECT trustlog.update_status(f.op_id, 'TRUSTLOGGED') FROM trustlog.find_untrustlogged(10000) f";
    client.execute(attest, &[]).unwrap();
    insert(&mut client, &operations("sealed", 50));
    audit::wait_until_sealed(&mut client);
    client.execute("SELECT trustlog.pause('all')", &[]).unwrap();
    insert(&mut client, &operations("waiting", 50));

    let before = measure_finding(&mut client, &format!("{records} attested"));
    client.batch_execute("VACUUM ANALYZE").unwrap();
    let after = measure_finding(&mut client, "after VACUUM ANALYZE");
    // Ten pages a record are three index look-ups. Until vacuum has been there, dead entries of the outbox's index come on
    // top, some hundreds a page; a look at every record would be five pages for each.
    assert!(before < 2000 + i64::try_from(records / 100).unwrap(), "{before} pages for 100 records");
    assert!(after < 2000, "{after} pages for 100 records after VACUUM");
}

#[test]
fn an_old_snapshot_changes_no_status_by_halves() {
    let cluster = manual().start();
    let mut client = cluster.create_db("app");
    let mut old = cluster.connect("app");
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").unwrap();
    insert(&mut client, &operations("op", 2));
    audit::wait_until_sealed(&mut client);
    // What it would have to remove is newer than what it sees.
    let refused = old.batch_execute("SELECT trustlog.update_status('op-0', 'TRUSTLOGGED')").unwrap_err();
    assert_eq!(refused.code().map(|code| code.code()), Some("40001"), "{refused}");
    old.batch_execute("ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").unwrap();
    old.batch_execute("SELECT trustlog.update_status('op-0', 'TRUSTLOGGED'); COMMIT").unwrap();
    client.batch_execute("SELECT trustlog.update_status('op-1', 'TRUSTLOGGED')").unwrap();
    check_all_attested(&mut client, &operations("op", 2));
}

#[test]
fn the_sealer_does_not_wait_for_a_session_that_retries() {
    let cluster = manual().setting("trustlog.sink", "log").start();
    let mut client = cluster.create_db("app");
    client.batch_execute("SELECT trustlog.pause('all')").unwrap();
    insert(&mut client, &operations("op", 10));
    client.batch_execute("SELECT trustlog.add_retry('op-1', 'failed', now())").unwrap();
    let mut retrying = cluster.connect("app");
    retrying.batch_execute("BEGIN").unwrap();
    assert_eq!(count(&mut retrying, "trustlog.find_pending_retries_with_lock(10)"), 1);
    client.batch_execute("SELECT trustlog.resume()").unwrap();
    audit::wait_until_sealed(&mut client);
    retrying.batch_execute("COMMIT").unwrap();
    // It was attested by its sealing: nobody is told to retry it.
    assert_eq!(count(&mut client, "trustlog.find_pending_retries(10)"), 0);
}

#[test]
fn stat_takes_no_batch_sealed_in_between_for_a_misfit() {
    let cluster = manual().setting("trustlog.sink", "log").setting("trustlog.seal_batch_size", 100).start();
    let mut client = cluster.create_db("app");
    client.batch_execute("SELECT trustlog.pause('all')").unwrap();
    insert(&mut client, &operations("op", 20_000));
    client.batch_execute("SELECT trustlog.resume()").unwrap();
    let mut looks = 0;
    while count(&mut client, "trustlog.outbox") > 0 {
        let state: String = client.query_one("SELECT state FROM trustlog.stat", &[]).unwrap().get(0);
        assert_ne!(state, "frozen");
        looks += 1;
    }
    assert!(looks > 10, "{looks} looks");
}
