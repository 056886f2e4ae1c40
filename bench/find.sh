# shellcheck shell=bash disable=SC2154
# What reading costs with a large table: time, and pages of shared memory that were looked at.

SIZE=${SIZE:-1000000}
title "find: $(figures "$SIZE") attested records, 1,000 more that wait"
bench_server </dev/null
new_database bench
fill 1 "$SIZE"
wait_until_sealed
ask "VACUUM ANALYZE"
ask "SELECT trustlog.pause('all')" >/dev/null
fill $((SIZE + 1)) $((SIZE + 1000))
ask "CHECKPOINT"
wait_for_quiet

# EXPLAIN's own figures, those of statements inside functions included. Each runs once before, to be in memory.
cat >"$FILES/find.sql" <<'SQL'
CREATE FUNCTION pg_temp.cost(query text, rounds int) RETURNS TABLE (ms numeric, pages bigint, records bigint) LANGUAGE plpgsql AS $$
DECLARE plan jsonb;
BEGIN
    FOR round IN 0..rounds LOOP
        EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' || query INTO plan;
        CONTINUE WHEN round = 0;
        ms := (plan -> 0 ->> 'Execution Time')::numeric + (plan -> 0 ->> 'Planning Time')::numeric;
        pages := (plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::bigint + (plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::bigint;
        records := (plan -> 0 -> 'Plan' ->> 'Actual Rows')::bigint;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT q.what, round((percentile_disc(0.5) WITHIN GROUP (ORDER BY c.ms))::numeric, 2),
       percentile_disc(0.5) WITHIN GROUP (ORDER BY c.pages), max(c.records)
  FROM (VALUES
    (1, 'find_by_id()', 'SELECT * FROM trustlog.find_by_id(''op-4711'')'),
    (2, 'find_untrustlogged(100)', 'SELECT * FROM trustlog.find_untrustlogged(100)'),
    (3, 'find_untrustlogged_with_lock(100)', 'SELECT * FROM trustlog.find_untrustlogged_with_lock(100)'),
    (4, 'read_log(SIZE / 2, 100)', format('SELECT * FROM trustlog.read_log(%s, 100)', :size / 2)),
    (5, 'query: no filter, page 1', 'SELECT * FROM trustlog.query_operations()'),
    (6, 'query: no filter, page 50', 'SELECT * FROM trustlog.query_operations(page_number => 50)'),
    (7, 'query: newest first', 'SELECT * FROM trustlog.query_operations(order_desc => true)'),
    (8, 'query: by timestamp', 'SELECT * FROM trustlog.query_operations(order_by => ''timestamp'')'),
    (9, 'query: by op_id', 'SELECT * FROM trustlog.query_operations(order_by => ''op_id'')'),
    (10, 'query: one op_id', 'SELECT * FROM trustlog.query_operations(op_id => ''op-4711'')'),
    (11, 'query: an actor (1 in 1,000)', 'SELECT * FROM trustlog.query_operations(op_actor => ''actor-7'')'),
    (12, 'query: part of a doid (rare)', 'SELECT * FROM trustlog.query_operations(doid => ''object-4711'')'),
    (13, 'query: NOT_TRUSTLOGGED, newest', 'SELECT * FROM trustlog.query_operations(trustlog_status => ''NOT_TRUSTLOGGED'', order_desc => true)'),
    (14, 'query: NOT_TRUSTLOGGED, oldest', 'SELECT * FROM trustlog.query_operations(trustlog_status => ''NOT_TRUSTLOGGED'')'),
    (15, 'query: the last minute', 'SELECT * FROM trustlog.query_operations(time_from => now() - interval ''1 min'')'),
    (16, 'count_operations()', 'SELECT trustlog.count_operations()'),
    (17, 'count: an actor', 'SELECT trustlog.count_operations(op_actor => ''actor-7'')'),
    (18, 'stat', 'SELECT * FROM trustlog.stat'),
    (19, 'tree_head()', 'SELECT * FROM trustlog.tree_head()')) AS q (n, what, query),
    LATERAL pg_temp.cost(q.query, :rounds) AS c
 GROUP BY q.n, q.what ORDER BY q.n;
SQL
begin_measuring
"$BIN/psql" -XqAt -F $'\t' -v ON_ERROR_STOP=1 -v size="$SIZE" -v rounds="$((ROUNDS + 2))" -f "$FILES/find.sql" >"$FILES/find"
end_measuring
printf '\n%-36s %10s %9s %8s\n' '' ms pages rows
while IFS=$'\t' read -r what ms pages records; do
    printf '%-36s %10s %9s %8s\n' "${what/SIZE \/ 2/"$((SIZE / 2))"}" "$ms" "$(figures "$pages")" "$records"
done <"$FILES/find"
((FOREIGN <= 10)) || note "* others used $FOREIGN % of the machine"
