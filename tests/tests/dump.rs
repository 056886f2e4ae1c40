//! What pg_dump takes along, and how a restored log goes on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use postgres::Client;
use trustlog_tests::records::{
    contents, insert, leaves, save, sqlstate, state, tree_head, try_insert, try_save, value, wait_for_leaves,
    wait_for_workers,
};
use trustlog_tests::{Builder, Cluster, audit, wait};

/// Records of the furnished database that have a leaf, and that wait for one.
const SEALED: i64 = 620;
const WAITING: i64 = 50;

/// The worker polls so rarely that a wake-up that is missing is noticed.
fn builder() -> Builder {
    Cluster::builder().setting("trustlog.poll_interval", "1h")
}

/// Fills a database with something of everything.
fn furnish(cluster: &Cluster, name: &str) -> Client {
    let mut client = cluster.connect("postgres");
    client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
    client.batch_execute(&format!("ALTER DATABASE {name} SET trustlog.worker_enabled = off")).unwrap();
    let mut client = cluster.connect(name);
    client.batch_execute("CREATE EXTENSION trustlog").unwrap();
    insert(&mut client, "log", 600);
    client
        .batch_execute(
            "SELECT trustlog.save(jsonb_build_object('op_id', 'only-' || n, 'op_actor', 'a', 'doid', '1/2', 'producer_id', 'p',
                 'op_source', 's', 'op_code', n, 'do_repository', 'r', 'strategy', strategy, 'client_ip', '2001:db8::1'))
               FROM generate_series(1, 10) n, (VALUES ('DB_ONLY'), ('TRUSTLOG_ONLY')) s (strategy)
              WHERE (n % 2 = 0) = (strategy = 'DB_ONLY')",
        )
        .unwrap();
    assert_eq!(value::<i64>(&mut client, "SELECT trustlog.seal()"), 605);
    // From here on callers attest.
    client.batch_execute("SET trustlog.sink = 'manual'").unwrap();
    insert(&mut client, "manual", 14);
    client
        .batch_execute(
            "SELECT trustlog.update_status('manual-1', 'TRUSTLOGGED');
             INSERT INTO trustlog.outbox VALUES (1000000, false);
             SELECT trustlog.save('by-hand', 'a', '1/2', 'p', 's', 1, 'r', status => 'TRUSTLOGGED')",
        )
        .unwrap();
    assert_eq!(value::<i64>(&mut client, "SELECT trustlog.seal()"), 15);
    client
        .batch_execute(
            "SELECT trustlog.update_status('manual-2', 'TRUSTLOGGED');
             SELECT trustlog.add_retry('manual-3', 'it said \"no\"\n\\N');
             SELECT trustlog.increment_retry('manual-4', 'again');
             SELECT trustlog.mark_as_dead_letter('manual-5', 'dead');
             SELECT trustlog.mark_as_dead_letter('manual-6', 'dead');
             SELECT trustlog.discard_dead_letter('manual-6', 'nobody wants it');
             SELECT trustlog.update_cursor('mine', '42')",
        )
        .unwrap();
    insert(&mut client, "waiting", i32::try_from(WAITING).unwrap() - 1);
    client
        .batch_execute(
            "SELECT trustlog.save('waiting, by hand', 'a', '1/2', 'p', 's', 1, 'r', status => 'TRUSTLOGGED')",
        )
        .unwrap();
    assert_eq!(leaves(&mut client), SEALED);
    // Nothing of what is to be compared below is empty.
    for (table, (rows, _)) in contents(&mut client) {
        assert_ne!(rows, 0, "{table} is empty");
    }
    client
}

/// The status of every record that has a leaf, and of its leaf all that there is.
const SEALED_RECORDS: &str =
    "SELECT md5(string_agg(s::text, ';' ORDER BY s.leaf_index)) FROM trustlog.operation_status s
    WHERE s.leaf_index < 620";
const FIRST_LEAVES: &str = "SELECT md5(string_agg(l::text, ';' ORDER BY l.idx)) FROM trustlog.leaf l WHERE l.idx < 620";

