-- read_log(): the log in order, for consumers with cursors of their own.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set SHOW_CONTEXT never
SELECT count(*) FROM trustlog.read_log(0, 10);
SELECT created FROM trustlog.save('l-1', 'alice', '86.1/a', 'p', 's', 7, 'r', 'x', '2026-01-02 03:04:05.678901Z', 'q', 'w', '192.0.2.1', '2001:db8::1');
SELECT created FROM trustlog.save('db', 'a', 'd', 'p', 's', 1, 'r', strategy => 'DB_ONLY');
SELECT created FROM trustlog.save('l-2', 'a', 'd', 'p', 's', 1, 'r', strategy => 'TRUSTLOG_ONLY');
SELECT created FROM trustlog.save('l-3', 'a', 'd', 'p', 's', 1, 'r');
-- What is not sealed is not in the log.
SELECT count(*) FROM trustlog.read_log(0, 10);
SELECT trustlog.seal();
-- All fields.
SELECT leaf_index, op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix, do_repository, request_body_hash, response_body_hash, client_ip, server_ip, "timestamp", strategy,
       trustlog_status, octet_length(leaf_hash) AS hash, created_at < attested_at AS created_before, erased_at
  FROM trustlog.read_log(0, 1);
SELECT leaf_index, op_id, op_actor, strategy, trustlog_status, attested_at IS NOT NULL AS at, erased_at = attested_at AS erased FROM trustlog.read_log(0, 10);
SELECT bool_and(r.leaf_hash = l.leaf_hash) AS same_hash FROM trustlog.read_log(0, 10) r JOIN trustlog.leaf l ON l.idx = r.leaf_index;
-- Unattested records are in it, too.
SET trustlog.sink = 'manual';
SELECT created FROM trustlog.save('m-1', 'a', 'd', 'p', 's', 1, 'r');
SELECT created FROM trustlog.save('m-2', 'a', 'd', 'p', 's', 1, 'r', strategy => 'TRUSTLOG_ONLY');
SELECT created FROM trustlog.save('m-3', 'a', 'd', 'p', 's', 1, 'r', status => 'TRUSTLOGGED');
SELECT trustlog.seal();
SELECT leaf_index, op_id, strategy, trustlog_status, attested_at IS NOT NULL AS at, erased_at IS NOT NULL AS erased FROM trustlog.read_log(3, 10);
-- From anywhere, as many as wanted; beyond the end there is nothing.
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) SELECT 'n-' || n, 'a', 'd', 'p', 's', n, 'r' FROM generate_series(1, 2000) n;
SELECT trustlog.seal();
SELECT string_agg(leaf_index::text, ' ') FROM trustlog.read_log(999, 3);
SELECT string_agg(leaf_index || ':' || op_id, ' ') FROM trustlog.read_log(2004, 100);
SELECT count(*) FROM trustlog.read_log(2006, 1);
SELECT count(*) FROM trustlog.read_log(9223372036854775807, 1);
SELECT count(*), min(leaf_index), max(leaf_index), bool_and(n = leaf_index + 1) AS in_order
  FROM (SELECT leaf_index, row_number() OVER () AS n FROM trustlog.read_log(0, 100000)) x;
-- In a transaction that only reads, and in one with a snapshot.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT count(*) FROM trustlog.read_log(0, 10);
COMMIT;
-- What is refused.
SELECT trustlog.read_log(NULL, 1);
SELECT trustlog.read_log(-1, 1);
SELECT trustlog.read_log(0, 0);
\set VERBOSITY sqlstate
SELECT trustlog.read_log(0, NULL);
SELECT trustlog.read_log(0, -1);
SELECT trustlog.read_log(0, 100001);
