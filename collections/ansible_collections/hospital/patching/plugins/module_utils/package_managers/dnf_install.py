# SPDX-License-Identifier: GPL-3.0-or-later
"""Install exactly the transaction: one rpm transaction from the staged files, by dnf's library and in its history."""

import contextlib
import json
import os
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import (
    dnf_history,
    package_lock,
    rpm_locks,
)
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    dnf_hook,
    dnf_perform,
    rpm_installed,
    rpm_quiet,
    rpm_scripts,
    rpm_unfinished,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_pending import DNF_4_WORK, Tool
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.package_folder import RpmFolder
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_install import RpmTransaction
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import (
    RpmInstalled,
    RpmMarks,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_record import Marks
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import Entry, Find
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage

NAME = "dnf transaction"


def finder(host: Host, installed: RpmInstalled) -> Find:
    """Return what finds an entry's package; one that rpm has not finished is broken."""
    return rpm_unfinished.finder(host.state_dir, installed.find)


def marks(host: Host, installed: RpmInstalled) -> Marks:
    """Return dnf's reasons and the versionlocks of now."""
    history = dnf_history.read(host.root).automatic if dnf_history.present(host.root) else {}
    return RpmMarks(host.root, installed, [name for (name, _arch), marked in history.items() if marked])


def _target(entry: Entry) -> RpmPackage:
    epoch, _colon, rest = entry["to"].rpartition(":")
    version, _dash, release = rest.partition("-")
    return RpmPackage(entry["name"], int(epoch or 0), version, release, entry["arch"], None, None, 0, None)


class DnfTransaction(RpmTransaction):
    """One installation on a dnf host, from a folder of rpm files."""

    #: rpm's own words of a script that failed stand just behind the script's.
    ERRORS = ("warning: %", "error", "Error")
    ENVIRONMENT = rpm_quiet.ENVIRONMENT
    TOOL_OF_DNF: Tool = DNF_4_WORK

    @staticmethod
    def folder_at(host: Host, directory: str) -> RpmFolder:
        return RpmFolder(directory)

    def find(self, installed: RpmInstalled) -> Find:
        return finder(self.host, installed)

    def marks(self, installed: RpmInstalled) -> Marks:
        return marks(self.host, installed)

    def interrupted(self, installed: RpmInstalled) -> List[str]:
        entries = self.request.transaction["entries"]
        twice = [entry for entry in entries if self._is_twice(installed, entry)]
        return rpm_unfinished.of_entries(self.host.state_dir, entries) + [entry["name"] for entry in twice]

    @staticmethod
    def _is_twice(installed: RpmInstalled, entry: Entry) -> bool:
        versions = installed.versions(entry["name"], entry["arch"])
        return not rpm_installed.is_beside(entry["name"]) and {entry["from"], entry["to"]} <= set(versions)

    def holders(self, root: str) -> List[Tuple[str, int]]:
        return package_lock.rpm_holders(root)

    def repair(self) -> None:
        """Nothing to do by itself: what is half done is installed again with the rest, old versions removed."""

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._answer())

    def _answer(self) -> str:
        return os.path.join(self.record_dir, "answer.json")

    def _answered(self) -> Dict[str, Any]:
        try:
            with open(self._answer(), encoding="utf-8") as handle:
                return dict(json.load(handle))
        except (OSError, ValueError):
            return {}

    def differences(self) -> List[str]:
        return list(self._answered().get("differences", []))

    def change(self, todo: List[Entry]) -> None:
        self.mark_time()
        log, start = self.log_end()
        try:
            self._perform(todo)
        except PatchingError:
            self._keep_failed()
            self._refuse_failed_scripts(log, start)
            raise
        self._refuse_failed_scripts(log, start)
        self.settled(todo)
        self.put_configuration_back(todo)

    def refuse_locked(self, todo: List[Entry], installed: RpmInstalled) -> None:
        """The files that dnf is given are installed whatever its versionlock says: no plugin is loaded.

        Raises:
            PatchingError: a lock holds an installed package that is to be changed.
        """
        for entry in todo:
            package = installed.package(entry["name"], entry["arch"], entry["from"]) if entry["from"] else None
            by = self.holder(package, entry) if package is not None else None
            if by is None:
                continue
            raise PatchingError(
                "{}:{}".format(entry["name"], entry["arch"]),
                "{} holds {}".format(by, entry["from"]),
                "no lock on what the transaction changes",
                "ask who set it; remove it, or assess, plan and stage the host again; nothing was installed",
            )

    def holder(self, package: RpmPackage, entry: Entry) -> Optional[str]:
        """Return the lock that keeps an installed package from reaching its entry's target, or None."""
        locks, _problems = rpm_locks.read(self.host.root)
        by = rpm_locks.holder(locks, package)
        return None if by and entry["to"] and rpm_locks.names_version(locks, _target(entry)) else by

    def settled(self, entries: List[Entry]) -> None:
        rpm_unfinished.forget(self.host.state_dir, entries)

    def _perform(self, todo: List[Entry]) -> None:
        asked = dict(dnf_perform.question(todo, self.folder, self.look()), test=False)
        self._run(dict(asked, begun=rpm_unfinished.path_of(self.host.state_dir)))

    def _run(self, asked: Dict[str, Any]) -> None:
        """Run the hook with the host's own history; its output is in the step's log.

        Raises:
            PatchingError: it ended otherwise than well.
        """
        cache = os.path.join(self.record_dir, "cache")
        os.makedirs(cache, mode=0o700, exist_ok=True)
        asked = dict(asked, cachedir=cache, persistdir=os.path.join(self.host.root, "var/lib/dnf"))
        commands = dnf_hook.commands(self.host, self.record_dir, asked, self.TOOL_OF_DNF.script)
        for command, _answer in commands:
            try:
                self.logged(command, NAME)
                return
            except PatchingError:
                error = self._answered().get("error")
                if error is None:
                    raise
                if error["step"] != "bindings":
                    raise dnf_hook.refused(error)
        raise dnf_hook.without_bindings(self.TOOL_OF_DNF.script)

    def _keep_failed(self) -> None:
        """When only scripts failed, only their packages are not finished."""
        told = self._answered()
        if told.get("failed"):
            rpm_unfinished.keep(self.host.state_dir, [(str(name), str(arch)) for name, arch in told["failed"]])

    def _refuse_failed_scripts(self, log: str, start: int) -> None:
        failures = self.failed_scripts(log, start)
        if failures:
            raise PatchingError(
                NAME,
                "{}: {}".format(rpm_scripts.told(failures), self._tail(log, start)),
                "package scripts that end well; rpm itself goes on after them",
                "read {} on the host; run again to install these packages anew, or roll this host back".format(log),
            )

    def set_marks(self, automatic: List[str], manual: List[str]) -> None:
        installed = self.look()

        def packages(names: List[str]) -> List[List[str]]:
            return [[one.name, one.arch or ""] for name in names for one in installed.by_name.get(name, [])]

        self._run({"work": "mark", "automatic": packages(automatic), "manual": packages(manual)})
