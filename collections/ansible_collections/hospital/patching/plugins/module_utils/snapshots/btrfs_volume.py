# SPDX-License-Identifier: GPL-3.0-or-later
"""The top level of a btrfs file system, mounted in a private place while it is needed, and what is done there."""

import contextlib
import ctypes
import os
import platform
from typing import Dict, Iterator, List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.mount_table import Mount, parse_mountinfo
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import btrfs_text
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs_text import Listed, Shown, Usage
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.mounted import (
    holders,
    locked,
    mounted_at,
    read_text,
)

#: Number of the top level's own subvolume, and of the inode that every subvolume begins with.
TOP_ID, SUBVOLUME_INODE = 5, 256
#: Something may look into a mount for a moment.
UNMOUNT_TRIES = 5
#: Deleting and snapshots wait for a commit, which a busy disk holds up.
CHANGE_LIMIT_S = 600
#: What was written since is counted within so long, or is not known.
FIND_LIMIT_S = 60

#: Where the host is read; tests have their own.
Places = NamedTuple("Places", [("work", str), ("mountinfo", str), ("fstab", str), ("cmdline", str)])
PLACES = Places("/run/hospital-patching-btrfs", "/proc/self/mountinfo", "/etc/fstab", "/proc/cmdline")

_RENAMEAT2 = {"x86_64": 316, "aarch64": 276, "ppc64le": 357, "s390x": 347}


def mounts(places: Places) -> List[Mount]:
    """Return what is mounted now, in mount order."""
    return parse_mountinfo(read_text(places.mountinfo))


class TopLevel:
    """All subvolumes of one file system; paths are given from its top level, without a leading slash."""

    def __init__(self, runner: Runner, point: str, source: str, device: str, places: Places) -> None:
        self.runner = runner
        self.point = point
        self.source = source
        self.device = device
        self.places = places

    def full(self, path: str) -> str:
        return os.path.join(self.point, path)

    def at(self, path: str) -> Optional[Shown]:
        """Return the subvolume at ``path``, or None where there is none."""
        # Line breaks in a name would forge what `show` prints.
        if any(ord(letter) < 32 for letter in path) or not is_subvolume(self.full(path)):
            return None
        return btrfs_text.parse_show(self._btrfs(["subvolume", "show", self.full(path)]))

    def listing(self) -> List[Listed]:
        return btrfs_text.parse_list(self._btrfs(["subvolume", "list", "-uq", self.point]))

    def locate(self, uuid: str, hint: str) -> Optional[str]:
        """Return where the subvolume of that UUID is, by what btrfs says of each place itself."""
        shown = self.at(hint)
        if shown is not None and shown.uuid == uuid:
            return hint
        for path in [found.path for found in self.listing() if found.uuid == uuid]:
            shown = self.at(path)
            if shown is not None and shown.uuid == uuid:
                return path
        return None

    def nested(self, path: str) -> List[str]:
        """Return the paths of the subvolumes within ``path``, without those that lie in one of these."""
        found: List[str] = []
        for inner in sorted(listed.path for listed in self.listing() if listed.path.startswith(path + "/")):
            if not any(inner.startswith(outer + "/") for outer in found):
                found.append(inner)
        return found

    def generation(self, path: str) -> int:
        """Return the generation in which the subvolume at ``path`` was changed last."""
        found = btrfs_text.parse_generation(self._btrfs(["subvolume", "show", self.full(path)]))
        if found is None:
            raise self._unknown("subvolume show")
        return found

    def written_since(self, path: str, generation: int) -> int:
        """Return the bytes of files of a subvolume that were written in ``generation`` or later."""
        words = ["subvolume", "find-new", self.full(path), str(generation)]
        found = btrfs_text.parse_find_new(self._btrfs(words, FIND_LIMIT_S))
        if found is None:
            raise self._unknown("subvolume find-new")
        return found

    def snapshot(self, source: str, target: str, read_only: bool) -> None:
        words = ["subvolume", "snapshot"] + (["-r"] if read_only else [])
        self._btrfs(words + [self.full(source), self.full(target)], CHANGE_LIMIT_S)

    def delete(self, path: str) -> None:
        self._btrfs(["subvolume", "delete", self.full(path)], CHANGE_LIMIT_S)

    def default(self) -> int:
        """Return the number of the subvolume that is mounted where nobody names one."""
        found = btrfs_text.parse_default(self._btrfs(["subvolume", "get-default", self.point]))
        if found is None:
            raise self._unknown("subvolume get-default")
        return found

    def set_default(self, number: int) -> None:
        self._btrfs(["subvolume", "set-default", str(number), self.point])

    def usage(self) -> Usage:
        found = btrfs_text.parse_usage(self._btrfs(["filesystem", "usage", "-b", self.point]))
        if found is None:
            raise self._unknown("filesystem usage -b")
        return found

    def quotas(self, path: str) -> Optional[str]:
        """Return what ``btrfs qgroup show`` says of ``path``, or None where quotas are off."""
        result = self.runner.run(["btrfs", "qgroup", "show", "--raw", "-reF", self.full(path)], check=False)
        return result.stdout if result.rc == 0 else None

    def sync(self) -> None:
        self._btrfs(["filesystem", "sync", self.point], CHANGE_LIMIT_S)

    def exchange(self, first: str, second: str) -> None:
        """Swap two subvolumes' places in one step, so that no crash leaves a path empty.

        Raises:
            PatchingError: the kernel or the C library cannot; nothing has moved.
        """
        error = _exchange(self.full(first), self.full(second))
        if error:
            raise PatchingError(
                "subvolume {}".format(first),
                "it cannot change places with its snapshot: {}".format(os.strerror(error)),
                "Linux's renameat2 with RENAME_EXCHANGE on btrfs",
                "revert by hand from {}, as docs/snapshots_btrfs.md says".format(second),
            )

    def inside(self, place: str) -> Optional[str]:
        """Return where a path of the host lies in this file system, or None where it lies in another."""
        seen = None
        for mount in mounts(self.places):
            if (place + "/").startswith(mount.path.rstrip("/") + "/") and (
                seen is None or len(mount.path) >= len(seen.path)
            ):
                seen = mount
        if seen is None or seen.device != self.device:
            return None
        return os.path.normpath(seen.root + "/" + place[len(seen.path.rstrip("/")) :]).lstrip("/")

    def mounts_of(self, path: str) -> List[Mount]:
        """Return where exactly that subvolume is mounted, besides the private place."""
        return [mount for mount in self._own_mounts() if mount.root == "/" + path]

    def mounts_within(self, path: str) -> List[Mount]:
        """Return the mounts of folders and subvolumes that lie within it."""
        return [mount for mount in self._own_mounts() if mount.root.startswith("/" + path + "/")]

    def mount(self, path: str, place: str, options: str) -> None:
        """Mount the subvolume that is at ``path`` now, with options of a mount alone, such as ``rw,nosuid``."""
        shown = self.at(path)
        if shown is None:
            raise PatchingError(
                "subvolume {}".format(path),
                "it is gone",
                "the one that belongs at {}".format(place),
                "look at the disk",
            )
        # By its number, because a path may hold a comma.
        words = ["mount", "-t", "btrfs", "-o", "{},subvolid={}".format(options, shown.id), self.source, place]
        self.runner.run(words)

    def unmount(self, mount: Mount) -> None:
        """Unmount it.

        Raises:
            PatchingError: it is in use; the message names by whom.
        """
        result = self.runner.run(["umount", mount.path], check=False)
        if result.rc != 0:
            users = ", ".join(holders(mount.path)) or "nobody that /proc shows"
            raise PatchingError(
                "mount {}".format(mount.path),
                "it cannot be unmounted ({}); in use by {}".format(result.stderr.strip()[-200:], users),
                "a file system that nobody uses while it is reverted",
                "stop them and try again, or give it in at_reboot to have it reverted by a reboot",
            )

    def _own_mounts(self) -> List[Mount]:
        return [found for found in mounts(self.places) if found.device == self.device and found.path != self.point]

    def _btrfs(self, words: List[str], timeout_s: int = 120) -> str:
        return self.runner.run(["btrfs"] + words, timeout_s=timeout_s).stdout

    def _unknown(self, command: str) -> PatchingError:
        return PatchingError(
            "btrfs {}".format(command), "an answer of another form", "that of btrfs-progs 4.15 to 6", "report it"
        )


