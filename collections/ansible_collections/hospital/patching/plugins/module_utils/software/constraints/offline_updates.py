# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates that are prepared for the next boot (systemd.offline-updates(7), PackageKit, dnf)."""

from typing import List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    CHANGES,
    Entry,
    Look,
    entry,
)

#: File, name, what it means.
PREPARED: Tuple[Tuple[str, str, str], ...] = (
    ("system-update", "system-update", "the next boot installs what /system-update points to"),
    ("etc/system-update", "system-update", "the next boot installs what /etc/system-update points to"),
    ("var/lib/PackageKit/prepared-update", "PackageKit", "updates are prepared; a desktop may install them at reboot"),
    ("var/lib/PackageKit/prepared-upgrade", "PackageKit", "a release upgrade is prepared"),
    ("usr/lib/sysimage/libdnf5/offline/offline-transaction-state.toml", "dnf 5", "an offline transaction is prepared"),
    ("var/lib/dnf/system-upgrade/system-upgrade.state", "dnf system-upgrade", "an offline transaction is prepared"),
)


def collect(look: Look) -> List[Entry]:
    """Return what is prepared for the next boot."""
    return [entry("offline_update", name, detail, CHANGES) for path, name, detail in PREPARED if look.exists(path)]
