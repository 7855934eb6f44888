# A Ceph of real daemons for the checks of this folder; sourced. Three monitors in three failure domains (two hosts and a
# witness), a storage daemon on each host, each machine in a network and process namespace of its own: what cuts a machine's
# cable cuts its monitor, its storage daemon and its guests, and to end its first process is a power cut.
#
# To be run inside `unshare --net --mount --pid --fork --mount-proc --kill-child`: nothing can leave, and nothing survives.
# No manager daemon: nothing here needs one. Keys are checked as on a real cluster, so that what the fence's key may do is what
# deploy/OPERATING.md gives it.
#
# Relies on ceph-mon, ceph-osd, ceph-common (Debian), iproute2, util-linux.

readonly hosts=(h1 h2 w)
declare -A address=([h1]=10.77.0.1 [h2]=10.77.0.2 [w]=10.77.0.3)
# The first process of each machine that runs.
declare -A first=()

# until_true SECONDS WORDS COMMAND...: asks again until the command succeeds.
until_true() {
    local end=$((SECONDS + $1)) words=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || { echo "error: not in time: $words" >&2; return 1; }
        read -rt 0.05 <> <(:) || true
    done
}

# on MACHINE COMMAND...: runs it there.
on() {
    local machine=$1
    shift
    nsenter --target "${first[$machine]}" --net --mount --pid -- "$@"
}

# The network: a switch, and a cable to each machine.
lay_cables() {
    mount -t tmpfs tmpfs /run
    mkdir -p /run/netns /run/lock
    ip link set lo up
    ip link add switch type bridge
    ip link set switch up
    local machine
    for machine in "${hosts[@]}"; do
        ip netns add "$machine"
        ip link add "to-$machine" type veth peer name eth0 netns "$machine"
        ip link set "to-$machine" master switch up
        ip -n "$machine" link set lo up
        ip -n "$machine" address add "${address[$machine]}/24" dev eth0
        ip -n "$machine" link set eth0 up
    done
}

# The cable is pulled between the switch and the machine: the machine sees its own link go down, as with a real one.
cut() { ip link set "to-$1" down; }
heal() { ip link set "to-$1" up; }

# start_machine MACHINE: its first process, which does nothing but be there.
start_machine() {
    local init
    ip netns exec "$1" unshare --pid --mount --fork --mount-proc --kill-child \
        bash -c 'trap : TERM; exec -a first-process sleep infinity' </dev/null >/dev/null 2>&1 &
    init=$!
    until_true 5 "$1 has a first process" pgrep -P "$init" -f first-process
    first[$1]=$(pgrep -P "$init" -f first-process)
    disown "$init"
}

# power_off MACHINE: everything that runs there ends at once; its disks stay.
power_off() {
    kill -9 "${first[$1]}"
    until_true 10 "nothing runs on $1" bash -c "! kill -0 ${first[$1]}"
    unset "first[$1]"
}

# The settings under which monitors find each other again within two seconds of a loss; deploy/OPERATING.md gives them to
# operators, and this is where they come from.
timers_of_operating() {
    sed -n '/^    # holdfast: monitors$/,/^    # holdfast: end$/p' deploy/OPERATING.md | sed 's/^    //'
}
# The rights of the agent's key, as deploy/OPERATING.md gives them: `mon '…'`.
rights_of_operating() {
    sed -n "s/.*ceph auth get-or-create client\.holdfast \(.*\)/\1/p" deploy/OPERATING.md | head -n 1
}

