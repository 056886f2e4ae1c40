# shellcheck shell=bash
# A private server for the demo and the benchmarks; source it, do not run it. It listens on a Unix socket only, in a
# folder closed to other users, and runs from a private tree, so that no other server is touched.
#
#   private_server NAME      claims the folder $WORK/NAME, which goes again when the script ends, however it ends
#   server_create            makes the cluster; its settings come from standard input
#   server_start, server_stop MODE
#
# With KEEP=1 the server and its folder stay at the end; the next private_server NAME removes them.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Whatever the caller's environment says about servers is about others.
unset PGHOST PGHOSTADDR PGPORT PGUSER PGPASSWORD PGPASSFILE PGDATABASE PGOPTIONS PGSERVICE PGSERVICEFILE PGSSLMODE
unset PGAPPNAME PGCLIENTENCODING PGDATESTYLE PGTZ RUST_BACKTRACE
export LC_ALL=C.UTF-8 PSQLRC=/dev/null
KEEP=${KEEP:-0}

private_server() {
    ensure_work
    local pg_config
    pg_config=$("$ROOT/scripts/private-tree" release)
    BIN=$("$pg_config" --bindir)
    FOLDER=$WORK/$1
    FILES=$FOLDER/files   # ours
    SOCKET=$FOLDER/server # the server's: socket, log, data
    ((${#SOCKET} < 85)) || die "$SOCKET is too long for a socket" "set TRUSTLOG_WORK to a folder with a shorter name"

    exec 8>"$FOLDER.lock"
    flock -n 8 || die "another '$1' is running"
    trap finish EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 141' PIPE
    trap 'exit 143' TERM
    remove_server
    mkdir -- "$FOLDER" "$FILES"
    install -d -m 700 -- "$SOCKET"
    ! is_root || chown "$(server_user)" -- "$SOCKET"
    export PGHOST=$SOCKET PGUSER=postgres
}

server_create() {
    in_server initdb -D "$SOCKET/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$FILES/initdb.log" 2>&1 ||
        die "initdb failed" "$(<"$FILES/initdb.log")"
    {
        printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$SOCKET'" "timezone = 'UTC'" \
            "shared_preload_libraries = 'trustlog'"
        cat
    } | as_server tee -a "$SOCKET/data/postgresql.conf" >/dev/null
}

server_start() {
    in_server pg_ctl start -s -w -t 60 -D "$SOCKET/data" -l "$SOCKET/log" 8>&- ||
        die "the server does not start" "$(tail -n 20 -- "$SOCKET/log")"
    # shellcheck disable=SC2034
    POSTMASTER=$(head -n 1 -- "$SOCKET/data/postmaster.pid")
}

server_stop() { in_server pg_ctl stop -s -w -t 60 -m "$1" -D "$SOCKET/data"; }

# Runs a program of PostgreSQL as the user that runs servers, with nothing of our environment.
in_server() {
    local program=$1
    shift
    (cd / && as_server env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 "$BIN/$program" "$@")
}

# Ends what is left in the folder, and removes it.
remove_server() {
    local pid
    pid=$(head -qn 1 -- "$SOCKET/data/postmaster.pid" 2>/dev/null) || pid=
    # Never a process that only has the same number.
    if [[ -n $pid && $(readlink "/proc/$pid/cwd" 2>/dev/null) == "$SOCKET/data" ]]; then
        server_stop immediate || kill -QUIT "$pid" || true
    fi
    rm -rf -- "$FOLDER"
}

finish() {
    local status=$? job
    trap '' INT TERM HUP PIPE
    set +e
    for job in $(jobs -p); do kill "$job" 2>/dev/null; done
    if ((status != 0 && status < 128)) && [[ -s $SOCKET/log ]]; then
        printf -- '-- The end of the server log:\n' >&2
        tail -n 15 -- "$SOCKET/log" | cut -c1-200 >&2
    fi
    if ((KEEP == 0 || status != 0)); then
        remove_server
    fi
    rm -f -- "$FOLDER.lock"
    exit "$status"
}
