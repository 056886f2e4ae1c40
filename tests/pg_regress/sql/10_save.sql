-- save(): positional, named, defaults, repeated, clashing, and every value it refuses.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

-- All arguments by position.
SELECT seq, octet_length(leaf_hash) AS hash_bytes, created
  FROM trustlog.save('op-1', 'alice', '86.100/a/b', 'producer', 'source', 7, 'repo', 'other.prefix',
                     '2026-01-02 03:04:05.678901+00', 'sha256:req', 'sha256:resp', '192.0.2.1', '2001:DB8::0001',
                     'DB_AND_TRUSTLOG', 'NOT_TRUSTLOGGED');
-- The needed ones by name; the rest follows: prefix from doid, time and strategy by default.
BEGIN;
SELECT seq, octet_length(leaf_hash) AS hash_bytes, created
  FROM trustlog.save(op_id => 'op-2', op_actor => 'bob', doid => '86.200/x', producer_id => 'p', op_source => 's',
                     op_code => -2147483648, do_repository => 'r');
SELECT op_id, do_prefix, "timestamp" = now() AS now, created_at = now() AS created_now, strategy, octet_length(salt) AS salt
  FROM trustlog.operation WHERE op_id = 'op-2';
COMMIT;
SELECT op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix, do_repository, request_body_hash,
       response_body_hash, client_ip, server_ip, "timestamp", strategy
  FROM trustlog.operation WHERE op_id = 'op-1';
SELECT count(DISTINCT salt) FROM trustlog.operation;
SELECT seq, restored FROM trustlog.outbox ORDER BY seq;
-- The prefix is what stands before the first slash, or everything.
SELECT op_id, (SELECT created FROM trustlog.save(op_id, 'a', doid, 'p', 's', 1, 'r'))
  FROM (VALUES ('p-1', '86.1/a/b/c'), ('p-2', 'no-slash'), ('p-3', 'x/')) AS v (op_id, doid);
