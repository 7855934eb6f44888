#!/bin/bash
# Garbage on every port of a cluster: agents must stay up, stay small, and serve all the while.
#
#   Simulation/Bench/garbage.sh [--seconds 60] [--requests 10000] [--json]
#
# Three members on loopback. garbage.py sends bytes of every length, cut and altered TLS handshakes, handshakes that are never
# finished, requests that come a byte a second, and whatever one can send behind a handshake that went well, with the key of an
# operator and with the key of a member, on the port for peers and on the port for people. Beside it somebody writes values and
# reads them. Then so many requests at once. Ends with 1 and says why when an agent ended, grew, or lost what it acknowledged.
# Needs root (a network namespace of its own), python3, and holdfast in release: deploy/lab.sh builds it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [[ ${1-} != --inside ]]; then exec unshare --net --pid --fork --kill-child --mount-proc "$0" --inside "$@"; fi
shift
ip link set lo up
# For the commands that found the cluster; what is measured is not asked by them.
export HOLDFAST_TIMEOUT=10s
source Simulation/Bench/members.sh
prepare python3
# The connections of ten thousand clients, and theirs of each agent.
ulimit -n "$(ulimit -Hn)"
found_holdfast >/dev/null
status=0
python3 Simulation/Bench/garbage.py --folder "$folder" --members "${members[*]}" "$@" || status=$?
if ((status)); then tail -n 20 "$folder"/*.log >&2; fi
exit $status
