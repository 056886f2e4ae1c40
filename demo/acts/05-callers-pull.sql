-- One round of a worker. What others hold is skipped, never waited for.
BEGIN;
SELECT coalesce(array_agg(op_id), '{}') AS batch
  FROM trustlog.find_untrustlogged_with_lock(10) \gset
INSERT INTO pulled SELECT op_id, :'worker' FROM unnest(:'batch'::text[]) AS op_id;
SELECT pg_sleep(0.02);
SELECT count(trustlog.update_status(op_id, 'TRUSTLOGGED'))
  FROM unnest(:'batch'::text[]) AS op_id;
COMMIT;
