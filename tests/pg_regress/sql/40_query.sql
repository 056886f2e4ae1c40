-- Queries: every filter, literal matching, paging, order, counting.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set SHOW_CONTEXT never
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix, do_repository, client_ip, server_ip, "timestamp", strategy) VALUES
  ('op-1', 'alice', '86.100/a', 'p1', 'web', 1, '86.100', 'r1', '192.0.2.1', '2001:db8::1', '2026-01-01 00:00:00Z', 'DB_AND_TRUSTLOG'),
  ('op-2', 'bob',   '86.100/b', 'p1', 'api', 2, '86.100', 'r2', '192.0.2.2', NULL,          '2026-01-02 00:00:00Z', 'DB_AND_TRUSTLOG'),
  ('op-3', 'alice', '86.200/a', 'p2', 'web', 1, '86.200', 'r1', NULL,        '2001:db8::1', '2026-01-03 00:00:00Z', 'DB_ONLY'),
  ('op-4', 'alice', '100%_\x',  'p2', 'api', -1, '100%_\x', 'r2', '::1',     NULL,          '2026-01-03 00:00:00Z', 'TRUSTLOG_ONLY'),
  ('op-5', 'carol', '100abx',   'p2', 'api', 0, '100abx', 'r2', '192.0.2.1', NULL,          '2025-12-31 23:59:59.999999Z', 'DB_AND_TRUSTLOG');
SELECT trustlog.update_status('op-2', 'TRUSTLOGGED');

-- No filter: NULL or ''.
SELECT string_agg(op_id, ' ') FROM trustlog.query_operations();
SELECT string_agg(op_id, ' ') FROM trustlog.query_operations('', '', NULL, '', '', '', '', '', '', NULL, NULL, NULL, NULL, '', 20, 1, 'created_at', false);
SELECT trustlog.count_operations(), trustlog.count_operations('', '', NULL, '', '', '', '', '', '', NULL, NULL, NULL, NULL, '');
-- Each filter; count_operations counts what query_operations finds.
CREATE FUNCTION pg_temp.both(arguments text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
    found_number int;
    number bigint;
BEGIN
    EXECUTE format('SELECT string_agg(op_id, '' ''), count(*) FROM trustlog.query_operations(%s)', arguments) INTO found, found_number;
    EXECUTE format('SELECT trustlog.count_operations(%s)', arguments) INTO number;
    RETURN coalesce(found, '-') || CASE WHEN found_number <> number THEN ' BUT ' || number ELSE '' END;
END $$;
SELECT arguments, pg_temp.both(arguments) FROM unnest(ARRAY[
    'op_id => ''op-2''', 'op_id => ''op-''', 'op_id => ''OP-2''', 'op_source => ''web''', 'op_source => ''we''', 'op_code => 1', 'op_code => 0', 'op_code => -1', 'op_code => 77',
    'doid => ''86.100''', 'doid => ''/a''', 'doid => ''86.100/a''', 'doid => ''A''', 'doid => ''%''', 'doid => ''_''', 'doid => ''\''', 'doid => ''100%''', 'doid => ''100_''', 'doid => ''%_\x''', 'doid => ''\%''',
    'do_prefix => ''86''', 'do_prefix => ''100''', 'do_prefix => ''%''', 'do_prefix => ''_''', 'do_prefix => ''\''', 'do_prefix => ''0%_''',
    'producer_id => ''p2''', 'producer_id => ''p''', 'op_actor => ''alice''', 'op_actor => ''%''', 'do_repository => ''r1''', 'do_repository => ''r_''',
    'trustlog_status => ''TRUSTLOGGED''', 'trustlog_status => ''NOT_TRUSTLOGGED''',
    'client_ip => ''192.0.2.1''', 'client_ip => ''192.0.2.1/32''', 'client_ip => ''192.0.2.0/24''', 'client_ip => ''0::1''', 'server_ip => ''2001:DB8:0::1''', 'server_ip => ''::1''',
    'time_from => ''2026-01-03Z''', 'time_from => ''2026-01-03 00:00:00.000001Z''', 'time_to => ''2026-01-01Z''', 'time_to => ''2025-12-31 23:59:59.999999Z''', 'time_to => ''2025-12-31 23:59:59.999998Z''',
    'time_from => ''2026-01-01Z'', time_to => ''2026-01-02Z''', 'time_from => ''2026-01-02Z'', time_to => ''2026-01-01Z''', 'time_from => ''-infinity'', time_to => ''infinity''',
    'strategy => ''DB_ONLY''', 'strategy => ''TRUSTLOG_ONLY''', 'strategy => ''DB_AND_TRUSTLOG''',
    'op_actor => ''alice'', op_source => ''web''', 'op_actor => ''alice'', op_source => ''web'', do_prefix => ''200''', 'op_actor => ''alice'', op_code => 2',
    'op_actor => ''alice'''' OR true --''', 'op_id => '';DROP TABLE trustlog.operation''']) WITH ORDINALITY AS a (arguments, n) ORDER BY n;

-- Order: created_at (all the same here, so by seq), timestamp, op_id; both ways, ties by seq in the same direction.
SELECT string_agg(op_id, ' ') FROM trustlog.query_operations(order_desc => true);
SELECT string_agg(op_id, ' ') FROM trustlog.query_operations(order_by => 'timestamp');
SELECT string_agg(op_id, ' ') FROM trustlog.query_operations(order_by => 'timestamp', order_desc => true);
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, strategy)
VALUES ('Z', 'dan', 'd', 'p', 's', 1, 'r', 'DB_ONLY'), ('ä', 'dan', 'd', 'p', 's', 1, 'r', 'DB_ONLY'), ('a', 'dan', 'd', 'p', 's', 1, 'r', 'DB_ONLY');
SELECT string_agg(op_id, ' ') FROM trustlog.query_operations(order_by => 'op_id');
SELECT string_agg(op_id, ' ') FROM trustlog.query_operations(order_by => 'op_id', order_desc => true);
SELECT string_agg(op_id, ' ') FROM trustlog.query_operations(order_by => 'created_at');
-- Pages.
SELECT n, (SELECT string_agg(op_id, ' ') FROM trustlog.query_operations(op_actor => 'alice', page_size => 2, page_number => n)) AS alice,
       (SELECT string_agg(op_id, ' ') FROM trustlog.query_operations(page_size => 3, page_number => n, order_by => 'op_id', order_desc => true)) AS everyone
  FROM generate_series(1, 4) n;
