-- grant_access(): what each part may do, and nothing else.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set SHOW_CONTEXT never
CREATE ROLE trustlog_test_nobody;
CREATE ROLE trustlog_test_writer;
CREATE ROLE trustlog_test_reader;
CREATE ROLE trustlog_test_operator;
CREATE ROLE "trustlog test, ""auditor""";
SELECT trustlog.grant_access('trustlog_test_writer', 'writer'), trustlog.grant_access('trustlog_test_reader', 'reader'),
       trustlog.grant_access('trustlog_test_operator', 'operator'), trustlog.grant_access('trustlog test, "auditor"', 'auditor');
-- Twice is no harm.
SELECT trustlog.grant_access('trustlog_test_writer', 'writer');

-- Every function: who may call it. (n: no part, w: writer, r: reader, o: operator, a: auditor)
CREATE TEMP TABLE part (letter, role) AS VALUES ('n', 'trustlog_test_nobody'::regrole), ('w', 'trustlog_test_writer'), ('r', 'trustlog_test_reader'), ('o', 'trustlog_test_operator'), ('a', '"trustlog test, ""auditor"""');
SELECT p.proname || CASE WHEN p.proname = 'save' THEN '/' || p.pronargs ELSE '' END AS function,
       (SELECT coalesce(string_agg(CASE WHEN has_function_privilege(role, p.oid, 'EXECUTE') THEN letter ELSE '-' END, '' ORDER BY array_position('{n,w,r,o,a}', letter)), '') FROM part) AS may
  FROM pg_proc p WHERE p.pronamespace = 'trustlog'::regnamespace ORDER BY p.proname COLLATE "C", p.pronargs;
-- Every table and view. (s, some: on some columns only)
SELECT c.relname, letter,
       concat_ws(' ', CASE WHEN has_table_privilege(role, c.oid, 'SELECT') THEN 'select' WHEN has_any_column_privilege(role, c.oid, 'SELECT') THEN 'select-some' END,
                 CASE WHEN has_table_privilege(role, c.oid, 'INSERT') THEN 'insert' WHEN has_any_column_privilege(role, c.oid, 'INSERT') THEN 'insert-some' END,
                 CASE WHEN has_any_column_privilege(role, c.oid, 'UPDATE') THEN 'UPDATE' END,
                 CASE WHEN has_table_privilege(role, c.oid, 'DELETE') THEN 'DELETE' END, CASE WHEN has_table_privilege(role, c.oid, 'TRUNCATE') THEN 'TRUNCATE' END,
                 CASE WHEN has_any_column_privilege(role, c.oid, 'REFERENCES') THEN 'REFERENCES' END, CASE WHEN has_table_privilege(role, c.oid, 'TRIGGER') THEN 'TRIGGER' END) AS may
  FROM pg_class c, part
 WHERE c.relnamespace = 'trustlog'::regnamespace AND c.relkind IN ('r', 'v')
   AND (has_any_column_privilege(role, c.oid, 'SELECT,INSERT,UPDATE,REFERENCES') OR has_table_privilege(role, c.oid, 'DELETE,TRUNCATE,TRIGGER'))
 ORDER BY c.relname COLLATE "C", array_position('{n,w,r,o,a}', letter);
SELECT letter, has_schema_privilege(role, 'trustlog', 'USAGE') AS usage, has_schema_privilege(role, 'trustlog', 'CREATE') AS create, has_sequence_privilege(role, 'trustlog.operation_seq_seq', 'USAGE,SELECT,UPDATE') AS sequence
  FROM part ORDER BY array_position('{n,w,r,o,a}', letter);
-- Nobody may pass anything on.
SELECT count(*) FROM (SELECT aclexplode(relacl) AS a FROM pg_class WHERE relnamespace = 'trustlog'::regnamespace UNION ALL SELECT aclexplode(proacl) FROM pg_proc WHERE pronamespace = 'trustlog'::regnamespace) x
 WHERE (a).is_grantable;
