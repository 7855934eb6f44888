#!/bin/bash
# Compares the consensus core with etcd's raft on random programs; see README.md beside this file.
#
#   Simulation/RaftAlone/differential.sh [--programs N] [--seed S] [--failures F]      (10,000 programs from seed 1)
#
# Builds both sides (release; into .build-pure and a folder below it) and runs them on one core each. Where Debian's
# golang-go or golang-etcd-server-dev is missing it says so in one line that begins with "skipped" and ends with 0.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly source=Simulation/RaftAlone/oracle gopath="${HOLDFAST_GOPATH:-/usr/share/gocode}"
if ! command -v go >/dev/null || [[ ! -d $gopath/src/go.etcd.io/etcd/raft ]]; then
    echo "skipped: etcd's raft is not here to compare with; apt install golang-go golang-etcd-server-dev"
    exit 0
fi

scratch="$PWD/.build-pure"
mkdir -p "$scratch/oracle"
(cd "$source" && GO111MODULE=off GOPATH="$gopath" GOFLAGS='' GOCACHE="$scratch/oracle/cache" \
    go build -o "$scratch/oracle/oracle" .)
[[ ${1-} == --oracle-only ]] && { echo "$scratch/oracle/oracle"; exit 0; }

HOLDFAST_PURE=1 swift build -c release --scratch-path "$scratch" --product holdfast-sim >"$scratch/differential.log" 2>&1 || {
    tail -n 40 "$scratch/differential.log" >&2
    exit 1
}
exec "$scratch/release/holdfast-sim" raft-differential --oracle "$scratch/oracle/oracle" "$@"
