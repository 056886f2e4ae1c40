//! The fixture itself does what the other tests rely on.

use std::time::Duration;

use postgres::Client;
use trustlog_tests::{Cluster, Mode, Signal, wait};

fn count(client: &mut Client) -> i64 {
    client.query_one("SELECT count(*) FROM note", &[]).unwrap().get(0)
}

fn write_note(client: &mut Client) {
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS note (at timestamptz DEFAULT now()); INSERT INTO note DEFAULT VALUES",
        )
        .unwrap();
}

#[test]
fn settings_reach_the_server_and_psql_runs() {
    let cluster = Cluster::builder().setting("work_mem", "5MB").setting("cluster_name", "it's").start();
    assert_eq!(cluster.psql("postgres", "SHOW work_mem;\nSHOW cluster_name;\nSHOW fsync"), "5MB\nit's\noff\n");
    cluster.configure("work_mem", "6MB");
    cluster.reload();
    wait::until(wait::PATIENCE, "the setting is in force", || cluster.psql("postgres", "SHOW work_mem") == "6MB\n");
    assert!(cluster.try_psql("postgres", "SELECT 1/0").unwrap_err().contains("division by zero"));
}

#[test]
fn crashes_lose_nothing_that_was_committed() {
    let cluster = Cluster::builder().start();
    write_note(&mut cluster.create_db("app"));
    cluster.restart_immediate();
    write_note(&mut cluster.connect("app"));
    cluster.kill_postmaster();
    cluster.start();
    assert_eq!(count(&mut cluster.connect("app")), 2);
    assert!(cluster.log().contains("database system was not properly shut down"));
}

#[test]
fn a_killed_backend_makes_the_server_recover() {
    let cluster = Cluster::builder().start();
    let mut victim = cluster.connect("postgres");
    let pid: i32 = victim.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    cluster.signal(pid, Signal::KILL);
    wait::until(wait::PATIENCE, "the connection is lost", || victim.simple_query("SELECT 1").is_err());
    wait::until(wait::PATIENCE, "the server is back", || cluster.try_psql("postgres", "SELECT 1").is_ok());
}

#[test]
fn stopping_fast_takes_less_than_a_second() {
    let cluster = Cluster::builder().start();
    let client = cluster.create_db("app");
    let took = cluster.stop(Mode::Fast);
    assert!(took < Duration::from_secs(1), "took {took:?}");
    drop(client);
    let copy = cluster.copy();
    copy.start();
    cluster.start();
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let cluster = Cluster::builder().preload("no_such_library").create();
    assert!(cluster.try_start().unwrap_err().contains("no_such_library"));
}

#[test]
fn a_standby_follows_and_is_promoted() {
    let primary = Cluster::builder().start();
    write_note(&mut primary.create_db("app"));
    let standby = primary.base_backup_with(&[("work_mem", "5MB")]);
    write_note(&mut primary.connect("app"));
    standby.catch_up(&primary);
    primary.stop(Mode::Immediate);
    standby.promote();
    let mut client = standby.connect("app");
    write_note(&mut client);
    assert_eq!(count(&mut client), 3);
}

#[test]
fn a_dump_is_restored_into_another_cluster() {
    let (here, there) = (Cluster::builder().start(), Cluster::builder().own_system_identifier().start());
    write_note(&mut here.create_db("app"));
    let dump = here.pg_dump("app", &["-Fc"]);
    there.connect("postgres").batch_execute("CREATE DATABASE app").unwrap();
    there.pg_restore("app", &dump, &[]);
    assert_eq!(count(&mut there.connect("app")), 1);
    let identifier = "SELECT system_identifier FROM pg_control_system()";
    assert_ne!(here.psql("app", identifier), there.psql("app", identifier));
}
