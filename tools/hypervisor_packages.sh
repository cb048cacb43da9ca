#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Unpack libvirt and QEMU into .cache/hypervisor, for the tests of the snapshot provider libvirt. Nothing is installed:
# tests/support/hypervisor_view.sh runs them in a view of its own. Quick and silent about what is there; 100 MB.
set -eu
cd "$(dirname "$0")/.."

packages="libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu qemu-system-x86 qemu-utils seabios"
cache=.cache/hypervisor
digest="$(cksum <"tools/hypervisor_packages.sh")"
if [ "$(cat "$cache/.packages" 2>/dev/null)" = "$digest" ]; then
    exit 0
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "This machine has no apt-get: tests skip libvirt, which comes from Debian's packages $packages."
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Root is needed to fetch packages: tests skip libvirt."
    exit 0
fi

mkdir -p .cache
new="$(mktemp -d "$PWD/.cache/hypervisor.XXXXXX")"
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$new"
mkdir -p "$new/debs" "$new/root/etc" "$new/root/usr/lib"

echo "Unpacking libvirt and QEMU for tests, not installed: $packages."
apt-get update -qq
# apt names what is not installed yet, dependencies included.
# shellcheck disable=SC2086  # a list of words on purpose
apt-get install --simulate -qq --no-install-recommends $packages | sed -n 's/^Inst \([^ ]*\) .*/\1/p' >"$new/names"
# shellcheck disable=SC2046  # likewise
[ ! -s "$new/names" ] || (cd "$new/debs" && apt-get download -qq -o APT::Sandbox::User=root $(cat "$new/names")) \
    >"$new/log" 2>&1 || {
    cat "$new/log" >&2
    echo "apt-get cannot fetch these packages: see above; repair apt's sources and run this again." >&2
    exit 1
}
for deb in "$new"/debs/*.deb; do
    case "${deb##*/}" in
        '*.deb' | libc6_*) ;; # all of them are installed; and what must be the machine's own
        *) dpkg-deb --extract "$deb" "$new/root" ;;
    esac
done
# One tree of programs and libraries, as the machine has it.
for folder in bin lib sbin; do
    [ ! -d "$new/root/$folder" ] || { mkdir -p "$new/root/usr/$folder" && cp -a "$new/root/$folder/." "$new/root/usr/$folder/"; }
done
rm -rf "$new/debs" "$new/log" "$new/names" "$new/root/usr/share/doc" "$new/root/usr/share/man"

echo "$digest" >"$new/.packages"
rm -rf "$cache"
mv "$new" "$cache"
trap - EXIT
echo "The hypervisor is ready: $cache ($(du -sh "$cache" | cut -f1))."
