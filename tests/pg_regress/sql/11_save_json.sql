-- save(jsonb) and save_batch(jsonb): keys, types, elements, all or nothing.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

-- Every key.
SELECT seq, octet_length(leaf_hash) AS hash_bytes, created FROM trustlog.save('{
    "op_id": "j-1", "op_actor": "alice", "doid": "86.1/a", "producer_id": "p", "op_source": "s", "op_code": 7, "do_repository": "r",
    "do_prefix": "x", "timestamp": "2026-01-02T04:04:05.678901+01:00", "request_body_hash": "q", "response_body_hash": "w",
    "client_ip": "192.0.2.1", "server_ip": "2001:DB8:0::1", "strategy": "DB_AND_TRUSTLOG", "status": "TRUSTLOGGED"}');
SELECT op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix, do_repository, request_body_hash,
       response_body_hash, client_ip, server_ip, "timestamp", strategy, trustlog_status
  FROM trustlog.operation_status WHERE op_id = 'j-1';
-- The needed keys; null is the same as a key left out.
BEGIN;
SELECT created FROM trustlog.save('{"op_id": "j-2", "op_actor": "a", "doid": "86.1/a", "producer_id": "p", "op_source": "s", "op_code": -1,
    "do_repository": "r", "do_prefix": null, "timestamp": null, "client_ip": null, "strategy": null, "status": null}'::jsonb);
SELECT do_prefix, "timestamp" = now() AS now, strategy, trustlog_status FROM trustlog.operation_status WHERE op_id = 'j-2';
COMMIT;
-- The same content as by arguments.
SELECT created FROM trustlog.save('j-2', 'a', '86.1/a', 'p', 's', -1, 'r');
SELECT seq, created FROM trustlog.save('{"op_id": "j-1", "op_actor": "alice", "doid": "86.1/a", "producer_id": "p", "op_source": "s", "op_code": 7,
    "do_repository": "r", "timestamp": "2026-01-02T03:04:05.678901Z", "server_ip": "2001:db8::1"}');
SELECT trustlog.save('{"op_id": "j-1", "op_actor": "eve", "doid": "86.1/a", "producer_id": "p", "op_source": "s", "op_code": 7, "do_repository": "r"}');