/// A restored log is frozen, whatever is tried, and saving goes on.
fn assert_frozen(client: &mut Client, database: &str) {
    assert_eq!(state(client), "frozen");
    let reason: String = value(client, "SELECT reason FROM trustlog.stat");
    for part in ["restored from a dump, or copied from another database", "trustlog.continue_log()"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(sqlstate(client.batch_execute("SELECT trustlog.seal()")), "55000");
    let before = leaves(client);
    save(client, "saved while frozen");
    let seen =
        format!("SELECT obstacle IS NOT DISTINCT FROM 'frozen' FROM trustlog.stat_worker WHERE datname = '{database}'");
    wait::until(wait::PATIENCE, "the worker has seen that the log is frozen", || {
        client.query_opt(&seen, &[]).unwrap().is_some_and(|row| row.get(0))
    });
    assert_eq!(leaves(client), before);
    assert_eq!(state(client), "frozen");
}

enum Way {
    Psql(&'static [&'static str]),
    Restore(&'static [&'static str]),
}

fn restore(cluster: &Cluster, source: &str, target: &str, dump: &[&str], way: &Way) {
    cluster.connect("postgres").batch_execute(&format!("CREATE DATABASE {target}")).unwrap();
    let file = cluster.pg_dump(source, dump);
    match way {
        Way::Psql(options) => psql(cluster, target, &file, options),
        Way::Restore(options) => cluster.pg_restore(target, &file, options),
    }
}

fn psql(cluster: &Cluster, database: &str, file: &Path, options: &[&str]) {
    let mut psql = cluster.program("psql");
    psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", database]).args(options).arg("-f").arg(file);
    let output = psql.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_dump_keeps_everything_and_the_log_goes_on_when_told_to() {
    let cluster = builder().setting("max_worker_processes", 20).start();
    let mut source = furnish(&cluster, "source");
    let expected = contents(&mut source);
    let head = tree_head(&mut source);
    let statuses: String = value(&mut source, SEALED_RECORDS);
    let first_leaves: String = value(&mut source, FIRST_LEAVES);
    let last: i64 = value(&mut source, "SELECT max(seq) FROM trustlog.operation");
    let cases: [(&str, &[&str], Way, bool); 6] = [
        ("plain", &[], Way::Psql(&[]), false),
        ("plain_1", &[], Way::Psql(&["-1"]), true),
        ("inserts", &["--column-inserts"], Way::Psql(&[]), true),
        ("custom", &["-Fc"], Way::Restore(&[]), true),
        ("custom_1", &["-Fc"], Way::Restore(&["-1"]), false),
        ("parallel", &["-Fc"], Way::Restore(&["-j", "4"]), false),
    ];
    for (name, dump, way, gone) in cases {
        println!("---- {name}");
        restore(&cluster, "source", name, dump, &way);
        let mut client = cluster.connect(name);
        assert_eq!(contents(&mut client), expected, "{name}");
        assert_eq!(tree_head(&mut client), head, "{name}");
        let queue =
            "SELECT (SELECT count(*) FROM trustlog.outbox WHERE restored) = (SELECT count(*) FROM trustlog.operation
            WHERE strategy <> 'DB_ONLY') AND NOT EXISTS (SELECT FROM trustlog.outbox WHERE NOT restored)";
        assert!(value::<bool>(&mut client, queue), "{name}");
        assert_frozen(&mut client, name);

        let waiting = format!("SELECT trustlog.continue_log(old_copy_is_gone => {gone})");
        assert_eq!(value::<i64>(&mut client, &waiting), WAITING + 1, "{name}");
        wait_for_leaves(&mut client, SEALED + WAITING + 1);
        let history = client
            .query_one("SELECT epoch, epoch_size, coalesce(encode(epoch_root, 'hex'), '') FROM trustlog.state", &[])
            .unwrap();
        let history: (i32, i64, String) = (history.get(0), history.get(1), history.get(2));
        let expected = if gone { (0, 0, String::new()) } else { (1, head.0, head.1.clone()) };
        assert_eq!(history, expected, "{name}");
        assert_eq!(sqlstate(client.batch_execute("SELECT trustlog.continue_log()")), "55000");
        let home = "SELECT h.database = d.oid FROM trustlog.home h, pg_database d WHERE d.datname = current_database()";
        assert!(value::<bool>(&mut client, home), "{name}");

        // What was sealed before is as it was; what was not, is now.
        assert_eq!(value::<String>(&mut client, FIRST_LEAVES), first_leaves, "{name}");
        assert_eq!(value::<String>(&mut client, SEALED_RECORDS), statuses, "{name}");
        save(&mut client, "new");
        insert(&mut client, "new", 300);
        wait_for_leaves(&mut client, SEALED + WAITING + 302);
        let after = format!("SELECT count(*) FROM trustlog.operation WHERE seq > {last}");
        assert_eq!(value::<i64>(&mut client, &after), 302, "{name}");
        assert_eq!(sqlstate(try_insert(&mut client, "log", 1)), "23505");
        assert_eq!(state(&mut client), "ok", "{name}");
        // The one that never had a record is known to us.
        client.batch_execute("DELETE FROM trustlog.set_aside WHERE seq = 1000000").unwrap();
        audit::check(&mut client);
    }
    // The source has noticed nothing.
    assert_eq!(tree_head(&mut source), head);
    assert_eq!(contents(&mut source), expected);
}

