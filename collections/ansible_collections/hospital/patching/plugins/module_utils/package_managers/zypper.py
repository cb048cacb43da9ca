# SPDX-License-Identifier: GPL-3.0-or-later
"""zypper on SUSE Linux Enterprise and openSUSE: assessed, not patched yet."""

import os
from typing import Any, Dict

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.assessed_only import AssessedOnly
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import PendingRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_pending import pending


class Zypper(AssessedOnly):
    """What zypper would do is read from its XML; everything that changes a host is refused."""

    NAME = "zypper"

    @staticmethod
    def present(root: str) -> bool:
        # zypper may be installed on any rpm host; one that it runs has repositories of its own.
        repositories = os.path.join(root, "etc/zypp/repos.d")
        runs = os.path.isdir(repositories) and bool(os.listdir(repositories))
        return runs and rpm_database.present(root) and os.path.exists(os.path.join(root, "usr/bin/zypper"))

    def pending(self, wanted: PendingRequest) -> Dict[str, Any]:
        return pending(self.host, wanted)
