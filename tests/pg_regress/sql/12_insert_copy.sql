-- Plain INSERT and COPY: sealed just the same, with the table's own errors.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository)
VALUES ('i-1', 'a', '86.1/a', 'p', 's', 1, 'r'), ('i-2', 'a', '86.2', 'p', 's', 1, 'r')
RETURNING seq, op_id, do_prefix, strategy, "timestamp" = now() AS now, created_at = now() AS created_now, octet_length(salt) AS salt;
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, do_prefix, strategy)
VALUES ('i-3', 'a', '86.1/a', 'p', 's', 1, 'r', NULL, 'DB_ONLY'), ('i-4', 'a', '86.1/a', 'p', 's', 1, 'r', 'given', 'TRUSTLOG_ONLY')
RETURNING op_id, do_prefix, strategy;
COPY trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) FROM STDIN;
c-1	a	86.3/x	p	s	1	r
c-2	a	86.3	p	s	1	r
\.
COPY trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, do_prefix, client_ip, "timestamp", strategy) FROM STDIN (FORMAT csv);
c-3,a,86.3/x,p,s,1,r,,192.0.2.1,2026-01-02 03:04:05.678901Z,DB_AND_TRUSTLOG
c-4,a,86.3/x,p,s,1,r,y,,2026-01-02 03:04:05Z,DB_ONLY
\.
SELECT op_id, do_prefix, client_ip, strategy FROM trustlog.operation WHERE op_id LIKE 'c-%' ORDER BY op_id;
-- The setting gives the default here, too.
BEGIN;
SET LOCAL trustlog.default_strategy = 'DB_ONLY';
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository)
VALUES ('i-5', 'a', '86.1/a', 'p', 's', 1, 'r') RETURNING strategy;
COMMIT;
-- In the outbox: all but DB_ONLY, once each, none of them restored.
SELECT o.op_id, b.restored FROM trustlog.outbox b JOIN trustlog.operation o USING (seq) ORDER BY seq;

-- ON CONFLICT DO NOTHING does nothing; updating is refused, conflict or not.
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository)
VALUES ('i-1', 'b', '86.1/a', 'p', 's', 1, 'r'), ('i-6', 'b', '86.1/a', 'p', 's', 1, 'r') ON CONFLICT DO NOTHING RETURNING op_id;
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository)
VALUES ('i-1', 'b', '86.1/a', 'p', 's', 1, 'r') ON CONFLICT (op_id) DO UPDATE SET op_actor = 'b';
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository)
VALUES ('i-7', 'b', '86.1/a', 'p', 's', 1, 'r') ON CONFLICT (op_id) DO UPDATE SET op_actor = 'b';
MERGE INTO trustlog.operation o USING (VALUES ('i-1')) v (op_id) ON o.op_id = v.op_id WHEN MATCHED THEN UPDATE SET op_actor = 'b';
MERGE INTO trustlog.operation o USING (VALUES ('i-1')) v (op_id) ON o.op_id = v.op_id WHEN MATCHED THEN DELETE;
MERGE INTO trustlog.operation o USING (VALUES ('i-8')) v (op_id) ON o.op_id = v.op_id
 WHEN NOT MATCHED THEN INSERT (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) VALUES (v.op_id, 'a', '86.1/a', 'p', 's', 1, 'r');
SELECT o.op_id FROM trustlog.outbox b JOIN trustlog.operation o USING (seq) WHERE o.op_id IN ('i-6', 'i-7', 'i-8');
-- save() finds what an INSERT saved, and the other way round.
SELECT created FROM trustlog.save('i-1', 'a', '86.1/a', 'p', 's', 1, 'r');
SELECT created FROM trustlog.save('s-1', 'a', '86.1/a', 'p', 's', 1, 'r');
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository)
VALUES ('s-1', 'a', '86.1/a', 'p', 's', 1, 'r');

-- Bad values: the table's native errors.
CREATE FUNCTION pg_temp.try(change jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    sqlstate_of text;
    about text;
BEGIN
    INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, do_prefix, request_body_hash,
                                    response_body_hash, client_ip, server_ip, "timestamp", strategy, salt)
    SELECT r.op_id, r.op_actor, r.doid, r.producer_id, r.op_source, r.op_code, r.do_repository, r.do_prefix, r.request_body_hash,
           r.response_body_hash, r.client_ip, r.server_ip, r."timestamp", r.strategy, r.salt
      FROM jsonb_populate_record(NULL::trustlog.operation, '{"op_id": "b", "op_actor": "a", "doid": "d", "producer_id": "p", "op_source": "s",
               "op_code": 1, "do_repository": "r", "timestamp": "2026-01-02T03:04:05Z", "strategy": "DB_AND_TRUSTLOG",
               "salt": "\\x000102030405060708090a0b0c0d0e0f"}'::jsonb || change) r;
    RAISE EXCEPTION 'taken' USING ERRCODE = '00001';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS sqlstate_of = RETURNED_SQLSTATE, about = CONSTRAINT_NAME;
    IF sqlstate_of = '23502' THEN
        GET STACKED DIAGNOSTICS about = COLUMN_NAME;
    END IF;
    RETURN sqlstate_of || ' ' || about;
