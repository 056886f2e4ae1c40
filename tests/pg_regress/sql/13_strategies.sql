-- Strategies: what is kept, sealed, attested and erased, and when.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
CREATE FUNCTION pg_temp.put(op_id text, strategy text DEFAULT NULL, status text DEFAULT 'NOT_TRUSTLOGGED') RETURNS boolean LANGUAGE sql AS
$$SELECT created FROM trustlog.save(op_id, 'a', 'd/x', 'p', 's', 1, 'r', op_time => '2026-01-02 03:04:05Z', strategy => strategy, status => status)$$;
-- Where a record is.
CREATE FUNCTION pg_temp.at(wanted text, OUT kept boolean, OUT queued boolean, OUT sealed boolean, OUT unattested boolean, OUT erased boolean, OUT status text, OUT found_strategy text)
LANGUAGE sql AS $$
SELECT EXISTS (SELECT FROM trustlog.operation o WHERE o.op_id = wanted), EXISTS (SELECT FROM trustlog.outbox b WHERE b.seq = f.seq),
       EXISTS (SELECT FROM trustlog.leaf l WHERE l.seq = f.seq), EXISTS (SELECT FROM trustlog.unattested u WHERE u.seq = f.seq), f.erased_at IS NOT NULL,
       f.trustlog_status, f.strategy
  FROM trustlog.find_by_id(wanted) f$$;

