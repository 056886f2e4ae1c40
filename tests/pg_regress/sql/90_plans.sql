-- Plans: what a call reads does not grow with the log. 100,000 records.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set SHOW_CONTEXT never
-- What autovacuum would do at a time of its own is done here when it is wanted.
ALTER TABLE trustlog.operation SET (autovacuum_enabled = off);
ALTER TABLE trustlog.outbox SET (autovacuum_enabled = off);
ALTER TABLE trustlog.leaf SET (autovacuum_enabled = off);
ALTER TABLE trustlog.attestation SET (autovacuum_enabled = off);
ALTER TABLE trustlog.unattested SET (autovacuum_enabled = off);
ALTER TABLE trustlog.retry SET (autovacuum_enabled = off);

-- The nodes of a plan that read a table, and those that sort. Text: names of nodes differ less between versions than what EXPLAIN prints around them.
CREATE FUNCTION pg_temp.plan(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || statement INTO plan;
    RETURN (SELECT string_agg(DISTINCT concat_ws(' ', n ->> 'Node Type', n ->> 'Scan Direction', n ->> 'Index Name', CASE WHEN n ? 'Index Name' THEN NULL ELSE n ->> 'Relation Name' END), ', ')
              FROM jsonb_path_query(plan, 'strict $.** ? (exists (@."Node Type"))') n
             WHERE n ? 'Relation Name' AND n ->> 'Node Type' <> 'ModifyTable' OR n ->> 'Node Type' ~ 'Sort|Bitmap|Hash|Merge');
END $$;
-- The tables of which a call reads more rows (by scans of the table or of its indexes) than it should, in whatever plan it really has.
CREATE VIEW pg_temp.rows_read AS
SELECT c.relname, pg_stat_get_xact_tuples_returned(c.oid) + (SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(i.indexrelid)), 0) FROM pg_index i WHERE i.indrelid = c.oid) AS number
  FROM pg_class c WHERE c.relnamespace = 'trustlog'::regnamespace AND c.relkind = 'r';
