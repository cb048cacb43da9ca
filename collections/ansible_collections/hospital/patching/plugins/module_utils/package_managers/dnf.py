# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf on Fedora, Red Hat Enterprise Linux and their relatives: each method's work is in the file named after it."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import dnf5
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

#: The commands of dnf 4; a host may lack the link ``dnf``, which is dnf 5's on a host of dnf 5.
COMMANDS = ("usr/bin/dnf", "usr/bin/dnf-3")


class Dnf(RpmManager):
    """dnf 4, by its own library on the system's Python."""

    NAME = "dnf"
    STAGE = DnfStage
    TRANSACTION = DnfTransaction
    VERIFY = DnfVerify

    @staticmethod
    def present(root: str) -> bool:
        commands = [command for command in COMMANDS if os.path.lexists(os.path.join(root, command))]
        if commands and commands[0] == COMMANDS[0] and dnf5.is_default(root):
            return False
        return rpm_database.present(root) and bool(commands)

    def pending(self, wanted: PendingRequest) -> Dict[str, Any]:
        return pending(self.host, wanted)

    def rollback(self, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
        return rollback(self.host, request, names)
