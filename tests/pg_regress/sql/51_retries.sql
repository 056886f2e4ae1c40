-- Retries and dead letters: every function, every state.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.put(VARIADIC op_ids text[]) RETURNS void LANGUAGE sql AS
$$SELECT trustlog.save(op_id, 'a', 'd', 'p', 's', 1, 'r') FROM unnest(op_ids) op_id$$;
-- due_in: minutes from the last change of the row.
CREATE VIEW pg_temp.retries AS
SELECT op_id, retry_count AS count, retry_status AS status, last_retry_at IS NOT NULL AS tried, round(extract(epoch FROM next_retry_at - updated_at) / 60, 1) AS due_in, error_message AS error
  FROM trustlog.retry;
SET trustlog.sink = 'manual';
SET trustlog.retry_jitter = 0;
SELECT pg_temp.put('r-1', 'r-2', 'r-3', 'r-4', 'r-5');
SELECT created FROM trustlog.save('db', 'a', 'd', 'p', 's', 1, 'r', strategy => 'DB_ONLY');
SELECT created FROM trustlog.save('done', 'a', 'd', 'p', 's', 1, 'r', status => 'TRUSTLOGGED');
SELECT trustlog.seal();

-- add_retry: no try yet, pending, due after the first delay. Again: another message, another time, nothing else.
SELECT trustlog.add_retry('r-1', 'refused');
SELECT * FROM pg_temp.retries;
SELECT trustlog.add_retry('r-1', 'timeout', now() + '10 min');
SELECT * FROM pg_temp.retries;
-- increment_retry: counts, and takes the delays of the settings: 2, 4, 8, 16, 32, then no more than an hour.
SELECT trustlog.increment_retry('r-1', 'e-1');
SELECT * FROM pg_temp.retries;
SELECT trustlog.increment_retry('r-1', 'e-2');
SELECT * FROM pg_temp.retries;
SELECT trustlog.increment_retry('r-1', 'e-3');
SELECT * FROM pg_temp.retries;
SELECT trustlog.increment_retry('r-1', 'e-4');
SELECT * FROM pg_temp.retries;
SELECT trustlog.increment_retry('r-1', 'e-5'), trustlog.increment_retry('r-1', 'e-6');
SELECT * FROM pg_temp.retries;
SELECT trustlog.increment_retry('r-1', NULL, now() + '5 min');
SELECT * FROM pg_temp.retries;
SELECT trustlog.add_retry('r-1', 'again');
SELECT * FROM pg_temp.retries;
-- It makes the row that is missing.
SELECT trustlog.increment_retry('r-2');
SELECT * FROM pg_temp.retries WHERE op_id = 'r-2';
-- Other settings, other delays; jitter stays within its part.
SET trustlog.retry_base_delay = '10 min';
SET trustlog.retry_factor = 3;
SET trustlog.retry_max_delay = '1d';
SELECT trustlog.add_retry('r-3'), trustlog.increment_retry('r-4');
SELECT * FROM pg_temp.retries WHERE op_id IN ('r-3', 'r-4') ORDER BY 1;
SET trustlog.retry_jitter = 0.5;
DO $$
DECLARE
    due numeric;
    least_due numeric := 1000;
    most_due numeric := 0;
BEGIN
    FOR n IN 1..50 LOOP
        PERFORM trustlog.add_retry('r-3', n::text);
        SELECT extract(epoch FROM next_retry_at - clock_timestamp()) / 60 INTO due FROM trustlog.retry WHERE op_id = 'r-3';
        least_due := least(least_due, due);
        most_due := greatest(most_due, due);
    END LOOP;
    IF least_due < 4.9 OR most_due > 15 OR most_due - least_due < 1 THEN
        RAISE EXCEPTION 'due in % to % minutes', least_due, most_due;
    END IF;
END $$;
RESET trustlog.retry_base_delay;
RESET trustlog.retry_factor;
RESET trustlog.retry_max_delay;
SET trustlog.retry_jitter = 0;
SELECT trustlog.delete_retry('r-3'), trustlog.delete_retry('r-4'), trustlog.delete_retry('r-4'), trustlog.delete_retry('db'), trustlog.delete_retry('done');