-- The salts.
SELECT letter, has_column_privilege(role, 'trustlog.operation', 'salt', 'SELECT') AS of_records, has_column_privilege(role, 'trustlog.erased', 'salt', 'SELECT') AS of_erased FROM part ORDER BY array_position('{n,w,r,o,a}', letter);

-- What may be called works. One record in every state.
SET trustlog.sink = 'manual';
SELECT trustlog.save(op_id, 'a', 'd', 'p', 's', 1, 'r') IS NOT NULL AS saved FROM unnest('{sealed, attested, retried, dead}'::text[]) op_id;
SELECT created FROM trustlog.save('erased', 'a', 'd', 'p', 's', 1, 'r', strategy => 'TRUSTLOG_ONLY', status => 'TRUSTLOGGED');
SELECT trustlog.seal();
SELECT trustlog.update_status('attested', 'TRUSTLOGGED'), trustlog.add_retry('retried', 'x', '2000-01-01'), trustlog.mark_as_dead_letter('dead', 'x');
SELECT created FROM trustlog.save('queued', 'a', 'd', 'p', 's', 1, 'r');
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
CREATE TEMP TABLE statement (n serial, s text);
INSERT INTO statement (s) VALUES
  ('SELECT trustlog.save(''new'', ''a'', ''d'', ''p'', ''s'', 1, ''r'')'), ('SELECT trustlog.save(''{"op_id": "new", "op_actor": "a", "doid": "d", "producer_id": "p", "op_source": "s", "op_code": 1, "do_repository": "r"}'')'),
  ('SELECT trustlog.save_batch(''[]'')'), ('INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) VALUES (''newer'', ''a'', ''d'', ''p'', ''s'', 1, ''r'')'),
  ('SELECT * FROM trustlog.find_by_id(''sealed'')'), ('SELECT * FROM trustlog.find_by_id(''erased'')'), ('SELECT * FROM trustlog.find_untrustlogged(10)'), ('SELECT * FROM trustlog.find_untrustlogged_with_lock(10)'),
  ('SELECT * FROM trustlog.query_operations()'), ('SELECT * FROM trustlog.query_operations_page()'), ('SELECT * FROM trustlog.count_operations()'), ('SELECT * FROM trustlog.read_log(0, 10)'),
  ('SELECT * FROM trustlog.find_pending_retries(10)'), ('SELECT * FROM trustlog.find_pending_retries_with_lock(10)'),
  ('SELECT trustlog.wait_for_attestation(''attested'', ''0'')'), ('SELECT trustlog.wait_for_attestation(''sealed'', ''0'')'), ('SELECT trustlog.wait_for_attestation(''queued'', ''0'')'), ('SELECT trustlog.wait_for_attestation(''erased'', ''0'')'),
  ('SELECT * FROM trustlog.operation_status'), ('SELECT * FROM trustlog.dead_letter'), ('SELECT * FROM trustlog.stat'), ('SELECT * FROM trustlog.stat_worker'), ('SELECT * FROM trustlog.tree_head()'),
  ('SELECT op_id, op_actor FROM trustlog.operation'), ('SELECT * FROM trustlog.operation'), ('SELECT salt FROM trustlog.operation'), ('SELECT salt FROM trustlog.erased'), ('SELECT reason FROM trustlog.erased'),
  ('SELECT * FROM trustlog.leaf'), ('SELECT * FROM trustlog.tile'), ('SELECT * FROM trustlog.attestation'), ('SELECT * FROM trustlog.retry'), ('SELECT * FROM trustlog.cursor'), ('SELECT * FROM trustlog.outbox'),
  ('SELECT * FROM trustlog.state'), ('SELECT * FROM trustlog.set_aside'), ('SELECT * FROM trustlog.unattested'),
  ('SELECT trustlog.get_cursor(''mine'')'), ('SELECT trustlog.init_cursor(''mine'', ''0'')'), ('SELECT trustlog.update_cursor(''mine'', ''1'')'), ('SELECT trustlog.update_cursor_cas(''mine'', ''1'', ''2'')'),
  ('SELECT trustlog.update_status(''sealed'', ''TRUSTLOGGED'')'), ('SELECT trustlog.update_status_cas(''sealed'', ''TRUSTLOGGED'', ''NOT_TRUSTLOGGED'')'),
  ('SELECT trustlog.add_retry(''sealed'', ''x'')'), ('SELECT trustlog.increment_retry(''sealed'', ''x'')'), ('SELECT trustlog.delete_retry(''sealed'')'), ('SELECT trustlog.mark_as_dead_letter(''sealed'', ''x'')'),
  ('SELECT trustlog.requeue_dead_letters()'), ('SELECT trustlog.requeue_dead_letters(''{dead}'')'), ('SELECT trustlog.discard_dead_letter(''dead'', ''x'')'),
  ('SELECT trustlog.pause()'), ('SELECT trustlog.resume()'), ('SELECT trustlog.seal()'), ('SELECT trustlog.continue_log()'), ('SELECT trustlog.grant_access(''trustlog_test_writer'', ''operator'')'),
  ('SELECT trustlog.random_salt()'), ('SELECT trustlog.wake_worker_at_end()'), ('SELECT trustlog.stat_now()'),
  ('UPDATE trustlog.operation SET op_actor = ''b'''), ('DELETE FROM trustlog.outbox'), ('TRUNCATE trustlog.leaf'), ('INSERT INTO trustlog.attestation (seq, sink) VALUES (1, ''http'')'),
  ('UPDATE trustlog.state SET sink = ''log'''), ('INSERT INTO trustlog.cursor VALUES (''delivery'', ''0'')'), ('DELETE FROM trustlog.retry'),
  ('LOCK TABLE trustlog.operation IN ACCESS EXCLUSIVE MODE'), ('SELECT nextval(''trustlog.operation_seq_seq'')'), ('ALTER TABLE trustlog.operation DISABLE TRIGGER guard'), ('DROP EXTENSION trustlog'),
  ('CREATE TRIGGER mine AFTER INSERT ON trustlog.operation FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'), ('CREATE TABLE trustlog.mine ()'),
  ('SET trustlog.worker_enabled = on'), ('SET trustlog.sink = ''log'''), ('SET trustlog.seal_batch_size = 1'), ('SET trustlog.default_strategy = ''DB_ONLY'''), ('RESET trustlog.default_strategy'), ('SET session_replication_role = replica');
