# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: the versions that a transaction replaced, from the preserved packages."""

from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import transaction_work
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_install import (
    AptTransaction,
    finder,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_local_repository import (
    LocalRepository,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import AptResolver, target
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_back import (
    more_than_the_way_back,
    reversed_entries,
)


def rollback(host: Host, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
    """Put the preserved versions back; a second call changes nothing."""
    transaction.validate(request.transaction)
    repository = LocalRepository(host.runner, transaction_work.preserved_dir(host, request.transaction))
    if not request.check:
        transaction_work.enter_work(host, request)
    installed = DpkgDatabase(host.root).present()
    entries = reversed_entries(request.transaction, names, repository, finder(installed), request.data_rules)
    todo, _done = transaction_work.split(entries, finder(installed))
    if todo and not DpkgDatabase(host.root).interrupted(installed):
        _rehearse(host, repository, todo)
    return AptTransaction(host, request, repository, repository.directory).as_way_back().run(entries)


def _rehearse(host: Host, repository: LocalRepository, todo: List[Dict[str, Any]]) -> None:
    """Let apt check the dependencies of the way back before anything is touched."""
    resolver = AptResolver(host.runner, repository.options(), repository.apt)
    changes = resolver.install([target(entry["name"], entry["arch"], entry["to"]) for entry in todo], recommends=False)
    expected = {(entry["name"], entry["to"]) for entry in todo}
    for name, to in sorted({(change.name, change.to) for change in changes} ^ expected, key=str):
        if (name, to) in expected:
            raise more_than_the_way_back(name, "apt would leave it alone")
        raise more_than_the_way_back(name, "apt would also set it to {}".format(to))
