# shellcheck shell=bash disable=SC2034,SC2154
# Sink "manual": programs of one's own attest the records, through SQL, and do not get in each other's way.

title "Attesting by programs of one's own"
PGDATABASE=callers
PGDATABASE=postgres ask "CREATE DATABASE callers"
PGDATABASE=postgres play 05-callers.sql
wait_until "a worker has started" "SELECT state = 'ok' FROM trustlog.stat"
play 05-callers-save.sql
wait_until "everything is sealed" "SELECT size = 400 FROM trustlog.tree_head()"
check "all are sealed, and none is attested yet" "SELECT tree_size = 400 AND not_attested = 400 FROM trustlog.stat"

heading "Eight sessions try to attest the same 100 records at the same moment, with"
statement "SELECT trustlog.update_status_cas('task-1', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED');"
for n in {1..100}; do
    echo "SELECT 'task-$n' WHERE trustlog.update_status_cas('task-$n', 'NOT_TRUSTLOGGED', 'TRUSTLOGGED');"
done >"$FILES/race.sql"
pids=() at=$(ask "SELECT clock_timestamp() + '0.5 s'")
for n in {1..8}; do
    "$BIN/psql" -XqAt -v ON_ERROR_STOP=1 -c "DO \$\$ BEGIN PERFORM pg_sleep_until('$at'); END \$\$" -f "$FILES/race.sql" \
        >"$FILES/won.$n" &
    pids+=($!)
done
join "${pids[@]}"
printf '    session    1    2    3    4    5    6    7    8\n    won    '
for n in {1..8}; do printf '%5d' "$(wc -l <"$FILES/won.$n")"; done
echo
won=$(cat "$FILES"/won.[1-8] | wc -l) different=$(cat "$FILES"/won.[1-8] | sort -u | wc -l)
verdict "each of the 100 races had exactly one winner" $((won == 100 && different == 100)) 100 "$won, $different different"

heading "Two workers share the other 300: each takes ten, works a little, attests them, commits:"
while IFS= read -r text; do statement "$text"; done < <(grep -v '^--' "$DEMO/acts/05-callers-pull.sql")
ask "CREATE TABLE pulled (op_id text, worker text)"
pull() {
    while [[ $(ask "SELECT count(*) FROM trustlog.find_untrustlogged(1)") != 0 ]]; do
        "$BIN/psql" -Xq -v ON_ERROR_STOP=1 -v worker="$1" -o /dev/null -f "$DEMO/acts/05-callers-pull.sql" || return
    done
}
pull A &
pids=($!)
pull B &
pids+=($!)
join "${pids[@]}"
play 05-callers-result.sql
check "no record was given to both, and none was left out" \
    "SELECT count(*) = 300 AND count(DISTINCT op_id) = 300 AND count(DISTINCT worker) = 2 FROM pulled"
check "all 400 are attested now" "SELECT not_attested = 0 AND attested_total = 400 FROM trustlog.stat"
PGDATABASE=demo
