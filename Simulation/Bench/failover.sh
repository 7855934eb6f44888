#!/bin/bash
# How long nobody acknowledges a write when the leader is killed, beside Debian's etcd-server.
#
#   Simulation/Bench/failover.sh [--repetitions 30] [--json]
#
# Three members of each on loopback, at their defaults, TLS everywhere. A client with a connection to every member writes to the
# leader, which is killed (SIGKILL) at a random moment; the client goes on at the next member, and gives up on a request after
# 250 ms. A figure is the time from before the kill to the answer of the first write that was asked for after it.
# Needs root (a network namespace of its own), `apt install etcd-server golang-go golang-etcd-server-dev openssl python3`, and
# holdfast in release: deploy/lab.sh builds it. Without etcd it measures Holdfast alone. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [[ ${1-} != --inside ]]; then exec unshare --net --pid --fork --kill-child --mount-proc "$0" --inside "$@"; fi
shift
ip link set lo up

repetitions=30 json=0
while (($#)); do
    case $1 in
    --repetitions) repetitions=$2; shift 2 ;;
    --json) json=1; shift ;;
    *) echo "usage: Simulation/Bench/failover.sh [--repetitions N] [--json]" >&2; exit 2 ;;
    esac
done
source Simulation/Bench/members.sh
prepare go openssl python3
source Simulation/Bench/etcd.sh
build_load

# kill_leader SYSTEM: prints one measurement, and starts the victim again.
kill_leader() {
    local leader
    leader=$("leader_of_$1")
    case $1 in
    holdfast) load holdfast 1 1 failover -leader "$leader" -victim "${members[leader]}" -limit 250ms ;;
    etcd) load etcd 1 1 failover -leader "$leader" -victim "${members[leader]}" -limit 250ms ;;
    esac >>"$folder/results"
    wait "${members[leader]}" 2>/dev/null || true
    "run_$1" $((leader + 1))
    members[leader]=$!
    until_true 30 "the killed member of $1 does not come back" "all_of_$1"
}

# What bash says of killed jobs, and etcd's client of each retry, is nobody's business.
exec 3>&2 2>"$folder/noise.log"
for system in holdfast etcd; do
    if [[ $system == etcd ]] && ! command -v etcd >/dev/null; then
        echo "etcd is missing (apt install etcd-server), so Holdfast stands alone" >&3
        continue
    fi
    if [[ $system == holdfast ]]; then found_holdfast; else make_certificates; start_etcd; fi
    for ((repetition = 1; repetition <= repetitions; repetition++)); do
        echo "$system, $repetition of $repetitions" >&3
        kill_leader $system
    done
    stop_all
done
exec 2>&3

JSON=$json python3 - "$folder/results" <<'PY'
import collections, json, os, statistics, sys
times = collections.defaultdict(list)
for line in open(sys.argv[1]):
    result = json.loads(line)
    times[result["system"]].append(result["milliseconds"])
rows = []
for system, gaps in times.items():
    gaps.sort()
    at = lambda share: gaps[min(len(gaps) - 1, round(share * (len(gaps) - 1) + 0.499))]
    rows.append({"system": system, "repetitions": len(gaps), "min": gaps[0], "median": statistics.median(gaps),
                 "p99": at(0.99), "max": gaps[-1], "all": gaps})
if os.environ["JSON"] == "1":
    print(json.dumps(rows))
else:
    print("| leader killed to next acknowledged write | repetitions | min ms | median ms | p99 ms |")
    print("|---|---:|---:|---:|---:|")
    for row in rows:
        print(f"| {row['system']} | {row['repetitions']} | {row['min']:.0f} | {row['median']:.0f} | {row['p99']:.0f} |")
PY
