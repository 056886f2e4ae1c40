//! Workers come and go with the extension, with settings, crashes and restarts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use trustlog_tests::records::{
    insert, leaves, save, sqlstate, state, tree_head, try_insert, try_save, value, wait_for_launcher, wait_for_leaves,
    wait_for_other_worker, wait_for_state, wait_for_worker, wait_for_workers, workers,
};
use trustlog_tests::{Builder, Cluster, Mode, wait};

const SECOND: Duration = Duration::from_secs(1);

/// The worker polls so rarely that a wake-up that is missing is noticed.
fn builder() -> Builder {
    Cluster::builder().setting("trustlog.poll_interval", "1h")
}

/// Runs a statement and says how long it took.
fn timed(client: &mut Client, statement: &str) -> Duration {
    let start = Instant::now();
    client.batch_execute(statement).unwrap();
    start.elapsed()
}

fn terminate(cluster: &Cluster, pid: i32) {
    let mut client = cluster.connect("postgres");
    assert!(value::<bool>(&mut client, &format!("SELECT pg_terminate_backend({pid}, 30000)")));
}

// ---------------------------------------------------------------------- CREATE and DROP EXTENSION

#[test]
fn creating_the_extension_starts_a_worker_in_each_database() {
    let cluster = builder().start();
    let mut clients: Vec<_> = ["a", "b", "c"].map(|name| cluster.create_db(name)).into();
    for client in &mut clients {
        save(client, "first");
        wait_for_leaves(client, 1);
        assert_eq!(state(client), "ok");
    }
    wait_for_workers(&cluster, &["a", "b", "c"]);
    let kinds: Vec<String> = clients[0]
        .query("SELECT kind || ' ' || coalesce(datname, '-') FROM trustlog.stat_worker ORDER BY 1", &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(kinds, ["launcher -", "worker a", "worker b", "worker c"]);
}

#[test]
fn what_is_rolled_back_changes_nothing() {
    let cluster = builder().start();
    let mut postgres = cluster.connect("postgres");
    postgres.batch_execute("CREATE DATABASE app").unwrap();
    let mut client = cluster.connect("app");

    client.batch_execute("BEGIN; CREATE EXTENSION trustlog; ROLLBACK").unwrap();
    client.batch_execute("BEGIN; SAVEPOINT s; CREATE EXTENSION trustlog; ROLLBACK TO s; COMMIT").unwrap();
    wait_for_launcher(&cluster);
    wait_for_workers(&cluster, &[]);

    client.batch_execute("CREATE EXTENSION trustlog").unwrap();
    let worker = wait_for_worker(&cluster, "app");
    save(&mut client, "before");
    wait_for_leaves(&mut client, 1);
    client.batch_execute("BEGIN; DROP EXTENSION trustlog; ROLLBACK").unwrap();
    client.batch_execute("BEGIN; SAVEPOINT s; DROP EXTENSION trustlog; ROLLBACK TO s; COMMIT").unwrap();
    save(&mut client, "after");
    wait_for_leaves(&mut client, 2);
    assert_eq!(cluster.worker_pid("app"), Some(worker));
    assert_eq!(state(&mut client), "ok");
}

#[test]
fn dropping_the_extension_ends_the_worker() {
    let cluster = builder().start();
    let mut client = cluster.create_db("app");
    save(&mut client, "one");
    wait_for_leaves(&mut client, 1);
    let took = timed(&mut client, "DROP EXTENSION trustlog");
    println!("DROP EXTENSION, worker idle: {took:?}");
    assert!(took < SECOND, "took {took:?}");
    wait_for_workers(&cluster, &[]);

    client.batch_execute("CREATE EXTENSION trustlog").unwrap();
    save(&mut client, "two");
    wait_for_leaves(&mut client, 1);
    assert!(!cluster.log().contains("trustlog worker: an error"));
}

#[test]
fn dropping_the_extension_while_a_backlog_is_sealed() {
    let cluster = builder().setting("trustlog.seal_batch_size", 500).start();
    let mut client = cluster.create_db("app");
    for round in 0..5 {
        insert(&mut client, "backlog", 10_000);
        wait::until(wait::PATIENCE, "sealing has begun", || leaves(&mut client) > 0);
        let took = timed(&mut client, "DROP EXTENSION trustlog");
        println!("DROP EXTENSION, worker sealing, round {round}: {took:?}");
        assert!(took < SECOND, "round {round} took {took:?}");
        client.batch_execute("CREATE EXTENSION trustlog").unwrap();
    }
    save(&mut client, "last");
    wait_for_leaves(&mut client, 1);
}

#[test]
fn the_extension_is_dropped_and_created_again_under_load() {
    let cluster = builder().start();
    let mut client = cluster.create_db("app");
    let worker = wait_for_worker(&cluster, "app");

    // In one transaction: the worker stays and serves the new one.
    insert(&mut client, "old", 10);
    wait_for_leaves(&mut client, 10);
    client.batch_execute("BEGIN; DROP EXTENSION trustlog; CREATE EXTENSION trustlog; COMMIT").unwrap();
    insert(&mut client, "new", 3);
    wait_for_leaves(&mut client, 3);
    let _ = worker;

    // In quick succession, while others save.
    let stop = Arc::new(AtomicBool::new(false));
    let cluster = Arc::new(cluster);
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let (cluster, stop) = (cluster.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut client = cluster.connect("app");
                let mut saved = 0;
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    saved += i32::from(try_save(&mut client, &format!("{writer}-{number}")).is_ok());
                }
                saved
            })
        })
        .collect();
    for _ in 0..10 {
        // PostgreSQL may have to break a deadlock between DROP EXTENSION and a writer; not the worker's business.
        wait::until(wait::PATIENCE, "it is dropped", || match client.batch_execute("DROP EXTENSION trustlog") {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.code().unwrap().code(), "40P01", "{error:?}");
                false
            }
        });
        client.batch_execute("CREATE EXTENSION trustlog").unwrap();
        let mut other = cluster.connect("app");
        wait::until(wait::PATIENCE, "the worker seals", || leaves(&mut other) > 0);
    }
    stop.store(true, Ordering::Relaxed);
    let saved: i32 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    assert!(saved > 0);
    let there: i64 = value(&mut client, "SELECT count(*) FROM trustlog.operation");
    assert!(there > 0);
    wait_for_leaves(&mut client, there);
    wait_for_workers(&cluster, &["app"]);
    assert_eq!(state(&mut client), "ok");
}

