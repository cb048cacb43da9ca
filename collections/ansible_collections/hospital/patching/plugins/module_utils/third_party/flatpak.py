# SPDX-License-Identifier: GPL-3.0-or-later
"""A Flatpak application; its version is the commit, which is itself a SHA-256 over its content."""

import re
from typing import Any, Dict, Optional

from ansible_collections.hospital.patching.plugins.module_utils.third_party.base import Installer, Problem, Spec

_COMMIT = re.compile(r"[0-9a-f]{64}\Z")


class Flatpak(Installer):
    """Pulled at stage, deployed in the window without a network; the old commit stays in its repository."""

    NAME = "flatpak"
    FETCHES = False
    OPTIONS: Dict[str, Dict[str, Any]] = {
        "application": {"type": "str", "required": True},
        "remote": {"type": "str"},
    }

    @staticmethod
    def problem(spec: Spec) -> Optional[Problem]:
        if not spec["absent"] and not _COMMIT.match(spec["version"]):
            return "version {}".format(spec["version"]), "the 64 hex digits of a commit"
        if spec["application"].startswith("-"):
            return "application {}".format(spec["application"]), "the id of an application"
        return None

    def _run(self, *words: str) -> str:
        return self.host.runner.run(["flatpak"] + list(words), timeout_s=3600).stdout

    def installed(self) -> Optional[str]:
        words = ["flatpak", "info", "--system", "--show-commit", self.spec["application"]]
        found = self.host.runner.run(words, timeout_s=60, check=False)
        if found.rc or not found.stdout.strip():
            self.refuse_untold(found, "not installed")
            return None
        return found.stdout.strip()

    def stage(self, version: str, path: str) -> None:
        # A new application is pulled and deployed in one: nothing uses it yet, but it would be there before its window.
        self._run("update", "--system", "-y", "--noninteractive", "--no-deploy", "--commit=" + version, self._id())

    def _id(self) -> str:
        return str(self.spec["application"])

    def keep(self, version: str) -> Optional[str]:
        return self.lacking(version)  # of an update, its repository holds the commit before until the next pull

    def lacking(self, version: Optional[str]) -> Optional[str]:
        if version is not None and self.spec["absent"]:
            return "flatpak prunes the commits of an application that is removed"
        if version is not None and self.installed() is None:
            return "flatpak cannot deploy an application anew without a network"
        return None

    def become(self, version: Optional[str]) -> None:
        if version is None:
            self._run("uninstall", "--system", "-y", "--noninteractive", self._id())
        else:
            self._run("update", "--system", "-y", "--noninteractive", "--no-pull", "--commit=" + version, self._id())
