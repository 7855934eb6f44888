#!/bin/bash
# Lets the specification judge the product: what members did in simulated runs must be explained by it, step by step, and
# traces broken by hand, each by a mistake of its own, must not be.
#
#   Simulation/Specification/traces.sh                          200 traces, from seed 1
#   Simulation/Specification/traces.sh --count N --from SEED    others
#
# HOLDFAST_SIM names the simulator to use; otherwise it is the debug build, made when it is missing. KEEP names a folder
# to leave the traces and TLC's output in. WORKERS and TLC_SECONDS (default 900, for each of the two runs) may be set.
# What it needs stands in tlc.sh. Ends with 77 when that is missing.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./tlc.sh

# At least so many ways to break a trace must have found one that they fit.
readonly least_broken=20
count=200 first=1
while (($#)); do
    case "$1" in
    --count) count=$2 ;;
    --from) first=$2 ;;
    *) fail "usage: traces.sh [--count N] [--from SEED]" ;;
    esac
    shift 2
done

find_simulator() {
    local candidate
    for candidate in "${HOLDFAST_SIM-}" ../../.build/debug/holdfast-sim ../../.build-pure/debug/holdfast-sim; do
        if [[ -n $candidate && -x $candidate ]]; then
            simulator=$(realpath "$candidate")
            return
        fi
    done
    (cd ../.. && HOLDFAST_PURE=1 swift build --scratch-path .build-pure --product holdfast-sim) >"$work/build" 2>&1 || {
        tail -n 20 "$work/build" >&2
        fail "the simulator could not be built"
    }
    simulator=$(realpath ../../.build-pure/debug/holdfast-sim)
}

# judge FOLDER: runs TLC on its traces and writes "trace steps-understood" for each into FOLDER/reached; one line each.
judge() {
    local folder=$1 status=0
    cp HoldfastRaft.tla TraceFormat.tla RaftTrace.tla RaftTrace.cfg "$folder"
    (cd "$folder" && tlc "${TLC_SECONDS:-900}" tlc.txt -config RaftTrace.cfg RaftTrace.tla) || status=$?
    rm -rf "$work/states"
    if ((status != 0)) || ! grep -q 'No error has been found' "$folder/tlc.txt"; then
        grep -vE '^<<"(reached|accepted)"' "$folder/tlc.txt" | tail -n 30 >&2
        fail "TLC did not get through the traces in $folder (status $status)"
    fi
    sed -nE 's/^<<"(reached|accepted)", ([0-9]+), ([0-9]+)>>$/\2 \3 \1/p' "$folder/tlc.txt" |
        awk '{ if ($2 > most[$1]) most[$1] = $2; if ($3 == "accepted") done[$1] = 1 }
             END { for (trace in most) print trace, most[trace], done[trace] + 0 }' | sort -n >"$folder/reached"
}

find_tlc
find_simulator
traces=${KEEP:-$work/traces}
mkdir -p "$traces"
traces=$(realpath "$traces")
"$simulator" traces --tla "$traces" --count "$count" --from "$first"
generated=$SECONDS

judge "$traces/observed"
accepted=$(awk '$3 == 1' "$traces/observed/reached" | wc -l)
mapfile -t names < <(sed -nE 's/^Trace[0-9]+ == \[name \|-> "([^"]*)",.*/\1/p' "$traces/observed/TraceData.tla")
for number in "${!names[@]}"; do
    read -r steps finished < <(awk -v n=$((number + 1)) '$1 == n { print $2, $3 }' "$traces/observed/reached"
        echo "0 0")
    ((finished)) || printf 'NOT EXPLAINED  %-24s step %d (Trace%d)\n' "${names[number]}" $((steps + 1)) $((number + 1))
done
observed=$SECONDS

judge "$traces/broken"
number=0 refused=0
while IFS=$'\t' read -r name step about; do
    number=$((number + 1))
    read -r steps finished < <(awk -v n=$number '$1 == n { print $2, $3 }' "$traces/broken/reached"; echo "0 0")
    # Everything before the broken step is as it was, so it must have been understood.
    if ((finished == 0 && steps >= step - 1)); then
        refused=$((refused + 1))
        verdict=refused
    elif ((finished)); then verdict=ACCEPTED; else verdict="TOO EARLY"; fi
    printf '%-9s step %3d  %-26s %s\n' "$verdict" $((steps + 1)) "$name" "$about"
done <"$traces/broken.txt"

((${#names[@]} == count)) || fail "${#names[@]} traces were written, not $count"
((accepted == count)) || fail "$((count - accepted)) of $count traces of simulated runs are not explained"
((refused == number)) || fail "$((number - refused)) of $number broken traces were not refused where they are broken"
((number >= least_broken)) || fail "only $number broken traces, fewer than $least_broken"
echo "traces: $accepted of $count accepted, $refused of $number broken ones refused," \
    "$generated s to write, $((observed - generated)) s and $((SECONDS - observed)) s to judge"
