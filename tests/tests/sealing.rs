//! Every committed record is sealed exactly once, whatever its transaction does and whatever others do meanwhile.

use std::time::{Duration, Instant};

use postgres::Client;
use postgres::error::SqlState;
use trustlog_tests::load::{Answer, Fate, Journal, Load, Way};
use trustlog_tests::measure::Random;
use trustlog_tests::operation::{self, Operation, SAVE};
use trustlog_tests::{Cluster, audit, measure, wait};

const WRITERS: u64 = 16;

/// Saves at once, commits when half of the time is over: its records have the lowest `seq` of all.
fn commit_late(load: &Load, time: Duration) -> Journal {
    let mut client = load.cluster.connect(load.db);
    let operations: Vec<_> = (0..5).map(|n| Operation::new(format!("late-{n}"))).collect();
    let mut transaction = client.transaction().unwrap();
    for operation in &operations {
        operation.save_params(|params| transaction.query_one(SAVE, params)).unwrap();
    }
    std::thread::sleep((load.started + time / 2).saturating_duration_since(Instant::now()));
    let sealed: i64 = transaction.query_one("SELECT count(*) FROM trustlog.leaf", &[]).unwrap().get(0);
    assert!(sealed > 100, "only {sealed} records were sealed ahead of the late ones");
    transaction.commit().unwrap();

    let committed = Instant::now();
    wait::until(Duration::from_secs(5), "late records are sealed while others go on", || {
        let sealed = "SELECT count(*) FROM trustlog.operation_status
                       WHERE op_id LIKE 'late-_' AND trustlog_status = 'TRUSTLOGGED'";
        client.query_one(sealed, &[]).unwrap().get::<_, i64>(0) == 5
    });
    println!("late records were sealed {:?} after their commit", committed.elapsed());
    let mut journal = Journal::default();
    journal.add(Way::Transaction, operations, Fate::Committed);
    journal
}

/// Seals by hand beside the worker, and takes back some of it.
fn seal_by_hand(load: &Load) {
    let (mut client, mut random) = (load.cluster.connect(load.db), Random::new(99));
    client.batch_execute("SET log_min_messages = log").unwrap();
    let (mut sealed, mut taken_back, mut busy) = (0, 0, 0);
    while Instant::now() < load.until {
        let mut transaction = client.transaction().unwrap();
        match transaction.query_one("SELECT trustlog.seal()", &[]) {
            Ok(row) => {
                let count: i64 = row.get(0);
                std::thread::sleep(Duration::from_millis(random.below(50)));
                if random.chance(50) {
                    transaction.rollback().unwrap();
                    taken_back += count;
                } else {
                    transaction.commit().unwrap();
                    sealed += count;
                }
            }
            Err(error) => {
                assert_eq!(error.code().map(SqlState::code), Some("55000"), "{error:?}");
                busy += 1;
            }
        }
        std::thread::sleep(Duration::from_millis(random.below(50)));
    }
    println!("by hand: {sealed} sealed, {taken_back} taken back, {busy} times another session was sealing");
    assert!(sealed > 0 && taken_back > 0, "sealing by hand was not tried");
}

