# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of package files: what is staged, and what is kept for the way back."""

import hashlib
import os
import shutil
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

_CHUNK = 1024 * 1024


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    total = hashlib.sha256()
    with open(path, "rb") as handle:
        for chunk in iter(lambda: handle.read(_CHUNK), b""):
            total.update(chunk)
    return total.hexdigest()


def without_sha256(name: str, arch: str, version: Optional[str]) -> PatchingError:
    """Return the error of a package whose repository does not tell what its file must be."""
    return PatchingError(
        "{}:{} {}".format(name, arch, version),
        "a repository without SHA-256",
        "an index that carries it",
        "update from a repository that publishes SHA-256 sums",
    )


def copy_whole(path: str, final: str) -> None:
    """Copy a file; it appears whole or not at all."""
    shutil.copyfile(path, final + ".part")
    os.rename(final + ".part", final)


class PackageFolder:
    """The folder ``directory``, whose package files lie in a folder of their own; one subclass a kind of package."""

    #: The folder of the files in ``directory``.
    FOLDER = ""
    #: The architecture that fits every host in this kind of package.
    ANY_ARCH = ""
    #: What stands between name and version, between version and architecture, and after it, in a file's name.
    MARKS = ("", "", "")

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.files = os.path.join(directory, self.FOLDER)

    @classmethod
    def file_name(cls, name: str, version: str, arch: str) -> str:
        """Return the name of a package file; a colon cannot stand in a package manager's file addresses."""
        first, second, ending = cls.MARKS
        return name + first + version.replace(":", "%3a") + second + arch + ending

    def create(self) -> None:
        os.makedirs(self.files, mode=0o700, exist_ok=True)

    def path(self, name: str, version: str, arch: str) -> str:
        """Return where the file of a version lies, or would lie."""
        return os.path.join(self.files, self.file_name(name, version, arch))

    def kept_architecture(self, name: str, version: str, arch: str) -> Optional[str]:
        """Return the architecture of the file of a version, or None where there is none.

        It may differ from that of the update ``arch`` which replaced the version: a
        package may change between an architecture and the one that fits all.
        """
        ending = self.MARKS[2]
        start = self.file_name(name, version, "")[: -len(ending)]
        try:
            files = [file for file in os.listdir(self.files) if file.startswith(start) and file.endswith(ending)]
        except OSError:
            return None
        here = sorted(file[len(start) : -len(ending)] for file in files)
        here = [kept for kept in here if self.MARKS[1] not in kept]  # else it is the file of a longer version
        fitting = [kept for kept in here if kept == arch or self.ANY_ARCH in (kept, arch)]
        return arch if arch in fitting else next(iter(fitting), None)

    def take(self, path: str, name: str, version: str, arch: str) -> None:
        """Move a file in under its proper name; it appears whole or not at all."""
        final = self.path(name, version, arch)
        shutil.move(path, final + ".part")
        os.chown(final + ".part", os.getuid(), os.getgid())
        os.chmod(final + ".part", 0o644)
        os.rename(final + ".part", final)

    def check(self, entries: List[Dict[str, Any]], version_field: str = "to") -> None:
        """Refuse unless the file of every entry is here with the entry's SHA-256.

        Raises:
            PatchingError: naming the file that is missing or was changed.
        """
        for entry in entries:
            version = entry[version_field]
            if version is None:
                continue
            path = self.path(entry["name"], version, entry["arch"])
            again = "stage the host again; nothing was installed"
            if not os.path.exists(path):
                raise PatchingError(path, "missing", "the staged file", again)
            found = sha256_of(path)
            if found != entry["sha256"]:
                raise PatchingError(path, "SHA-256 {}".format(found), "SHA-256 {}".format(entry["sha256"]), again)


class DebFolder(PackageFolder):
    """A folder of .deb files."""

    FOLDER = "debs"
    ANY_ARCH = "all"
    MARKS = ("_", "_", ".deb")


class RpmFolder(PackageFolder):
    """A folder of .rpm files."""

    FOLDER = "rpms"
    ANY_ARCH = "noarch"
    MARKS = ("-", ".", ".rpm")


def folder_of(manager: str, directory: str) -> PackageFolder:
    """Return the folder of the package manager ``manager`` at ``directory``."""
    return DebFolder(directory) if manager == "apt" else RpmFolder(directory)
