//! A standby reads, writes nothing and has no workers; promoted it goes on where the primary stopped.

use postgres::Client;
use trustlog_tests::records::{
    insert, leaves, save, sqlstate, state, tree_head, value, wait_for_leaves, wait_for_state, wait_for_workers, workers,
};
use trustlog_tests::{Builder, Cluster, Mode, audit, wait};

const REASON: &str = "SELECT reason FROM trustlog.stat";

/// One value of each function that reads, as text.
const READS: [(&str, &str); 16] = [
    ("SELECT seq || op_id || trustlog_status || leaf_index FROM trustlog.find_by_id('op-7')", "7op-7TRUSTLOGGED6"),
    ("SELECT count(*)::text FROM trustlog.find_by_id('absent')", "0"),
    ("SELECT string_agg(op_id, ' ') FROM trustlog.find_untrustlogged(3)", "waiting-1 waiting-2 waiting-3"),
    ("SELECT string_agg(op_id, ' ') FROM trustlog.query_operations(op_id => 'op-300', page_size => 2)", "op-300"),
    (
        "SELECT count(*)::text FROM trustlog.query_operations(trustlog_status => 'TRUSTLOGGED', page_size => 1000)",
        "300",
    ),
    ("SELECT trustlog.count_operations(trustlog_status => 'NOT_TRUSTLOGGED')::text", "20"),
    ("SELECT trustlog.query_operations_page(page_size => 7) ->> 'total_pages'", "46"),
    ("SELECT size::text FROM trustlog.tree_head()", "300"),
    ("SELECT string_agg(leaf_index || op_id, ' ') FROM trustlog.read_log(298, 10)", "298op-299 299op-300"),
    ("SELECT trustlog.get_cursor('mine')", "42"),
    ("SELECT coalesce(trustlog.get_cursor('absent'), 'none')", "none"),
    ("SELECT count(*)::text FROM trustlog.find_pending_retries(10)", "1"),
    ("SELECT count(*)::text FROM trustlog.operation_status WHERE trustlog_status = 'TRUSTLOGGED'", "300"),
    ("SELECT op_id FROM trustlog.dead_letter", "waiting-2"),
    (
        "SELECT tree_size || ' ' || not_attested || ' ' || attested_total || ' ' || dead_letters FROM trustlog.stat",
        "300 20 300 1",
    ),
    ("SELECT trustlog.wait_for_attestation('op-1', '1 ms')::text", "true"),
];

/// Everything that writes.
const WRITES: [&str; 25] = [
    "SELECT trustlog.save('new', 'a', '1/2', 'p', 's', 1, 'r')",
    "SELECT trustlog.save('op-1', 'actor', '20.500/1', 'producer', 'source', 1, 'repository')",
    "SELECT trustlog.save('{\"op_id\": \"new\", \"op_actor\": \"a\", \"doid\": \"1/2\", \"producer_id\": \"p\", \"op_source\": \"s\",
                           \"op_code\": 1, \"do_repository\": \"r\"}'::jsonb)",
    "SELECT trustlog.save_batch('[{\"op_id\": \"new\", \"op_actor\": \"a\", \"doid\": \"1/2\", \"producer_id\": \"p\",
                                  \"op_source\": \"s\", \"op_code\": 1, \"do_repository\": \"r\"}]'::jsonb)",
    "INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository)
     VALUES ('new', 'a', '1/2', 'p', 's', 1, 'r')",
    "UPDATE trustlog.operation SET op_code = 2",
    "DELETE FROM trustlog.leaf",
    "TRUNCATE trustlog.tile",
    "SELECT trustlog.update_status('waiting-1', 'TRUSTLOGGED')",
    "SELECT trustlog.update_status_cas('waiting-1', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED')",
    "SELECT trustlog.find_untrustlogged_with_lock(1)",
    "SELECT trustlog.find_pending_retries_with_lock(1)",
    "SELECT trustlog.update_cursor('mine', '43')",
    "SELECT trustlog.init_cursor('mine', '43')",
    "SELECT trustlog.update_cursor_cas('mine', '42', '43')",
    "SELECT trustlog.add_retry('waiting-1', 'no')",
    "SELECT trustlog.increment_retry('waiting-1', 'no')",
    "SELECT trustlog.mark_as_dead_letter('waiting-1', 'no')",
    "SELECT trustlog.requeue_dead_letters()",
    "SELECT trustlog.discard_dead_letter('waiting-2', 'no')",
    "SELECT trustlog.delete_retry('waiting-1')",
    "SELECT trustlog.seal()",
    "SELECT trustlog.pause()",
    "SELECT trustlog.resume()",
    "SELECT trustlog.grant_access('postgres', 'writer')",
];