// ---------------------------------------------------------------------- processes that end

#[test]
fn a_terminated_worker_comes_back() {
    let cluster = builder().start();
    let mut client = cluster.create_db("app");
    let mut worker = wait_for_worker(&cluster, "app");
    for round in 1..=2 {
        terminate(&cluster, worker);
        save(&mut client, &format!("{round}"));
        wait_for_leaves(&mut client, round);
        worker = wait_for_other_worker(&cluster, "app", worker);
    }
    wait_for_workers(&cluster, &["app"]);
}

#[test]
fn a_terminated_launcher_comes_back_and_every_database_still_has_one_worker() {
    let cluster = builder().start();
    let mut clients: Vec<_> = ["a", "b", "c"].map(|name| cluster.create_db(name)).into();
    wait_for_workers(&cluster, &["a", "b", "c"]);
    for round in 1..=2 {
        let launcher = wait::value(wait::PATIENCE, "a launcher runs", || cluster.launcher_pid());
        terminate(&cluster, launcher);
        for client in &mut clients {
            save(client, &format!("{round}"));
            wait_for_leaves(client, round);
        }
        wait_for_launcher(&cluster);
        wait_for_workers(&cluster, &["a", "b", "c"]);
        assert_ne!(cluster.launcher_pid(), Some(launcher));
    }
    // It still hears of everything.
    clients[1].batch_execute("DROP EXTENSION trustlog").unwrap();
    wait_for_workers(&cluster, &["a", "c"]);
    clients[1].batch_execute("CREATE EXTENSION trustlog").unwrap();
    wait_for_workers(&cluster, &["a", "b", "c"]);
}

