# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host of an offline site was given of the carried folder: files by their SHA-256, and which are which.

Nothing here is trusted: a package manager checks the signatures of the indexes,
and a stage every package against the approved manifest, as with any repository.
"""

import hashlib
import json
import os
import re
import shutil
import tarfile
from typing import IO, Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils import disk_space
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host

_CHUNK = 1 << 20
_DIGITS = re.compile(r"[0-9a-f]{64}\Z")


class CarriedFiles:
    """The folder ``carried`` in the host's state directory: files/, and index.json once it is whole."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.directory = os.path.join(host.state_dir, "carried")
        self.files = os.path.join(self.directory, "files")
        self._index = os.path.join(self.directory, "index.json")

    def index(self) -> Optional[Dict[str, Any]]:
        """Return ``{digest, made, releases}`` of what is here, or None."""
        try:
            with open(self._index, encoding="utf-8") as handle:
                index: Dict[str, Any] = json.load(handle)
            return index if {"digest", "made", "releases"} <= set(index) else None
        except (OSError, ValueError, TypeError):
            return None

    def require(self, digest: str) -> None:
        """Refuse unless the folder with this digest was given to the host.

        Raises:
            PatchingError: nothing was, or another one.
        """
        index = self.index()
        if index is None or index["digest"] != digest:
            raise PatchingError(
                self.directory,
                "the carried folder {}".format(index["digest"]) if index else "no carried folder",
                "the carried folder {}".format(digest),
                "run the playbook without --check, which copies nothing to a host; nothing was changed",
            )

    def have(self) -> List[str]:
        """Return the SHA-256 of the files that are here, as their names say."""
        try:
            return sorted(name for name in os.listdir(self.files) if _DIGITS.match(name))
        except OSError:
            return []

    def take(self, archive: str, index: Dict[str, Any], keep: List[str]) -> None:
        """Unpack ``archive``, forget all files but those of ``keep``, and write the index last.

        Raises:
            PatchingError: a file is not what its name says, one of ``keep`` is missing, or there is no room.
        """
        os.makedirs(self.files, mode=0o700, exist_ok=True)
        if os.path.exists(self._index):
            os.unlink(self._index)
        for name in os.listdir(self.files):
            if name not in keep:
                os.unlink(os.path.join(self.files, name))
        try:
            with tarfile.open(archive) as bundle:
                members = bundle.getmembers()
                needed = sum(member.size for member in members)
                disk_space.check(disk_space.survey({self.directory: needed}))
                for member in members:
                    self._unpack(bundle.extractfile(member) if member.isreg() else None, member.name)
        except (OSError, EOFError, tarfile.TarError) as error:
            raise PatchingError(
                archive,
                str(error),
                "the files of the carried folder",
                "look for room on the host's disk, then try again",
            )
        missing = sorted(set(keep) - set(self.have()))
        if missing:
            raise PatchingError(
                "file {} of the carried folder".format(missing[0]), "missing", "every file", "run the playbook again"
            )
        with open(self._index + ".part", "w", encoding="utf-8") as handle:
            json.dump(index, handle, sort_keys=True)
        os.rename(self._index + ".part", self._index)

    def _unpack(self, source: Optional[IO[bytes]], name: str) -> None:
        if source is None or not _DIGITS.match(name):
            raise PatchingError("the copy of the carried folder", repr(name), "files named by SHA-256", "try again")
        final = os.path.join(self.files, name)
        total = hashlib.sha256()
        with open(final + ".part", "wb") as target:
            for chunk in iter(lambda: source.read(_CHUNK), b""):
                total.update(chunk)
                target.write(chunk)
        if total.hexdigest() != name:
            os.unlink(final + ".part")
            raise PatchingError(
                "file {} of the carried folder".format(name),
                "SHA-256 {}".format(total.hexdigest()),
                "the SHA-256 that is its name",
                "run the playbook again; if it stays so, look for a damaged disk or network",
            )
        os.rename(final + ".part", final)

    def clear(self) -> None:
        """Forget everything."""
        shutil.rmtree(self.directory, ignore_errors=True)
