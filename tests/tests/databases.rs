//! Commands that need a database for themselves succeed although a worker is connected to it, and stopping is quick.

use std::time::{Duration, Instant};

use postgres::Client;
use trustlog_tests::records::{
    insert, leaves, save, sqlstate, value, wait_for_launcher, wait_for_leaves, wait_for_other_worker, wait_for_worker,
    wait_for_workers,
};
use trustlog_tests::{Builder, Cluster, Mode, wait};

const SECOND: Duration = Duration::from_secs(1);

/// Enough for a dev build to be busy with for several seconds.
const BACKLOG: i32 = 40_000;

/// The worker polls so rarely that a wake-up that is missing is noticed.
fn builder() -> Builder {
    Cluster::builder().setting("trustlog.poll_interval", "1h")
}

/// A database whose worker is in the middle of a backlog. Nobody else is connected to it.
fn create_busy(cluster: &Cluster, name: &str) {
    let mut client = cluster.create_db(name);
    insert(&mut client, "backlog", BACKLOG);
    wait::until(wait::PATIENCE, "sealing has begun", || leaves(&mut client) > 0);
    leave(cluster, client, name);
}

/// A database whose worker has nothing to do. Nobody else is connected to it.
fn create_idle(cluster: &Cluster, name: &str) {
    let mut client = cluster.create_db(name);
    save(&mut client, "one");
    wait_for_leaves(&mut client, 1);
    leave(cluster, client, name);
}

/// Ends a session and waits until the server has seen that.
fn leave(cluster: &Cluster, client: Client, database: &str) {
    client.close().unwrap();
    let gone = format!(
        "SELECT count(*) = 0 FROM pg_stat_activity
          WHERE datname = '{database}' AND backend_type = 'client backend'"
    );
    let mut other = cluster.connect("postgres");
    wait::until(wait::PATIENCE, "the session has ended", || value(&mut other, &gone));
}

fn timed(cluster: &Cluster, what: &str, statement: &str, limit: Duration) {
    let mut postgres = cluster.connect("postgres");
    let start = Instant::now();
    postgres.batch_execute(statement).unwrap();
    let took = start.elapsed();
    println!("{statement} ({what}): {took:?}");
    assert!(took < limit, "{statement} ({what}) took {took:?}");
}

fn assert_busy(cluster: &Cluster, name: &str) {
    let sealed = leaves(&mut cluster.connect(name));
    assert!(sealed < i64::from(BACKLOG), "{name} has sealed its whole backlog too early for this test");
}

// ---------------------------------------------------------------------- DROP DATABASE and stopping

#[test]
fn a_database_is_dropped_although_its_worker_is_connected() {
    let cluster = builder().start();
    for round in 0..3 {
        create_idle(&cluster, "app");
        timed(&cluster, "idle", "DROP DATABASE app", 2 * SECOND);
        create_busy(&cluster, "app");
        timed(&cluster, "sealing", "DROP DATABASE app", 2 * SECOND);
        println!("round {round} done");
    }
    create_idle(&cluster, "app");
    timed(&cluster, "idle", "DROP DATABASE app WITH (FORCE)", 2 * SECOND);
    wait_for_launcher(&cluster);
    wait_for_workers(&cluster, &[]);
    assert!(!cluster.log().contains("FATAL"), "{}", cluster.log_end());
}

#[test]
fn a_database_is_dropped_just_after_its_worker_was_asked_for() {
    let cluster = builder().start();
    for _ in 0..5 {
        // The worker may not have started yet, be connecting, or be looking for the extension.
        let client = cluster.create_db("app");
        leave(&cluster, client, "app");
        timed(&cluster, "starting", "DROP DATABASE app", 2 * SECOND);
        timed(&cluster, "none", "CREATE DATABASE bare", 2 * SECOND);
        timed(&cluster, "probed", "DROP DATABASE bare", 2 * SECOND);
    }
    wait_for_launcher(&cluster);
    wait_for_workers(&cluster, &[]);
}

