#!/bin/bash
# Builds the program and its laboratory in release, and runs the tour: a home lab on this one machine, the loss of the
# host that holds an address, and the proof that nothing was lost.
#
#   deploy/lab.sh                 the tour; about eight minutes to build from a clean clone, ten seconds to run
#   deploy/lab.sh COMMAND...      another command of the laboratory: up, status, probe, bench --repetitions 30 …
#   deploy/lab.sh bench --only guests --repetitions 30
#                                 virtual machines: their host is lost by each way of fencing, leading or not; drained,
#                                 stopped by plan; what-if; an agent with 100 guests at rest. Some hours
#   deploy/lab.sh bench --only "storage fence" --only "power fence" --repetitions 30
#                                 a part of it; "watchdog of 15 s", watchdog-mux, drain, "planned stop", what-if, "at rest"
#
# Needs Swift 6.2 or later. Installs what is missing when it runs as root on Debian (keepalived too, for `bench`);
# otherwise it names the packages. Everything runs in namespaces of its own, also for an ordinary user, and nothing is
# left behind. Reads no standard input. Ends with the status of the laboratory: 0 only when every promise was kept.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
export PATH="$PATH:/usr/sbin:/sbin"

# Every step has a bound in seconds, generous enough for a slow machine with one core.
readonly apt_seconds=300 build_seconds=3600

say() { printf '==> %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# What is missing, as Debian packages. A word with a slash is a file.
missing_packages() {
    local needs=(git:git /usr/include/zlib.h:zlib1g-dev ip:iproute2 nft:nftables unshare:util-linux nsenter:util-linux)
    if [[ "${1-}" == bench ]]; then needs+=(keepalived:keepalived); fi
    local need what
    for need in "${needs[@]}"; do
        what=${need%%:*}
        if [[ $what == /* ]]; then [[ -e $what ]] && continue; else command -v "$what" >/dev/null && continue; fi
        echo "${need##*:}"
    done | sort -u
}

install_packages() {
    local packages
    mapfile -t packages < <(missing_packages "$@")
    ((${#packages[@]})) || return 0
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        say "missing, and not mine to install: apt install ${packages[*]} (going on without)"
        return 0
    fi
    say "installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    timeout --kill-after=10 $apt_seconds apt-get update -qq ||
        say "apt-get update failed; trying with the lists that are here"
    timeout --kill-after=10 $apt_seconds apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2 ||
        fail "could not install ${packages[*]}"
}

# A shell that nobody logged into often lacks the toolchain's folder in its PATH; these are where installers put it.
find_swift() {
    local swift
    for swift in "$HOME"/.local/share/swiftly/bin/swift /opt/*/usr/bin/swift /usr/local/*/usr/bin/swift; do
        if [[ -x $swift ]]; then
            PATH="$(dirname "$swift"):$PATH"
            return 0
        fi
    done
    fail "\`swift\` is not in PATH; install the toolchain from https://www.swift.org/install"
}

build() {
    local log=.build/lab-build.log status=0
    say "building $1 in release (log: $log)"
    timeout --kill-after=10 $build_seconds \
        swift build -c release --static-swift-stdlib --disable-index-store --product "$1" >"$log" 2>&1 || status=$?
    ((status == 0)) && return 0
    { grep -E 'error:' "$log" | sort -u | head -40 || true; } >&2
    tail -n 20 "$log" >&2
    if ((status == 124)); then fail "building $1 did not end within $build_seconds s; see $log"; fi
    fail "building $1 failed with status $status; see $log"
}

command -v swift >/dev/null || find_swift
install_packages "${1-}"
mkdir -p .build
build holdfast
build holdfast-lab
build holdfast-proxmox
if (($# == 0)); then set -- tour; fi
exec "$(swift build -c release --show-bin-path)/holdfast-lab" "$@"