#[test]
fn a_worker_that_waits_for_a_lock_holds_up_no_other_database() {
    let cluster = builder().start();
    let mut app = cluster.create_db("app");
    let worker = wait_for_worker(&cluster, "app");
    // As VACUUM FULL does, or DROP EXTENSION in an open transaction.
    app.batch_execute("BEGIN; LOCK TABLE trustlog.leaf IN ACCESS EXCLUSIVE MODE").unwrap();
    save(&mut cluster.connect("app"), "one");
    let waiting = format!("SELECT EXISTS (SELECT FROM pg_locks WHERE pid = {worker} AND NOT granted)");
    wait::until(wait::PATIENCE, "the worker waits", || value(&mut app, &waiting));

    let mut other = cluster.create_db("other");
    save(&mut other, "one");
    wait_for_leaves(&mut other, 1);

    let launcher = cluster.launcher_pid().unwrap();
    terminate(&cluster, launcher);
    save(&mut other, "two");
    wait_for_leaves(&mut other, 2);
    let mut third = cluster.create_db("third");
    save(&mut third, "one");
    wait_for_leaves(&mut third, 1);

    app.batch_execute("COMMIT").unwrap();
    wait_for_leaves(&mut app, 1);
    wait_for_workers(&cluster, &["app", "other", "third"]);
}

#[test]
fn after_a_restart_of_the_server_the_workers_are_found_again() {
    let cluster = builder().start();
    for name in ["a", "b"] {
        let mut client = cluster.create_db(name);
        save(&mut client, "before");
        wait_for_leaves(&mut client, 1);
    }
    cluster.connect("postgres").batch_execute("CREATE DATABASE without").unwrap();
    cluster.stop(Mode::Fast);
    cluster.start();
    wait_for_workers(&cluster, &["a", "b"]);
    save(&mut cluster.connect("a"), "after a fast stop");
    cluster.restart_immediate();
    wait_for_workers(&cluster, &["a", "b"]);
    wait_for_leaves(&mut cluster.connect("a"), 2);
    let mut b = cluster.connect("b");
    save(&mut b, "after a crash");
    wait_for_leaves(&mut b, 2);
}

#[test]
fn without_room_for_a_worker_it_says_so_once_and_waits() {
    // One process is our launcher's, one PostgreSQL's own launcher for logical replication.
    let cluster = builder().setting("max_worker_processes", 3).start();
    let mut a = cluster.create_db("a");
    save(&mut a, "one");
    wait_for_leaves(&mut a, 1);

    let mut b = cluster.create_db("b");
    save(&mut b, "one");
    let lack = "no worker process is free; raise max_worker_processes";
    wait::until(wait::PATIENCE, "the lack is logged", || cluster.log().contains(lack));
    assert_eq!(state(&mut b), "no_worker");
    // The launcher tries again several times and says nothing more.
    let launcher = cluster.launcher_pid().unwrap();
    let looked = format!("SELECT state_change::text FROM pg_stat_activity WHERE pid = {launcher}");
    let mut changes = Vec::<String>::new();
    wait::until(wait::PATIENCE, "the launcher has tried again", || {
        let change = value(&mut a, &looked);
        if !changes.contains(&change) {
            changes.push(change);
        }
        changes.len() > 3
    });
    assert_eq!(cluster.log().matches(lack).count(), 1);
    assert_eq!(cluster.log().matches("WARNING").count(), 1);
    assert_eq!(workers(&cluster), ["a"]);

    a.batch_execute("DROP EXTENSION trustlog").unwrap();
    wait_for_leaves(&mut b, 1);
    wait_for_workers(&cluster, &["b"]);
    assert_eq!(cluster.log().matches(lack).count(), 1);
}

// ---------------------------------------------------------------------- settings

