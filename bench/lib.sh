# shellcheck shell=bash disable=SC2034
# What the benchmarks share: the server, the watch for foreign load, medians, tables.

# shellcheck source-path=SCRIPTDIR source=../scripts/private-server.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../scripts/private-server.sh"
BENCH=$ROOT/bench
ROUNDS=${ROUNDS:-3}
export PGDATABASE=bench PGAPPNAME=bench

title() { printf '\n== %s ==\n\n' "$1"; }
note() { printf '%s\n' "$*" | fold -s -w 100 | sed 's/ *$//'; }
progress() { printf '   ... %s\n' "$*" >&2; }

# One value, or several separated by tabs.
ask() { "$BIN/psql" -XqAt -F $'\t' -v ON_ERROR_STOP=1 -c "$1"; }

# Milliseconds.
now() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

figures() {
    local text=$1
    while [[ $text =~ ^([0-9]+)([0-9]{3}.*)$ ]]; do text=${BASH_REMATCH[1]},${BASH_REMATCH[2]}; done
    echo "$text"
}

machine() {
    note "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores," \
        "$(awk '/^MemTotal/ { printf "%d GB", $2 / 1048576 + 0.5 }' /proc/meminfo), $(uname -sr)," \
        "files on $(df --output=fstype -- "$WORK" | tail -n 1)"
    note "commit $(git -c safe.directory='*' -C "$ROOT" describe --always --dirty 2>/dev/null || echo unknown)," \
        "$(date -u +%FT%TZ), load average $(cut -d' ' -f1-3 /proc/loadavg)"
}

# A server with the settings of all benchmarks, and those on standard input.
bench_server() {
    private_server bench
    {
        cat <<'SETTINGS'
shared_buffers = 512MB
max_wal_size = 8GB
checkpoint_timeout = 30min
autovacuum_naptime = 10s
max_connections = 50
log_checkpoints = off
SETTINGS
        cat
    } | server_create
    server_start
    PGDATABASE=postgres ask "SELECT 'PostgreSQL ' || current_setting('server_version')"
    PGDATABASE=postgres ask "SELECT string_agg(name || ' = ' || current_setting(name), ', ' ORDER BY name)
         FROM pg_settings WHERE source = 'configuration file' AND name ~ '^(shared_buf|max_wal|checkp|autov|trustlog|track)'
            OR name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'wal_level')" | fold -s -w 100
}

# A new database with the extension; settings NAME=VALUE are in force from the beginning.
new_database() {
    local name=$1 setting
    shift
    PGDATABASE=postgres ask "DROP DATABASE IF EXISTS $name" 2>/dev/null
    PGDATABASE=postgres ask "CREATE DATABASE $name"
    for setting; do set_for "$name" "${setting%%=*}" "${setting#*=}"; done
    PGDATABASE=$name ask "CREATE EXTENSION trustlog"
    PGDATABASE=$name wait_until "a worker has started" "SELECT count(*) = 1 FROM trustlog.stat_worker WHERE datname = '$name'"
}

set_for() { PGDATABASE=postgres ask "ALTER DATABASE $1 SET trustlog.$2 = '$3'"; }

wait_until() {
    local deadline=$(($(now) + ${3:-600} * 1000))
    until [[ $(ask "$2") == t ]]; do
        (($(now) < deadline)) || die "waited in vain until $1" "$2"
        sleep 0.1
    done
}

wait_until_sealed() { wait_until "everything is sealed" "SELECT NOT EXISTS (SELECT FROM trustlog.outbox)"; }

# Makes COUNT records from number FIRST on, as rows for an INSERT ... SELECT; FROM is a set of numbers n.
RECORD_COLUMNS='op_id, op_actor, doid, producer_id, op_source, op_code, do_prefix, do_repository, request_body_hash,
    response_body_hash, client_ip, server_ip, "timestamp"'
# shellcheck disable=SC2016
RECORD_VALUES="'op-' || n, 'actor-' || n % 1000, '86.1000.' || n % 50 || '/object-' || n, 'producer-' || n % 10, 'DOIP',
    (n % 5)::int, '86.1000.' || n % 50, 'repository-' || n % 20, md5(n::text) || md5((n + 1)::text),
    md5((n + 2)::text) || md5((n + 3)::text), '192.0.2.1'::inet, '198.51.100.1'::inet, clock_timestamp()"

