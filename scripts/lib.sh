# shellcheck shell=bash
# Shared by the scripts beside it; source it, do not run it.
#
# What may be set from outside:
#   PG_MAJOR              the PostgreSQL version to build for and test with (15)
#   TRUSTLOG_WORK         where the private PostgreSQL trees live
#   TRUSTLOG_CLUSTERS     where test clusters live (in memory where there is room, else in TRUSTLOG_WORK)
#   TRUSTLOG_SERVER_USER  who runs servers when we are root (postgres): PostgreSQL refuses root

set -euo pipefail
umask 022

: "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
export HOME
ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
PG_MAJOR=${PG_MAJOR:-15}
PGRX_VERSION=$(sed -n 's/^pgrx = "=\([0-9.]*\)".*/\1/p' "$ROOT/Cargo.toml")
SYSTEM_PG_CONFIG=/usr/lib/postgresql/$PG_MAJOR/bin/pg_config

# Below /var/tmp, not in the checkout: the user that runs servers must be able to reach it.
WORK=${TRUSTLOG_WORK:-/var/tmp/trustlog-$(id -u)-$(printf %s "$ROOT" | cksum | cut -d' ' -f1)}
IN_MEMORY=/dev/shm/$(basename -- "$WORK")
TOOLS=${XDG_CACHE_HOME:-$HOME/.cache}/trustlog/cargo-pgrx-$PGRX_VERSION

export PG_MAJOR PGRX_HOME=$WORK/pgrx
# cargo-pgrx would link with flags of its own, for which cargo compiles every dependency a second time. They keep
# an old linker from dropping the extension's SQL; that of Debian 12 and later keeps it without them.
export CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND=1
[[ ":$PATH:" == *":$HOME/.cargo/bin:"* ]] || PATH=$PATH:$HOME/.cargo/bin

say() { printf '== %(%T)T %s\n' -1 "$*" >&2; }

die() {
    printf 'error: %s\n' "$1" >&2
    shift
    (($# == 0)) || printf 'hint: %s\n' "$@" >&2
    exit 1
}

is_root() { [[ $(id -u) == 0 ]]; }

# Runs a command as root.
as_root() {
    if is_root; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "root is needed for: $*" "run it as root, or install sudo"
    fi
}

server_user() { if is_root; then echo "${TRUSTLOG_SERVER_USER:-postgres}"; else id -un; fi; }

# Runs a command as the user that runs servers.
as_server() {
    if is_root; then
        local user
        user=$(server_user)
        setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@"
    else
        "$@"
    fi
}

# Creates the work folder, or checks that the one found is ours and nobody else can write to it.
ensure_work() {
    local hint="set TRUSTLOG_WORK to a folder of your own"
    if [[ ! -e $WORK && ! -L $WORK ]]; then
        mkdir -p -- "$(dirname -- "$WORK")"
        mkdir -m 755 -- "$WORK" || die "cannot create $WORK" "$hint"
        touch -- "$WORK/.trustlog-work"
    fi
    [[ -d $WORK && ! -L $WORK && -O $WORK ]] || die "$WORK is not a folder of user $(id -un)" "$hint"
    [[ -z $(find "$WORK" -maxdepth 0 -perm /022) ]] || die "others can write to $WORK" "$hint"
    [[ -f $WORK/.trustlog-work ]] || die "$WORK was not made by these scripts" "$hint"
    if is_root && id "$(server_user)" >/dev/null 2>&1; then
        as_server test -x "$WORK" || die "user $(server_user) cannot enter $WORK" "$hint"
    fi
}

# Where test clusters live. In memory they start several times faster: each is a thousand small files.
clusters_dir() {
    local free
    free=$(df --output=avail -B1M -- "$(dirname -- "$IN_MEMORY")" 2>/dev/null | tail -1)
    if [[ -n ${TRUSTLOG_CLUSTERS:-} ]]; then
        echo "$TRUSTLOG_CLUSTERS"
    elif ((${free:-0} > 4096)) && awk '/^MemAvailable/ { exit $2 < 8 * 1024 * 1024 }' /proc/meminfo; then
        echo "$IN_MEMORY"
    else
        echo "$WORK/clusters"
    fi
}

# Sets PG_CONFIG where it is not given, the major version it belongs to, and PACKAGE: where its build goes.
target_pg_config() {
    PG_CONFIG=$(command -v -- "${PG_CONFIG:-$SYSTEM_PG_CONFIG}" || echo "${PG_CONFIG:-$SYSTEM_PG_CONFIG}")
    if [[ $PG_CONFIG != "$SYSTEM_PG_CONFIG" ]]; then
        PG_MAJOR=$("$PG_CONFIG" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/') || die "cannot run PG_CONFIG=$PG_CONFIG"
        SYSTEM_PG_CONFIG=/usr/lib/postgresql/$PG_MAJOR/bin/pg_config
        # Debian's /usr/bin/pg_config only calls that one.
        [[ $("$PG_CONFIG" --bindir) != "$(dirname -- "$SYSTEM_PG_CONFIG")" ]] || PG_CONFIG=$SYSTEM_PG_CONFIG
    fi
    export PG_CONFIG
    # shellcheck disable=SC2034
    PACKAGE=$ROOT/target/package/pg$PG_MAJOR
}

# The right cargo-pgrx: the one on the PATH, or our own copy.
find_cargo_pgrx() {
    local candidate
    for candidate in "$(command -v cargo-pgrx || true)" "$TOOLS/bin/cargo-pgrx"; do
        if [[ -x $candidate && $("$candidate" pgrx --version 2>/dev/null) == "cargo-pgrx $PGRX_VERSION" ]]; then
            export CARGO_PGRX=$candidate # pgrx-tests reads it, too
            return
        fi
    done
    return 1
}

# Runs cargo-pgrx in the checkout. Not through cargo, which may prefer another copy of it.
cargo_pgrx() {
    find_cargo_pgrx || die "cargo-pgrx $PGRX_VERSION is missing" "run scripts/setup"
    (cd -- "$ROOT" && "$CARGO_PGRX" pgrx "$@")
}