SELECT op_id, doid, do_prefix FROM trustlog.operation WHERE op_id LIKE 'p-%' ORDER BY op_id;
-- Texts are taken as they are.
SELECT created FROM trustlog.save(E'op "q" \\ '' \u00e9 \U0001F600 \n\t', '  ', '%_\', '0', 'null', 0, E'\u0001');
SELECT op_id = E'op "q" \\ '' \u00e9 \U0001F600 \n\t' AS same_id, op_actor, doid, do_prefix, do_repository = E'\u0001' AS same_repository
  FROM trustlog.operation WHERE op_id LIKE 'op "q"%';
-- The longest values: 512 bytes of op_id, 2048 of the others.
SELECT octet_length(leaf_hash), created
  FROM trustlog.save(repeat('i', 512), repeat('a', 2048), repeat('d', 2048), repeat('p', 2048), repeat('s', 2048),
                     2147483647, repeat('r', 2048), request_body_hash => repeat('q', 2048), response_body_hash => repeat('é', 1024));
-- The first and the last microsecond of what a timestamp may be.
SELECT created FROM trustlog.save('t-1', 'a', 'd', 'p', 's', 1, 'r', op_time => '0001-01-01 00:00:00+00');
SELECT created FROM trustlog.save('t-2', 'a', 'd', 'p', 's', 1, 'r', op_time => '9999-12-31 23:59:59.999999+00');
SELECT op_id, "timestamp" FROM trustlog.operation WHERE op_id LIKE 't-%' ORDER BY op_id;

-- The same again, with the same content or with less: success, and nothing is written.
SELECT seq, created, leaf_hash = (SELECT leaf_hash FROM trustlog.save('op-1', 'alice', '86.100/a/b', 'producer', 'source', 7, 'repo')) AS same_hash
  FROM trustlog.save('op-1', 'alice', '86.100/a/b', 'producer', 'source', 7, 'repo', 'other.prefix',
                     '2026-01-02 04:04:05.678901+01', 'sha256:req', 'sha256:resp', '192.0.2.1/32', '2001:db8:0::1',
                     'DB_AND_TRUSTLOG', 'NOT_TRUSTLOGGED');
SELECT seq, created FROM trustlog.save('op-2', 'bob', '86.200/x', 'p', 's', -2147483648, 'r');
SELECT seq, created FROM trustlog.save('op-2', 'bob', '86.200/x', 'p', 's', -2147483648, 'r', '86.200');
SET trustlog.default_strategy = 'DB_ONLY';
SELECT seq, created FROM trustlog.save('op-2', 'bob', '86.200/x', 'p', 's', -2147483648, 'r');
RESET trustlog.default_strategy;
-- Within one transaction, and within one statement.
BEGIN;
SELECT created FROM trustlog.save('op-3', 'a', 'd', 'p', 's', 1, 'r');
SELECT created FROM trustlog.save('op-3', 'a', 'd', 'p', 's', 1, 'r');
COMMIT;
SELECT array_agg(created ORDER BY n) FROM generate_series(1, 3) n, LATERAL trustlog.save('op-4', 'a', 'd', 'p', 's', 1 + n - n, 'r');
-- What a transaction rolls back is not saved.
BEGIN;
SELECT created FROM trustlog.save('op-5', 'a', 'd', 'p', 's', 1, 'r');
ROLLBACK;
SELECT created FROM trustlog.save('op-5', 'a', 'other', 'p', 's', 1, 'r');
SELECT op_id, count(*) FROM trustlog.operation GROUP BY op_id HAVING count(*) > 1;
SELECT (SELECT count(*) FROM trustlog.operation) = (SELECT count(*) FROM trustlog.outbox) AS each_is_queued_once;

-- Other content: who may read is told which fields differ.
SELECT trustlog.save('op-1', 'eve', '86.100/a/c', 'P', 'S', 8, 'R', 'x', '2026-01-02 03:04:05.678902+00', 'r', 'r', '192.0.2.2',
                     '2001:db8::2', 'DB_ONLY');
SELECT trustlog.save('op-1', 'alice', '86.100/a/b', 'producer', 'source', 7, 'repo', strategy => 'DB_ONLY');
SELECT trustlog.save('op-1', 'alice', '86.100/a/b', 'producer', 'source', 7, 'repo', op_time => '2026-01-02 03:04:05.678902+00');
-- A field that the record does not have differs, too.
SELECT trustlog.save('op-2', 'bob', '86.200/x', 'p', 's', -2147483648, 'r', request_body_hash => 'h', client_ip => '::1');
CREATE ROLE trustlog_test_writer;
CREATE ROLE trustlog_test_both;
SELECT trustlog.grant_access('trustlog_test_writer', 'writer'), trustlog.grant_access('trustlog_test_both', 'writer'),
       trustlog.grant_access('trustlog_test_both', 'reader');
SET ROLE trustlog_test_writer;
SELECT trustlog.save('op-1', 'eve', '86.100/a/b', 'producer', 'source', 7, 'repo');
SELECT seq, created FROM trustlog.save('op-1', 'alice', '86.100/a/b', 'producer', 'source', 7, 'repo');
SET ROLE trustlog_test_both;
SELECT trustlog.save('op-1', 'eve', '86.100/a/b', 'producer', 'source', 7, 'repo');
RESET ROLE;

-- NULL where a value is needed.
\set VERBOSITY sqlstate
SELECT trustlog.save(NULL, 'a', 'd', 'p', 's', 1, 'r');
SELECT trustlog.save('n', NULL, 'd', 'p', 's', 1, 'r');
SELECT trustlog.save('n', 'a', NULL, 'p', 's', 1, 'r');
SELECT trustlog.save('n', 'a', 'd', NULL, 's', 1, 'r');
SELECT trustlog.save('n', 'a', 'd', 'p', NULL, 1, 'r');
SELECT trustlog.save('n', 'a', 'd', 'p', 's', NULL, 'r');
SELECT trustlog.save('n', 'a', 'd', 'p', 's', 1, NULL);
SELECT trustlog.save('n', 'a', 'd', 'p', 's', 1, 'r', status => NULL);
\set VERBOSITY default
SELECT trustlog.save('n', 'a', NULL, 'p', 's', 1, 'r');
-- NULL for what has a default is the default.
SELECT created FROM trustlog.save('n-1', 'a', 'd/x', 'p', 's', 1, 'r', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT do_prefix, strategy FROM trustlog.operation WHERE op_id = 'n-1';

-- Values outside what is allowed.
\set VERBOSITY sqlstate
SELECT trustlog.save('', 'a', 'd', 'p', 's', 1, 'r');
SELECT trustlog.save('b', '', 'd', 'p', 's', 1, 'r');
SELECT trustlog.save('b', 'a', '', 'p', 's', 1, 'r');
SELECT trustlog.save('b', 'a', 'd', '', 's', 1, 'r');
SELECT trustlog.save('b', 'a', 'd', 'p', '', 1, 'r');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, '');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', '');
SELECT trustlog.save('b', 'a', '/d', 'p', 's', 1, 'r');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', request_body_hash => '');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', response_body_hash => '');
SELECT trustlog.save(repeat('é', 257), 'a', 'd', 'p', 's', 1, 'r');
SELECT trustlog.save('b', repeat('a', 2049), 'd', 'p', 's', 1, 'r');
SELECT trustlog.save('b', 'a', repeat('a', 2049), 'p', 's', 1, 'r');
SELECT trustlog.save('b', 'a', 'd', repeat('a', 2049), 's', 1, 'r');
SELECT trustlog.save('b', 'a', 'd', 'p', repeat('a', 2049), 1, 'r');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, repeat('a', 2049));
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', repeat('a', 2049));
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', request_body_hash => repeat('é', 1025));
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', response_body_hash => repeat('a', 2049));
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', client_ip => '192.0.2.0/24');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', server_ip => '2001:db8::/32');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', server_ip => '192.0.2.1/31');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', op_time => 'infinity');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', op_time => '-infinity');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', op_time => '10000-01-01 00:00:00+00');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', op_time => '0001-12-31 23:59:59.999999+00 BC');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', op_time => '294276-12-31 23:59:59+00');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', op_time => '4713-01-01 00:00:00+00 BC');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', strategy => 'db_only');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', strategy => '');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', status => 'trustlogged');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', status => '');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', strategy => 'DB_ONLY', status => 'TRUSTLOGGED');
-- The message names the value, the HINT says what is allowed.
\set VERBOSITY default
SELECT trustlog.save('', 'a', 'd', 'p', 's', 1, 'r');
SELECT trustlog.save(repeat('x', 513), 'a', 'd', 'p', 's', 1, 'r');
SELECT trustlog.save('b', 'a', '/d', 'p', 's', 1, 'r');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', client_ip => '192.0.2.0/24');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', op_time => '10000-01-01 00:00:00+00');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', op_time => 'infinity');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', strategy => 'NONE');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', status => 'DONE');
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r', strategy => 'DB_ONLY', status => 'TRUSTLOGGED');
-- None of them left anything behind.
SELECT count(*) FROM trustlog.operation WHERE op_id IN ('b', 'n');

