-- How the extension is doing. The cost grows with what is not attested yet, never with the log: the settings, the "+ 0"
-- and the "|| ''" keep the planner from walking all records (see 10_find.sql).
CREATE FUNCTION trustlog.stat_now()
RETURNS TABLE (state text, reason text, sink text, operations bigint, not_attested bigint,
               oldest_not_attested_seconds double precision, tree_size bigint, cursor_lag_records bigint,
               cursor_lag_seconds double precision, retry_queue bigint, dead_letters bigint, stranded bigint,
               set_aside bigint, attested_total bigint, last_error text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_variable
DECLARE
    worker record;
    paused text;
    waiting bigint;
    waiting_attested bigint;
    behind bigint;
    discarded bigint;
    beyond bigint := 0;
    delivery bigint := trustlog.delivery_cursor();
    oldest timestamptz;
    oldest_beyond timestamptz;
    frozen text := trustlog.stat_get_freeze();
BEGIN
    SELECT * INTO worker FROM trustlog.stat_get_workers() w
     WHERE w.datid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
    SELECT s.paused INTO paused FROM trustlog.state s WHERE s.only_row;
    sink := current_setting('trustlog.sink');
    SELECT coalesce(max(l.idx), -1) + 1 INTO tree_size FROM trustlog.leaf l;
    SELECT count(*), count(a.seq) INTO waiting, waiting_attested
      FROM trustlog.outbox b LEFT JOIN trustlog.attestation a ON a.seq = b.seq;
    SELECT count(*) FILTER (WHERE NOT u.discarded), count(*) FILTER (WHERE u.discarded) INTO behind, discarded
      FROM trustlog.unattested u;
    SELECT count(*) INTO set_aside FROM trustlog.set_aside;
    SELECT count(*) FILTER (WHERE r.retry_status <> 'DEAD_LETTER'), count(*) FILTER (WHERE r.retry_status = 'DEAD_LETTER')
      INTO retry_queue, dead_letters FROM trustlog.retry r;
    IF delivery IS NOT NULL THEN
        SELECT count(*), min(o.created_at) INTO beyond, oldest_beyond
          FROM trustlog.leaf l JOIN trustlog.operation o ON o.seq = l.seq + 0
         WHERE l.idx >= delivery AND l.attested_at IS NULL
           AND NOT EXISTS (SELECT FROM trustlog.attestation a WHERE a.seq = l.seq);
    END IF;
    cursor_lag_records := CASE WHEN delivery IS NULL THEN 0 ELSE tree_size - delivery END;
    cursor_lag_seconds := coalesce(extract(epoch FROM clock_timestamp() - oldest_beyond), 0);
    -- What nobody will attest: neither callers (sink manual) nor a retry.
    stranded := CASE WHEN sink = 'manual' THEN 0 ELSE behind - (
        SELECT count(*) FROM trustlog.retry r JOIN trustlog.operation o ON o.op_id = r.op_id || ''
          JOIN trustlog.unattested u ON u.seq = o.seq + 0 WHERE NOT u.discarded) END;
    not_attested := waiting - waiting_attested + behind + beyond + set_aside;
    attested_total := tree_size - behind - discarded - beyond + waiting_attested;
    SELECT least(oldest_beyond,
                 (SELECT o.created_at FROM trustlog.unattested u JOIN trustlog.operation o ON o.seq = u.seq + 0
                   WHERE NOT u.discarded ORDER BY u.seq LIMIT 1),
                 (SELECT min(o.created_at) FROM trustlog.outbox b JOIN trustlog.operation o ON o.seq = b.seq + 0
                    LEFT JOIN trustlog.attestation a ON a.seq = b.seq WHERE a.seq IS NULL)) INTO oldest;
    oldest_not_attested_seconds := extract(epoch FROM clock_timestamp() - oldest);
    -- Counted while the table is small; then as the statistics have it, for counting would cost a scan.
    IF pg_relation_size('trustlog.operation') < 8 * 1024 * 1024 THEN
        SELECT count(*) INTO operations FROM trustlog.operation;
    ELSE
        SELECT greatest(pg_stat_get_live_tuples(c.oid), c.reltuples::bigint, 0) INTO operations
          FROM pg_class c WHERE c.oid = 'trustlog.operation'::regclass;
    END IF;
    last_error := worker.last_error;

    IF frozen IS NOT NULL THEN
        state := 'frozen';
        reason := frozen;
    ELSIF NOT trustlog.is_preloaded() THEN
        state := 'not_preloaded';
        reason := 'add trustlog to shared_preload_libraries and restart the server, or call trustlog.seal()';
    ELSIF pg_is_in_recovery() THEN
        state := 'no_worker';
        reason := 'this server is a standby; the worker runs on the primary';
    ELSIF worker.pid IS NULL THEN
        state := 'no_worker';
        reason := CASE
            WHEN NOT (string_to_array(replace(current_setting('trustlog.databases'), ' ', ''), ',')
                      && ARRAY['*', current_database()::text]) THEN 'trustlog.databases does not name this database'
            WHEN (SELECT d.datistemplate FROM pg_database d WHERE d.datname = current_database())
                THEN 'this database is a template'
            ELSE 'see the server log; a worker that ends is started again within a minute' END;
    ELSIF worker.obstacle = 'disabled' THEN
        state := 'disabled';
        reason := 'trustlog.worker_enabled is off';
    ELSIF paused IS NOT NULL THEN
        state := 'paused';
        reason := format('pause(%L) is in force; call trustlog.resume()', paused);
    ELSIF sink = 'http' THEN
        state := 'misconfigured';
        reason := 'trustlog.sink is http, and this version does not deliver over HTTP: records are sealed and wait';
    ELSE
        state := 'ok';
        reason := CASE WHEN worker.obstacle = 'busy' THEN 'another session is sealing' END;
    END IF;
    IF set_aside > 0 THEN
        reason := concat_ws('; ', reason, format('%s records could not be sealed, see trustlog.set_aside', set_aside));
    END IF;
    RETURN NEXT;
END $$;

CREATE VIEW trustlog.stat AS SELECT s.* FROM trustlog.stat_now() s;

CREATE VIEW trustlog.stat_worker AS
SELECT w.pid, w.datid, d.datname, w.kind, w.state, w.obstacle, w.started_at, w.sealed, w.batches, w.last_sealed_at,
       w.errors, w.last_error
  FROM trustlog.stat_get_workers() w
  LEFT JOIN pg_catalog.pg_database d ON d.oid = w.datid;
