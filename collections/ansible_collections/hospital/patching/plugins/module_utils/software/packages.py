# SPDX-License-Identifier: GPL-3.0-or-later
"""Every package that dpkg knows, read from its own file."""

from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import Host


def collect(host: Host) -> List[Dict[str, Any]]:
    """Return the collector's part ``packages``, sorted by name and architecture."""
    database = DpkgDatabase(host.root)
    packages, _problems = database.read()
    by_key = {(package.name, package.arch): package for package in packages}
    automatic = set(database.automatic(by_key))
    return [
        {
            "name": package.name,
            "arch": package.arch,
            "version": package.version,
            "automatic": "{}:{}".format(package.name, package.arch) in automatic,
            "held": package.want == "hold",
            "status": package.status,
        }
        for package in sorted(by_key.values())
    ]


def check(host: Host) -> None:
    """Say what could not be read; the list itself stands.

    Raises:
        PatchingError: the package database is damaged.
    """
    _packages, problems = DpkgDatabase(host.root).read()
    if problems:
        raise PatchingError(
            "the package database",
            "{} damaged paragraphs, the first: {}".format(len(problems), problems[0]),
            "a readable status file",
            "restore it from /var/backups/dpkg.status.*; until then nothing is installed here",
        )
