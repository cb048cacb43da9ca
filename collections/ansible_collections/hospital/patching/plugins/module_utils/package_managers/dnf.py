# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf on Fedora, Red Hat Enterprise Linux and their relatives: assessed, not patched yet."""

import os
from typing import Any, Dict

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.assessed_only import AssessedOnly
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import PendingRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_pending import pending

#: dnf is a link to one of the others; a host may lack the link.
COMMANDS = ("usr/bin/dnf", "usr/bin/dnf-3", "usr/bin/dnf5")


class Dnf(AssessedOnly):
    """What dnf 4 would do is read from its library; everything that changes a host is refused."""

    NAME = "dnf"

    @staticmethod
    def present(root: str) -> bool:
        return rpm_database.present(root) and any(os.path.exists(os.path.join(root, command)) for command in COMMANDS)

    def pending(self, wanted: PendingRequest) -> Dict[str, Any]:
        return pending(self.host, wanted)
