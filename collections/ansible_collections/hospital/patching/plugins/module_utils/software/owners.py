# SPDX-License-Identifier: GPL-3.0-or-later
"""Which package owns a file.

dpkg's lists are read as files (dpkg-query takes 10 times as long); rpm is asked
for all paths in two calls whose answers are data, whatever else it prints.
"""

import os
from typing import Dict, Iterable, List, Optional, Set

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below

_LISTS = "var/lib/dpkg/info"
#: Directories that a merged /usr has under two names (Debian's UsrMerge, Fedora's UsrMove).
_MERGED = ("/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/")
#: From this many directories on, looking for each costs more than it saves.
_NEEDLES = 12
#: Of a command line: far below the kernel's limit.
_BATCH = 500


def spellings(path: str) -> List[str]:
    """Return the names under which a package may have recorded ``path``."""
    if path.startswith(_MERGED):
        return [path, "/usr" + path]
    if path.startswith("/usr") and path[len("/usr") :].startswith(_MERGED):
        return [path, path[len("/usr") :]]
    return [path]


class Owners:
    """The owners of files on one host; each path is looked up once. Share it between collectors."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.known: Dict[str, Optional[str]] = {}

    def of(self, paths: Iterable[str]) -> Dict[str, Optional[str]]:
        """Return the package's name for each of ``paths`` (absolute, as on the host), None where nobody owns it.

        Raises:
            PatchingError: rpm does not answer.
        """
        asked = set(paths)
        wanted = {path for path in asked if path not in self.known and path.startswith("/") and "\n" not in path}
        if wanted:
            recorded = self._recorded({name for path in wanted for name in spellings(path)})
            for path in wanted:
                self.known[path] = next((recorded[name] for name in spellings(path) if name in recorded), None)
        return {path: self.known.get(path) for path in asked}

    def _recorded(self, names: Set[str]) -> Dict[str, str]:
        found: Dict[str, str] = {}
        if os.path.isdir(below(self.host.root, _LISTS)):
            found.update(self._dpkg(names))
        rest = names - set(found)
        if rest and self._rpm_used():
            found.update(self._rpm(sorted(rest)))
        return found

    def _dpkg(self, names: Set[str]) -> Dict[str, str]:
        """Return the owners as the lists under /var/lib/dpkg/info record them, one path a line (dpkg(1))."""
        wanted = {name.encode("utf-8", "surrogateescape") for name in names}
        # Most packages have nothing in these directories: their lists need not be taken apart.
        needles = sorted({name.rpartition(b"/")[0] + b"/" for name in wanted})[:_NEEDLES]
        diverted = self._diversions(wanted)
        found: Dict[str, str] = {}
        directory = below(self.host.root, _LISTS)
        for entry in os.listdir(directory):
            if not entry.endswith(".list"):
                continue
            try:
                with open(os.path.join(directory, entry), "rb") as handle:
                    text = handle.read()
            except OSError:
                continue
            if len(needles) < _NEEDLES and not any(needle in text for needle in needles):
                continue
            owned = wanted.intersection(text.split(b"\n"))
            package = entry[: -len(".list")].split(":")[0]
            for name in owned:
                # A diverted file is another package's than the one that lists this name.
                if diverted.get(name, package) == package:
                    found[name.decode("utf-8", "surrogateescape")] = package
        return found

    def _diversions(self, wanted: Set[bytes]) -> Dict[bytes, str]:
        """Return the package that diverts each of ``wanted`` (deb-old, dpkg-divert(1): three lines a diversion)."""
        try:
            with open(below(self.host.root, "var/lib/dpkg/diversions"), "rb") as handle:
                lines = handle.read().split(b"\n")
        except OSError:
            return {}
        found = {}
        for start in range(0, len(lines) - 2, 3):
            package = lines[start + 2].decode("utf-8", "replace")
            if lines[start] in wanted and package != ":":
                found[lines[start]] = package
        return found

    def _rpm_used(self) -> bool:
        installed = any(os.access(below(self.host.root, path), os.X_OK) for path in ("usr/bin/rpm", "bin/rpm"))
        return installed and rpm_database.present(self.host.root)

    def _rpm(self, names: List[str]) -> Dict[str, str]:
        # What it says of files that nobody owns is prose; only marked lines are read.
        existing = [name for name in names if os.path.lexists(below(self.host.root, name))]
        packages: Set[str] = set()
        for start in range(0, len(existing), _BATCH):
            answer = self.host.runner.run(
                ["rpm", "-qf", "--queryformat", "=%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\n"]
                + existing[start : start + _BATCH],
                timeout_s=60,
                check=False,
            )
            packages.update(line[1:] for line in answer.stdout.splitlines() if line.startswith("="))
        if not packages:
            return {}
        answer = self.host.runner.run(
            ["rpm", "-q", "--queryformat", "[=%{=NAME}\t%{FILENAMES}\n]"] + sorted(packages), timeout_s=60, check=False
        )
        wanted = set(names)
        found = {}
        for line in answer.stdout.splitlines():
            package, _tab, name = line[1:].partition("\t")
            if line.startswith("=") and name in wanted:
                found[name] = package
        return found
