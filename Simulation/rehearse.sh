#!/bin/bash
# Everything that the simulator proves, in one run: what continuous integration does after the tests.
#
#   Simulation/rehearse.sh            scenarios, 2,200 seeds, etcd's raft beside ours, the specification, the mutants
#   Simulation/rehearse.sh nightly    the same with ten times the seeds, and the list of branches never reached must be empty;
#                                     and the fence with a real Ceph, when its packages are here
#
# Builds holdfast-sim in release without sockets and TLS. Every step is bounded. What a step needs and the machine does not
# have (Go with etcd's raft, a Java runtime, Ceph and QEMU) makes it say "skipped" and why; with CI=true that is a failure,
# since a check that did not run proves nothing. One line for each step at the end; 0 only when nothing failed.
set -uo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly scratch=.build-pure
readonly logs=$scratch/rehearsal
# Ten-minute seeds of each profile: together 2,200.
seeds=(swarm:1000 network:300 storage:300 people:300 calm:100 workloads:200)
programs=10000
seed_seconds=2400
# What the seeds of the profile that draws from everything must have reached.
marks=()
if [[ ${1-} == nightly ]]; then
    seeds=(swarm:9000 network:3000 storage:3000 people:3000 calm:1000 workloads:1000)
    programs=200000
    seed_seconds=14400
    marks=(--all-marks)
elif (($#)); then
    echo "usage: Simulation/rehearse.sh [nightly]" >&2
    exit 2
fi

# All steps together; a step gets no more than what is left.
readonly all_seconds=${HOLDFAST_SECONDS:-86400}

mkdir -p "$logs"
failed=0
results=()

# step NAME SECONDS COMMAND...: runs it with a bound; keeps what it printed; shows it when it fails.
step() {
    local name=$1 seconds=$2 status=0 began=$SECONDS log what
    log=$logs/$name.log
    shift 2
    if ((all_seconds - SECONDS < seconds)); then seconds=$((all_seconds - SECONDS)); fi
    # A bound of zero would be none.
    if ((seconds < 1)); then seconds=1; fi
    timeout --kill-after=20 "$seconds" "$@" >"$log" 2>&1 || status=$?
    # 77 is how test drivers say "skipped".
    if ((status == 0 || status == 77)) && grep -q '^skipped' "$log"; then
        what=$(grep '^skipped' "$log" | head -n 1)
        if [[ ${CI-} == true ]]; then
            failed=$((failed + 1))
            what="FAILED: $what"
        fi
    elif ((status == 0)); then
        what="passed: $(grep -v '^ *$' "$log" | tail -n 1)"
    else
        failed=$((failed + 1))
        tail -n 60 "$log"
        what="FAILED with status $status (124: not done in $seconds s); see $log"
    fi
    results+=("$(printf '%-14s %5d s  %s' "$name" $((SECONDS - began)) "$what")")
    echo "==> ${results[-1]}"
}

export HOLDFAST_PURE=1
step build 2700 swift build -c release --scratch-path "$scratch" --product holdfast-sim
readonly sim=$scratch/release/holdfast-sim
if ((failed == 0)); then
    # Scenarios, and one corpus in two processes whose hash tables differ.
    step scenarios 900 env HOLDFAST_SIM="$sim" Simulation/check.sh
    for each in "${seeds[@]}"; do
        reach=()
        if [[ ${each%:*} == swarm ]]; then reach=(${marks[@]+"${marks[@]}"}); fi
        step "seeds-${each%:*}" "$seed_seconds" bash -c '"$0" seeds --simulate 10m "$@" | head -n 40
            exit "${PIPESTATUS[0]}"' "$sim" --profile "${each%:*}" --count "${each#*:}" ${reach[@]+"${reach[@]}"}
    done
    step etcd 900 Simulation/RaftAlone/differential.sh --programs "$programs"
    step specification 1500 Simulation/Specification/check.sh
    step traces 900 env HOLDFAST_SIM="$sim" Simulation/Specification/traces.sh
fi
# Built by deploy/test.sh, with everything that touches the world.
if [[ ${1-} == nightly ]]; then step ceph 600 Simulation/Ceph/fence.sh --repetitions 1; fi
step mutants 2400 python3 Simulation/Mutants/run.py

echo "==> what the simulator proved"
printf '%s\n' "${results[@]}"
((failed == 0))
