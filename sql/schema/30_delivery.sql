-- Sealed, not attested, and behind the delivery cursor.
CREATE TABLE trustlog.unattested (
    seq       bigint PRIMARY KEY,
    -- Given up by discard_dead_letter(): stays NOT_TRUSTLOGGED and is in no backlog.
    discarded boolean NOT NULL DEFAULT false
) WITH (
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0
);

-- The evidence. Append-only, but for what was set by hand. The primary key makes the write a compare-and-set.
CREATE TABLE trustlog.attestation (
    seq         bigint PRIMARY KEY,
    sink        text NOT NULL,
    attested_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    http_status int,
    receipt     jsonb
);

-- Records whose attestation failed: the careful tier.
CREATE TABLE trustlog.retry (
    op_id         text COLLATE "C" PRIMARY KEY,
    retry_count   int NOT NULL DEFAULT 0,
    retry_status  text NOT NULL DEFAULT 'PENDING'
                  CONSTRAINT retry_retry_status_check CHECK (retry_status IN ('PENDING', 'RETRYING', 'DEAD_LETTER')),
    last_retry_at timestamptz,
    next_retry_at timestamptz,
    error_message text,
    created_at    timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at    timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX retry_due_idx ON trustlog.retry (next_retry_at, op_id) WHERE retry_status <> 'DEAD_LETTER';
CREATE INDEX retry_dead_letter_idx ON trustlog.retry (updated_at, op_id) WHERE retry_status = 'DEAD_LETTER';

-- Positions, by key. Keys that begin with "delivery" belong to the worker.
CREATE TABLE trustlog.cursor (
    cursor_key      text COLLATE "C" PRIMARY KEY,
    cursor_value    text NOT NULL,
    last_updated_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

-- One row, written when there is something to remember: a dump restores it, so the install script must not make it.
CREATE TABLE trustlog.state (
    only_row    boolean PRIMARY KEY DEFAULT true CONSTRAINT state_only_row_check CHECK (only_row),
    -- The sink in force: that of the last sealing, and so the one whose cursor counts.
    sink        text NOT NULL DEFAULT 'log' CONSTRAINT state_sink_check CHECK (sink IN ('log', 'http', 'manual')),
    paused      text CONSTRAINT state_paused_check CHECK (paused IN ('delivery', 'all')),
    paused_at   timestamptz,
    -- Counts the times the log was continued after a restore as a new history, with where the last one ended.
    epoch       int NOT NULL DEFAULT 0,
    epoch_size  bigint NOT NULL DEFAULT 0,
    epoch_root  bytea,
    continued_at timestamptz
);

-- Which database the log was begun or continued in: one row, not dumped. A log without it, or with another database's,
-- was restored or copied.
CREATE TABLE trustlog.home (
    only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT home_only_row_check CHECK (only_row),
    database oid NOT NULL
);
