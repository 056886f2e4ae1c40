//! What tests do with the extension itself: save records, watch them being sealed, compare databases.

use std::collections::BTreeMap;

use postgres::Client;

use crate::{Cluster, wait};

/// Inserts `count` records in one statement; their op_ids are `{name}-1`, `{name}-2`, and so on.
///
/// # Errors
/// What the server says.
pub fn try_insert(client: &mut Client, name: &str, count: i32) -> Result<(), postgres::Error> {
    let insert = "INSERT INTO trustlog.operation
        (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository)
        SELECT $1::text || '-' || n, 'actor', '20.500/' || n, 'producer', 'source', n, 'repository'
          FROM generate_series(1, $2::int) n";
    client.execute(insert, &[&name, &count]).map(drop)
}

/// The same, where it has to work.
pub fn insert(client: &mut Client, name: &str, count: i32) {
    try_insert(client, name, count).unwrap();
}

/// Saves one record with `trustlog.save()`.
///
/// # Errors
/// What the server says.
pub fn try_save(client: &mut Client, op_id: &str) -> Result<(), postgres::Error> {
    let save = "SELECT trustlog.save($1, 'actor', '20.500/1', 'producer', 'source', 1, 'repository')";
    client.execute(save, &[&op_id]).map(drop)
}

/// The same, where it has to work.
pub fn save(client: &mut Client, op_id: &str) {
    try_save(client, op_id).unwrap();
}

/// A statement's one value.
pub fn value<T>(client: &mut Client, query: &str) -> T
where
    T: for<'a> postgres::types::FromSql<'a>,
{
    client.query_one(query, &[]).unwrap_or_else(|error| panic!("{query}: {error:?}")).get(0)
}

/// How many leaves the log has.
pub fn leaves(client: &mut Client) -> i64 {
    value(client, "SELECT count(*) FROM trustlog.leaf")
}

/// Waits until the log has `count` leaves.
pub fn wait_for_leaves(client: &mut Client, count: i64) {
    wait::until(wait::PATIENCE, &format!("{count} leaves are there"), || leaves(client) >= count);
    assert_eq!(leaves(client), count);
}

/// The `state` of the view `stat`.
pub fn state(client: &mut Client) -> String {
    value(client, "SELECT state FROM trustlog.stat")
}

/// Waits until `stat` shows that state.
pub fn wait_for_state(client: &mut Client, expected: &str) {
    wait::until(wait::PATIENCE, &format!("stat says {expected}"), || state(client) == expected);
}

/// The SQLSTATE with which something failed.
///
/// # Panics
/// When it did not fail, or not with an error of the server.
pub fn sqlstate<T>(result: Result<T, postgres::Error>) -> String {
    let Err(error) = result else { panic!("it should have failed") };
    let code = error.code().unwrap_or_else(|| panic!("{error:?}"));
    code.code().to_owned()
}

/// The databases that have a worker, sorted; one that has two is there twice.
pub fn workers(cluster: &Cluster) -> Vec<String> {
    let query = "SELECT datname::text FROM pg_stat_activity WHERE backend_type = 'trustlog worker' ORDER BY 1";
    let rows = cluster.connect("postgres").query(query, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Waits until exactly these databases have a worker that has found the extension; sorted, one each.
pub fn wait_for_workers(cluster: &Cluster, databases: &[&str]) {
    let mut client = cluster.connect("postgres");
    let running = "SELECT coalesce(string_agg(datname, ',' ORDER BY datname), '') FROM pg_stat_activity
        WHERE backend_type = 'trustlog worker' AND application_name = 'trustlog worker'";
    let expected = databases.join(",");
    wait::until(wait::PATIENCE, &format!("workers run in: {expected}"), || {
        value::<String>(&mut client, running) == expected
    });
}

/// The worker of a database, as soon as there is one.
pub fn wait_for_worker(cluster: &Cluster, database: &str) -> i32 {
    wait::value(wait::PATIENCE, &format!("{database} has a worker"), || cluster.worker_pid(database))
}

/// Waits until the database has another worker than `before`.
pub fn wait_for_other_worker(cluster: &Cluster, database: &str, before: i32) -> i32 {
    wait::value(wait::PATIENCE, &format!("{database} has a new worker"), || {
        cluster.worker_pid(database).filter(|pid| *pid != before)
    })
}

/// Waits until the launcher has looked at everything once more, so that what it was to do by now is done: a new
/// database gets its worker.
pub fn wait_for_launcher(cluster: &Cluster) {
    let mut client = cluster.create_db("launcher_looked");
    save(&mut client, "looked");
    wait_for_leaves(&mut client, 1);
    drop(client);
    cluster.connect("postgres").batch_execute("DROP DATABASE launcher_looked").unwrap();
}

/// The rows of every table of the extension, as number and checksum, by table name. Without the two that are no part of
/// a dump.
pub fn contents(client: &mut Client) -> BTreeMap<String, (i64, String)> {
    let tables = "SELECT c.relname::text FROM pg_class c WHERE c.relkind = 'r' AND c.relname NOT IN ('outbox', 'home')
        AND c.relnamespace = 'trustlog'::regnamespace";
    let tables = client.query(tables, &[]).unwrap();
    let mut found = BTreeMap::new();
    for table in tables {
        let name: String = table.get(0);
        let query = format!(
            "SELECT count(*), md5(coalesce(string_agg(t::text, ';' ORDER BY t::text COLLATE \"C\"), ''))
               FROM trustlog.{name} t"
        );
        let row = client.query_one(&query, &[]).unwrap();
        found.insert(name, (row.get(0), row.get(1)));
    }
    found
}

/// Size and root of the log, the root in hexadecimal.
pub fn tree_head(client: &mut Client) -> (i64, String) {
    let head = "SELECT size, encode(root, 'hex') FROM trustlog.tree_head()";
    let row = client.query_one(head, &[]).unwrap();
    (row.get(0), row.get(1))
}
