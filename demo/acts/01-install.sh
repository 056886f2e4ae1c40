# shellcheck shell=bash disable=SC2034,SC2154
# A server, and the extension in one of its databases.

title "A server of our own, and the extension"
server_create <<'SETTINGS'
max_wal_size = 4GB
shared_buffers = 256MB
log_checkpoints = off
SETTINGS
server_start
tell "PostgreSQL $(PGDATABASE=postgres ask 'SHOW server_version') is running, on a Unix socket in $SOCKET." \
    "Its configuration has one line for us: shared_preload_libraries = 'trustlog'."
PGDATABASE=postgres ask 'CREATE DATABASE demo' >/dev/null
play 01-install.sql
wait_until "a worker has started" "SELECT state = 'ok' FROM trustlog.stat"
check "the database got its worker, with nothing to configure" \
    "SELECT count(*) = 1 FROM trustlog.stat_worker WHERE kind = 'worker' AND datname = 'demo'"
