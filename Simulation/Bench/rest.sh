#!/bin/bash
# What an agent costs that has nothing to do, and how soon it is there.
#
#   Simulation/Bench/rest.sh [--seconds 30]
#
# Three members on loopback: resident memory, share of a core, and the time from the start of the process to its first answer.
# Needs root (a network namespace of its own), python3, and holdfast in release: deploy/lab.sh builds it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [[ ${1-} != --inside ]]; then exec unshare --net --pid --fork --kill-child --mount-proc "$0" --inside "$@"; fi
shift
ip link set lo up
seconds=30
if [[ ${1-} == --seconds ]]; then seconds=$2; fi
source Simulation/Bench/members.sh
prepare python3

found_holdfast >/dev/null
python3 - "$seconds" "${members[@]}" <<'PY'
import os, sys, time
seconds, members = int(sys.argv[1]), sys.argv[2:]
def ticks(pid): return sum(int(n) for n in open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13])
def resident(pid): return int(next(l for l in open(f"/proc/{pid}/status") if l.startswith("VmRSS")).split()[1]) / 1024
before = {pid: ticks(pid) for pid in members}
time.sleep(seconds)
for pid in members:
    share = (ticks(pid) - before[pid]) / os.sysconf("SC_CLK_TCK") / seconds
    print(f"at rest: {resident(pid):.1f} MiB resident, {100 * share:.2f} % of a core")
PY
stop_all
# From exec to the answer of /healthz.
python3 - "$holdfast" "$folder" <<'PY'
import http.client, ssl, statistics, subprocess, sys, time
context = ssl._create_unverified_context()
times = []
for _ in range(10):
    begun = time.monotonic()
    process = subprocess.Popen([sys.argv[1], "agent", "--data-dir", f"{sys.argv[2]}/h1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while time.monotonic() - begun < 10:
        try:
            connection = http.client.HTTPSConnection("127.0.0.1", 7441, timeout=1, context=context)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200: break
        except OSError: time.sleep(0.001)
    times.append((time.monotonic() - begun) * 1000)
    process.kill(); process.wait()
print(f"start to first answer: median {statistics.median(times):.0f} ms, {min(times):.0f} to {max(times):.0f} ms")
PY