#[test]
fn workers_delay_neither_the_drop_of_another_database_nor_that_of_the_extension_nor_a_stop() {
    let cluster = builder().start();
    create_idle(&cluster, "idle");
    create_idle(&cluster, "victim");
    create_busy(&cluster, "busy");
    timed(&cluster, "others idle and busy", "CREATE DATABASE other", 5 * SECOND);
    timed(&cluster, "others idle and busy", "DROP DATABASE other", SECOND);
    timed(&cluster, "others idle and busy", "DROP DATABASE victim", SECOND);
    assert_busy(&cluster, "busy");

    let mut idle = cluster.connect("idle");
    let start = Instant::now();
    idle.batch_execute("DROP EXTENSION trustlog").unwrap();
    let took = start.elapsed();
    println!("DROP EXTENSION (idle): {took:?}");
    assert!(took < SECOND, "DROP EXTENSION took {took:?}");
    idle.batch_execute("CREATE EXTENSION trustlog").unwrap();
    wait_for_worker(&cluster, "idle");

    assert_busy(&cluster, "busy");
    let took = cluster.stop(Mode::Fast);
    println!("pg_ctl -m fast stop (idle and busy): {took:?}");
    assert!(took < SECOND, "stopping took {took:?}");

    cluster.start();
    wait_for_leaves(&mut cluster.connect("busy"), i64::from(BACKLOG));
    let took = cluster.stop(Mode::Fast);
    println!("pg_ctl -m fast stop (all idle): {took:?}");
    assert!(took < SECOND, "stopping took {took:?}");
    // A smart stop waits for clients, and workers are none.
    cluster.start();
    wait_for_workers(&cluster, &["busy", "idle"]);
    let took = cluster.stop(Mode::Smart);
    println!("pg_ctl -m smart stop: {took:?}");
    assert!(took < SECOND, "stopping took {took:?}");
}

#[test]
fn a_drop_that_is_refused_leaves_the_worker_alone() {
    let cluster = builder().start();
    create_idle(&cluster, "app");
    let worker = wait_for_worker(&cluster, "app");
    cluster.connect("postgres").batch_execute("CREATE ROLE stranger LOGIN CREATEDB").unwrap();
    let mut stranger = cluster.connect_as("postgres", "stranger");
    for statement in [
        "DROP DATABASE app",
        "DROP DATABASE app WITH (FORCE)",
        "ALTER DATABASE app RENAME TO mine",
        "ALTER DATABASE app SET TABLESPACE pg_default",
        "CREATE DATABASE mine TEMPLATE app",
        "ALTER DATABASE app IS_TEMPLATE true",
        "ALTER DATABASE app SET trustlog.worker_enabled = off",
    ] {
        assert_eq!(sqlstate(stranger.batch_execute(statement)), "42501", "{statement}");
    }
    assert_eq!(sqlstate(stranger.batch_execute("DROP DATABASE absent")), "3D000");
    stranger.batch_execute("DROP DATABASE IF EXISTS absent").unwrap();
    let mut client = cluster.connect("app");
    save(&mut client, "two");
    wait_for_leaves(&mut client, 2);
    assert_eq!(cluster.worker_pid("app"), Some(worker));

    // What its owner may not do inside a transaction does not cost it its worker, either.
    let mut postgres = cluster.connect("postgres");
    postgres.batch_execute("BEGIN").unwrap();
    assert_eq!(sqlstate(postgres.batch_execute("DROP DATABASE app")), "25001");
    postgres.batch_execute("ROLLBACK").unwrap();
    save(&mut client, "three");
    wait_for_leaves(&mut client, 3);
}

#[test]
fn a_drop_that_fails_brings_the_worker_back() {
    let cluster = builder().start();
    let mut client = cluster.create_db("app");
    save(&mut client, "one");
    wait_for_leaves(&mut client, 1);
    let worker = wait_for_worker(&cluster, "app");
    // This session is in the way, and PostgreSQL waits five seconds for it.
    let mut postgres = cluster.connect("postgres");
    assert_eq!(sqlstate(postgres.batch_execute("DROP DATABASE app")), "55006");
    wait_for_other_worker(&cluster, "app", worker);
    save(&mut client, "two");
    wait_for_leaves(&mut client, 2);

    // Nor does it matter that the session that tried goes away in the middle.
    let worker = wait_for_worker(&cluster, "app");
    let pid: i32 = value(&mut postgres, "SELECT pg_backend_pid()");
    std::thread::scope(|scope| {
        scope.spawn(|| postgres.batch_execute("DROP DATABASE app").unwrap_err());
        wait::until(wait::PATIENCE, "the worker has left", || cluster.worker_pid("app").is_none());
        client.batch_execute(&format!("SELECT pg_terminate_backend({pid})")).unwrap();
    });
    wait_for_other_worker(&cluster, "app", worker);
    save(&mut client, "three");
    wait_for_leaves(&mut client, 3);
    wait_for_workers(&cluster, &["app"]);
}

// ---------------------------------------------------------------------- RENAME, SET TABLESPACE, copies

