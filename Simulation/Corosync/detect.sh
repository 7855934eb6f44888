#!/bin/bash
# How long the file system of a Proxmox cluster cannot be written after its other host has lost power: /etc/pve stands on
# corosync's closed process groups, and corosync delivers nothing until it has a membership without the lost host, and a vote.
#
#   Simulation/Corosync/detect.sh [--repetitions 5]
#
# Two real corosyncs with Proxmox's configuration, each in namespaces of its own, with and without a QDevice on a third; the
# second one's cable is cut and its processes are killed. Needs root and
# `apt install corosync corosync-qdevice corosync-qnetd iproute2 python3`. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
for program in corosync corosync-qdevice corosync-qnetd ip python3; do
    PATH=$PATH:/usr/sbin:/sbin command -v $program >/dev/null ||
        { echo "error: $program is missing: apt install corosync corosync-qdevice corosync-qnetd iproute2 python3" >&2; exit 2; }
done
((EUID == 0)) || { echo "error: namespaces and corosync need root" >&2; exit 2; }
folder=$(mktemp -d /tmp/holdfast-corosync.XXXXXX)
trap 'rm -rf "$folder"' EXIT
PATH=$PATH:/usr/sbin:/sbin timeout --kill-after=10 3600 \
    unshare --net --mount --ipc --pid --fork --kill-child --mount-proc python3 detect.py "$folder" "$@"
