# SPDX-License-Identifier: GPL-3.0-or-later
"""Walking directories of a host within limits, and never into another host's files.

Links are not followed. Mounts are entered only when they are local disks: a
file server that hangs must not hang the assessment, and what lies on it
belongs to another host; a container's root is an overlay and the container's.
"""

import os
from typing import Callable, Iterator, List, NamedTuple, Sequence

from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.local_disks import LOCAL_DISKS, LocalDisks
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below

#: Entries of a directory, editable as with os.walk: what is taken out of ``directories`` is not entered.
Directory = NamedTuple("Directory", [("path", str), ("directories", List[str]), ("files", List[str])])
#: A directory below a root with more than ``fan_out`` directories is taken for a store of data and not entered: an
#: image archive has 65,536 directories of one layout, and no software in them.
Limits = NamedTuple("Limits", [("depth", int), ("directories", int), ("seconds", float), ("fan_out", int)])

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


#: Stores of containers, by the ends of their paths, that are left out also of a thorough walk.
STORES = (
    "/overlay2",
    "/storage/overlay",
    "/var/lib/containerd",
    "/var/lib/containers/storage",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/lib/machines",
)
#: Mounts of the kernel and of desktops in which nobody keeps files of their own.
EMPTY_MOUNTS = frozenset(
    ("binfmt_misc", "cgroup", "cgroup2", "devpts", "fuse.lxcfs", "fuse.portal", "nsfs", "proc", "rpc_pipefs", "sysfs")
)
#: Problems that are told one by one; the rest is counted.
TOLD = 200


class TreeWalk:
    """One walk; ``problems`` tells afterwards what was left out because of a limit, ``absent`` which roots are not.

    A ``thorough`` walk enters also caches and hidden directories, and tells of everything that it leaves out.
    """

    def __init__(self, host: Host, limits: Limits, thorough: bool = False) -> None:
        self.host = host
        self.limits = limits
        self.thorough = thorough
        self.disks = LocalDisks(host.root, LOCAL_DISKS)
        self.problems: List[str] = []
        self.absent: List[str] = []
        self.untold = 0
        self.count = 0

    def walk(self, roots: Sequence[str], wanted: Callable[[str], bool]) -> Iterator[Directory]:
        """Yield the directories from ``roots`` (absolute, shell patterns allowed) downwards, with ``wanted`` files."""
        yield from self._walk(self._expand(roots), wanted)
        for point, kind in sorted(self.disks.refused.items()):
            if kind not in EMPTY_MOUNTS:
                self._left_out("{} is on {}".format(point, kind))
        if self.untold:
            self.problems.append("{} more".format(self.untold))

    def _walk(self, roots: Sequence[str], wanted: Callable[[str], bool]) -> Iterator[Directory]:
        deadline = self.host.clock.monotonic() + self.limits.seconds
        seen = set()
        pending = [(root, 0) for root in reversed(roots)]
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
                self._left_out("{} has {} directories".format(path, len(directory.directories)))
                directory.directories.clear()
            yield directory
            if depth < self.limits.depth:
                pending += [(os.path.join(path, name), depth + 1) for name in reversed(directory.directories)]
            elif directory.directories:
                self._left_out("{} is {} directories deep".format(path, depth))

    def _expand(self, roots: Sequence[str]) -> List[str]:
        """Return the directories that the patterns name, links resolved, none from a foreign mount."""
        found: List[str] = []
        for pattern in roots:
            refused = len(self.disks.refused)
            resolved = [self.disks.resolve(path) for path in self.disks.expand(pattern)]
            inside = [path for path in resolved if path and os.path.isdir(below(self.host.root, path))]
            found += [path for path in inside if path not in found]
            if not inside and refused == len(self.disks.refused) and not self.disks.foreign(pattern):
                self.absent.append(pattern)
        return found

    def _left_out(self, text: str) -> None:
        if self.thorough:
            self._problem(text)

    def _problem(self, text: str) -> None:
        if len(self.problems) < TOLD:
            self.problems.append(text)
        else:
            self.untold += 1

    def _read(self, path: str, wanted: Callable[[str], bool]) -> Directory:
        directory = Directory(path, [], [])
        try:
            with os.scandir(below(self.host.root, path)) as entries:
                for entry in entries:
                    inner = os.path.join(path, entry.name)
                    if self.disks.foreign_mount(inner):
                        continue  # before it is asked what it is
                    if entry.is_dir(follow_symlinks=False):
                        if not self._passed_over(inner, entry.name):
                            directory.directories.append(entry.name)
                    elif wanted(entry.name) and entry.is_file(follow_symlinks=False):
                        directory.files.append(entry.name)
        except OSError as error:
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                self._problem("{}: {}".format(path, error.strerror))
        directory.directories.sort()
        directory.files.sort()
        return directory

    def _passed_over(self, path: str, name: str) -> bool:
        if not self.thorough:
            return name in PRUNED or (name[:1] == "." and name not in HIDDEN)
        if not path.endswith(STORES):
            return False
        if self.disks.names(path):  # some lie empty on every host
            self._left_out("{} is a store of containers".format(path))
        return True


#: For collectors that always run.
USUAL = Limits(6, 20000, 5.0, 100)
