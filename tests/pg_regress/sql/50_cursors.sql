-- Cursors: positions that consumers keep.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set SHOW_CONTEXT never
SELECT trustlog.get_cursor('mine') IS NULL AS none;
SELECT trustlog.init_cursor('mine', '0');
SELECT trustlog.get_cursor('mine');
-- init_cursor never overwrites, and returns the value in force.
SELECT trustlog.init_cursor('mine', '5');
SELECT trustlog.update_cursor('mine', '7');
SELECT trustlog.init_cursor('mine', '5'), trustlog.get_cursor('mine');
SELECT trustlog.update_cursor('new', '');
SELECT trustlog.get_cursor('new') = '' AS empty;
-- A function sees what it wrote before, in any isolation level.
CREATE FUNCTION pg_temp.write_and_read() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM trustlog.update_cursor('mine', '6');
    PERFORM trustlog.update_cursor_cas('mine', '6', '7');
    RETURN trustlog.get_cursor('mine');
END $$;
SELECT pg_temp.write_and_read();
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT trustlog.update_cursor('mine', '6');
SELECT trustlog.update_cursor_cas('mine', '6', '7'), trustlog.init_cursor('mine', '0');
SELECT trustlog.get_cursor('mine');
COMMIT;
-- Only from the expected value.
SELECT trustlog.update_cursor_cas('mine', '6', '8') AS f1, trustlog.update_cursor_cas('mine', '7', '8') AS t1, trustlog.update_cursor_cas('mine', '7', '9') AS f2,
       trustlog.update_cursor_cas('mine', '8', '8') AS t2, trustlog.update_cursor_cas('no such', '', '1') AS f3;
SELECT cursor_key, cursor_value, last_updated_at IS NOT NULL AS at FROM trustlog.cursor ORDER BY cursor_key;
SELECT trustlog.get_cursor('no such') IS NULL AS still_none;
-- Any text is a key and a value.
SELECT trustlog.update_cursor('ä "key" '' %', repeat('x', 10000));
SELECT length(trustlog.get_cursor('ä "key" '' %'));
SELECT trustlog.update_cursor('Delivery', 'not reserved'), trustlog.update_cursor('my delivery', 'neither');
-- last_updated_at: changed by what writes, not by what only looks.
BEGIN;
SELECT trustlog.init_cursor('mine', 'x'), trustlog.update_cursor_cas('mine', 'x', 'y');
SELECT last_updated_at < now() AS untouched FROM trustlog.cursor WHERE cursor_key = 'mine';
SELECT trustlog.update_cursor('mine', 'z');
SELECT last_updated_at = now() AS touched FROM trustlog.cursor WHERE cursor_key = 'mine';
ROLLBACK;
SELECT trustlog.get_cursor('mine');
-- The worker's own.
SELECT trustlog.get_cursor('delivery') IS NULL AS none;
SELECT trustlog.update_cursor('delivery', '5');
\set VERBOSITY sqlstate
SELECT trustlog.init_cursor('delivery', '5');
SELECT trustlog.update_cursor_cas('delivery', '0', '5');
SELECT trustlog.update_cursor('delivery:http', '5');
SELECT trustlog.update_cursor('deliveryx', '5');
-- NULLs, and a key of nothing.
SELECT trustlog.get_cursor(NULL);
SELECT trustlog.update_cursor(NULL, '1');
SELECT trustlog.update_cursor('k', NULL);
SELECT trustlog.init_cursor(NULL, '1');
SELECT trustlog.init_cursor('k', NULL);
SELECT trustlog.init_cursor('mine', NULL);
SELECT trustlog.update_cursor_cas(NULL, '1', '2');
SELECT trustlog.update_cursor_cas('k', NULL, '2');
SELECT trustlog.update_cursor_cas('k', '1', NULL);
SELECT trustlog.update_cursor('', '1');
SELECT trustlog.init_cursor('', '1');
SELECT trustlog.update_cursor_cas('', '1', '2');
BEGIN READ ONLY;
SELECT trustlog.get_cursor('mine');
SELECT trustlog.update_cursor('mine', '1');
ROLLBACK;
SELECT count(*) FROM trustlog.cursor;

-- What a consumer does: take what is new in the log, and keep the place, in one transaction.
\set VERBOSITY default
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) SELECT 'n-' || n, 'a', 'd', 'p', 's', n, 'r' FROM generate_series(1, 5) n;
SELECT trustlog.seal();
CREATE FUNCTION pg_temp.consume(batch int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    position bigint := trustlog.init_cursor('consumer', '0');
    taken text;
    next bigint;
BEGIN
    SELECT string_agg(l.op_id, ' '), max(l.leaf_index) + 1 INTO taken, next FROM trustlog.read_log(position, batch) l;
    IF next IS NULL THEN
        RETURN 'nothing at ' || position;
    END IF;
    IF NOT trustlog.update_cursor_cas('consumer', position::text, next::text) THEN
        RETURN 'another was faster';
    END IF;
    RETURN taken;
END $$;
SELECT pg_temp.consume(2);
SELECT pg_temp.consume(2);
SELECT pg_temp.consume(2);
SELECT pg_temp.consume(2);
