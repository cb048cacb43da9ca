# SPDX-License-Identifier: GPL-3.0-or-later
"""A snap; its version is the revision, and Canonical's signed assertion covers the file."""

import os
from typing import Any, Dict, Optional

from ansible_collections.hospital.patching.plugins.module_utils.third_party.base import Installer, Problem, Spec


class Snap(Installer):
    """Downloaded at stage with its assertion, installed from there; ``snap revert`` is the way back.

    A removal has none: its revisions go with it, and what is downloaded anew comes without the snap's data.
    """

    NAME = "snap"
    FETCHES = False
    OPTIONS: Dict[str, Dict[str, Any]] = {"snap": {"type": "str"}}

    @staticmethod
    def problem(spec: Spec) -> Optional[Problem]:
        if not spec["absent"] and not spec["version"].isdigit():
            return "version {}".format(spec["version"]), "the number of a revision"
        return None

    @property
    def snap(self) -> str:
        """The snap's name."""
        return str(self.spec.get("snap", self.name))

    def _run(self, *words: str) -> None:
        self.host.runner.run(["snap"] + list(words), timeout_s=3600)

    def _file(self, version: str, ending: str) -> str:
        return os.path.join(self.store, version, "{}_{}.{}".format(self.snap, version, ending))

    def installed(self) -> Optional[str]:
        found = self.host.runner.run(["snap", "list", "--", self.snap], timeout_s=60, check=False)
        # Name, Version, Rev, Tracking, Publisher, Notes.
        rows = [line.split() for line in found.stdout.splitlines()[1:]]
        if found.rc or not rows or len(rows[0]) < 3:
            self.refuse_untold(found, "no matching snaps installed")
            return None
        return rows[0][2]

    def stage(self, version: str, path: str) -> None:
        folder = os.path.join(self.store, version)
        os.makedirs(folder, exist_ok=True)
        self._run(
            "download",
            "--revision=" + version,
            "--target-directory=" + folder,
            "--basename={}_{}".format(self.snap, version),
            self.snap,
        )

    def keep(self, version: str) -> Optional[str]:
        return self.lacking(version)  # of an update, snapd keeps the revision before

    def lacking(self, version: Optional[str]) -> Optional[str]:
        if version is not None and self.spec["absent"]:
            return "snapd keeps no revision of a snap that is removed"
        if version is None or version != self.spec.get("version") or os.path.exists(self._file(version, "snap")):
            return None
        return "{} is missing".format(self._file(version, "snap"))

    def become(self, version: Optional[str]) -> None:
        if version is None:
            self._run("remove", self.snap)
        elif os.path.exists(self._file(version, "snap")):
            self._run("ack", self._file(version, "assert"))
            self._run("install", self._file(version, "snap"))
        else:
            self._run("revert", "--revision=" + version, self.snap)
