//! Nobody can do what nothing was granted for, nobody can have the extension call code of theirs, and nobody can change
//! what is append-only.

use postgres::Client;
use trustlog_tests::records::{
    contents, insert, leaves, save, sqlstate, try_insert, try_save, value, wait_for_leaves, wait_for_state,
};
use trustlog_tests::{Builder, Cluster};

/// The worker polls so rarely that a wake-up that is missing is noticed.
fn builder() -> Builder {
    Cluster::builder().setting("trustlog.poll_interval", "1h")
}

fn strings(client: &mut Client, query: &str) -> Vec<String> {
    client.query(query, &[]).unwrap_or_else(|e| panic!("{e:?}")).iter().map(|row| row.get(0)).collect()
}

/// Everything in the schema that a role could be allowed to use, and each of these privileges it has.
fn privileges(client: &mut Client, role: &str) -> Vec<String> {
    let query = format!(
        "SELECT what FROM (
            SELECT p.privilege || ' ' || nspname AS what
              FROM pg_namespace, (VALUES ('USAGE'), ('CREATE')) p (privilege)
             WHERE nspname = 'trustlog' AND has_schema_privilege('{role}', oid, privilege)
            UNION ALL
            SELECT 'EXECUTE ' || oid::regprocedure FROM pg_proc
             WHERE pronamespace = 'trustlog'::regnamespace AND has_function_privilege('{role}', oid, 'EXECUTE')
            UNION ALL
            SELECT privilege || ' ' || oid::regclass
              FROM pg_class, (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('REFERENCES'), ('TRIGGER'))
                   p (privilege)
             WHERE relnamespace = 'trustlog'::regnamespace AND relkind IN ('r', 'v', 'p', 'm', 'f')
               AND has_table_privilege('{role}', oid, privilege)
            UNION ALL
            SELECT privilege || ' ' || attrelid::regclass || '.' || attname
              FROM pg_attribute JOIN pg_class c ON c.oid = attrelid,
                   (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('REFERENCES')) p (privilege)
             WHERE relnamespace = 'trustlog'::regnamespace AND relkind IN ('r', 'v', 'p', 'm', 'f') AND attnum > 0
               AND has_column_privilege('{role}', attrelid, attnum, privilege)
               AND NOT has_table_privilege('{role}', attrelid, privilege)
            UNION ALL
            SELECT privilege || ' ' || oid::regclass FROM pg_class, (VALUES ('USAGE'), ('SELECT'), ('UPDATE')) p (privilege)
             WHERE relnamespace = 'trustlog'::regnamespace AND relkind = 'S' AND has_sequence_privilege('{role}', oid, privilege)
         ) x ORDER BY 1"
    );
    strings(client, &query)
}

/// A database with records, and one role for each part.
fn with_roles() -> (Cluster, Client) {
    let cluster = builder().start();
    let mut client = cluster.create_db("app");
    client.batch_execute("CREATE ROLE nobody LOGIN").unwrap();
    for part in ["writer", "reader", "operator", "auditor"] {
        client
            .batch_execute(&format!("CREATE ROLE {part} LOGIN; SELECT trustlog.grant_access('{part}', '{part}')"))
            .unwrap();
    }
    insert(&mut client, "op", 300);
    wait_for_leaves(&mut client, 300);
    (cluster, client)
}

/// The SQLSTATE of a statement, or "" when it succeeded; nothing of it stays.
fn outcome(client: &mut Client, statement: &str) -> String {
    client.batch_execute("BEGIN").unwrap();
    let result = client.batch_execute(statement);
    client.batch_execute("ROLLBACK").unwrap();
    result.map_or_else(|error| error.code().unwrap().code().to_owned(), |()| String::new())
}

// ---------------------------------------------------------------------- privileges

#[test]
fn nothing_is_granted_to_everybody() {
    let (cluster, mut client) = with_roles();
    assert_eq!(privileges(&mut client, "nobody"), Vec::<String>::new());
    // That something was looked at: the owner has it all.
    assert!(privileges(&mut client, "postgres").len() > 150);
    let schema = strings(
        &mut client,
        "SELECT table_name || ' ' || privilege_type FROM information_schema.table_privileges
          WHERE table_schema = 'trustlog' AND grantee = 'PUBLIC'
         UNION ALL
         SELECT routine_name || ' ' || privilege_type FROM information_schema.routine_privileges
          WHERE routine_schema = 'trustlog' AND grantee = 'PUBLIC'
         UNION ALL
         SELECT column_name || ' ' || privilege_type FROM information_schema.column_privileges
          WHERE table_schema = 'trustlog' AND grantee = 'PUBLIC'
         UNION ALL
         SELECT object_name || ' ' || privilege_type FROM information_schema.usage_privileges
          WHERE object_schema = 'trustlog' AND object_type = 'SEQUENCE' AND grantee = 'PUBLIC'",
    );
    assert_eq!(schema, Vec::<String>::new());
    let mut nobody = cluster.connect_as("app", "nobody");
    for statement in [
        "SELECT trustlog.save('x', 'a', '1/2', 'p', 's', 1, 'r')",
        "SELECT * FROM trustlog.stat",
        "TABLE trustlog.operation",
        "SELECT trustlog.random_salt()",
    ] {
        assert_eq!(outcome(&mut nobody, statement), "42501", "{statement}");
    }
    // Settings that decide what the log says are the superuser's.
    for (setting, expected) in [
        ("trustlog.sink = 'manual'", "42501"),
        ("trustlog.worker_enabled = off", "42501"),
        ("trustlog.seal_batch_size = 1", "42501"),
        ("trustlog.poll_interval = '1h'", "42501"),
        ("trustlog.retry_base_delay = '1h'", "42501"),
        ("trustlog.databases = ''", "55P02"),
        ("trustlog.no_such_setting = 1", "42602"),
        ("trustlog.default_strategy = 'DB_ONLY'", ""),
    ] {
        assert_eq!(outcome(&mut nobody, &format!("SET {setting}")), expected, "{setting}");
    }
}

