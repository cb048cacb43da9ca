# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a daemon runs, without connecting to it: that would start one that its socket activates (systemd.socket(5)).

Told by /proc (proc(5)): a process of root with the daemon's name, in this
host's own process namespace and not in a container's.
"""

import os
from typing import Sequence

from ansible_collections.hospital.patching.plugins.module_utils.software.small_files import below


def runs(root: str, *names: str) -> bool:
    """Return whether a process with one of ``names`` (at most 15 characters, as the kernel keeps them) runs."""
    proc = below(root, "proc")
    own = _namespace(proc, "self")
    try:
        entries = os.listdir(proc)
    except OSError:
        return False
    return any(entry.isdigit() and _is_one(proc, entry, names) and _namespace(proc, entry) == own for entry in entries)


def _is_one(proc: str, entry: str, names: Sequence[str]) -> bool:
    directory = os.path.join(proc, entry)
    try:
        with open(os.path.join(directory, "comm"), "rb") as handle:
            name = handle.read(64).decode("utf-8", "replace").rstrip("\n")
        return name in names and os.stat(directory).st_uid == 0
    except OSError:
        return False  # it has ended


def _namespace(proc: str, entry: str) -> str:
    try:
        return os.readlink(os.path.join(proc, entry, "ns/pid"))
    except OSError:
        return ""