END $$;
SELECT key, pg_temp.try(jsonb_build_object(key, NULL)) AS of_null
  FROM unnest('{op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix, do_repository, request_body_hash, response_body_hash, client_ip, server_ip, timestamp, strategy, salt}'::text[]) key;
SELECT key, pg_temp.try(jsonb_build_object(key, '')) AS of_empty, pg_temp.try(jsonb_build_object(key, repeat('é', 256) || 'x')) AS of_513_bytes,
       pg_temp.try(jsonb_build_object(key, repeat('é', 1024))) AS of_2048_bytes, pg_temp.try(jsonb_build_object(key, repeat('x', 2049))) AS of_2049_bytes
  FROM unnest('{op_id, op_actor, doid, producer_id, op_source, do_prefix, do_repository, request_body_hash, response_body_hash}'::text[]) key;
SELECT key, value, pg_temp.try(jsonb_build_object(key, value))
  FROM (VALUES ('doid', '/x'), ('client_ip', '192.0.2.1'), ('client_ip', '192.0.2.0/24'), ('client_ip', '::1'), ('client_ip', '::1/32'),
               ('client_ip', '::1/127'), ('server_ip', '192.0.2.1/32'), ('server_ip', '0.0.0.0/0'), ('timestamp', 'infinity'), ('timestamp', '-infinity'),
               ('timestamp', '0001-01-01 00:00:00Z'), ('timestamp', '0001-12-31 23:59:59.999999Z BC'), ('timestamp', '9999-12-31 23:59:59.999999Z'),
               ('timestamp', '10000-01-01 00:00:00Z'), ('strategy', 'NONE'), ('strategy', ''), ('strategy', 'db_only'), ('salt', '\x00'),
               ('salt', '\x'), ('salt', '\x000102030405060708090a0b0c0d0e0f10')) v (key, value);
\set VERBOSITY sqlstate
COPY trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) FROM STDIN;
b-1	a	86.3/x	p	s	1	r
b-2	a	\N	p	s	1	r
\.
COPY trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) FROM STDIN;
b-1	a	86.3/x	p	s	1	r
i-1	a	86.3/x	p	s	1	r
\.
COPY trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) FROM STDIN;
b-1	a	86.3/x	p	s	1	
\.
\set VERBOSITY default
SELECT count(*) FROM trustlog.operation WHERE op_id LIKE 'b%';

-- A writer writes 14 columns and reads none.
CREATE ROLE trustlog_test_writer;
SELECT trustlog.grant_access('trustlog_test_writer', 'writer');
SELECT attname FROM pg_attribute
 WHERE attrelid = 'trustlog.operation'::regclass AND attnum > 0 AND NOT has_column_privilege('trustlog_test_writer', attrelid, attnum, 'INSERT');
SET ROLE trustlog_test_writer;
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) VALUES ('w-1', 'a', '86.1/a', 'p', 's', 1, 'r');
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix, do_repository, request_body_hash, response_body_hash,
                                client_ip, server_ip, "timestamp", strategy)
VALUES ('w-2', 'a', '86.1/a', 'p', 's', 1, 'x', 'r', 'q', 'w', '::1', '::2', '2026-01-02 03:04:05Z', 'DB_AND_TRUSTLOG');
COPY trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) FROM STDIN;
w-3	a	86.3/x	p	s	1	r
\.
\set VERBOSITY sqlstate
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, seq) VALUES ('w-4', 'a', '86.1/a', 'p', 's', 1, 'r', 1000);
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, salt) VALUES ('w-4', 'a', '86.1/a', 'p', 's', 1, 'r', '\x000102030405060708090a0b0c0d0e0f');
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, created_at) VALUES ('w-4', 'a', '86.1/a', 'p', 's', 1, 'r', '2026-01-01');
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) VALUES ('w-4', 'a', '86.1/a', 'p', 's', 1, 'r') RETURNING op_id;
INSERT INTO trustlog.outbox VALUES (1, false);
SELECT op_id FROM trustlog.operation;
\set VERBOSITY default
RESET ROLE;
SELECT o.op_id, b.restored FROM trustlog.outbox b JOIN trustlog.operation o USING (seq) WHERE o.op_id LIKE 'w-%' ORDER BY seq;
DROP OWNED BY trustlog_test_writer;
DROP ROLE trustlog_test_writer;

-- All of them are sealed.
SELECT trustlog.seal() = (SELECT count(*) FROM trustlog.operation WHERE strategy <> 'DB_ONLY') AS all_sealed;
SELECT trustlog_status, strategy, count(*) FROM trustlog.operation_status GROUP BY 1, 2 ORDER BY 1, 2;
