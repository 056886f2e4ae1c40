# shellcheck shell=bash disable=SC2154
# How long after its commit a record is attested. The poll is switched off, as it were: only the commit wakes the worker.

SECONDS_EACH=${SECONDS_EACH:-20}
title "latency: commit to TRUSTLOGGED, in milliseconds"
bench_server <<'SETTINGS'
track_commit_timestamp = on
trustlog.poll_interval = '10min'
SETTINGS

# Both times are the server's own: those of the commits of the record and of its leaf.
measure_rate() {
    local cell=$1 rate=$2 clients=$3
    new_database bench
    cat >"$FILES/latency.pgbench" <<'SCRIPT'
\set n random(1, 9007199254740992)
SELECT * FROM trustlog.save('op-' || :n::text, 'actor', '86.1000.1/object', 'producer', 'DOIP', 1, 'repository');
SCRIPT
    wait_for_quiet
    begin_measuring
    "$BIN/pgbench" -n -M prepared -R "$rate" -c "$clients" -T "$SECONDS_EACH" -f "$FILES/latency.pgbench" >"$FILES/pgbench.out" 2>&1 ||
        die "pgbench failed" "$(tail -n 5 "$FILES/pgbench.out")"
    end_measuring
    wait_until_sealed
    IFS=$'\t' read -r count p50 p95 p99 max < <(ask "
        SELECT count(*), percentile_disc(ARRAY[0.5, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY ms) AS p
          FROM (SELECT 1000 * extract(epoch FROM pg_xact_commit_timestamp(l.xmin) - pg_xact_commit_timestamp(o.xmin)) AS ms
                  FROM trustlog.operation o JOIN trustlog.leaf l USING (seq)) AS x" | tr -d '{}' | tr ',' '\t')
    record latency "$cell" "$count" "$p50" "$p95" "$p99" "$max"
    PGDATABASE=postgres ask "DROP DATABASE bench"
}

cells=("10 commits a second, 1 client" "500 commits a second, 4 clients")
for ((round = 1; round <= ROUNDS; round++)); do
    progress "round $round of $ROUNDS"
    measure_rate "${cells[0]}" 10 1
    measure_rate "${cells[1]}" 500 4
done
printf '\n%-34s %8s %8s %8s %8s %8s\n' '' records p50 p95 p99 max
for cell in "${cells[@]}"; do
    printf '%-34s %8s' "$cell" "$(median latency "$cell" 1)"
    for column in 2 3 4 5; do printf ' %8.2f' "$(median latency "$cell" "$column")"; done
    printf '%s\n' "$(flag latency "$cell")"
done
