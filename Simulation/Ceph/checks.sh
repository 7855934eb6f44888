# What the fence promises, each as a check with a line of its own; sourced by fence.sh.

passed=0
# check WORDS COMMAND...: whether it succeeds. `detail` is shown behind the words, and empty afterwards.
detail=""
check() {
    local words=$1
    shift
    if "$@" >"$folder/check.out" 2>&1; then
        passed=$((passed + 1))
        echo "  passed  $words${detail:+ ($detail)}"
    else
        failures=$((failures + 1))
        echo "  FAILED  $words${detail:+ ($detail)}"
        tail -n 20 "$folder/check.out"
    fi
    detail=""
}
matches() { [[ $1 =~ $2 ]]; }
at_least() { (($1 >= $2)); }
# map EXPRESSION: of the OSD map `d`, by Python.
map() { admin osd dump -f json | python3 -c 'import datetime, json, sys; d = json.load(sys.stdin); print('"$1"')'; }
map_says() { [[ $(map "$1") == "$2" ]]; }

epoch=0
all_checks() {
    echo "the agent's key:"
    rights
    echo "a host is cut off while its guest writes:"
    cut_off
    echo "the host's storage network lives on when it is fenced:"
    fenced_alive
    echo "a barred host lifts its own fence:"
    lifts_its_own
    echo "addresses as people write them:"
    spellings
    echo "no majority of the monitors:"
    no_majority
}

# may WORD...: whether Ceph lets the agent's key do it.
may() { on h2 timeout 20 ceph --conf "$conf" --id holdfast "$@"; }
may_not() { ! may "$@" && grep -q 'access denied' "$folder/check.out"; }
rights() {
    check "it may not take a storage daemon out" may_not osd out 0
    check "it may not delete a pool" may_not osd pool delete vms vms --yes-i-really-really-mean-it
    check "it may not empty the blocklist" may_not osd blocklist clear
    check "it may not set flags" may_not osd set noout
    check "it may not delete an image" bash -c "! nsenter --target ${first[h2]} --net --mount --pid -- timeout 20 rbd \
        --conf $conf --id holdfast rm $image"
}

cut_off() {
    local new proof
    epoch=$((epoch + 1))
    start_guest h1
    check "a guest on h1 writes" until_true 20 "it writes" has_written h1 100
    comparison_sees
    listen h1
    fence_on h1 clients "$image"
    detail=$answer
    check "its client is seen, under the address of h1 and with a nonce" matches "$answer" '^clients 10\.77\.0\.1:0/[0-9]+$'
    cut h1
    fence fence h1 $epoch "${address[h1]}"
    detail="$answer"
    check "it is fenced through the monitors that are left" matches "$answer" '^fenced '
    proof=$(sed -nE 's/.* in OSD map ([0-9]+)$/\1/p' <<<"$answer")
    check "the proof names the map" matches "$proof" '^[0-9]+$'
    check "that map bars the host, and is in force" \
        map_says "d['epoch'] >= $proof and '10.77.0.1:0/0' in d['blocklist']" True
    detail=$(map "d['blocklist']['10.77.0.1:0/0']")
    check "for years" map_says "int(d['blocklist']['10.77.0.1:0/0'][:4]) - datetime.date.today().year >= 9" True
    check "the host's storage daemon is marked down, the other is not" \
        map_says "[o['up'] for o in sorted(d['osds'], key=lambda o: o['osd'])]" "[0, 1]"
    read_image "$folder/fenced.img"
    start_guest h2
    check "the guest writes on h2" first_write h2 40
    new=$(on h2 ceph --admin-daemon "$(compgen -G "$folder/osd.1.*.asok")" status |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["newest_map"])')
    detail="$new, the proof is $proof"
    check "what it writes to has a map at least as new as the proof" at_least "$new" "$proof"
    check "and goes on writing" until_true 20 "it goes on" has_written h2 100
    heal h1
    check "after the cut the old guest gets error 108 (ESHUTDOWN), and stops" until_true 30 "it is refused" \
        grep -q 'BLOCK_IO_ERROR.*Cannot send after transport endpoint shutdown.*write' "$folder/guest-h1/events"
    fence_on h1 machines
    detail=$answer
    check "and is found on the host" matches "$answer" '^machines 120:[0-9]+$'
    told_before h1
    check "the new guest writes on" until_true 20 "it goes on" has_written h2 $(($(acknowledged h2) + 50))
    compare_after
    # Lifting.
    fence lift h1 $epoch "${address[h1]}"
    detail="$answer"
    check "the fence is not lifted while the old guest may be there" matches "$answer" '^failed .*no old machine is left'
    check "and the host stays barred" map_says "'10.77.0.1:0/0' in d['blocklist']" True
    fence_on h1 end 120
    check "the old guest is ended by the driver" matches "$answer" '^ended 120$'
    check "and is gone" no_guest h1
    fence clean h1 $epoch
    fence lift h1 $epoch "${address[h1]}"
    detail="$answer"
    check "then the fence is lifted" matches "$answer" '^lifted '
    check "and the host is barred no more" map_says "'10.77.0.1:0/0' in d['blocklist']" False
    # Back again.
    end_guest h2
    until_true 60 "both storage daemons are up again" storage_daemons_up 2
    start_guest h1
    check "the guest can run on h1 again" first_write h1 60
    end_guest h1
}

