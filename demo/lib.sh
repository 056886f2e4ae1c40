# shellcheck shell=bash disable=SC2034
# What the acts use to show things: title, tell, play, check.

# shellcheck source-path=SCRIPTDIR source=../scripts/private-server.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../scripts/private-server.sh"
DEMO=$ROOT/demo
export PGDATABASE=demo PGAPPNAME=demo

if [[ -t 1 && ${TERM:-dumb} != dumb && -z ${NO_COLOR:-} ]]; then
    terminal=1 bold=$'\e[1m' blue=$'\e[36m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
    terminal=0 bold='' blue='' green='' red='' plain=''
fi

number=0
title() { printf '\n%s== %d. %s %s%s\n' "$bold" $((++number)) "$1" "$(line $((88 - ${#1})))" "$plain"; }
line() { printf '%*s' "$1" '' | tr ' ' '='; }

# A paragraph, wrapped.
tell() { printf '\n%s\n' "$*" | fold -s -w 92 | sed 's/ *$//'; }

heading() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }

# Milliseconds.
now() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

seconds() { printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100)); }

# 1234567 as 1,234,567.
figures() {
    local text=$1
    while [[ $text =~ ^([0-9]+)([0-9]{3}.*)$ ]]; do text=${BASH_REMATCH[1]},${BASH_REMATCH[2]}; done
    echo "$text"
}

# One value, or several separated by tabs.
ask() { "$BIN/psql" -XqAt -F $'\t' -v ON_ERROR_STOP=1 -c "$1"; }

# play FILE [NAME=VALUE …]   runs a script block by block (blank lines separate them), showing each with what it
# prints; :'NAME' stands for a value. What was printed is left in $shown, for check. Errors are part of the play.
play() {
    local file=$DEMO/acts/$1 block='' text
    shift
    shown=''
    while IFS= read -r text || [[ -n $text ]]; do
        if [[ -n $text ]]; then
            block+=$text$'\n'
        else
            play_block "$block" "$@"
            block=''
        fi
    done <"$file"
    [[ -z $block ]] || play_block "$block" "$@"
}

# A line of SQL.
statement() { printf '    %s%s%s\n' "$blue" "$1" "$plain"; }

play_block() {
    local block=$1 pair text output
    shift
    for pair; do
        text=${pair#*=}
        block=${block//":'${pair%%=*}'"/"'${text//"'"/"''"}'"}
    done
    echo
    while IFS= read -r text; do
        case $text in
        --*) printf '%s%s%s\n' "$bold" "${text#-- }" "$plain" ;;
        *) statement "$text" ;;
        esac
    done <<<"${block%$'\n'}"
    output=$("$BIN/psql" -Xq -v VERBOSITY=verbose -P footer=off -P linestyle=ascii <<<"$block" 2>&1 | sed '/^LOCATION: /d; /^$/d')
    shown+=$output$'\n'
    [[ -n $output ]] || return 0
    while IFS= read -r text; do
        case $text in
        ERROR:*) printf '    %s%s%s\n' "$red" "$text" "$plain" ;;
        *) printf '    %s\n' "$text" ;;
        esac
    done < <(fold -s -w 96 <<<"$output")
}

# check CLAIM QUERY   fails unless the query says t.
check() {
    local answer
    answer=$(ask "$2") || answer=error
    verdict "$1" "$([[ $answer == t ]] && echo 1 || echo 0)" "$2" "$answer"
}

# check_shown CLAIM TEXT   fails unless what was played printed the text.
check_shown() { verdict "$1" "$([[ $shown == *"$2"* ]] && echo 1 || echo 0)" "$2" "$shown"; }

verdict() {
    if (($2)); then
        printf '  %s[ok]%s %s\n' "$green" "$plain" "$1"
    else
        printf '  %s[FAILED]%s %s\n' "$red" "$plain" "$1"
        die "the demo found something that is not as it says: $1" "expected: $3" "found: $4"
    fi
}

# Waits until a query says t.
wait_until() {
    local deadline=$(($(now) + 30000))
    until [[ $(ask "$2") == t ]]; do
        (($(now) < deadline)) || die "waited 30 s in vain: $1" "$2"
        sleep 0.05
    done
}

# Waits for background processes and fails when one did.
join() {
    local job
    for job; do wait "$job" || die "a client failed, see above"; done
}
