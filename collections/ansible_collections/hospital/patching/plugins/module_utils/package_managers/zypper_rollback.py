# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back on a zypper host: the versions that a transaction replaced, from the preserved packages."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import zypper_repository
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import (
    PrivateDirectory,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_back import (
    go_back,
    more_than_the_way_back,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import Entry, split
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_install import (
    ZypperTransaction,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_pending import PREFIX
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_repository import (
    ZypperRepository,
)


def rollback(host: Host, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
    """Put the preserved versions back; a second call changes nothing."""
    work = ZypperTransaction.of_preserved(host, request)

    def rehearse(todo: List[Entry], _installed: RpmInstalled) -> None:
        work.wait_until_free()  # zypper is asked before the work itself would wait
        installed = work.look()
        todo, _done = split(todo, work.find(installed))
        if todo:
            with PrivateDirectory(host.root, PREFIX) as private:  # a dry run leaves nothing behind
                aside = ZypperRepository(host, work.folder.directory, os.path.join(private.path, "zypper"))
                _rehearse(aside, todo, installed)

    return go_back(work, names, rehearse)


def _rehearse(repository: ZypperRepository, todo: List[Entry], installed: RpmInstalled) -> None:
    """Let zypper check the dependencies of the way back before anything is touched."""
    repository.check(todo)
    repository.index()
    names = ", ".join(entry["name"] for entry in todo[:3])
    try:
        found = repository.would_do(todo, installed)
    except PatchingError as error:
        raise more_than_the_way_back(names, error.seen)
    for difference in zypper_repository.differences(todo, found, installed):
        raise more_than_the_way_back(names, difference)
