# SPDX-License-Identifier: GPL-3.0-or-later
"""Would the way back be possible? Asked of rpm on a copy of its database in which the update has already happened."""

import os
import shutil
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import disk_space, rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import rpm_installed
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import PackageFolder
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import (
    PrivateDirectory,
)

PREFIX = "hospital-patching-rehearsal-"
_RECORD = ["--justdb", "--noscripts", "--notriggers", "--nodeps", "--nosignature", "--ignorearch", "--ignoresize"]


def way_back(host: Host, entries: List[Dict[str, Any]], stage: PackageFolder, preserved: PackageFolder) -> bool:
    """Test the way back with rpm, but for kernels, whose older version stays.

    Returns False where there is no database, or no room for a copy of it.

    Raises:
        PatchingError: rpm could not put the preserved versions back.
    """
    database = rpm_database.directory(host.root)
    if database is None:
        return False
    size = sum(os.path.getsize(each) for each in _files(database))
    base = os.path.join(host.root, "var/tmp")
    if disk_space.free_bytes(disk_space.mount_point(base)) < 2 * size + disk_space.MARGIN_BYTES:
        return False
    with PrivateDirectory(host.root, PREFIX) as private:
        copy = private.folder("rpm")
        for each in _files(database):
            shutil.copy2(each, copy)
        rpm = ["rpm", "--dbpath", copy]
        plain = [entry for entry in entries if not rpm_installed.is_beside(entry["name"])]
        comes = [stage.path(entry["name"], entry["to"], entry["arch"]) for entry in plain if entry["to"]]
        goes = [_label(entry, entry["from"]) for entry in plain if entry["to"] is None]
        new = [_label(entry, entry["to"]) for entry in plain if entry["from"] is None]
        back = [path for path in (_kept(preserved, entry) for entry in plain if entry["from"]) if os.path.exists(path)]
        if goes:
            host.runner.run(rpm + ["--erase"] + _RECORD[:4] + goes, timeout_s=600)
        if comes:
            host.runner.run(rpm + ["--upgrade", "--replacepkgs", "--oldpackage"] + _RECORD + comes, timeout_s=600)
        if new:
            host.runner.run(rpm + ["--erase"] + _RECORD[:4] + new, timeout_s=600)
        if not back:
            return True
        result = host.runner.run(
            rpm + ["--upgrade", "--test", "--oldpackage", "--replacepkgs", "--nosignature"] + back,
            timeout_s=600,
            check=False,
        )
    if result.rc != 0:
        raise PatchingError(
            "way back of this transaction",
            "rpm cannot put the installed versions back: {}".format(" ".join(result.stderr.split())[:500]),
            "preserved packages that fit together",
            "look at what rpm names; until then update this host only with a snapshot. Nothing was installed",
        )
    return True


def _files(directory: str) -> List[str]:
    names = [name for name in os.listdir(directory) if not name.startswith((".", "__db"))]
    return [path for path in (os.path.join(directory, name) for name in sorted(names)) if os.path.isfile(path)]


def _label(entry: Dict[str, Any], evr: str) -> str:
    """Return what rpm calls an installed package; an epoch has no place in it."""
    return "{}-{}.{}".format(entry["name"], evr.rpartition(":")[2], entry["arch"])


def _kept(preserved: PackageFolder, entry: Dict[str, Any]) -> str:
    arch = preserved.kept_architecture(entry["name"], entry["from"], entry["arch"])
    return preserved.path(entry["name"], entry["from"], arch or entry["arch"])