#[test]
fn no_committed_record_is_left_out_or_sealed_twice_and_no_other_is_sealed() {
    let time = measure::seconds("TRUSTLOG_SOAK_SECONDS", 60);
    // Nothing but wake-ups finds records in time, and many a batch is full.
    let cluster = Cluster::builder()
        .setting("trustlog.poll_interval", "10min")
        .setting("trustlog.seal_batch_size", 40)
        .setting("max_prepared_transactions", 2 * WRITERS)
        .start();
    let mut client = cluster.create_db("app");
    let load = Load::new(&cluster, "app", time, false);
    let journal = std::thread::scope(|scope| {
        let late = scope.spawn(|| commit_late(&load, time));
        let by_hand = scope.spawn(|| seal_by_hand(&load));
        let mut journal = load.run(WRITERS);
        journal.merge(late.join().expect("the late writer failed"));
        by_hand.join().expect("sealing by hand failed");
        journal
    });
    let log = audit::check(&mut client);
    journal.print(&log);
    journal.compare(&log);
    assert!(log.operations.values().all(|found| found.attested == found.leaf.is_some()));

    for way in [Way::Save, Way::Transaction, Way::Savepoints, Way::Prepared, Way::Rows, Way::Copy, Way::Batch] {
        assert!(journal.count(way, Fate::Committed) > 0, "{way:?} was not tried");
    }
    for way in [Way::Transaction, Way::Savepoints, Way::Prepared, Way::Copy] {
        assert!(journal.count(way, Fate::RolledBack) > 0, "{way:?} was not rolled back");
    }
    for answer in [Answer::Created, Answer::Existed, Answer::Clash] {
        assert!(journal.answers(answer) > 0, "{answer:?} was not tried");
    }
    assert!(log.operations.values().any(|found| found.erased), "TRUSTLOG_ONLY was not tried");
}

/// What this file and others rely on: the audit fails when it must.
#[test]
fn the_audit_does_not_overlook_damage() {
    let cluster = Cluster::builder().setting("trustlog.worker_enabled", "off").start();
    let mut client = cluster.create_db("app");
    let operations: Vec<_> = (0..600).map(|n| Operation::new(format!("op-{n}"))).collect();
    client.batch_execute(&operation::insert(&operations)).unwrap();
    client.execute("SELECT trustlog.seal()", &[]).unwrap();
    audit::check(&mut client);

    let damages = [
        ("UPDATE trustlog.operation SET op_actor = 'other' WHERE op_id = 'op-300'", "does not give the hash"),
        ("DELETE FROM trustlog.leaf WHERE idx = 599", "is not sealed"),
        ("DELETE FROM trustlog.leaf WHERE idx = 300", "leaf 301 where 300"),
        ("DELETE FROM trustlog.operation WHERE op_id = 'op-300'", "belongs to none"),
        ("UPDATE trustlog.leaf SET leaf_hash = sha256('x') WHERE idx = 300", "tree_head() has another root"),
        ("UPDATE trustlog.tile SET hashes = substr(hashes, 33) || substr(hashes, 1, 32) WHERE n = 1", "wrong hashes"),
        ("UPDATE trustlog.tile SET root = sha256('x') WHERE n = 1", "wrong root"),
        ("DELETE FROM trustlog.tile WHERE n = 0", "is missing"),
        ("INSERT INTO trustlog.tile SELECT 1, 0, root, hashes FROM trustlog.tile WHERE n = 0", "ought not to be there"),
        (
            "UPDATE trustlog.leaf l SET leaf_hash = m.leaf_hash FROM trustlog.leaf m WHERE l.idx = 599 AND m.idx = 598",
            "does not give the hash",
        ),
        ("UPDATE trustlog.operation SET strategy = 'DB_ONLY' WHERE op_id = 'op-300'", "is DB_ONLY and sealed"),
        ("INSERT INTO trustlog.outbox VALUES (1, false)", "rows in outbox"),
    ];
    for (damage, said) in damages {
        let faults = faults_after(&mut client, damage);
        assert!(faults.iter().any(|fault| fault.contains(said)), "after {damage}: {faults:?}");
    }
    audit::check(&mut client);
}

/// The faults that the audit finds after something was done that the append-only guard forbids; then it is undone.
fn faults_after(client: &mut Client, damage: &str) -> Vec<String> {
    let guarded = ["operation", "leaf", "tile"];
    let disable: String = guarded.map(|table| format!("ALTER TABLE trustlog.{table} DISABLE TRIGGER guard;")).concat();
    client.batch_execute(&format!("BEGIN; {disable} {damage}")).unwrap();
    let faults = audit::find_faults(client).expect_err(damage);
    client.batch_execute("ROLLBACK").unwrap();
    faults
}
