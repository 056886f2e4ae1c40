-- The end of the install script: only here all objects exist, so comments, privileges and the last call are here.

COMMENT ON SCHEMA trustlog IS 'Operation records, attested by a verifiable log. Never put it on a search_path.';

COMMENT ON TABLE trustlog.operation IS 'The records of operations, append-only. INSERT and COPY work; see trustlog.operation_status for reading.';
COMMENT ON COLUMN trustlog.operation.seq IS 'Key; drawn when the record is inserted, so records may commit in another order.';
COMMENT ON COLUMN trustlog.operation.op_id IS 'The caller''s id of the operation, unique for ever, at most 512 bytes.';
COMMENT ON COLUMN trustlog.operation.op_actor IS 'Who did it: often the DOID or the public key of a user.';
COMMENT ON COLUMN trustlog.operation.doid IS 'The digital object, as prefix/suffix.';
COMMENT ON COLUMN trustlog.operation.producer_id IS 'Which system recorded it.';
COMMENT ON COLUMN trustlog.operation.op_source IS 'The protocol: DOIP or IRP.';
COMMENT ON COLUMN trustlog.operation.op_code IS 'The operation''s code in that protocol.';
COMMENT ON COLUMN trustlog.operation.do_prefix IS 'The part of doid before the first slash, unless given.';
COMMENT ON COLUMN trustlog.operation.do_repository IS 'The repository that holds the object.';
COMMENT ON COLUMN trustlog.operation.request_body_hash IS 'Hash of the request, as text in the caller''s form.';
COMMENT ON COLUMN trustlog.operation.response_body_hash IS 'Hash of the response, as text in the caller''s form.';
COMMENT ON COLUMN trustlog.operation.client_ip IS 'Address of the client, one host.';
COMMENT ON COLUMN trustlog.operation.server_ip IS 'Address of the server, one host.';
COMMENT ON COLUMN trustlog.operation."timestamp" IS 'When the operation happened.';
COMMENT ON COLUMN trustlog.operation.strategy IS 'DB_AND_TRUSTLOG: kept and attested. DB_ONLY: only kept. TRUSTLOG_ONLY: erased once attested.';
COMMENT ON COLUMN trustlog.operation.salt IS 'Random; hides the content of the leaf.';
COMMENT ON COLUMN trustlog.operation.created_at IS 'When the record was saved.';
COMMENT ON TABLE trustlog.erased IS 'What is left of erased records: their op_ids stay taken, and who holds a record can still prove it.';
COMMENT ON TABLE trustlog.outbox IS 'Committed records that are not sealed yet.';
COMMENT ON TABLE trustlog.leaf IS 'The log: one leaf for each sealed record, without gaps. Append-only.';
COMMENT ON TABLE trustlog.tile IS 'Full tiles of the Merkle tree, 256 hashes wide. Append-only.';
COMMENT ON TABLE trustlog.set_aside IS 'Records that could not be sealed, and why. Empty unless somebody went past the table''s checks.';
COMMENT ON TABLE trustlog.unattested IS 'Sealed records that are not attested and behind the delivery cursor.';
COMMENT ON TABLE trustlog.attestation IS 'The evidence that records were attested by something other than their sealing. Append-only.';
COMMENT ON TABLE trustlog.retry IS 'Records whose attestation failed: when to try again, or DEAD_LETTER.';
COMMENT ON TABLE trustlog.cursor IS 'Positions by key. Keys that begin with "delivery" are the worker''s.';
COMMENT ON TABLE trustlog.state IS 'What outlives a restart: the sink in force, a pause, the epoch of the log. One row at most.';
COMMENT ON TABLE trustlog.home IS 'The database in which the log was begun or continued.';
COMMENT ON TYPE trustlog.operation_found IS 'A row of find_by_id().';
COMMENT ON VIEW trustlog.operation_status IS 'Every record with its status, leaf index and time of attestation.';
COMMENT ON VIEW trustlog.dead_letter IS 'Records that were given up after their retries, with the last error.';
COMMENT ON VIEW trustlog.stat IS 'How the extension is doing in this database: one row. Begin here.';
COMMENT ON VIEW trustlog.stat_worker IS 'One row for each process of the extension on this server.';

