# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that halt by being there: the freeze file and the stop file of a run; their first line says why."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

#: The name of the freeze file in the evidence directory, unless ``patching_freeze_file`` names another.
FREEZE = "freeze"
#: The most characters of a first line that are shown and recorded.
LONGEST = 200
#: The most bytes that are read of a file.
ENOUGH = 4096
#: The most bytes that tell one file from another.
LARGEST = 1_000_000


def told_by(path: Path) -> str | None:
    """Return what the file at ``path`` tells, or None when there certainly is none.

    A file whose state cannot be determined counts as there: it cannot be read,
    its folder is missing, or it is a link that leads nowhere.
    """
    try:
        line = _first_line(path)
    except FileNotFoundError as error:
        if path.parent.is_dir() and not path.is_symlink():
            return None
        seen = "its folder is missing" if not path.is_symlink() else f"a link that leads nowhere: {error.strerror}"
        return f"{path} cannot be read ({seen}), which counts as there"
    except OSError as error:
        return f"{path} cannot be read ({error.strerror or error}), which counts as there"
    return f"{path} says: {line}" if line else f"{path} is there and gives no reason"


def mark(path: Path) -> str | None:
    """Return what tells this very file from any that is put there later, or None where it cannot be read.

    That is a digest of all its content, and when it was written.
    """
    try:
        # A named pipe is not waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            written = os.fstat(file.fileno())
            if not stat.S_ISREG(written.st_mode):
                return None
            return f"{hashlib.sha256(file.read(LARGEST)).hexdigest()}, written {written.st_mtime_ns}"
    except OSError:
        return None


def _first_line(path: Path) -> str:
    """Return the first line of a file; a named pipe is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        text = os.read(descriptor, ENOUGH).decode("utf-8", errors="replace")
    finally:
        os.close(descriptor)
    return first_line(text)


def first_line(text: str) -> str:
    """Return the first line of a text as it may be shown on a terminal."""
    words = " ".join((text.splitlines() or [""])[0].split())
    return "".join(sign for sign in words if sign.isprintable())[:LONGEST]
