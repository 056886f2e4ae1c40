-- Records and evidence never change: UPDATE, DELETE and TRUNCATE are refused, whoever asks, however.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SELECT created FROM trustlog.save('kept', 'a', 'd', 'p', 's', 1, 'r');
SELECT created FROM trustlog.save('erased', 'a', 'd', 'p', 's', 1, 'r', strategy => 'TRUSTLOG_ONLY');
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) SELECT 'n-' || n, 'a', 'd', 'p', 's', 1, 'r' FROM generate_series(1, 256) n;
SELECT trustlog.seal();
SELECT created FROM trustlog.save('by-hand', 'a', 'd', 'p', 's', 1, 'r', status => 'TRUSTLOGGED');
CREATE TEMP TABLE before AS SELECT 'operation' AS t, count(*), min(o::text) FROM trustlog.operation o UNION ALL SELECT 'leaf', count(*), min(o::text) FROM trustlog.leaf o
    UNION ALL SELECT 'tile', count(*), min(o::text) FROM trustlog.tile o UNION ALL SELECT 'attestation', count(*), min(o::text) FROM trustlog.attestation o
    UNION ALL SELECT 'erased', count(*), min(o::text) FROM trustlog.erased o;
SELECT t, count FROM before ORDER BY t;

-- The message.
UPDATE trustlog.operation SET op_actor = 'b';
DELETE FROM trustlog.leaf WHERE idx = 3;
TRUNCATE trustlog.attestation;

-- Every table, every way. Rows that no condition finds make no difference.
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
CREATE FUNCTION pg_temp.try_all() RETURNS TABLE (guarded text, updated text, updated_none text, deleted text, deleted_none text, truncated text, cascaded text) LANGUAGE sql AS $$
SELECT t, pg_temp.try(format('UPDATE trustlog.%I SET seq = seq', t)), pg_temp.try(format('UPDATE trustlog.%I SET seq = seq WHERE seq = -1', t)),
       pg_temp.try(format('DELETE FROM trustlog.%I', t)), pg_temp.try(format('DELETE FROM trustlog.%I WHERE false', t)),
       pg_temp.try(format('TRUNCATE trustlog.%I', t)), pg_temp.try(format('TRUNCATE trustlog.outbox, trustlog.%I CASCADE', t))
  FROM unnest('{operation, leaf, attestation, erased}'::text[]) t
UNION ALL
SELECT 'tile', pg_temp.try('UPDATE trustlog.tile SET n = n'), pg_temp.try('UPDATE trustlog.tile SET n = n WHERE n = -1'), pg_temp.try('DELETE FROM trustlog.tile'),
       pg_temp.try('DELETE FROM trustlog.tile WHERE false'), pg_temp.try('TRUNCATE trustlog.tile'), pg_temp.try('TRUNCATE trustlog.outbox, trustlog.tile CASCADE')$$;
SELECT * FROM pg_temp.try_all();
SET session_replication_role = replica;
SELECT * FROM pg_temp.try_all();
SET session_replication_role = local;
SELECT pg_temp.try('DELETE FROM trustlog.operation');
RESET session_replication_role;
SELECT pg_temp.try('WITH gone AS (DELETE FROM trustlog.operation RETURNING seq) SELECT count(*) FROM gone');
SELECT pg_temp.try('INSERT INTO trustlog.leaf (idx, seq, leaf_hash) SELECT idx, seq, leaf_hash FROM trustlog.leaf ON CONFLICT (idx) DO UPDATE SET leaf_hash = sha256(''x'')');
SELECT pg_temp.try('INSERT INTO trustlog.tile (level, n, root, hashes) SELECT level, n, root, hashes FROM trustlog.tile ON CONFLICT (level, n) DO UPDATE SET root = excluded.root');
SELECT pg_temp.try('INSERT INTO trustlog.attestation (seq, sink) SELECT seq, sink FROM trustlog.attestation ON CONFLICT (seq) DO UPDATE SET sink = ''log''');
SELECT pg_temp.try('INSERT INTO trustlog.erased SELECT * FROM trustlog.erased ON CONFLICT (seq) DO UPDATE SET salt = NULL');
SELECT pg_temp.try('UPDATE trustlog.operation_status SET op_actor = ''b''');
-- Nor can the setting of a name like it open anything.
SELECT pg_temp.try('SET trustlog.allow_changes = on');

-- In one transaction with what may change: the function passes, the next statement does not.
\set VERBOSITY sqlstate
BEGIN;
SELECT trustlog.update_status('by-hand', 'NOT_TRUSTLOGGED');
SAVEPOINT s;
DELETE FROM trustlog.attestation;
ROLLBACK TO s;
DELETE FROM trustlog.operation;
ROLLBACK;
CREATE FUNCTION pg_temp.withdraw_and_delete() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM trustlog.save('fresh', 'a', 'd', 'p', 's', 1, 'r', status => 'TRUSTLOGGED');
    PERFORM trustlog.update_status('fresh', 'NOT_TRUSTLOGGED');
    DELETE FROM trustlog.operation;
    RETURN 'done';
