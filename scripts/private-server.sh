# shellcheck shell=bash
# A private server for the demo and the benchmarks; source it, do not run it. It listens on a Unix socket only, in a
# folder closed to other users, and its programs are a private tree's, so that no other server is touched.
#
#   private_server NAME      claims the folder $WORK/NAME (a second run of the same name waits outside), removes what an
#                            earlier run left there, and removes all again when this script ends, however it ends
#   server_create            makes the cluster; settings, one a line, come from standard input
#   server_start, server_stop MODE
#   keep_server              leaves it running and its folder in place at the end
#   remove_server            ends one that was kept

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Whatever the caller's environment says about servers is about others.
unset "${!PG@}" RUST_BACKTRACE
PG_MAJOR=${PRIVATE_SERVER_PG_MAJOR:=${PG_MAJOR:-15}}
