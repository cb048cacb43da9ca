# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding files without touching what another host serves.

A file server that hangs also hangs whoever only asks what a name is, and a
look below an automounter's directory mounts. So the mount table decides by the
name, component by component and link by link, before the kernel is asked.
"""

import fnmatch
import os
import stat
from typing import Dict, FrozenSet, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.mount_table import mount_kinds
from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below, head

LOCAL_DISKS = frozenset(("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "reiserfs", "xfs", "zfs"))
#: What answers at once besides: images of the system, layers over it (systemd-sysext(8)), memory.
AT_HAND = LOCAL_DISKS | frozenset(("erofs", "overlay", "squashfs", "tmpfs"))
#: Links followed for one name, as the kernel does (path_resolution(7)).
_LINKS = 40


class LocalDisks:
    """What lies on the root's file system and on mounts of ``kinds``; ``refused`` are the other mounts it met."""

    def __init__(self, root: str, kinds: FrozenSet[str] = AT_HAND) -> None:
        self.root = root
        self.kinds = kinds
        self.refused: Dict[str, str] = {}
        try:
            with open(below(root, "proc/self/mountinfo"), "rb") as handle:
                self.mounts = mount_kinds(os.fsdecode(handle.read()))
        except OSError:
            self.mounts = {}

    def foreign(self, path: str) -> bool:
        """Return whether ``path`` is on a mount of another kind; the root itself may be of any."""
        while path not in ("", "/"):
            if path in self.mounts:
                return self.foreign_mount(path)
            path = os.path.dirname(path)
        return False

    def foreign_mount(self, path: str) -> bool:
        """Return whether ``path`` itself is where such a mount begins."""
        kind = self.mounts.get(path)
        if kind is None or path == "/" or kind in self.kinds:
            return False
        self.refused[path] = kind
        return True

    def resolve(self, path: str, start: str = "/") -> Optional[str]:
        """Return ``path`` (seen from the resolved directory ``start``) without links, None if missing or foreign."""
        current, pending, links = start, path.split("/")[::-1], 0
        while pending:
            name = pending.pop()
            if name in ("", "."):
                continue
            if name == "..":
                current = os.path.dirname(current)
                continue
            inner = os.path.join(current, name)
            if self.foreign(inner):
                return None
            try:
                if not stat.S_ISLNK(os.lstat(below(self.root, inner)).st_mode):
                    current = inner
                    continue
                target = os.readlink(below(self.root, inner))
            except (OSError, ValueError):
                return None
            links += 1
            if links > _LINKS:
                return None
            current = "/" if target.startswith("/") else current
            pending += target.split("/")[::-1]
        return current

    def expand(self, pattern: str) -> List[str]:
        """Return the paths that an absolute shell pattern names, links in them unresolved, sorted."""
        found: List[Tuple[str, str]] = [("/", "/")]
        for part in pattern.split("/"):
            if part:
                found = [
                    (os.path.join(named, name), inner)
                    for named, resolved in found
                    for name, inner in self._inner(resolved, part)
                ]
        return [named for named, _resolved in found]

    def _inner(self, directory: str, part: str) -> List[Tuple[str, str]]:
        names = [part]
        if any(character in part for character in "*?["):
            hidden = part.startswith(".")
            names = [name for name in self.names(directory) if hidden or not name.startswith(".")]
            names = [name for name in names if fnmatch.fnmatchcase(name, part)]
        resolved = [(name, self.resolve(name, directory)) for name in names]
        return [(name, inner) for name, inner in resolved if inner is not None]

    def names(self, path: str) -> List[str]:
        """Return the sorted names in a directory, none where it is missing, unreadable or foreign."""
        resolved = self.resolve(path)
        try:
            return [] if resolved is None else sorted(os.listdir(below(self.root, resolved)))
        except OSError:
            return []

    def is_directory(self, path: str) -> bool:
        """Return whether ``path`` is a directory here."""
        resolved = self.resolve(path)
        return resolved is not None and os.path.isdir(below(self.root, resolved))

    def is_file(self, path: str) -> bool:
        """Return whether ``path`` is a regular file here."""
        resolved = self.resolve(path)
        return resolved is not None and os.path.isfile(below(self.root, resolved))

    def head(self, path: str, limit_bytes: int = 65536, start: str = "/") -> Optional[str]:
        """Return the beginning of a regular file as small_files.head() does, None also where it is foreign."""
        resolved = self.resolve(path, start)
        return None if resolved is None else head(self.root, resolved, limit_bytes)
