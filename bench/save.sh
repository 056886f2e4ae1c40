# shellcheck shell=bash disable=SC2154
# What saving costs, against a bare table with the same columns and a unique op_id.

SECONDS_EACH=${SECONDS_EACH:-8}
title "save: records a second, against a bare table"
bench_server </dev/null
new_database bench
ask "CREATE TABLE bare (LIKE trustlog.operation INCLUDING IDENTITY, PRIMARY KEY (seq), UNIQUE (op_id));
     ALTER TABLE bare ALTER salt SET DEFAULT decode(md5('salt'), 'hex'), ALTER strategy SET DEFAULT 'DB_AND_TRUSTLOG',
         ALTER created_at SET DEFAULT now(), ALTER \"timestamp\" SET DEFAULT now()"

# The scripts of pgbench: :n is random, so op_ids do not repeat (2^53 of them).
script() { printf '\\set n random(1, 9007199254740992)\n%s;\n' "$2" >"$FILES/$1.pgbench"; }

values="'op-' || :n::text, 'actor', '86.1000.1/object', 'producer', 'DOIP', 1"
rows="SELECT 'op-' || :n::text || '-' || g, 'actor', '86.1000.1/object', 'producer', 'DOIP', 1, '86.1000.1', 'repository'
    FROM generate_series(1, 100) AS g"
columns='op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix, do_repository'
json="(SELECT jsonb_agg(jsonb_build_object('op_id', 'op-' || :n::text || '-' || g, 'op_actor', 'actor',
    'doid', '86.1000.1/object', 'producer_id', 'producer', 'op_source', 'DOIP', 'op_code', 1,
    'do_prefix', '86.1000.1', 'do_repository', 'repository')) FROM generate_series(1, 100) AS g)"
script save-one "SELECT * FROM trustlog.save($values, 'repository')"
script bare-one "INSERT INTO bare ($columns) VALUES ($values, '86.1000.1', 'repository')
    ON CONFLICT (op_id) DO NOTHING RETURNING seq"
script save-row "INSERT INTO trustlog.operation ($columns) VALUES ($values, '86.1000.1', 'repository')"
script bare-row "INSERT INTO bare ($columns) VALUES ($values, '86.1000.1', 'repository')"
script save-batch "SELECT count(*) FROM trustlog.save_batch($json)"
script bare-batch "INSERT INTO bare ($columns) SELECT $columns FROM jsonb_to_recordset($json) AS r (op_id text, op_actor text,
    doid text, producer_id text, op_source text, op_code int, do_prefix text, do_repository text)
    ON CONFLICT (op_id) DO NOTHING RETURNING seq"
script save-insert "INSERT INTO trustlog.operation ($columns) $rows"
script bare-insert "INSERT INTO bare ($columns) $rows"

# run_pgbench CELL SCRIPT CLIENTS PER: so many records a transaction.
run_pgbench() {
    local records
    before_cell
    "$BIN/pgbench" -n -M prepared -c "$3" -T "$SECONDS_EACH" -f "$FILES/$2.pgbench" >"$FILES/pgbench.out" 2>&1 ||
        die "pgbench failed" "$(tail -n 5 "$FILES/pgbench.out")"
    end_measuring
    records=$(($(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$FILES/pgbench.out") * $4))
    after_cell "$1" "$records"
}

# run_copy CELL TABLE: 100,000 records in one transaction.
copied=0
run_copy() {
    copied=$((copied + 1))
    awk -v run="$copied" 'BEGIN { OFS = "\t"; for (i = 1; i <= 100000; i++)
        print "copy-" run "-" i, "actor", "86.1000.1/object", "producer", "DOIP", 1, "86.1000.1", "repository" }' >"$FILES/copy"
    before_cell
    "$BIN/psql" -Xq -v ON_ERROR_STOP=1 -c "COPY $2 ($columns) FROM STDIN" <"$FILES/copy"
    end_measuring
    after_cell "$1" 100000
}

before_cell() {
    wait_for_quiet
    lsn=$(ask "SELECT pg_current_wal_lsn()")
    begin_measuring
}

# WAL and processor time of a record include those of sealing it, where the worker is on.
after_cell() {
    # shellcheck disable=SC2034 # record takes OTHERS
    local rate=$(($2 * 1000 / MILLISECONDS)) OTHERS=$FOREIGN
    if [[ $1 == *worker* ]]; then
        wait_until_sealed
        end_measuring
    fi
    record save "$1" "$rate" "$(ask "SELECT round(pg_wal_lsn_diff(pg_current_wal_lsn(), '$lsn') / $2)")" \
        "$(awk -v cpu="$CPU" -v n="$2" 'BEGIN { printf "%.1f", cpu / n }')"
}

worker() {
    set_for bench worker_enabled "$1"
    wait_until "the worker is $1" "SELECT state = '$2' FROM trustlog.stat"
}

ways=("one save() a transaction, 1 client" "one save() a transaction, 8 clients" "one INSERT a transaction, 1 client"
    "save_batch() of 100, 1 client" "INSERT of 100 rows, 1 client" "COPY of 100,000 rows, 1 client")
for ((round = 1; round <= ROUNDS; round++)); do
    progress "round $round of $ROUNDS"
    for table in bare save "save, worker"; do
        case $table in
        save) worker off disabled ;;
        "save, worker") worker on ok && wait_until_sealed ;;
        esac
        script=${table%%,*}
        run_pgbench "$table ${ways[0]}" "$script-one" 1 1
        run_pgbench "$table ${ways[1]}" "$script-one" 8 1
        run_pgbench "$table ${ways[2]}" "$script-row" 1 1
        run_pgbench "$table ${ways[3]}" "$script-batch" 1 100
        run_pgbench "$table ${ways[4]}" "$script-insert" 1 100
        run_copy "$table ${ways[5]}" "$([[ $table == bare ]] && echo bare || echo trustlog.operation)"
    done
done

printf '\n%-36s %-22s %9s %6s %8s %11s\n' '' '' records/s ratio CPU/rec WAL/record
for way in "${ways[@]}"; do
    base=$(median save "bare $way" 1) label=$way
    for table in bare save "save, worker"; do
        case $table in
        bare) what="bare table" ;;
        save) what="saved only" ;;
        *) what="saved, sealed meanwhile" ;;
        esac
        rate=$(median save "$table $way" 1)
        printf '%-36s %-23s %8s %6s %5.0f us %9.0f B%s\n' "$label" "$what" "$(figures "${rate%.*}")" "$(ratio "$rate" "$base")" \
            "$(median save "$table $way" 3)" "$(median save "$table $way" 2)" "$(flag save "$table $way")"
        label=''
    done
done
