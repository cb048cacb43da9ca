# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the beginning of files that anybody may have written."""

import os
import stat
from typing import Optional


def below(root: str, path: str) -> str:
    """Return the host's ``path`` as it is found under ``root``."""
    return os.path.join(root, path.lstrip("/"))


def head(root: str, path: str, limit_bytes: int = 65536) -> Optional[str]:
    """Return at most ``limit_bytes`` of a regular file as text, None where there is none.

    A pipe or device of that name is never waited for.
    """
    try:
        descriptor = os.open(below(root, path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    with os.fdopen(descriptor, "rb") as handle:
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return handle.read(limit_bytes).decode("utf-8", "replace")
        except OSError:
            return None
