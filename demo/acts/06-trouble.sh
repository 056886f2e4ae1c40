# shellcheck shell=bash disable=SC2034,SC2154
# Pause and resume, the end of a worker, the crash of the whole server.

title "Trouble"
size=$(ask "SELECT size FROM trustlog.tree_head()")
play 06-pause.sql
check "the record is saved and waits; the log did not grow" \
    "SELECT state = 'paused' AND not_attested = 1 AND tree_size = $size FROM trustlog.stat"
play 06-resume.sql
check "after resume() it is attested" "SELECT trustlog_status = 'TRUSTLOGGED' FROM trustlog.find_by_id('during-pause')"

worker="SELECT pid FROM trustlog.stat_worker WHERE kind = 'worker' AND datname = 'demo'"
before=$(ask "$worker")
play 06-kill.sql
after=$(ask "$worker")
check "another worker (process $after after $before) has taken over" "SELECT $after <> $before AND state = 'ok' FROM trustlog.stat"

heading "The server crashes while four clients save (each record a transaction of its own)..."
for n in {1..4}; do
    for ((i = 1; i <= 20000; i++)); do
        echo "SELECT 'crash-$n-$i' FROM trustlog.save('crash-$n-$i', 'alice', '10.5555.shop/$i', 'shop', 'DOIP', 1, 'shop');"
    done >"$FILES/crash.$n.sql"
    "$BIN/psql" -XqAt -v ON_ERROR_STOP=1 -f "$FILES/crash.$n.sql" >"$FILES/acknowledged.$n" 2>/dev/null &
done
sleep 1
kill -QUIT "$POSTMASTER" # an immediate stop: nothing is written any more, the next start recovers
wait
while kill -0 "$POSTMASTER" 2>/dev/null; do sleep 0.05; done
server_start
acknowledged=$(cat "$FILES"/acknowledged.[1-4] | wc -l)
verdict "$(figures "$acknowledged") saves had been acknowledged when it happened" $((acknowledged > 0)) "some" "$acknowledged"
ask "CREATE TABLE acknowledged (op_id text)"
cat "$FILES"/acknowledged.[1-4] | "$BIN/psql" -Xq -c "COPY acknowledged FROM STDIN"
wait_until "everything is sealed" "SELECT state = 'ok' AND not_attested = 0 FROM trustlog.stat"
check "after the restart every one of them is there, and attested" \
    "SELECT bool_and(trustlog_status = 'TRUSTLOGGED') AND count(*) = $acknowledged
       FROM acknowledged JOIN trustlog.operation_status USING (op_id)"
check "the log has one leaf for each record, without a gap" \
    "SELECT count(*) = max(idx) + 1 AND count(*) = (SELECT count(*) FROM trustlog.operation) FROM trustlog.leaf"
