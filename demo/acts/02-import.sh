# shellcheck shell=bash disable=SC2034,SC2154
# Real operations: this repository's history and the files of this machine's packages, saved in three ways.

title "Saving real operations, while the worker seals them"

# take FROM COUNT > FILE: so many records of the packages, from the one given on.
take() { awk -v from="$1" -v n="$2" 'NR >= from && NR < from + n' "$FILES/dpkg"; }

"$DEMO/records.sh" git >"$FILES/git" || : >"$FILES/git"
"$DEMO/records.sh" dpkg >"$FILES/dpkg" || : >"$FILES/dpkg"
history=$(wc -l <"$FILES/git") packages=$(wc -l <"$FILES/dpkg")
((history + packages > 0)) || die "found no operations: neither a git history nor dpkg's lists of files"
tell "Found $(figures "$history") operations in this repository's history (one for each path a commit changed) and" \
    "$(figures "$packages") installed files of this machine's packages. Each becomes one record: who, what, on which" \
    "object, the hash of the content, and when."

one=$((packages / 6 < 6000 ? packages / 6 : 6000)) # those of packages that are saved one by one
many=$(((packages - one) / 2))
take 1 "$many" >"$FILES/batch.records"
take $((many + 1)) "$one" | cat "$FILES/git" - >"$FILES/save.records"
take $((many + one + 1)) "$packages" >"$FILES/copy.records"

# One line that changes while clients work, on a terminal; else a line now and then.
show_progress() { # CLIENTS…
    local saved sealed client alive=1 last=0 elapsed bar
    while ((alive)); do
        alive=0
        for client; do ! kill -0 "$client" 2>/dev/null || alive=1; done
        IFS=$'\t' read -r saved sealed < <(ask "SELECT coalesce(pg_sequence_last_value('trustlog.operation_seq_seq'), 0), size
                                                 FROM trustlog.tree_head()")
        elapsed=$(($(now) - import_began))
        ((last)) || last=$elapsed
        printf '%s\t%s\t%s\n' "$elapsed" "$saved" "$sealed" >>"$FILES/growth"
        bar=$((40 * saved / total))
        if ((terminal)); then
            printf '\r  [%s%*s] %s of %s, sealed %s ' "$(line "$bar")" $((40 - bar)) '' "$(figures "$saved")" \
                "$(figures "$total")" "$(figures "$sealed")"
        elif ((elapsed - last >= 2500)); then
            last=$elapsed
            printf '  [%s%*s] %s of %s, sealed %s\n' "$(line "$bar")" $((40 - bar)) '' "$(figures "$saved")" \
                "$(figures "$total")" "$(figures "$sealed")"
        fi
        ((!alive)) || sleep 0.1
    done
    ((!terminal)) || printf '\r%*s\r' 92 ''
}

# import WAY PER CLIENTS: saves a file of records from so many connections, each statement a transaction.
import() {
    local way=$1 per=$2 clients=$3 records number client pids=() began took
    records=$(wc -l <"$FILES/$way.records")
    ((records > 0)) || return 0
    for ((client = 0; client < clients; client++)); do
        awk -v n="$clients" -v i="$client" 'NR % n == i' "$FILES/$way.records" |
            awk -v by="$way" -v per="$per" -f "$DEMO/statements.awk" >"$FILES/$way.$client.sql"
    done
    began=$(now)
    for ((client = 0; client < clients; client++)); do
        "$BIN/psql" -Xq -v ON_ERROR_STOP=1 -o /dev/null -f "$FILES/$way.$client.sql" &
        pids+=($!)
    done
    show_progress "${pids[@]}"
    join "${pids[@]}"
    took=$(($(now) - began + 1))
    printf '  %s records in %s: %s a second\n' "$(figures "$records")" "$(seconds "$took")" \
        "$(figures $((records * 1000 / took)))"
    number=$(ask "SELECT count(*) FROM trustlog.operation")
    expected=$((expected + records))
    verdict "all of them are in the table" $((number == expected)) "$expected" "$number"
}

total=$((history + packages)) expected=0 import_began=$(now)
: >"$FILES/growth"

heading "COPY into the table, 2,000 records at a time, one connection:"
statement "COPY trustlog.operation (op_id, op_actor, doid, …) FROM STDIN;"
import copy 2000 1

heading "trustlog.save_batch(), 100 records a call, 2 connections:"
statement "SELECT * FROM trustlog.save_batch('[{\"op_id\": \"…\", \"op_actor\": \"…\", …}, …]');"
import batch 100 2

heading "trustlog.save(), each record a transaction of its own, 4 connections:"
awk -v by=save -v per=1 -f "$DEMO/statements.awk" <(head -n 1 "$FILES/save.records") | fold -s -w 88 | sed 's/ *$//' |
    while IFS= read -r text; do statement "$text"; done
import save 1 4

began=$(now)
wait_until "everything is sealed" "SELECT size = $total FROM trustlog.tree_head()"
tell "The log while this went on (at the end the last record was sealed within $(seconds $(($(now) - began)))):"
printf '\n    %8s  %9s  %9s\n' seconds saved sealed
awk -F '\t' '{ line[NR] = $0 } END { step = NR > 9 ? NR / 9 : 1; for (i = 1; i <= NR; i += step) print line[int(i)]; print line[NR] }' \
    "$FILES/growth" | uniq |
    while IFS=$'\t' read -r at saved sealed; do
        printf '    %8s  %9s  %9s  %s\n' "$(seconds "$at")" "$(figures "$saved")" "$(figures "$sealed")" \
            "$(line $((50 * sealed / total)))"
    done
check "every record has exactly one leaf in the log, numbered from 0 without a gap" \
    "SELECT count(*) = $total AND count(DISTINCT seq) = $total AND min(idx) = 0 AND max(idx) = $total - 1 FROM trustlog.leaf"
