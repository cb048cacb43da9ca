#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Build VMware's vCenter simulator into .cache/vcenter/simulator, for the tests of the snapshot provider vsphere. It is
# a library in a Debian package, built with Debian's Go, both unpacked and not installed; tests/support/vcenter adds
# what it lacks. Quick and silent about what is there; takes a minute and 500 MB for a while otherwise.
set -eu
cd "$(dirname "$0")/.."

sources="tests/support/vcenter"
cache=.cache/vcenter
digest="$(cat tools/vcenter_simulator.sh "$sources"/*.go | cksum)"
if [ "$(cat "$cache/.sources" 2>/dev/null)" = "$digest" ]; then
    exit 0
fi

packages="golang-1.19-go golang-1.19-src golang-github-google-uuid-dev golang-github-vmware-govmomi-dev"
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "This machine has no apt-get: tests skip the vCenter simulator, which is made of Debian packages."
    exit 0
fi
mkdir -p .cache
new="$(mktemp -d "$PWD/.cache/vcenter.XXXXXX")"
trap 'chmod -R u+w "$new"; rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$new/debs" "$new/root" "$new/out"

echo "Building VMware's vCenter simulator from Debian's packages, not installed: $packages."
# shellcheck disable=SC2086  # a list of words on purpose
(cd "$new/debs" && apt-get download -qq -o APT::Sandbox::User=root $packages) >"$new/log" 2>&1 || {
    cat "$new/log" >&2
    echo "This machine cannot fetch Debian 12's packages (see above): tests skip the vCenter simulator."
    exit 0
}
for deb in "$new"/debs/*.deb; do
    dpkg-deb --extract "$deb" "$new/root"
done

code="$new/root/usr/share/gocode/src/github.com/vmware/govmomi/simulator"
renamed() { # FILE METHOD NEW_NAME: the addition has its name, and calls it
    grep -q ") $2(" "$code/$1" || { echo "the simulator has no $2 in $1 any more: see $sources/additions.go" >&2; exit 1; }
    sed -i "s/^\(func ([a-z]* \*[A-Za-z]*) \)$2(/\1$3(/" "$code/$1"
}
renamed virtual_machine.go CreateSnapshotTask SimulatedCreateSnapshot
renamed virtual_machine.go PowerOnVMTask SimulatedPowerOn
renamed virtual_machine.go PowerOffVMTask SimulatedPowerOff
renamed virtual_machine.go ShutdownGuest SimulatedShutdownGuest
renamed snapshot.go RemoveSnapshotTask SimulatedRemoveSnapshot
renamed snapshot.go RevertToSnapshotTask SimulatedRevertToSnapshot
cp "$sources/additions.go" "$code/hospital_additions.go"

# Debian's Go looks for its other half beside itself; GOFLAGS and the like are the machine's, not ours.
env -i PATH="$PATH" HOME="$new" GOROOT="$new/root/usr/lib/go-1.19" GOPATH="$new/root/usr/share/gocode" \
    GO111MODULE=off CGO_ENABLED=0 GOCACHE="$new/cache" \
    "$new/root/usr/lib/go-1.19/bin/go" build -trimpath -o "$new/out/simulator" "$sources/main.go"

echo "$digest" >"$new/out/.sources"
rm -rf "$cache"
mv "$new/out" "$cache"
echo "The vCenter simulator is ready: $cache ($(du -sh "$cache" | cut -f1))."