# make_cluster FOLDER fast|defaults: the monitors' and the storage daemons' disks, and the keys.
make_cluster() {
    folder=$1
    conf=$folder/ceph.conf
    local id=7a5f1d6e-1f3c-4b7a-9a53-5b1f0c8e7d01 machine
    cat >"$conf" <<CONF
[global]
fsid = $id
mon host = ${address[h1]},${address[h2]},${address[w]}
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = $folder/\$name.keyring
run dir = $folder
admin socket = $folder/\$name.\$pid.asok
log file = $folder/\$name.log
log to stderr = false
err to stderr = false
mon cluster log file = $folder/\$name.cluster.log
osd pool default size = 2
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 1
mon allow pool size one = true
auth allow insecure global id reclaim = false
mon warn on insecure global id reclaim allowed = false
osd objectstore = bluestore
bluestore block size = 4294967296
bluestore cache size = 33554432
bluestore fsck on mount = false
osd memory target = 939524096
osd scrub begin hour = 0
osd scrub end hour = 0
CONF
    if [[ $2 == fast ]]; then timers_of_operating >>"$conf"; fi
    cat >>"$conf" <<CONF
[osd]
osd max backfills = 4
[osd.0]
crush location = root=default host=h1
[osd.1]
crush location = root=default host=h2
[client]
admin socket = $folder/\$name.\$pid.asok
CONF
    {
        ceph-authtool --create-keyring "$folder/mon.keyring" --gen-key -n mon. --cap mon 'allow *'
        ceph-authtool --create-keyring "$folder/client.admin.keyring" --gen-key -n client.admin --cap mon 'allow *' \
            --cap osd 'allow *' --cap mgr 'allow *'
        ceph-authtool "$folder/mon.keyring" --import-keyring "$folder/client.admin.keyring"
        monmaptool --create --fsid "$id" --clobber "$folder/monmap" --addv h1 "[v2:${address[h1]}:3300,v1:${address[h1]}:6789]" \
            --addv h2 "[v2:${address[h2]}:3300,v1:${address[h2]}:6789]" --addv w "[v2:${address[w]}:3300,v1:${address[w]}:6789]"
    } >"$folder/make.log" 2>&1
    for machine in "${hosts[@]}"; do
        start_machine "$machine"
        mkdir "$folder/mon-$machine"
        on "$machine" ceph-mon --conf "$conf" --mkfs --id "$machine" --mon-data "$folder/mon-$machine" --monmap "$folder/monmap" \
            --keyring "$folder/mon.keyring" >>"$folder/make.log" 2>&1
        start_monitor "$machine"
    done
    until_true 30 "the monitors have a quorum" monitors_in_quorum 3
    make_storage 0 h1 &
    make_storage 1 h2
    wait $!
    until_true 60 "both storage daemons are up" storage_daemons_up 2
    {
        admin osd pool create vms 8
        admin osd pool application enable vms rbd
        admin auth get-or-create client.guest mon 'profile rbd' osd 'profile rbd pool=vms' -o "$folder/client.guest.keyring"
        eval "admin auth get-or-create client.holdfast $(rights_of_operating)" -o "$folder/client.holdfast.keyring"
    } >>"$folder/make.log" 2>&1
    # Two storage daemons at once, so that a pool's first block can be written to both.
    on w timeout 30 rbd --conf "$conf" create --size 1 --image-feature layering --image-feature exclusive-lock \
        vms/vm-120-disk-0 >>"$folder/make.log" 2>&1
}

start_monitor() {
    on "$1" ceph-mon --conf "$conf" -f --id "$1" --mon-data "$folder/mon-$1" --public-addr "${address[$1]}" \
        --keyring "$folder/mon.keyring" </dev/null >>"$folder/mon.$1.out" 2>&1 &
    disown $!
}

make_storage() {
    local uuid
    uuid=$(cat /proc/sys/kernel/random/uuid)
    mkdir "$folder/osd-$1"
    {
        admin osd new "$uuid" "$1"
        admin auth get-or-create "osd.$1" mon 'allow profile osd' osd 'allow *' -o "$folder/osd-$1/keyring"
        on "$2" timeout 60 ceph-osd --conf "$conf" --mkfs --id "$1" --osd-uuid "$uuid" --osd-data "$folder/osd-$1" \
            --no-mon-config --monmap "$folder/monmap" --keyring "$folder/osd-$1/keyring"
    } >>"$folder/make-osd-$1.log" 2>&1
    start_storage "$1" "$2"
}
start_storage() {
    on "$2" ceph-osd --conf "$conf" -f --id "$1" --osd-data "$folder/osd-$1" --keyring "$folder/osd-$1/keyring" \
        --public-addr "${address[$2]}" --cluster-addr "${address[$2]}" </dev/null >>"$folder/osd.$1.out" 2>&1 &
    disown $!
}

# admin WORD...: `ceph` with all rights, from the witness; what its answer looks like is as Ceph has it.
admin() { on w timeout 40 ceph --conf "$conf" "$@"; }
monitors_in_quorum() {
    [[ $(admin quorum_status --connect-timeout 5 -f json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["quorum"]))') == "$1" ]]
}
storage_daemons_up() {
    [[ $(admin osd dump -f json | python3 -c 'import json, sys; print(sum(o["up"] for o in json.load(sys.stdin)["osds"]))') == "$1" ]]
}
