# shellcheck shell=bash disable=SC2154
# How fast the worker seals a backlog, and what a long transaction does to that.

SIZE=${SIZE:-500000}
title "seal: a backlog of $(figures "$SIZE") records"
bench_server </dev/null
cells=("batches of 5000" "batches of 1000" "batches of 10000" "5000, transaction held since before" "5000, transaction held since after")

# seal_once CELL BATCH HELD: HELD is before or after the records were saved, or never.
seal_once() {
    local cell=$1 batch=$2 held=$3 lsn pid cpu seconds wal
    new_database bench worker_enabled=off seal_batch_size="$batch"
    [[ $held != before ]] || hold
    fill 1 "$SIZE"
    ask "VACUUM ANALYZE"
    ask "CHECKPOINT"
    [[ $held != after ]] || hold
    wait_for_quiet
    lsn=$(ask "SELECT pg_current_wal_lsn()")
    begin_measuring
    set_for bench worker_enabled on # a new worker starts, and reads it
    wait_until "everything is sealed" "SELECT coalesce(sum(sealed), 0) = $SIZE FROM trustlog.stat_worker WHERE datname = 'bench'"
    end_measuring
    IFS=$'\t' read -r pid seconds wal < <(ask "SELECT pid, extract(epoch FROM last_sealed_at - started_at),
        round(pg_wal_lsn_diff(pg_current_wal_lsn(), '$lsn') / $SIZE) FROM trustlog.stat_worker WHERE datname = 'bench'")
    cpu=$(awk -v hz="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); print ($12 + $13) / hz }' "/proc/$pid/stat")
    [[ $(ask "SELECT count(*) = $SIZE AND max(idx) = $SIZE - 1 FROM trustlog.leaf") == t ]] || die "not every record has a leaf"
    [[ $held == never ]] || let_go
    record seal "$cell" "$(awk -v n="$SIZE" -v s="$seconds" 'BEGIN { printf "%d", n / s }')" "$cpu" "$wal"
    PGDATABASE=postgres ask "DROP DATABASE bench"
}

for ((round = 1; round <= ROUNDS; round++)); do
    progress "round $round of $ROUNDS"
    seal_once "${cells[0]}" 5000 never
    seal_once "${cells[3]}" 5000 before
    seal_once "${cells[4]}" 5000 after
    seal_once "${cells[1]}" 1000 never
    seal_once "${cells[2]}" 10000 never
done

base=$(median seal "${cells[0]}" 1)
printf '\n%-38s %10s %7s %12s %10s\n' '' records/s ratio "CPU s/100k" WAL/record
for cell in "${cells[@]}"; do
    rate=$(median seal "$cell" 1)
    printf '%-38s %10s %7s %12s %8.0f B%s\n' "$cell" "$(figures "${rate%.*}")" "$(ratio "$rate" "$base")" \
        "$(ratio "$(median seal "$cell" 2)" "$(ratio "$SIZE" 100000)")" "$(median seal "$cell" 3)" "$(flag seal "$cell")"
done
