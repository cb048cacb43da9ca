# SPDX-License-Identifier: GPL-3.0-or-later
"""apt's automatic marks and dpkg's holds."""

from typing import Dict, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import (
    DpkgDatabase,
    Package,
    holds,
    native_architecture,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_record import Marks


class AptMarks(Marks):
    """The marks of the packages ``installed``."""

    def __init__(self, database: DpkgDatabase, installed: Dict[Tuple[str, str], Package]) -> None:
        self.database = database
        self.installed = installed
        self.native = native_architecture(installed)

    def here(self) -> Set[str]:
        return {"{}:{}".format(*key) for key in self.installed}

    def automatic(self) -> Set[str]:
        return set(self.database.automatic(self.installed))

    def holds(self) -> Set[str]:
        return set(holds(self.installed))

    def plain(self, key: str) -> str:
        """Return ``key`` with the native architecture for ``all``: a switch between them is no difference."""
        name, _colon, arch = key.rpartition(":")
        return "{}:{}".format(name, self.native if arch == "all" else arch)
