# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: the versions that a transaction replaced, from the preserved packages."""

from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_install import AptTransaction
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_local_repository import (
    LocalRepository,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import AptResolver, target
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_back import (
    go_back,
    more_than_the_way_back,
)


def rollback(host: Host, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
    """Put the preserved versions back; a second call changes nothing."""
    work = AptTransaction.of_preserved(host, request)
    return go_back(work, names, lambda todo, _installed: _rehearse(host, work.folder, todo))


def _rehearse(host: Host, repository: LocalRepository, todo: List[Dict[str, Any]]) -> None:
    """Let apt check the dependencies of the way back before anything is touched."""
    resolver = AptResolver(host.runner, repository.options(), repository.apt)
    changes = resolver.install([target(entry["name"], entry["arch"], entry["to"]) for entry in todo], recommends=False)
    expected = {(entry["name"], entry["to"]) for entry in todo}
    for name, to in sorted({(change.name, change.to) for change in changes} ^ expected, key=str):
        if (name, to) in expected:
            raise more_than_the_way_back(name, "apt would leave it alone")
        raise more_than_the_way_back(name, "apt would also set it to {}".format(to))