-- find_pending_retries: due, not dead, soonest first.
SELECT trustlog.add_retry('r-1', 'x', '2000-01-03'), trustlog.add_retry('r-2', 'x', '2000-01-01'), trustlog.add_retry('r-3', 'x', '2000-01-03'),
       trustlog.add_retry('r-4', 'x', now() + '1 h'), trustlog.add_retry('r-5', 'x', '2000-01-02');
SELECT op_id, retry_count, retry_status, error_message, next_retry_at FROM trustlog.find_pending_retries(10);
SELECT op_id FROM trustlog.find_pending_retries(2);
SELECT op_id FROM trustlog.find_pending_retries_with_lock(10);
SELECT op_id FROM trustlog.find_pending_retries_with_lock(2);
SELECT trustlog.mark_as_dead_letter('r-5', 'given up');
SELECT op_id FROM trustlog.find_pending_retries(10);
SELECT op_id FROM trustlog.find_pending_retries_with_lock(10);

-- mark_as_dead_letter: count and last message stay where no other is given; the row is made where it is missing.
SELECT trustlog.mark_as_dead_letter('r-1');
SELECT op_id, count, status, tried, due_in IS NULL AS never_due, error FROM pg_temp.retries ORDER BY op_id;
SELECT trustlog.mark_as_dead_letter('r-1', 'again');
SELECT pg_temp.put('r-6');
SELECT trustlog.mark_as_dead_letter('r-6', 'at once');
SELECT op_id, error_message, retry_count, last_retry_at IS NOT NULL AS tried, died_at IS NOT NULL AS died, doid, op_source, op_code, op_actor, producer_id, created_at IS NOT NULL AS created
  FROM trustlog.dead_letter ORDER BY op_id;
SELECT retry_queue, dead_letters, not_attested FROM trustlog.stat;
-- A dead letter is not tried again.
SELECT trustlog.add_retry('r-1', 'x');
SELECT trustlog.increment_retry('r-1', 'x');
SELECT trustlog.wait_for_attestation('r-1', '1 h');

-- requeue_dead_letters: those named, or all; due now, as if never tried.
SELECT trustlog.requeue_dead_letters('{}');
SELECT trustlog.requeue_dead_letters('{r-1, r-1}');
SELECT op_id, retry_count, retry_status, next_retry_at <= clock_timestamp() AS due FROM trustlog.retry WHERE op_id = 'r-1';
SELECT trustlog.requeue_dead_letters('{r-5, r-1}');
SELECT count(*) FROM trustlog.dead_letter;
SELECT trustlog.requeue_dead_letters('{r-5, no such}');
SELECT trustlog.requeue_dead_letters();
SELECT trustlog.requeue_dead_letters();
SELECT retry_queue, dead_letters FROM trustlog.stat;

-- discard_dead_letter: given up for good, not attested, in no backlog.
SELECT trustlog.mark_as_dead_letter('r-5', 'x');
SELECT trustlog.discard_dead_letter('r-5', 'nobody wants it');
SELECT retry_queue, dead_letters, not_attested FROM trustlog.stat;
SELECT op_id FROM trustlog.find_untrustlogged(10) WHERE op_id = 'r-5';
SELECT trustlog_status FROM trustlog.find_by_id('r-5');
SELECT trustlog.discard_dead_letter('r-5', 'again');
-- It can still be attested by hand, and its status withdrawn.
SELECT trustlog.update_status('r-5', 'TRUSTLOGGED');
SELECT count(*) FROM trustlog.unattested u JOIN trustlog.operation o USING (seq) WHERE o.op_id = 'r-5';
SELECT trustlog.update_status('r-5', 'NOT_TRUSTLOGGED');
SELECT op_id FROM trustlog.find_untrustlogged(10) WHERE op_id = 'r-5';
-- Queued again after all: no longer given up.
SELECT trustlog.mark_as_dead_letter('r-5', 'x'), trustlog.discard_dead_letter('r-5', 'x');
SELECT trustlog.add_retry('r-5', 'second thoughts');
SELECT op_id FROM trustlog.find_untrustlogged(10) WHERE op_id = 'r-5';
SELECT retry_queue, dead_letters FROM trustlog.stat;
-- Not before it was sealed.
SELECT pg_temp.put('early');
SELECT trustlog.mark_as_dead_letter('early', 'x');
SELECT trustlog.discard_dead_letter('early', 'test');
SELECT trustlog.seal();
SELECT trustlog.discard_dead_letter('early', 'test');
SELECT count(*) FROM trustlog.find_untrustlogged(10) WHERE op_id = 'early';

