# shellcheck shell=bash disable=SC2034,SC2154
# How to go on.

title "That was it"
tell "Everything above was checked; it took $(seconds $(($(now) - start)))."
if ((KEEP)); then
    tell "The server is still running. Look around, and end it when you have seen enough:"
    printf '\n    %s -h %s -U postgres demo\n    demo/run --stop\n' "$BIN/psql" "$SOCKET"
else
    tell "The server ends now and its folder is removed. To keep both: DEMO_KEEP=1 make demo"
fi
