# SPDX-License-Identifier: GPL-3.0-or-later
"""zypper on SUSE Linux Enterprise and openSUSE: each method's work is in the file that is named after it."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import (
    InstallRequest,
    PackageManager,
    PendingRequest,
    StageRequest,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_install import install
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_rollback import rollback
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_stage import ZypperStage
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_verify import verify


class Zypper(PackageManager):
    """What zypper would do is read from its XML."""

    NAME = "zypper"

    @staticmethod
    def present(root: str) -> bool:
        # zypper may be installed on any rpm host; one that it runs has repositories of its own.
        repositories = os.path.join(root, "etc/zypp/repos.d")
        runs = os.path.isdir(repositories) and bool(os.listdir(repositories))
        return runs and rpm_database.present(root) and os.path.exists(os.path.join(root, "usr/bin/zypper"))

    def pending(self, wanted: PendingRequest) -> Dict[str, Any]:
        return pending(self.host, wanted)

    def stage(self, request: StageRequest) -> Dict[str, Any]:
        return ZypperStage(self.host, request).run()

    def install(self, request: InstallRequest) -> Dict[str, Any]:
        return install(self.host, request)

    def verify(self, transaction: Dict[str, Any], expect: str, names: List[str]) -> Dict[str, Any]:
        return verify(self.host, transaction, expect, names)

    def files(self, entries: List[Dict[str, Any]]) -> Dict[str, List[str]]:
        return rpm_database.files(self.host.runner, self.host.root, [entry["name"] for entry in entries])

    def rollback(self, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
        return rollback(self.host, request, names)