COMMENT ON FUNCTION trustlog.save(text, text, text, text, text, int, text, text, timestamptz, text, text, inet, inet, text, text)
    IS 'Saves one operation in this transaction. The same op_id with the same content again succeeds with created = false; with other content it is an error (23505).';
COMMENT ON FUNCTION trustlog.save(jsonb) IS 'Saves one operation given as a JSON object; the keys are the columns of trustlog.operation.';
COMMENT ON FUNCTION trustlog.save_batch(jsonb) IS 'Saves an array of operations, all or none; one row each, in the order given.';
COMMENT ON FUNCTION trustlog.update_status(text, text) IS 'Sets the status of a record by hand: TRUSTLOGGED, or back to NOT_TRUSTLOGGED if it was set by hand.';
COMMENT ON FUNCTION trustlog.update_status_cas(text, text, text) IS 'Sets the status if it is the expected one; among any number of callers one gets true.';
COMMENT ON FUNCTION trustlog.find_by_id(text) IS 'The record with this op_id, also when it was erased: at most one row.';
COMMENT ON FUNCTION trustlog.find_untrustlogged(int) IS 'Records that are not attested yet, oldest first.';
COMMENT ON FUNCTION trustlog.find_untrustlogged_with_lock(int) IS 'The same, locked until this transaction ends; records that others have locked are skipped.';
COMMENT ON FUNCTION trustlog.query_operations(text, text, int, text, text, text, text, text, text, inet, inet, timestamptz, timestamptz, text, int, int, text, boolean)
    IS 'One page of the records that match all filters; NULL or empty is no filter.';
COMMENT ON FUNCTION trustlog.count_operations(text, text, int, text, text, text, text, text, text, inet, inet, timestamptz, timestamptz, text)
    IS 'How many records match all filters.';
COMMENT ON FUNCTION trustlog.query_operations_page(text, text, int, text, text, text, text, text, text, inet, inet, timestamptz, timestamptz, text, int, int, text, boolean)
    IS 'As query_operations(), as one JSON object with the total and the number of pages.';
