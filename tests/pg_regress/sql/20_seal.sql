-- seal(): the log is what RFC 6962 says it is, without gaps, whatever the batches and the settings.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS trustlog CASCADE;
CREATE EXTENSION trustlog;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

-- Nothing yet: the root of the empty tree is the SHA-256 of nothing.
SELECT size, encode(root, 'hex') AS root FROM trustlog.tree_head();
SELECT trustlog.seal();

-- Records whose leaf hashes were computed elsewhere (Python's hashlib and json, from the definition).
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, "timestamp", salt)
VALUES ('k-1', 'alice', '86.100/a', 'p', 's', 7, 'r', '2026-01-02 03:04:05.678901Z', '\x000102030405060708090a0b0c0d0e0f');
INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix, do_repository, request_body_hash, response_body_hash, client_ip, server_ip,
                                "timestamp", salt)
VALUES (E'k-2 "q" \\ / \u00e9 \u2028 \U0001F600 \n\t\x01\x7f', 'ö', '86.100/a/b', 'p', 's', -2147483648, 'x', 'r', 'sha256:00', '<&>', '192.0.2.1', '2001:DB8:0::1',
        '0001-01-01 00:00:00Z', '\xffffffffffffffffffffffffffffffff'),
       ('k-3', 'bob', 'd', 'p', 's', 0, 'd', 'r', NULL, NULL, '::ffff:192.0.2.1', NULL, '9999-12-31 23:59:59.999999Z', '\x00000000000000000000000000000000');
-- Nothing of the session changes them.
SET timezone = 'Asia/Kathmandu';
SET datestyle = 'German';
SET bytea_output = 'escape';
SET extra_float_digits = -5;
SET intervalstyle = 'sql_standard';
SET standard_conforming_strings = off;
SET client_encoding = 'LATIN1';
SET search_path = pg_temp;
SET trustlog.seal_batch_size = 1;
SELECT trustlog.seal();
RESET ALL;
SET timezone = 'UTC';
SELECT l.idx, l.leaf_hash = h.leaf_hash AS as_computed, l.attested_at IS NOT NULL AS attested
  FROM trustlog.leaf l JOIN (VALUES (0, '\xa6daaab4a0d367e57ff00f6ec39bc7c6cd55c563c4a2c794fbc5928128e656b8'::bytea),
                                    (1, '\x19576a852a299bc6eda3677f08db1ba8ab8847faa3dcef85946964a76aeb841b'),
                                    (2, '\x740415dc2471deed0662f4a564826281baa776f14125019ebd15e0407c457639')) AS h (idx, leaf_hash) USING (idx)
 ORDER BY l.idx;
SELECT size, encode(root, 'hex') = 'd35fe1a23844a1f32bfb2a91acfe6d4b413267e5309537daa9397000e27d2e6b' AS as_computed FROM trustlog.tree_head();
-- save() announced them before.
SELECT encode(leaf_hash, 'hex') AS leaf_hash, created FROM trustlog.save('k-1', 'alice', '86.100/a', 'p', 's', 7, 'r');

-- The root made anew from the leaves, a level at a time.
CREATE FUNCTION pg_temp.root() RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    width bigint;
BEGIN
    CREATE TEMP TABLE node ON COMMIT DROP AS SELECT 0 AS level, idx AS n, leaf_hash AS h FROM trustlog.leaf;
    FOR below IN 0..40 LOOP
        SELECT count(*) INTO width FROM node WHERE level = below;
        EXIT WHEN width <= 1;
        INSERT INTO node
        SELECT below + 1, n / 2, CASE WHEN count(*) = 2 THEN sha256('\x01' || string_agg(h, '' ORDER BY n)) ELSE (array_agg(h))[1] END
          FROM node WHERE level = below GROUP BY n / 2;
    END LOOP;
    RETURN (SELECT h FROM node ORDER BY level DESC LIMIT 1);
END $$;
-- Everything about the log that must hold at any time.
CREATE FUNCTION pg_temp.sound(OUT size bigint, OUT no_gaps boolean, OUT root_fits boolean, OUT tiles text, OUT tiles_fit boolean, OUT queued bigint) LANGUAGE plpgsql AS $$
DECLARE
    head bytea;
BEGIN
    SELECT t.size, t.root INTO size, head FROM trustlog.tree_head() t;
    no_gaps := (SELECT count(*) = size AND coalesce(min(idx), 0) = 0 AND coalesce(max(idx), -1) = size - 1 FROM trustlog.leaf);
    root_fits := head = pg_temp.root();
    tiles := (SELECT string_agg(level || ': ' || c, ', ' ORDER BY level) FROM (SELECT level, count(*) AS c FROM trustlog.tile GROUP BY level) x);
    -- A tile of level 0 has the hashes of 256 leaves, one of level 1 the roots of 256 tiles; no full tile is missing.
    tiles_fit := NOT EXISTS (
        SELECT FROM (SELECT 0 AS level, idx / 256 AS n, string_agg(leaf_hash, '' ORDER BY idx) AS hashes FROM trustlog.leaf GROUP BY 2 HAVING count(*) = 256
                     UNION ALL
                     SELECT level + 1, t.n / 256, string_agg(root, '' ORDER BY t.n) FROM trustlog.tile t GROUP BY 1, 2 HAVING count(*) = 256) w
          FULL JOIN trustlog.tile t ON t.level = w.level AND t.n = w.n
         WHERE t.hashes IS DISTINCT FROM w.hashes);
    queued := (SELECT count(*) FROM trustlog.outbox);
