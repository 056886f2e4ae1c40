#!/usr/bin/env bash
# Prints records of real operations, one a line, tab-separated:
#
#   op_id, op_actor, doid, producer_id, op_code, do_repository, request_body_hash (may be empty), timestamp
#
#   demo/records.sh git     this repository's history: what each commit did to each path
#   demo/records.sh dpkg    this machine's packages: each file that was installed, with its MD5
#
# The object ids are made up (prefix 10.5555 is for examples). The codes: 1 create, 2 modify, 3 delete, 4 rename.
set -euo pipefail
export LC_ALL=C TZ=UTC
most=200000 # records: more would only take longer

from_git() {
    cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
    # The checkout may belong to another user; it is only read.
    git -c safe.directory='*' -c core.quotePath=false log --reverse --raw --no-abbrev -M \
        --date=format-local:%Y-%m-%dT%H:%M:%SZ --format='commit%x09%H%x09%an%x09%ad' 2>/dev/null |
        awk -F '\t' -v OFS='\t' '
            $1 == "commit" { commit = $2; actor = $3 == "" ? "unknown" : $3; time = $4; next }
            /^:/ {
                split($1, change, " ") # modes, blob before, blob after, kind
                kind = substr(change[5], 1, 1)
                code = kind == "A" ? 1 : kind == "D" ? 3 : kind == "R" ? 4 : 2
                path = $NF
                blob = kind == "D" ? "" : change[4]
                print commit ":" path, actor, "10.5555.git/" path, "git", code, "git", blob, time
            }'
}

from_dpkg() {
    cd /var/lib/dpkg/info
    # When each package was installed; which version, and who maintains it; its files.
    { find . -maxdepth 1 -name '*.md5sums' -printf 'time\t%f\t%TY-%Tm-%TdT%TH:%TM:%TS\n' &&
        dpkg-query -W -f 'package\t${binary:Package}\t${Version}\t${Maintainer}\n' &&
        grep -H '' -- *.md5sums; } |
        awk -F '\t' -v OFS='\t' '
            $1 == "time" { sub(/\.md5sums$/, "", $2); time[$2] = substr($3, 1, 26) "Z"; next }
            $1 == "package" { version[$2] = $3; actor[$2] = $4; next }
            match($0, /\.md5sums:/) && NF == 1 {
                package = substr($0, 1, RSTART - 1)
                if (!(package in version)) next
                hash = substr($0, RSTART + RLENGTH, 32)
                path = substr($0, RSTART + RLENGTH + 34)
                name = package
                sub(/:.*/, "", name)
                print package "=" version[package] ":/" path, actor[package], "10.5555.dpkg/" name "/" path, "dpkg", 1,
                      "debian", hash, time[package]
            }'
}

case ${1:-} in
git) command -v git >/dev/null && from_git ;;
dpkg) command -v dpkg-query >/dev/null && from_dpkg ;;
*) echo "usage: demo/records.sh git|dpkg" >&2 && exit 2 ;;
esac |
    # Only what the extension takes: valid UTF-8, an op_id of at most 512 bytes; no other control characters than the
    # tabs; and each op_id once.
    iconv -c -f UTF-8 -t UTF-8 | tr -d '\001-\010\013-\037\177' |
    awk -F '\t' -v most="$most" 'NF == 8 && length($1) <= 512 && !seen[$1]++ && n++ < most'