#[test]
fn a_database_is_renamed() {
    let cluster = builder().start();
    create_idle(&cluster, "app");
    timed(&cluster, "idle", "ALTER DATABASE app RENAME TO renamed", 2 * SECOND);
    wait_for_workers(&cluster, &["renamed"]);
    let mut client = cluster.connect("renamed");
    save(&mut client, "two");
    wait_for_leaves(&mut client, 2);
    leave(&cluster, client, "renamed");

    // In a transaction: the worker stays away until it ends, and comes back under the right name.
    let mut postgres = cluster.connect("postgres");
    postgres.batch_execute("BEGIN; ALTER DATABASE renamed RENAME TO other").unwrap();
    create_idle(&cluster, "meanwhile");
    wait_for_workers(&cluster, &["meanwhile"]);
    postgres.batch_execute("ROLLBACK").unwrap();
    wait_for_workers(&cluster, &["meanwhile", "renamed"]);
    let mut client = cluster.connect("renamed");
    save(&mut client, "three");
    wait_for_leaves(&mut client, 3);
    leave(&cluster, client, "renamed");

    postgres
        .batch_execute("BEGIN; SAVEPOINT s; ALTER DATABASE renamed RENAME TO other; ROLLBACK TO s; COMMIT")
        .unwrap();
    wait_for_workers(&cluster, &["meanwhile", "renamed"]);
}

#[test]
fn two_databases_are_renamed_in_one_transaction() {
    let cluster = builder().start();
    create_idle(&cluster, "a");
    create_idle(&cluster, "b");
    let mut postgres = cluster.connect("postgres");
    postgres
        .batch_execute(
            "BEGIN; ALTER DATABASE a RENAME TO swap; ALTER DATABASE b RENAME TO a;
             ALTER DATABASE swap RENAME TO b; COMMIT",
        )
        .unwrap();
    // The session lives on: what it holds it must have given back.
    wait_for_workers(&cluster, &["a", "b"]);
    for name in ["a", "b"] {
        let mut client = cluster.connect(name);
        save(&mut client, "two");
        wait_for_leaves(&mut client, 2);
    }
    drop(postgres);
}

#[test]
fn a_rename_that_is_prepared_holds_up_no_other_database() {
    let cluster = builder().setting("max_prepared_transactions", 5).start();
    create_idle(&cluster, "app");
    let mut postgres = cluster.connect("postgres");
    postgres.batch_execute("BEGIN; ALTER DATABASE app RENAME TO renamed; PREPARE TRANSACTION 'rename'").unwrap();
    create_idle(&cluster, "other");
    postgres.batch_execute("COMMIT PREPARED 'rename'").unwrap();
    wait_for_workers(&cluster, &["other", "renamed"]);
}

#[test]
fn a_database_moves_to_another_tablespace() {
    let cluster = builder().setting("allow_in_place_tablespaces", "on").start();
    let mut postgres = cluster.connect("postgres");
    postgres.batch_execute("CREATE TABLESPACE elsewhere LOCATION ''").unwrap();
    create_busy(&cluster, "app");
    timed(&cluster, "sealing", "ALTER DATABASE app SET TABLESPACE elsewhere", 5 * SECOND);
    wait_for_workers(&cluster, &["app"]);
    let mut client = cluster.connect("app");
    wait_for_leaves(&mut client, i64::from(BACKLOG));
    // The options with which a database may be altered otherwise need no such thing.
    let worker = wait_for_worker(&cluster, "app");
    postgres.batch_execute("ALTER DATABASE app CONNECTION LIMIT 50; ALTER DATABASE app OWNER TO postgres").unwrap();
    wait_for_launcher(&cluster);
    assert_eq!(cluster.worker_pid("app"), Some(worker));
}

#[test]
fn a_database_without_connections_has_no_worker() {
    let cluster = builder().start();
    create_idle(&cluster, "app");
    wait_for_workers(&cluster, &["app"]);
    let mut postgres = cluster.connect("postgres");
    postgres.batch_execute("ALTER DATABASE app ALLOW_CONNECTIONS false").unwrap();
    wait_for_workers(&cluster, &[]);
    postgres.batch_execute("ALTER DATABASE app ALLOW_CONNECTIONS true").unwrap();
    wait_for_workers(&cluster, &["app"]);
}

#[test]
fn a_copy_is_made_of_template1_when_that_is_no_template() {
    let cluster = builder().start();
    let mut template1 = cluster.connect("template1");
    template1.batch_execute("ALTER DATABASE template1 IS_TEMPLATE false; CREATE EXTENSION trustlog").unwrap();
    save(&mut template1, "one");
    wait_for_leaves(&mut template1, 1);
    leave(&cluster, template1, "template1");
    timed(&cluster, "idle", "CREATE DATABASE copy", 2 * SECOND);
    wait_for_workers(&cluster, &["copy", "template1"]);
}