-- What save(jsonb) refuses. A template, and what is changed in it.
CREATE FUNCTION pg_temp.op(change jsonb) RETURNS jsonb LANGUAGE sql AS
$$SELECT '{"op_id": "b", "op_actor": "a", "doid": "d", "producer_id": "p", "op_source": "s", "op_code": 1, "do_repository": "r"}'::jsonb || change$$;
SELECT trustlog.save(NULL::jsonb);
SELECT trustlog.save('null'::jsonb);
SELECT trustlog.save('[]'::jsonb);
SELECT trustlog.save('"b"'::jsonb);
SELECT trustlog.save('{}'::jsonb);
SELECT trustlog.save(pg_temp.op('{"op_time": "2026-01-02T03:04:05Z"}'));
SELECT trustlog.save(pg_temp.op('{"Op_Id": "x"}'));
SELECT trustlog.save(pg_temp.op('{"": "x"}'));
SELECT trustlog.save(pg_temp.op('{"salt": "x"}'));
SELECT trustlog.save(pg_temp.op('{"op_id": null}'));
SELECT trustlog.save(pg_temp.op('{}') - 'doid');
SELECT trustlog.save(pg_temp.op('{}') - 'op_code');
SELECT trustlog.save(pg_temp.op('{"doid": 5}'));
SELECT trustlog.save(pg_temp.op('{"op_code": "5"}'));
SELECT trustlog.save(pg_temp.op('{"op_code": 2147483648}'));
SELECT trustlog.save(pg_temp.op('{"op_code": 1.5}'));
SELECT trustlog.save(pg_temp.op('{"timestamp": 1700000000}'));
SELECT trustlog.save(pg_temp.op('{"timestamp": "2026-01-02T03:04:05"}'));
SELECT trustlog.save(pg_temp.op('{"client_ip": "192.0.2.0/24"}'));
SELECT trustlog.save(pg_temp.op('{"strategy": "none"}'));
SELECT trustlog.save(pg_temp.op('{"status": "none"}'));
\set VERBOSITY sqlstate
-- A missing key of each needed one.
SELECT trustlog.save(pg_temp.op('{}') - 'op_id');
SELECT trustlog.save(pg_temp.op('{}') - 'op_actor');
SELECT trustlog.save(pg_temp.op('{}') - 'producer_id');
SELECT trustlog.save(pg_temp.op('{}') - 'op_source');
SELECT trustlog.save(pg_temp.op('{}') - 'do_repository');
-- Wrong types of each.
SELECT trustlog.save(pg_temp.op('{"op_id": 1}'));
SELECT trustlog.save(pg_temp.op('{"op_actor": true}'));
SELECT trustlog.save(pg_temp.op('{"producer_id": {}}'));
SELECT trustlog.save(pg_temp.op('{"op_source": []}'));
SELECT trustlog.save(pg_temp.op('{"do_repository": 0}'));
SELECT trustlog.save(pg_temp.op('{"do_prefix": 0}'));
SELECT trustlog.save(pg_temp.op('{"request_body_hash": 0}'));
SELECT trustlog.save(pg_temp.op('{"response_body_hash": false}'));
SELECT trustlog.save(pg_temp.op('{"client_ip": 0}'));
SELECT trustlog.save(pg_temp.op('{"server_ip": ["::1"]}'));
SELECT trustlog.save(pg_temp.op('{"strategy": 1}'));
SELECT trustlog.save(pg_temp.op('{"status": true}'));
-- Values of each.
SELECT trustlog.save(pg_temp.op('{"op_id": ""}'));
SELECT trustlog.save(pg_temp.op(jsonb_build_object('op_id', repeat('é', 257))));
SELECT trustlog.save(pg_temp.op('{"doid": ""}'));
SELECT trustlog.save(pg_temp.op('{"doid": "/x"}'));
SELECT trustlog.save(pg_temp.op(jsonb_build_object('doid', repeat('x', 2049))));
SELECT trustlog.save(pg_temp.op('{"request_body_hash": ""}'));
SELECT trustlog.save(pg_temp.op('{"server_ip": ""}'));
SELECT trustlog.save(pg_temp.op('{"server_ip": "localhost"}'));
SELECT trustlog.save(pg_temp.op('{"timestamp": ""}'));
SELECT trustlog.save(pg_temp.op('{"timestamp": "now"}'));
SELECT trustlog.save(pg_temp.op('{"timestamp": "infinity"}'));
SELECT trustlog.save(pg_temp.op('{"timestamp": "0000-12-31T23:59:59Z"}'));
SELECT trustlog.save(pg_temp.op('{"timestamp": "10000-01-01T00:00:00Z"}'));
SELECT trustlog.save(pg_temp.op('{"timestamp": "2026-02-30T00:00:00Z"}'));
SELECT trustlog.save(pg_temp.op('{"strategy": ""}'));
SELECT trustlog.save(pg_temp.op('{"strategy": "DB_ONLY", "status": "TRUSTLOGGED"}'));
-- Numbers and depths that only jsonb can hold.
SELECT trustlog.save(pg_temp.op('{"op_code": 99999999999999999999}'));
SELECT trustlog.save(pg_temp.op('{"op_code": 1e400}'));
SELECT trustlog.save(pg_temp.op('{"x": 1e400}'));
SELECT trustlog.save(pg_temp.op('{"op_code": -1e400}'));
SELECT trustlog.save(pg_temp.op(jsonb_build_object('x', (repeat('[', 1000) || repeat(']', 1000))::jsonb)));
SELECT trustlog.save_batch((repeat('[', 1000) || repeat(']', 1000))::jsonb);
\set VERBOSITY default
SELECT count(*) FROM trustlog.operation WHERE op_id = 'b';

-- Times and addresses in all their forms: kept to the microsecond, and in canonical form.
CREATE FUNCTION pg_temp.form(key text, value text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM trustlog.save(pg_temp.op(jsonb_build_object('op_id', 'form ' || key || value, key, value)));
    RETURN (SELECT to_jsonb(o) ->> key FROM trustlog.operation o WHERE o.op_id = 'form ' || key || value);
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT value, pg_temp.form('timestamp', value) FROM unnest('{2026-01-02T03:04:05Z, 2026-01-02T03:04:05.6Z, 2026-01-02T03:04:05.6789014Z, 2026-01-02T03:04:05.6789015Z, 2026-01-02t03:04:05z,
    2026-01-02T03:04:05-00:00, 2026-01-02T03:04:05+05:45, 2026-01-02T03:04:05+24:00, 2026-01-02T03:04:05.Z, 2026-01-02T03:04Z, 2026-01-02T24:00:00Z, 2026-01-02,
    0001-01-01T00:00:00Z, 0001-01-01T00:00:00+01:00, 9999-12-31T23:59:59.999999Z, 9999-12-31T23:59:59.9999999Z, 9999-12-31T23:59:59-01:00}'::text[]) value;
SELECT value, pg_temp.form('client_ip', value) FROM unnest('{192.0.2.1, 192.0.2.1/32, 192.0.2.01, 192.0.2, 255.255.255.255, " 192.0.2.1", 0:0:0:0:0:0:0:1, 1:2:3:4:5:6:7::, ::2:3:4:5:6:7:8, 2001:DB8::A,
    ::ffff:192.0.2.1, 1:2:3:4:5:6:192.0.2.1, ::, 1::2::3, fe80::1%eth0, [::1]}'::text[]) value;

-- A batch: one row each, in the order of the elements.
SELECT trustlog.save_batch(NULL);
SELECT trustlog.save_batch('{"op_id": "b"}');
SELECT * FROM trustlog.save_batch('[]');
CREATE TEMP TABLE batch AS
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "z"}'), pg_temp.op('{"op_id": "m", "strategy": "DB_ONLY"}'),
           pg_temp.op('{"op_id": "a", "status": "TRUSTLOGGED"}'), pg_temp.op('{"op_id": "ä"}'), pg_temp.op('{"op_id": "B"}')))
       WITH ORDINALITY AS s (seq, leaf_hash, created, n);
