#!/bin/bash
# Builds everything once and runs every test; the last line printed is the test runner's own summary.
#
#   deploy/test.sh           the whole package. On two cores six minutes to test; from a clean clone it builds for longer
#                            than that, and built before in well under a minute.
#   deploy/test.sh --all     the same, and then everything that the simulator proves (Simulation/rehearse.sh)
#   deploy/test.sh --pure    only the deciding half and the simulator, without sockets and TLS
#
# Needs Swift 6.2 or later. Installs what the tests lean on when it runs as root on Debian; otherwise it
# names the packages and goes on with what is there. Tests make network namespaces of their own and leave nothing behind.
# Reads no standard input. Ends with 0 only when every test passed, at least one ran, and none was skipped without a
# reason.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
export PATH="$PATH:/usr/sbin:/sbin"
# The tests run thousands of simulated labs.
export HOLDFAST_OPTIMIZED=1

# Every step has a bound in seconds, generous enough for a slow machine with one core. HOLDFAST_SECONDS bounds all of them
# together: a step gets no more than what is left of it, so that the step which took too long is the one that is named.
readonly apt_seconds=300 fetch_seconds=900 build_seconds=2700 test_seconds=1800
readonly all_seconds=${HOLDFAST_SECONDS:-14400}

scratch=.build
rehearses=0
case "${1-}" in
"") ;;
--all) rehearses=1 ;;
--pure)
    export HOLDFAST_PURE=1
    scratch=.build-pure
    ;;
*)
    echo "usage: deploy/test.sh [--all | --pure]" >&2
    exit 2
    ;;
esac