-- DB_ONLY: kept, in no queue, never attested.
SELECT created, leaf_hash FROM trustlog.save('only-db', 'a', 'd/x', 'p', 's', 1, 'r', op_time => '2026-01-02 03:04:05Z', strategy => 'DB_ONLY');
SELECT created, leaf_hash FROM trustlog.save('only-db', 'a', 'd/x', 'p', 's', 1, 'r');
SELECT * FROM pg_temp.at('only-db');
SELECT trustlog.seal();
SELECT * FROM pg_temp.at('only-db');
SELECT count(*) FROM trustlog.find_untrustlogged(10);
SELECT count(*) FROM trustlog.find_untrustlogged_with_lock(10);
SELECT not_attested, tree_size FROM trustlog.stat;
\set VERBOSITY sqlstate
SELECT trustlog.update_status('only-db', 'TRUSTLOGGED');
SELECT trustlog.update_status('only-db', 'NOT_TRUSTLOGGED');
SELECT trustlog.update_status_cas('only-db', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED');
SELECT trustlog.wait_for_attestation('only-db', '0');
\set VERBOSITY default
SELECT trustlog.update_status('only-db', 'TRUSTLOGGED');

-- The default is a setting that anyone may set.
SET trustlog.default_strategy = 'TRUSTLOG_ONLY';
SELECT pg_temp.put('only-log-1');
RESET trustlog.default_strategy;
SELECT pg_temp.put('both');
SELECT op_id, strategy FROM trustlog.operation ORDER BY seq;

-- TRUSTLOG_ONLY under sink log: erased in the transaction that seals, which also attests.
SELECT * FROM pg_temp.at('only-log-1');
SELECT leaf_hash AS hash_saved FROM trustlog.save('only-log-1', 'a', 'd/x', 'p', 's', 1, 'r') \gset
BEGIN;
SELECT trustlog.seal();
SELECT * FROM pg_temp.at('only-log-1');
ROLLBACK;
SELECT * FROM pg_temp.at('only-log-1');
SELECT trustlog.seal();
SELECT * FROM pg_temp.at('only-log-1');
SELECT * FROM pg_temp.at('both');
SELECT e.op_id, e.op_id_sha256 = sha256('only-log-1') AS sha256_of_op_id, octet_length(e.salt) AS salt, e.reason, e.erased_at = l.attested_at AS when_sealed,
       l.idx, l.leaf_hash = :'hash_saved' AS hash_as_saved
  FROM trustlog.erased e JOIN trustlog.leaf l USING (seq);
SELECT op_actor IS NULL AND doid IS NULL AND producer_id IS NULL AND op_source IS NULL AND op_code IS NULL AND do_prefix IS NULL AND "timestamp" IS NULL AS content_gone,
       leaf_index, attested_at IS NOT NULL AS attested
  FROM trustlog.find_by_id('only-log-1');
SELECT leaf_index, leaf_hash = :'hash_saved' AS hash_as_saved, op_id, op_actor, trustlog_status, erased_at IS NOT NULL AS erased FROM trustlog.read_log(0, 10);
SELECT count(*) FROM trustlog.operation_status WHERE op_id = 'only-log-1';
SELECT trustlog.count_operations(op_id => 'only-log-1');
-- What it is proved by: the leaf made anew from the salt that stays and the record that its holder has.
SELECT l.leaf_hash = sha256('\x00' || sha256('trustlog-record-v1'::bytea || '\x0a' || e.salt || convert_to('{"do_prefix":"d","do_repository":"r","doid":"d/x","op_actor":"a","op_code":1,"op_id":"only-log-1","op_source":"s","producer_id":"p","timestamp":"2026-01-02T03:04:05.000000Z","v":1}', 'UTF8'))) AS proved
  FROM trustlog.erased e JOIN trustlog.leaf l USING (seq);

-- Its op_id stays taken. A retry with all its fields succeeds.
SELECT created, leaf_hash = :'hash_saved' AS hash_as_saved
  FROM trustlog.save('only-log-1', 'a', 'd/x', 'p', 's', 1, 'r', 'd', '2026-01-02 03:04:05Z', strategy => 'TRUSTLOG_ONLY');
SELECT created, leaf_hash = :'hash_saved' AS hash_as_saved
  FROM trustlog.save('only-log-1', 'a', 'd/x', 'p', 's', 1, 'r', 'd', '2026-01-02 03:04:05Z', strategy => 'TRUSTLOG_ONLY', status => 'TRUSTLOGGED');
SELECT created FROM trustlog.save('{"op_id": "only-log-1", "op_actor": "a", "doid": "d/x", "producer_id": "p", "op_source": "s", "op_code": 1, "do_repository": "r",
                                    "timestamp": "2026-01-02T03:04:05Z", "strategy": "TRUSTLOG_ONLY"}');
SET trustlog.default_strategy = 'TRUSTLOG_ONLY';
SELECT pg_temp.put('only-log-1');
RESET trustlog.default_strategy;
-- Anything else does not.
SELECT trustlog.save('only-log-1', 'a', 'd/x', 'p', 's', 1, 'r', strategy => 'TRUSTLOG_ONLY');
\set VERBOSITY sqlstate
SELECT trustlog.save('only-log-1', 'b', 'd/x', 'p', 's', 1, 'r', op_time => '2026-01-02 03:04:05Z', strategy => 'TRUSTLOG_ONLY');
SELECT trustlog.save('only-log-1', 'a', 'd/x', 'p', 's', 1, 'r', op_time => '2026-01-02 03:04:06Z', strategy => 'TRUSTLOG_ONLY');
SELECT trustlog.save('only-log-1', 'a', 'd/x', 'p', 's', 1, 'r', op_time => '2026-01-02 03:04:05Z', strategy => 'TRUSTLOG_ONLY', client_ip => '::1');
SELECT trustlog.save('only-log-1', 'a', 'd/x', 'p', 's', 1, 'r', op_time => '2026-01-02 03:04:05Z', strategy => 'DB_AND_TRUSTLOG');
SELECT trustlog.save('only-log-1', 'a', 'd/x', 'p', 's', 1, 'r', op_time => '2026-01-02 03:04:05Z', strategy => 'DB_ONLY');
SELECT trustlog.save('only-log-1', 'a', 'd/x', 'p', 's', 1, 'r');
SELECT trustlog.save_batch('[{"op_id": "other", "op_actor": "a", "doid": "d/x", "producer_id": "p", "op_source": "s", "op_code": 1, "do_repository": "r"},
                             {"op_id": "only-log-1", "op_actor": "a", "doid": "d/x", "producer_id": "p", "op_source": "s", "op_code": 1, "do_repository": "r"}]');
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) VALUES ('only-log-1', 'a', 'd/x', 'p', 's', 1, 'r');
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, strategy)
VALUES ('other', 'a', 'd/x', 'p', 's', 1, 'r', 'DB_ONLY'), ('only-log-1', 'a', 'd/x', 'p', 's', 1, 'r', 'DB_ONLY');
COPY trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) FROM STDIN;
only-log-1	a	d/x	p	s	1	r
\.
\set VERBOSITY default
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) VALUES ('only-log-1', 'a', 'd/x', 'p', 's', 1, 'r');
SELECT count(*) FROM trustlog.operation WHERE op_id IN ('other', 'only-log-1');
SELECT count(*) FROM trustlog.outbox;
-- Its status is settled.
SELECT trustlog.update_status('only-log-1', 'TRUSTLOGGED');
SELECT trustlog.update_status('only-log-1', 'NOT_TRUSTLOGGED');
SELECT trustlog.update_status_cas('only-log-1', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED');
SELECT trustlog.wait_for_attestation('only-log-1', '0');

-- Attested by hand first: kept until it is sealed. Withdrawn in between: kept until it is attested again.
SELECT pg_temp.put('only-log-2', 'TRUSTLOG_ONLY', 'TRUSTLOGGED'), pg_temp.put('only-log-3', 'TRUSTLOG_ONLY', 'TRUSTLOGGED');
SELECT trustlog.update_status('only-log-3', 'NOT_TRUSTLOGGED');
SELECT * FROM pg_temp.at('only-log-2');
SELECT * FROM pg_temp.at('only-log-3');
SELECT trustlog.seal();
SELECT * FROM pg_temp.at('only-log-2');
SELECT * FROM pg_temp.at('only-log-3');

-- Under sink manual: sealing is not the attestation, so whichever comes second erases.
SET trustlog.sink = 'manual';
SELECT pg_temp.put('manual-1', 'TRUSTLOG_ONLY'), pg_temp.put('manual-2', 'TRUSTLOG_ONLY'), pg_temp.put('manual-3', 'TRUSTLOG_ONLY'), pg_temp.put('manual-4', 'TRUSTLOG_ONLY');
SELECT trustlog.update_status('manual-1', 'TRUSTLOGGED');
SELECT trustlog.update_status('manual-2', 'TRUSTLOGGED'), trustlog.update_status('manual-2', 'NOT_TRUSTLOGGED');
SELECT trustlog.seal();
SELECT * FROM pg_temp.at('manual-1');
SELECT * FROM pg_temp.at('manual-2');
-- Kept means: the same again is compared with the record, field by field.
SELECT created FROM trustlog.save('manual-2', 'a', 'd/x', 'p', 's', 1, 'r');
SELECT trustlog.update_status('manual-2', 'TRUSTLOGGED');
SELECT trustlog.update_status_cas('manual-3', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED');
SELECT pg_temp.put('manual-4', 'TRUSTLOG_ONLY', 'TRUSTLOGGED');
SELECT * FROM pg_temp.at('manual-2');
SELECT * FROM pg_temp.at('manual-3');
SELECT * FROM pg_temp.at('manual-4');
SELECT trustlog.update_status('manual-2', 'NOT_TRUSTLOGGED');
SELECT pg_temp.put('manual-2', 'TRUSTLOG_ONLY');
SELECT e.op_id, l.attested_at IS NULL AS sealing_attested_nothing, a.sink FROM trustlog.erased e JOIN trustlog.leaf l USING (seq) LEFT JOIN trustlog.attestation a USING (seq)
 WHERE e.op_id LIKE 'manual-%' ORDER BY e.op_id;

-- Under sink http: the same.
SET trustlog.sink = 'http';
SELECT pg_temp.put('http-1', 'TRUSTLOG_ONLY'), pg_temp.put('http-2', 'TRUSTLOG_ONLY', 'TRUSTLOGGED');
SELECT trustlog.seal();
SELECT * FROM pg_temp.at('http-1');
SELECT * FROM pg_temp.at('http-2');
SELECT trustlog.update_status('http-1', 'TRUSTLOGGED');
SELECT * FROM pg_temp.at('http-1');

-- The retry of a record goes with it.
SET trustlog.sink = 'manual';
SELECT pg_temp.put('retried', 'TRUSTLOG_ONLY');
SELECT trustlog.seal();
SELECT trustlog.add_retry('retried', 'later');
SELECT trustlog.update_status('retried', 'TRUSTLOGGED');
SELECT count(*) FROM trustlog.retry;
SELECT * FROM pg_temp.at('retried');
SELECT op_id, strategy FROM trustlog.operation ORDER BY seq;
SELECT not_attested FROM trustlog.stat;
