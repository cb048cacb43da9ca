# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether only root can change what root runs, reads and writes by a path."""

import os
import stat
from typing import Container, Iterator, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError


def refuse_foreign(subject: str, path: str, owners: Optional[Container[int]] = None) -> None:
    """Return when every part of ``path`` that is there, links included, is root's and nobody else may replace it.

    A folder that others may write to is none of the software's own, unless it is sticky, as /tmp: there nobody
    replaces what is root's.

    Args:
        subject: whom the path belongs to, for the message.
        path: an absolute path.
        owners: the user ids that count as root; by default root and whoever this runs as.

    Raises:
        PatchingError: naming the part.
    """
    owners = (0, os.geteuid()) if owners is None else owners
    for part in _parts(path):
        try:
            found = os.lstat(part)
        except OSError:
            continue  # not there
        seen = None
        if found.st_uid not in owners:
            seen = "{} belongs to the user with the number {}".format(part, found.st_uid)
        elif not stat.S_ISLNK(found.st_mode) and _others_write(found):
            seen = "others may write to {}".format(part)
        if seen:
            raise PatchingError(
                subject,
                seen,
                "a path that belongs to root and that nobody else can write to",
                "have root own it (chown root, chmod go-w) after looking at what is there, or declare another place",
            )


def _others_write(found: os.stat_result) -> bool:
    if stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX:
        return False
    by_group = found.st_mode & stat.S_IWGRP and found.st_gid not in (0, os.getegid())
    return bool(by_group or found.st_mode & stat.S_IWOTH)


def _parts(path: str) -> Iterator[str]:
    """Give every folder above ``path`` and itself, as its links lead and as it is named."""
    for one in (os.path.realpath(path), os.path.normpath(path)):
        part = os.sep
        yield part
        for name in one.split(os.sep):
            if name:
                part = os.path.join(part, name)
                yield part
