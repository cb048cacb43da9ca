# SPDX-License-Identifier: GPL-3.0-or-later
"""All package managers by name, each imported when it is asked for (on_demand.py).

``auto`` imports them in turn until one runs the host: a host of rpm compiles apt's as well when it is assessed, and
no longer once its transaction names its package manager.
"""

from typing import Any, Dict, Type

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.on_demand import OnDemand
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import PackageManager


def _apt() -> Type[PackageManager]:
    from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt import Apt

    return Apt


def _zypper() -> Type[PackageManager]:
    from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper import Zypper

    return Zypper


def _dnf() -> Type[PackageManager]:
    from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf import Dnf

    return Dnf


def _dnf5() -> Type[PackageManager]:
    from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf5 import Dnf5

    return Dnf5


#: In the order in which ``auto`` tries them: a host of one family may have another's tool, but rarely its database.
PACKAGE_MANAGERS = OnDemand({"apt": _apt, "zypper": _zypper, "dnf": _dnf, "dnf5": _dnf5})  # type: OnDemand[Type[PackageManager]]


def select(name: str, host: Host) -> PackageManager:
    """Return the package manager called ``name``, or with ``auto`` the first that runs the host.

    Raises:
        PatchingError: the name is unknown, or nothing known runs this host.
    """
    if name in PACKAGE_MANAGERS:
        if not PACKAGE_MANAGERS[name].present(host.root):
            raise PatchingError(
                "package manager", "{} is not installed here".format(name), "its database", "set manager to auto"
            )
        return PACKAGE_MANAGERS[name](host)
    if name != "auto":
        raise PatchingError(
            "package manager",
            repr(name),
            "auto or one of {}".format(", ".join(sorted(PACKAGE_MANAGERS))),
            "correct manager",
        )
    for manager in PACKAGE_MANAGERS.values():
        if manager.present(host.root):
            return manager(host)
    raise PatchingError(
        "package manager",
        "none of {} runs this host".format(", ".join(sorted(PACKAGE_MANAGERS))),
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
