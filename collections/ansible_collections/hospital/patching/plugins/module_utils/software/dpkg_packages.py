# SPDX-License-Identifier: GPL-3.0-or-later
"""Every package that dpkg knows, read from its own files and apt's."""

import os
import re
from typing import Any, Dict, List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import PRESENT, DpkgDatabase
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_lists
from ansible_collections.hospital.patching.plugins.module_utils.software.stamps import stamp

_EPOCH = re.compile(r"([0-9]{1,10}):")


def present(root: str) -> bool:
    """Return whether dpkg keeps a database under ``root``."""
    return os.path.exists(os.path.join(root, "var/lib/dpkg/status"))


def entries(host: Host) -> Tuple[List[Dict[str, Any]], List[str]]:
    """Return one entry a package, and what could not be read.

    As ``dpkg-query -W`` lists them: all but those in state ``not-installed``, so
    also removed ones whose configuration remains (``config-files``).

    Raises:
        PatchingError: there is no readable status file.
    """
    database = DpkgDatabase(host.root)
    packages, damage = database.read()
    by_key = {(package.name, package.arch): package for package in packages if package.status != "not-installed"}
    automatic = set(database.automatic(by_key))
    origins, unread = apt_lists.origins(host, {key + (package.version,) for key, package in by_key.items()})
    found = []
    for key, package in sorted(by_key.items()):
        here = package.status in PRESENT
        found.append(
            {
                "manager": "dpkg",
                "name": package.name,
                "arch": package.arch,
                "version": package.version,
                "epoch": epoch(package.version),
                "source": package.source,
                "source_version": package.source_version,
                "origin": origins.get(key + (package.version,)),
                "installed_bytes": package.installed_bytes if here else 0,
                "installed_at": stamp(database.written(*key)) if here else None,
                "automatic": "{}:{}".format(*key) in automatic,
                "held": package.want == "hold",
                "held_by": "dpkg hold" if package.want == "hold" else None,
                "status": package.status,
            }
        )
    return found, _told(damage, unread)


def epoch(version: str) -> int:
    """Return the epoch of a version (deb-version(7)): 0 if there is none or it is no number."""
    match = _EPOCH.match(version)
    return int(match.group(1)) if match else 0


def _told(damage: List[str], unread: List[str]) -> List[str]:
    told = []
    if damage:
        told.append(
            PatchingError(
                "the package database",
                "{} damaged paragraphs, the first: {}".format(len(damage), damage[0]),
                "a readable status file",
                "restore it from /var/backups/dpkg.status.*; until then nothing is installed here",
            )
        )
    if unread:
        told.append(
            PatchingError(
                "the origin of packages",
                "{} of apt's lists not read, the first: {}".format(len(unread), unread[0]),
                "readable files in /var/lib/apt/lists",
                "run apt-get update on the host, then collect again",
            )
        )
    return [str(error) for error in told]
