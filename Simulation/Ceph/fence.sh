#!/bin/bash
# The storage fence against a real Ceph and a real QEMU: whether a lost host's guest can still write after Holdfast has said that
# it cannot, and how long the fence takes.
#
#   Simulation/Ceph/fence.sh                      every check once, and three losses timed (about two minutes)
#   Simulation/Ceph/fence.sh --repetitions N      N losses timed
#   Simulation/Ceph/fence.sh --defaults N         and N more with Ceph's own timers
#
# The fence is the product's own (Simulation/Ceph/holdfast-fence: the Proxmox driver, given its orders directly). The guest is a
# boot sector that writes numbered blocks (writer.s); what it was told is written, and what lies on the image, are compared.
#
# Needs root, ceph-mon, ceph-osd, ceph-common, qemu-system-x86, qemu-block-extra, binutils, python3, and holdfast-fence
# (`swift build --product holdfast-fence`; HOLDFAST_FENCE=PATH is another one). Without them it says "skipped" and ends with 77.
# Everything runs in namespaces of its own, and none of it outlives the script.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

repetitions=3
defaults=0
while (($#)); do
    case $1 in
    --repetitions) repetitions=$2 ;;
    --defaults) defaults=$2 ;;
    *)
        sed -n '5,7s/^# *//p' "$0" >&2
        exit 2
        ;;
    esac
    shift 2
done

fence_program=${HOLDFAST_FENCE:-.build/debug/holdfast-fence}
for need in ceph-mon:ceph-mon ceph-osd:ceph-osd rbd:ceph-common qemu-system-x86_64:qemu-system-x86 as:binutils ld:binutils \
    python3:python3 ip:iproute2; do
    command -v "${need%%:*}" >/dev/null || { echo "skipped: ${need%%:*} is missing (apt install ${need##*:})"; exit 77; }
done
compgen -G '/usr/lib/*/qemu/block-rbd.so' >/dev/null || { echo "skipped: QEMU cannot use Ceph (apt install qemu-block-extra)"; exit 77; }
((EUID == 0)) || { echo "skipped: needs root, for namespaces"; exit 77; }
[[ -x $fence_program ]] || { echo "skipped: $fence_program is missing (swift build --product holdfast-fence)"; exit 77; }

if [[ -z ${HOLDFAST_CEPH_INSIDE-} ]]; then
    HOLDFAST_CEPH_INSIDE=$(mktemp -d)
    export HOLDFAST_CEPH_INSIDE
    trap 'rm -rf "$HOLDFAST_CEPH_INSIDE"' EXIT
    arguments=(--repetitions "$repetitions" --defaults "$defaults")
    timeout --kill-after=10 $((240 + 40 * repetitions + 120 * defaults)) \
        unshare --net --mount --pid --fork --mount-proc --kill-child "$PWD/Simulation/Ceph/fence.sh" "${arguments[@]}"
    exit
fi

. Simulation/Ceph/cluster.sh
. Simulation/Ceph/guest.sh
. Simulation/Ceph/checks.sh
. Simulation/Ceph/times.sh

top=$HOLDFAST_CEPH_INSIDE
fence_program=$(realpath "$fence_program")
lay_cables
failures=0
mkdir "$top/fast"
began=$EPOCHREALTIME
make_cluster "$top/fast" fast || { tail -n 20 "$top"/fast/*.log "$top"/fast/*.out >&2; exit 1; }
printf 'three monitors and two storage daemons are there after %.1f s\n' "$(since "$began")"
open_fence h2
all_checks
if ((repetitions > 0)); then series fast "$repetitions"; fi
if ((defaults > 0)); then
    end_cluster
    mkdir "$top/defaults"
    make_cluster "$top/defaults" defaults
    open_fence h2
    series defaults "$defaults"
fi
close_fence
if ((failures > 0)); then
    echo "$failures checks failed"
    exit 1
fi
if ((repetitions + defaults > 0)); then show_times; fi
echo "the fence holds: $passed checks, $((repetitions + defaults)) losses timed"