@contextlib.contextmanager
def opened(runner: Runner, clock: Clock, source: str, places: Places) -> Iterator[TopLevel]:
    """Mount the top level of ``source`` for root alone, and unmount it afterwards.

    One call on a host at a time; what a killed one left mounted is unmounted first.

    Raises:
        PatchingError: another call does not end, or it cannot be mounted.
    """
    point = os.path.join(places.work, "top")
    with locked(clock, places.work, "btrfs"):
        while mounted_at(point, mounts(places)) is not None:
            _close(runner, clock, point)
        os.makedirs(point, mode=0o700, exist_ok=True)
        runner.run(["mount", "-t", "btrfs", "-o", "subvolid=5,nosuid,nodev,noexec", source, point])
        whole = False
        try:
            mounted = mounted_at(point, mounts(places))
            yield TopLevel(runner, point, source, mounted.device if mounted else "", places)
            whole = True
        finally:
            try:
                _close(runner, clock, point)
            except PatchingError:
                # What went wrong before says more; the next call unmounts it.
                if whole:
                    raise


def _close(runner: Runner, clock: Clock, point: str) -> None:
    for _attempt in range(UNMOUNT_TRIES):
        if runner.run(["umount", point], check=False).rc == 0:
            return
        clock.sleep(1)
    runner.run(["umount", point])


def is_subvolume(full: str) -> bool:
    """Return whether a subvolume begins at that path."""
    try:
        found = os.lstat(full)
    except OSError:
        return False
    return found.st_ino == SUBVOLUME_INODE and os.path.isdir(full) and not os.path.islink(full)


def _exchange(first: str, second: str) -> int:
    """Return 0, or the error's number."""
    libc = ctypes.CDLL(None, use_errno=True)
    numbers: Dict[str, int] = _RENAMEAT2
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    one, two = os.fsencode(first), os.fsencode(second)
    if hasattr(libc, "renameat2"):
        failed = libc.renameat2(here, one, here, two, swap)
    elif platform.machine() in numbers:  # glibc before 2.28
        call = ctypes.c_long(numbers[platform.machine()])
        failed = libc.syscall(call, ctypes.c_int(here), one, ctypes.c_int(here), two, ctypes.c_uint(swap))
    else:
        return 38  # ENOSYS
    return ctypes.get_errno() if failed else 0
