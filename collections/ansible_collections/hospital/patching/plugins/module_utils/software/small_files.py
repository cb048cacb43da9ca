# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the beginning of files that anybody may have written."""

import errno
import os
import stat
from typing import Optional

#: An open for reading that waits for nobody: neither for a pipe's writer nor for the holder of a lease (fcntl(2)).
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
#: Only names a file and opens nothing (open(2)): a device's driver does not notice it.
_NAME = os.O_PATH | os.O_CLOEXEC


def below(root: str, path: str) -> str:
    """Return the host's ``path`` as it is found under ``root``."""
    return os.path.join(root, path.lstrip("/"))


def open_regular(full: str) -> int:
    """Return a descriptor that reads the regular file ``full``, links followed; nothing else is ever opened.

    Whoever may write here can put a link to a device, and some act when they are opened (a watchdog, a tape).

    Raises:
        OSError, ValueError: there is no regular file of that name, or it is not readable.
    """
    named = os.open(full, _NAME)
    try:
        seen = os.fstat(named)
        if not stat.S_ISREG(seen.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", full)
        try:
            return os.open("/proc/self/fd/{}".format(named), _READ)
        except FileNotFoundError:
            return _open_same(full, seen)  # no /proc
    finally:
        os.close(named)


def _open_same(full: str, seen: os.stat_result) -> int:
    descriptor = os.open(os.path.realpath(full), _READ | os.O_NOFOLLOW)
    if os.path.samestat(os.fstat(descriptor), seen):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.ESTALE, "replaced while it was opened", full)


def head(root: str, path: str, limit_bytes: int = 65536) -> Optional[str]:
    """Return at most ``limit_bytes`` of a regular file as text, None where there is none.

    A pipe or device of that name is neither waited for nor opened.
    """
    try:
        with os.fdopen(open_regular(below(root, path)), "rb") as handle:
            return handle.read(limit_bytes).decode("utf-8", "replace")
    except (OSError, ValueError):
        return None
