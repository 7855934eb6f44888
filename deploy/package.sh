#!/bin/bash
# Builds the Debian package: program, service, manual page, completions, manifests of the lab, guide.
#
#   deploy/package.sh                       builds the program in release, and holdfast_VERSION_ARCH.deb into .build/package
#   deploy/package.sh --program FILE        packs this program instead of building one
#   deploy/package.sh --output DIR          puts the package there
#
# Needs Swift 6.2 or later (unless --program is given) and dpkg-deb, which every Debian has. The program carries the Swift
# runtime in itself; it needs glibc and libstdc++ as they are in Debian 12 or later. Ends with the package's path.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."
umask 022

readonly build_seconds=3600
program='' output=.build/package

say() { printf '==> %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

while (($#)); do
    case "$1" in
    --program) program=${2:?} ;;
    --output) output=${2:?} ;;
    *) fail "usage: deploy/package.sh [--program FILE] [--output DIR]" ;;
    esac
    shift 2
done
command -v dpkg-deb >/dev/null || fail "dpkg-deb is missing; this makes a package for Debian on Debian"
if [[ -z $program ]]; then
    command -v swift >/dev/null || fail "\`swift\` is not in PATH; install the toolchain from https://www.swift.org/install"
    mkdir -p .build
    say "building holdfast in release (log: .build/package-build.log)"
    timeout --kill-after=10 $build_seconds swift build -c release --static-swift-stdlib --disable-index-store \
        --product holdfast >.build/package-build.log 2>&1 || {
        tail -n 20 .build/package-build.log >&2
        fail "the build failed; see .build/package-build.log"
    }
    program=$(swift build -c release --show-bin-path)/holdfast
fi
[[ -x $program ]] || fail "$program is not a program"

version=$("$program" version --output name 2>/dev/null) || version=$("$program" --version)
[[ $version =~ ^[0-9]+(\.[0-9]+)*([~+][A-Za-z0-9.+~]+)?$ ]] || fail "\`$program --version\` says \"$version\""
architecture=$(dpkg --print-architecture)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 0755 "$tree"

install -D -m 0755 "$program" "$tree/usr/bin/holdfast"
if command -v strip >/dev/null; then strip --strip-unneeded "$tree/usr/bin/holdfast"; fi
install -D -m 0644 deploy/systemd/holdfast.service "$tree/lib/systemd/system/holdfast.service"
install -D -m 0644 deploy/systemd/proxmox.conf "$tree/usr/share/holdfast/proxmox.conf"
install -D -m 0755 deploy/corosync.sh "$tree/usr/share/holdfast/corosync.sh"
install -d "$tree/usr/share/man/man1"
gzip -9n <deploy/holdfast.1 >"$tree/usr/share/man/man1/holdfast.1.gz"
install -d "$tree/usr/share/bash-completion/completions" "$tree/usr/share/zsh/vendor-completions" \
    "$tree/usr/share/fish/vendor_completions.d"
"$program" completion bash >"$tree/usr/share/bash-completion/completions/holdfast"
"$program" completion zsh >"$tree/usr/share/zsh/vendor-completions/_holdfast"
"$program" completion fish >"$tree/usr/share/fish/vendor_completions.d/holdfast.fish"
install -D -m 0644 -t "$tree/usr/share/doc/holdfast/examples/lab" deploy/lab/*.yaml
install -D -m 0644 -t "$tree/usr/share/doc/holdfast" deploy/OPERATING.md deploy/README.md
{
    printf 'Holdfast, https://www.apache.org/licenses/LICENSE-2.0\n\n'
    cat LICENSE
} >"$tree/usr/share/doc/holdfast/copyright"
install -d "$tree/etc/default"
cat >"$tree/etc/default/holdfast" <<'END'
# Further options of `holdfast agent`, read by holdfast.service; for example: --log-level debug
HOLDFAST_AGENT_OPTIONS=
END

install -d "$tree/DEBIAN"
install -m 0755 deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm "$tree/DEBIAN"
echo /etc/default/holdfast >"$tree/DEBIAN/conffiles"
cat >"$tree/DEBIAN/control" <<END
Package: holdfast
Version: $version
Architecture: $architecture
Maintainer: Holdfast maintainers <maintainers@holdfast.invalid>
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f 1)
Depends: adduser, libc6 (>= 2.36), libgcc-s1, libstdc++6 (>= 12), zlib1g, nftables (>= 1.0)
Recommends: iproute2
Section: admin
Priority: optional
Description: self-healing cluster for a home lab
 Identical agents on every host, on guests and on a small witness form one
 cluster, replicate what should be, and keep virtual addresses on exactly one
 member at a time, enforced by the kernel, whatever dies.
END
(cd "$tree" && find usr lib etc -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
mkdir -p "$output"
package=$output/holdfast_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$tree" "$package" >/dev/null
say "packed"
echo "$package"