COMMENT ON FUNCTION trustlog.get_cursor(text) IS 'The value of a cursor, NULL if there is none.';
COMMENT ON FUNCTION trustlog.update_cursor(text, text) IS 'Sets a cursor, new or not.';
COMMENT ON FUNCTION trustlog.init_cursor(text, text) IS 'Sets a cursor that does not exist yet; returns the value in force.';
COMMENT ON FUNCTION trustlog.update_cursor_cas(text, text, text) IS 'Sets a cursor if it has the expected value; whether it had.';
COMMENT ON FUNCTION trustlog.read_log(bigint, int) IS 'The log in order, from an index on: with a cursor of one''s own it can be consumed without missing a record.';
COMMENT ON FUNCTION trustlog.add_retry(text, text, timestamptz) IS 'Queues a record to be tried again, by default after the configured back-off.';
COMMENT ON FUNCTION trustlog.increment_retry(text, text, timestamptz) IS 'Counts a failed try; returns how many there were.';
COMMENT ON FUNCTION trustlog.mark_as_dead_letter(text, text) IS 'Gives a record up until it is requeued.';
COMMENT ON FUNCTION trustlog.requeue_dead_letters(text[]) IS 'Makes dead letters due now, those named or all; returns how many.';
COMMENT ON FUNCTION trustlog.discard_dead_letter(text, text) IS 'Gives a dead letter up for good, for a reason that is written to the server log: the record stays, unattested, and is in no backlog.';
COMMENT ON FUNCTION trustlog.find_pending_retries(int) IS 'Retries that are due, soonest first.';
COMMENT ON FUNCTION trustlog.find_pending_retries_with_lock(int) IS 'The same, locked until this transaction ends; what others have locked is skipped.';
COMMENT ON FUNCTION trustlog.delete_retry(text) IS 'Takes a record out of the retries; whether it was there.';
COMMENT ON FUNCTION trustlog.seal() IS 'Seals every committed record in this transaction; returns how many. For servers that do not preload the library.';
COMMENT ON FUNCTION trustlog.wait_for_attestation(text, interval) IS 'Waits until a record is attested; false when the time is up before.';
COMMENT ON FUNCTION trustlog.pause(text) IS 'Stops delivery, or sealing as well (all), until resume(); survives restarts. Saving goes on.';
COMMENT ON FUNCTION trustlog.resume() IS 'Ends a pause.';
COMMENT ON FUNCTION trustlog.continue_log(boolean) IS 'Lets a restored log grow again: as a new history, or as the same one if the old copy is gone for good. Returns how many records wait.';
COMMENT ON FUNCTION trustlog.tree_head() IS 'Size and root hash of the log (RFC 6962).';
COMMENT ON FUNCTION trustlog.grant_access(text, text) IS 'Gives a role what a writer, reader, operator or auditor needs.';
COMMENT ON FUNCTION trustlog.random_salt() IS 'Internal: 16 random bytes, the default of operation.salt.';
COMMENT ON FUNCTION trustlog.is_preloaded() IS 'Internal: whether the library is in shared_preload_libraries.';
COMMENT ON FUNCTION trustlog.stat_get_workers() IS 'Internal: what view stat_worker shows.';
COMMENT ON FUNCTION trustlog.stat_get_freeze() IS 'Internal: why the log is frozen, NULL when it is not.';
COMMENT ON FUNCTION trustlog.stat_now() IS 'Internal: what view stat shows.';
COMMENT ON FUNCTION trustlog.delivery_cursor() IS 'Internal: the position of delivery when the sink in force is http.';
COMMENT ON FUNCTION trustlog.wake_worker_at_end() IS 'Internal: has the worker look again when this transaction ends.';
COMMENT ON FUNCTION trustlog.check_max_rows(int) IS 'Internal: refuses a max_rows out of range.';
COMMENT ON FUNCTION trustlog.check_filters(text, text) IS 'Internal: refuses a status or strategy that does not exist.';
COMMENT ON FUNCTION trustlog.query_conditions() IS 'Internal: the WHERE clause of the query functions.';
COMMENT ON FUNCTION trustlog.fill_do_prefix() IS 'Internal: trigger of trustlog.operation.';
COMMENT ON FUNCTION trustlog.feed_outbox() IS 'Internal: trigger of trustlog.operation.';
COMMENT ON FUNCTION trustlog.guard_append_only() IS 'Internal: trigger of the append-only tables.';

-- The sealer walks its queue in index order, whatever the statistics say: a worker insists on it for its whole session.
ALTER FUNCTION trustlog.seal() SET enable_seqscan = off;
ALTER FUNCTION trustlog.seal() SET enable_bitmapscan = off;
ALTER FUNCTION trustlog.seal() SET enable_sort = off;
ALTER FUNCTION trustlog.seal() SET enable_hashjoin = off;
ALTER FUNCTION trustlog.seal() SET enable_mergejoin = off;
ALTER FUNCTION trustlog.seal() SET enable_indexscan = on;
ALTER FUNCTION trustlog.seal() SET enable_indexonlyscan = on;
ALTER FUNCTION trustlog.seal() SET enable_tidscan = on;
ALTER FUNCTION trustlog.seal() SET enable_nestloop = on;
ALTER FUNCTION trustlog.seal() SET plan_cache_mode = auto;
ALTER FUNCTION trustlog.seal() SET jit = off;

-- Nothing is for everybody. What a role needs it gets by trustlog.grant_access().
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA trustlog FROM PUBLIC;
REVOKE USAGE ON TYPE trustlog.operation_found FROM PUBLIC;

-- Install scripts run with notices turned down; this one is meant to be read.
ALTER FUNCTION trustlog.after_install() SET client_min_messages = notice;
SELECT trustlog.after_install();
DROP FUNCTION trustlog.after_install();
