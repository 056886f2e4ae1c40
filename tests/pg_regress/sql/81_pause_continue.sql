-- Pausing, and a log that came out of a dump: nothing is sealed until somebody says how it goes on.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.put(VARIADIC op_ids text[]) RETURNS void LANGUAGE sql AS
$$SELECT trustlog.save(op_id, 'a', 'd', 'p', 's', 1, 'r') FROM unnest(op_ids) op_id$$;
CREATE VIEW pg_temp.now AS
SELECT s.state = 'frozen' AS frozen, CASE WHEN s.state = 'frozen' THEN s.reason END AS reason, s.tree_size, (SELECT string_agg(b.seq || CASE WHEN b.restored THEN ' restored' ELSE '' END, ', ' ORDER BY b.seq) FROM trustlog.outbox b) AS outbox
  FROM trustlog.stat s;

-- pause() and resume(): durable, one row.
SELECT count(*) FROM trustlog.state;
SELECT pg_temp.put('p-1');
SELECT trustlog.resume();
SELECT trustlog.pause();
SELECT paused, paused_at IS NOT NULL AS at FROM trustlog.state;
SELECT trustlog.seal();
-- Saving, finding and attesting by hand go on.
SELECT pg_temp.put('p-2');
SELECT trustlog.update_status('p-2', 'TRUSTLOGGED');
SELECT op_id FROM trustlog.find_untrustlogged(10);
SELECT trustlog.pause('delivery');
SELECT paused FROM trustlog.state;
SELECT trustlog.seal();
SELECT trustlog.pause('all');
SELECT pg_temp.put('p-3');
BEGIN;
SELECT trustlog.resume();
SELECT trustlog.seal();
ROLLBACK;
\set VERBOSITY sqlstate
SELECT trustlog.seal();
\set VERBOSITY default
SELECT trustlog.resume();
SELECT trustlog.resume();
SELECT paused, paused_at FROM trustlog.state;
SELECT trustlog.seal();
SELECT trustlog.pause('everything');
SELECT trustlog.pause(NULL);

-- A log that is not frozen cannot be continued.
SELECT trustlog.continue_log();
SELECT trustlog.continue_log(true);
SELECT trustlog.continue_log(NULL);

-- Records that come in with a created_at of before were restored; DB_ONLY ones need no decision.
INSERT INTO trustlog.operation (seq, op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, strategy, created_at) VALUES (900050, 'restored-db', 'a', 'd', 'p', 's', 1, 'r', 'DB_ONLY', '2026-01-01');
SELECT * FROM pg_temp.now;
-- As pg_dump writes them: all columns, by COPY.
COPY trustlog.operation (seq, op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix, do_repository, request_body_hash, response_body_hash, client_ip, server_ip, "timestamp", strategy, salt, created_at) FROM stdin;
900101	k-1	alice	86.100/a	p	s	7	86.100	r	\N	\N	\N	\N	2026-01-02 03:04:05.678901+00	DB_AND_TRUSTLOG	\\x000102030405060708090a0b0c0d0e0f	2026-01-02 03:04:06+00
900102	restored-only	a	d	p	s	1	d	r	\N	\N	\N	\N	2026-01-02 03:04:05+00	TRUSTLOG_ONLY	\\x000102030405060708090a0b0c0d0e0f	2026-01-02 03:04:06+00
900103	restored-db-2	a	d	p	s	1	d	r	\N	\N	\N	\N	2026-01-02 03:04:05+00	DB_ONLY	\\x000102030405060708090a0b0c0d0e0f	2026-01-02 03:04:06+00
\.
SELECT * FROM pg_temp.now;
SELECT trustlog.seal();
-- New records are saved and wait with them.
SELECT pg_temp.put('new');
SELECT string_agg(op_id, ' ') FROM trustlog.find_untrustlogged(10);
SELECT trustlog.update_status('k-1', 'TRUSTLOGGED'), trustlog.update_status('k-1', 'NOT_TRUSTLOGGED');
SELECT frozen FROM pg_temp.now;
-- What has a leaf already (dumped after it was sealed, restored before its leaf was) is dropped from the outbox when the log is continued.
INSERT INTO trustlog.outbox SELECT seq, true FROM trustlog.operation WHERE op_id = 'p-1';
SELECT count(*) FROM trustlog.outbox WHERE restored;
-- Continued as a new history.
BEGIN;
SELECT trustlog.continue_log();
SELECT frozen, tree_size FROM pg_temp.now;
SELECT epoch, epoch_size, epoch_root = (SELECT root FROM trustlog.tree_head()) AS epoch_root, continued_at = now() AS now FROM trustlog.state;
SELECT trustlog.seal();
SELECT trustlog.continue_log();
ROLLBACK;
-- Continued as the same history.
SELECT trustlog.continue_log(old_copy_is_gone => true);
SELECT epoch, epoch_size, epoch_root, continued_at IS NOT NULL AS continued FROM trustlog.state;
SELECT frozen FROM pg_temp.now;
SELECT trustlog.seal();
SELECT leaf_index, op_id, trustlog_status, leaf_hash = '\xa6daaab4a0d367e57ff00f6ec39bc7c6cd55c563c4a2c794fbc5928128e656b8' AS as_computed FROM trustlog.read_log(2, 10) WHERE leaf_index <> 5;
SELECT op_id, erased_at IS NOT NULL AS erased FROM trustlog.read_log(3, 10) ORDER BY op_id;
-- Twice as a new history: the epochs count, and each remembers where the one before ended.
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, created_at) VALUES ('restored-3', 'a', 'd', 'p', 's', 1, 'r', '2026-01-01');
SELECT trustlog.continue_log(), trustlog.seal();
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, created_at) VALUES ('restored-4', 'a', 'd', 'p', 's', 1, 'r', '2026-01-01');
SELECT trustlog.continue_log(false);
SELECT epoch, epoch_size, epoch_root = (SELECT root FROM trustlog.tree_head()) AS epoch_root FROM trustlog.state;
-- A time that the clock has not reached was restored as well.
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, created_at) VALUES ('restored-5', 'a', 'd', 'p', 's', 1, 'r', 'infinity');
SELECT frozen FROM pg_temp.now;
SELECT trustlog.continue_log(true);
SELECT trustlog.seal();

