# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of .deb files with an index, which apt is told to see instead of the host's repositories."""

import hashlib
import os
import shutil
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils import deb822
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_metadata import words
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

_CHUNK = 1024 * 1024
#: Prints the control fields of each .deb, an empty line after each.
_CONTROL = 'for deb do dpkg-deb -f "$deb" || exit 1; echo; done'


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    total = hashlib.sha256()
    with open(path, "rb") as handle:
        for chunk in iter(lambda: handle.read(_CHUNK), b""):
            total.update(chunk)
    return total.hexdigest()


def file_name(name: str, version: str, arch: str) -> str:
    """Return the name of a .deb; a colon cannot stand in apt's file addresses."""
    return "{}_{}_{}.deb".format(name, version.replace(":", "%3a"), arch)


def kept_architecture(folder: str, name: str, version: str, arch: str) -> Optional[str]:
    """Return the architecture of the file of a version in ``folder``, or None where there is none.

    It may differ from that of the update ``arch`` which replaced the version: a
    package may change between an architecture and ``all``.
    """
    start, end = file_name(name, version, "")[: -len(".deb")], ".deb"
    try:
        files = [file for file in os.listdir(folder) if file.startswith(start) and file.endswith(end)]
    except OSError:
        return None
    here = sorted(file[len(start) : -len(end)] for file in files)
    fitting = [kept for kept in here if kept == arch or "all" in (kept, arch)]
    return arch if arch in fitting else next(iter(fitting), None)


def control_fields(runner: Runner, paths: List[str]) -> List[Dict[str, str]]:
    """Return the control fields of each .deb in one call.

    Raises:
        PatchingError: one of them is no readable .deb.
    """
    if not paths:
        return []
    result = runner.run(["sh", "-c", _CONTROL, "sh"] + paths, timeout_s=300)
    fields = list(deb822.paragraphs(result.stdout))
    if len(fields) != len(paths):
        raise PatchingError(
            os.path.dirname(paths[0]),
            "control fields of {} packages".format(len(fields)),
            "those of {} files".format(len(paths)),
            "remove this folder and stage again",
        )
    return fields


class LocalRepository:
    """The folder ``directory``: debs/, Packages, and apt's own files about it in apt/."""

    def __init__(self, runner: Runner, directory: str) -> None:
        self.runner = runner
        self.directory = directory
        self.debs = os.path.join(directory, "debs")
        self.apt = os.path.join(directory, "apt")

    def create(self) -> None:
        for path in (self.debs, os.path.join(self.apt, "lists", "partial"), os.path.join(self.apt, "cache")):
            os.makedirs(path, mode=0o700, exist_ok=True)

    def deb(self, name: str, version: str, arch: str) -> str:
        return os.path.join(self.debs, file_name(name, version, arch))

    def take(self, path: str, name: str, version: str, arch: str) -> None:
        """Move a file in under its proper name; it appears whole or not at all."""
        final = self.deb(name, version, arch)
        shutil.move(path, final + ".part")
        os.chown(final + ".part", os.getuid(), os.getgid())
        os.chmod(final + ".part", 0o644)
        os.rename(final + ".part", final)

    def options(self) -> List[str]:
        """Return the arguments that make apt see this folder and nothing else.

        Signatures were checked when the files were staged and every file is
        checked against the transaction's SHA-256 before it is installed, so the
        folder itself is taken on trust. Pins of the host are out of the way:
        the versions are named exactly.
        """
        return words(
            [
                "Dir::Etc::sourcelist=" + os.path.join(self.apt, "sources.list"),
                "Dir::Etc::sourceparts=/dev/null",
                "Dir::Etc::preferences=/dev/null",
                "Dir::Etc::preferencesparts=/dev/null",
                "Dir::State::lists=" + os.path.join(self.apt, "lists"),
                "Dir::Cache=" + os.path.join(self.apt, "cache"),
                "APT::Default-Release=",
                "APT::Sandbox::User=root",
                "APT::Update::Post-Invoke-Success=",
                "APT::Update::Post-Invoke=",
                "APT::Update::Pre-Invoke=",
                "Acquire::Languages=none",
            ]
        )

    def index(self) -> None:
        """Write the index of all files from their control fields, and let apt read it.

        Raises:
            PatchingError: a file is damaged, or apt refuses the index.
        """
        paths = sorted(os.path.join(self.debs, name) for name in os.listdir(self.debs) if name.endswith(".deb"))
        text = []
        for path, fields in zip(paths, control_fields(self.runner, paths)):
            fields["Filename"] = "debs/" + os.path.basename(path)
            fields["Size"] = str(os.path.getsize(path))
            fields["SHA256"] = sha256_of(path)
            text.append(deb822.render(fields))
        self._write("Packages", "".join(text))
        self._write("apt/sources.list", "deb [trusted=yes] file:{} ./\n".format(self.directory.replace(" ", "%20")))
        self.runner.run(
            ["apt-get", "update", "-q"] + self.options() + words(["Debug::NoLocking=1"]),
            timeout_s=120,
            env={"DEBIAN_FRONTEND": "noninteractive"},
        )

    def check(self, entries: List[Dict[str, Any]], version_field: str = "to") -> None:
        """Refuse unless the file of every entry is here with the entry's SHA-256.

        Raises:
            PatchingError: naming the file that is missing or was changed.
        """
        for entry in entries:
            version = entry[version_field]
            if version is None:
                continue
            path = self.deb(entry["name"], version, entry["arch"])
            again = "stage the host again; nothing was installed"
            if not os.path.exists(path):
                raise PatchingError(path, "missing", "the staged file", again)
            found = sha256_of(path)
            if found != entry["sha256"]:
                raise PatchingError(path, "SHA-256 {}".format(found), "SHA-256 {}".format(entry["sha256"]), again)

    def _write(self, name: str, text: str) -> None:
        path = os.path.join(self.directory, name)
        with open(path + ".part", "w", encoding="utf-8") as handle:
            handle.write(text)
        os.rename(path + ".part", path)
