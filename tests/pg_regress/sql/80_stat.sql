-- stat: one row that says how it goes. The worker is off at first, then on for a while.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.put(VARIADIC op_ids text[]) RETURNS void LANGUAGE sql AS
$$SELECT trustlog.save(op_id, 'a', 'd', 'p', 's', 1, 'r') FROM unnest(op_ids) op_id$$;
-- Waits for a state, at most a minute: the worker of this database has just been started or told.
CREATE FUNCTION pg_temp.wait_for(wanted text, OUT state text, OUT reason text) LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 1..1200 LOOP
        SELECT s.state, s.reason INTO state, reason FROM trustlog.stat s;
        EXIT WHEN state = wanted;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CREATE VIEW pg_temp.numbers AS
SELECT operations AS ops, not_attested, oldest_not_attested_seconds BETWEEN 0 AND 600 AS oldest, tree_size AS tree, cursor_lag_records AS lag, cursor_lag_seconds BETWEEN 0 AND 600 AS lag_s, cursor_lag_seconds = 0 AS lag_0,
       retry_queue AS retry, dead_letters AS dead, stranded, set_aside, attested_total AS attested, last_error
  FROM trustlog.stat;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'trustlog.stat'::regclass AND attnum > 0 ORDER BY attnum;

-- Nothing yet; worker_enabled is off.
SELECT * FROM pg_temp.wait_for('disabled');
SELECT count(*) FROM trustlog.stat;
SELECT * FROM pg_temp.numbers;
SELECT kind, datname = current_database() AS here, pid > 0 AS pid, sealed, batches, last_sealed_at, errors, last_error FROM trustlog.stat_worker WHERE datname = current_database() OR datid IS NULL ORDER BY kind;
SELECT backend_type, datname = current_database() AS here FROM pg_stat_activity WHERE backend_type LIKE 'trustlog%' AND (datname = current_database() OR datname IS NULL) ORDER BY backend_type;

-- Saved: waiting. Nobody seals it.
SELECT pg_temp.put('a', 'b', 'c');
SELECT created FROM trustlog.save('db', 'a', 'd', 'p', 's', 1, 'r', strategy => 'DB_ONLY');
SELECT * FROM pg_temp.numbers;
SELECT trustlog.update_status('b', 'TRUSTLOGGED');
SELECT * FROM pg_temp.numbers;
SELECT trustlog.seal();
SELECT * FROM pg_temp.numbers;
-- Under manual: sealed and waiting; in retry; dead; discarded; attested.
SET trustlog.sink = 'manual';
SELECT pg_temp.put('m-1', 'm-2', 'm-3', 'm-4');
SELECT trustlog.seal();
SELECT * FROM pg_temp.numbers;
SELECT trustlog.add_retry('m-1', 'e'), trustlog.mark_as_dead_letter('m-2', 'e'), trustlog.mark_as_dead_letter('m-3', 'e');
SELECT * FROM pg_temp.numbers;
SELECT trustlog.discard_dead_letter('m-3', 'e');
SELECT * FROM pg_temp.numbers;
SELECT trustlog.update_status('m-2', 'TRUSTLOGGED');
SELECT * FROM pg_temp.numbers;
-- Under log what manual left is stranded, but for what is in retry or dead.
SET trustlog.sink = 'log';
SELECT pg_temp.put('l-1');
SELECT trustlog.seal();
SELECT * FROM pg_temp.numbers;
-- Under http everything new is behind the cursor's lag.
SET trustlog.sink = 'http';
SELECT pg_temp.put('h-1', 'h-2', 'h-3');
SELECT trustlog.seal();
SELECT pg_temp.put('h-4');
SELECT * FROM pg_temp.numbers;
SELECT trustlog.update_status('h-1', 'TRUSTLOGGED'), trustlog.update_status('h-4', 'TRUSTLOGGED');
SELECT * FROM pg_temp.numbers;
-- What is erased is no record any more, but was attested.
SET trustlog.sink = 'log';
SELECT created FROM trustlog.save('only', 'a', 'd', 'p', 's', 1, 'r', strategy => 'TRUSTLOG_ONLY');
SELECT trustlog.seal();
SELECT * FROM pg_temp.numbers;
-- What could not be sealed.
INSERT INTO trustlog.outbox VALUES (-1, false);
SELECT trustlog.seal();
SELECT set_aside, state, reason FROM trustlog.stat;
DELETE FROM trustlog.set_aside;
-- All by hand: nothing is left, and the backlog has no age.
SELECT count(trustlog.update_status(op_id, 'TRUSTLOGGED')) FROM trustlog.find_untrustlogged(100);
SELECT not_attested, oldest_not_attested_seconds, cursor_lag_seconds, stranded, retry_queue, dead_letters FROM trustlog.stat;
SELECT tree_size = (SELECT size FROM trustlog.tree_head()) AS tree_size FROM trustlog.stat;
-- A transaction sees its own.
BEGIN;
SELECT pg_temp.put('x');
SELECT not_attested FROM trustlog.stat;
ROLLBACK;
BEGIN READ ONLY;
SELECT not_attested FROM trustlog.stat;
COMMIT;

-- With a worker: paused, ok, misconfigured, disabled again.
SELECT trustlog.pause();
SELECT current_database() AS db \gset
ALTER DATABASE :"db" SET trustlog.worker_enabled = on;
SELECT * FROM pg_temp.wait_for('paused');
SELECT pg_temp.put('w-1', 'w-2');
SELECT trustlog.wait_for_attestation('w-1', '300 ms');
SELECT trustlog.pause('delivery');
-- Sealing may go on, and the worker hears of it at once, not at its next poll in up to 10 s.
SELECT trustlog.wait_for_attestation('w-1', '8 s'), trustlog.wait_for_attestation('w-2', '8 s');
SELECT * FROM pg_temp.wait_for('paused');
SELECT trustlog.resume();
SELECT * FROM pg_temp.wait_for('ok');
SELECT pg_temp.put('w-3');
SELECT trustlog.wait_for_attestation('w-3', '1 min');
SELECT kind, sealed, batches BETWEEN 1 AND 3 AS batches, last_sealed_at IS NOT NULL AS sealed_at, errors, last_error FROM trustlog.stat_worker WHERE datname = current_database();
SET trustlog.sink = 'http';
SELECT * FROM pg_temp.wait_for('misconfigured');
RESET trustlog.sink;
ALTER DATABASE :"db" RESET trustlog.worker_enabled;
SELECT * FROM pg_temp.wait_for('disabled');
SELECT * FROM pg_temp.numbers;
