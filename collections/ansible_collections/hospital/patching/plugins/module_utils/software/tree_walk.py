# SPDX-License-Identifier: GPL-3.0-or-later
"""Walking directories of a host within limits, and never into another host's files.

Links are not followed. Mounts are entered only when they are local disks: a
file server that hangs must not hang the assessment, and what lies on it
belongs to another host; a container's root is an overlay and the container's.
Source of the mounts: proc(5), /proc/self/mountinfo.
"""

import glob
import os
import re
from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence

from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below

#: Entries of a directory, editable as with os.walk: what is taken out of ``directories`` is not entered.
Directory = NamedTuple("Directory", [("path", str), ("directories", List[str]), ("files", List[str])])
#: A directory below a root with more than ``fan_out`` directories is taken for a store of data and not entered: an
#: image archive has 65,536 directories of one layout, and no software in them.
Limits = NamedTuple("Limits", [("depth", int), ("directories", int), ("seconds", float), ("fan_out", int)])

LOCAL_DISKS = frozenset(("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "reiserfs", "xfs", "zfs"))
#: Stores of containers and package managers, and caches: their files are told of elsewhere or are not installed.
PRUNED = frozenset(
    (
        "apt",
        "cache",
        "containerd",
        "containers",
        "docker",
        "dpkg",
        "flatpak",
        "kubelet",
        "lost+found",
        "machines",
        "node_modules",
        "overlay",
        "overlay2",
        "rpm",
        "snapd",
    )
)
#: Hidden directories in which people install software; all others are passed over.
HIDDEN = frozenset(
    (".asdf", ".conda", ".jdks", ".local", ".pyenv", ".rye", ".sdkman", ".venv", ".virtualenv", ".virtualenvs")
)


def parse_mounts(text: str) -> Dict[str, str]:
    """Return the file system type by mount point; of mounts over each other, the uppermost."""
    mounts = {}
    for line in text.splitlines():
        before, _dash, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) >= 5 and kinds[0]:
            point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields[4])
            mounts[point] = kinds[0]
    return mounts


class TreeWalk:
    """One walk; ``problems`` tells afterwards what was left out because of a limit."""

    def __init__(self, host: Host, limits: Limits) -> None:
        self.host = host
        self.limits = limits
        self.problems: List[str] = []
        self.count = 0
        try:
            with open(below(host.root, "proc/self/mountinfo"), "rb") as handle:
                self.mounts = parse_mounts(handle.read().decode("utf-8", "replace"))
        except OSError:
            self.mounts = {}

    def walk(self, roots: Sequence[str], wanted: Callable[[str], bool]) -> Iterator[Directory]:
        """Yield the directories from ``roots`` (absolute, shell patterns allowed) downwards, with ``wanted`` files."""
        deadline = self.host.clock.monotonic() + self.limits.seconds
        seen = set()
        pending = [(root, 0) for root in reversed(self._expand(roots))]
        while pending:
            path, depth = pending.pop()
            if path in seen:
                continue
            seen.add(path)
            if self.count >= self.limits.directories or self.host.clock.monotonic() > deadline:
                self.problems.append("{} and what comes after it was not looked at: too much for one look".format(path))
                return
            self.count += 1
            directory = self._read(path, wanted)
            if depth and len(directory.directories) > self.limits.fan_out:
                directory.directories.clear()
            yield directory
            if depth < self.limits.depth:
                inner = [(os.path.join(path, name), depth + 1) for name in reversed(directory.directories)]
                pending += [item for item in inner if self._entered(item[0])]

    def _expand(self, roots: Sequence[str]) -> List[str]:
        """Return the directories that the patterns name, links resolved, none from a foreign mount."""
        base = self.host.root.rstrip("/")
        found: List[str] = []
        for pattern in roots:
            if not self._covered(pattern.split("*")[0]):
                continue
            for path in sorted(glob.glob(below(self.host.root, pattern))):
                resolved = os.path.realpath(path)
                if os.path.realpath(self.host.root).rstrip("/") not in ("", resolved[: len(base)]):
                    continue
                inside = resolved[len(base) :] or "/"
                if os.path.isdir(resolved) and self._covered(inside) and inside not in found:
                    found.append(inside)
        return found

    def _covered(self, path: str) -> bool:
        """Return whether the mount that ``path`` lies on is a local disk, or the root itself."""
        while path not in ("", "/"):
            if path in self.mounts:
                return self.mounts[path] in LOCAL_DISKS
            path = os.path.dirname(path)
        return True

    def _entered(self, path: str) -> bool:
        return self.mounts.get(path, "ext4") in LOCAL_DISKS

    def _read(self, path: str, wanted: Callable[[str], bool]) -> Directory:
        directory = Directory(path, [], [])
        try:
            with os.scandir(below(self.host.root, path)) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in PRUNED and (entry.name[:1] != "." or entry.name in HIDDEN):
                            directory.directories.append(entry.name)
                    elif wanted(entry.name) and entry.is_file(follow_symlinks=False):
                        directory.files.append(entry.name)
        except OSError as error:
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                self.problems.append("{}: {}".format(path, error.strerror))
        directory.directories.sort()
        directory.files.sort()
        return directory


#: For collectors that always run.
USUAL = Limits(6, 20000, 5.0, 100)