# Saves records FIRST to LAST by INSERT, 10,000 a transaction.
fill() {
    ask "DO \$\$ BEGIN
        FOR i IN $1..$2 BY 10000 LOOP
            INSERT INTO trustlog.operation ($RECORD_COLUMNS)
            SELECT $RECORD_VALUES FROM generate_series(i, least(i + 9999, $2)) AS n;
            COMMIT;
        END LOOP;
    END \$\$"
}

# Holds a transaction open, with a snapshot and a transaction id, until let_go.
hold() {
    "$BIN/psql" -Xqo /dev/null -c "SET application_name = 'holder'" -c "BEGIN ISOLATION LEVEL REPEATABLE READ" \
        -c "SELECT txid_current()" -c "SELECT pg_sleep(86400)" 2>/dev/null &
    wait_until "a transaction is held open" "SELECT count(*) = 1 FROM pg_stat_activity
        WHERE application_name = 'holder' AND backend_xid IS NOT NULL AND backend_xmin IS NOT NULL AND wait_event = 'PgSleep'"
}

let_go() {
    ask "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'holder'" >/dev/null
}

# ---------------------------------------------------------------- foreign load

# Processor time so far, in ticks: of the whole machine; of our server and of the clients that have ended.
ticks() {
    # Processes that end meanwhile are no error.
    { cat /proc/stat /proc/[0-9]*/stat 2>/dev/null || true; } | awk -v us="$US" -v server="$POSTMASTER" '
        $1 == "cpu" { all = $2 + $3 + $4 + $7 + $8 + $9 }
        /^[0-9]/ {
            pid = $1
            sub(/^.*\) /, "") # the name may contain anything
            if (pid == server || pid == us) ours += $12 + $13 + $14 + $15
            else if ($2 == server) ours += $12 + $13
        }
        END { print all, ours }'
}

# Everything is measured between these two. end_measuring sets MILLISECONDS; CPU: the processor time our server and
# clients used, in microseconds; and FOREIGN: which part of the machine, in percent, others used meanwhile.
begin_measuring() {
    US=$BASHPID
    read -r ALL_BEFORE OURS_BEFORE < <(ticks)
    BEGAN=$(now)
}

end_measuring() {
    local all ours elapsed
    MILLISECONDS=$(($(now) - BEGAN + 1))
    sleep 0.2 # backends that have just ended are counted when the postmaster has noticed
    read -r all ours < <(ticks)
    elapsed=$(($(now) - BEGAN + 1))
    CPU=$(((ours - OURS_BEFORE) * 1000000 / $(getconf CLK_TCK)))
    FOREIGN=$((100 * (all - ALL_BEFORE - ours + OURS_BEFORE) * 1000 / $(getconf CLK_TCK) / elapsed / $(nproc)))
    ((FOREIGN >= 0)) || FOREIGN=0
}

# Waits (a while) until nobody else uses the machine.
wait_for_quiet() {
    local try
    for ((try = 0; try < ${QUIET_TRIES:-30}; try++)); do
        begin_measuring
        sleep 1
        end_measuring
        ((FOREIGN > 10)) || return 0
    done
    progress "the machine is busy with something else ($FOREIGN %), measuring all the same"
}

# ---------------------------------------------------------------- results

# record FILE CELL VALUES…   one round's values of a cell, with the foreign load.
record() {
    local file=$FILES/$1 cell=$2
    shift 2
    (
        IFS=$'\t'
        printf '%s\t%s\t%s\n' "$cell" "${OTHERS:-$FOREIGN}" "$*" >>"$file"
        progress "$cell: $* (others $FOREIGN %)"
    )
}

# The rounds of a cell that nobody disturbed, or all if there is none.
rounds() {
    awk -F '\t' -v cell="$2" '$1 == cell { all = all $0 "\n"; if ($2 <= 10) quiet = quiet $0 "\n" }
        END { printf "%s", quiet ? quiet : all }' "$FILES/$1"
}

# median FILE CELL COLUMN   (1: the first value)
median() {
    rounds "$1" "$2" | cut -f$(($3 + 2)) | sort -g |
        awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# How a rate relates to another, as 0.93.
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b ? a / b : 0 }'; }

# flag FILE CELL   marks a cell without an undisturbed round.
flag() {
    rounds "$1" "$2" | cut -f2 | sort -g | tail -n 1 |
        awk '$1 > 10 { printf "  * others used up to %d %% of the machine", $1 }'
}
