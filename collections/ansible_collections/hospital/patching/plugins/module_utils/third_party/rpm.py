# SPDX-License-Identifier: GPL-3.0-or-later
"""An rpm package file that is in no repository."""

from typing import Any, Dict, Optional, Sequence

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import rpm_config
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_quiet import ENVIRONMENT, quiet
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins
from ansible_collections.hospital.patching.plugins.module_utils.third_party.kept_file import (
    KEPT,
    PREVIOUS,
    KeptFile,
)

_VERSION = "%{EPOCHNUM}:%{VERSION}-%{RELEASE}"


class RpmFile(KeptFile):
    """Installed by rpm; what it needs must be there already."""

    NAME = "rpm"
    MAY_BREAK = True
    DATABASE = "rpm"
    OPTIONS: Dict[str, Dict[str, Any]] = dict(PREVIOUS, package={"type": "str"})

    def installed(self) -> Optional[str]:
        found = self.host.runner.run(["rpm", "-q", "--qf", _VERSION + "\n", "--", self.package], check=False)
        if found.rc:
            self.refuse_untold(found, "is not installed")
            return None
        return _plain(found.stdout.splitlines()[-1])

    def rehearse(self, version: str, path: str) -> None:
        said = self.host.runner.run(["rpm", "-qp", "--qf", "%{NAME} " + _VERSION, path]).stdout.split()
        if [said[0], _plain(said[-1])] != [self.package, version]:
            raise PatchingError(
                "software {}".format(self.name),
                "the file has {}".format(" ".join(said)),
                "{} {}".format(self.package, version),
                "correct source, package or version of the entry",
            )
        self.host.runner.run(["rpm", "-U", "--test", "--oldpackage", "--replacepkgs", path], timeout_s=600)

    def rehearse_removal(self, gone: Sequence[str] = ()) -> None:
        words = ["rpm", "-e", "--test", "--"] + list(gone) + [self.package]
        said = self.host.runner.run(words, timeout_s=600, check=False)
        if said.rc:
            raise PatchingError(
                "software {}".format(self.name),
                "it cannot be removed alone: {}".format(" ".join(without_logins(said.stderr).split())[-300:]),
                "a removal of {} alone".format(self.package),
                KEPT,
            )

    def become(self, version: Optional[str]) -> None:
        words = ["-e", "--", self.package]
        if version is not None:
            words = ["-U", "--oldpackage", "--replacepkgs", self.file(version)]
        with quiet(self.host):  # what has to be restarted, update_restart restarts once
            self.host.runner.run(["rpm"] + words, timeout_s=1800, env=ENVIRONMENT)

    def bring_back_etc(self, before: Optional[Dict[str, Any]]) -> None:
        rpm_config.put_back(self.host, before, [self.package])


def _plain(version: str) -> str:
    """Return epoch, version and release as people write them: without the epoch 0."""
    return version[2:] if version.startswith("0:") else version