#[test]
fn a_writer_saves_and_does_nothing_else() {
    let (cluster, mut client) = with_roles();
    let mut expected = strings(
        &mut client,
        "SELECT 'INSERT trustlog.operation.' || c FROM unnest(ARRAY['op_id', 'op_actor', 'doid', 'producer_id', 'op_source',
             'op_code', 'do_prefix', 'do_repository', 'request_body_hash', 'response_body_hash', 'client_ip', 'server_ip',
             'timestamp', 'strategy']) c
         UNION ALL SELECT 'EXECUTE ' || oid::regprocedure FROM pg_proc
          WHERE pronamespace = 'trustlog'::regnamespace AND proname IN ('save', 'save_batch', 'random_salt')
         UNION ALL SELECT 'USAGE trustlog' ORDER BY 1",
    );
    assert_eq!(expected.len(), 14 + 4 + 1);
    assert_eq!(privileges(&mut client, "writer"), expected);

    let mut writer = cluster.connect_as("app", "writer");
    save(&mut writer, "by save");
    let json =
        "{\"op_id\": \"by json\", \"op_actor\": \"a\", \"doid\": \"1/2\", \"producer_id\": \"p\", \"op_source\": \"s\",
        \"op_code\": 1, \"do_repository\": \"r\"}";
    writer.batch_execute(&format!("SELECT trustlog.save('{json}'::jsonb)")).unwrap();
    writer.batch_execute(&format!("SELECT * FROM trustlog.save_batch('[{json}]'::jsonb)")).unwrap();
    insert(&mut writer, "by insert", 20);
    {
        use std::io::Write;
        let mut copy = writer
            .copy_in(
                "COPY trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) FROM STDIN",
            )
            .unwrap();
        for number in 0..20 {
            writeln!(copy, "by copy {number}\ta\t1/2\tp\ts\t1\tr").unwrap();
        }
        copy.finish().unwrap();
    }
    wait_for_leaves(&mut client, 342);
    let prefixes = "SELECT count(*) FROM trustlog.operation WHERE op_id LIKE 'by copy %' AND do_prefix = '1'";
    assert_eq!(value::<i64>(&mut client, prefixes), 20);

    // A clash tells who may not read only that there is one.
    let other = "SELECT trustlog.save('by save', 'other', '20.500/1', 'producer', 'source', 1, 'repository')";
    let error = writer.batch_execute(other).unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.detail()), ("23505", None));
    let error = client.batch_execute(other).unwrap_err();
    assert_eq!(error.as_db_error().unwrap().detail(), Some("Differing fields: op_actor."));

    for statement in [
        "SELECT op_id FROM trustlog.operation",
        "INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository)
         VALUES ('x', 'a', '1/2', 'p', 's', 1, 'r') RETURNING seq",
        "INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository)
         VALUES ('op-1', 'a', '1/2', 'p', 's', 1, 'r') ON CONFLICT (op_id) DO UPDATE SET op_code = 2",
        "UPDATE trustlog.operation SET op_code = 1",
        "DELETE FROM trustlog.operation",
        "TRUNCATE trustlog.operation",
        "INSERT INTO trustlog.outbox VALUES (1, false)",
        "INSERT INTO trustlog.leaf VALUES (0, 0, now(), sha256(''))",
        "SELECT nextval('trustlog.operation_seq_seq')",
        "SELECT trustlog.find_by_id('op-1')",
        "SELECT trustlog.tree_head()",
        "SELECT trustlog.update_status('by save', 'TRUSTLOGGED')",
        "SELECT trustlog.seal()",
        "SELECT trustlog.pause()",
        "SELECT trustlog.continue_log()",
        "SELECT trustlog.grant_access('writer', 'operator')",
        "SELECT trustlog.wake_worker_at_end()",
        "TABLE trustlog.stat",
        "LOCK TABLE trustlog.operation IN SHARE MODE",
        "CREATE TRIGGER mine BEFORE INSERT ON trustlog.operation FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE TABLE trustlog.mine ()",
        "ALTER TABLE trustlog.operation DISABLE TRIGGER ALL",
        "ALTER EXTENSION trustlog DROP TABLE trustlog.operation",
        "DROP EXTENSION trustlog",
        "SET session_replication_role = replica",
    ] {
        assert_eq!(outcome(&mut writer, statement), "42501", "{statement}");
    }
    // Columns that are not a writer's to choose.
    for (column, forged) in [("seq", "1"), ("salt", "'\\x00'"), ("created_at", "'2000-01-01'")] {
        let statement = format!(
            "INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, {column})
             VALUES ('x', 'a', '1/2', 'p', 's', 1, 'r', {forged})"
        );
        assert_eq!(outcome(&mut writer, &statement), "42501", "{column}");
    }
    // A writer cannot turn its own status setting by hand into evidence of others.
    assert_eq!(sqlstate(try_insert(&mut writer, "op", 1)), "23505");
    expected.push("nothing was lost by what failed".to_owned());
    assert_eq!(privileges(&mut client, "writer").len() + 1, expected.len());
}

