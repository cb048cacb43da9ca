# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the package database: the same locks that apt and dpkg, or rpm and dnf take."""

import fcntl
import os
import struct
from typing import Callable, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

LOCKS = ("var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock")
#: rpm's own, by fcntl, wherever a distribution has its database (rpm's lib/rpmlock.c); and that of dnf 5, the last.
RPM_LOCKS = (
    "var/lib/rpm/.rpm.lock",
    "usr/lib/sysimage/rpm/.rpm.lock",
    "usr/share/rpm/.rpm.lock",
    "run/lock/rpm/transaction",
    "run/dnf/rpmtransaction.lock",
)
#: dnf's, which holds the process's number for as long as it works.
PID_FILES = ("var/lib/dnf/rpmdb_lock.pid",)
Holders = Callable[[str], List[Tuple[str, int]]]
#: struct flock: type, whence, start, length, pid.
_FLOCK = "hhqqi"
_POLL_S = 1.0


def holder(path: str) -> Optional[int]:
    """Return the process id that holds a lock on ``path``, or None; 0 means one of another namespace."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        query = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _whence, _start, _length, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, query))
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else int(pid)


def command_of(pid: int) -> str:
    """Return the command line of a process, shortened."""
    try:
        with open("/proc/{}/cmdline".format(pid), "rb") as handle:
            return handle.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()[:120] or "unknown"
    except OSError:
        return "unknown"


def dpkg_holders(root: str) -> List[Tuple[str, int]]:
    """Return (lock, process) for each lock of apt and dpkg that is held."""
    return _held(root, LOCKS)


def rpm_holders(root: str) -> List[Tuple[str, int]]:
    """Return (lock, process) for each lock of rpm and dnf that is held."""
    found = _held(root, RPM_LOCKS)
    for name in PID_FILES:
        try:
            with open(os.path.join(root, name), "rb") as handle:
                pid = int(handle.read(32).strip() or b"0")
            if pid > 0:
                os.kill(pid, 0)
        except (OSError, ValueError):
            continue  # no lock, or one that a process which is gone has left
        if pid > 0 and pid != os.getpid():
            found.append((name, pid))
    return found


def _held(root: str, locks: Tuple[str, ...]) -> List[Tuple[str, int]]:
    found = [(name, holder(os.path.join(root, name))) for name in locks]
    return [(name, pid) for name, pid in found if pid is not None]


def wait_until_free(root: str, timeout_s: int, clock: Clock, holders: Holders) -> None:
    """Return when nobody holds the package database.

    Raises:
        PatchingError: it is still held after ``timeout_s``; names the holder.
    """
    deadline = clock.monotonic() + timeout_s
    while True:
        held = holders(root)
        if not held:
            return
        if clock.monotonic() >= deadline:
            path, pid = held[0]
            raise PatchingError(
                "/" + path,
                "held by process {} ({}) for longer than {} s".format(pid, command_of(pid), timeout_s),
                "a free package database",
                "wait for that process or find out why it hangs; never remove the lock file",
            )
        clock.sleep(_POLL_S)
