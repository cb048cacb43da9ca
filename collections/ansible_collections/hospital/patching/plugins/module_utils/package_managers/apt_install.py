# SPDX-License-Identifier: GPL-3.0-or-later
"""Install exactly the transaction: one apt run that sees the stage and nothing else."""

import contextlib
import json
import os
from typing import Any, ContextManager, Dict, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import etc_archive, package_lock
from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase, Package
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    apt_guard_hook,
    transaction_record,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_local_repository import (
    LocalRepository,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_marks import AptMarks
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_metadata import words
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import (
    python,
    source_of,
    target,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_stage import installed_package
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import InstallRequest
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_record import Marks
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.transaction_work import (
    Find,
    State,
    TransactionWork,
)
from ansible_collections.hospital.patching.plugins.module_utils.policy_rc_d import PolicyRcD

Installed = Dict[Tuple[str, str], Package]

#: States from which a package is put right by installing it again.
BROKEN = ("half-installed", "unpacked", "half-configured")
#: Kept configuration wins; as separate words, because dpkg takes one option a word.
CONFFILES = ["--force-confdef", "--force-confold"]


def finder(installed: Installed) -> Find:
    """Return what finds an entry's package among ``installed``."""

    def find(entry: Dict[str, Any]) -> Optional[State]:
        package = installed_package(installed, entry["name"], entry["arch"])
        return package and State(package.version, package.status, package.status in BROKEN)

    return find


class AptTransaction(TransactionWork):
    """One installation on an apt host, from a local repository."""

    TOOL = "dpkg"
    folder: LocalRepository
    ERRORS = ("E:", "dpkg: error", "error")
    #: Nothing may ask, restart or page while dpkg runs.
    ENVIRONMENT = {
        "DEBIAN_FRONTEND": "noninteractive",
        "DEBCONF_NONINTERACTIVE_SEEN": "true",
        "DEBCONF_NOWARNINGS": "yes",
        "APT_LISTCHANGES_FRONTEND": "none",
        "APT_LISTBUGS_FRONTEND": "none",
        "NEEDRESTART_SUSPEND": "1",
        "NEEDRESTART_MODE": "l",
        "UCF_FORCE_CONFFOLD": "1",
        # A become method may hand over a path without sbin, and dpkg refuses to run then.
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }

    def __init__(self, host: Host, request: InstallRequest, repository: LocalRepository, record_dir: str) -> None:
        super().__init__(host, request, repository, record_dir)
        self.database = DpkgDatabase(host.root)
        self.policy = PolicyRcD(host.root)

    @staticmethod
    def folder_at(host: Host, directory: str) -> LocalRepository:
        return LocalRepository(host.runner, directory)

    def look(self) -> Installed:
        return self.database.present()

    def find(self, installed: Installed) -> Find:
        return finder(installed)

    def marks(self, installed: Installed) -> Marks:
        return AptMarks(self.database, installed)

    def interrupted(self, installed: Installed) -> List[str]:
        return self.database.interrupted(installed)

    def holders(self, root: str) -> List[Tuple[str, int]]:
        return package_lock.dpkg_holders(root)

    def quiet(self) -> ContextManager[Any]:
        return self.policy

    def quiet_owner(self) -> Optional[str]:
        return self.policy.owner

    def clear(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._guard_answer())

    def repair(self) -> None:
        """Finish what an interrupted dpkg left half done, as far as dpkg can by itself.

        Before a way back of all packages nothing is configured: the script of a new
        version that failed or hung would do so once more, and its package is
        replaced anyhow. dpkg only takes up its own unfinished records then.

        It cannot where a package waits for another that was not unpacked yet, or
        where a package's script fails: then the installation that follows
        completes it or says why not.
        """
        try:
            if self.undoes is not None and self.whole:
                self.logged(["dpkg", "--set-selections"], "dpkg --set-selections")
            else:
                self.logged(["dpkg"] + CONFFILES + ["--configure", "-a"], "dpkg --configure -a")
        except PatchingError:
            return

    def change(self, todo: List[Dict[str, Any]]) -> None:
        guard = self._write_guard(todo)
        os.makedirs(os.path.join(self.folder.apt, "cache", "archives", "partial"), exist_ok=True)
        flags = ["--allow-downgrades"] if self.undoes else []
        self.mark_time()
        self.logged(
            ["apt-get", "install", "-y", "-q", "--no-install-recommends"]
            + flags
            + self.folder.options()
            + words(
                ["Dpkg::Options::=" + option for option in CONFFILES]
                + [
                    "Dpkg::Use-Pty=0",
                    "DPkg::Lock::Timeout={}".format(self.request.lock_timeout_s),
                    "APT::Get::AutomaticRemove=false",
                    "APT::ExtractTemplates::TempDir=" + self.folder.apt,
                    "DPkg::Tools::Options::exec::Version=3",
                    "DPkg::Pre-Install-Pkgs::=exec " + guard,
                ]
            )
            + [target(entry["name"], entry["arch"], entry["to"]) for entry in todo],
            "apt-get install",
        )
        before = transaction_record.read(self.undoes) if self.undoes is not None else None
        if before is not None:
            etc_archive.bring_back(self.host.root, self.etc_before("install"), before["conffile_proposals"])

    def _write_guard(self, todo: List[Dict[str, Any]]) -> str:
        """Write the hook that compares apt's actions with the transaction; return its command."""
        script = os.path.join(self.record_dir, "guard.py")
        expected = os.path.join(self.record_dir, "guard-expected.json")
        with open(script, "w", encoding="utf-8") as handle:
            handle.write(source_of(apt_guard_hook))
        transaction_record.write(expected, {"{name}:{arch}".format(**entry): entry["to"] for entry in todo})
        return "{} -I -S {} {} {}".format(python(), script, expected, self._guard_answer())

    def _guard_answer(self) -> str:
        return os.path.join(self.record_dir, "guard-differences.json")

    def differences(self) -> List[str]:
        try:
            with open(self._guard_answer(), encoding="utf-8") as handle:
                return list(json.load(handle))
        except (OSError, ValueError):
            return []

    def set_marks(self, automatic: List[str], manual: List[str]) -> None:
        for mark, names in (("auto", automatic), ("manual", manual)):
            if names:
                self.logged(["apt-mark"] + self.folder.options() + [mark] + names, "apt-mark {}".format(mark))


install = AptTransaction.install