GRANT SELECT ON statement TO PUBLIC;
CREATE TEMP TABLE result (letter text, n int, answer text);
GRANT ALL ON result TO PUBLIC;
-- Each statement in a transaction of its own that goes back: whatever one part did must not show to the next.
CREATE FUNCTION pg_temp.undone(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    BEGIN
        answer := pg_temp.try(statement);
        RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZZZZ';
    EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN
    END;
    RETURN answer;
END $$;
SET ROLE trustlog_test_nobody;
INSERT INTO result SELECT 'n', n, pg_temp.undone(s) FROM statement;
SET ROLE trustlog_test_writer;
INSERT INTO result SELECT 'w', n, pg_temp.undone(s) FROM statement;
SET ROLE trustlog_test_reader;
INSERT INTO result SELECT 'r', n, pg_temp.undone(s) FROM statement;
SET ROLE trustlog_test_operator;
INSERT INTO result SELECT 'o', n, pg_temp.undone(s) FROM statement;
SET ROLE "trustlog test, ""auditor""";
INSERT INTO result SELECT 'a', n, pg_temp.undone(s) FROM statement;
RESET ROLE;
SELECT left(s, 90) AS statement, max(answer) FILTER (WHERE letter = 'n') AS nobody, max(answer) FILTER (WHERE letter = 'w') AS writer, max(answer) FILTER (WHERE letter = 'r') AS reader,
       max(answer) FILTER (WHERE letter = 'o') AS operator, max(answer) FILTER (WHERE letter = 'a') AS auditor
  FROM statement JOIN result USING (n) GROUP BY n, s ORDER BY n;

-- What functions of the extension call is looked up in pg_catalog and trustlog, not where the caller says.
\c -
SET trustlog.sink = 'manual';
SET client_min_messages = warning;
CREATE SCHEMA trustlog_test_evil;
GRANT USAGE ON SCHEMA trustlog_test_evil TO PUBLIC;
CREATE FUNCTION trustlog_test_evil.evil() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil'; END $$;
CREATE FUNCTION trustlog_test_evil.octet_length(text) RETURNS int LANGUAGE sql AS 'SELECT trustlog_test_evil.evil()::int';
CREATE FUNCTION trustlog_test_evil.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT trustlog_test_evil.evil()::text::bytea';
CREATE FUNCTION trustlog_test_evil.host(inet) RETURNS text LANGUAGE sql AS 'SELECT trustlog_test_evil.evil()::text';
CREATE FUNCTION trustlog_test_evil.strpos(text, text) RETURNS int LANGUAGE sql AS 'SELECT trustlog_test_evil.evil()::int';
CREATE FUNCTION trustlog_test_evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT trustlog_test_evil.evil()::text::timestamptz';
CREATE FUNCTION trustlog_test_evil.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE sql AS 'SELECT $1[1] WHERE trustlog_test_evil.evil()';
CREATE FUNCTION trustlog_test_evil.equal(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT trustlog_test_evil.evil()';
CREATE FUNCTION trustlog_test_evil.equal(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT trustlog_test_evil.evil()';
CREATE OPERATOR trustlog_test_evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trustlog_test_evil.equal);
CREATE OPERATOR trustlog_test_evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trustlog_test_evil.equal);
CREATE TEMP TABLE operation (seq bigint);
CREATE TEMP TABLE outbox (seq bigint);
SET search_path = trustlog_test_evil, pg_temp, trustlog, pg_catalog;
SET ROLE trustlog_test_writer;
SELECT created FROM trustlog.save('w-1', 'a', 'd', 'p', 's', 1, 'r', client_ip => '::1');
SELECT created FROM trustlog.save('w-1', 'a', 'd', 'p', 's', 1, 'r', client_ip => '::1');
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) VALUES ('w-2', 'a', 'd', 'p', 's', 1, 'r');
SET ROLE trustlog_test_operator;
SELECT trustlog.wait_for_attestation('w-1', '0');
SELECT trustlog.seal();
SELECT trustlog.update_status('w-1', 'TRUSTLOGGED'), trustlog.wait_for_attestation('w-1', '0');
SELECT trustlog_status FROM trustlog.find_by_id('w-1');
SELECT trustlog.count_operations(doid => 'd'), trustlog.requeue_dead_letters(), trustlog.update_cursor('x', '1'), trustlog.add_retry('w-2', 'x');
SELECT count(*) FROM trustlog.find_untrustlogged_with_lock(10);
SELECT not_attested FROM trustlog.stat;
RESET ROLE;
RESET search_path;

-- What is refused.
SELECT trustlog.grant_access('trustlog_test_no_such', 'reader');
SELECT trustlog.grant_access('trustlog_test_reader', 'owner');
\set VERBOSITY sqlstate
SELECT trustlog.grant_access('PUBLIC', 'reader');
SELECT trustlog.grant_access('public', 'reader');
SELECT trustlog.grant_access('', 'reader');
SELECT trustlog.grant_access('trustlog_test_reader', '');
SELECT trustlog.grant_access('trustlog_test_reader', 'Reader');
SELECT trustlog.grant_access(NULL, 'reader');
SELECT trustlog.grant_access('trustlog_test_reader', NULL);
DROP SCHEMA trustlog_test_evil CASCADE;
DROP OWNED BY trustlog_test_nobody, trustlog_test_writer, trustlog_test_reader, trustlog_test_operator, "trustlog test, ""auditor""";
DROP ROLE trustlog_test_nobody, trustlog_test_writer, trustlog_test_reader, trustlog_test_operator, "trustlog test, ""auditor""";
