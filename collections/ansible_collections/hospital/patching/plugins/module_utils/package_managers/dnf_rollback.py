# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back of a dnf host: exactly the transaction's entries, never ``dnf history undo``."""

from typing import Any, Dict, List, Type

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import dnf_perform
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_install import DnfTransaction
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_back import (
    go_back,
    more_than_the_way_back,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import Entry


def rollback(
    host: Host, request: InstallRequest, names: List[str], kind: Type[DnfTransaction] = DnfTransaction
) -> Dict[str, Any]:
    """Put the preserved versions back; a second call changes nothing."""
    work = kind.of_preserved(host, request)

    def rehearse(todo: List[Entry], installed: RpmInstalled) -> None:
        """Let dnf and rpm test the way back before anything is touched."""
        work.folder.check(todo)
        for seen in dnf_perform.rehearse(host, work.TOOL_OF_DNF, todo, work.folder, installed):
            raise more_than_the_way_back(", ".join(entry["name"] for entry in todo[:3]), seen)

    return go_back(work, names, rehearse)