SELECT o.op_id, s.created, s.leaf_hash IS NULL AS no_leaf FROM batch s JOIN trustlog.operation o USING (seq) ORDER BY n;
-- They were inserted in op_id order, by bytes.
SELECT op_id, trustlog_status FROM trustlog.operation_status WHERE op_id IN ('z', 'm', 'a', 'ä', 'B') ORDER BY seq;
-- Some there, some new.
TRUNCATE batch;
INSERT INTO batch
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "z"}'), pg_temp.op('{"op_id": "new"}'), pg_temp.op('{"op_id": "a"}')))
       WITH ORDINALITY AS s (seq, leaf_hash, created, n);
SELECT o.op_id, s.created, s.leaf_hash IS NULL AS no_leaf FROM batch s JOIN trustlog.operation o USING (seq) ORDER BY n;
-- The same op_id twice: with the same content the first is created, the second finds it.
TRUNCATE batch;
INSERT INTO batch
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "twice", "client_ip": "::1"}'), pg_temp.op('{"op_id": "between"}'), pg_temp.op('{"op_id": "twice"}'),
           pg_temp.op('{"op_id": "twice", "status": "TRUSTLOGGED"}')))
       WITH ORDINALITY AS s (seq, leaf_hash, created, n);
SELECT o.op_id, s.created, s.leaf_hash = first_value(s.leaf_hash) OVER (PARTITION BY o.op_id) AS same_hash
  FROM batch s JOIN trustlog.operation o USING (seq) ORDER BY n;
SELECT op_id, client_ip, trustlog_status FROM trustlog.operation_status WHERE op_id IN ('twice', 'between') ORDER BY op_id;
-- With other content nothing is saved.
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "c-1"}'), pg_temp.op('{"op_id": "c-2"}'), pg_temp.op('{"op_id": "c-1", "op_code": 2}')));
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "c-1"}'), pg_temp.op('{"op_id": "z", "op_actor": "eve"}')));
-- All or nothing, and the error names the element.
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "c-1"}'), 5));
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "c-1"}'), null));
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "c-1"}'), pg_temp.op('{"op_id": "c-2"}') - 'doid'));
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "c-1"}'), pg_temp.op('{}'), pg_temp.op('{"colour": "red"}')));
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "c-1"}'), pg_temp.op('{"op_id": ""}')));
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "c-1"}'), pg_temp.op('{"op_code": true}')));
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "c-1"}'), pg_temp.op('{"client_ip": "::1/64"}')));
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "c-1"}'), pg_temp.op('{"timestamp": "today"}')));
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "c-1"}'), pg_temp.op('{"strategy": "none"}')));
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "c-1"}'), pg_temp.op('{"status": "none"}')));
SELECT * FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "c-1"}'), pg_temp.op('{"op_id": "c-2", "strategy": "DB_ONLY", "status": "TRUSTLOGGED"}')));
SELECT count(*) FROM trustlog.operation WHERE op_id LIKE 'c-%';

-- The order of inserting does not change the answer.
SELECT n, created FROM trustlog.save_batch(jsonb_build_array(pg_temp.op('{"op_id": "y"}'), pg_temp.op('{"op_id": "z"}'), pg_temp.op('{"op_id": "x"}'), pg_temp.op('{"op_id": "y"}')))
       WITH ORDINALITY AS s (seq, leaf_hash, created, n) ORDER BY n;

-- A large one.
SELECT count(*), count(DISTINCT seq), bool_and(created) AS created
  FROM trustlog.save_batch((SELECT jsonb_agg(pg_temp.op(jsonb_build_object('op_id', 'large-' || n))) FROM generate_series(1, 3000) n));
SELECT count(*), bool_or(created) AS created
  FROM trustlog.save_batch((SELECT jsonb_agg(pg_temp.op(jsonb_build_object('op_id', 'large-' || n))) FROM generate_series(1, 3000) n));
SELECT count(*) AS queued FROM trustlog.outbox;
SELECT count(*) AS to_queue FROM trustlog.operation WHERE strategy <> 'DB_ONLY';
