-- 400 records in one call:
SELECT count(*) FROM trustlog.save_batch((
    SELECT jsonb_agg(jsonb_build_object(
               'op_id', 'task-' || n, 'op_actor', 'alice', 'doid', '10.5555.shop/task-' || n,
               'producer_id', 'shop', 'op_source', 'DOIP', 'op_code', 1, 'do_repository', 'shop'))
      FROM generate_series(1, 400) AS n));