/// The worker polls so rarely that a wake-up that is missing is noticed.
fn builder() -> Builder {
    Cluster::builder().setting("trustlog.poll_interval", "1h")
}

fn assert_reads(client: &mut Client) {
    for (query, expected) in READS {
        assert_eq!(value::<String>(client, query), expected, "{query}");
    }
}

#[test]
fn a_standby_reads_and_its_promotion_starts_the_worker() {
    let primary = builder().start();
    let mut client = primary.create_db("app");
    insert(&mut client, "op", 300);
    wait_for_leaves(&mut client, 300);
    // What the primary leaves behind.
    primary.configure("trustlog.worker_enabled", "off");
    primary.reload();
    wait_for_state(&mut client, "disabled");
    insert(&mut client, "waiting", 20);
    client
        .batch_execute(
            "SELECT trustlog.add_retry('waiting-1', 'not now', '2000-01-01 00:00 UTC');
             SELECT trustlog.mark_as_dead_letter('waiting-2', 'never');
             SELECT trustlog.update_cursor('mine', '42')",
        )
        .unwrap();
    // The primary's own answers are the ones expected of the standby.
    assert_reads(&mut client);
    let head = tree_head(&mut client);

    let standby = primary.base_backup_with(&[("trustlog.worker_enabled", "on")]);
    standby.catch_up(&primary);
    let mut reader = standby.connect("app");
    assert_reads(&mut reader);
    assert_eq!(tree_head(&mut reader), head);
    assert_eq!(state(&mut reader), "no_worker");
    assert_eq!(value::<String>(&mut reader, REASON), "this server is a standby; the worker runs on the primary");
    assert_eq!(value::<i64>(&mut reader, "SELECT count(*) FROM trustlog.stat_worker"), 0);
    let ours = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'trustlog%'";
    assert_eq!(value::<i64>(&mut reader, ours), 0);
    for statement in WRITES {
        let result = reader.batch_execute(statement);
        assert_eq!(result.map_err(|e| e.code().unwrap().code().to_owned()), Err("25006".to_owned()), "{statement}");
    }
    assert_eq!(sqlstate(reader.batch_execute("SELECT trustlog.update_status('absent', 'TRUSTLOGGED')")), "P0002");

    // It follows.
    save(&mut client, "late");
    standby.catch_up(&primary);
    assert_eq!(value::<i64>(&mut reader, "SELECT not_attested FROM trustlog.stat"), 21);
    assert_eq!(leaves(&mut reader), 300);
    assert_eq!(workers(&standby), Vec::<String>::new());

    // The session that looked before the promotion goes on after it.
    primary.stop(Mode::Immediate);
    standby.promote();
    wait_for_leaves(&mut reader, 321);
    wait_for_workers(&standby, &["app"]);
    wait_for_state(&mut reader, "ok");
    save(&mut reader, "after");
    wait_for_leaves(&mut reader, 322);
    audit::check(&mut reader);
    let mut third = standby.create_db("third");
    save(&mut third, "one");
    wait_for_leaves(&mut third, 1);
}

#[test]
fn the_worker_of_a_primary_with_a_standby_keeps_it_up_to_date() {
    let primary = builder().start();
    let mut client = primary.create_db("app");
    let standby = primary.base_backup();
    for (round, expected) in [(1, 500), (2, 1000), (3, 1500)] {
        insert(&mut client, &format!("round-{round}"), 500);
        wait_for_leaves(&mut client, expected);
        standby.catch_up(&primary);
        let mut reader = standby.connect("app");
        assert_eq!(tree_head(&mut reader), tree_head(&mut client));
    }
    // A database that is created, and one that is dropped, while the standby is read.
    let mut other = primary.create_db("other");
    save(&mut other, "one");
    wait_for_leaves(&mut other, 1);
    standby.catch_up(&primary);
    assert_eq!(leaves(&mut standby.connect("other")), 1);
    other.close().unwrap();
    primary.connect("postgres").batch_execute("DROP DATABASE other").unwrap();
    standby.catch_up(&primary);
    wait::until(wait::PATIENCE, "it is gone there, too", || standby.try_psql("other", "SELECT 1").is_err());
    assert_eq!(workers(&standby), Vec::<String>::new());
    assert_eq!(standby.launcher_pid(), None);
}
