# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive in a versioned folder below ``root``; ``link`` says which version is in use."""

import os
import shutil
import stat
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.third_party import switch
from ansible_collections.hospital.patching.plugins.module_utils.third_party.base import Installer, Problem, Spec
from ansible_collections.hospital.patching.plugins.module_utils.third_party.trusted import refuse_foreign
from ansible_collections.hospital.patching.plugins.module_utils.third_party.unpack import unpack, unpacked_bytes

#: What is removed lies here, for root only, until its way back is no longer wanted.
KEPT = ".hospital-patching-removed-"


class Archive(Installer):
    """A tar or zip file that works wherever it is unpacked, such as a Java runtime."""

    NAME = "archive"
    IS_ATOMIC = True
    OPTIONS: Dict[str, Dict[str, Any]] = {
        "root": {"type": "path", "required": True},
        "link": {"type": "path", "required": True},
        "strip": {"type": "int", "default": 0},
    }

    @staticmethod
    def problem(spec: Spec) -> Optional[Problem]:
        for key in ("root", "link"):
            if not os.path.isabs(spec[key]) or os.path.normpath(spec[key]) in ("/", "/opt", "/usr", "/usr/local"):
                return "{} {}".format(key, spec[key]), "an absolute path of this software alone"
        if spec.get("version") == os.path.basename(spec["link"]) and os.path.dirname(spec["link"]) == spec["root"]:
            return "link {}, the folder of the version itself".format(spec["link"]), "another name for the link"
        if not 0 <= spec.get("strip", 0) <= 9:
            return "strip {}".format(spec["strip"]), "how many parts of each name are left out, 0 to 9"
        return None

    def installed(self) -> Optional[str]:
        for path in (self.spec["root"], self.spec["link"]):  # with where the link leads: the version's folder
            refuse_foreign("software {}".format(self.name), path)
        return switch.target(self.spec["link"], self.spec["root"])

    def home(self) -> str:
        return str(self.spec["link"])

    def staged_home(self, version: str) -> str:
        return self.folder(version)

    def folder(self, version: str) -> str:
        """Return where ``version`` is unpacked."""
        return os.path.join(self.spec["root"], version)

    def _removed(self, version: str) -> str:
        return os.path.join(self.spec["root"], KEPT + version)

    def folders(self, version: str) -> List[str]:
        return [self.folder(version), self._removed(version)]

    def room_bytes(self, path: str) -> Dict[str, int]:
        return {self.spec["root"]: unpacked_bytes(path)}

    def stage(self, version: str, path: str) -> None:
        for place in (self.spec["root"], self.spec["link"], self.folder(version)):
            refuse_foreign("software {}".format(self.name), place)
        os.makedirs(self.spec["root"], mode=0o755, exist_ok=True)
        os.makedirs(os.path.dirname(self.spec["link"]), mode=0o755, exist_ok=True)
        folder = self.folder(version)
        if os.path.isdir(folder) and self._recorded(version) == switch.tree_digest(folder):
            return
        unfinished = os.path.join(self.store, version, "unfinished")
        if os.path.isdir(folder) and os.path.exists(unfinished) and self.installed() != version:
            shutil.rmtree(folder)  # an earlier stage was cut off
        if os.path.lexists(folder):
            raise PatchingError(
                "software {}".format(self.name),
                "{} is there already, and it is not what stage unpacks".format(folder),
                "no such folder, or the one that an earlier stage made",
                "move it away, then stage the host again",
            )
        os.makedirs(os.path.dirname(unfinished), mode=0o700, exist_ok=True)
        with open(unfinished, "w", encoding="utf-8"):
            pass
        self.make(version, path)
        self._check_inside(version, folder)
        switch.relabel(self.host.runner, folder)
        # What a crash keeps from the disk is found before the switch: then the folder has another digest.
        with open(self._record(version) + ".part", "w", encoding="utf-8") as handle:
            handle.write(switch.tree_digest(folder))
        os.rename(self._record(version) + ".part", self._record(version))
        os.unlink(unfinished)

    def make(self, version: str, path: str) -> None:
        """Make the version's folder; one that is not finished never has its name."""
        part = os.path.join(self.spec["root"], ".hospital-patching-unpacking")
        shutil.rmtree(part, ignore_errors=True)
        os.mkdir(part, 0o755)
        try:
            unpack(path, part, self.spec.get("strip", 0))
            os.chmod(part, 0o755)  # noqa: S103 - whatever the umask is, everybody may use it
            os.rename(part, self.folder(version))
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _check_inside(self, version: str, folder: str) -> None:
        if "detect" not in self.spec:
            return
        try:
            found = self.detected(folder)
        except PatchingError:
            shutil.rmtree(folder)
            raise
        if found != version:
            shutil.rmtree(folder)
            raise PatchingError(
                "software {}".format(self.name),
                "the archive has version {}".format(found),
                version,
                "correct version, source or detect of the entry; nothing was installed",
            )

    def _record(self, version: str) -> str:
        return os.path.join(self.store, version, "tree.sha256")

    def _recorded(self, version: str) -> Optional[str]:
        try:
            with open(self._record(version), encoding="utf-8") as handle:
                return handle.read().strip()
        except OSError:
            return None

    def keep(self, version: str) -> Optional[str]:
        return self.lacking(version)

    def lacking(self, version: Optional[str]) -> Optional[str]:
        if version is None:
            return None
        folder = next((one for one in self.folders(version) if os.path.isdir(one)), None)
        if folder is None:
            return "there is no folder {}".format(self.folder(version))
        refuse_foreign("software {}".format(self.name), folder)
        # A version that was in use may have been written to; one that waits may not.
        waits = version == self.spec.get("version") and self.installed() != version
        if waits and self._recorded(version) not in (None, switch.tree_digest(folder)):
            return "{} was changed since it was staged".format(folder)
        return None

    def become(self, version: Optional[str]) -> None:
        if version is not None:
            if not os.path.isdir(self.folder(version)):
                os.rename(self._removed(version), self.folder(version))
                os.chmod(self.folder(version), self._mode_before(version))
            switch.point(self.spec["link"], self.folder(version))
            return
        current = self.installed()
        switch.drop(self.spec["link"])
        self.put_away(current or self.spec.get("version"))

    def put_away(self, version: Optional[str]) -> None:
        """Move a version's folder out of everybody's reach; running programs keep what they have open."""
        if version and os.path.isdir(self.folder(version)):
            shutil.rmtree(self._removed(version), ignore_errors=True)
            os.makedirs(os.path.dirname(self._mode_file(version)), mode=0o700, exist_ok=True)
            with open(self._mode_file(version), "w", encoding="utf-8") as handle:
                handle.write("{:o}".format(stat.S_IMODE(os.stat(self.folder(version)).st_mode)))
            os.rename(self.folder(version), self._removed(version))
            os.chmod(self._removed(version), 0o700)

    def _mode_file(self, version: str) -> str:
        return os.path.join(self.store, version, "mode")

    def _mode_before(self, version: str) -> int:
        """Return who may use a version that comes back; everybody where nothing is recorded."""
        try:
            with open(self._mode_file(version), encoding="utf-8") as handle:
                return int(handle.read(), 8)
        except (OSError, ValueError):
            return 0o755
