# SPDX-License-Identifier: GPL-3.0-or-later
"""A private directory under /var/tmp for metadata and answers, removed afterwards."""

import contextlib
import errno
import glob
import os
import re
import shutil
import tempfile
import time
from types import TracebackType
from typing import Iterator, List, Optional, Sequence, Type

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: A private directory older than this was left by a call that was killed.
ABANDONED_S = 86400
#: A cache that is larger is not copied: fetching the few files that are needed is cheaper.
MAX_SEED_BYTES = 500 * 1024 * 1024


#: In the words of libc, of dnf and of curl (error 23); apt and zypper hand on those of libc.
_FULL = re.compile("No space left on device|Disk quota exceeded|[Nn]ot enough (free )?space|Failed writing")


def no_room(base: str, seen: str) -> PatchingError:
    """Return the error of a directory ``base`` that cannot be written."""
    return PatchingError(
        base, seen, "a directory with free space", "make room there, then run again; nothing was changed"
    )


@contextlib.contextmanager
def room(root: str) -> Iterator[None]:
    """Raise what a full /var/tmp leads to as its error, whoever saw it: a package manager blames a repository."""
    base = os.path.join(root, "var/tmp")
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_room(base, str(error))
        raise
    except PatchingError as error:
        if _FULL.search(error.seen):
            raise no_room(base, error.seen)
        raise


class PrivateDirectory:
    """A context manager; only its owner may enter the directory."""

    def __init__(self, root: str, prefix: str) -> None:
        self.base = os.path.join(root, "var/tmp")
        self.prefix = prefix
        self.path = ""

    def __enter__(self) -> "PrivateDirectory":
        self._remove_abandoned()
        try:
            self.path = tempfile.mkdtemp(prefix=self.prefix, dir=self.base)
        except OSError as error:
            raise no_room(self.base, str(error))
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def folder(self, name: str) -> str:
        """Make a folder in the directory, and return its path."""
        path = os.path.join(self.path, name)
        os.makedirs(path)
        return path

    def _remove_abandoned(self) -> None:
        for path in glob.glob(os.path.join(self.base, self.prefix + "*")):
            try:
                status = os.lstat(path)
            except OSError:
                continue
            mine = status.st_uid == os.getuid() and not os.path.islink(path)
            if mine and time.time() - status.st_mtime > ABANDONED_S:
                shutil.rmtree(path, ignore_errors=True)


def seed(source: str, patterns: Sequence[str], target: str) -> None:
    """Copy what exists of ``source`` with its times; what cannot be copied is simply fetched."""
    found: List[str] = []
    for pattern in patterns:
        found += glob.glob(os.path.join(source, pattern))
    if sum(_size(path) for path in found) > MAX_SEED_BYTES:
        return
    for path in found:
        to = os.path.join(target, os.path.relpath(path, source))
        try:
            if os.path.isdir(path):
                shutil.copytree(path, to)
            else:
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copy2(path, to)
        except (OSError, shutil.Error):
            continue


def _size(path: str) -> int:
    """Return the bytes of a file, or of the files below a folder."""
    paths = [path]
    if os.path.isdir(path):
        paths = [os.path.join(folder, name) for folder, _folders, names in os.walk(path) for name in names]
    return sum(os.path.getsize(each) for each in paths if os.path.isfile(each))
