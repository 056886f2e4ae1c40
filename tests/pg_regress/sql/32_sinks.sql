-- A change of sink never changes the status of older records.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
CREATE FUNCTION pg_temp.put(VARIADIC op_ids text[]) RETURNS void LANGUAGE sql AS
$$SELECT trustlog.save(op_id, 'a', 'd', 'p', 's', 1, 'r') FROM unnest(op_ids) op_id$$;
CREATE VIEW pg_temp.here AS
SELECT s.op_id, s.trustlog_status AS status, s.leaf_index AS idx, a.sink, l.attested_at IS NOT NULL AS by_seal,
       EXISTS (SELECT FROM trustlog.outbox b WHERE b.seq = s.seq) AS queued, EXISTS (SELECT FROM trustlog.unattested u WHERE u.seq = s.seq) AS unattested
  FROM trustlog.operation_status s LEFT JOIN trustlog.attestation a USING (seq) LEFT JOIN trustlog.leaf l USING (seq);
CREATE VIEW pg_temp.numbers AS
SELECT sink, not_attested, tree_size, cursor_lag_records AS lag, stranded, attested_total, (SELECT cursor_value FROM trustlog.cursor WHERE cursor_key = 'delivery') AS cursor FROM trustlog.stat;

-- log
SELECT pg_temp.put('l-1', 'l-2');
SELECT trustlog.seal();
SELECT * FROM pg_temp.numbers;

-- log -> manual: older records stay attested, newer ones wait for callers; nothing is stranded.
SET trustlog.sink = 'manual';
SELECT pg_temp.put('m-1', 'm-2', 'm-3');
SELECT * FROM pg_temp.numbers;
SELECT trustlog.seal();
SELECT * FROM pg_temp.here ORDER BY idx;
SELECT * FROM pg_temp.numbers;
SELECT trustlog.update_status('m-1', 'TRUSTLOGGED');
SELECT * FROM pg_temp.numbers;

-- manual -> log: what manual has left does not become attested; it is stranded, and can still be set by hand.
SET trustlog.sink = 'log';
SELECT pg_temp.put('l-3');
SELECT trustlog.seal();
SELECT * FROM pg_temp.here ORDER BY idx;
SELECT * FROM pg_temp.numbers;
SELECT string_agg(op_id, ' ') FROM trustlog.find_untrustlogged(10);
SELECT trustlog.update_status('m-2', 'TRUSTLOGGED');
SELECT * FROM pg_temp.numbers;

-- log -> http: save and seal go on, nothing is attested; the new sink starts at the log's end.
SET trustlog.sink = 'http';
SELECT pg_temp.put('h-1', 'h-2', 'h-3');
SELECT * FROM pg_temp.numbers;
SELECT trustlog.seal();
SELECT pg_temp.put('h-4');
SELECT * FROM pg_temp.here ORDER BY idx, op_id;
SELECT * FROM pg_temp.numbers;
SELECT string_agg(op_id, ' ') FROM trustlog.find_untrustlogged(10);
SELECT trustlog.update_status('h-1', 'TRUSTLOGGED');
SELECT * FROM pg_temp.numbers;
SELECT trustlog.seal();
SELECT * FROM pg_temp.numbers;
-- The worker's cursor is not to be written by hand.
SELECT trustlog.update_cursor('delivery', '0');
SELECT trustlog.get_cursor('delivery');

-- http -> manual: what http has left is behind a cursor now.
SET trustlog.sink = 'manual';
SELECT pg_temp.put('m-4');
SELECT trustlog.seal();
SELECT * FROM pg_temp.here ORDER BY idx;
SELECT * FROM pg_temp.numbers;
SELECT string_agg(op_id, ' ') FROM trustlog.find_untrustlogged(10);

-- manual -> http: starts at the end again.
SET trustlog.sink = 'http';
SELECT pg_temp.put('h-5');
SELECT trustlog.seal();
SELECT * FROM pg_temp.numbers;
SELECT string_agg(op_id, ' ') FROM trustlog.find_untrustlogged(10);

-- http -> log
RESET trustlog.sink;
SELECT pg_temp.put('l-4');
SELECT trustlog.seal();
SELECT * FROM pg_temp.here ORDER BY idx;
SELECT * FROM pg_temp.numbers;
SELECT string_agg(op_id, ' ') FROM trustlog.find_untrustlogged(10);
SELECT string_agg(op_id, ' ') FROM trustlog.find_untrustlogged_with_lock(10);
-- Withdrawn after the sink has changed: in the backlog.
SELECT trustlog.update_status('m-1', 'NOT_TRUSTLOGGED'), trustlog.update_status('h-1', 'NOT_TRUSTLOGGED');
SELECT string_agg(op_id, ' ') FROM trustlog.find_untrustlogged(10);
SELECT * FROM pg_temp.numbers;

-- A change that is rolled back, and a change with nothing to seal, change nothing.
BEGIN;
SET LOCAL trustlog.sink = 'http';
SELECT pg_temp.put('x');
SELECT trustlog.seal();
ROLLBACK;
SET trustlog.sink = 'http';
SELECT trustlog.seal();
RESET trustlog.sink;
SELECT sink, (SELECT cursor_value FROM trustlog.cursor WHERE cursor_key = 'delivery') AS cursor FROM trustlog.state;
SELECT * FROM pg_temp.numbers;

-- Ordinary users cannot change it.
CREATE ROLE trustlog_test_user;
SET ROLE trustlog_test_user;
SET trustlog.sink = 'manual';
RESET ROLE;
DROP ROLE trustlog_test_user;

-- Attest everything by hand: nothing is left.
SELECT count(trustlog.update_status(op_id, 'TRUSTLOGGED')) FROM trustlog.find_untrustlogged(100);
SELECT * FROM pg_temp.numbers;
SELECT status, count(*) FROM pg_temp.here GROUP BY status;
