#!/bin/bash
# Makes corosync notice a lost host within about one second instead of six, or twelve with a QDevice: until then nobody can
# write to /etc/pve, and no guest of the lost host is taken over (OPERATING.md, corosync).
#
#   deploy/corosync.sh                        what would be changed on this Proxmox host; changes nothing
#   deploy/corosync.sh --apply                changes it, for the whole cluster
#   deploy/corosync.sh --witness ADDRESS …    gives a cluster without one a third vote there first (a QDevice; there: apt
#                                             install corosync-qnetd; here on each host: apt install corosync-qdevice)
#   deploy/corosync.sh --file FILE …          another file than /etc/pve/corosync.conf
#
# Sets token, with two hosts consensus, and the times of a QDevice, and raises config_version. Run a second time, it finds
# nothing to do. Ends with 0 when nothing is left to do or everything was done, with 1 when something would be changed.
set -euo pipefail
exec </dev/null

file=/etc/pve/corosync.conf witness="" apply=0 lacks_vote=0
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}
while (($#)); do
    case $1 in
    --file) file=${2-}; shift 2 || fail "--file needs a path" ;;
    --witness) witness=${2-}; shift 2 || fail "--witness needs an address" ;;
    --apply) apply=1; shift ;;
    *) fail "usage: deploy/corosync.sh [--witness ADDRESS] [--file FILE] [--apply]" ;;
    esac
done
[[ -r $file ]] || fail "$file cannot be read: run this as root on a host of a Proxmox cluster (pvecm status)"

# sections FILE: each line with the sections it lies in before it, as in "quorum/device timeout: 1000".
sections() {
    awk '
        /^[ \t]*#/ { next }
        /\{/ { name = $0; gsub(/[ \t{]/, "", name); path = path == "" ? name : path "/" name; print path " {"; next }
        /^[ \t]*\}/ { if (!sub(/\/[^\/]*$/, "", path)) path = ""; next }
        /:/ { line = $0; gsub(/[ \t\r]/, "", line); sub(/:/, ": ", line); print path " " line }
    ' "$1"
}
# says LINE FILE: not through a pipe, whose reader would end before its writer.
says() { grep -q "^$1\$" < <(sections "$2"); }
hosts=$(grep -c '^nodelist/node {$' < <(sections "$file") || true)
((hosts > 0)) && says 'totem version: 2' "$file" || fail "$file is no corosync.conf with a list of hosts"

if [[ -n $witness ]] && ! says 'quorum/device {' "$file"; then
    if ((apply)); then
        command -v pvecm >/dev/null || fail "pvecm is not here; run this on a Proxmox host"
        pvecm qdevice setup "$witness" || fail "pvecm qdevice setup $witness failed; nothing else was changed"
    else
        echo "would give the cluster a third vote: pvecm qdevice setup $witness"
        lacks_vote=1
    fi
fi

# Each section's own lines come right after its opening; what it said of them before is left out. A comment stays.
changed() {
    awk -v hosts="$hosts" '
        function set(key, value) { printf "%s%s: %s\n", indent "  ", key, value }
        /^[ \t]*#/ { print; next }
        /\{/ {
            name = $0; gsub(/[ \t{]/, "", name); path = path == "" ? name : path "/" name
            match($0, /^[ \t]*/); indent = substr($0, 1, RLENGTH)
            print
            if (path == "totem" && !done[path]++) { set("token", 1000); if (hosts == 2) set("consensus", 300) }
            if (path == "quorum/device") { set("timeout", 1000); set("sync_timeout", 3000) }
            next
        }
        /^[ \t]*\}/ { if (!sub(/\/[^\/]*$/, "", path)) path = ""; print; next }
        {
            key = $0; sub(/:.*/, "", key); gsub(/[ \t]/, "", key)
            if (path == "totem" && (key == "token" || key == "consensus")) next
            if (path == "quorum/device" && (key == "timeout" || key == "sync_timeout")) next
            print
        }
    ' "$file"
}
# The next one is known to corosync by its number.
numbered() {
    awk '/^[ \t]*config_version[ \t]*:/ { n = $0; sub(/.*:[ \t]*/, "", n); sub(/[0-9]+[ \t\r]*$/, n + 1) } { print }'
}

new=$(mktemp)
trap 'rm -f "$new"' EXIT
changed >"$new"
# The order of lines means nothing.
if cmp -s <(sections "$file" | sort) <(sections "$new" | sort); then
    # The third vote brings lines of its own into the file, so that one is not done with either.
    if ((lacks_vote)); then
        echo "beside that corosync is set as it should be; with --apply the third vote is given and its times are set"
        exit 1
    fi
    echo "corosync is set as it should be: nothing to change in $file"
    exit 0
fi
says 'totem config_version: [0-9]*' "$file" || fail "$file has no config_version; add one under totem"
numbered <"$new" >"$new.numbered"
mv "$new.numbered" "$new"
diff -u --label "$file" --label "$file, changed" "$file" "$new" || true
if ! ((apply)); then
    echo "nothing was changed; with --apply it is"
    exit 1
fi
# Renamed into place, so that no host ever reads half of it.
cp "$new" "$file.new"
mv "$file.new" "$file"
echo "changed; corosync takes it over by itself: corosync-cmapctl -g runtime.config.totem.token"
if says 'quorum/device {' "$file"; then
    echo "and on each host: systemctl restart corosync-qdevice"
fi
