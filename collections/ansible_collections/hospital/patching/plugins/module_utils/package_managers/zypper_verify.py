# SPDX-License-Identifier: GPL-3.0-or-later
"""After an installation on a zypper host: does it equal its transaction?"""

from ansible_collections.hospital.patching.plugins.module_utils.package_managers import zypper_marks
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import (
    RpmInstalled,
    RpmMarks,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_verify import RpmVerify


class ZypperVerify(RpmVerify):
    """With zypper's marks and locks."""

    def marks(self, installed: RpmInstalled) -> RpmMarks:
        return zypper_marks.marks(self.host.root, installed)
