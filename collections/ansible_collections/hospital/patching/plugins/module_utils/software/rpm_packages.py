# SPDX-License-Identifier: GPL-3.0-or-later
"""Every package that rpm knows, with what dnf or libzypp recorded about it."""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import (
    dnf5_state,
    dnf_history,
    rpm_database,
    rpm_locks,
    zypp_history,
)
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage, evr, source_of
from ansible_collections.hospital.patching.plugins.module_utils.software.stamps import stamp

#: What a package manager above rpm remembers: the repository that a package came from, and whether it is automatic.
Memory = NamedTuple(
    "Memory",
    [("origin", Callable[[RpmPackage], Optional[str]]), ("automatic", Callable[[RpmPackage], Optional[bool]])],
)


def entries(host: Host) -> Tuple[List[Dict[str, Any]], List[str]]:
    """Return one entry a package as ``rpm -qa`` lists them, and what could not be read.

    Raises:
        PatchingError: rpm cannot read its database.
    """
    packages, damage = rpm_database.query(host.runner, host.root)
    problems = []
    if damage:
        error = PatchingError(
            "the rpm database",
            "{} problems, the first: {}".format(len(damage), damage[0]),
            "a database without damage",
            "run rpmdb --rebuilddb on the host; until then nothing is installed here",
        )
        problems.append(str(error))
    try:
        memory = _memory(host.root)
    except PatchingError as error:
        problems.append(str(error))
        memory = _NOTHING
    locks, unreadable = rpm_locks.read(host.root)
    if dnf5_state.present(host.root):
        locks += [rpm_locks.Lock(rpm_locks.VERSIONLOCK, None, name) for name in dnf5_state.locked(host.root)]
    found = [_entry(package, memory, rpm_locks.holder(locks, package)) for package in packages]
    return sorted(found, key=_order), problems + unreadable


def _entry(package: RpmPackage, memory: Memory, held_by: Optional[str]) -> Dict[str, Any]:
    source, source_version = source_of(package)
    origin = memory.origin(package)
    if origin is None and package.vendor:
        origin = "vendor:" + package.vendor
    return {
        "manager": "rpm",
        "name": package.name,
        "arch": package.arch,
        "version": evr(package),
        "epoch": package.epoch,
        "source": source,
        "source_version": source_version,
        "origin": origin,
        "installed_bytes": package.installed_bytes,
        "installed_at": stamp(package.installed_s),
        "automatic": memory.automatic(package),
        "held": held_by is not None,
        "held_by": held_by,
        "status": "installed",
    }


def _order(entry: Dict[str, Any]) -> Tuple[str, str, str]:
    return entry["name"], entry["arch"] or "", entry["version"]


_NOTHING = Memory(lambda package: None, lambda package: None)


def _memory(root: str) -> Memory:
    """Return what dnf remembers (dnf 5 before dnf 4), and of packages that it did not touch what libzypp does.

    dnf counts a package that it did not install as wanted by the user, so it is not
    automatic. Without either nobody knows.
    """
    five = dnf5_state.read(root) if dnf5_state.present(root) else None
    dnf = dnf_history.read(root) if dnf_history.present(root) else None
    zypp_origins, zypp_automatic = zypp_history.origins(root), zypp_history.automatic(root)

    def origin(package: RpmPackage) -> Optional[str]:
        arch = package.arch or ""
        found = dnf5_state.origin(five, package.name, evr(package), arch) if five else None
        if found is None and dnf:
            found = dnf.origins.get((package.name, package.epoch, package.version, package.release, arch))
        return found or zypp_origins.get((package.name, evr(package), arch))

    def automatic(package: RpmPackage) -> Optional[bool]:
        reason = dnf5_state.automatic(five, package.name, package.arch or "") if five else None
        if reason is None and dnf and not five:
            reason = dnf.automatic.get((package.name, package.arch or ""))
        if reason is None and zypp_automatic is not None:
            return package.name in zypp_automatic
        return False if reason is None and (dnf or five) else reason

    return Memory(origin, automatic)
