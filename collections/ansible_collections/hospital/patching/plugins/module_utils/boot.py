# SPDX-License-Identifier: GPL-3.0-or-later
"""Which start of this host is this?"""

import os
from datetime import datetime, timedelta, timezone
from typing import Dict

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: Units of the start times in /proc/<pid>/stat. 100 on every Linux that Debian, Red Hat or SUSE build.
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def read_boot(proc: str = "/proc") -> Dict[str, str]:
    """Return ``{"boot_id", "booted"}``: an identity that changes with every start, and when that was.

    Containers share the boot id of their kernel, so the start of their own
    init, in ticks of the kernel's monotonic clock, is part of the identity.

    Raises:
        PatchingError: the kernel's files are missing or unreadable.
    """
    try:
        with open(os.path.join(proc, "sys/kernel/random/boot_id")) as handle:
            kernel = handle.read().strip()
        with open(os.path.join(proc, "1/stat")) as handle:
            # The command, in parentheses, may hold spaces; field 22 counts from before it (proc(5)).
            ticks = int(handle.read().rsplit(")", 1)[1].split()[19])
        with open(os.path.join(proc, "stat")) as handle:
            booted_s = next(int(line.split()[1]) for line in handle if line.startswith("btime "))
    except (OSError, ValueError, IndexError, StopIteration) as error:
        raise PatchingError(
            "the start of this host", str(error) or "not readable", "boot_id, init and btime in /proc", "mount /proc"
        )
    started = datetime.fromtimestamp(booted_s, timezone.utc) + timedelta(seconds=ticks // TICKS_PER_SECOND)
    return {"boot_id": "{}+{}".format(kernel, ticks), "booted": started.strftime("%Y-%m-%dT%H:%M:%SZ")}