-- A transaction that cannot write.
\set VERBOSITY sqlstate
BEGIN READ ONLY;
SELECT trustlog.save('b', 'a', 'd', 'p', 's', 1, 'r');
ROLLBACK;

-- With a status.
\set VERBOSITY default
SELECT created FROM trustlog.save('st-1', 'a', 'd', 'p', 's', 1, 'r', status => 'TRUSTLOGGED');
SELECT created FROM trustlog.save('st-1', 'a', 'd', 'p', 's', 1, 'r', status => 'TRUSTLOGGED');
-- The default status says nothing about a record that is there.
SELECT created FROM trustlog.save('st-1', 'a', 'd', 'p', 's', 1, 'r');
SELECT created FROM trustlog.save('st-2', 'a', 'd', 'p', 's', 1, 'r');
SELECT o.op_id, o.trustlog_status, a.sink, o.attested_at = a.attested_at AS same_time
  FROM trustlog.operation_status o LEFT JOIN trustlog.attestation a USING (seq) WHERE o.op_id LIKE 'st-%' ORDER BY 1;

-- REPEATABLE READ sees its own records.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT created FROM trustlog.save('rr-1', 'a', 'd', 'p', 's', 1, 'r');
SELECT created FROM trustlog.save('rr-1', 'a', 'd', 'p', 's', 1, 'r');
SELECT created FROM trustlog.save('op-4', 'a', 'd', 'p', 's', 1, 'r');
COMMIT;

DROP OWNED BY trustlog_test_writer, trustlog_test_both;
DROP ROLE trustlog_test_writer, trustlog_test_both;
