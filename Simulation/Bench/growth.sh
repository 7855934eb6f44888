#!/bin/bash
# What the cluster costs as it grows: with members that vote, and with what is declared.
#
#   Simulation/Bench/growth.sh [--seconds 20]
#
# Members on loopback, TLS everywhere. For each size: processor time of all members and of the leader at rest, resident memory of
# the largest, and the processor time that a write of 256 bytes costs all members and the leader, of 16 clients.
# Learners by the hundred are the simulator's: `holdfast-sim bench`.
# Needs root (a network namespace of its own), `apt install golang-go golang-etcd-server-dev python3`, and holdfast in release:
# deploy/lab.sh builds it. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [[ ${1-} != --inside ]]; then exec unshare --net --pid --fork --kill-child --mount-proc "$0" --inside "$@"; fi
shift
ip link set lo up
seconds=20
if [[ ${1-} == --seconds ]]; then seconds=$2; fi
source Simulation/Bench/members.sh
prepare go python3
build_load

# measured WHAT: one row.
measured() {
    local leader before after written
    leader=$(leader_of_holdfast)
    before=$(spent)
    read -rt "$seconds" <> <(:) || true
    after=$(spent)
    load holdfast 16 5 put >"$folder/load.json"
    written=$(spent)
    python3 - "$1" "$leader" "$seconds" "$before" "$after" "$written" "$folder/load.json" "${members[@]}" <<'PY'
import json, os, sys
what, leader, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
before, after, written = ([int(n) / os.sysconf("SC_CLK_TCK") for n in text.split()] for text in sys.argv[4:7])
load, members = json.load(open(sys.argv[7])), sys.argv[8:]
def resident(pid): return int(next(l for l in open(f"/proc/{pid}/status") if l.startswith("VmRSS")).split()[1]) / 1024
rest = [100 * (b - a) / seconds for a, b in zip(before, after)]
work = [1e6 * (b - a) / load["requests"] for a, b in zip(after, written)]
print(f"| {what} | {rest[leader]:.2f} | {sum(rest):.2f} | {max(map(resident, members)):.0f} | {work[leader]:.0f} | {sum(work):.0f} | "
      f"{load['perSecond']:,.0f} |", flush=True)
PY
}
# Ticks of processor time of every member, in order.
spent() { python3 -c '
import sys
for pid in sys.argv[1:]: print(sum(int(n) for n in open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13]), end=" ")' \
    "${members[@]}"; }
# Addresses whose one candidate is not there, so that nobody holds them: what is measured is what it costs to know them.
declared() { python3 -c '
import sys
for n in range(int(sys.argv[1]), int(sys.argv[2]) + 1):
    print(f"---\napiVersion: holdfast/v1\nkind: VirtualIP\nmetadata: {{name: a{n}}}\nspec: {{address: 10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}/8, "
          f"candidates: [{{member: elsewhere}}]}}")' "$1" "$2"; }

echo "| size | leader at rest, % of a core | all at rest, % | largest, MiB | leader, µs a write | all, µs a write | writes a second |"
echo "|---|---:|---:|---:|---:|---:|---:|"
for voters in ${HOLDFAST_BENCH_VOTERS:-7 5 3}; do
    found_holdfast $voters
    measured "$voters voters"
    if ((voters > 3)); then
        stop_all
        rm -rf "$folder"/h? "$HOLDFAST_CONFIG"
    fi
done
for resources in ${HOLDFAST_BENCH_RESOURCES:-100 1000 10000}; do
    # A file of manifests has at most a mebibyte.
    for ((first = 1; first <= resources; first += 2000)); do
        last=$((first + 1999 < resources ? first + 1999 : resources))
        declared $first $last | "$holdfast" apply -f - --timeout 60s >/dev/null
    done
    measured "3 voters, $resources addresses declared"
done
