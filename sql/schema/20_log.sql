-- Committed and not sealed yet: the queue of the sealer. Small and hot: rows live for milliseconds, so autovacuum comes
-- early and does not pause.
CREATE TABLE trustlog.outbox (
    seq      bigint NOT NULL,
    restored boolean NOT NULL
) WITH (
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 50000
);
CREATE INDEX outbox_seq_idx ON trustlog.outbox (seq);
-- While one restored record waits nothing is sealed; this answers in one probe whether one does.
CREATE INDEX outbox_restored_idx ON trustlog.outbox (seq) WHERE restored;

-- The log, in order, without gaps. Append-only.
CREATE TABLE trustlog.leaf (
    idx         bigint PRIMARY KEY CONSTRAINT leaf_idx_check CHECK (idx >= 0),
    seq         bigint NOT NULL CONSTRAINT leaf_seq_key UNIQUE,
    -- Set when sealing was itself the attestation (sink log).
    attested_at timestamptz,
    leaf_hash   bytea NOT NULL CONSTRAINT leaf_leaf_hash_check CHECK (pg_catalog.octet_length(leaf_hash) = 32)
);

-- Full tiles only, 256 hashes wide. Append-only. A partial tile follows from the leaves, or from the roots of the tiles
-- one level below.
CREATE TABLE trustlog.tile (
    level  smallint NOT NULL,
    n      bigint NOT NULL,
    root   bytea NOT NULL CONSTRAINT tile_root_check CHECK (pg_catalog.octet_length(root) = 32),
    hashes bytea NOT NULL CONSTRAINT tile_hashes_check CHECK (pg_catalog.octet_length(hashes) = 8192),
    PRIMARY KEY (level, n)
);
-- Hashes do not compress.
ALTER TABLE trustlog.tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- Outbox rows that could not be sealed (their record is missing or cannot be encoded): kept out of the way, shown by
-- stat, never lost.
CREATE TABLE trustlog.set_aside (
    seq    bigint PRIMARY KEY,
    reason text NOT NULL,
    at     timestamptz NOT NULL DEFAULT pg_catalog.now()
);