-- Leaves without their tiles, tiles without their leaves: frozen, and not to be continued.
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) SELECT 'n-' || n, 'a', 'd', 'p', 's', n, 'r' FROM generate_series(1, 600) n;
SELECT trustlog.seal();
SELECT pg_temp.put('next');
BEGIN;
ALTER TABLE trustlog.tile DISABLE TRIGGER guard;
DELETE FROM trustlog.tile WHERE n = 1;
ALTER TABLE trustlog.tile ENABLE ALWAYS TRIGGER guard;
SELECT frozen, reason FROM pg_temp.now;
SAVEPOINT s;
SELECT trustlog.seal();
ROLLBACK TO s;
SELECT trustlog.continue_log();
ROLLBACK;
BEGIN;
INSERT INTO trustlog.tile (level, n, root, hashes) VALUES (0, 2, sha256(''), decode(repeat('00', 8192), 'hex'));
SELECT frozen, reason FROM pg_temp.now;
SAVEPOINT s;
SELECT trustlog.seal();
ROLLBACK TO s;
ROLLBACK;
BEGIN;
ALTER TABLE trustlog.leaf DISABLE TRIGGER guard;
DELETE FROM trustlog.leaf WHERE idx >= 500;
ALTER TABLE trustlog.leaf ENABLE ALWAYS TRIGGER guard;
SELECT frozen, reason FROM pg_temp.now;
ROLLBACK;
-- A tile of a higher level.
BEGIN;
INSERT INTO trustlog.leaf (idx, seq, leaf_hash) SELECT n, -n, sha256(n::text::bytea) FROM generate_series((SELECT size FROM trustlog.tree_head()), 65535) n;
INSERT INTO trustlog.tile (level, n, root, hashes) SELECT 0, n, sha256(n::text::bytea), decode(repeat('00', 8192), 'hex') FROM generate_series(2, 255) n;
SELECT frozen, reason IS NOT NULL AS with_reason FROM pg_temp.now;
SAVEPOINT s;
SELECT trustlog.seal();
ROLLBACK TO s;
INSERT INTO trustlog.tile (level, n, root, hashes) VALUES (1, 0, sha256(''), decode(repeat('00', 8192), 'hex'));
SELECT frozen FROM pg_temp.now;
SELECT trustlog.seal();
ROLLBACK;
SELECT trustlog.seal();
SELECT frozen FROM pg_temp.now;

-- A log without a home, or with another database's, was restored or copied; an empty one may begin anywhere.
SELECT h.database = d.oid AS here FROM trustlog.home h, pg_database d WHERE d.datname = current_database();
DELETE FROM trustlog.home;
SELECT frozen, reason IS NOT NULL AS with_reason FROM pg_temp.now;
SELECT pg_temp.put('homeless');
\set VERBOSITY sqlstate
SELECT trustlog.seal();
\set VERBOSITY default
SELECT trustlog.continue_log(true);
SELECT frozen FROM pg_temp.now;
SELECT trustlog.seal();
UPDATE trustlog.home SET database = 1;
SELECT frozen FROM pg_temp.now;
SELECT epoch FROM trustlog.state;
SELECT trustlog.continue_log();
SELECT h.database = d.oid AS here FROM trustlog.home h, pg_database d WHERE d.datname = current_database();
SELECT epoch, epoch_size = (SELECT size FROM trustlog.tree_head()) AS ended_here FROM trustlog.state;
SELECT frozen FROM pg_temp.now;

-- Frozen and paused: both must be lifted.
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, created_at) VALUES ('restored-6', 'a', 'd', 'p', 's', 1, 'r', '2026-01-01');
SELECT trustlog.pause();
SELECT frozen FROM pg_temp.now;
SELECT trustlog.continue_log(true);
\set VERBOSITY sqlstate
SELECT trustlog.seal();
SELECT trustlog.resume();
SELECT trustlog.seal();
SELECT count(*) FROM trustlog.outbox;
SELECT count(*) FROM trustlog.state;
