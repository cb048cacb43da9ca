# SPDX-License-Identifier: GPL-3.0-or-later
"""Install exactly the transaction: one zypper run that sees the stage and nothing else.

zypper has no place where its actions could be compared just before they are done. So it is asked for them first,
from the same files and with the same words, and afterwards rpm's whole database is compared.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    rpm_installed,
    rpm_quiet,
    rpm_scripts,
    zypper_lock,
    zypper_marks,
    zypper_repository,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_install import RpmTransaction
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import (
    RpmInstalled,
    RpmMarks,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import Entry
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_repository import (
    ZypperRepository,
)

#: zypper(8), EXIT CODES: done, and a reboot or another start of zypper is needed (update_restart finds out which).
DONE = (102, 103)
#: Runs a command whose exit says no more than that; the first argument is not used.
COUNTED_AS_DONE = 'rc=0; "$@" || rc=$?; case $rc in {}) exit 0;; esac; exit $rc'.format(
    "|".join(str(code) for code in DONE)
)
INSTALL = ["install", "--details", "--no-recommends", "--oldpackage"]


class ZypperTransaction(RpmTransaction):
    """One installation on a zypper host, from a folder whose files were checked."""

    ERRORS = ("error", "Problem", "Installation of", "Subprocess failed", "warning: %")
    folder: ZypperRepository

    def __init__(self, host: Host, request: InstallRequest, folder: ZypperRepository, record_dir: str) -> None:
        super().__init__(host, request, folder, record_dir)
        self.entries: List[Entry] = []
        self.ENVIRONMENT = dict(
            folder.environment(),
            # SUSE's older macros have words of their own for what SYSTEMD_OFFLINE says (/etc/sysconfig/services).
            DISABLE_RESTART_ON_UPDATE="yes",
            DISABLE_STOP_ON_REMOVAL="yes",
            ZYPP_LOCK_TIMEOUT=str(request.lock_timeout_s),
            **rpm_quiet.ENVIRONMENT,
        )

    def run(self, entries: List[Entry]) -> Dict[str, Any]:
        self.entries = entries
        return super().run(entries)

    @staticmethod
    def folder_at(host: Host, directory: str) -> ZypperRepository:
        return ZypperRepository(host, directory)

    def marks(self, installed: RpmInstalled) -> RpmMarks:
        return zypper_marks.marks(self.host.root, installed)

    def interrupted(self, installed: RpmInstalled) -> List[str]:
        """Return the packages at their target whose scripts an earlier attempt owes."""
        return [entry["name"] for entry in self._failed(installed)]

    def _failed(self, installed: RpmInstalled) -> List[Entry]:
        noted = rpm_scripts.of_entries(rpm_scripts.kept(self.record_dir), self.entries)
        return [entry for entry in noted if entry["to"] in installed.versions(entry["name"], entry["arch"])]

    def holders(self, root: str) -> List[Tuple[str, int]]:
        return zypper_lock.holders(root)

    def repair(self) -> None:
        """Install the packages again whose scripts failed; those that did not arrive are zypper's to install."""
        failed = self._failed(self.look())
        self.folder.check(failed)
        # As an upgrade, a kernel would remove every older one: the way back.
        beside = [entry for entry in failed if rpm_installed.is_beside(entry["name"])]
        others = [entry for entry in failed if entry not in beside]
        if beside:
            self._again(["rpm", "--install", "--replacepkgs"], beside, others)
        if others:
            self._again(["rpm", "--upgrade", "--replacepkgs", "--oldpackage"], others, [])

    def _again(self, command: List[str], entries: List[Entry], later: List[Entry]) -> None:
        files = [self.folder.path(entry["name"], entry["to"], entry["arch"]) for entry in entries]
        self.watched(command + ["--nosignature"] + files, " ".join(command[:3]), entries, later)

    def clear(self) -> None:
        """Nothing of an earlier attempt is left: what zypper is asked for is compared anew."""

    def change(self, todo: List[Entry]) -> None:
        installed = self.look()
        self.folder.index()
        found = self.folder.would_do(todo, installed)
        different = zypper_repository.differences(todo, found, installed)
        if different:
            raise self.not_exactly("zypper install", different)
        self.mark_time()
        command = ["zypper", "--non-interactive", "--non-interactive-include-reboot-patches"] + self.folder.options()
        asked = command + INSTALL + zypper_repository.specs(todo, installed)
        self.watched(["sh", "-c", COUNTED_AS_DONE, "zypper"] + asked, "zypper install", todo)
        self.refuse_more(installed, todo)
        self.put_configuration_back(todo)

    def watched(self, command: List[str], name: str, entries: List[Entry], later: Sequence[Entry] = ()) -> None:
        """Run a command that installs ``entries``; the notes of those that come ``later`` stay.

        Raises:
            PatchingError: it fails, or a script does, although rpm goes on then and the new version is there.
        """
        log, start = self.log_end()
        refused: Optional[PatchingError] = None
        waiting = rpm_scripts.begun(list(later))
        rpm_scripts.keep(self.record_dir, rpm_scripts.begun(entries) + waiting)
        try:
            self.logged(command, name)
        except PatchingError as error:
            refused = error
        failed = self.failed_scripts(log, start)
        if failed or refused is None:
            rpm_scripts.keep(self.record_dir, failed + waiting)
        if failed:
            raise PatchingError(
                name,
                "{}; the log says: {}".format(rpm_scripts.told(failed), self._tail(log, start)),
                "package scripts that end well",
                "roll this host back, or correct the cause and run again: the packages are installed again then",
            )
        if refused is not None:
            raise refused

    def refuse_more(self, before: RpmInstalled, todo: List[Entry]) -> None:
        """Refuse to call it done if anything beside the transaction has changed."""
        ours = {entry["name"] for entry in todo}
        changed = before.everything() ^ self.look().everything()
        for name, arch, version in sorted(changed):
            if name not in ours:
                raise PatchingError(
                    "zypper install",
                    "{}:{} {} was changed as well".format(name, arch, version),
                    "exactly the transaction {}".format(self.digest),
                    "roll this host back, then find out which package script or zypper plugin did it",
                )

    def set_marks(self, automatic: List[str], manual: List[str]) -> None:
        zypper_marks.change(self.host.root, automatic, manual)