-- What is refused.
SELECT trustlog.add_retry('no such', 'x');
SELECT trustlog.add_retry('done', 'x');
SELECT trustlog.add_retry('db', 'x');
SELECT trustlog.requeue_dead_letters('{r-1}');
\set VERBOSITY sqlstate
SELECT trustlog.increment_retry('no such', 'x');
SELECT trustlog.mark_as_dead_letter('no such', 'x');
SELECT trustlog.requeue_dead_letters('{no such}');
SELECT trustlog.discard_dead_letter('no such', 'x');
SELECT trustlog.delete_retry('no such');
SELECT trustlog.increment_retry('done', 'x');
SELECT trustlog.mark_as_dead_letter('done', 'x');
SELECT trustlog.increment_retry('db', 'x');
SELECT trustlog.mark_as_dead_letter('db', 'x');
SELECT trustlog.discard_dead_letter('db', 'x');
SELECT trustlog.discard_dead_letter('r-1', 'x');
SELECT trustlog.add_retry(NULL, 'x');
SELECT trustlog.increment_retry(NULL, 'x');
SELECT trustlog.mark_as_dead_letter(NULL, 'x');
SELECT trustlog.discard_dead_letter(NULL, 'x');
SELECT trustlog.discard_dead_letter('r-1', NULL);
SELECT trustlog.delete_retry(NULL);
SELECT trustlog.requeue_dead_letters(ARRAY['r-1', NULL]);
SELECT trustlog.find_pending_retries(NULL);
SELECT trustlog.find_pending_retries(0);
SELECT trustlog.find_pending_retries(100001);
SELECT trustlog.find_pending_retries_with_lock(NULL);
SELECT trustlog.find_pending_retries_with_lock(-1);
BEGIN READ ONLY;
SELECT count(*) FROM trustlog.find_pending_retries(10);
SELECT trustlog.find_pending_retries_with_lock(10);
ROLLBACK;
BEGIN READ ONLY;
SELECT trustlog.add_retry('r-1', 'x');
ROLLBACK;
\set VERBOSITY default

-- Under http nobody else would send it again, so delete_retry refuses what discard_dead_letter says out loud.
SET trustlog.sink = 'http';
SELECT pg_temp.put('h-1', 'h-2', 'h-3');
SELECT trustlog.seal();
SELECT trustlog.add_retry('h-1', 'x'), trustlog.add_retry('h-2', 'x');
SELECT trustlog.delete_retry('h-1');
SELECT trustlog.mark_as_dead_letter('h-1', 'x');
\set VERBOSITY sqlstate
SELECT trustlog.delete_retry('h-1');
\set VERBOSITY default
SELECT trustlog.delete_retry('h-3');
INSERT INTO trustlog.attestation (seq, sink) SELECT seq, 'http' FROM trustlog.operation WHERE op_id = 'h-2';
SELECT trustlog.delete_retry('h-2');
-- Nor can a dead letter be discarded that is to be sent yet, beyond the delivery cursor.
SELECT trustlog.discard_dead_letter('h-1', 'test');
SELECT string_agg(op_id, ' ') FROM trustlog.find_untrustlogged(10) WHERE op_id LIKE 'h-%';

-- Under log sealing attests, so nothing is left to be retried.
RESET trustlog.sink;
SELECT pg_temp.put('l-1', 'l-2', 'l-3');
SELECT trustlog.add_retry('l-1', 'x', '2000-01-01'), trustlog.mark_as_dead_letter('l-2', 'x');
SELECT trustlog.seal();
SELECT op_id, trustlog_status FROM trustlog.operation_status WHERE op_id LIKE 'l-%' ORDER BY op_id;
SELECT op_id FROM trustlog.find_pending_retries(100) WHERE op_id LIKE 'l-%';
SELECT op_id FROM trustlog.dead_letter WHERE op_id LIKE 'l-%';
