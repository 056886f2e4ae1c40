-- Queries with filters. NULL or '' is no filter; doid and do_prefix match a literal part of the text; times are inclusive.

-- The WHERE clause of all three functions below, over trustlog.operation_status s: a fixed text, so that one place says
-- what a filter means. It is planned with the values of each call, so that filters left out cost nothing and the others
-- can use an index.
CREATE FUNCTION trustlog.query_conditions() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
RETURN ' FROM trustlog.operation_status s
 WHERE ($1 IS NULL OR s.op_id = $1) AND ($2 IS NULL OR s.op_source = $2) AND ($3 IS NULL OR s.op_code = $3)
   AND ($4 IS NULL OR strpos(s.doid, $4) > 0) AND ($5 IS NULL OR s.producer_id = $5)
   AND ($6 IS NULL OR s.op_actor = $6) AND ($7 IS NULL OR strpos(s.do_prefix, $7) > 0)
   AND ($8 IS NULL OR s.do_repository = $8) AND ($9 IS NULL OR s.trustlog_status = $9)
   AND ($10 IS NULL OR s.client_ip = $10) AND ($11 IS NULL OR s.server_ip = $11)
   AND ($12 IS NULL OR s."timestamp" >= $12) AND ($13 IS NULL OR s."timestamp" <= $13)
   AND ($14 IS NULL OR s.strategy = $14)';

