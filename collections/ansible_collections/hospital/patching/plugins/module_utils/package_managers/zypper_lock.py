# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the package database of a zypper host: libzypp writes its process id down, rpm locks a file."""

import os
from typing import List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import package_lock

#: libzypp's zypp_detail::GlobalLock; the file stays behind, empty or with the number of a process that has ended.
ZYPP = "run/zypp.pid"


def holders(root: str) -> List[Tuple[str, int]]:
    """Return (lock, process) for each lock of zypper and rpm that is held."""
    pid = _alive(os.path.join(root, ZYPP))
    return ([] if pid is None else [(ZYPP, pid)]) + package_lock.rpm_holders(root)


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
