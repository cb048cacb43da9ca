# SPDX-License-Identifier: GPL-3.0-or-later
"""A private directory under /var/tmp for metadata and answers, removed afterwards."""

import glob
import os
import shutil
import tempfile
import time
from types import TracebackType
from typing import List, Optional, Sequence, Type

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: A private directory older than this was left by a call that was killed.
ABANDONED_S = 86400
#: A cache that is larger is not copied: fetching the few files that are needed is cheaper.
MAX_SEED_BYTES = 500 * 1024 * 1024


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
            raise PatchingError(self.base, str(error), "a directory with free space", "make room there, then run again")
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
