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
readonly holdfast="${HOLDFAST:-$PWD/.build/release/holdfast}"
[[ -x $holdfast ]] || { echo "error: $holdfast is missing; deploy/lab.sh builds it" >&2; exit 1; }
for need in etcd go openssl python3; do
    command -v "$need" >/dev/null || { echo "error: $need is missing; see the head of $0" >&2; exit 1; }
done
mkdir -p .build
folder=$(mktemp -d "$PWD/.build/bench.XXXXXX")
members=()
finish() {
    local member
    for member in ${members[@]+"${members[@]}"}; do kill -9 "$member" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT
(cd Simulation/Bench/load && GO111MODULE=off GOPATH="${HOLDFAST_GOPATH:-/usr/share/gocode}" GOFLAGS='' \
    GOCACHE="$OLDPWD/.build/go-cache" go build -o "$folder/load" .)

source Simulation/Bench/members.sh

# -------------------------------------------------------------------------------------------------------------- etcd
make_certificates() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=bench \
        -keyout "$folder/e-ca.key" -out "$folder/e-ca.pem" 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=member \
        -keyout "$folder/e-key.pem" -out "$folder/e.csr" 2>/dev/null
    openssl x509 -req -in "$folder/e.csr" -CA "$folder/e-ca.pem" -CAkey "$folder/e-ca.key" -CAcreateserial -days 2 \
        -extfile <(echo "subjectAltName=IP:127.0.0.1") -out "$folder/e-cert.pem" 2>/dev/null
}
start_etcd() {
    local number cluster=e1=https://127.0.0.1:2381,e2=https://127.0.0.1:2382,e3=https://127.0.0.1:2383
    local tls=(--cert-file "$folder/e-cert.pem" --key-file "$folder/e-key.pem" --trusted-ca-file "$folder/e-ca.pem"
        --client-cert-auth --peer-cert-file "$folder/e-cert.pem" --peer-key-file "$folder/e-key.pem"
        --peer-trusted-ca-file "$folder/e-ca.pem" --peer-client-cert-auth)
    members=()
    for number in 1 2 3; do
        etcd --name "e$number" --data-dir "$folder/e$number" --initial-cluster "$cluster" --log-level error \
            --listen-peer-urls "https://127.0.0.1:238$number" --initial-advertise-peer-urls "https://127.0.0.1:238$number" \
            --listen-client-urls "https://127.0.0.1:237$number" --advertise-client-urls "https://127.0.0.1:237$number" \
            "${tls[@]}" >>"$folder/e$number.log" 2>&1 &
        members+=($!)
    done
    until_true 30 "etcd takes no writes" load etcd 1 0.1 put
}
# load SYSTEM CLIENTS SECONDS DO
load() {
    if [[ $1 == etcd ]]; then
        timeout 60 "$folder/load" -system etcd -endpoints 127.0.0.1:2371,127.0.0.1:2372,127.0.0.1:2373 -ca "$folder/e-ca.pem" \
            -cert "$folder/e-cert.pem" -key "$folder/e-key.pem" -clients "$2" -seconds "$3" -do "$4"
    else
        timeout 60 "$folder/load" -system holdfast -endpoints 127.0.0.1:7441,127.0.0.1:7442,127.0.0.1:7443 -any-name \
            -ca "$folder/h-ca.pem" -cert "$folder/h-cert.pem" -key "$folder/h-key.pem" -clients "$2" -seconds "$3" -do "$4"
    fi
}

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
