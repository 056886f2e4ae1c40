CREATE FUNCTION trustlog.fill_do_prefix() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'fill_do_prefix_wrapper';
CREATE FUNCTION trustlog.feed_outbox() RETURNS trigger
    LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'feed_outbox_wrapper';
CREATE FUNCTION trustlog.guard_append_only() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'guard_append_only_wrapper';

-- do_prefix is filled when a plain INSERT or COPY leaves it out.
CREATE TRIGGER fill_do_prefix BEFORE INSERT ON trustlog.operation
    FOR EACH ROW WHEN (NEW.do_prefix IS NULL) EXECUTE FUNCTION trustlog.fill_do_prefix();

-- Every record that is to be attested reaches the outbox in the transaction that saves it, however it was saved.
CREATE TRIGGER feed_outbox AFTER INSERT ON trustlog.operation
    REFERENCING NEW TABLE AS saved FOR EACH STATEMENT EXECUTE FUNCTION trustlog.feed_outbox();

-- The append-only guard, also under session_replication_role = replica.
CREATE TRIGGER guard BEFORE UPDATE OR DELETE OR TRUNCATE ON trustlog.operation
    FOR EACH STATEMENT EXECUTE FUNCTION trustlog.guard_append_only();
CREATE TRIGGER guard BEFORE UPDATE OR DELETE OR TRUNCATE ON trustlog.leaf
    FOR EACH STATEMENT EXECUTE FUNCTION trustlog.guard_append_only();
CREATE TRIGGER guard BEFORE UPDATE OR DELETE OR TRUNCATE ON trustlog.tile
    FOR EACH STATEMENT EXECUTE FUNCTION trustlog.guard_append_only();
CREATE TRIGGER guard BEFORE UPDATE OR DELETE OR TRUNCATE ON trustlog.attestation
    FOR EACH STATEMENT EXECUTE FUNCTION trustlog.guard_append_only();
CREATE TRIGGER guard BEFORE UPDATE OR DELETE OR TRUNCATE ON trustlog.erased
    FOR EACH STATEMENT EXECUTE FUNCTION trustlog.guard_append_only();
ALTER TABLE trustlog.operation ENABLE ALWAYS TRIGGER guard;
ALTER TABLE trustlog.leaf ENABLE ALWAYS TRIGGER guard;
ALTER TABLE trustlog.tile ENABLE ALWAYS TRIGGER guard;
ALTER TABLE trustlog.attestation ENABLE ALWAYS TRIGGER guard;
ALTER TABLE trustlog.erased ENABLE ALWAYS TRIGGER guard;