END $$;
SELECT pg_temp.withdraw_and_delete();
-- In the same statement.
BEGIN;
SELECT trustlog.update_status('by-hand', 'NOT_TRUSTLOGGED'), pg_temp.try('DELETE FROM trustlog.attestation');
ROLLBACK;

-- After a function of the extension has failed in the middle of what it may change: the pass went with its subtransaction.
INSERT INTO trustlog.operation (seq, op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, strategy) VALUES (100000, 'to-erase', 'a', 'd', 'p', 's', 1, 'r', 'TRUSTLOG_ONLY');
BEGIN;
INSERT INTO trustlog.erased (seq, op_id, op_id_sha256, reason) VALUES (100000, 'in the way', sha256('in the way'), 'test');
SAVEPOINT s;
SELECT trustlog.seal();
ROLLBACK TO s;
DELETE FROM trustlog.operation;
ROLLBACK TO s;
SELECT pg_temp.try('SELECT trustlog.seal()');
SELECT * FROM pg_temp.try_all();
ROLLBACK;
-- Also when a row trigger of somebody else interrupts it.
BEGIN;
CREATE FUNCTION pg_temp.in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER in_the_way BEFORE DELETE ON trustlog.operation FOR EACH ROW EXECUTE FUNCTION pg_temp.in_the_way();
SAVEPOINT s;
SELECT trustlog.seal();
ROLLBACK TO s;
SELECT pg_temp.try('SELECT trustlog.seal()'), pg_temp.try('DELETE FROM trustlog.erased'), pg_temp.try('TRUNCATE trustlog.operation');
ROLLBACK;
SELECT pg_temp.try('DELETE FROM trustlog.operation');
-- The pass is for one statement: a trigger of somebody else that fires before it, within it or after it gets nothing out of it.
CREATE FUNCTION pg_temp.thief() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM trustlog.leaf;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE FUNCTION pg_temp.steal(trigger text) RETURNS TABLE (sealing text, leaves_gone boolean) LANGUAGE plpgsql AS $$
DECLARE
    leaves bigint := (SELECT count(*) FROM trustlog.leaf);
BEGIN
    EXECUTE 'CREATE TRIGGER ' || trigger || ' EXECUTE FUNCTION pg_temp.thief()';
    sealing := pg_temp.try('SELECT trustlog.seal()');
    leaves_gone := (SELECT count(*) FROM trustlog.leaf) < leaves;
    RETURN NEXT;
END $$;
BEGIN;
SAVEPOINT s;
SELECT * FROM pg_temp.steal('aaa BEFORE DELETE ON trustlog.operation FOR EACH STATEMENT');
ROLLBACK TO s;
SELECT * FROM pg_temp.steal('zzz BEFORE DELETE ON trustlog.operation FOR EACH STATEMENT');
ROLLBACK TO s;
SELECT * FROM pg_temp.steal('zzz BEFORE DELETE ON trustlog.operation FOR EACH ROW');
ROLLBACK TO s;
SELECT * FROM pg_temp.steal('zzz AFTER DELETE ON trustlog.operation FOR EACH ROW');
ROLLBACK TO s;
SELECT * FROM pg_temp.steal('zzz AFTER DELETE ON trustlog.operation FOR EACH STATEMENT');
ROLLBACK TO s;
SELECT * FROM pg_temp.steal('aaa BEFORE INSERT ON trustlog.erased FOR EACH ROW');
ROLLBACK TO s;
SELECT * FROM pg_temp.steal('aaa AFTER INSERT ON trustlog.erased FOR EACH STATEMENT');
ROLLBACK TO s;
SELECT * FROM pg_temp.steal('aaa AFTER INSERT ON trustlog.leaf FOR EACH ROW');
ROLLBACK;
-- In a block, after an error that was caught.
DO $$ BEGIN DELETE FROM trustlog.leaf; END $$;
DO $$
BEGIN
    BEGIN
        PERFORM trustlog.update_status('no such', 'TRUSTLOGGED');
    EXCEPTION WHEN no_data_found THEN
        DELETE FROM trustlog.attestation;
    END;
END $$;

-- Nothing has changed.
SELECT * FROM (SELECT 'operation' AS t, count(*), min(o::text) FROM trustlog.operation o WHERE op_id <> 'to-erase' UNION ALL SELECT 'leaf', count(*), min(o::text) FROM trustlog.leaf o
    UNION ALL SELECT 'tile', count(*), min(o::text) FROM trustlog.tile o UNION ALL SELECT 'attestation', count(*), min(o::text) FROM trustlog.attestation o
    UNION ALL SELECT 'erased', count(*), min(o::text) FROM trustlog.erased o) after
EXCEPT SELECT * FROM before;
-- The rest of the sealing goes on as if nothing had been tried.
SELECT trustlog.seal();
SELECT count(*) FROM trustlog.operation WHERE op_id = 'to-erase';
