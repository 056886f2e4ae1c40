-- The status of a record: what may change it, and what may not.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
CREATE FUNCTION pg_temp.put(VARIADIC op_ids text[]) RETURNS void LANGUAGE sql AS
$$SELECT trustlog.save(op_id, 'a', 'd', 'p', 's', 1, 'r') FROM unnest(op_ids) op_id$$;
CREATE VIEW pg_temp.here AS
SELECT s.op_id, s.trustlog_status AS status, s.attested_at IS NOT NULL AS at, s.leaf_index AS idx, a.sink, l.attested_at IS NOT NULL AS by_seal,
       EXISTS (SELECT FROM trustlog.outbox b WHERE b.seq = s.seq) AS queued, EXISTS (SELECT FROM trustlog.unattested u WHERE u.seq = s.seq) AS unattested,
       (SELECT r.retry_status FROM trustlog.retry r WHERE r.op_id = s.op_id) AS retry
  FROM trustlog.operation_status s LEFT JOIN trustlog.attestation a USING (seq) LEFT JOIN trustlog.leaf l USING (seq);

-- Sink log, before sealing: by hand, the same again, withdrawn, by compare-and-set.
SELECT pg_temp.put('l-1', 'l-2', 'l-3', 'l-4');
SELECT trustlog.update_status('l-1', 'NOT_TRUSTLOGGED');
SELECT * FROM pg_temp.here WHERE op_id = 'l-1';
SELECT trustlog.update_status('l-1', 'TRUSTLOGGED');
SELECT xmin AS attested_by FROM trustlog.attestation \gset
SELECT trustlog.update_status('l-1', 'TRUSTLOGGED');
SELECT xmin = :'attested_by' AS not_written_again FROM trustlog.attestation;
SELECT * FROM pg_temp.here WHERE op_id = 'l-1';
SELECT trustlog.update_status('l-1', 'NOT_TRUSTLOGGED');
SELECT * FROM pg_temp.here WHERE op_id = 'l-1';
SELECT trustlog.update_status_cas('l-2', 'TRUSTLOGGED', 'NOT_TRUSTLOGGED') AS f1, trustlog.update_status_cas('l-2', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED') AS t1,
       trustlog.update_status_cas('l-2', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED') AS f2, trustlog.update_status_cas('l-2', 'TRUSTLOGGED', 'NOT_TRUSTLOGGED') AS t2,
       trustlog.update_status_cas('l-2', 'TRUSTLOGGED', 'NOT_TRUSTLOGGED') AS f3, trustlog.update_status_cas('l-2', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED') AS t3,
       trustlog.update_status_cas('l-2', 'TRUSTLOGGED', 'TRUSTLOGGED') AS same_t, trustlog.update_status_cas('l-2', 'NOT_TRUSTLOGGED', 'NOT_TRUSTLOGGED') AS same_f;
-- A rollback takes it back.
BEGIN;
SELECT trustlog.update_status('l-3', 'TRUSTLOGGED');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT trustlog.update_status('l-3', 'TRUSTLOGGED');
ROLLBACK TO s;
SELECT trustlog.update_status('l-4', 'TRUSTLOGGED');
COMMIT;
SELECT * FROM pg_temp.here ORDER BY op_id;
-- Sealing attests all of them; who was attested by hand keeps that evidence, too.
SELECT trustlog.seal();
SELECT * FROM pg_temp.here ORDER BY op_id;
-- After sealing: the same is a success, the other is refused, because sealing is evidence.
SELECT trustlog.update_status('l-1', 'TRUSTLOGGED');
SELECT trustlog.update_status_cas('l-1', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED');
SELECT trustlog.update_status('l-1', 'NOT_TRUSTLOGGED');
\set VERBOSITY sqlstate
SELECT trustlog.update_status('l-2', 'NOT_TRUSTLOGGED');
SELECT trustlog.update_status_cas('l-1', 'TRUSTLOGGED', 'NOT_TRUSTLOGGED');
SELECT trustlog.update_status_cas('l-2', 'TRUSTLOGGED', 'NOT_TRUSTLOGGED');
\set VERBOSITY default
SELECT trustlog.update_status_cas('l-1', 'TRUSTLOGGED', 'TRUSTLOGGED') AS same_t, trustlog.update_status_cas('l-1', 'NOT_TRUSTLOGGED', 'NOT_TRUSTLOGGED') AS same_f;
SELECT count(*) FROM trustlog.attestation;

-- Sink manual: sealing attests nothing.
SET trustlog.sink = 'manual';
SELECT pg_temp.put('m-1', 'm-2', 'm-3', 'm-4', 'm-5', 'm-6');
SELECT trustlog.update_status('m-1', 'TRUSTLOGGED');
SELECT trustlog.update_status('m-2', 'TRUSTLOGGED'), trustlog.update_status('m-2', 'NOT_TRUSTLOGGED');
SELECT trustlog.seal();
SELECT * FROM pg_temp.here WHERE op_id LIKE 'm-%' ORDER BY op_id;
-- Withdrawn after sealing: in the backlog again; attested again: out of it.
SELECT trustlog.update_status('m-1', 'NOT_TRUSTLOGGED');
SELECT trustlog.update_status('m-2', 'TRUSTLOGGED');
SELECT trustlog.update_status_cas('m-3', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED'), trustlog.update_status_cas('m-3', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED');
SELECT trustlog.update_status('m-3', 'NOT_TRUSTLOGGED');
-- In retry, and dead: both rows go.
SELECT trustlog.add_retry('m-4', 'e'), trustlog.increment_retry('m-5', 'e'), trustlog.mark_as_dead_letter('m-6', 'e');
SELECT * FROM pg_temp.here WHERE op_id LIKE 'm-%' ORDER BY op_id;
SELECT trustlog.update_status('m-4', 'TRUSTLOGGED'), trustlog.update_status_cas('m-5', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED'), trustlog.update_status('m-6', 'TRUSTLOGGED');
SELECT * FROM pg_temp.here WHERE op_id LIKE 'm-%' ORDER BY op_id;
SELECT trustlog.update_status('m-6', 'NOT_TRUSTLOGGED');
SELECT * FROM pg_temp.here WHERE op_id = 'm-6';
-- By save().
SELECT created FROM trustlog.save('m-1', 'a', 'd', 'p', 's', 1, 'r', status => 'TRUSTLOGGED');
SELECT * FROM pg_temp.here WHERE op_id = 'm-1';

-- Evidence of a sink is not withdrawn, not even together with what was set by hand.
INSERT INTO trustlog.attestation (seq, sink, http_status, receipt) SELECT seq, 'http', 200, '{"no": 1}' FROM trustlog.operation WHERE op_id = 'm-3';
SELECT trustlog.update_status('m-3', 'NOT_TRUSTLOGGED');
SELECT trustlog_status, receipt, attested_at IS NOT NULL AS at FROM trustlog.find_by_id('m-3');

-- Sink http: by hand under it as well; delivery skips what is attested.
SET trustlog.sink = 'http';
SELECT pg_temp.put('h-1', 'h-2', 'h-3');
SELECT trustlog.update_status('h-1', 'TRUSTLOGGED');
SELECT trustlog.seal();
SELECT trustlog.update_status('h-2', 'TRUSTLOGGED');
SELECT * FROM pg_temp.here WHERE op_id LIKE 'h-%' ORDER BY op_id;
SELECT op_id FROM trustlog.find_untrustlogged(10) WHERE op_id LIKE 'h-%';
-- Withdrawn: beyond the delivery cursor it is found without a row.
SELECT trustlog.update_status('h-2', 'NOT_TRUSTLOGGED'), trustlog.update_status('h-1', 'NOT_TRUSTLOGGED');
SELECT * FROM pg_temp.here WHERE op_id LIKE 'h-%' ORDER BY op_id;
SELECT op_id FROM trustlog.find_untrustlogged(10) WHERE op_id LIKE 'h-%';

-- What is refused.
SELECT created FROM trustlog.save('db', 'a', 'd', 'p', 's', 1, 'r', strategy => 'DB_ONLY');
SELECT trustlog.update_status('no such', 'TRUSTLOGGED');
SELECT trustlog.update_status('h-1', 'DONE');
\set VERBOSITY sqlstate
SELECT trustlog.update_status('no such', 'NOT_TRUSTLOGGED');
SELECT trustlog.update_status_cas('no such', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED');
SELECT trustlog.update_status_cas('no such', 'TRUSTLOGGED', 'TRUSTLOGGED');
SELECT trustlog.update_status('', 'TRUSTLOGGED');
SELECT trustlog.update_status('db', 'TRUSTLOGGED');
SELECT trustlog.update_status('db', 'NOT_TRUSTLOGGED');
SELECT trustlog.update_status_cas('db', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED');
SELECT trustlog.update_status_cas('db', 'NOT_TRUSTLOGGED', 'NOT_TRUSTLOGGED');
SELECT trustlog.update_status(NULL, 'TRUSTLOGGED');
SELECT trustlog.update_status('h-1', NULL);
SELECT trustlog.update_status_cas(NULL, 'NOT_TRUSTLOGGED', 'TRUSTLOGGED');
SELECT trustlog.update_status_cas('h-1', NULL, 'TRUSTLOGGED');
SELECT trustlog.update_status_cas('h-1', 'NOT_TRUSTLOGGED', NULL);
SELECT trustlog.update_status('h-1', '');
SELECT trustlog.update_status('h-1', 'trustlogged');
SELECT trustlog.update_status_cas('h-1', 'x', 'TRUSTLOGGED');
SELECT trustlog.update_status_cas('h-1', 'TRUSTLOGGED', 'x');
BEGIN READ ONLY;
SELECT trustlog.update_status('h-1', 'TRUSTLOGGED');
ROLLBACK;
\set VERBOSITY default
SELECT * FROM pg_temp.here WHERE op_id LIKE 'h-%' ORDER BY op_id;

-- wait_for_attestation: at once when it is attested, false when the time is up, refused where waiting makes no sense.
SELECT trustlog.wait_for_attestation('l-1', '1 hour'), trustlog.wait_for_attestation('h-3', '0'), trustlog.wait_for_attestation('h-3', '10 ms');
BEGIN;
SELECT pg_temp.put('mine');
SELECT trustlog.wait_for_attestation('mine', '1 hour');
ROLLBACK;
BEGIN;
SELECT pg_temp.put('mine');
SAVEPOINT s;
SELECT trustlog.wait_for_attestation('mine', '1 hour');
ROLLBACK TO s;
-- Attested in this very transaction is attested.
SELECT trustlog.update_status('mine', 'TRUSTLOGGED');
SELECT trustlog.wait_for_attestation('mine', '1 hour');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT trustlog.wait_for_attestation('l-1', '1 hour');
ROLLBACK;
SELECT trustlog.mark_as_dead_letter('h-3', 'e');
SELECT trustlog.wait_for_attestation('h-3', '1 hour');
\set VERBOSITY sqlstate
SELECT trustlog.wait_for_attestation('db', '1 hour');
SELECT trustlog.wait_for_attestation('no such', '1 hour');
SELECT trustlog.wait_for_attestation(NULL, '1 hour');
SELECT trustlog.wait_for_attestation('l-1', NULL);
SELECT trustlog.wait_for_attestation('l-1', '-1 s');
SET statement_timeout = '100 ms';
SELECT trustlog.wait_for_attestation('h-1', '1 hour');
SELECT trustlog.wait_for_attestation('h-1', '178000000 years');
RESET statement_timeout;
