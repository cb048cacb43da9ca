# SPDX-License-Identifier: GPL-3.0-or-later
"""What dnf and zypper have in common: rpm's database, and the order of the work on it."""

from typing import Any, Dict, List, Type

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import (
    InstallRequest,
    PackageManager,
    StageRequest,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_install import RpmTransaction
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_stage import RpmStage
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_verify import RpmVerify


class RpmManager(PackageManager):
    """A package manager of rpm files; what it does in its own way is in the three classes that it names."""

    STAGE: Type[RpmStage]
    TRANSACTION: Type[RpmTransaction]
    VERIFY: Type[RpmVerify]

    def stage(self, request: StageRequest) -> Dict[str, Any]:
        return self.STAGE(self.host, request).run()

    def install(self, request: InstallRequest) -> Dict[str, Any]:
        return self.TRANSACTION.install(self.host, request)

    def verify(self, transaction: Dict[str, Any], expect: str, names: List[str]) -> Dict[str, Any]:
        return self.VERIFY(self.host).run(transaction, expect, names)

    def files(self, entries: List[Dict[str, Any]]) -> Dict[str, List[str]]:
        return rpm_database.files(self.host.runner, self.host.root, [entry["name"] for entry in entries])
