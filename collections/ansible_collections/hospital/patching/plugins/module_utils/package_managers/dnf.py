# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf on Fedora, Red Hat Enterprise Linux and their relatives: each method's work is in the file named after it."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import (
    InstallRequest,
    PendingRequest,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_install import DnfTransaction
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_rollback import rollback
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_stage import DnfStage
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_verify import DnfVerify
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_manager import RpmManager

#: dnf is a link to one of the others; a host may lack the link.
COMMANDS = ("usr/bin/dnf", "usr/bin/dnf-3", "usr/bin/dnf5")


class Dnf(RpmManager):
    """dnf 4, by its own library on the system's Python; dnf 5 is refused by name."""

    NAME = "dnf"
    STAGE = DnfStage
    TRANSACTION = DnfTransaction
    VERIFY = DnfVerify

    @staticmethod
    def present(root: str) -> bool:
        return rpm_database.present(root) and any(os.path.exists(os.path.join(root, command)) for command in COMMANDS)

    def pending(self, wanted: PendingRequest) -> Dict[str, Any]:
        return pending(self.host, wanted)

    def rollback(self, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
        return rollback(self.host, request, names)
