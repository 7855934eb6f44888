#!/bin/bash
# What heartbeats, their answers and leases ask the allocator for in the consensus: nothing is the aim.
#
#   Simulation/Bench/allocations.sh
#
# Needs cc, and holdfast-sim in release (HOLDFAST_SIM, or the one that Simulation/README.md builds). Ends with 1 when the aim is missed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly sim="${HOLDFAST_SIM:-.build-pure/release/holdfast-sim}"
[[ -x $sim ]] || { echo "error: $sim is missing; Simulation/README.md says how to build it" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cc -O2 -fPIC -shared -o "$folder/allocations.so" Simulation/Bench/allocations.c
row=$(LD_PRELOAD="$folder/allocations.so" "$sim" bench --repetitions 1 --seeds 0 --simulate 1s | grep 'allocations in a thousand')
echo "$row"
[[ $row == *yes ]]
