# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: the versions that a transaction replaced, from the preserved packages."""

import os
from typing import Any, Dict, List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.data_owners import owns_data
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase, Package
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_record
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_install import (
    AptTransaction,
    enter_work,
    split,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_local_repository import (
    LocalRepository,
    kept_architecture,
    sha256_of,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import AptResolver, target
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest

Installed = Dict[Tuple[str, str], Package]


class AptWayBack(AptTransaction):
    """An installation of older versions."""

    step = "rollback"
    allow_downgrades = True

    def __init__(self, host: Host, request: InstallRequest, repository: LocalRepository, stage_dir: str) -> None:
        super().__init__(host, request, repository, repository.directory)
        self.stage_dir = stage_dir

    def _before(self, installed: Installed) -> Dict[str, Any]:
        return apt_record.take_back(
            self.host,
            self.database,
            installed,
            (self.record_dir, self.stage_dir),
            self.request.transaction["entries"],
        )


def reversed_entries(
    wanted: Dict[str, Any], names: List[str], repository: LocalRepository, installed: Installed
) -> List[Dict[str, Any]]:
    """Return the entries that undo the transaction, or the part of it that ``names`` selects.

    Raises:
        PatchingError: a name is not in the transaction, a package owns data, or
            its old version was not preserved.
    """
    back = []
    for entry in transaction.part(wanted, names):
        turned = dict(entry, **{"from": entry["to"], "to": entry["from"], "sha256": None})
        if entry["from"]:  # its architecture was the old version's, if the update changed it
            kept = kept_architecture(repository.debs, entry["name"], entry["from"], entry["arch"])
            turned["arch"] = kept or entry["arch"]
        back.append(turned)
    todo, _done = split([dict(entry) for entry in back], installed)
    for entry in todo:
        subject = "{}:{}".format(entry["name"], entry["arch"])
        if entry["from"] and owns_data(entry["name"]) and not entry.get("downgrade_safe"):
            raise PatchingError(
                subject,
                "it owns data, and {} may have changed its format".format(entry["from"]),
                "an entry marked downgrade_safe for {} to {}".format(entry["from"], entry["to"]),
                "hold this host out of service and call whoever is responsible for its data; nothing was changed",
            )
        if entry["to"] is None:
            continue
        path = repository.deb(entry["name"], entry["to"], entry["arch"])
        if not os.path.exists(path):
            raise PatchingError(
                subject,
                "{} was not preserved".format(entry["to"]),
                path,
                "use the snapshot, or fetch this version and stage the way back by hand; nothing was changed",
            )
    for entry in back:
        path = repository.deb(entry["name"], entry["to"], entry["arch"]) if entry["to"] else ""
        entry["sha256"] = sha256_of(path) if path and os.path.exists(path) else None
    return back


def rollback(host: Host, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
    """Put the preserved versions back; a second call changes nothing."""
    transaction.validate(request.transaction)
    short = transaction.short_name(request.transaction)
    repository = LocalRepository(host.runner, os.path.join(host.state_dir, "preserved", short))
    if not request.check:
        enter_work(host, request)
    installed = DpkgDatabase(host.root).present()
    entries = reversed_entries(request.transaction, names, repository, installed)
    todo, _done = split(entries, installed)
    if todo and not DpkgDatabase(host.root).interrupted(installed):
        _rehearse(host, repository, todo)
    work = AptWayBack(host, request, repository, os.path.join(host.state_dir, "stage", short))
    return work.run(entries)


def _rehearse(host: Host, repository: LocalRepository, todo: List[Dict[str, Any]]) -> None:
    """Let apt check the dependencies of the way back before anything is touched."""
    resolver = AptResolver(host.runner, repository.options(), repository.apt)
    changes = resolver.install([target(entry["name"], entry["arch"], entry["to"]) for entry in todo], recommends=False)
    expected = {(entry["name"], entry["to"]) for entry in todo}
    for name, to in sorted({(change.name, change.to) for change in changes} ^ expected, key=str):
        raise PatchingError(
            "way back of {}".format(name),
            "apt would also set it to {}".format(to) if (name, to) not in expected else "apt would leave it alone",
            "only what this transaction changed",
            "roll back all of the transaction instead of a part, or use the snapshot; nothing was changed",
        )
