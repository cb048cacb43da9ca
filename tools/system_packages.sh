#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Install the Debian packages that the project needs, or those that are named. Changes nothing when they are there.
#   system_packages.sh              all that the lab and the playbooks need
#   system_packages.sh shellcheck   only these
#   system_packages.sh snapper      for the tests of the snapshot provider snapper (make test)
#   system_packages.sh chromium     the browser (80 MB) of the suite `report`, which nothing else needs
set -eu

all="btrfs-progs createrepo-c debian-archive-keyring faketime git gnupg iptables make mmdebstrap netavark nftables \
openssh-client openssl podman python3-venv rpm runc shellcheck zstd"
packages="${*:-$all}"

if ! command -v apt-get >/dev/null; then
    echo "This machine has no apt-get: install the equivalents of these Debian packages by hand: $packages." >&2
    exit 1
fi

# shellcheck disable=SC2086  # a list of words on purpose
present="$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' $packages 2>/dev/null || true)"
missing=""
for package in $packages; do
    echo "$present" | grep -qx "installed $package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "Root is needed to install these packages: run as root, or once: sudo apt-get install$missing" >&2
    exit 1
fi

echo "Installing system packages with apt-get:$missing"
$as_root apt-get update -q
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
