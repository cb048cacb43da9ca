# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back under every package manager: what undoes a transaction, from the preserved packages."""

import os
from typing import Any, Callable, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils import transaction
from ansible_collections.hospital.patching.plugins.module_utils.data_owners import BUILT_IN, DataRules, may_go_back
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import (
    PackageFolder,
    sha256_of,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import (
    Entry,
    Find,
    TransactionWork,
    enter_work,
    reversed_entry,
    split,
)


def go_back(work: TransactionWork, names: List[str], rehearse: Callable[[List[Entry], Any], None]) -> Dict[str, Any]:
    """Put the preserved versions of ``names`` back, with none of all; a second call changes nothing.

    Args:
        work: on the preserved packages (:meth:`TransactionWork.of_preserved`).
        rehearse: refuses these entries, on a host with these packages, when they cannot be put back alone.
    """
    request = work.request
    if not request.check:
        enter_work(work.host, request)
    installed = work.look()
    find = work.find(installed)
    entries = reversed_entries(request.transaction, names, work.folder, find, request.data_rules)
    todo, _done = split(entries, find)
    if todo and not work.interrupted(installed):  # what is half done is put right by the way back itself
        rehearse(todo, installed)
    return work.as_way_back().run(entries)


def reversed_entries(
    wanted: Dict[str, Any], names: List[str], preserved: PackageFolder, find: Find, rules: DataRules = BUILT_IN
) -> List[Dict[str, Any]]:
    """Return the entries that undo the transaction, or the part of it that ``names`` selects.

    Raises:
        PatchingError: a name is not in the transaction, a package owns data, or
            its old version was not preserved.
    """
    back = []
    for entry in transaction.part(wanted, names):
        turned = dict(reversed_entry(entry), sha256=None)
        if entry["from"]:  # its architecture was the old version's, if the update changed it
            kept = preserved.kept_architecture(entry["name"], entry["from"], entry["arch"])
            turned["arch"] = kept or entry["arch"]
        back.append(turned)
    todo, _done = split([dict(entry) for entry in back], find)
    for entry in todo:
        subject = "{}:{}".format(entry["name"], entry["arch"])
        if not may_go_back(entry, rules):
            raise PatchingError(
                subject,
                "it owns data, and {} may have changed its format".format(entry["from"]),
                "downgrade_safe for {} to {}".format(entry["from"], entry["to"] or "its removal"),
                "hold this host out of service and call whoever is responsible for its data; if he says that"
                " it is safe, set patching_downgrade_safe for this pair and start rollback.yml; nothing was changed",
            )
        if entry["to"] is None:
            continue
        path = preserved.path(entry["name"], entry["to"], entry["arch"])
        if not os.path.exists(path):
            raise PatchingError(
                subject,
                "{} was not preserved, or is kept no longer (patching_preserved_keep_days)".format(entry["to"]),
                path,
                "use the snapshot, or fetch this version and stage the way back by hand; nothing was changed",
            )
    for entry in back:
        path = preserved.path(entry["name"], entry["to"], entry["arch"]) if entry["to"] else ""
        entry["sha256"] = sha256_of(path) if path and os.path.exists(path) else None
    return back


def more_than_the_way_back(name: str, seen: str) -> PatchingError:
    """Return the error of a way back that would change something else as well."""
    return PatchingError(
        "way back of {}".format(name),
        seen,
        "only what this transaction changed",
        "roll back all of the transaction instead of a part, or use the snapshot; nothing was changed",
    )