#[test]
fn a_dump_of_a_database_that_is_written_to() {
    let cluster = builder().start();
    let mut source = cluster.create_db("source");
    // Slowly, so that there is always something that is not sealed.
    source.batch_execute("ALTER DATABASE source SET trustlog.seal_batch_size = 20").unwrap();
    insert(&mut source, "first", 1_000);
    wait::until(wait::PATIENCE, "some is sealed", || leaves(&mut source) > 300);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (cluster, stop) = (&cluster, &stop);
            scope.spawn(move || {
                let mut client = cluster.connect("source");
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    try_save(&mut client, &format!("{writer}-{number}")).unwrap();
                    try_insert(&mut client, &format!("{writer}-{number}"), 20).unwrap();
                }
            });
        }
        for target in ["one", "two", "three"] {
            insert(&mut source, target, 2_000);
            restore(&cluster, "source", target, &["-Fc"], &Way::Restore(&["-j", "2"]));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let all: i64 = value(&mut source, "SELECT count(*) FROM trustlog.operation");
    wait_for_leaves(&mut source, all);
    let rows = |client: &mut Client, query: &str| -> BTreeMap<i64, String> {
        client.query(query, &[]).unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let operations = rows(&mut source, "SELECT o.seq, o::text FROM trustlog.operation o");
    let first_leaves = rows(&mut source, "SELECT l.idx, l::text FROM trustlog.leaf l");
    for target in ["one", "two", "three"] {
        let mut client = cluster.connect(target);
        let there: i64 = value(&mut client, "SELECT count(*) FROM trustlog.operation");
        let sealed = leaves(&mut client);
        println!("{target}: {there} records, {sealed} of them sealed");
        assert!(sealed > 0 && sealed < there, "the outbox was empty");
        for (seq, row) in rows(&mut client, "SELECT o.seq, o::text FROM trustlog.operation o") {
            assert_eq!(operations[&seq], row);
        }
        for (idx, row) in rows(&mut client, "SELECT l.idx, l::text FROM trustlog.leaf l") {
            assert_eq!(first_leaves[&idx], row);
        }
        assert_frozen(&mut client, target);
        assert_eq!(value::<i64>(&mut client, "SELECT trustlog.continue_log()"), there - sealed + 1);
        wait_for_leaves(&mut client, there + 1);
        save(&mut client, "new");
        wait_for_leaves(&mut client, there + 2);
        audit::check(&mut client);
    }
    wait_for_workers(&cluster, &["one", "source", "three", "two"]);
}

#[test]
fn a_log_with_tiles_of_two_levels() {
    let cluster = builder().start();
    let mut source = cluster.create_db("source");
    insert(&mut source, "op", 70_000);
    wait_for_leaves(&mut source, 70_000);
    let tiles = "SELECT string_agg(level || ':' || n, ' ' ORDER BY level) FROM
        (SELECT level, count(*) n FROM trustlog.tile GROUP BY level) t";
    assert_eq!(value::<String>(&mut source, tiles), "0:273 1:1");
    restore(&cluster, "source", "target", &["-Fc"], &Way::Restore(&["-j", "4"]));
    let mut client = cluster.connect("target");
    assert_eq!(contents(&mut client), contents(&mut source));
    let head = tree_head(&mut source);
    assert_eq!(head.0, 70_000);
    assert_eq!(tree_head(&mut client), head);
    assert_frozen(&mut client, "target");
    assert_eq!(value::<i64>(&mut client, "SELECT trustlog.continue_log()"), 1);
    insert(&mut client, "new", 1_000);
    wait_for_leaves(&mut client, 71_001);
    assert_eq!(value::<String>(&mut client, tiles), "0:277 1:1");
    audit::check(&mut client);
}

#[test]
fn a_restore_in_parts_stays_frozen() {
    let cluster = builder().start();
    let mut source = cluster.create_db("source");
    insert(&mut source, "op", 600);
    wait_for_leaves(&mut source, 600);
    let cases: [(&str, &[&str]); 3] =
        [("no_tiles", &["tile"]), ("no_leaves", &["leaf"]), ("no_log", &["tile", "leaf"])];
    for (name, missing) in cases {
        let options: Vec<_> = missing.iter().map(|table| format!("--exclude-table-data=trustlog.{table}")).collect();
        let mut options: Vec<_> = options.iter().map(String::as_str).collect();
        options.push("-Fc");
        cluster.connect("postgres").batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        cluster.pg_restore(name, &cluster.pg_dump("source", &options), &[]);
        let mut client = cluster.connect(name);
        // Sealing what has been restored so far would leave no room for the leaves that are still to come.
        assert_eq!(state(&mut client), "frozen");
        assert_eq!(sqlstate(client.batch_execute("SELECT trustlog.seal()")), "55000");
        let seen =
            format!("SELECT obstacle IS NOT DISTINCT FROM 'frozen' FROM trustlog.stat_worker WHERE datname = '{name}'");
        wait::until(wait::PATIENCE, "the worker has seen that the log is frozen", || {
            client.query_opt(&seen, &[]).unwrap().is_some_and(|row| row.get(0))
        });
        if missing.len() == 1 {
            // Leaves without tiles, or tiles without leaves: there is nothing to go on from.
            assert_eq!(sqlstate(client.batch_execute("SELECT trustlog.continue_log()")), "55000", "{name}");
            assert_eq!(state(&mut client), "frozen");
        }
        for table in missing {
            let file = cluster.pg_dump("source", &["-Fc", "-a", "-t", &format!("trustlog.{table}")]);
            cluster.pg_restore(name, &file, &[]);
        }
        assert_eq!(tree_head(&mut client), tree_head(&mut source), "{name}");
        assert_eq!(value::<i64>(&mut client, "SELECT trustlog.continue_log()"), 0);
        save(&mut client, "new");
        wait_for_leaves(&mut client, 601);
        audit::check(&mut client);
    }
}

#[test]
fn a_log_whose_records_are_all_erased_is_frozen_too() {
    let cluster = builder().start();
    let mut source = cluster.create_db("source");
    source.batch_execute("SET trustlog.default_strategy = 'TRUSTLOG_ONLY'").unwrap();
    insert(&mut source, "gone", 300);
    wait_for_leaves(&mut source, 300);
    assert_eq!(value::<i64>(&mut source, "SELECT count(*) FROM trustlog.operation"), 0);
    restore(&cluster, "source", "target", &[], &Way::Psql(&[]));
    let mut client = cluster.connect("target");
    assert_eq!(contents(&mut client), contents(&mut source));
    assert_frozen(&mut client, "target");
    assert_eq!(value::<i64>(&mut client, "SELECT trustlog.continue_log()"), 1);
    wait_for_leaves(&mut client, 301);
    assert_eq!(state(&mut client), "ok");
    // What was erased stays taken.
    assert_eq!(sqlstate(try_insert(&mut client, "gone", 1)), "23505");
}

#[test]
fn a_new_database_and_an_empty_dump_are_not_frozen() {
    let cluster = builder().start();
    let mut source = cluster.create_db("source");
    restore(&cluster, "source", "target", &["-Fc"], &Way::Restore(&[]));
    let mut client = cluster.connect("target");
    assert_eq!(contents(&mut client), contents(&mut source));
    for client in [&mut source, &mut client] {
        save(client, "one");
        wait_for_leaves(client, 1);
        assert_eq!(sqlstate(client.batch_execute("SELECT trustlog.continue_log()")), "55000");
    }
}

#[test]
fn the_schema_alone_is_a_new_log() {
    let cluster = builder().start();
    furnish(&cluster, "source");
    restore(&cluster, "source", "target", &["--schema-only"], &Way::Psql(&[]));
    let mut client = cluster.connect("target");
    for (table, (rows, _)) in contents(&mut client) {
        assert_eq!(rows, 0, "{table}");
    }
    insert(&mut client, "op", 300);
    wait_for_leaves(&mut client, 300);
    assert_eq!(state(&mut client), "ok");
    audit::check(&mut client);
}

#[test]
fn the_sink_of_a_database_is_part_of_its_dump() {
    let (here, there) = (builder().start(), builder().start());
    {
        let mut client = here.create_db("app");
        client.batch_execute("ALTER DATABASE app SET trustlog.sink = 'manual'").unwrap();
        client.batch_execute("ALTER DATABASE app SET trustlog.poll_interval = '7s'").unwrap();
    }
    let mut source = here.connect("app");
    // What the worker seals before it has followed the setting it attests itself.
    wait::until(wait::PATIENCE, "the worker leaves it to callers to attest", || {
        let number = leaves(&mut source) + 1;
        save(&mut source, &format!("probe-{number}"));
        wait_for_leaves(&mut source, number);
        value(&mut source, "SELECT EXISTS (SELECT FROM trustlog.unattested)")
    });
    insert(&mut source, "op", 300);
    let sealed: i64 = value(&mut source, "SELECT count(*) FROM trustlog.operation");
    wait_for_leaves(&mut source, sealed);
    source.batch_execute("SELECT trustlog.update_status('op-7', 'TRUSTLOGGED')").unwrap();
    let unattested = "SELECT not_attested FROM trustlog.stat";
    assert_eq!(value::<i64>(&mut source, unattested), 300);

    let file = here.pg_dump("app", &["-Fc", "-C"]);
    there.pg_restore("postgres", &file, &["-C"]);
    let mut client = there.connect("app");
    assert_eq!(value::<String>(&mut client, "SHOW trustlog.sink"), "manual");
    assert_eq!(value::<String>(&mut client, "SHOW trustlog.poll_interval"), "7s");
    assert_eq!(contents(&mut client), contents(&mut source));
    assert_frozen(&mut client, "app");
    assert_eq!(value::<i64>(&mut client, "SELECT trustlog.continue_log(true)"), 1);
    wait_for_leaves(&mut client, sealed + 1);
    assert_eq!(value::<i64>(&mut client, unattested), 301);
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM trustlog.find_untrustlogged(1000)"), 301);
    assert_eq!(value::<i64>(&mut client, "SELECT stranded FROM trustlog.stat"), 0);
    client.batch_execute("SELECT trustlog.update_status('op-8', 'TRUSTLOGGED')").unwrap();
    assert_eq!(value::<i64>(&mut client, unattested), 300);
    audit::check(&mut client);
}