#[test]
fn a_reload_changes_batch_size_poll_interval_and_whether_the_worker_works() {
    let cluster = builder().setting("trustlog.poll_interval", "1h").start();
    let mut client = cluster.create_db("app");
    let worker = wait_for_worker(&cluster, "app");
    let batches = "SELECT batches FROM trustlog.stat_worker WHERE datname = 'app'";
    let reload = |name: &str, value: &str| {
        cluster.configure(name, value);
        cluster.reload();
    };

    // While it is off it has certainly read the rest of the file.
    for (round, (size, expected)) in [(10, 10), (7, 15), (1000, 1)].into_iter().enumerate() {
        cluster.configure("trustlog.seal_batch_size", &size.to_string());
        reload("trustlog.worker_enabled", "off");
        wait_for_state(&mut client, "disabled");
        let before: i64 = value(&mut client, batches);
        let sealed = leaves(&mut client);
        insert(&mut client, &format!("batch-{round}"), 100);
        reload("trustlog.worker_enabled", "on");
        wait_for_leaves(&mut client, sealed + 100);
        wait_for_state(&mut client, "ok");
        let after: i64 = value(&mut client, batches);
        assert_eq!(after - before, expected, "batches of {size}");
    }

    // Idle, and nothing wakes it: only the poll can.
    reload("trustlog.poll_interval", "100ms");
    let looked = format!("SELECT state_change::text FROM pg_stat_activity WHERE pid = {worker}");
    let mut changes = Vec::<String>::new();
    wait::until(wait::PATIENCE, "the idle worker has looked 20 times", || {
        let change = value(&mut client, &looked);
        if !changes.contains(&change) {
            changes.push(change);
        }
        changes.len() > 20
    });
    assert_eq!(cluster.worker_pid("app"), Some(worker));
}

#[test]
fn the_running_worker_follows_its_databases_settings() {
    let cluster = builder().start();
    let mut client = cluster.create_db("app");
    let mut worker = wait_for_worker(&cluster, "app");
    let statuses = "SELECT string_agg(trustlog_status, ',' ORDER BY seq) FROM trustlog.operation_status";
    let mut alter = |client: &mut Client, what: &str| {
        client.batch_execute(&format!("ALTER DATABASE app {what}")).unwrap();
        worker = wait_for_other_worker(&cluster, "app", worker);
    };

    save(&mut client, "log");
    wait_for_leaves(&mut client, 1);
    alter(&mut client, "SET trustlog.sink = 'manual'");
    save(&mut client, "manual");
    wait_for_leaves(&mut client, 2);
    assert_eq!(value::<String>(&mut client, statuses), "TRUSTLOGGED,NOT_TRUSTLOGGED");
    alter(&mut client, "RESET trustlog.sink");
    save(&mut client, "log again");
    wait_for_leaves(&mut client, 3);
    assert_eq!(value::<String>(&mut client, statuses), "TRUSTLOGGED,NOT_TRUSTLOGGED,TRUSTLOGGED");

    alter(&mut client, "SET trustlog.worker_enabled = off");
    wait_for_state(&mut client, "disabled");
    save(&mut client, "waits");
    alter(&mut client, "RESET trustlog.worker_enabled");
    wait_for_leaves(&mut client, 4);
    assert_eq!(state(&mut client), "ok");

    // Settings of another database are none of its business.
    client.batch_execute("ALTER DATABASE postgres SET trustlog.sink = 'manual'").unwrap();
    save(&mut client, "last");
    wait_for_leaves(&mut client, 5);
    assert_eq!(cluster.worker_pid("app"), Some(worker));
}

/// Runs a statement, and has the worker start anew whether or not it follows that by itself.
fn with_new_worker(client: &mut Client, statement: &str, number: usize) {
    let workers =
        "SELECT coalesce(max(pid), 0) FROM trustlog.stat_worker WHERE kind = 'worker' AND state <> 'starting'";
    let before = wait::value(wait::PATIENCE, "there is a worker", || {
        Some(value::<i32>(client, workers)).filter(|pid| *pid != 0)
    });
    // A setting of the database that the worker certainly follows.
    client
        .batch_execute(&format!(
            "BEGIN; {statement}; ALTER DATABASE app SET trustlog.retry_factor = {}; COMMIT",
            1 + number % 90
        ))
        .unwrap();
    wait::until(wait::PATIENCE, "there is a new worker", || ![0, before].contains(&value::<i32>(client, workers)));
}

