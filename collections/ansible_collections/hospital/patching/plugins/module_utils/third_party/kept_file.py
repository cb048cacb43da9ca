# SPDX-License-Identifier: GPL-3.0-or-later
"""Software whose every version is one file that stage keeps: a package file or a vendor's installer."""

import hashlib
import os
from typing import Any, Dict, Optional

from ansible_collections.hospital.patching.plugins.module_utils.third_party.base import Installer

#: An older version's file, for a way back that the host itself does not have.
PREVIOUS: Dict[str, Dict[str, Any]] = {"previous": {"type": "dict"}}

#: What to do where a package cannot be removed alone.
KEPT = "remove or replace what needs it first, then assess, plan and stage the host again; it was not removed"


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file as hex digits."""
    total = hashlib.sha256()
    with open(path, "rb") as handle:
        for part in iter(lambda: handle.read(1 << 20), b""):
            total.update(part)
    return total.hexdigest()


class KeptFile(Installer):
    """The file of a version lies in the store, beside its SHA-256."""

    WRITES_ETC = True

    def file(self, version: str) -> str:
        """Return where the file of ``version`` is kept."""
        return os.path.join(self.store, version, "file")

    def stage(self, version: str, path: str) -> None:
        self.rehearse(version, path)

    def rehearse(self, version: str, path: str) -> None:
        """Let the package manager say whether the file could be installed; a vendor's installer has no such question.

        Raises:
            PatchingError: it could not.
        """

    def keep(self, version: str) -> Optional[str]:
        if not os.path.exists(self.file(version)):
            self.pack(version)
        return self.lacking(version)

    def pack(self, version: str) -> None:
        """Make the file of the installed ``version`` from what is installed, where that is possible."""

    def kept_digest(self, version: str) -> Optional[str]:
        return sha256_of(self.file(version)) if os.path.exists(self.file(version)) else None

    def lacking(self, version: Optional[str]) -> Optional[str]:
        if version is None:
            return None
        if not os.path.exists(self.file(version)):
            return "its file is not kept on the host"
        wanted = self.spec.get("sha256") if version == self.spec.get("version") else None
        if wanted and sha256_of(self.file(version)) != wanted:
            return "{} was changed since it was staged".format(self.file(version))
        return None
