#!/bin/bash
# Checks the specifications with TLC: the sound configurations must hold in every reachable state, and each of the
# deliberately broken ones must be refused for the reason that its first line names.
#
#   Simulation/Specification/check.sh                  everything in this folder: minutes on two cores (see README.md)
#   Simulation/Specification/check.sh --nightly        the larger sizes as well, in nightly/: an hour or more
#   Simulation/Specification/check.sh Lease Membership only these
#
# WORKERS (default: one for each core) and TLC_SECONDS (for each configuration; default 600, nightly 7200) may be set.
# What it needs stands in tlc.sh. Ends with 77 when that is missing.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./tlc.sh

# check FILE: one line of result; status 1 when it is not as its first line says.
check() {
    local file=$1 name first module expected status=0 started=$SECONDS found states
    name=$(basename "$file" .cfg)
    local output=$work/$name.txt
    [[ -r $file ]] || fail "there is no configuration $file"
    read -r first <"$file"
    module=$(sed -E 's/^\\\* ([A-Za-z]+): .*/\1/' <<<"$first")
    expected=$(sed -E 's/^\\\* [A-Za-z]+: (violates )?//' <<<"$first")
    cp ./*.tla "$work"
    cp "$file" "$work/$name.cfg"
    (cd "$work" && tlc "$seconds" "$output" -config "$name.cfg" "$module.tla") || status=$?
    rm -rf "$work/states"
    if ((status == 124)); then
        found="not done in $seconds s"
    elif grep -q 'No error has been found' "$output"; then
        found=holds
    else
        found=$(sed -nE 's/^Error: Invariant ([A-Za-z]+) is violated.*/\1/p' "$output" | head -n 1)
    fi
    states=$(sed -nE 's/.* ([0-9,]+) distinct states found.*/\1/p' "$output" | tail -n 1)
    printf '%-24s %-13s %-24s %11s states %5d s\n' "$name" "$module" "${found:-failed}" "${states:-?}" \
        $((SECONDS - started))
    if [[ $found != "$expected" ]]; then
        tail -n 30 "$output" >&2
        printf 'error: %s: expected "%s", found "%s"\n' "$name" "$expected" "${found:-failed}" >&2
        return 1
    fi
}

seconds=${TLC_SECONDS:-600}
files=()
case "${1-}" in
"") mapfile -t files < <(ls ./*.cfg) ;;
--nightly)
    seconds=${TLC_SECONDS:-7200}
    mapfile -t files < <(ls ./*.cfg nightly/*.cfg)
    ;;
*) for name in "$@"; do files+=("./$name.cfg"); done ;;
esac

find_tlc
wrong=0 checked=0
for file in "${files[@]}"; do
    # Of traces, not of a model: traces.sh runs it.
    [[ $file == ./RaftTrace.cfg ]] && continue
    checked=$((checked + 1))
    check "$file" || wrong=$((wrong + 1))
done
((wrong == 0)) || fail "$wrong of $checked configurations are not as they should be"
echo "specification: all $checked configurations are as they should be, $SECONDS s"
