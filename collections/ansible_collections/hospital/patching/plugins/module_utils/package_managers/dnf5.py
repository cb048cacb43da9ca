# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf 5 on Fedora 41 and later: what is pending as with dnf 4, and its transactions by dnf5_work.py."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import dnf5_resolve_hook, dnf5_work
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import (
    InstallRequest,
    PendingRequest,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_rollback import rollback
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_manager import RpmManager

COMMAND, LINK = "usr/bin/dnf5", "usr/bin/dnf"
DNF_5 = dnf5_work.DNF_5_WORK._replace(script=dnf5_resolve_hook)


def is_default(root: str) -> bool:
    """Return whether ``dnf`` is dnf 5 under ``root``: the link says so, and without it the absence of dnf 4."""
    link = os.path.join(root, LINK)
    if os.path.islink(link):
        return os.path.basename(os.readlink(link)) == "dnf5"
    there = os.path.exists(os.path.join(root, COMMAND))
    return there and not any(os.path.exists(os.path.join(root, path)) for path in (LINK, "usr/bin/dnf-3"))


class Dnf5(RpmManager):
    """dnf 5, by its own library on the system's Python."""

    NAME = dnf5_work.NAME
    STAGE = dnf5_work.Dnf5Stage
    TRANSACTION = dnf5_work.Dnf5Transaction
    VERIFY = dnf5_work.Dnf5Verify

    @staticmethod
    def present(root: str) -> bool:
        return rpm_database.present(root) and is_default(root)

    def pending(self, wanted: PendingRequest) -> Dict[str, Any]:
        return pending(self.host, wanted, DNF_5)

    def rollback(self, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
        return rollback(self.host, request, names, dnf5_work.Dnf5Transaction)
