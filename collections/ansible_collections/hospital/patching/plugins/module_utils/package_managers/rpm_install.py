# SPDX-License-Identifier: GPL-3.0-or-later
"""What installing exactly a transaction is on every rpm host, whichever package manager performs it."""

import os
from typing import Any, ContextManager, Dict, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    rpm_config,
    rpm_installed,
    rpm_quiet,
    rpm_scripts,
    transaction_record,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import RpmFolder
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import (
    Entry,
    Find,
    TransactionWork,
)


class RpmTransaction(TransactionWork):
    """One installation on an rpm host, from a folder of rpm files."""

    TOOL = "rpm"
    folder: RpmFolder

    def look(self) -> RpmInstalled:
        return rpm_installed.read(self.host)

    def find(self, installed: RpmInstalled) -> Find:
        return installed.find

    def quiet(self) -> ContextManager[Any]:
        return rpm_quiet.quiet(self.host)

    def quiet_owner(self) -> Optional[str]:
        return None  # policy-rc.d is Debian's

    def log_end(self) -> Tuple[str, int]:
        """Return the step's log, and where the next command's output begins in it."""
        log = os.path.join(self.record_dir, self.step + ".log")
        return log, os.path.getsize(log) if os.path.exists(log) else 0

    @staticmethod
    def failed_scripts(log: str, start: int) -> List[Dict[str, str]]:
        """Return the package scripts that failed, after which rpm goes on, by what the log says since ``start``."""
        with open(log, "rb") as handle:
            handle.seek(start)
            return rpm_scripts.failures(handle.read().decode("utf-8", "replace"))

    def put_configuration_back(self, done: List[Entry]) -> None:
        """On the way back, put in force again what the update of these entries had moved away."""
        if self.undoes is not None:
            names = [entry["name"] for entry in done if entry["to"]]
            rpm_config.put_back(self.host, transaction_record.read(self.undoes), names)
