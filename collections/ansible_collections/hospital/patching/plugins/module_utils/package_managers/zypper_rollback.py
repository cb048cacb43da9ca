# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back on a zypper host: the versions that a transaction replaced, from the preserved packages."""

import os
from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import package_lock, transaction
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    rpm_installed,
    transaction_work,
    zypper_lock,
    zypper_repository,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import (
    PrivateDirectory,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_back import (
    more_than_the_way_back,
    reversed_entries,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_install import (
    ZypperTransaction,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_pending import PREFIX
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_repository import (
    ZypperRepository,
)


def rollback(host: Host, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
    """Put the preserved versions back; a second call changes nothing."""
    transaction.validate(request.transaction)
    repository = ZypperRepository(host, transaction_work.preserved_dir(host, request.transaction))
    if not request.check:
        transaction_work.enter_work(host, request)
    installed = rpm_installed.read(host)
    entries = reversed_entries(request.transaction, names, repository, installed.find, request.data_rules)
    todo, _done = transaction_work.split(entries, installed.find)
    if todo:  # zypper is asked before the work itself would wait
        package_lock.wait_until_free(host.root, request.lock_timeout_s, host.clock, zypper_lock.holders)
        installed = rpm_installed.read(host)
        todo, _done = transaction_work.split(entries, installed.find)
    if todo:
        with PrivateDirectory(host.root, PREFIX) as private:  # a dry run leaves nothing behind
            aside = ZypperRepository(host, repository.directory, os.path.join(private.path, "zypper"))
            _rehearse(aside, todo, installed)
    return ZypperTransaction(host, request, repository, repository.directory).as_way_back().run(entries)


def _rehearse(repository: ZypperRepository, todo: List[Dict[str, Any]], installed: RpmInstalled) -> None:
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