-- Refuses filters that could never match.
CREATE FUNCTION trustlog.check_filters(trustlog_status text, strategy text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF trustlog_status NOT IN ('', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED') THEN
        RAISE EXCEPTION 'invalid trustlog_status: "%"', trustlog_status
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Allowed values: NOT_TRUSTLOGGED, TRUSTLOGGED.';
    ELSIF strategy NOT IN ('', 'DB_AND_TRUSTLOG', 'DB_ONLY', 'TRUSTLOG_ONLY') THEN
        RAISE EXCEPTION 'invalid strategy: "%"', strategy
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Allowed values: DB_AND_TRUSTLOG, DB_ONLY, TRUSTLOG_ONLY.';
    END IF;
END $$;

CREATE FUNCTION trustlog.query_operations(
    op_id text DEFAULT NULL, op_source text DEFAULT NULL, op_code int DEFAULT NULL, doid text DEFAULT NULL,
    producer_id text DEFAULT NULL, op_actor text DEFAULT NULL, do_prefix text DEFAULT NULL,
    do_repository text DEFAULT NULL, trustlog_status text DEFAULT NULL, client_ip inet DEFAULT NULL,
    server_ip inet DEFAULT NULL, time_from timestamptz DEFAULT NULL, time_to timestamptz DEFAULT NULL,
    strategy text DEFAULT NULL, page_size int DEFAULT 20, page_number int DEFAULT 1,
    order_by text DEFAULT 'created_at', order_desc boolean DEFAULT false)
RETURNS SETOF trustlog.operation_status
LANGUAGE plpgsql STABLE ROWS 20 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sort text;
BEGIN
    PERFORM trustlog.check_filters(trustlog_status, strategy);
    IF page_size IS NULL OR page_number IS NULL OR order_by IS NULL OR order_desc IS NULL THEN
        RAISE EXCEPTION '% must not be null', CASE WHEN page_size IS NULL THEN 'page_size'
                WHEN page_number IS NULL THEN 'page_number' WHEN order_by IS NULL THEN 'order_by' ELSE 'order_desc' END
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Leave it out for its default.';
    ELSIF page_size NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'invalid page_size: %', page_size
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a number from 1 to 1000.';
    ELSIF page_number < 1 THEN
        RAISE EXCEPTION 'invalid page_number: %', page_number
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a number from 1 on.';
    END IF;
    sort := CASE order_by || CASE WHEN order_desc THEN ' desc' ELSE ' asc' END
        WHEN 'created_at asc' THEN ' ORDER BY s.created_at, s.seq'
        WHEN 'created_at desc' THEN ' ORDER BY s.created_at DESC, s.seq DESC'
        WHEN 'timestamp asc' THEN ' ORDER BY s."timestamp", s.seq'
        WHEN 'timestamp desc' THEN ' ORDER BY s."timestamp" DESC, s.seq DESC'
        WHEN 'op_id asc' THEN ' ORDER BY s.op_id, s.seq'
        WHEN 'op_id desc' THEN ' ORDER BY s.op_id DESC, s.seq DESC'
    END;
    IF sort IS NULL THEN
        RAISE EXCEPTION 'invalid order_by: "%"', order_by
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Allowed values: created_at, timestamp, op_id.';
    END IF;
    RETURN QUERY EXECUTE 'SELECT s.*' || trustlog.query_conditions() || sort || ' LIMIT $15 OFFSET $16'
        USING nullif(op_id, ''), nullif(op_source, ''), op_code, nullif(doid, ''), nullif(producer_id, ''),
              nullif(op_actor, ''), nullif(do_prefix, ''), nullif(do_repository, ''), nullif(trustlog_status, ''),
              client_ip, server_ip, time_from, time_to, nullif(strategy, ''), page_size,
              (page_number::bigint - 1) * page_size;
END $$;

CREATE FUNCTION trustlog.count_operations(
    op_id text DEFAULT NULL, op_source text DEFAULT NULL, op_code int DEFAULT NULL, doid text DEFAULT NULL,
    producer_id text DEFAULT NULL, op_actor text DEFAULT NULL, do_prefix text DEFAULT NULL,
    do_repository text DEFAULT NULL, trustlog_status text DEFAULT NULL, client_ip inet DEFAULT NULL,
    server_ip inet DEFAULT NULL, time_from timestamptz DEFAULT NULL, time_to timestamptz DEFAULT NULL,
    strategy text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    total bigint;
BEGIN
    PERFORM trustlog.check_filters(trustlog_status, strategy);
    EXECUTE 'SELECT count(*)' || trustlog.query_conditions() INTO total
        USING nullif(op_id, ''), nullif(op_source, ''), op_code, nullif(doid, ''), nullif(producer_id, ''),
              nullif(op_actor, ''), nullif(do_prefix, ''), nullif(do_repository, ''), nullif(trustlog_status, ''),
              client_ip, server_ip, time_from, time_to, nullif(strategy, '');
    RETURN total;
END $$;

CREATE FUNCTION trustlog.query_operations_page(
    op_id text DEFAULT NULL, op_source text DEFAULT NULL, op_code int DEFAULT NULL, doid text DEFAULT NULL,
    producer_id text DEFAULT NULL, op_actor text DEFAULT NULL, do_prefix text DEFAULT NULL,
    do_repository text DEFAULT NULL, trustlog_status text DEFAULT NULL, client_ip inet DEFAULT NULL,
    server_ip inet DEFAULT NULL, time_from timestamptz DEFAULT NULL, time_to timestamptz DEFAULT NULL,
    strategy text DEFAULT NULL, page_size int DEFAULT 20, page_number int DEFAULT 1,
    order_by text DEFAULT 'created_at', order_desc boolean DEFAULT false)
RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    page jsonb;
    total bigint;
BEGIN
    SELECT coalesce(jsonb_agg(to_jsonb(q) - 'n' ORDER BY n), '[]') INTO page
      FROM trustlog.query_operations(op_id, op_source, op_code, doid, producer_id, op_actor, do_prefix, do_repository,
               trustlog_status, client_ip, server_ip, time_from, time_to, strategy, page_size, page_number, order_by,
               order_desc) WITH ORDINALITY AS q (seq, op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix,
               do_repository, request_body_hash, response_body_hash, client_ip, server_ip, "timestamp", strategy,
               created_at, trustlog_status, leaf_index, attested_at, n);
    total := trustlog.count_operations(op_id, op_source, op_code, doid, producer_id, op_actor, do_prefix, do_repository,
                 trustlog_status, client_ip, server_ip, time_from, time_to, strategy);
    RETURN jsonb_build_object(
        'operations', page, 'total', total, 'page_size', page_size, 'page_number', page_number,
        'total_pages', (total + page_size - 1) / page_size);
END $$;
