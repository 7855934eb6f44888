#!/bin/bash
# The simulator's own check, in release: every scenario with many seeds, a corpus of random seeds, and the same corpus in
# a second process whose hash tables are seeded differently; the trace hashes must be equal.
#
#   Simulation/check.sh [SEEDS [SCENARIO-SEEDS]]      20 random seeds and 3 seeds of each scenario unless told otherwise
#
# HOLDFAST_SIM names a built holdfast-sim; without it one is built (HOLDFAST_PURE=1, release). Ends with 0 only when
# everything held and the hashes are equal.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly seeds=${1:-20} scenario_seeds=${2:-3}
readonly build_seconds=2700 run_seconds=1800

say() { printf '==> %s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

sim=${HOLDFAST_SIM-}
if [[ -z $sim ]]; then
    say "building holdfast-sim"
    HOLDFAST_PURE=1 timeout $build_seconds swift build -c release --scratch-path .build-pure-release \
        --product holdfast-sim
    sim=.build-pure-release/release/holdfast-sim
fi

say "scenarios, $scenario_seeds seeds each"
timeout $run_seconds "$sim" run Simulation/Cases --seeds "$scenario_seeds" | grep -v '^held ' ||
    fail "a scenario does not hold"

say "families of two-host scenarios, $scenario_seeds seeds each"
timeout $run_seconds "$sim" families --seeds "$scenario_seeds" | grep -v '^held ' ||
    fail "a family does not hold"

say "$seeds random seeds of labs with workloads"
timeout $run_seconds "$sim" seeds --profile workloads --count "$seeds" --simulate 5m ||
    fail "a seed with workloads failed"

# corpus FILE WORD...: the trace hash of the corpus in a process whose environment `env WORD...` has made.
corpus() {
    env "${@:2}" timeout $run_seconds "$sim" seeds --count "$seeds" --simulate 2m --json >"$1" ||
        fail "a seed failed: $(cat "$1")"
    sed -nE 's/.*"hash":"([0-9a-f]+)".*/\1/p' "$1"
}

say "$seeds random seeds in two processes with different hash seeds"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
first=$(corpus "$work/first.json" SWIFT_DETERMINISTIC_HASHING=1)
second=$(corpus "$work/second.json" -u SWIFT_DETERMINISTIC_HASHING)
[[ -n $first && $first == "$second" ]] || fail "one corpus, two traces: hash $first and $second"
say "everything held; hash $first both times"
