# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf 5 on Fedora 41 and later: what is pending, by its own library; what changes the host is refused by name."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import dnf5_resolve_hook
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import (
    InstallRequest,
    PendingRequest,
    StageRequest,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_pending import Tool, pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_manager import RpmManager

COMMAND, LINK = "usr/bin/dnf5", "usr/bin/dnf"
#: With the cache only what changed is fetched; why packages are installed is read from dnf 5's own state.
CACHED = ("*-*/repodata", "*-*/solv", "*-*/pubring", "*-*/mirrorlist", "*-*/metalink.xml")
DNF_5 = Tool("dnf5", dnf5_resolve_hook, (("var/cache/libdnf5", CACHED, "cache"),))


def is_default(root: str) -> bool:
    """Return whether ``dnf`` is dnf 5 under ``root``: the link says so, and without it the absence of dnf 4."""
    link = os.path.join(root, LINK)
    if os.path.islink(link):
        return os.path.basename(os.readlink(link)) == "dnf5"
    there = os.path.exists(os.path.join(root, COMMAND))
    return there and not any(os.path.exists(os.path.join(root, path)) for path in (LINK, "usr/bin/dnf-3"))


class Dnf5(RpmManager):
    """dnf 5, by its own library on the system's Python; its transactions are not staged yet."""

    NAME = "dnf5"

    @staticmethod
    def present(root: str) -> bool:
        return rpm_database.present(root) and is_default(root)

    def pending(self, wanted: PendingRequest) -> Dict[str, Any]:
        return pending(self.host, wanted, DNF_5)

    def stage(self, request: StageRequest) -> Dict[str, Any]:
        raise _refused("staging")

    def install(self, request: InstallRequest) -> Dict[str, Any]:
        raise _refused("installing")

    def verify(self, transaction: Dict[str, Any], expect: str, names: List[str]) -> Dict[str, Any]:
        raise _refused("verifying a transaction")

    def rollback(self, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
        raise _refused("the way back")


def _refused(what: str) -> PatchingError:
    return PatchingError(
        "dnf 5",
        "{} is not supported on a host that dnf 5 runs".format(what),
        "a host of apt, dnf 4 or zypper",
        "set patching_policy to observed for this host and update it by hand (dnf5 upgrade); nothing was changed",
    )