say() { printf '==> %s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
left() { echo $((all_seconds - SECONDS)); }
# bounded SECONDS COMMAND...: ends the command, and a while later kills it, when it takes longer.
bounded() {
    local seconds=$1 left
    shift
    left=$(left)
    ((left > 0)) || fail "\`$*\` was not begun: the $all_seconds s for everything together are over"
    timeout --kill-after=10 "$((seconds < left ? seconds : left))" "$@"
}

# What is missing of what the build and the tests lean on, as Debian packages. A word with a slash is a file.
missing_packages() {
    local needs=(git:git)
    if [[ -z "${HOLDFAST_PURE-}" ]]; then
        needs+=(/usr/include/zlib.h:zlib1g-dev ip:iproute2 nft:nftables unshare:util-linux nsenter:util-linux curl:curl)
        # Nothing for a person's own machine: one of them brings a running Prometheus with it. What is missing skips its tests.
        if [[ ${CI-} == true ]]; then needs+=(promtool:prometheus python3:python3 faketime:faketime); fi
    fi
    if ((rehearses)); then
        needs+=(go:golang-go /usr/share/gocode/src/go.etcd.io/etcd/raft:golang-etcd-server-dev)
        needs+=(java:default-jre-headless python3:python3 /usr/share/doc/python3-venv:python3-venv)
    fi
    local need what
    for need in "${needs[@]}"; do
        what=${need%%:*}
        if [[ $what == /* ]]; then [[ -e $what ]] && continue; else command -v "$what" >/dev/null && continue; fi
        echo "${need##*:}"
    done | sort -u
}

install_packages() {
    local packages
    mapfile -t packages < <(missing_packages)
    ((${#packages[@]})) || return 0
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        say "missing, and not mine to install: apt install ${packages[*]} (going on without)"
        return 0
    fi
    say "installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    bounded $apt_seconds apt-get update -qq || say "apt-get update failed; trying with the lists that are here"
    bounded $apt_seconds apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null ||
        say "could not install ${packages[*]}; tests that need them will say so"
}

# logged FILE SECONDS COMMAND...: quiet while it goes well; when it fails, the end of what it printed.
logged() {
    local log=$1 status=0
    shift
    bounded "$@" >"$log" 2>&1 || status=$?
    ((status == 0)) && return 0
    { grep -E 'error:' "$log" | sort -u | head -40 || true; } >&2
    tail -n 40 "$log" >&2
    if ((status == 124)); then
        fail "\`${*:2}\` did not end within $1 s; see $log"
    fi
    fail "\`${*:2}\` failed with status $status; see $log"
}

# A shell that nobody logged into often lacks the toolchain's folder in its PATH; these are where installers put it.
find_swift() {
    local swift
    for swift in "$HOME"/.local/share/swiftly/bin/swift /opt/*/usr/bin/swift /usr/local/*/usr/bin/swift; do
        if [[ -x $swift ]]; then
            PATH="$(dirname "$swift"):$PATH"
            return 0
        fi
    done
    fail "\`swift\` is not in PATH; install the toolchain from https://www.swift.org/install"
}

command -v swift >/dev/null || find_swift
install_packages
mkdir -p "$scratch"

say "fetching dependencies"
# One retry: of a dozen repositories one sometimes does not answer.
bounded $fetch_seconds swift package --scratch-path "$scratch" resolve >"$scratch/fetch.log" 2>&1 ||
    logged "$scratch/fetch.log" $fetch_seconds swift package --scratch-path "$scratch" resolve

say "building everything with its tests, in debug (log: $scratch/build.log)"
# The index store stays on: without it SwiftPM 6.3 cannot list the tests of a package on Linux.
logged "$scratch/build.log" $build_seconds swift build --scratch-path "$scratch" --build-tests

# Apart from each other: all tests of one run share as many threads as there are cores, and what has a deadline must not stand
# in line behind minutes of simulation, nor behind thirty clusters of real agents that start at the same moment.
readonly calculations='^(SimulationTests|SimulationRaftTests|SimulationChecksTests|WhatIfTests|ConsensusTests|ClusterTests|KindsTests|DecisionsTests|AgentTests|ManifestsTests)\.'
readonly hypervisors='^(ProxmoxDriverTests|ProxmoxEmulatorTests)\.'
readonly agents='^(IntegrationTests|LabTests)\.'
status=0 summary="" closing="" ran=0
# tests LOG ARGUMENTS...: runs some of the tests, and shows what failed and what was skipped. Sets `summary` to the test
# runner's closing line and adds to `ran`; a run without that line crashed.
tests() {
    local log=$1 ended=0 skipped unexplained
    shift
    bounded $test_seconds swift test --scratch-path "$scratch" --skip-build --disable-xctest "$@" >"$log" 2>&1 ||
        ended=$?
    # What failed, each with its explanation (lines that begin with the arrow belong to the line before).
    awk '/recorded an issue/ { shown = 1; print; next } /^ *↳/ { if (shown) print; next } /^[◇✔✘➜]/ { shown = 0; next } shown' \
        "$log"
    skipped=$(grep -c '^➜ .*skipped' "$log" || true)
    if ((skipped > 0)); then
        say "skipped: $skipped"
        grep '^➜ .*skipped' "$log"
    fi
    unexplained=$(grep -c '^➜ .*skipped\.$' "$log" || true)
    if ((ended == 124)); then
        tail -n 20 "$log" >&2
        fail "the tests did not end in time; see $log"
    fi
    summary=$(grep -E 'Test run with [0-9]+ tests? ' "$log" | tail -n 1 || true)
    if [[ -z $summary ]]; then
        tail -n 40 "$log" >&2
        fail "the test runner ended with status $ended and no summary: it crashed; see $log"
    fi
    if ((unexplained > 0)); then fail "$unexplained tests were skipped without a reason; give each a reason or run it"; fi
    ran=$((ran + $(sed -nE 's/.*Test run with ([0-9]+) tests? .*/\1/p' <<<"$summary") - skipped))
    say "$summary"
    # The line that is printed last is of a run that failed, if one did.
    if ((status == 0)); then closing=$summary; fi
    if ((ended != 0)); then status=$ended; fi
}

say "testing (logs: $scratch/test-*.log)"
tests "$scratch/test-calculations.log" --filter "$calculations"
if [[ -z ${HOLDFAST_PURE-} ]]; then
    tests "$scratch/test-hypervisors.log" --filter "$hypervisors"
    # Their agents are real-time processes; more of them at once than this leave the commands that drive them no time.
    SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=4 tests "$scratch/test-agents.log" --filter "$agents"
fi
tests "$scratch/test-others.log" --skip "$calculations" --skip "$hypervisors" --skip "$agents"
((ran > 0)) || fail "no test ran; see $scratch/test-*.log"
if ((rehearses && status == 0)); then
    say "rehearsing: scenarios, seeds, etcd's raft, the specification, mutants"
    if (($(left) <= 0)); then fail "no time is left to rehearse"; fi
    HOLDFAST_SECONDS=$(left) Simulation/rehearse.sh || fail "something that the simulator checks does not hold"
fi
echo "$closing"
exit $status
