#!/bin/bash
# Installs, upgrades, removes and purges the Debian package in a test host with a real systemd, and shows that the service
# does what its unit says: notify, watchdog, capabilities instead of root, restarts.
#
#   deploy/test-package.sh [PACKAGE]      without PACKAGE, deploy/package.sh builds one
#
# Needs root, debootstrap and systemd-container (named when missing), and a Debian mirror: MIRROR, by default
# http://deb.debian.org/debian. The host is a folder below a temporary one, with a network of its own without a way out;
# everything is taken away at the end. About a minute besides fetching. Ends with 0 only when every step was as it should be.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '==> %s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

if [[ ${1-} != --inside ]]; then
    ((EUID == 0)) || fail "this starts a test host, which needs root"
    missing=()
    command -v debootstrap >/dev/null || missing+=(debootstrap)
    command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
    ((${#missing[@]} == 0)) || fail "missing: apt install ${missing[*]}"
    package=${1-}
    [[ -n $package ]] || package=$(deploy/package.sh)
    [[ -r $package ]] || fail "there is no package $package"
    work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-package-XXXXXX")
    trap 'rm -rf --one-file-system "$work"' EXIT
    base=${HOLDFAST_TEST_HOST-}
    if [[ -z $base ]]; then
        say "making a Debian host"
        timeout 900 debootstrap --variant=minbase \
            --include=systemd,systemd-sysv,dbus,iproute2,nftables,adduser,procps,zlib1g,libstdc++6 bookworm \
            "$work/host" "${MIRROR:-http://deb.debian.org/debian}" >"$work/debootstrap.log" 2>&1 ||
            fail "debootstrap failed: $(tail -n 3 "$work/debootstrap.log")"
    else
        cp -a "$base" "$work/host"
    fi
    cp "$package" "$work/host/srv/one.deb"
    # The same program under a later version: what an upgrade does to the service does not depend on what is new in it.
    rm -rf "$work/later"
    dpkg-deb --raw-extract "$package" "$work/later"
    sed -i 's/^Version: .*/Version: 99.0/' "$work/later/DEBIAN/control"
    dpkg-deb --root-owner-group --build "$work/later" "$work/host/srv/two.deb" >/dev/null
    status=0
    timeout --kill-after=10 300 unshare --net --mount --pid --fork --mount-proc --kill-child \
        "${BASH_SOURCE[0]}" --inside "$work" || status=$?
    exit $status
fi

readonly work=$2
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
mkdir -p "$work/cgroup"
mount -t cgroup2 none "$work/cgroup" 2>/dev/null || true
if [[ -e $work/cgroup/cgroup.procs ]]; then
    mkdir -p "$work/cgroup/holdfast-test-host"
    echo $$ >"$work/cgroup/holdfast-test-host/cgroup.procs"
fi
ip netns add host
ip -n host link set lo up
ip -n host link add eth0 type veth peer name wire
ip -n host addr add 192.168.77.1/24 dev eth0
ip -n host link set wire up
ip -n host link set eth0 up
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn -D "$work/host" --register=no --keep-unit \
    --network-namespace-path=/run/netns/host --capability=CAP_NET_ADMIN,CAP_NET_RAW,CAP_SYS_NICE,CAP_IPC_LOCK --boot >"$work/boot.log" 2>&1 &
readonly nspawn=$!

# in_host COMMAND...: in the test host, as root.
in_host() { nsenter --target "$leader" --all --wd=/srv -- env HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
# until_true SECONDS WORDS COMMAND...: asks ten times a second.
until_true() {
    local seconds=$1 words=$2 end=$((SECONDS + $1))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= end)); then
            in_host journalctl --unit holdfast --lines 30 --no-pager || true
            in_host systemctl status holdfast --no-pager || true
            fail "not within $seconds s: $words"
        fi
        sleep 0.1
    done
    say "$words"
}
leader=''
find_leader() { leader=$(pgrep --parent $nspawn | head -n 1) && in_host systemctl is-system-running --wait; }
has_booted() { find_leader || in_host systemctl is-system-running | grep -qE 'running|degraded'; }
property() { in_host systemctl show holdfast --property "$1" --value; }
is() { [[ $(property "$1") == "$2" ]]; }
was_replaced() { [[ $(property MainPID) != "$process" ]] && is ActiveState active; }

until_true 60 "the host has booted" has_booted
in_host dpkg --install /srv/one.deb >/dev/null
is ActiveState inactive || fail "the agent runs on a machine that belongs to no cluster"
in_host install -D -m 0644 /usr/share/holdfast/proxmox.conf /etc/systemd/system/holdfast.service.d/proxmox.conf
in_host systemctl daemon-reload
[[ $(property User) == root && $(property ProtectProc) == default ]] || fail "the drop-in for Proxmox hosts is not in force"
in_host systemd-analyze verify holdfast.service 2>&1 | grep holdfast && fail "systemd does not understand the drop-in"
in_host rm -r /etc/systemd/system/holdfast.service.d
in_host systemctl daemon-reload
say "the drop-in for Proxmox hosts is understood"
say "installed; nothing runs before the machine belongs to a cluster"

in_host holdfast cluster init --name home --member pve1 --address 192.168.77.1
in_host systemctl start holdfast || {
    in_host journalctl --unit holdfast --lines 30 --no-pager || true
    fail "the service does not start"
}
is ActiveState active || fail "start returned before the agent was ready"
say "started, and ready when start returned (Type=notify): $(property StatusText)"
until_true 20 "it leads" in_host holdfast status

process=$(property MainPID)
[[ $(in_host stat --format %U "/proc/$process") == holdfast ]] || fail "the agent does not run as the user holdfast"
in_host grep -E '^(CapEff|CapBnd)' "/proc/$process/status"
# CAP_NET_ADMIN 12, CAP_NET_RAW 13, CAP_IPC_LOCK 14, CAP_SYS_NICE 23
[[ $(in_host sed -nE 's/^CapEff:\s*0*//p' "/proc/$process/status") == 807000 ]] ||
    fail "its capabilities are not the four of the unit"
say "it runs as the user holdfast with four capabilities"

in_host sh -c 'cat >/srv/vip.yaml' <<'END'
apiVersion: holdfast/v1
kind: VirtualIP
metadata: {name: dns}
spec:
  address: 192.168.77.2/24
  candidates: [{member: pve1}]
END
in_host holdfast apply -f /srv/vip.yaml
holds_address() { in_host ip -4 address show dev eth0 | grep -q 192.168.77.2; }
until_true 20 "it holds an address without being root" holds_address

in_host kill -STOP "$process"
until_true 60 "an agent that hangs is ended by the watchdog and started anew" was_replaced
process=$(property MainPID)
until_true 20 "and holds the address again" holds_address
in_host kill -KILL "$process"
until_true 20 "an agent that was killed is started anew" was_replaced
until_true 20 "and holds the address again" holds_address

process=$(property MainPID)
in_host dpkg --install /srv/two.deb >/dev/null
is ActiveState active && ! was_replaced || fail "installing a package replaced a running agent"
say "installing a package leaves the running agent alone"
# A cluster of one has nobody who decides meanwhile, so it has to be said.
in_host holdfast cluster upgrade --all --yes --timeout 3s && fail "an upgrade went on with nobody left to decide"
in_host holdfast cluster upgrade --all --yes --force --timeout 60s || fail "the upgrade failed"
until_true 20 "holdfast cluster upgrade replaces it" was_replaced
until_true 20 "and it holds the address again" holds_address
in_host holdfast get virtualip/dns -o name | grep -qi dns || fail "the upgrade lost what was declared"
in_host systemctl stop holdfast
holds_address && fail "a stopped agent left its address"
say "a stopped agent leaves no address"
in_host dpkg --install /srv/two.deb >/dev/null
is ActiveState inactive || fail "an upgrade started an agent that had been stopped"
say "an upgrade leaves a stopped agent stopped"

in_host systemctl start holdfast
in_host dpkg --remove holdfast >/dev/null
in_host test -e /var/lib/holdfast/identity/member.json || fail "removal took the identity"
holds_address && fail "a removed agent left its address"
say "removal ends the agent and keeps its identity"
in_host dpkg --install /srv/one.deb >/dev/null 2>&1
until_true 20 "installed again, the same member goes on" holds_address
in_host dpkg --purge holdfast >/dev/null
in_host test ! -e /var/lib/holdfast || fail "purging left the identity"
say "purging takes everything"

in_host systemctl poweroff --no-block >/dev/null 2>&1 || true
timeout 30 tail --pid=$nspawn --follow /dev/null || kill -KILL $nspawn
say "every step was as it should be"
