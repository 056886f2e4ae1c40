-- Finding records. All of these only read, so they are SQL; what writes is in the library.

-- A type of its own, because an argument and a column of a RETURNS TABLE cannot have the same name.
CREATE TYPE trustlog.operation_found AS (
    seq bigint, op_id text, op_actor text, doid text, producer_id text, op_source text, op_code int, do_prefix text,
    do_repository text, request_body_hash text, response_body_hash text, client_ip inet, server_ip inet,
    "timestamp" timestamptz, strategy text, created_at timestamptz, trustlog_status text, leaf_index bigint,
    attested_at timestamptz, receipt jsonb, erased_at timestamptz);

CREATE FUNCTION trustlog.find_by_id(op_id text)
RETURNS SETOF trustlog.operation_found
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF $1 IS NULL THEN
        RAISE EXCEPTION 'op_id must not be null' USING ERRCODE = 'null_value_not_allowed', HINT = 'Give a value for op_id.';
    END IF;
    RETURN QUERY
    SELECT s.seq, s.op_id, s.op_actor, s.doid, s.producer_id, s.op_source, s.op_code, s.do_prefix, s.do_repository,
           s.request_body_hash, s.response_body_hash, s.client_ip, s.server_ip, s."timestamp", s.strategy, s.created_at,
           s.trustlog_status, s.leaf_index, s.attested_at, a.receipt, NULL::timestamptz
      FROM trustlog.operation_status s
      LEFT JOIN trustlog.attestation a ON a.seq = s.seq
     WHERE s.op_id = $1
    UNION ALL
    SELECT e.seq, $1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           CASE WHEN e.reason = 'TRUSTLOG_ONLY' THEN e.reason END, NULL,
           CASE WHEN a.seq IS NOT NULL OR l.attested_at IS NOT NULL THEN 'TRUSTLOGGED' ELSE 'NOT_TRUSTLOGGED' END,
           l.idx, coalesce(a.attested_at, l.attested_at), a.receipt, e.erased_at
      FROM trustlog.erased e
      LEFT JOIN trustlog.leaf l ON l.seq = e.seq
      LEFT JOIN trustlog.attestation a ON a.seq = e.seq
     WHERE e.op_id_sha256 = sha256(convert_to($1, 'UTF8'));
END $$;

-- Where the delivery cursor stands when the sink in force is http; NULL under the others, where nothing is beyond it.
CREATE FUNCTION trustlog.delivery_cursor() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT c.cursor_value::bigint FROM trustlog.cursor c, trustlog.state s
     WHERE c.cursor_key = 'delivery' AND s.only_row AND s.sink = 'http';
END;

-- Walks the three places where an unattested record can be, in index order whatever the statistics say. The "+ 0" keeps
-- the planner from walking all records instead: without it, the order of one key is the order of the other.
CREATE FUNCTION trustlog.find_untrustlogged(max_rows int)
RETURNS SETOF trustlog.operation_status
LANGUAGE plpgsql STABLE ROWS 100
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    found_rows int;
    remaining int := max_rows;
BEGIN
    PERFORM trustlog.check_max_rows(max_rows);
    RETURN QUERY
    SELECT s.* FROM trustlog.unattested u JOIN trustlog.operation_status s ON s.seq = u.seq + 0
     WHERE NOT u.discarded AND s.trustlog_status = 'NOT_TRUSTLOGGED'
     ORDER BY u.seq LIMIT remaining;
    GET DIAGNOSTICS found_rows = ROW_COUNT;
    remaining := remaining - found_rows;
    IF remaining > 0 AND trustlog.delivery_cursor() IS NOT NULL THEN
        RETURN QUERY
        SELECT s.* FROM trustlog.leaf l JOIN trustlog.operation_status s ON s.seq = l.seq + 0
         WHERE l.idx >= trustlog.delivery_cursor() AND s.trustlog_status = 'NOT_TRUSTLOGGED'
         ORDER BY l.idx LIMIT remaining;
        GET DIAGNOSTICS found_rows = ROW_COUNT;
        remaining := remaining - found_rows;
    END IF;
    IF remaining > 0 THEN
        RETURN QUERY
        SELECT s.* FROM trustlog.outbox b JOIN trustlog.operation_status s ON s.seq = b.seq + 0
         WHERE s.trustlog_status = 'NOT_TRUSTLOGGED'
         ORDER BY b.seq LIMIT remaining;
    END IF;
END $$;

-- The same, locked. Each round locks what it can of one place and then looks again, in a statement of its own, which of
-- these are still unattested: who attested one between our snapshot and our lock has committed by then, and is seen.
CREATE FUNCTION trustlog.find_untrustlogged_with_lock(max_rows int)
RETURNS SETOF trustlog.operation_status
LANGUAGE plpgsql VOLATILE ROWS 100 SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    place int := 1;
    after bigint := -9223372036854775808;
    remaining int := max_rows;
    delivery bigint := trustlog.delivery_cursor();
    locked bigint[];
    keys bigint[];
    found_rows int;