#[test]
fn readers_operators_and_auditors_do_their_part() {
    let (cluster, mut client) = with_roles();
    let forbidden = ["UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "CREATE"];
    for part in ["writer", "reader", "operator", "auditor"] {
        for privilege in privileges(&mut client, part) {
            let kind = privilege.split(' ').next().unwrap();
            assert!(!forbidden.contains(&kind), "{part} has {privilege}");
            assert!(part == "writer" || kind != "INSERT", "{part} has {privilege}");
        }
    }
    // Only an auditor sees salts, which hide the content of leaves.
    let salted = strings(
        &mut client,
        "SELECT r || ' ' || t FROM unnest(ARRAY['writer', 'reader', 'operator', 'auditor']) r, unnest(ARRAY['operation', 'erased']) t
          WHERE has_column_privilege(r, 'trustlog.' || t, 'salt', 'SELECT') ORDER BY 1",
    );
    assert_eq!(salted, ["auditor erased", "auditor operation"]);

    let reads = [
        "SELECT * FROM trustlog.find_by_id('op-1')",
        "SELECT * FROM trustlog.find_untrustlogged(10)",
        "SELECT * FROM trustlog.query_operations(doid => '20.500')",
        "SELECT trustlog.query_operations_page()",
        "SELECT trustlog.count_operations()",
        "SELECT * FROM trustlog.read_log(0, 10)",
        "SELECT trustlog.get_cursor('x')",
        "SELECT * FROM trustlog.find_pending_retries(10)",
        "SELECT trustlog.wait_for_attestation('op-1', '1 s')",
        "TABLE trustlog.operation_status",
        "TABLE trustlog.dead_letter",
        "TABLE trustlog.retry",
    ];
    let both = [
        "TABLE trustlog.stat",
        "TABLE trustlog.stat_worker",
        "SELECT * FROM trustlog.tree_head()",
        "SELECT * FROM trustlog.find_by_id('op-1')",
        "SELECT * FROM trustlog.read_log(0, 10)",
        "TABLE trustlog.operation_status",
        "TABLE trustlog.leaf",
    ];
    let operates = [
        "SELECT trustlog.update_status('op-1', 'TRUSTLOGGED')",
        "SELECT trustlog.update_status_cas('op-1', 'TRUSTLOGGED', 'TRUSTLOGGED')",
        "SELECT * FROM trustlog.find_untrustlogged_with_lock(10)",
        "SELECT trustlog.update_cursor('x', 'y')",
        "SELECT trustlog.init_cursor('x', 'y')",
        "SELECT trustlog.update_cursor_cas('x', 'y', 'z')",
        "SELECT trustlog.requeue_dead_letters()",
        "SELECT * FROM trustlog.find_pending_retries_with_lock(10)",
        "SELECT trustlog.delete_retry('op-1')",
        "SELECT trustlog.seal()",
        "SELECT trustlog.pause('delivery'); SELECT trustlog.resume()",
        "TABLE trustlog.set_aside",
    ];
    let audits = ["TABLE trustlog.operation", "TABLE trustlog.tile", "SELECT salt FROM trustlog.operation"];
    let expectations: [(&str, &[&str], bool); 12] = [
        ("reader", &reads, true),
        ("reader", &both, true),
        ("reader", &operates, false),
        ("reader", &audits, false),
        ("operator", &reads, true),
        ("operator", &both, true),
        ("operator", &operates, true),
        ("operator", &audits, false),
        ("auditor", &both, true),
        ("auditor", &operates[..10], false),
        ("auditor", &audits, true),
        ("writer", &both, false),
    ];
    for (role, statements, allowed) in expectations {
        let mut session = cluster.connect_as("app", role);
        for statement in statements {
            let expected = if allowed { "" } else { "42501" };
            assert_eq!(outcome(&mut session, statement), expected, "{role}: {statement}");
        }
    }
    for role in ["reader", "operator", "auditor"] {
        let mut session = cluster.connect_as("app", role);
        assert_eq!(sqlstate(try_save(&mut session, "x")), "42501");
        assert_eq!(sqlstate(try_insert(&mut session, "x", 1)), "42501");
        assert_eq!(outcome(&mut session, "SELECT trustlog.grant_access('nobody', 'reader')"), "42501");
    }
    for (arguments, expected) in [
        ("'absent', 'reader'", "42704"),
        ("'nobody', 'owner'", "22023"),
        ("NULL, 'reader'", "22004"),
        ("'nobody', NULL", "22004"),
    ] {
        assert_eq!(
            outcome(&mut client, &format!("SELECT trustlog.grant_access({arguments})")),
            expected,
            "{arguments}"
        );
    }
}

// ---------------------------------------------------------------------- search_path

/// Shadows everything in pg_catalog that can be shadowed, in `public`: every function, and every operator. All of
/// these raise SQLSTATE TRAPS. Returns how many there are.
fn set_traps(hostile: &mut Client) -> (i64, i64) {
    hostile
        .batch_execute(
            r#"
        SET client_min_messages = error;
        DO $do$
        DECLARE
            f record;
        BEGIN
            FOR f IN
                SELECT p.oid, p.proname, oidvectortypes(p.proargtypes) AS args, pg_get_function_result(p.oid) AS result
                  FROM pg_catalog.pg_proc p
                 WHERE p.pronamespace = 'pg_catalog'::regnamespace
                   AND p.prorettype NOT IN ('internal'::regtype, 'trigger'::regtype, 'event_trigger'::regtype)
                   AND NOT 'internal'::regtype = ANY (p.proargtypes) AND NOT 'cstring'::regtype = ANY (p.proargtypes)
            LOOP
                BEGIN
                    EXECUTE format($t$CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql AS
                        $f$BEGIN RAISE EXCEPTION USING ERRCODE = 'TRAPS', MESSAGE = %L; END$f$ $t$,
                        f.proname, f.args, f.result, f.proname);
                EXCEPTION WHEN OTHERS THEN NULL;
                END;
            END LOOP;
            FOR f IN
                SELECT o.oprname, p.proname,
                       concat_ws(', ', 'LEFTARG = ' || nullif(o.oprleft, 0)::regtype, 'RIGHTARG = ' || o.oprright::regtype) AS args
                  FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
                 WHERE o.oprnamespace = 'pg_catalog'::regnamespace
            LOOP
                BEGIN
                    EXECUTE format('CREATE OPERATOR public.%s (%s, FUNCTION = public.%I)', f.oprname, f.args, f.proname);
                EXCEPTION WHEN OTHERS THEN NULL;
                END;
            END LOOP;
        END $do$;
        -- Tables, in the one schema of a session that any path ends with.
        CREATE TEMP TABLE saved (seq bigint, op_id text, strategy text, created_at timestamptz);
        CREATE TEMP TABLE operation (seq bigint, op_id text);
        CREATE TEMP TABLE outbox (seq bigint, restored boolean);
        CREATE TEMP TABLE leaf (idx bigint, seq bigint, leaf_hash bytea);
        CREATE TEMP TABLE state (sink text, paused text);
        CREATE TEMP TABLE cursor (cursor_key text, cursor_value text);
        CREATE TEMP TABLE pg_roles (rolname text);
        CREATE TEMP TABLE pg_database (oid oid, datname text);
        CREATE TEMP TABLE pg_class (oid oid);
        CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea';
        CREATE FUNCTION pg_temp.current_database() RETURNS name LANGUAGE sql AS 'SELECT NULL::name';
    "#,
        )
        .unwrap();
    let functions = "SELECT count(*) FROM pg_catalog.pg_proc WHERE pronamespace = 'public'::regnamespace";
    let operators = "SELECT count(*) FROM pg_catalog.pg_operator WHERE oprnamespace = 'public'::regnamespace";
    (value(hostile, functions), value(hostile, operators))
}

#[test]
fn nothing_of_a_hostile_writers_is_ever_called() {
    let (cluster, mut client) = with_roles();
    client
        .batch_execute(
            "CREATE ROLE hostile LOGIN; GRANT CREATE ON SCHEMA public TO hostile;
             SELECT trustlog.grant_access('hostile', p) FROM unnest(ARRAY['writer', 'operator', 'auditor']) p;
             ALTER DATABASE app SET trustlog.worker_enabled = off",
        )
        .unwrap();
    // What seals is what is called here; nothing is to be decided by chance.
    wait_for_state(&mut client, "disabled");
    // Records that a caller is to attest.
    client.batch_execute("SET trustlog.sink = 'manual'").unwrap();
    insert(&mut client, "manual", 10);
    client.batch_execute("SELECT trustlog.seal(); RESET trustlog.sink").unwrap();
    let mut hostile = cluster.connect_as("app", "hostile");
    let (functions, operators) = set_traps(&mut hostile);
    println!("{functions} functions and {operators} operators are traps");
    assert!(functions > 2000 && operators > 600);

    hostile.batch_execute("SET search_path = public, pg_temp, trustlog, pg_catalog").unwrap();
    // They work: this is how whoever does not fix its search_path is caught.
    for statement in ["SELECT length('x')", "SELECT 1 = 1", "SELECT max(idx) FROM trustlog.leaf", "SELECT now()"] {
        let error = hostile.batch_execute(statement).unwrap_err();
        assert_eq!(error.code().unwrap().code(), "TRAPS", "{statement}");
    }

    let json =
        "{\"op_id\": \"h-json\", \"op_actor\": \"a\", \"doid\": \"1/2\", \"producer_id\": \"p\", \"op_source\": \"s\",
        \"op_code\": 1, \"do_repository\": \"r\", \"client_ip\": \"192.0.2.1\"}";
    let statements = [
        "SELECT trustlog.save('h-1', 'a', '1/2', 'p', 's', 1, 'r', client_ip => '192.0.2.1', request_body_hash => 'x')".to_owned(),
        "SELECT trustlog.save('h-1', 'a', '1/2', 'p', 's', 1, 'r', client_ip => '192.0.2.1', request_body_hash => 'x')".to_owned(),
        "SELECT trustlog.save('h-2', 'a', '1/2', 'p', 's', 1, 'r', status => 'TRUSTLOGGED')".to_owned(),
        "SELECT trustlog.save('h-3', 'a', '1/2', 'p', 's', 1, 'r', strategy => 'TRUSTLOG_ONLY', op_time => '2026-01-01')".to_owned(),
        format!("SELECT trustlog.save('{json}'::jsonb)"),
        format!("SELECT trustlog.save_batch('[{json}]'::jsonb)"),
        "INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, client_ip)
         VALUES ('h-4', 'a', '1/2', 'p', 's', 1, 'r', '192.0.2.1'), ('h-5', 'a', '1/2', 'p', 's', 1, 'r', '::1')".to_owned(),
        "SELECT trustlog.find_untrustlogged_with_lock(5)".to_owned(),
        "SELECT trustlog.seal()".to_owned(),
        "SELECT trustlog.save('h-3', 'a', '1/2', 'p', 's', 1, 'r', strategy => 'TRUSTLOG_ONLY', op_time => '2026-01-01')".to_owned(),
        "SELECT trustlog.update_status('h-4', 'TRUSTLOGGED')".to_owned(),
        "SELECT trustlog.update_status_cas('manual-1', 'NOT_TRUSTLOGGED', 'NOT_TRUSTLOGGED')".to_owned(),
        "SELECT * FROM trustlog.find_by_id('h-1')".to_owned(),
        "SELECT * FROM trustlog.find_by_id('h-3')".to_owned(),
        "SELECT * FROM trustlog.find_untrustlogged(5)".to_owned(),
        "SELECT * FROM trustlog.find_untrustlogged_with_lock(5)".to_owned(),
        "SELECT * FROM trustlog.query_operations(doid => '1', time_from => '2000-01-01', client_ip => '192.0.2.1', order_desc => true)".to_owned(),
        "SELECT trustlog.query_operations_page(trustlog_status => 'TRUSTLOGGED')".to_owned(),
        "SELECT trustlog.count_operations(op_source => 's')".to_owned(),
        "SELECT * FROM trustlog.read_log(0, 1000)".to_owned(),
        "SELECT trustlog.update_cursor('c', '1')".to_owned(),
        "SELECT trustlog.init_cursor('c', '2')".to_owned(),
        "SELECT trustlog.update_cursor_cas('c', '1', '2')".to_owned(),
        "SELECT trustlog.get_cursor('c')".to_owned(),
        "SELECT * FROM trustlog.find_pending_retries(5)".to_owned(),
        "SELECT * FROM trustlog.find_pending_retries_with_lock(5)".to_owned(),
        "SELECT trustlog.requeue_dead_letters()".to_owned(),
        "SELECT trustlog.delete_retry('h-1')".to_owned(),
        "SELECT trustlog.wait_for_attestation('h-4', '1 s')".to_owned(),
        "SELECT * FROM trustlog.tree_head()".to_owned(),
        "SELECT trustlog.pause('all')".to_owned(),
        "SELECT trustlog.resume()".to_owned(),
        "TABLE trustlog.stat".to_owned(),
        "TABLE trustlog.stat_worker".to_owned(),
        "TABLE trustlog.operation_status".to_owned(),
        "TABLE trustlog.dead_letter".to_owned(),
    ];
    for statement in &statements {
        if let Err(error) = hostile.batch_execute(statement) {
            panic!("{statement}: {error:?}");
        }
    }
    // With an unattested record: a retry's life.
    client.batch_execute("SET trustlog.sink = 'manual'").unwrap();
    insert(&mut client, "unattested", 2);
    client.batch_execute("SELECT trustlog.seal(); RESET trustlog.sink").unwrap();
    for statement in [
        "SELECT trustlog.add_retry('unattested-1', 'e', '2000-01-01')",
        "SELECT trustlog.increment_retry('unattested-1', 'e')",
        "SELECT trustlog.increment_retry('unattested-2', 'e', '2000-01-01')",
        "SELECT * FROM trustlog.find_pending_retries(5)",
        "SELECT * FROM trustlog.find_pending_retries_with_lock(5)",
        "SELECT trustlog.mark_as_dead_letter('unattested-1', 'e')",
        "SELECT trustlog.requeue_dead_letters(ARRAY['unattested-1'])",
        "SELECT trustlog.mark_as_dead_letter('unattested-1', 'e')",
        "SELECT trustlog.discard_dead_letter('unattested-1', 'e')",
        "SELECT trustlog.delete_retry('unattested-2')",
        "SELECT trustlog.update_status('unattested-2', 'TRUSTLOGGED')",
        "SELECT trustlog.update_status('unattested-2', 'NOT_TRUSTLOGGED')",
        "SELECT * FROM trustlog.find_untrustlogged_with_lock(5)",
        "TABLE trustlog.stat",
        "TABLE trustlog.dead_letter",
    ] {
        if let Err(error) = hostile.batch_execute(statement) {
            panic!("{statement}: {error:?}");
        }
    }
    // Errors take other paths.
    for (statement, expected) in [
        ("SELECT trustlog.save('h-1', 'other', '1/2', 'p', 's', 1, 'r')", "23505"),
        ("SELECT trustlog.save('', 'a', '1/2', 'p', 's', 1, 'r')", "22023"),
        ("SELECT trustlog.update_status('absent', 'TRUSTLOGGED')", "P0002"),
        ("SELECT trustlog.find_untrustlogged(0)", "22023"),
        ("SELECT trustlog.read_log(-1, 1)", "22023"),
        ("SELECT trustlog.continue_log()", "55000"),
    ] {
        assert_eq!(outcome(&mut hostile, statement), expected, "{statement}");
    }
    // Nor by the superuser who has a careless path, or by the worker of a database that has one.
    client
        .batch_execute(
            "BEGIN; ALTER DATABASE app SET search_path = public, pg_catalog;
             ALTER DATABASE app RESET trustlog.worker_enabled; COMMIT",
        )
        .unwrap();
    let sealed: i64 =
        value(&mut client, "SELECT (SELECT count(*) FROM trustlog.leaf) + (SELECT count(*) FROM trustlog.outbox)");
    insert(&mut client, "careless", 300);
    wait_for_leaves(&mut client, sealed + 300);
    let mut careless = cluster.connect("app");
    for statement in [
        "SELECT trustlog.save('careless', 'a', '1/2', 'p', 's', 1, 'r')",
        "SELECT trustlog.grant_access('nobody', 'reader')",
        "TABLE trustlog.stat",
    ] {
        if let Err(error) = careless.batch_execute(statement) {
            panic!("{statement}: {error:?}");
        }
    }
    let errors = "SELECT pg_catalog.coalesce(pg_catalog.max(errors), 0) FROM trustlog.stat_worker";
    let errors = errors.replace("pg_catalog.coalesce", "coalesce");
    assert_eq!(value::<i64>(&mut client, &errors), 0);
    assert!(!cluster.log().contains("trustlog worker: an error"), "{}", cluster.log_end());
}

#[test]
fn functions_that_run_sql_fix_their_search_path() {
    let (_cluster, mut client) = with_roles();
    let path = "search_path=pg_catalog, pg_temp";
    let definers = strings(
        &mut client,
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'trustlog'::regnamespace AND prosecdef",
    );
    assert!(definers.len() > 20, "{definers:?}");
    let without = format!(
        "SELECT oid::regprocedure::text FROM pg_proc
          WHERE pronamespace = 'trustlog'::regnamespace AND coalesce(NOT '{path}' = ANY (proconfig), true)
            AND (prosecdef OR prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c')) ORDER BY 1"
    );
    assert_eq!(strings(&mut client, &without), Vec::<String>::new());
    // In the library what runs SQL fixes it, too; these run none.
    let without = format!(
        "SELECT oid::regprocedure::text FROM pg_proc
          WHERE pronamespace = 'trustlog'::regnamespace AND coalesce(NOT '{path}' = ANY (proconfig), true) ORDER BY 1"
    );
    assert_eq!(
        strings(&mut client, &without),
        [
            "trustlog.fill_do_prefix()",
            "trustlog.guard_append_only()",
            "trustlog.is_preloaded()",
            "trustlog.random_salt()",
            "trustlog.stat_get_workers()",
            "trustlog.wake_worker_at_end()"
        ]
    );
}

// ---------------------------------------------------------------------- append-only

const APPEND_ONLY: [&str; 5] = ["operation", "leaf", "tile", "attestation", "erased"];

fn changes(table: &str) -> [String; 5] {
    let key = if table == "tile" { "n" } else { "seq" };
    [
        format!("UPDATE trustlog.{table} SET {key} = {key}"),
        format!("UPDATE trustlog.{table} SET {key} = 0 WHERE false"),
        format!("DELETE FROM trustlog.{table}"),
        format!("TRUNCATE trustlog.{table}"),
        format!("MERGE INTO trustlog.{table} t USING (SELECT 1) s (x) ON true WHEN MATCHED THEN DELETE"),
    ]
}

/// A database with a row in each append-only table, and a worker that leaves it alone.
fn with_evidence() -> (Cluster, Client) {
    let (cluster, mut client) = with_roles();
    client.batch_execute("ALTER DATABASE app SET trustlog.worker_enabled = off").unwrap();
    wait_for_state(&mut client, "disabled");
    client
        .batch_execute(
            "SET trustlog.sink = 'manual';
             SELECT trustlog.save('by hand', 'a', '1/2', 'p', 's', 1, 'r', status => 'TRUSTLOGGED');
             SELECT trustlog.save('gone', 'a', '1/2', 'p', 's', 1, 'r', strategy => 'TRUSTLOG_ONLY', status => 'TRUSTLOGGED');
             SELECT trustlog.seal();
             RESET trustlog.sink",
        )
        .unwrap();
    assert_eq!(leaves(&mut client), 302);
    for table in APPEND_ONLY {
        assert!(value::<bool>(&mut client, &format!("SELECT EXISTS (SELECT FROM trustlog.{table})")), "{table}");
    }
    (cluster, client)
}

#[test]
fn no_setting_and_no_role_passes_the_append_only_guard() {
    let (_cluster, mut client) = with_evidence();
    let before = contents(&mut client);
    client
        .batch_execute("CREATE ROLE boss SUPERUSER LOGIN; CREATE ROLE table_owner LOGIN; GRANT USAGE ON SCHEMA trustlog TO table_owner")
        .unwrap();
    let mut circumstances = vec![
        String::new(),
        "SET LOCAL session_replication_role = replica".to_owned(),
        "SET LOCAL session_replication_role = local".to_owned(),
        "SET LOCAL ROLE boss".to_owned(),
        "SET LOCAL SESSION AUTHORIZATION boss".to_owned(),
        "SET LOCAL row_security = off; SET LOCAL default_transaction_read_only = off".to_owned(),
        "SET LOCAL application_name = 'trustlog worker'; SET LOCAL search_path = trustlog, pg_catalog".to_owned(),
        "SET LOCAL allow_system_table_mods = on".to_owned(),
        // After functions that had a pass in this transaction.
        "SELECT trustlog.update_status('by hand', 'NOT_TRUSTLOGGED')".to_owned(),
        "SELECT trustlog.save('gone too', 'a', '1/2', 'p', 's', 1, 'r', strategy => 'TRUSTLOG_ONLY', status => 'TRUSTLOGGED');
         SELECT trustlog.seal()"
            .to_owned(),
    ];
    for setting in strings(
        &mut client,
        "SELECT name FROM pg_settings WHERE name LIKE 'trustlog.%' AND vartype = 'bool' AND context <> 'sighup'",
    ) {
        circumstances.push(format!("SET LOCAL {setting} = on"));
        circumstances.push(format!("SET LOCAL {setting} = off"));
    }
    for value in ["log", "http", "manual"] {
        circumstances.push(format!("SET LOCAL trustlog.sink = '{value}'"));
    }
    let mut tried = 0;
    for circumstance in &circumstances {
        assert_eq!(outcome(&mut client, circumstance), "", "{circumstance}");
        for table in APPEND_ONLY {
            for change in changes(table) {
                assert_eq!(
                    outcome(&mut client, &format!("{circumstance};{change}")),
                    "55000",
                    "{circumstance}; {change}"
                );
                tried += 1;
            }
        }
    }
    println!("{tried} refused");
    let upsert =
        "INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository)
        VALUES ('op-1', 'a', '1/2', 'p', 's', 1, 'r') ON CONFLICT (op_id) DO UPDATE SET op_actor = 'forged'";
    assert_eq!(outcome(&mut client, upsert), "55000");
    // The owner of a table, who is no superuser.
    for table in APPEND_ONLY {
        client.batch_execute(&format!("ALTER TABLE trustlog.{table} OWNER TO table_owner")).unwrap();
        for change in changes(table) {
            assert_eq!(outcome(&mut client, &format!("SET LOCAL ROLE table_owner; {change}")), "55000", "{change}");
        }
        client.batch_execute(&format!("ALTER TABLE trustlog.{table} OWNER TO postgres")).unwrap();
    }
    assert_eq!(contents(&mut client), before);
}

#[test]
fn the_pass_of_the_guard_does_not_survive_an_error() {
    let (_cluster, mut client) = with_evidence();
    // Errors while the extension itself deletes: from an attestation withdrawn, and from a record erased.
    client
        .batch_execute(
            "CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION USING ERRCODE = '22012', MESSAGE = 'in the middle'; END $$;
             CREATE TRIGGER fail AFTER DELETE ON trustlog.attestation FOR EACH ROW EXECUTE FUNCTION public.fail();
             CREATE TRIGGER fail AFTER DELETE ON trustlog.operation FOR EACH ROW EXECUTE FUNCTION public.fail()",
        )
        .unwrap();
    let erased = "SELECT trustlog.save('fails', 'a', '1/2', 'p', 's', 1, 'r', strategy => 'TRUSTLOG_ONLY');
        SELECT trustlog.seal()";
    let failing = ["SELECT trustlog.update_status('by hand', 'NOT_TRUSTLOGGED')", erased];
    for statement in failing {
        assert_eq!(outcome(&mut client, statement), "22012", "{statement}");
        for table in APPEND_ONLY {
            for change in changes(table) {
                // In a transaction of its own, after a savepoint, and in a block that caught the error.
                client.batch_execute("BEGIN; SAVEPOINT s").unwrap();
                assert_eq!(sqlstate(client.batch_execute(statement)), "22012", "{statement}");
                client.batch_execute("ROLLBACK TO s").unwrap();
                assert_eq!(sqlstate(client.batch_execute(&change)), "55000", "{statement}; {change}");
                client.batch_execute("ROLLBACK").unwrap();
                assert_eq!(outcome(&mut client, &change), "55000", "{statement}; {change}");
                let block = format!(
                    "DO $do$ BEGIN
                         BEGIN EXECUTE $q${statement}$q$; RAISE EXCEPTION 'it did not fail';
                         EXCEPTION WHEN SQLSTATE '22012' THEN {change}; END;
                     END $do$"
                );
                assert_eq!(outcome(&mut client, &block), "55000", "{statement}; {change}");
            }
        }
    }
}

#[test]
fn a_pass_that_was_not_used_does_not_survive_an_error() {
    let (cluster, mut client) = with_evidence();
    // The extension's own DELETE does not get as far as the guard.
    let mut other = cluster.connect("app");
    other.batch_execute("BEGIN; LOCK TABLE trustlog.attestation IN SHARE MODE").unwrap();
    client.batch_execute("SET lock_timeout = '20ms'").unwrap();
    let withdraw = "SELECT trustlog.update_status('by hand', 'NOT_TRUSTLOGGED')";
    let steal = "DELETE FROM trustlog.leaf";

    assert_eq!(sqlstate(client.batch_execute(withdraw)), "55P03");
    assert_eq!(outcome(&mut client, steal), "55000");
    client.batch_execute("BEGIN; SAVEPOINT s").unwrap();
    assert_eq!(sqlstate(client.batch_execute(withdraw)), "55P03");
    client.batch_execute("ROLLBACK TO s").unwrap();
    assert_eq!(sqlstate(client.batch_execute(steal)), "55000");
    client.batch_execute("ROLLBACK").unwrap();
    let block = format!(
        "DO $do$ BEGIN
             BEGIN PERFORM {}; RAISE EXCEPTION 'it did not fail';
             EXCEPTION WHEN lock_not_available THEN {steal}; END;
         END $do$",
        withdraw.trim_start_matches("SELECT ")
    );
    assert_eq!(outcome(&mut client, &block), "55000");
    other.batch_execute("COMMIT").unwrap();
    client.batch_execute(withdraw).unwrap();
    assert_eq!(leaves(&mut client), 302);
}

#[test]
fn a_trigger_of_a_table_owner_gets_no_pass() {
    let (_cluster, mut client) = with_evidence();
    let before = contents(&mut client);
    client
        .batch_execute(
            "CREATE FUNCTION public.more() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN DELETE FROM trustlog.leaf; RETURN OLD; END $$",
        )
        .unwrap();
    let withdraw = "SELECT trustlog.update_status('by hand', 'NOT_TRUSTLOGGED')";
    // Also one that comes before the guard: in the order of their names.
    for (name, when, level) in
        [("a", "BEFORE", "STATEMENT"), ("z", "BEFORE", "STATEMENT"), ("m", "BEFORE", "ROW"), ("m", "AFTER", "ROW")]
    {
        let create = format!(
            "CREATE TRIGGER {name} {when} DELETE ON trustlog.attestation FOR EACH {level} EXECUTE FUNCTION public.more()"
        );
        client.batch_execute(&create).unwrap();
        let error = client.batch_execute(withdraw).unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "55000", "{create}");
        assert!(error.message().ends_with("it is append-only"), "{create}: {}", error.message());
        client.batch_execute(&format!("DROP TRIGGER {name} ON trustlog.attestation")).unwrap();
    }
    assert_eq!(contents(&mut client), before);
    // Without it, it may be withdrawn.
    client.batch_execute(withdraw).unwrap();
}
