# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python environment in a versioned folder, made at stage from an archive of wheels, without an index."""

import os
import shutil
import tempfile
from typing import Any, Dict, Optional

from ansible_collections.hospital.patching.plugins.module_utils.third_party.archive import Archive
from ansible_collections.hospital.patching.plugins.module_utils.third_party.base import Problem, Spec
from ansible_collections.hospital.patching.plugins.module_utils.third_party.unpack import unpack


class PipEnvironment(Archive):
    """Each version has its own environment; switching and the way back are those of an archive."""

    NAME = "pip"
    OPTIONS: Dict[str, Dict[str, Any]] = dict(
        Archive.OPTIONS,
        package={"type": "str"},
        python={"type": "path", "default": "/usr/bin/python3"},
    )

    @staticmethod
    def problem(spec: Spec) -> Optional[Problem]:
        if spec.get("package", "x").startswith("-"):
            return "package {}".format(spec["package"]), "the name of a Python package"
        return Archive.problem(spec)

    def room_bytes(self, path: str) -> Dict[str, int]:
        # Wheels are zip files: unpacked they take some three times as much.
        return {root: 4 * size for root, size in super().room_bytes(path).items()}

    def make(self, version: str, path: str) -> None:
        folder = self.folder(version)
        wheels = tempfile.mkdtemp(prefix="wheels-", dir=os.path.dirname(path))
        try:
            unpack(path, wheels, self.spec.get("strip", 0))
            # Its programs name their folder, so it is made in place; nothing points to it yet.
            self.host.runner.run([self.spec["python"], "-m", "venv", folder], timeout_s=600)
            self.host.runner.run(
                [os.path.join(folder, "bin", "python"), "-I", "-m", "pip", "install", "--no-index", "--no-cache-dir"]
                + ["--disable-pip-version-check", "--find-links", wheels, "--"]
                + ["{}=={}".format(self.spec.get("package", self.name), version)],
                timeout_s=1800,
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(wheels, ignore_errors=True)
