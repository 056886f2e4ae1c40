-- Every record with its status. The salt stays out: it is what hides the content of a leaf.
CREATE VIEW trustlog.operation_status AS
SELECT o.seq, o.op_id, o.op_actor, o.doid, o.producer_id, o.op_source, o.op_code, o.do_prefix, o.do_repository,
       o.request_body_hash, o.response_body_hash, o.client_ip, o.server_ip, o."timestamp", o.strategy, o.created_at,
       CASE WHEN a.seq IS NOT NULL OR l.attested_at IS NOT NULL THEN 'TRUSTLOGGED' ELSE 'NOT_TRUSTLOGGED' END
           AS trustlog_status,
       l.idx AS leaf_index,
       coalesce(a.attested_at, l.attested_at) AS attested_at
  FROM trustlog.operation o
  LEFT JOIN trustlog.leaf l ON l.seq = o.seq
  LEFT JOIN trustlog.attestation a ON a.seq = o.seq;

CREATE VIEW trustlog.dead_letter AS
SELECT r.op_id, r.error_message, r.retry_count, r.last_retry_at, r.updated_at AS died_at, o.doid, o.op_source, o.op_code,
       o.op_actor, o.producer_id, o.created_at
  FROM trustlog.retry r
  LEFT JOIN trustlog.operation o ON o.op_id = r.op_id
 WHERE r.retry_status = 'DEAD_LETTER';
