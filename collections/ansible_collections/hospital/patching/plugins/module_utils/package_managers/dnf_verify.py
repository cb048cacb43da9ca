# SPDX-License-Identifier: GPL-3.0-or-later
"""After an installation on a dnf host: does it equal its transaction?"""

from typing import Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import dnf_install
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_verify import RpmVerify
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_record import Marks
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_verify import problem
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import Find


class DnfVerify(RpmVerify):
    """Also asks for packages that rpm has not finished, and lets rpm check its database."""

    def marks(self, installed: RpmInstalled) -> Marks:
        return dnf_install.marks(self.host, installed)

    def find(self, installed: RpmInstalled) -> Find:
        return dnf_install.finder(self.host, installed)

    def database(self) -> List[Dict[str, str]]:
        try:
            result = self.host.runner.run(["rpmdb", "--verifydb"], timeout_s=300, check=False)
        except PatchingError as error:
            return [problem("rpmdb --verifydb", error.seen, "no finding")]
        said = " ".join((result.stdout + " " + result.stderr).split())
        return [] if result.rc == 0 else [problem("rpmdb --verifydb", said[:300] or "a failure", "no finding")]
