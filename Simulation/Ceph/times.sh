# How long a fence takes after a host's power is cut; sourced by fence.sh.

times=()
# series SETTINGS COUNT: cuts the power of h1, which holds the leading monitor, so often while a guest there writes. The order to
# fence is given at once; in a cluster it comes when the host has been away for as long as the FencePolicy says (2 s).
series() {
    local round began proven written
    echo "the power of h1 is cut, $2 times, with Ceph's $1 timers:"
    for ((round = 1; round <= $2; round++)); do
        epoch=$((epoch + 1))
        start_guest h1
        until_true 90 "the guest on h1 writes" has_written h1 30
        until_true 90 "h1 leads the monitors" h1_leads
        began=$EPOCHREALTIME
        power_off h1
        fence fence h1 $epoch "${address[h1]}"
        proven=$(since "$began")
        [[ $answer == fenced* ]] || { echo "  FAILED  round $round: $answer"; failures=$((failures + 1)); }
        start_guest h2
        first_write h2 120 || { failures=$((failures + 1)); return; }
        written=$(since "$began")
        times+=("$1 $proven $written")
        printf '  %3d  proven after %6.2f s, written after %6.2f s  %s\n' "$round" "$proven" "$written" "${answer#* }"
        back
    done
}
h1_leads() { [[ $(admin quorum_status -f json | python3 -c 'import json, sys; print(json.load(sys.stdin)["quorum_leader_name"])') == h1 ]]; }

# h1 gets its power back; its fence is lifted.
back() {
    end_guest h2
    start_machine h1
    start_monitor h1
    start_storage 0 h1
    fence clean h1 $epoch
    fence lift h1 $epoch "${address[h1]}"
    [[ $answer == lifted* ]] || { echo "  FAILED  $answer"; failures=$((failures + 1)); }
    until_true 90 "all monitors are there" monitors_in_quorum 3
    until_true 90 "both storage daemons are up again" storage_daemons_up 2
}

end_cluster() {
    local machine
    close_fence
    for machine in "${hosts[@]}"; do power_off "$machine"; done
}

show_times() {
    printf '%s\n' "${times[@]}" | python3 -c '
import statistics, sys
rows = {}
for line in sys.stdin:
    name, proven, written = line.split()
    rows.setdefault(name, []).append((float(proven), float(written)))
print("seconds after the power was cut   N   proven: median   p99   most   written: median   p99   most")
for name, found in rows.items():
    cells = []
    for column in zip(*found):
        column = sorted(column)
        p99 = column[min(len(column) - 1, -(-len(column) * 99 // 100) - 1)]
        cells.append(f"{statistics.median(column):16.2f} {p99:5.2f} {column[-1]:6.2f}")
    print(f"timers: {name:22} {len(found):5} {cells[0]} {cells[1]:>31}")
'
}
