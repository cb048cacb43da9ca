# SPDX-License-Identifier: GPL-3.0-or-later
"""Staging, installing, verifying and taking back with dnf 5: as with dnf 4, but for where it keeps what it knows.

dnf 5 has several reasons (the user's, a dependency, a weak one) in its own files, which libdnf5 writes only where a
whole transaction went well. So they are recorded before it, compared after it, and set where they differ.
"""

import contextlib
import os
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import dnf5_state, rpm_locks
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    dnf5_transaction_hook,
    transaction_record,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_install import DnfTransaction
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_pending import Tool
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_stage import DnfStage, Origin
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_verify import DnfVerify
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import (
    RpmInstalled,
    RpmMarks,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_record import Marks
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import Entry
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage, evr

NAME = "dnf5"
#: With the cache only what changed is fetched; why packages are installed is read from dnf 5's own state.
CACHED = ("*-*/repodata", "*-*/solv", "*-*/pubring", "*-*/mirrorlist", "*-*/metalink.xml")
SEEDS: Sequence[Tuple[str, Sequence[str], str]] = (("var/cache/libdnf5", CACHED, "cache"),)
DNF_5_WORK = Tool(NAME, dnf5_transaction_hook, SEEDS)
DEPENDENCY, USER = dnf5_state.AUTOMATIC[0], "User"


def state(host: Host) -> dnf5_state.State:
    """Return what dnf 5 remembers; nothing where it has installed nothing yet."""
    return dnf5_state.read(host.root) if dnf5_state.present(host.root) else dnf5_state.State({}, {})


def automatic(known: dnf5_state.State) -> Set[str]:
    """Return the names of what came as another package's dependency."""
    return {key.rpartition(".")[0] for key, reason in known.reasons.items() if reason in dnf5_state.AUTOMATIC}


class Dnf5Marks(RpmMarks):
    """Reasons and versionlocks of dnf 5."""

    def __init__(self, host: Host, installed: RpmInstalled) -> None:
        super().__init__(host.root, installed, automatic(state(host)))
        self.locks = self.locks + [
            rpm_locks.Lock(rpm_locks.VERSIONLOCK, None, name) for name in dnf5_state.locked(host.root)
        ]


class Dnf5Stage(DnfStage):
    """One call of ``update_stage`` on a host of dnf 5."""

    MANAGER = NAME
    CACHE = ("var/cache/libdnf5/*/packages",)
    TOOL = DNF_5_WORK

    def memory(self) -> Tuple[Set[str], Origin]:
        known = state(self.host)

        def origin(package: RpmPackage) -> Optional[str]:
            return dnf5_state.origin(known, package.name, evr(package), package.arch or "")

        return automatic(known), origin


class Dnf5Transaction(DnfTransaction):
    """One installation on a host of dnf 5, from a folder of rpm files."""

    TOOL_OF_DNF = DNF_5_WORK

    def marks(self, installed: RpmInstalled) -> Marks:
        return Dnf5Marks(self.host, installed)

    def holder(self, package: RpmPackage, entry: Entry) -> Optional[str]:
        target = entry["to"] or evr(package)
        if entry["to"] and not dnf5_state.allows(self.host.root, package.name, target, entry["arch"]):
            return rpm_locks.VERSIONLOCK
        if not entry["to"] and any(name.match(package.name) for name in dnf5_state.locked(self.host.root)):
            return rpm_locks.VERSIONLOCK
        return super().holder(package, entry)

    def clear(self) -> None:
        self._keep_new_reasons()
        super().clear()
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.record_dir, dnf5_transaction_hook.LOG))

    # --- reasons ---

    def _before(self, installed: RpmInstalled) -> Dict[str, Any]:
        """Return the record, which has ``reasons`` too, libdnf5's words by ``name.arch``, and ``origins``."""
        known = transaction_record.read(self.record_dir)
        record = super()._before(installed)
        if known is None or "reasons" not in known:
            record = dict(record, reasons=self._reasons_before(installed), origins=state(self.host).origins)
            transaction_record.write(transaction_record.path_of(self.record_dir), record)
        return record

    def _reasons_before(self, installed: RpmInstalled) -> Dict[str, str]:
        """Return the reasons of now; on the way back those of before, of what cannot be asked now.

        As with marks (:func:`transaction_record.take_back`): who changes a reason after the installation means it.
        """
        now = state(self.host).reasons
        earlier = transaction_record.read(self.undoes) if self.undoes else None
        if earlier is None:
            return now
        old = {entry["name"] for entry in self.request.transaction["entries"]}
        if os.path.exists(os.path.join(self.undoes or "", "after.json")):
            old -= set(installed.by_name)
        found = {key: reason for key, reason in now.items() if key.rpartition(".")[0] not in old}
        before = earlier.get("reasons", {})
        found.update({key: reason for key, reason in before.items() if key.rpartition(".")[0] in old})
        return found

    def _perform(self, todo: List[Entry]) -> None:
        earlier = transaction_record.read(self.undoes) if self.undoes else None
        if earlier is not None:  # what comes back is from where it was from
            origins = earlier.get("origins", {})
            todo = [dict(entry, origin=origins.get("{name}-{to}.{arch}".format(**entry))) for entry in todo]
        try:
            super()._perform(todo)
        finally:
            self._keep_new_reasons()

    def _keep_new_reasons(self) -> None:
        """Record what dnf 5 has resolved of new packages at first: it forgets it where a script fails."""
        new = self._answered().get("reasons")
        record = transaction_record.read(self.record_dir)
        if new and record is not None:
            record["new_reasons"] = dict(new, **record.get("new_reasons", {}))
            transaction_record.write(transaction_record.path_of(self.record_dir), record)

    def _restore_marks(self, before: Dict[str, Any], entries: List[Entry], installed: RpmInstalled) -> List[str]:
        wrong = self._wrong_reasons(entries, installed)
        if wrong:
            self._run({"work": "mark", "reasons": wrong})
        return super()._restore_marks(before, entries, installed)

    def _wrong_reasons(self, entries: List[Entry], installed: RpmInstalled) -> List[List[str]]:
        """Return ``[name, arch, reason]`` of each package of the transaction that has another reason than it should."""
        record = transaction_record.read(self.record_dir) or {}
        before, new, now = record.get("reasons", {}), record.get("new_reasons", {}), state(self.host).reasons
        found = []
        for entry in entries:
            key = "{name}.{arch}".format(**entry)
            is_new = entry["from"] is None
            wanted = before.get(key)
            if is_new and wanted is None:
                wanted = new.get(key)
                if (wanted in dnf5_state.AUTOMATIC) != bool(entry["automatic"]):
                    wanted = DEPENDENCY if entry["automatic"] else USER
            here = any(package.arch == entry["arch"] for package in installed.by_name.get(entry["name"], []))
            if here and wanted is not None and now.get(key) != wanted:
                found.append([entry["name"], entry["arch"], wanted])
        return found

    def set_marks(self, automatic: List[str], manual: List[str]) -> None:
        installed = self.look()
        wanted = [(DEPENDENCY, automatic), (USER, manual)]
        self._run(
            {
                "work": "mark",
                "reasons": [
                    [one.name, one.arch or "", reason]
                    for reason, names in wanted
                    for name in names
                    for one in installed.by_name.get(name, [])
                ],
            }
        )


class Dnf5Verify(DnfVerify):
    """As with dnf 4, with dnf 5's reasons and locks."""

    def marks(self, installed: RpmInstalled) -> Marks:
        return Dnf5Marks(self.host, installed)
