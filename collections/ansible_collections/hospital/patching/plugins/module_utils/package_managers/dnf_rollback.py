# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back of a dnf host: exactly the transaction's entries, never ``dnf history undo``."""

from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    dnf_perform,
    rpm_installed,
    transaction_work,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_install import (
    DnfTransaction,
    finder,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import RpmFolder
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_back import (
    more_than_the_way_back,
    reversed_entries,
)


def rollback(host: Host, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
    """Put the preserved versions back; a second call changes nothing."""
    transaction.validate(request.transaction)
    preserved = RpmFolder(transaction_work.preserved_dir(host, request.transaction))
    if not request.check:
        transaction_work.enter_work(host, request)
    installed = rpm_installed.read(host)
    entries = reversed_entries(request.transaction, names, preserved, finder(host, installed), request.data_rules)
    todo, _done = transaction_work.split(entries, finder(host, installed))
    work = DnfTransaction(host, request, preserved, preserved.directory)
    if todo and not work.interrupted(installed):
        preserved.check(todo)
        for seen in dnf_perform.rehearse(host, todo, preserved, installed):
            raise more_than_the_way_back(", ".join(entry["name"] for entry in todo[:3]), seen)
    return work.as_way_back().run(entries)
