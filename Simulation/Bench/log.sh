#!/bin/bash
# How long a start with a long log takes, and how long a snapshot takes that another member has to send.
#
#   Simulation/Bench/log.sh [--entries 100000] [--mebibytes 10] [--repetitions 5]
#
# Three members on loopback, TLS everywhere. Replay: that many entries of 256-byte values are written and no snapshot is taken; then
# a follower is started again and again, and asked for the last value from its own state. Snapshot: the state is that large; a
# follower that was away while the others dropped their logs is started, and asked for a value written last.
# Needs root (a network namespace of its own), `apt install golang-go golang-etcd-server-dev python3`, and holdfast in release:
# deploy/lab.sh builds it. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [[ ${1-} != --inside ]]; then exec unshare --net --pid --fork --kill-child --mount-proc "$0" --inside "$@"; fi
shift
ip link set lo up
entries=100000 mebibytes=10 repetitions=5
while (($#)); do
    case $1 in
    --entries) entries=$2; shift 2 ;;
    --mebibytes) mebibytes=$2; shift 2 ;;
    --repetitions) repetitions=$2; shift 2 ;;
    *) echo "usage: Simulation/Bench/log.sh [--entries N] [--mebibytes N] [--repetitions N]" >&2; exit 2 ;;
    esac
done
source Simulation/Bench/members.sh
prepare go python3
build_load

put() { load holdfast 1 30 put -requests 1 -write "$1" -bytes 4 >/dev/null; }
# until_read NUMBER KEY: starts a member, and prints the milliseconds until it answers with the value, and until it answered at
# all; leaves its process in $!.
until_read() {
    local begun
    begun=$(date +%s%N)
    run_holdfast "$1"
    members[$1 - 1]=$!
    python3 - "$begun" "$1" "$2" "$folder" <<'PY'
import http.client, ssl, sys, time
begun, number, key, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
context = ssl._create_unverified_context()
context.load_cert_chain(f"{folder}/h-cert.pem", f"{folder}/h-key.pem")
first, connection = None, None
while time.time_ns() - begun < 60e9:
    try:
        if connection is None: connection = http.client.HTTPSConnection("127.0.0.1", 7440 + int(number), timeout=10, context=context)
        connection.request("GET", f"/v1/kv/{key}?consistency=local")
        answer = connection.getresponse()
        answer.read()
        first = first or time.time_ns()
        if answer.status == 200:
            print(f"{(time.time_ns() - begun) / 1e6:.0f} {(first - begun) / 1e6:.0f}")
            sys.exit()
    except OSError: connection = None
    time.sleep(0.001)
sys.exit("the value did not come within a minute")
PY
}
# shown WORDS: min, median and most of the lines "TOTAL FIRST" on standard input.
shown() {
    python3 -c '
import statistics, sys
rows = [[int(n) for n in line.split()] for line in sys.stdin]
def words(column):
    values = [row[column] for row in rows]
    return f"median {statistics.median(values):.0f} ms, {min(values)} to {max(values)}"
print(f"{sys.argv[1]}: {words(0)}; the first answer: {words(1)}")' "$1"
}
follower() { python3 -c 'import sys; print(1 if int(sys.argv[1]) == 0 else 0)' "$(leader_of_holdfast)"; }
away() { kill "${members[$1]}"; wait "${members[$1]}" 2>/dev/null || true; }

# --------------------------------------------------------------------------------------------------------------- replay
agent_options=(--snapshot-every 100000000)
found_holdfast
load holdfast 64 100 put -requests $((entries / 64)) >&2
put last
place=$(follower)
echo "a log of $(du -sm "$folder/h$((place + 1))/log" | cut -f1) MiB" >&2
for ((repetition = 1; repetition <= repetitions; repetition++)); do
    away "$place"
    until_read $((place + 1)) last
done >"$folder/rows"
shown "start with $entries entries in the log" <"$folder/rows"
stop_all
rm -rf "$folder"/h[123] "$HOLDFAST_CONFIG"

# ------------------------------------------------------------------------------------------------------------- snapshot
agent_options=(--snapshot-every 1000)
found_holdfast
values=$((mebibytes * 16))
load holdfast 16 100 put -requests $((values / 16)) -keys $((values / 16)) -bytes $((64 * 1024)) >&2
place=$(follower)
for ((repetition = 1; repetition <= repetitions; repetition++)); do
    away "$place"
    leave_out=$((place + 1)) load holdfast 8 100 put -requests 400 >&2
    leave_out=$((place + 1)) put "missed-$repetition"
    until_read $((place + 1)) "missed-$repetition"
done >"$folder/rows"
shown "start with a snapshot of $mebibytes MiB from the leader" <"$folder/rows"
grep -c "the state is the leader's as of entry" "$folder/h$((place + 1)).log" | sed 's/^/installed: /'
