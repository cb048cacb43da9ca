# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian package file that is in no repository."""

import os
import re
from typing import Any, Dict, List, Optional, Sequence

from ansible_collections.hospital.patching.plugins.module_utils.dpkg_database import DpkgDatabase, Package
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.deb_repack import Repacker
from ansible_collections.hospital.patching.plugins.module_utils.policy_rc_d import PolicyRcD
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins
from ansible_collections.hospital.patching.plugins.module_utils.third_party.kept_file import KEPT, KeptFile

#: Nothing may ask, restart or page while dpkg runs; the path is dpkg's own, whatever the become method left of it.
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "NEEDRESTART_SUSPEND": "1",
    "UCF_FORCE_CONFFOLD": "1",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
#: The states in which a package does what its version says.
WHOLE = ("installed", "triggers-pending", "triggers-awaited")
_ACTION = re.compile(r"^(?:Inst|Remv) (\S+)", re.MULTILINE)


class DebFile(KeptFile):
    """Installed by dpkg; what it needs must be there already. Services are restarted once, at the end of it all."""

    NAME = "deb"
    MAY_BREAK = True
    DATABASE = "dpkg"
    OPTIONS: Dict[str, Dict[str, Any]] = {"package": {"type": "str"}}

    def _found(self) -> Optional[Package]:
        present = DpkgDatabase(self.host.root).present()
        return next((package for package in present.values() if package.name == self.package), None)

    def installed(self) -> Optional[str]:
        found = self._found()
        if found is None:
            return None
        if found.status not in WHOLE:
            raise PatchingError(
                "software {}".format(self.name),
                "{} is {}".format(self.package, found.status),
                "a package that is installed, or none",
                "run dpkg --configure -a on the host and correct what it names, then run again",
            )
        return found.version

    def rehearse(self, version: str, path: str) -> None:
        fields = self.host.runner.run(["dpkg-deb", "-f", path, "Package", "Version"]).stdout.split()
        if fields[1::2] != [self.package, version]:
            raise PatchingError(
                "software {}".format(self.name),
                "the file has {}".format(" ".join(fields[1::2]) or "no package"),
                "{} {}".format(self.package, version),
                "correct source, package or version of the entry",
            )
        # apt takes a file for a package only by its ending.
        link = path + ".deb"
        if not os.path.lexists(link):
            os.symlink(os.path.basename(path), link)
        self._simulate(
            ["install", "--allow-downgrades", "--no-install-recommends", link],
            "install what it needs from the repositories first, then stage the host again",
        )

    def rehearse_removal(self, gone: Sequence[str] = ()) -> None:
        self._simulate(["remove"] + list(gone) + [self.package], KEPT, gone)

    def is_half_done(self) -> bool:
        database = DpkgDatabase(self.host.root)
        return bool(database.interrupted(database.present()))

    def _simulate(self, words: List[str], cure: str, gone: Sequence[str] = ()) -> None:
        said = self.host.runner.run(["apt-get", "-s", "-q", "-y"] + words, env=ENVIRONMENT, check=False)
        others = sorted(set(_ACTION.findall(said.stdout)) - {self.package} - set(gone))
        if said.rc or others:
            raise PatchingError(
                "software {}".format(self.name),
                "it would also change {}".format(", ".join(others))
                if others
                else without_logins(said.stderr.strip())[-300:],
                "a change of {} alone".format(self.package),
                cure,
            )

    def pack(self, version: str) -> None:
        found = self._found()
        if found is not None and found.version == version:
            os.makedirs(os.path.dirname(self.file(version)), exist_ok=True)
            Repacker(self.host.runner, self.host.root).pack(found, self.file(version))

    def become(self, version: Optional[str]) -> None:
        with PolicyRcD(self.host.root):
            if version is None:
                self.rehearse_removal()  # a third time: after the packages of the same transaction
                words = ["--remove", self.package]
            else:
                words = ["--force-confdef", "--force-confold", "--install", self.file(version)]
            self.host.runner.run(["dpkg"] + words, timeout_s=1800, env=ENVIRONMENT)
