# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpkg and apt have recorded on this host, read from their files without starting them."""

import os
import re
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import deb822
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

Package = NamedTuple(
    "Package",
    [
        ("name", str),
        ("arch", str),
        ("version", str),
        ("want", str),
        ("status", str),
        ("source", str),
        ("source_version", str),
        ("installed_bytes", int),
    ],
)

#: States in which a package's files are unpacked (dpkg(1), "Package states").
PRESENT = ("installed", "triggers-pending", "triggers-awaited", "half-configured", "unpacked", "half-installed")
#: States after an interrupted run, which ``dpkg --configure -a`` repairs.
UNFINISHED = ("half-configured", "unpacked", "half-installed", "triggers-pending", "triggers-awaited")

#: A size that is a number; more digits than a disk has bytes are damage.
_NUMBER = re.compile(r"[0-9]{1,15}\Z")


def parse_status(text: str) -> Tuple[List[Package], List[str]]:
    """Return the packages of a dpkg status file, and what could not be read of it.

    Only the fields of :class:`Package` are looked for, each by one search: a status
    file has forty lines a package, and splitting them all takes three times as long.
    """
    packages = []
    problems = []
    blocks = [block for block in text.split("\n\n") if block.strip()]
    for number, paragraph in enumerate(blocks, 1):
        block = "\n" + paragraph
        name, state = _field(block, "Package"), _field(block, "Status").split()
        if not name or len(state) != 3:
            problems.append("paragraph {} ({}) has no readable Package and Status".format(number, name or "no name"))
            continue
        version = _field(block, "Version")
        if not version and state[2] in PRESENT:
            problems.append("{} is {} without a version".format(name, state[2]))
            continue
        source, _blank, source_version = (_field(block, "Source") or name).partition(" ")
        size = _field(block, "Installed-Size")
        packages.append(
            Package(
                name,
                _field(block, "Architecture"),
                version,
                state[0],
                state[2],
                source,
                source_version.strip("()") or version,
                int(size) * 1024 if _NUMBER.match(size) else 0,
            )
        )
    return packages, problems


def _field(block: str, name: str) -> str:
    """Return a field of a paragraph that begins with a line feed; empty where it is missing."""
    start = block.find("\n" + name + ":")
    if start < 0:
        return ""
    start += len(name) + 2
    end = block.find("\n", start)
    return (block[start:] if end < 0 else block[start:end]).strip()


def parse_extended_states(text: str) -> Set[Tuple[str, str]]:
    """Return ``(name, architecture)`` of the packages that apt holds for automatically installed.

    apt writes the native architecture for packages of architecture ``all``.
    """
    return {
        (fields["Package"], fields.get("Architecture", ""))
        for fields in deb822.paragraphs(text)
        if fields.get("Auto-Installed") == "1" and "Package" in fields
    }


class DpkgDatabase:
    """The files under ``root``; every property reads afresh, so call it once and keep the answer."""

    def __init__(self, root: str = "/") -> None:
        self.root = root
        self.admin_dir = os.path.join(root, "var/lib/dpkg")

    def read(self) -> Tuple[List[Package], List[str]]:
        """Return all packages that dpkg knows, and the problems found while reading.

        Raises:
            PatchingError: there is no readable status file at all.
        """
        path = os.path.join(self.admin_dir, "status")
        text = self._text(path)
        if text is None:
            raise PatchingError(path, "not readable", "dpkg's status file", "check that this host uses dpkg")
        return parse_status(text)

    def present(self) -> Dict[Tuple[str, str], Package]:
        """Return the packages that are on the disk, by name and architecture.

        Raises:
            PatchingError: the status file is missing or damaged: nothing may be
                installed on a host whose package database cannot be trusted.
        """
        packages, problems = self.read()
        if problems:
            raise PatchingError(
                os.path.join(self.admin_dir, "status"),
                "{} damaged paragraphs, the first: {}".format(len(problems), problems[0]),
                "a readable package database",
                "restore it from {}/status-old or /var/backups/dpkg.status.*".format(self.admin_dir),
            )
        return {(package.name, package.arch): package for package in packages if package.status in PRESENT}

    def automatic(self, packages: Dict[Tuple[str, str], Package]) -> List[str]:
        """Return ``name:arch`` of those ``packages`` that apt marks as automatically installed."""
        text = self._text(os.path.join(self.root, "var/lib/apt/extended_states")) or ""
        marked = parse_extended_states(text)
        native = native_architecture(packages)
        return sorted(
            "{}:{}".format(name, arch)
            for name, arch in packages
            if (name, native if arch == "all" else arch) in marked or (name, arch) in marked
        )

    def native(self) -> str:
        """Return the native architecture, or empty text, without reading the other packages."""
        text = "\n" + (self._text(os.path.join(self.admin_dir, "status")) or "")
        start = text.find("\nPackage: dpkg\n")
        return "" if start < 0 else _field(text[start:].split("\n\n", 1)[0], "Architecture")

    def written(self, name: str, arch: str) -> Optional[float]:
        """Return when dpkg last wrote the list of a package's files (seconds since 1970), or None.

        dpkg replaces that file whenever it unpacks the package; dpkg-query(1) shows
        the same time as ``db-fsys:Last-Modified``.
        """
        for stem in (name + ":" + arch, name):
            try:
                return os.stat(os.path.join(self.admin_dir, "info", stem + ".list")).st_mtime
            except (OSError, ValueError):
                continue
        return None

    def interrupted(self, packages: Dict[Tuple[str, str], Package]) -> List[str]:
        """Return what an interrupted dpkg left unfinished; empty when all is well."""
        unfinished = [
            "{} is {}".format(package.name, package.status)
            for package in packages.values()
            if package.status in UNFINISHED
        ]
        try:
            pending = [name for name in os.listdir(os.path.join(self.admin_dir, "updates")) if name.isdigit()]
        except OSError:
            pending = []
        return sorted(unfinished) + (["{} records not merged".format(len(pending))] if pending else [])

    def files(self, name: str, arch: str) -> List[str]:
        """Return the paths that a package owns."""
        for stem in (name + ":" + arch, name):
            text = self._text(os.path.join(self.admin_dir, "info", stem + ".list"))
            if text is not None:
                return [line for line in text.split("\n") if line]
        return []

    @staticmethod
    def _text(path: str) -> Optional[str]:
        try:
            with open(path, "rb") as handle:
                return handle.read().decode("utf-8", "replace")
        except OSError:
            return None


def native_architecture(packages: Dict[Tuple[str, str], Package]) -> str:
    """Return the architecture of the ``dpkg`` package itself, which is the native one."""
    return next((arch for name, arch in packages if name == "dpkg"), "")


def holds(packages: Dict[Tuple[str, str], Package]) -> List[str]:
    """Return ``name:arch`` of the packages on hold."""
    return sorted("{}:{}".format(name, arch) for (name, arch), package in packages.items() if package.want == "hold")
