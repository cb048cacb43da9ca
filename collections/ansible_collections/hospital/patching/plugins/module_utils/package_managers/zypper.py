# SPDX-License-Identifier: GPL-3.0-or-later
"""zypper on SUSE Linux Enterprise and openSUSE: each method's work is in the file that is named after it."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import (
    InstallRequest,
    PendingRequest,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_manager import RpmManager
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_install import ZypperTransaction
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_rollback import rollback
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_stage import ZypperStage
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_verify import ZypperVerify


class Zypper(RpmManager):
    """What zypper would do is read from its XML."""

    NAME = "zypper"
    STAGE = ZypperStage
    TRANSACTION = ZypperTransaction
    VERIFY = ZypperVerify

    @staticmethod
    def present(root: str) -> bool:
        # zypper may be installed on any rpm host; one that it runs has repositories of its own.
        repositories = os.path.join(root, "etc/zypp/repos.d")
        runs = os.path.isdir(repositories) and bool(os.listdir(repositories))
        return runs and rpm_database.present(root) and os.path.exists(os.path.join(root, "usr/bin/zypper"))

    def pending(self, wanted: PendingRequest) -> Dict[str, Any]:
        return pending(self.host, wanted)

    def rollback(self, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
        return rollback(self.host, request, names)