SELECT count(*) FROM trustlog.query_operations(page_size => 1000);
SELECT count(*) FROM trustlog.query_operations(page_size => 1000, page_number => 2147483647);
-- 20 unless told otherwise.
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) SELECT 'n-' || n, 'many', 'd', 'p', 's', n, 'r' FROM generate_series(1, 45) n;
SELECT count(*), min(op_code), max(op_code) FROM trustlog.query_operations(op_actor => 'many');
SELECT count(*), min(op_code), max(op_code) FROM trustlog.query_operations(op_actor => 'many', page_number => 3);

-- A page with its numbers.
SELECT p - 'operations' AS numbers, left(jsonb_path_query_array(p, '$.operations[*].op_id')::text, 30) AS op_ids
  FROM (VALUES (trustlog.query_operations_page(op_actor => 'alice')), (trustlog.query_operations_page(op_actor => 'alice', page_size => 2)),
               (trustlog.query_operations_page(op_actor => 'alice', page_size => 2, page_number => 2)), (trustlog.query_operations_page(op_actor => 'alice', page_size => 2, page_number => 3)),
               (trustlog.query_operations_page(op_actor => 'alice', page_size => 3, order_desc => true)), (trustlog.query_operations_page(op_actor => 'nobody')),
               (trustlog.query_operations_page(op_actor => 'many', page_size => 1000)), (trustlog.query_operations_page(op_actor => 'many', page_size => 7, page_number => 7, order_by => 'op_id'))) v (p);
SELECT jsonb_pretty(trustlog.query_operations_page(op_id => 'op-1') #- '{operations, 0, created_at}');
SELECT DISTINCT jsonb_object_keys(o) COLLATE "C" AS key FROM jsonb_array_elements(trustlog.query_operations_page() -> 'operations') o
EXCEPT SELECT attname FROM pg_attribute WHERE attrelid = 'trustlog.operation_status'::regclass;

-- The view, for ORMs and BI.
SELECT trustlog.seal();
SELECT * FROM (SELECT op_id, strategy, trustlog_status, leaf_index, attested_at IS NOT NULL AS at FROM trustlog.operation_status WHERE op_actor <> 'many') x ORDER BY op_id;
SELECT attname FROM pg_attribute WHERE attrelid = 'trustlog.operation_status'::regclass AND attnum > 0 ORDER BY attnum;
-- What was erased is not found.
SELECT trustlog.count_operations(strategy => 'TRUSTLOG_ONLY'), trustlog.count_operations(trustlog_status => 'TRUSTLOGGED'), trustlog.count_operations(trustlog_status => 'NOT_TRUSTLOGGED');

-- What is refused.
SELECT trustlog.query_operations(page_size => 0);
SELECT trustlog.query_operations(page_size => 1001);
SELECT trustlog.query_operations(page_number => 0);
SELECT trustlog.query_operations(order_by => 'seq');
SELECT trustlog.query_operations(trustlog_status => 'DONE');
SELECT trustlog.query_operations(strategy => 'NONE');
\set VERBOSITY sqlstate
SELECT trustlog.query_operations(page_size => -1);
SELECT trustlog.query_operations(page_number => -1);
SELECT trustlog.query_operations(order_by => '');
SELECT trustlog.query_operations(order_by => 'created_at desc');
SELECT trustlog.query_operations(order_by => 'CREATED_AT');
SELECT trustlog.query_operations(order_by => 'op_id; DROP TABLE trustlog.operation');
SELECT trustlog.query_operations(trustlog_status => 'trustlogged');
SELECT trustlog.count_operations(trustlog_status => 'DONE');
SELECT trustlog.count_operations(strategy => 'NONE');
SELECT trustlog.query_operations_page(page_size => 0);
SELECT trustlog.query_operations_page(page_number => 0);
SELECT trustlog.query_operations_page(order_by => 'x');
SELECT trustlog.query_operations_page(strategy => 'NONE');
-- NULL is not a page, an order or a direction.
CREATE FUNCTION pg_temp.refused(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN false;
EXCEPTION WHEN null_value_not_allowed OR invalid_parameter_value THEN
    RETURN true;
END $$;
SELECT argument, pg_temp.refused(format('SELECT count(*) FROM trustlog.query_operations(%s => NULL)', argument)) AS query,
       pg_temp.refused(format('SELECT trustlog.query_operations_page(%s => NULL)', argument)) AS page
  FROM unnest('{page_size, page_number, order_by, order_desc}'::text[]) argument;