END $$;
SELECT * FROM pg_temp.sound();

-- In a transaction that goes back nothing happened; the next sealing takes the same indexes.
CREATE FUNCTION pg_temp.put(prefix text, number int) RETURNS void LANGUAGE sql AS
$$INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository) SELECT prefix || '-' || n, 'a', 'd', 'p', 's', n, 'r' FROM generate_series(1, number) n$$;
BEGIN;
SELECT pg_temp.put('a', 3);
SELECT trustlog.seal();
SELECT trustlog.seal();
SELECT size FROM trustlog.tree_head();
SAVEPOINT one;
SELECT pg_temp.put('b', 2);
SELECT trustlog.seal();
SELECT size FROM trustlog.tree_head();
ROLLBACK TO one;
SELECT size FROM trustlog.tree_head();
ROLLBACK;
SELECT size FROM trustlog.tree_head();
SELECT pg_temp.put('c', 2);
SELECT trustlog.seal();
SELECT * FROM pg_temp.sound();
-- Leaves are in the order of the records; DB_ONLY has none.
SELECT trustlog.save_batch('[{"op_id": "d-3", "op_actor": "a", "doid": "d", "producer_id": "p", "op_source": "s", "op_code": 1, "do_repository": "r"},
                             {"op_id": "d-2", "op_actor": "a", "doid": "d", "producer_id": "p", "op_source": "s", "op_code": 1, "do_repository": "r", "strategy": "DB_ONLY"},
                             {"op_id": "d-1", "op_actor": "a", "doid": "d", "producer_id": "p", "op_source": "s", "op_code": 1, "do_repository": "r"}]') IS NOT NULL AS saved;
SELECT trustlog.seal();
SELECT leaf_index, op_id FROM trustlog.read_log(5, 10);

-- Up to a full tile, and beyond, in batches that do not divide it.
SET trustlog.seal_batch_size = 100;
SELECT pg_temp.put('e', 248);
SELECT trustlog.seal();
SELECT * FROM pg_temp.sound();
SELECT pg_temp.put('f', 1);
SELECT trustlog.seal();
SELECT * FROM pg_temp.sound();
SELECT pg_temp.put('g', 1);
SELECT trustlog.seal();
SELECT * FROM pg_temp.sound();
SET trustlog.seal_batch_size = 257;
SELECT pg_temp.put('h', 1000);
SELECT trustlog.seal();
SELECT * FROM pg_temp.sound();
-- Up to a full tile of level 1, and beyond.
RESET trustlog.seal_batch_size;
SELECT pg_temp.put('i', 65536 - 1257 - 1);
SELECT trustlog.seal();
SELECT * FROM pg_temp.sound();
SELECT pg_temp.put('j', 1);
SELECT trustlog.seal();
SELECT * FROM pg_temp.sound();
SET trustlog.seal_batch_size = 999;
SELECT pg_temp.put('n', 2345);
SELECT trustlog.seal();
SELECT * FROM pg_temp.sound();
RESET trustlog.seal_batch_size;
-- Every record has its leaf, and the leaf is that of the record.
SELECT count(*) FILTER (WHERE l.seq IS NULL) AS without_leaf, count(*) FILTER (WHERE l.leaf_hash <> s.leaf_hash) AS other_leaf, bool_or(s.created) AS created
  FROM trustlog.operation o LEFT JOIN trustlog.leaf l USING (seq), LATERAL trustlog.save(o.op_id, 'a', 'd', 'p', 's', o.op_code, 'r') s
 WHERE o.op_id LIKE 'n-_0_';

-- What cannot be sealed is set aside, said, shown, and holds up nothing.
INSERT INTO trustlog.outbox VALUES (-1, false), (9000000000, false);
SELECT pg_temp.put('l', 2);
SELECT trustlog.seal();
SELECT seq, reason FROM trustlog.set_aside ORDER BY seq;
SELECT set_aside, reason LIKE '%2 records could not be sealed, see trustlog.set_aside' AS said FROM trustlog.stat;
BEGIN;
ALTER TABLE trustlog.operation DROP CONSTRAINT operation_timestamp_check;
INSERT INTO trustlog.operation (seq, op_id, op_actor, doid, producer_id, op_source, op_code, do_repository, "timestamp")
VALUES (8000000000, 'unfit-1', 'a', 'd', 'p', 's', 1, 'r', 'infinity'), (8000000001, 'unfit-2', 'a', 'd', 'p', 's', 1, 'r', '10000-01-01 00:00:00Z'), (8000000002, 'fit', 'a', 'd', 'p', 's', 1, 'r', '2026-01-01');
SELECT trustlog.seal();
SELECT seq FROM trustlog.set_aside WHERE seq BETWEEN 8000000000 AND 8000000009 ORDER BY seq;
SELECT o.op_id FROM trustlog.leaf l JOIN trustlog.operation o USING (seq) WHERE seq BETWEEN 8000000000 AND 8000000009;
ROLLBACK;

-- Where seal() is refused.
SELECT pg_temp.put('m', 1);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT trustlog.seal();
ROLLBACK;
SELECT trustlog.pause();
SELECT trustlog.seal();
SELECT trustlog.resume();
\set VERBOSITY sqlstate
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT trustlog.seal();
ROLLBACK;
BEGIN READ ONLY;
SELECT trustlog.seal();
ROLLBACK;
-- A pause of delivery does not stop it.
SELECT trustlog.pause('delivery');
SELECT trustlog.seal();
SELECT trustlog.resume();
SELECT * FROM pg_temp.sound();