CREATE FUNCTION pg_temp.reads(statement text, allowed int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    before jsonb;
    result text;
BEGIN
    SELECT jsonb_object_agg(relname, number) INTO before FROM pg_temp.rows_read;
    EXECUTE statement;
    SELECT string_agg(relname || '!', ' ' ORDER BY relname) INTO result FROM pg_temp.rows_read WHERE number - (before ->> relname)::numeric > allowed;
    RETURN coalesce(result, 'few');
END $$;
-- The settings of seal(), here.
CREATE FUNCTION pg_temp.as_seal() RETURNS void LANGUAGE sql AS
$$SELECT set_config(split_part(c, '=', 1), split_part(c, '=', 2), false) FROM pg_proc p, unnest(p.proconfig) c WHERE p.oid = 'trustlog.seal()'::regprocedure$$;

-- The sealer's statements, as src/store/outbox.rs and src/store/operation.rs have them.
PREPARE take (bigint, bigint) AS
DELETE FROM trustlog.outbox
  WHERE ctid = ANY (ARRAY(SELECT o.ctid FROM trustlog.outbox o WHERE o.seq > $1 ORDER BY o.seq LIMIT $2
                          FOR UPDATE SKIP LOCKED))
  RETURNING seq;
PREPARE to_seal (bigint[]) AS
SELECT o.seq, o.op_id, o.op_actor, o.doid, o.producer_id, o.request_body_hash, o.response_body_hash, o.op_source,
         o.op_code, o.do_prefix, o.do_repository, pg_catalog.host(o.client_ip), pg_catalog.host(o.server_ip),
         o."timestamp", o.salt, o.strategy, a.seq IS NOT NULL
           FROM pg_catalog.unnest($1) AS u (seq)
           JOIN trustlog.operation o ON o.seq = u.seq
           LEFT JOIN trustlog.attestation a ON a.seq = u.seq;
CREATE FUNCTION pg_temp.sealer() RETURNS TABLE (taken text, taken_all text, fetched text, fetched_generic text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('plan_cache_mode', 'force_custom_plan', true);
    taken := pg_temp.plan('EXECUTE take (-9223372036854775808, 10000)');
    taken_all := pg_temp.plan('EXECUTE take (1, 100000)');
    fetched := pg_temp.plan(format('EXECUTE to_seal (%L)', (SELECT array_agg(n) FROM generate_series(1, 10000) n)));
    PERFORM set_config('plan_cache_mode', 'force_generic_plan', true);
    fetched_generic := pg_temp.plan(format('EXECUTE to_seal (%L)', (SELECT array_agg(n) FROM generate_series(1, 10000) n)));
    RETURN NEXT;
END $$;
\x
-- Empty tables without statistics.
SELECT pg_temp.as_seal() IS NULL AS done LIMIT 1;
SELECT * FROM pg_temp.sealer();
-- Empty, and the statistics say so.
ANALYZE trustlog.operation, trustlog.outbox, trustlog.attestation;
SELECT * FROM pg_temp.sealer();
-- 100,000 wait, and the statistics still say that there is nothing.
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, "timestamp")
SELECT 'n-' || n, 'a' || n % 100, '86.' || n % 1000 || '/' || n, 'p', 's', n % 10, 'r', '2026-01-01'::timestamptz + n * interval '1 second' FROM generate_series(1, 100000) n;
SELECT * FROM pg_temp.sealer();
-- The statistics know.
ANALYZE trustlog.operation, trustlog.outbox;
SELECT * FROM pg_temp.sealer();
\x
RESET ALL;
SET timezone = 'UTC';
SELECT trustlog.seal();
VACUUM ANALYZE trustlog.operation, trustlog.outbox, trustlog.leaf;

-- What calls read, with 100,000 records behind them. First two that read them all.
SELECT pg_temp.reads('SELECT count(*) FROM trustlog.operation', 90000), pg_temp.reads('SELECT sum(idx) FROM (SELECT idx FROM trustlog.leaf ORDER BY idx) l', 90000);
SET trustlog.sink = 'manual';
SELECT pg_temp.reads($$INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) SELECT 'm-' || n, 'a', 'd', 'p', 's', n, 'r' FROM generate_series(1, 1000) n$$, 1000);
SELECT pg_temp.reads('SELECT trustlog.seal()', 2500);
-- 1,000 are unattested; all others get an attestation row, the most there can be.
INSERT INTO trustlog.attestation (seq, sink) SELECT l.seq, 'http' FROM trustlog.leaf l WHERE NOT EXISTS (SELECT FROM trustlog.unattested u WHERE u.seq = l.seq);
ANALYZE trustlog.operation, trustlog.leaf, trustlog.attestation, trustlog.unattested;
-- The first page of query_operations.
SELECT format('PREPARE page (text, text, int, text, text, text, text, text, text, inet, inet, timestamptz, timestamptz, text, int, bigint) AS SELECT s.*%s ORDER BY s.created_at, s.seq LIMIT $15 OFFSET $16', trustlog.query_conditions()) \gexec
SET plan_cache_mode = force_custom_plan;
SELECT pg_temp.plan('EXECUTE page (' || repeat('NULL, ', 14) || '20, 0)');
RESET plan_cache_mode;
-- Every call.
SELECT left(call, 110) AS call, pg_temp.reads(call, allowed) AS reads FROM (VALUES
    ($$SELECT trustlog.save('s-1', 'a', 'd', 'p', 's', 1, 'r')$$, 10),
    ($$SELECT trustlog.save('s-1', 'a', 'd', 'p', 's', 1, 'r')$$, 10),
    ($$SELECT trustlog.save_batch((SELECT jsonb_agg(jsonb_build_object('op_id', 'b-' || n, 'op_actor', 'a', 'doid', 'd', 'producer_id', 'p', 'op_source', 's', 'op_code', n, 'do_repository', 'r')) FROM generate_series(1, 100) n))$$, 300),
    ($$SELECT trustlog.seal()$$, 2500),
    ($$SELECT trustlog.update_status('m-1', 'TRUSTLOGGED')$$, 10),
    ($$SELECT trustlog.update_status_cas('n-5', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED')$$, 10),
    ($$SELECT * FROM trustlog.find_by_id('n-50000')$$, 10),
    ($$SELECT * FROM trustlog.find_untrustlogged(10)$$, 50),
    ($$SELECT * FROM trustlog.find_untrustlogged_with_lock(10)$$, 100),
    ($$SELECT * FROM trustlog.read_log(50000, 10)$$, 50),
    ($$SELECT * FROM trustlog.tree_head()$$, 600),
    ($$SELECT trustlog.wait_for_attestation('n-50000', '0')$$, 10),
    ($$SELECT trustlog.add_retry('m-5', 'x')$$, 10),
    ($$SELECT trustlog.increment_retry('m-5', 'x')$$, 10),
    ($$SELECT trustlog.mark_as_dead_letter('m-5', 'x')$$, 10),
    ($$SELECT * FROM trustlog.dead_letter$$, 10),
    ($$SELECT trustlog.requeue_dead_letters()$$, 10),
    ($$SELECT * FROM trustlog.operation_status WHERE op_id = 'n-50000'$$, 10),
    ($$SELECT * FROM trustlog.operation_status WHERE seq = 50000$$, 10),
    ($$SELECT * FROM trustlog.query_operations()$$, 100),
    ($$SELECT * FROM trustlog.query_operations(order_desc => true)$$, 100),
    ($$SELECT * FROM trustlog.query_operations(order_by => 'timestamp')$$, 100),
    ($$SELECT * FROM trustlog.query_operations(order_by => 'timestamp', order_desc => true)$$, 100),
    ($$SELECT * FROM trustlog.query_operations(order_by => 'op_id')$$, 100),
    ($$SELECT * FROM trustlog.query_operations(order_by => 'op_id', order_desc => true)$$, 100),
    ($$SELECT * FROM trustlog.query_operations(op_id => 'n-50000')$$, 10),
    ($$SELECT * FROM trustlog.query_operations(op_actor => 'a7', page_size => 1)$$, 1000),
    ($$SELECT * FROM trustlog.query_operations(trustlog_status => 'TRUSTLOGGED')$$, 100),
    ($$SELECT * FROM trustlog.query_operations(time_from => '2026-01-01 05:00:00Z', time_to => '2026-01-01 05:00:09Z')$$, 100),
    ($$SELECT trustlog.count_operations(time_from => '2026-01-01 05:00:00Z', time_to => '2026-01-01 05:00:09Z')$$, 100),
    ($$SELECT trustlog.count_operations(op_id => 'n-50000')$$, 10),
    -- Grows with what is not attested yet: 1,000.
    ($$SELECT * FROM trustlog.stat$$, 5000)) c (call, allowed);
-- Under http with a lag of 1,000 records; as often as it takes for a plan to be kept.
SET trustlog.sink = 'http';
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) SELECT 'h-' || n, 'a', 'd', 'p', 's', n, 'r' FROM generate_series(1, 1000) n;
SELECT trustlog.seal();
SELECT call, string_agg(DISTINCT pg_temp.reads(call, allowed), '; ') AS reads FROM (VALUES
    ($$SELECT * FROM trustlog.stat$$, 10000),
    ($$SELECT * FROM trustlog.find_untrustlogged(2000)$$, 10000),
    ($$SELECT * FROM trustlog.find_untrustlogged_with_lock(2000)$$, 10000)) c (call, allowed), generate_series(1, 10) GROUP BY call ORDER BY call;
