-- How is it doing? One row, to be read by people and by monitoring.
SELECT state, sink, tree_size, attested_total, not_attested, oldest_not_attested_seconds,
       retry_queue, dead_letters, last_error
  FROM trustlog.stat \gx

-- The head of the log: whoever keeps these two values can tell later that nothing was changed.
SELECT size, encode(root, 'hex') AS root FROM trustlog.tree_head();

-- One record, by its id:
SELECT op_actor, doid, op_code, request_body_hash, "timestamp", strategy,
       trustlog_status, leaf_index, attested_at
  FROM trustlog.find_by_id(
       :'op_id') \gx

-- Whose operations are these? Filters and pages, and how many there are in all:
SELECT doid, op_code, leaf_index, trustlog_status
  FROM trustlog.query_operations(op_actor => :'actor', order_by => 'timestamp', page_size => 5);
SELECT trustlog.count_operations(op_actor => :'actor');
