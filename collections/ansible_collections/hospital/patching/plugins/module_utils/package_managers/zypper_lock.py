# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the package database of a zypper host: libzypp writes its process id down, rpm locks a file."""

import os
from typing import Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import package_lock, rpm_database
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: libzypp's zypp_detail::GlobalLock; the file stays behind, empty or with the number of a process that has ended.
ZYPP = "run/zypp.pid"
_POLL_S = 1.0


def holder(root: str) -> Optional[Tuple[str, int]]:
    """Return the file and the process id that hold the package database, or None."""
    pid = _alive(os.path.join(root, ZYPP))
    if pid is not None:
        return "/" + ZYPP, pid
    database = rpm_database.directory(root)
    if database is not None:
        path = os.path.join(database, ".rpm.lock")
        locked = package_lock.holder(path)
        if locked is not None:
            return path, locked
    return None


def wait_until_free(root: str, timeout_s: int, clock: Clock) -> None:
    """Return when nobody holds the package database.

    Raises:
        PatchingError: it is still held after ``timeout_s``; names the holder.
    """
    deadline = clock.monotonic() + timeout_s
    while True:
        held = holder(root)
        if held is None:
            return
        if clock.monotonic() >= deadline:
            path, pid = held
            raise PatchingError(
                path,
                "held by process {} ({}) for longer than {} s".format(pid, package_lock.command_of(pid), timeout_s),
                "a free package database",
                "wait for that process or find out why it hangs; never remove the lock file",
            )
        clock.sleep(_POLL_S)


def _alive(path: str) -> Optional[int]:
    """Return the process that the file names, if it runs and is not this one."""
    try:
        with open(path, encoding="ascii", errors="replace") as handle:
            text = handle.read(32).strip()
    except OSError:
        return None
    if not text.isdecimal() or int(text) in (0, os.getpid()) or not os.path.exists("/proc/" + text):
        return None
    # A number is given again; only what works with packages counts, as for libzypp itself.
    command = package_lock.command_of(int(text))
    return (
        int(text) if any(word in command for word in ("zypp", "Zypp", "packagekit", "PackageKit", "y2base")) else None
    )
