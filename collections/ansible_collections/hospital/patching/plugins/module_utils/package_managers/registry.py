# SPDX-License-Identifier: GPL-3.0-or-later
"""All package managers. Explicit imports, because only what is imported travels to a host."""

from typing import Any, Dict

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt import Apt
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import PackageManager
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf import Dnf
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf5 import Dnf5
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper import Zypper

#: In the order in which ``auto`` tries them: a host of one family may have another's tool, but rarely its database.
PACKAGE_MANAGERS = (Apt, Zypper, Dnf, Dnf5)


def select(name: str, host: Host) -> PackageManager:
    """Return the package manager called ``name``, or with ``auto`` the first that runs the host.

    Raises:
        PatchingError: the name is unknown, or nothing known runs this host.
    """
    known = {manager.NAME: manager for manager in PACKAGE_MANAGERS}
    if name in known:
        if not known[name].present(host.root):
            raise PatchingError(
                "package manager", "{} is not installed here".format(name), "its database", "set manager to auto"
            )
        return known[name](host)
    if name != "auto":
        raise PatchingError(
            "package manager", repr(name), "auto or one of {}".format(", ".join(sorted(known))), "correct manager"
        )
    for manager in PACKAGE_MANAGERS:
        if manager.present(host.root):
            return manager(host)
    raise PatchingError(
        "package manager",
        "none of {} runs this host".format(", ".join(sorted(known))),
        "a supported package manager",
        "set patching_policy to observed for this host, or patch it by hand",
    )


def select_for(transaction: Dict[str, Any], name: str, host: Host) -> PackageManager:
    """Return the package manager that resolved ``transaction``; ``name`` is ``auto`` or its name.

    A host may have several package managers, and ``auto`` would find the first.

    Raises:
        PatchingError: another one is named, or it does not run this host.
    """
    resolved_by = str(transaction.get("manager", "auto"))
    if name not in ("auto", resolved_by):
        raise PatchingError(
            "package manager",
            "{}, for a transaction of {}".format(name, resolved_by),
            resolved_by,
            "leave manager out, or stage the host again with the one that runs it",
        )
    return select(resolved_by, host)
