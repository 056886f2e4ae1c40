-- Gives a role what it needs for its part; never TRIGGER or REFERENCES, with which it could run code as another.
CREATE FUNCTION trustlog.grant_access(role text, part text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    writing CONSTANT text[] := ARRAY[
        'EXECUTE ON FUNCTION trustlog.save(text, text, text, text, text, int, text, text, timestamptz, text, text, inet, inet, text, text)',
        'EXECUTE ON FUNCTION trustlog.save(jsonb)', 'EXECUTE ON FUNCTION trustlog.save_batch(jsonb)',
        'EXECUTE ON FUNCTION trustlog.random_salt()',
        'INSERT (op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix, do_repository, request_body_hash,
                 response_body_hash, client_ip, server_ip, "timestamp", strategy) ON trustlog.operation'];
    stating CONSTANT text[] := ARRAY[
        'SELECT ON trustlog.stat', 'SELECT ON trustlog.stat_worker', 'EXECUTE ON FUNCTION trustlog.stat_now()',
        'EXECUTE ON FUNCTION trustlog.stat_get_workers()', 'EXECUTE ON FUNCTION trustlog.tree_head()'];
    -- The salts stay out of reach: they are what hides the content of the leaves.
    reading CONSTANT text[] := stating || ARRAY[
        'SELECT (seq, op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix, do_repository, request_body_hash,
                 response_body_hash, client_ip, server_ip, "timestamp", strategy, created_at) ON trustlog.operation',
        'SELECT (seq, op_id, op_id_sha256, reason, erased_at) ON trustlog.erased',
        'SELECT ON trustlog.operation_status', 'SELECT ON trustlog.dead_letter', 'SELECT ON trustlog.leaf',
        'SELECT ON trustlog.attestation', 'SELECT ON trustlog.unattested', 'SELECT ON trustlog.outbox',
        'SELECT ON trustlog.retry', 'SELECT ON trustlog.cursor', 'SELECT ON trustlog.state',
        'EXECUTE ON FUNCTION trustlog.check_max_rows(int)', 'EXECUTE ON FUNCTION trustlog.check_filters(text, text)',
        'EXECUTE ON FUNCTION trustlog.query_conditions()', 'EXECUTE ON FUNCTION trustlog.delivery_cursor()',
        'EXECUTE ON FUNCTION trustlog.find_by_id(text)', 'EXECUTE ON FUNCTION trustlog.find_untrustlogged(int)',
        'EXECUTE ON FUNCTION trustlog.query_operations(text, text, int, text, text, text, text, text, text, inet, inet,
             timestamptz, timestamptz, text, int, int, text, boolean)',
        'EXECUTE ON FUNCTION trustlog.query_operations_page(text, text, int, text, text, text, text, text, text, inet, inet,
             timestamptz, timestamptz, text, int, int, text, boolean)',
        'EXECUTE ON FUNCTION trustlog.count_operations(text, text, int, text, text, text, text, text, text, inet, inet,
             timestamptz, timestamptz, text)',
        'EXECUTE ON FUNCTION trustlog.read_log(bigint, int)', 'EXECUTE ON FUNCTION trustlog.get_cursor(text)',
        'EXECUTE ON FUNCTION trustlog.find_pending_retries(int)',
        'EXECUTE ON FUNCTION trustlog.wait_for_attestation(text, interval)'];
    operating CONSTANT text[] := reading || ARRAY[
        'EXECUTE ON FUNCTION trustlog.update_status(text, text)',
        'EXECUTE ON FUNCTION trustlog.update_status_cas(text, text, text)',
        'EXECUTE ON FUNCTION trustlog.find_untrustlogged_with_lock(int)',
        'EXECUTE ON FUNCTION trustlog.update_cursor(text, text)', 'EXECUTE ON FUNCTION trustlog.init_cursor(text, text)',
        'EXECUTE ON FUNCTION trustlog.update_cursor_cas(text, text, text)',
        'EXECUTE ON FUNCTION trustlog.add_retry(text, text, timestamptz)',
        'EXECUTE ON FUNCTION trustlog.increment_retry(text, text, timestamptz)',
        'EXECUTE ON FUNCTION trustlog.mark_as_dead_letter(text, text)',
        'EXECUTE ON FUNCTION trustlog.requeue_dead_letters(text[])',
        'EXECUTE ON FUNCTION trustlog.discard_dead_letter(text, text)',
        'EXECUTE ON FUNCTION trustlog.find_pending_retries_with_lock(int)',
        'EXECUTE ON FUNCTION trustlog.delete_retry(text)', 'EXECUTE ON FUNCTION trustlog.seal()',
        'EXECUTE ON FUNCTION trustlog.pause(text)', 'EXECUTE ON FUNCTION trustlog.resume()',
        'EXECUTE ON FUNCTION trustlog.continue_log(boolean)', 'SELECT ON trustlog.set_aside'];
    auditing CONSTANT text[] := stating || ARRAY[
        'SELECT ON trustlog.operation', 'SELECT ON trustlog.erased', 'SELECT ON trustlog.operation_status',
        'SELECT ON trustlog.leaf', 'SELECT ON trustlog.tile', 'SELECT ON trustlog.attestation',
        'SELECT ON trustlog.unattested', 'SELECT ON trustlog.outbox', 'SELECT ON trustlog.state',
        'SELECT ON trustlog.set_aside', 'EXECUTE ON FUNCTION trustlog.check_max_rows(int)',
        'EXECUTE ON FUNCTION trustlog.find_by_id(text)', 'EXECUTE ON FUNCTION trustlog.read_log(bigint, int)'];
    privileges text[];
    privilege text;
BEGIN
    IF role IS NULL OR part IS NULL THEN
        RAISE EXCEPTION '% must not be null', CASE WHEN role IS NULL THEN 'role' ELSE 'part' END
            USING ERRCODE = 'null_value_not_allowed', HINT = 'For example: SELECT trustlog.grant_access(''app'', ''writer'').';
    ELSIF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) THEN
        RAISE EXCEPTION 'role "%" does not exist', role
            USING ERRCODE = 'undefined_object', HINT = 'Create it first with CREATE ROLE.';
    END IF;
    privileges := CASE part WHEN 'writer' THEN writing WHEN 'reader' THEN reading WHEN 'operator' THEN operating
                            WHEN 'auditor' THEN auditing END;
    IF privileges IS NULL THEN
        RAISE EXCEPTION 'invalid part: "%"', part
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Allowed values: writer, reader, operator, auditor.';
    END IF;
    FOREACH privilege IN ARRAY ARRAY['USAGE ON SCHEMA trustlog'] || privileges LOOP
        EXECUTE format('GRANT %s TO %I', privilege, role);
    END LOOP;
END $$;
