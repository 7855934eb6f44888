# Guests and the fence of Simulation/Ceph/fence.sh; sourced after cluster.sh.

# Opened once, and nothing ever comes: to wait a moment without starting a program.
exec {never}<> <(:)
moment() { read -rt "${1:-0.02}" -u "$never" || true; }
# since TIME: seconds since it, with fractions.
since() { local now=$EPOCHREALTIME; printf '%d.%06d' $((($(micros "$now") - $(micros "$1")) / 1000000)) $((($(micros "$now") - $(micros "$1")) % 1000000)); }
micros() { local whole=${1%[.,]*} part=${1#*[.,]}; echo $((whole * 1000000 + 10#$part)); }

image=vms/vm-120-disk-0

# Each guest that is started writes under a number of its own, so that no block of one passes for another's.
declare -A writer=()
writers=0
# start_guest MACHINE: guest 120 on it. What the disk has acknowledged is in guest-MACHINE/acks, one line for each block.
start_guest() {
    local place=$folder/guest-$1
    writers=$((writers + 1))
    writer[$1]=$writers
    rm -rf "$place"
    mkdir "$place"
    as --32 -o "$place/writer.o" Simulation/Ceph/writer.s
    ld -m elf_i386 --oformat binary -Ttext 0x7c00 -e _start -o "$place/120" "$place/writer.o"
    # Who writes, at `identity`; and as long as a disk of the BIOS has to be.
    printf "\\x$(printf %02x $((writers % 256)))\\x$(printf %02x $((writers / 256)))" | dd of="$place/120" bs=1 seek=4 conv=notrunc status=none
    truncate -s 1M "$place/120"
    # Proxmox's QEMU takes `-id NUMBER`, and Debian's does not: to it, these words are a folder for firmware that is not there,
    # and the disk it boots from. So the process says who it is in the way in which the driver looks for it.
    on "$1" bash -c 'cd "$0" && exec qemu-system-x86_64 -accel tcg -m 16 -nodefaults -display none -L -id 120 "$@"' "$place" \
        -drive "if=none,id=disk,format=raw,file=rbd:$image:id=guest:conf=$conf,cache=none,werror=stop,rerror=stop" \
        -device virtio-blk-pci,drive=disk -chardev "file,id=acks,path=$place/acks" \
        -device isa-debugcon,iobase=0xe9,chardev=acks -qmp "unix:$place/qmp,server=on,wait=off" \
        </dev/null >"$place/out" 2>&1 &
    disown $!
}
# has_written MACHINE COUNT: whether its disk has acknowledged so many blocks.
has_written() { local lines; lines=$(acknowledged "$1") && ((lines >= $2)); }
acknowledged() { grep -c '^+' "$folder/guest-$1/acks" 2>/dev/null || true; }
# first_write MACHINE SECONDS: waits for it.
first_write() {
    local end=$((SECONDS + $2))
    until [[ -s $folder/guest-$1/acks ]]; do
        ((SECONDS < end)) || { echo "error: the guest on $1 has written nothing for $2 s" >&2; return 1; }
        moment
    done
}
# listen MACHINE: what QEMU says of its guest, from now on, in guest-MACHINE/events.
listen() {
    until_true 5 "QEMU on $1 can be asked" test -S "$folder/guest-$1/qmp"
    python3 Simulation/Ceph/qmp.py "$folder/guest-$1/qmp" >"$folder/guest-$1/events" 2>&1 &
    disown $!
}
# end_guest MACHINE: as the driver would end it, by a kill.
end_guest() {
    local process
    for process in $(on "$1" pgrep -f 'qemu-system-x86_64.* -id 120' || true); do on "$1" kill -9 "$process"; done
    until_true 10 "the guest on $1 has ended" no_guest "$1"
}
no_guest() { ! on "$1" pgrep -f 'qemu-system-x86_64.* -id 120'; }

# read_image FILE: what a new client finds on the image.
read_image() {
    rm -f "$1"
    on h2 timeout 40 rbd --conf "$conf" export --no-progress "$image" "$1" 2>>"$folder/export.log"
}

# open_fence MACHINE: the product's fence runs there, with the key that deploy/OPERATING.md gives it.
open_fence() {
    fence_settings "$1"
    coproc FENCE { on "$1" "$fence_program" "$folder/fence-$1.json" 2>>"$folder/fence-$1.log"; }
    fence_in=${FENCE[1]} fence_out=${FENCE[0]} fence_process=$FENCE_PID
}
fence_settings() {
    (umask 077 && echo 'holdfast@pve!agent=none-is-asked' >"$folder/token")
    cat >"$folder/fence-$1.json" <<JSON
{"node": "$1", "api": {"port": 1, "fingerprint": "$(printf 'AB:%.0s' {1..31})AB"}, "token": "$folder/token",
 "ceph": {"conf": "$conf", "id": "holdfast", "keyring": "$folder/client.holdfast.keyring"}, "storageAddress": "${address[$1]}"}
JSON
}
close_fence() {
    exec {fence_in}>&-
    wait "$fence_process" || true
}
# fence WORD...: one order, its answer in `answer`, and how long it took as seen from here in `took`.
fence() {
    local began=$EPOCHREALTIME
    echo "$*" >&"$fence_in"
    read -rt 150 -u "$fence_out" answer || { echo "error: no answer to $*" >&2; return 1; }
    took=$(since "$began")
}
# fence_on MACHINE WORD...: the same, by a process of that machine for this one order.
fence_on() {
    local machine=$1
    shift
    fence_settings "$machine"
    answer=$(echo "$*" | on "$machine" timeout 150 "$fence_program" "$folder/fence-$machine.json" 2>>"$folder/fence-$machine.log")
}
