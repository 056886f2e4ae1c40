# shellcheck shell=bash disable=SC2034,SC2154
# What can be seen: how it is doing, the head of the log, one record, a page of them.

title "Looking"
op_id=$(ask "SELECT op_id FROM trustlog.operation ORDER BY \"timestamp\" DESC, seq LIMIT 1")
actor=$(ask "SELECT op_actor FROM trustlog.operation WHERE op_id = '${op_id//"'"/"''"}'")
play 03-look.sql op_id="$op_id" actor="$actor"
check "nothing is left to attest, nothing failed" \
    "SELECT state = 'ok' AND not_attested = 0 AND retry_queue + dead_letters = 0 AND last_error IS NULL FROM trustlog.stat"
check "the head of the log counts every record" "SELECT size = $total FROM trustlog.tree_head()"
check "the record is attested and has its place in the log" \
    "SELECT trustlog_status = 'TRUSTLOGGED' AND leaf_index >= 0 FROM trustlog.find_by_id('${op_id//"'"/"''"}')"
