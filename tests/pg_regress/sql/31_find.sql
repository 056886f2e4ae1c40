-- Finding records: by op_id, what is not attested yet, with and without locks.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.put(VARIADIC op_ids text[]) RETURNS void LANGUAGE sql AS
$$SELECT trustlog.save(op_id, 'a', 'd', 'p', 's', 1, 'r') FROM unnest(op_ids) op_id$$;

-- find_by_id: one row or none, with all there is to say.
SELECT created FROM trustlog.save('full', 'alice', '86.1/a', 'p', 's', 7, 'r', 'x', '2026-01-02 03:04:05.678901Z', 'q', 'w', '192.0.2.1', '2001:db8::1', 'DB_AND_TRUSTLOG');
SELECT op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix, do_repository, request_body_hash, response_body_hash, client_ip, server_ip, "timestamp", strategy,
       trustlog_status, leaf_index, attested_at, receipt, erased_at, created_at IS NOT NULL AS created
  FROM trustlog.find_by_id('full');
SELECT trustlog.seal();
SELECT trustlog_status, leaf_index, attested_at = l.attested_at AS sealed_at, receipt, erased_at FROM trustlog.find_by_id('full') f JOIN trustlog.leaf l USING (seq, attested_at);
INSERT INTO trustlog.attestation (seq, sink, http_status, receipt, attested_at) SELECT seq, 'http', 200, '{"receipt": 1}', '2026-01-03' FROM trustlog.operation WHERE op_id = 'full';
SELECT trustlog_status, attested_at, receipt FROM trustlog.find_by_id('full');
SELECT count(*) FROM trustlog.find_by_id('no such');
SELECT count(*) FROM trustlog.find_by_id('');
SELECT count(*) FROM trustlog.find_by_id('%');
SELECT trustlog.find_by_id(NULL);
-- The salt is not shown.
SELECT count(*) FROM pg_attribute WHERE attrelid IN ('trustlog.operation_found'::regclass, 'trustlog.operation_status'::regclass) AND attname = 'salt';

-- find_untrustlogged: oldest first, out of the outbox; never DB_ONLY, never what is attested.
SELECT pg_temp.put('o-1', 'o-2', 'o-3', 'o-4');
SELECT created FROM trustlog.save('db', 'a', 'd', 'p', 's', 1, 'r', strategy => 'DB_ONLY');
SELECT created FROM trustlog.save('only', 'a', 'd', 'p', 's', 1, 'r', strategy => 'TRUSTLOG_ONLY');
SELECT trustlog.update_status('o-2', 'TRUSTLOGGED');
SELECT op_id, trustlog_status, leaf_index FROM trustlog.find_untrustlogged(10);
SELECT op_id FROM trustlog.find_untrustlogged(2);
SELECT op_id FROM trustlog.find_untrustlogged_with_lock(10);
SELECT op_id FROM trustlog.find_untrustlogged_with_lock(2);
-- Sealed under sink log: nothing is left.
SELECT trustlog.seal();
SELECT op_id FROM trustlog.find_untrustlogged(10);
SELECT op_id FROM trustlog.find_untrustlogged_with_lock(10);

-- All three places: unattested by seq, then the log beyond the delivery cursor, then the outbox.
SET trustlog.sink = 'manual';
SELECT pg_temp.put('u-1', 'u-2', 'u-3', 'u-4');
SELECT trustlog.seal();
SET trustlog.sink = 'http';
SELECT pg_temp.put('b-1', 'b-2', 'b-3', 'b-4');
SELECT trustlog.seal();
SELECT pg_temp.put('q-1', 'q-2', 'q-3', 'q-4');
SELECT trustlog.update_status(op_id, 'TRUSTLOGGED') FROM unnest('{u-2, b-2, q-2}'::text[]) op_id;
SELECT op_id, trustlog_status, leaf_index FROM trustlog.find_untrustlogged(100);
SELECT op_id, trustlog_status, leaf_index FROM trustlog.find_untrustlogged_with_lock(100);
-- The limit cuts wherever it falls.
SELECT n, (SELECT string_agg(op_id, ' ' ORDER BY i) FROM trustlog.find_untrustlogged(n) WITH ORDINALITY AS f (seq, op_id, a, b, c, d, e, g, h, j, k, l, m, o, p, q, r, s, t, i)) AS found,
       (SELECT string_agg(op_id, ' ' ORDER BY i) FROM trustlog.find_untrustlogged_with_lock(n) WITH ORDINALITY AS f (seq, op_id, a, b, c, d, e, g, h, j, k, l, m, o, p, q, r, s, t, i)) AS locked
  FROM generate_series(1, 10) n;
-- Those in retry, and the dead, are not attested either.
SELECT trustlog.add_retry('u-3', 'e'), trustlog.mark_as_dead_letter('u-4', 'e'), trustlog.mark_as_dead_letter('b-3', 'e');
SELECT string_agg(op_id, ' ') FROM trustlog.find_untrustlogged(100);
-- Discarded: in no backlog.
SELECT trustlog.discard_dead_letter('u-4', 'test');
SELECT string_agg(op_id, ' ') FROM trustlog.find_untrustlogged(100);
SELECT string_agg(op_id, ' ') FROM trustlog.find_untrustlogged_with_lock(100);
SELECT trustlog_status FROM trustlog.find_by_id('u-4');

-- Found in the transaction that saved, gone with it.
BEGIN;
SELECT pg_temp.put('mine');
SELECT count(*) FROM trustlog.find_untrustlogged(100) WHERE op_id = 'mine';
SELECT count(*) FROM trustlog.find_untrustlogged_with_lock(100) WHERE op_id = 'mine';
ROLLBACK;
SELECT count(*) FROM trustlog.find_untrustlogged(100) WHERE op_id = 'mine';
-- The loop of a caller that attests what it has locked.
CREATE FUNCTION pg_temp.attest_all(batch int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    done text := '';
    op_ids text[];
BEGIN
    LOOP
        SELECT array_agg(f.op_id) INTO op_ids FROM trustlog.find_untrustlogged_with_lock(batch) f;
        EXIT WHEN op_ids IS NULL;
        PERFORM trustlog.update_status(op_id, 'TRUSTLOGGED') FROM unnest(op_ids) op_id;
        done := done || ' | ' || array_to_string(op_ids, ' ');
    END LOOP;
    RETURN done;
END $$;
SELECT pg_temp.attest_all(3);
SELECT op_id FROM trustlog.find_untrustlogged(100);

-- What is refused.
SELECT trustlog.find_untrustlogged(NULL);
SELECT trustlog.find_untrustlogged(0);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM trustlog.find_untrustlogged(1);
SELECT trustlog.find_untrustlogged_with_lock(1);
ROLLBACK;
\set VERBOSITY sqlstate
SELECT trustlog.find_untrustlogged(-1);
SELECT trustlog.find_untrustlogged(100001);
SELECT trustlog.find_untrustlogged_with_lock(NULL);
SELECT trustlog.find_untrustlogged_with_lock(0);
SELECT trustlog.find_untrustlogged_with_lock(100001);
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT trustlog.find_untrustlogged_with_lock(1);
ROLLBACK;
BEGIN READ ONLY;
SELECT count(*) FROM trustlog.find_untrustlogged(100000);
SELECT trustlog.find_untrustlogged_with_lock(1);
ROLLBACK;
SELECT count(*) FROM trustlog.find_untrustlogged(100000);
SELECT count(*) FROM trustlog.find_untrustlogged_with_lock(100000);
