#!/bin/bash
# Writes and reads through the API over mutual TLS, beside Debian's etcd-server on the same machine, disk and clock.
#
#   Simulation/Bench/writes.sh [--seconds 4] [--rounds 3] [--json]
#
# HOLDFAST_BENCH_CLIENTS="1 64" and HOLDFAST_BENCH_DO="put get local" choose; HOLDFAST is the program, if not the one built here.
# Three members of each on loopback, 256-byte values, every client with a connection and one request at a time. The systems
# take turns, round by round; a figure is the median of its rounds. Only one of them runs at a time.
# Needs root (a network namespace of its own), `apt install etcd-server golang-go golang-etcd-server-dev openssl python3`, and
# holdfast in release: deploy/lab.sh builds it. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [[ ${1-} != --inside ]]; then exec unshare --net --pid --fork --kill-child --mount-proc "$0" --inside "$@"; fi
shift
ip link set lo up

seconds=4 rounds=3 json=0
while (($#)); do
    case $1 in
    --seconds) seconds=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --json) json=1; shift ;;
    *) echo "usage: Simulation/Bench/writes.sh [--seconds N] [--rounds N] [--json]" >&2; exit 2 ;;
    esac
done
source Simulation/Bench/members.sh
prepare etcd go openssl python3
source Simulation/Bench/etcd.sh
build_load

found_holdfast
stop_all
make_certificates
for ((round = 1; round <= rounds; round++)); do
    for system in holdfast etcd; do
        "start_$system"
        for do in ${HOLDFAST_BENCH_DO:-put get local}; do
            for clients in ${HOLDFAST_BENCH_CLIENTS:-1 16 64 256}; do
                echo "round $round of $rounds: $system, $do, $clients clients" >&2
                load $system $clients "$seconds" $do >>"$folder/results"
            done
        done
        stop_all
    done
done

JSON=$json python3 - "$folder/results" <<'PY'
import collections, json, os, statistics, sys
rounds = collections.defaultdict(list)
for line in open(sys.argv[1]):
    result = json.loads(line)
    rounds[result["do"], result["clients"], result["system"]].append(result)
def median(key, field): return statistics.median(result[field] for result in rounds[key])
rows = []
for do in ["put", "get", "local"]:
    for clients in sorted({key[1] for key in rounds if key[0] == do}):
        row = {"do": do, "clients": clients}
        for system in ["holdfast", "etcd"]:
            key = do, clients, system
            row[system] = {f: median(key, f) for f in ["perSecond", "p50Milliseconds", "p99Milliseconds"]}
            row[system]["failures"] = sum(result["failures"] for result in rounds[key])
            for result in rounds[key]:
                if result.get("firstFailure"): print(f"{key}: {result['firstFailure'][:300]}", file=sys.stderr)
        row["ratio"] = row["holdfast"]["perSecond"] / row["etcd"]["perSecond"]
        rows.append(row)
if os.environ["JSON"] == "1":
    print(json.dumps({"rows": rows}))
else:
    print("| what | clients | Holdfast, a second | p50 / p99 ms | etcd, a second | p50 / p99 ms | ratio | failures |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    words = {"put": "write", "get": "linearizable read", "local": "read of the member's own state"}
    for row in rows:
        h, e = row["holdfast"], row["etcd"]
        print(f"| {words[row['do']]} | {row['clients']} | {h['perSecond']:,.0f} | {h['p50Milliseconds']:.2f} / "
              f"{h['p99Milliseconds']:.2f} | {e['perSecond']:,.0f} | {e['p50Milliseconds']:.2f} / "
              f"{e['p99Milliseconds']:.2f} | {row['ratio']:.2f} | {h['failures']} / {e['failures']} |")
PY
