# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf on Fedora, Red Hat Enterprise Linux and their relatives: each method's work is in the file named after it."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import (
    InstallRequest,
    PackageManager,
    PendingRequest,
    StageRequest,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_install import install
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_rollback import rollback
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_stage import DnfStage
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_verify import verify

#: dnf is a link to one of the others; a host may lack the link.
COMMANDS = ("usr/bin/dnf", "usr/bin/dnf-3", "usr/bin/dnf5")


class Dnf(PackageManager):
    """dnf 4, by its own library on the system's Python; dnf 5 is refused by name."""

    NAME = "dnf"

    @staticmethod
    def present(root: str) -> bool:
        return rpm_database.present(root) and any(os.path.exists(os.path.join(root, command)) for command in COMMANDS)

    def pending(self, wanted: PendingRequest) -> Dict[str, Any]:
        return pending(self.host, wanted)

    def stage(self, request: StageRequest) -> Dict[str, Any]:
        return DnfStage(self.host, request).run()

    def install(self, request: InstallRequest) -> Dict[str, Any]:
        return install(self.host, request)

    def verify(self, transaction: Dict[str, Any], expect: str, names: List[str]) -> Dict[str, Any]:
        return verify(self.host, transaction, expect, names)

    def files(self, entries: List[Dict[str, Any]]) -> Dict[str, List[str]]:
        return rpm_database.files(self.host.runner, self.host.root, [entry["name"] for entry in entries])

    def rollback(self, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
        return rollback(self.host, request, names)