# While nobody is fenced, the comparison that is made later on finds writes, and blocks that are missing.
comparison_sees() {
    read_image "$folder/before.img"
    until_true 30 "it goes on" has_written h1 $(($(acknowledged h1) + 50))
    read_image "$folder/after.img"
    check "without a fence the comparison finds that it goes on writing" \
        bash -c "! python3 Simulation/Ceph/image.py compare $folder/before.img $folder/after.img ${writer[h1]}"
    check "and that an older image lacks what it was told" \
        bash -c "! python3 Simulation/Ceph/image.py holds $folder/before.img ${writer[h1]} $folder/guest-h1/acks"
}

# What the old guest was told is written, early or late: an answer of before the fence may come through only when the cut has
# healed, and what it speaks of stood on the image when the fence was proven.
told_before() {
    detail=$(python3 Simulation/Ceph/image.py holds "$folder/fenced.img" "${writer[$1]}" "$folder/guest-$1/acks" || true)
    check "all that the old guest was ever told is written was there when the fence was proven" \
        python3 Simulation/Ceph/image.py holds "$folder/fenced.img" "${writer[$1]}" "$folder/guest-$1/acks"
}

# What was on the image when the fence was proven, and what is on it now.
compare_after() {
    read_image "$folder/later.img"
    detail=$(python3 Simulation/Ceph/image.py compare "$folder/fenced.img" "$folder/later.img" "${writer[h1]}" || true)
    check "nothing of the old guest's came later than the proof" \
        python3 Simulation/Ceph/image.py compare "$folder/fenced.img" "$folder/later.img" "${writer[h1]}"
    cp "$folder/guest-h2/acks" "$folder/told"
    read_image "$folder/later.img"
    detail=$(python3 Simulation/Ceph/image.py holds "$folder/later.img" "${writer[h2]}" "$folder/told" || true)
    check "all that the new guest was told is written is there" \
        python3 Simulation/Ceph/image.py holds "$folder/later.img" "${writer[h2]}" "$folder/told"
}

# The agent of h1 is gone, and its Ceph lives: the hardest case, for the old guest's writes still arrive.
fenced_alive() {
    local before
    epoch=$((epoch + 1))
    start_guest h1
    until_true 60 "the guest on h1 writes" has_written h1 100
    listen h1
    fence fence h1 $epoch "${address[h1]}"
    before=$(acknowledged h1)
    read_image "$folder/fenced.img"
    start_guest h2
    detail="$answer"
    check "it is fenced" matches "$answer" '^fenced '
    check "the old guest gets error 108 (ESHUTDOWN), and stops" until_true 60 "it is refused" \
        grep -q 'BLOCK_IO_ERROR.*Cannot send after transport endpoint shutdown.*write' "$folder/guest-h1/events"
    echo "          $(($(acknowledged h1) - before)) of its writes were acknowledged after the fence's answer"
    told_before h1
    check "the guest writes on h2" until_true 40 "it writes" has_written h2 100
    compare_after
    fence_on h1 end 120
    fence clean h1 $epoch
    fence lift h1 $epoch "${address[h1]}"
    end_guest h2
    check "and the fence is lifted" matches "$answer" '^lifted '
    until_true 60 "both storage daemons are up again" storage_daemons_up 2
}

# With two hosts nobody else may be there to lift it. A bar is the storage daemons' to keep: monitors hear whoever has a key.
lifts_its_own() {
    epoch=$((epoch + 1))
    fence fence h1 $epoch "${address[h1]}"
    check "it is fenced" matches "$answer" '^fenced '
    check "from the barred host, with the agent's key, the bar can be taken away" \
        on h1 timeout 20 ceph --conf "$conf" --id holdfast osd blocklist rm "${address[h1]}:0/0"
    check "and the host is barred no more" map_says "'10.77.0.1:0/0' in d['blocklist']" False
    fence clean h1 $epoch
    fence lift h1 $epoch "${address[h1]}"
    check "to lift it once more does no harm" matches "$answer" '^lifted '
    until_true 60 "both storage daemons are up again" storage_daemons_up 2
}

# Ceph writes an address in one way; whoever configured it may have written it in another.
spellings() {
    epoch=$((epoch + 1))
    fence fence h9 $epoch FD00:0:0:0::00AB
    detail="$answer"
    check "an address of IPv6 in another spelling is fenced" matches "$answer" '^fenced '
    check "as Ceph writes it" map_says "'[fd00::ab]:0/0' in d['blocklist']" True
    fence clean h9 $epoch
    fence lift h9 $epoch fd00:0::ab
    check "and lifted" map_says "'[fd00::ab]:0/0' in d['blocklist']" False
}

no_majority() {
    epoch=$((epoch + 1))
    cut h1
    cut w
    fence fence h1 $epoch "${address[h1]}"
    detail="$took s: $answer"
    check "there is no proof, and it is said what is missing" matches "$answer" '^failed .*majority of the monitors'
    check "within the time that an order may take" at_least 45 "${took%.*}"
    heal w
    until_true 60 "the monitors have a quorum again" bash -c "
        nsenter --target ${first[w]} --net --mount --pid -- timeout 5 ceph --conf $conf quorum_status"
    fence fence h1 $epoch "${address[h1]}"
    detail="$answer"
    check "with a majority again the same order is carried out" matches "$answer" '^fenced '
    heal h1
    fence clean h1 $epoch
    fence lift h1 $epoch "${address[h1]}"
    check "and lifted" matches "$answer" '^lifted '
    until_true 60 "all monitors are there" monitors_in_quorum 3
    until_true 60 "both storage daemons are up again" storage_daemons_up 2
}