BEGIN
    PERFORM trustlog.check_max_rows(max_rows);
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'cannot lock unattested operations in a transaction that sees one snapshot throughout'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Use READ COMMITTED.';
    END IF;
    -- The sealer skips what is locked here, and must look again when the locks go.
    PERFORM trustlog.wake_worker_at_end();
    WHILE remaining > 0 AND place <= 3 LOOP
        IF place = 1 THEN
            SELECT array_agg(x.seq), array_agg(x.seq) INTO locked, keys FROM (
                SELECT u.seq FROM trustlog.unattested u JOIN trustlog.operation o ON o.seq = u.seq + 0
                 WHERE NOT u.discarded AND u.seq > after
                 ORDER BY u.seq LIMIT remaining FOR UPDATE OF o SKIP LOCKED) x;
        ELSIF place = 2 THEN
            SELECT array_agg(x.seq), array_agg(x.idx) INTO locked, keys FROM (
                SELECT l.seq, l.idx FROM trustlog.leaf l JOIN trustlog.operation o ON o.seq = l.seq + 0
                 WHERE l.idx >= delivery AND l.idx > after AND l.attested_at IS NULL
                   AND NOT EXISTS (SELECT FROM trustlog.attestation a WHERE a.seq = l.seq)
                 ORDER BY l.idx LIMIT remaining FOR UPDATE OF o SKIP LOCKED) x;
        ELSE
            -- With the outbox row, and that first: the sealer leaves alone what somebody is attesting, and what it is
            -- sealing right now is skipped before its record is locked.
            SELECT array_agg(x.seq), array_agg(x.seq) INTO locked, keys FROM (
                SELECT b.seq FROM trustlog.outbox b JOIN trustlog.operation o ON o.seq = b.seq + 0
                 WHERE b.seq > after AND NOT EXISTS (SELECT FROM trustlog.attestation a WHERE a.seq = b.seq)
                 ORDER BY b.seq LIMIT remaining FOR UPDATE OF b, o SKIP LOCKED) x;
        END IF;
        IF locked IS NULL THEN
            place := place + 1;
            after := -9223372036854775808;
            CONTINUE;
        END IF;
        after := keys[cardinality(keys)];
        RETURN QUERY
        SELECT s.* FROM unnest(locked) WITH ORDINALITY AS x (seq, n) JOIN trustlog.operation_status s ON s.seq = x.seq
         WHERE s.trustlog_status = 'NOT_TRUSTLOGGED' ORDER BY x.n;
        GET DIAGNOSTICS found_rows = ROW_COUNT;
        remaining := remaining - found_rows;
    END LOOP;
END $$;

CREATE FUNCTION trustlog.read_log(from_index bigint, max_rows int)
RETURNS TABLE (leaf_index bigint, leaf_hash bytea, op_id text, op_actor text, doid text, producer_id text, op_source text,
               op_code int, do_prefix text, do_repository text, request_body_hash text, response_body_hash text,
               client_ip inet, server_ip inet, "timestamp" timestamptz, strategy text, created_at timestamptz,
               trustlog_status text, attested_at timestamptz, erased_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
BEGIN
    PERFORM trustlog.check_max_rows(max_rows);
    IF from_index IS NULL THEN
        RAISE EXCEPTION 'from_index must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Give the first index to read; 0 is the beginning of the log.';
    ELSIF from_index < 0 THEN
        RAISE EXCEPTION 'invalid from_index: %', from_index
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a number from 0 on.';
    END IF;
    RETURN QUERY
    SELECT l.idx, l.leaf_hash, coalesce(o.op_id, e.op_id), o.op_actor, o.doid, o.producer_id, o.op_source, o.op_code,
           o.do_prefix, o.do_repository, o.request_body_hash, o.response_body_hash, o.client_ip, o.server_ip,
           o."timestamp", coalesce(o.strategy, CASE WHEN e.reason = 'TRUSTLOG_ONLY' THEN e.reason END), o.created_at,
           CASE WHEN a.seq IS NOT NULL OR l.attested_at IS NOT NULL THEN 'TRUSTLOGGED' ELSE 'NOT_TRUSTLOGGED' END,
           coalesce(a.attested_at, l.attested_at), e.erased_at
      FROM trustlog.leaf l
      LEFT JOIN trustlog.operation o ON o.seq = l.seq
      LEFT JOIN trustlog.erased e ON e.seq = l.seq
      LEFT JOIN trustlog.attestation a ON a.seq = l.seq
     WHERE l.idx >= from_index
     ORDER BY l.idx LIMIT max_rows;
END $$;

CREATE FUNCTION trustlog.find_pending_retries(max_rows int)
RETURNS SETOF trustlog.retry
LANGUAGE plpgsql STABLE ROWS 100 SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    PERFORM trustlog.check_max_rows(max_rows);
    RETURN QUERY
    SELECT r.* FROM trustlog.retry r
     WHERE r.retry_status <> 'DEAD_LETTER' AND r.next_retry_at <= clock_timestamp()
       AND NOT EXISTS (SELECT FROM trustlog.operation_status s
                        WHERE s.op_id = r.op_id AND s.trustlog_status = 'TRUSTLOGGED')
     ORDER BY r.next_retry_at, r.op_id LIMIT max_rows;
END $$;

CREATE FUNCTION trustlog.find_pending_retries_with_lock(max_rows int)
RETURNS SETOF trustlog.retry
LANGUAGE plpgsql VOLATILE ROWS 100 SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    PERFORM trustlog.check_max_rows(max_rows);
    RETURN QUERY
    SELECT r.* FROM trustlog.retry r
     WHERE r.retry_status <> 'DEAD_LETTER' AND r.next_retry_at <= clock_timestamp()
       AND NOT EXISTS (SELECT FROM trustlog.operation_status s
                        WHERE s.op_id = r.op_id AND s.trustlog_status = 'TRUSTLOGGED')
     ORDER BY r.next_retry_at, r.op_id LIMIT max_rows FOR UPDATE SKIP LOCKED;
END $$;
