# SPDX-License-Identifier: GPL-3.0-or-later
"""apt and dpkg: each method's work is in the file that is named after it."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_install import install
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_pending import pending
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_rollback import rollback
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_stage import AptStage
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_verify import verify
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import (
    InstallRequest,
    PackageManager,
    PendingRequest,
    StageRequest,
)


class Apt(PackageManager):
    """Debian, Ubuntu and their relatives."""

    NAME = "apt"

    @staticmethod
    def present(root: str) -> bool:
        return os.path.isfile(os.path.join(root, "var/lib/dpkg/status")) and os.path.isfile(
            os.path.join(root, "usr/bin/apt-get")
        )

    def pending(self, wanted: PendingRequest) -> Dict[str, Any]:
        return pending(self.host, wanted)

    def stage(self, request: StageRequest) -> Dict[str, Any]:
        return AptStage(self.host, request).run()

    def install(self, request: InstallRequest) -> Dict[str, Any]:
        return install(self.host, request)

    def verify(self, transaction: Dict[str, Any], expect: str, names: List[str]) -> Dict[str, Any]:
        return verify(self.host, transaction, expect, names)

    def files(self, entries: List[Dict[str, Any]]) -> Dict[str, List[str]]:
        database = DpkgDatabase(self.host.root)
        return {entry["name"]: database.files(entry["name"], entry["arch"]) for entry in entries}

    def rollback(self, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
        return rollback(self.host, request, names)
