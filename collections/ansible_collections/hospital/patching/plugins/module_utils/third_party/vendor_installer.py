# SPDX-License-Identifier: GPL-3.0-or-later
"""A vendor's own installer, run with its unattended options."""

import os
from typing import Any, Dict, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.third_party.base import Problem, Spec
from ansible_collections.hospital.patching.plugins.module_utils.third_party.kept_file import PREVIOUS, KeptFile

#: Stands for the installer's file in ``install``.
FILE = "{file}"


class VendorInstaller(KeptFile):
    """The way back is the kept installer of the old version; without one the entry has no way back."""

    NAME = "installer"
    MAY_BREAK = True
    OPTIONS: Dict[str, Dict[str, Any]] = dict(
        PREVIOUS,
        install={"type": "list", "elements": "str", "default": [FILE]},
        uninstall={"type": "list", "elements": "str"},
        # Most installers refuse to replace a newer version.
        uninstall_first={"type": "bool", "default": False},
        timeout_s={"type": "int", "default": 1800},
    )

    @staticmethod
    def problem(spec: Spec) -> Optional[Problem]:
        if "detect" not in spec:
            return "no detect", "a command or file that tells which version is installed"
        if FILE not in spec["install"]:
            return "install without {}".format(FILE), "the words of a command, {} for the installer".format(FILE)
        if (spec["absent"] or spec["uninstall_first"]) and not spec.get("uninstall"):
            return "no uninstall", "the words of the command that removes it"
        return None

    def installed(self) -> Optional[str]:
        return self.detected()

    def lacking(self, version: Optional[str]) -> Optional[str]:
        if version is None and not self.spec.get("uninstall"):
            return "it has no command to uninstall it"
        return super().lacking(version)

    def become(self, version: Optional[str]) -> None:
        if version is None or (self.spec["uninstall_first"] and self._is_there()):
            self._run(self.spec["uninstall"])
        if version is not None:
            os.chmod(self.file(version), 0o700)
            self._run([self.file(version) if word == FILE else word for word in self.spec["install"]])

    def _is_there(self) -> bool:
        try:
            return self.installed() is not None
        except PatchingError:
            return True  # a broken version that does not say which one it is

    def _run(self, words: Any) -> None:
        self.host.runner.run(self.command(list(words)), timeout_s=self.spec["timeout_s"])