#[test]
fn settings_of_database_and_role_do_not_stop_the_worker() {
    let cluster = builder().start();
    let mut client = cluster.create_db("app");
    client
        .batch_execute(
            "CREATE ROLE weak; CREATE SCHEMA evil;
             CREATE FUNCTION evil.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea';
             GRANT USAGE ON SCHEMA evil TO PUBLIC",
        )
        .unwrap();
    let mut sealed = 0;
    let settings = [
        ("search_path", "evil, trustlog, pg_catalog"),
        ("default_transaction_read_only", "on"),
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_deferrable", "on"),
        ("role", "weak"),
        ("lock_timeout", "'1ms'"),
        ("statement_timeout", "'1ms'"),
        ("idle_in_transaction_session_timeout", "'1ms'"),
        ("TimeZone", "'Asia/Tokyo'"),
        ("DateStyle", "German"),
        ("row_security", "off"),
        ("synchronous_commit", "off"),
        ("session_replication_role", "origin"),
        ("bytea_output", "escape"),
    ];
    let mut failed = Vec::new();
    let mut number = 0;
    for (name, setting) in settings {
        for whose in ["DATABASE app", "ROLE postgres", "ROLE postgres IN DATABASE app"] {
            // The client's own session began before, and keeps its settings.
            number += 1;
            let set = format!("ALTER {whose} SET {name} = {setting}");
            with_new_worker(&mut client, &set, number);
            insert(&mut client, &format!("{name} {whose}"), 300);
            sealed += 300;
            let errors = "SELECT coalesce(string_agg(last_error, ';'), '') FROM trustlog.stat_worker WHERE errors > 0";
            let outcome = wait::value(wait::PATIENCE, "the worker seals or fails", || {
                let errors: String = value(&mut client, errors);
                (leaves(&mut client) == sealed || !errors.is_empty()).then_some(errors)
            });
            let reset = format!("ALTER {whose} RESET {name}");
            if outcome.is_empty() {
                client.batch_execute(&reset).unwrap();
            } else {
                failed.push(format!("{name} of {whose}: {outcome}"));
                number += 1;
                with_new_worker(&mut client, &reset, number);
                wait_for_leaves(&mut client, sealed);
            }
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}

#[test]
fn the_worker_waits_for_a_lock_and_then_sees_what_was_committed() {
    let cluster = builder().start();
    let mut client = cluster.create_db("app");
    let before = wait_for_worker(&cluster, "app");
    client
        .batch_execute(
            "BEGIN; ALTER DATABASE app SET lock_timeout = '1ms';
             ALTER DATABASE app SET default_transaction_isolation = 'serializable'; COMMIT",
        )
        .unwrap();
    let worker = wait_for_other_worker(&cluster, "app", before);
    client.batch_execute("BEGIN; LOCK TABLE trustlog.leaf IN ACCESS EXCLUSIVE MODE").unwrap();
    let mut other = cluster.connect("postgres");
    save(&mut cluster.connect("app"), "one");
    let waited = format!(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = {worker} AND NOT granted
                           AND waitstart < clock_timestamp() - interval '50 ms')"
    );
    wait::until(wait::PATIENCE, "the worker has waited a while", || value(&mut other, &waited));
    // It began its transaction before this, and goes on after it.
    client.batch_execute("UPDATE trustlog.outbox SET restored = restored; COMMIT").unwrap();
    wait_for_leaves(&mut client, 1);
    let errors = "SELECT errors FROM trustlog.stat_worker WHERE datname = 'app'";
    assert_eq!(value::<i64>(&mut client, errors), 0);
}

#[test]
fn the_worker_runs_no_triggers_of_others() {
    let cluster = builder().start();
    let mut client = cluster.create_db("app");
    client
        .batch_execute(
            "CREATE ROLE owner LOGIN;
             GRANT CREATE ON SCHEMA public TO owner;
             CREATE TABLE ran (what text); GRANT ALL ON ran TO owner;
             GRANT USAGE ON SCHEMA trustlog TO owner;
             ALTER TABLE trustlog.outbox OWNER TO owner; ALTER TABLE trustlog.leaf OWNER TO owner;
             ALTER TABLE trustlog.unattested OWNER TO owner; ALTER TABLE trustlog.state OWNER TO owner;
             ALTER TABLE trustlog.tile OWNER TO owner",
        )
        .unwrap();
    let mut owner = cluster.connect_as("app", "owner");
    owner
        .batch_execute(
            "CREATE FUNCTION public.mine() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 INSERT INTO public.ran VALUES (TG_TABLE_NAME || ' ' || TG_OP || ' by ' || current_user);
                 RETURN coalesce(NEW, OLD);
             END $$",
        )
        .unwrap();
    for table in ["outbox", "leaf", "unattested", "state", "tile"] {
        owner
            .batch_execute(&format!(
                "CREATE TRIGGER mine BEFORE INSERT OR UPDATE OR DELETE ON trustlog.{table}
                     FOR EACH ROW EXECUTE FUNCTION public.mine();
                 CREATE TRIGGER mine_after AFTER INSERT OR UPDATE OR DELETE ON trustlog.{table}
                     FOR EACH ROW EXECUTE FUNCTION public.mine()"
            ))
            .unwrap();
    }
    let before = wait_for_worker(&cluster, "app");
    client.batch_execute("ALTER DATABASE app SET trustlog.sink = 'manual'").unwrap();
    wait_for_other_worker(&cluster, "app", before);
    insert(&mut client, "op", 300);
    wait_for_leaves(&mut client, 300);
    // The triggers are there: this session's own insert into the outbox ran them, and nothing else did.
    let ran = "SELECT string_agg(w || ' ' || n, ';' ORDER BY w) FROM (SELECT what w, count(*) n FROM ran GROUP BY 1) x";
    assert_eq!(value::<String>(&mut client, ran), "outbox INSERT by postgres 600");
}

#[test]
fn pausing_survives_a_restart() {
    let cluster = builder().start();
    let mut client = cluster.create_db("app");
    save(&mut client, "before");
    wait_for_leaves(&mut client, 1);
    client.batch_execute("SELECT trustlog.pause('all')").unwrap();
    assert_eq!(state(&mut client), "paused");
    insert(&mut client, "paused", 10);
    // The worker has seen both: the pause, and that there are records.
    let obstacle = "SELECT obstacle IS NOT DISTINCT FROM 'paused' FROM trustlog.stat_worker WHERE datname = 'app'";
    wait::until(wait::PATIENCE, "the worker is paused", || value(&mut client, obstacle));
    assert_eq!(leaves(&mut client), 1);
    assert_eq!(sqlstate(client.batch_execute("SELECT trustlog.seal()")), "55000");
    drop(client);

    cluster.stop(Mode::Fast);
    cluster.start();
    let mut client = cluster.connect("app");
    wait_for_worker(&cluster, "app");
    save(&mut client, "after the restart");
    wait::until(wait::PATIENCE, "the worker is paused", || {
        client.query_opt(obstacle, &[]).unwrap().is_some_and(|row| row.get(0))
    });
    assert_eq!(state(&mut client), "paused");
    assert_eq!(leaves(&mut client), 1);
    assert_eq!(value::<i64>(&mut client, "SELECT not_attested FROM trustlog.stat"), 11);

    client.batch_execute("SELECT trustlog.resume()").unwrap();
    wait_for_leaves(&mut client, 12);
    assert_eq!(state(&mut client), "ok");
    assert_eq!(value::<i64>(&mut client, "SELECT not_attested FROM trustlog.stat"), 0);
}

#[test]
fn only_listed_databases_get_a_worker() {
    let cluster = builder().setting("trustlog.databases", "a, launcher_looked ,c").start();
    let mut b = {
        let _a = cluster.create_db("a");
        let b = cluster.create_db("b");
        let _c = cluster.create_db("c");
        b
    };
    wait_for_launcher(&cluster);
    wait_for_workers(&cluster, &["a", "c"]);
    save(&mut b, "one");
    assert_eq!(state(&mut b), "no_worker");
    assert_eq!(
        value::<String>(&mut b, "SELECT reason FROM trustlog.stat"),
        "trustlog.databases does not name this database"
    );
    let list = |databases: &str| {
        cluster.configure("trustlog.databases", databases);
        cluster.reload();
    };
    list("b");
    wait_for_workers(&cluster, &["b"]);
    wait_for_leaves(&mut b, 1);
    list("*");
    wait_for_workers(&cluster, &["a", "b", "c"]);
    list("");
    wait_for_workers(&cluster, &[]);
    list("c,b");
    wait_for_workers(&cluster, &["b", "c"]);
}

// ---------------------------------------------------------------------- not preloaded

fn collect_notices(cluster: &Cluster, database: &str) -> (Client, Arc<Mutex<Vec<(String, String, String)>>>) {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let sink = notices.clone();
    let client = cluster
        .config(database, "postgres")
        .notice_callback(move |notice| {
            sink.lock().unwrap().push((
                notice.severity().to_owned(),
                notice.message().to_owned(),
                notice.hint().unwrap_or_default().to_owned(),
            ));
        })
        .connect(NoTls)
        .unwrap();
    (client, notices)
}

fn works_without_workers(client: &mut Client) {
    assert_eq!(state(client), "not_preloaded");
    save(client, "one");
    insert(client, "more", 300);
    assert_eq!(leaves(client), 0);
    assert_eq!(value::<i64>(client, "SELECT not_attested FROM trustlog.stat"), 301);
    assert_eq!(value::<i64>(client, "SELECT trustlog.seal()"), 301);
    assert_eq!(value::<i64>(client, "SELECT trustlog.seal()"), 0);
    assert_eq!(value::<i64>(client, "SELECT size FROM trustlog.tree_head()"), 301);
    assert_eq!(state(client), "not_preloaded");
    assert_eq!(
        value::<String>(client, "SELECT reason FROM trustlog.stat"),
        "add trustlog to shared_preload_libraries and restart the server, or call trustlog.seal()"
    );
    assert_eq!(value::<i64>(client, "SELECT not_attested FROM trustlog.stat"), 0);
    assert_eq!(value::<i64>(client, "SELECT count(*) FROM trustlog.stat_worker"), 0);
}

const NOT_PRELOADED: (&str, &str, &str) = (
    "NOTICE",
    "trustlog is not preloaded: records are saved, and nothing is sealed by itself",
    "Add trustlog to shared_preload_libraries and restart the server, or call trustlog.seal().",
);

#[test]
fn without_preloading_all_but_the_worker_works() {
    let cluster = builder().preload("").start();
    let mut postgres = cluster.connect("postgres");
    postgres.batch_execute("CREATE DATABASE app; ").unwrap();
    postgres.batch_execute("CREATE DATABASE session").unwrap();
    let expected = (NOT_PRELOADED.0.to_owned(), NOT_PRELOADED.1.to_owned(), NOT_PRELOADED.2.to_owned());

    let (mut client, notices) = collect_notices(&cluster, "app");
    client.batch_execute("CREATE EXTENSION trustlog").unwrap();
    assert_eq!(*notices.lock().unwrap(), std::slice::from_ref(&expected));
    works_without_workers(&mut client);
    drop(client);

    // Loaded when a session begins, which is not preloading.
    postgres.batch_execute("ALTER DATABASE session SET session_preload_libraries = 'trustlog'").unwrap();
    let (mut client, notices) = collect_notices(&cluster, "session");
    assert_eq!(value::<String>(&mut client, "SHOW trustlog.sink"), "log");
    client.batch_execute("CREATE EXTENSION trustlog").unwrap();
    assert_eq!(*notices.lock().unwrap(), [expected]);
    works_without_workers(&mut client);
    drop(client);

    // Once it is preloaded the worker finds what is there.
    cluster.configure("shared_preload_libraries", "trustlog");
    cluster.stop(Mode::Fast);
    cluster.start();
    wait_for_workers(&cluster, &["app", "session"]);
    let (mut client, notices) = collect_notices(&cluster, "app");
    insert(&mut client, "sealed by the worker", 300);
    wait_for_leaves(&mut client, 601);
    assert_eq!(state(&mut client), "ok");
    client.batch_execute("DROP EXTENSION trustlog; CREATE EXTENSION trustlog").unwrap();
    assert_eq!(*notices.lock().unwrap(), []);
}

// ---------------------------------------------------------------------- templates

#[test]
fn a_template_never_has_a_worker_and_its_copies_have() {
    let cluster = builder().start();
    let mut postgres = cluster.connect("postgres");
    {
        let mut template1 = cluster.connect("template1");
        template1.batch_execute("CREATE EXTENSION trustlog").unwrap();
        assert_eq!(value::<String>(&mut template1, "SELECT reason FROM trustlog.stat"), "this database is a template");
    }
    wait_for_template_copies(&cluster, &mut postgres);
    wait_for_workers(&cluster, &["copy"]);

    // A database stops being one, and becomes one.
    postgres.batch_execute("ALTER DATABASE copy IS_TEMPLATE true").unwrap();
    wait_for_workers(&cluster, &[]);
    postgres.batch_execute("CREATE DATABASE second TEMPLATE copy").unwrap();
    wait_for_workers(&cluster, &["second"]);
    postgres.batch_execute("ALTER DATABASE copy IS_TEMPLATE false").unwrap();
    wait_for_workers(&cluster, &["copy", "second"]);

    // And after a restart.
    postgres.batch_execute("ALTER DATABASE second IS_TEMPLATE true").unwrap();
    drop(postgres);
    cluster.restart_immediate();
    wait_for_workers(&cluster, &["copy"]);
}

/// A plain CREATE DATABASE copies template1.
fn wait_for_template_copies(cluster: &Cluster, postgres: &mut Client) {
    postgres.batch_execute("CREATE DATABASE copy").unwrap();
    let mut client = cluster.connect("copy");
    save(&mut client, "one");
    wait_for_leaves(&mut client, 1);
}

#[test]
fn a_copy_of_a_database_gets_a_worker_by_itself() {
    let cluster = builder().start();
    let mut postgres = cluster.connect("postgres");
    let mut app = cluster.create_db("app");
    insert(&mut app, "op", 20_000);
    // In the middle of the backlog; nobody but the worker is connected.
    wait::until(wait::PATIENCE, "sealing has begun", || leaves(&mut app) > 0);
    drop(app);
    let start = Instant::now();
    wait::until(wait::PATIENCE, "the copy is made", || {
        // The session that has just gone may take a moment to leave.
        postgres.batch_execute("CREATE DATABASE copy TEMPLATE app").is_ok()
    });
    println!("CREATE DATABASE ... TEMPLATE, worker sealing: {:?}", start.elapsed());
    wait_for_workers(&cluster, &["app", "copy"]);
    let (mut app, mut copy) = (cluster.connect("app"), cluster.connect("copy"));
    // The source goes on. Its copy waits to be told whether it is the same log or another one.
    wait_for_leaves(&mut app, 20_000);
    assert_eq!(state(&mut app), "ok");
    wait_for_state(&mut copy, "frozen");
    let sealed = leaves(&mut copy);
    assert!(sealed > 0 && sealed < 20_000, "{sealed} were sealed");
    assert_eq!(sqlstate(copy.batch_execute("SELECT trustlog.seal()")), "55000");
    assert_eq!(value::<i64>(&mut copy, "SELECT trustlog.continue_log()"), 20_000 - sealed);
    wait_for_leaves(&mut copy, 20_000);
    assert_eq!(tree_head(&mut app), tree_head(&mut copy));
    save(&mut copy, "only here");
    wait_for_leaves(&mut copy, 20_001);
    assert_eq!(leaves(&mut app), 20_000);
    assert_eq!(sqlstate(try_insert(&mut copy, "op", 1)), "23505");
}
