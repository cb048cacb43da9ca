# SPDX-License-Identifier: GPL-3.0-or-later
"""Which subvolumes are the project's: one folder a set on the top level, with a record that names their UUIDs.

A set is a restore point, or what a revert has set aside. Its folder's name holds a random number that was recorded
before its subvolumes were made, so that what a killed call left can be told from anybody else's.

``making.json``     being made; of a killed call it is what was meant to be
``switching.json``  a revert that has begun to exchange subvolumes: it can only be finished
``set.json``        whole
"""

import contextlib
import json
import os
import stat
import uuid
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs_text import Shown
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs_volume import TopLevel

#: Files by state; where two are there, the first holds.
FILES = (("whole", "set.json"), ("switching", "switching.json"), ("making", "making.json"))
RESTORE_POINT, SET_ASIDE = "restore_point", "set_aside"
#: Allocated with each restore point for the record of its revert: a patch may have filled the file system by then.
RESERVE, RESERVE_BYTES = "reserve", 16384

#: ``record``: kind, run_id, host, reason, created, expires, subvolumes; the last each with mount, path and uuid, and
#: with source_uuid (of a restore point), or snapshot, mounts, at_reboot and was_default (set aside, which has of and
#: of_set as well: id and folder of its restore point).
Set = NamedTuple("Set", [("name", str), ("state", str), ("record", Dict[str, Any])])


class Sets:
    """The folder of one file system in which snapshots are kept."""

    def __init__(self, top: TopLevel, folder: str) -> None:
        self.top = top
        self.folder = folder

    def path(self, name: str, number: Optional[int] = None) -> str:
        """Return the path of a set, or of its subvolume ``number``, from the top level."""
        return "/".join([self.folder, name] + ([] if number is None else [str(number)]))

    def all(self) -> List[Set]:
        """Return the sets, the oldest first.

        Raises:
            PatchingError: the folder is not root's alone, or a record cannot be read.
        """
        place = self.top.full(self.folder)
        if not os.path.lexists(place):
            return []
        self._require_private(place)
        found = [self._read(name) for name in os.listdir(place) if os.path.isdir(os.path.join(place, name))]
        return sorted((one for one in found if one), key=lambda one: (one.record["created"], one.name))

    def begin(self, record: Dict[str, Any], reserve: Optional[str] = None) -> Set:
        """Record what is about to be made, and return its set.

        ``reserve`` is the restore point whose reserve may be written to where no other room is left.
        """
        place = self.top.full(self.folder)
        with _said(place):
            os.makedirs(place, mode=0o700, exist_ok=True)
        self._require_private(place)
        name = "{}-{}".format("".join(c if c.isalnum() else "-" for c in record["run_id"])[:60], uuid.uuid4().hex)
        with _said(place):
            os.mkdir(self._file(name), 0o700)
            try:
                kept = self._file(reserve, RESERVE) if reserve else ""
                if os.path.isfile(kept) and len(json.dumps(record)) < RESERVE_BYTES:
                    os.rename(kept, self._file(name, "making.json"))
                    self._overwrite(name, record)
                else:
                    self._write(name, "making.json", record)
            except OSError:
                self._forget(name)
                raise
        return Set(name, "making", record)

    def finish(self, one: Set, record: Dict[str, Any]) -> Set:
        """Record a restore point as whole, with its reserve."""
        with _said(self._file(one.name)):
            self._allocate(one.name)
            self._write(one.name, "set.json", record)
            os.unlink(self._file(one.name, "making.json"))
        return Set(one.name, "whole", record)

    def advance(self, one: Set, state: str) -> Set:
        """Give it another state, by a name alone: that needs no room."""
        files = dict(FILES)
        with _said(self._file(one.name)):
            os.rename(
                self._file(one.name, next(name for was, name in FILES if was == one.state)),
                self._file(one.name, files[state]),
            )
            self._settle(one.name)
        return Set(one.name, state, one.record)

    def forget(self, one: Set) -> None:
        """Remove the record, and the folder unless somebody has put something there."""
        with _said(self._file(one.name)):
            self._forget(one.name)

    def sweep(self) -> None:
        """Remove the folders of calls that were killed before they recorded anything."""
        place = self.top.full(self.folder)
        for name in os.listdir(place) if os.path.isdir(place) else []:
            with contextlib.suppress(OSError):
                if self._read(name) is None:
                    self._forget(name)

    def place(self, one: Set, number: int) -> Optional[str]:
        """Return where subvolume ``number`` of a set was made, or None where it was not."""
        return self.path(one.name, number)

    def make(self, one: Set, number: int) -> None:
        """Make the read-only snapshot ``number`` of a restore point."""
        self.top.snapshot(one.record["subvolumes"][number]["path"], self.path(one.name, number), read_only=True)

    def require_removable(self, one: Set, number: int, place: str) -> None:
        """Refuse to delete what others have a say in; of what lies in our own folder nobody has.

        Raises:
            PatchingError: it is not shown to be ours alone.
        """

    def remove(self, one: Set, number: int, place: str) -> None:
        """Delete subvolume ``number`` of a set, which is at ``place``."""
        self.top.delete(place)

    def subvolume(self, one: Set, number: int) -> Optional[Shown]:
        """Return the subvolume of a set that was being made, if it is the one that was meant."""
        entry, place = one.record["subvolumes"][number], self.place(one, number)
        shown = self.top.at(place) if place else None
        restore = one.record["kind"] == RESTORE_POINT
        parent = entry["source_uuid"] if restore else entry["snapshot"]
        if shown is None or shown.parent_uuid != parent or shown.read_only != restore:
            return None
        return None if not restore and shown.uuid == entry["uuid"] else shown

    def undo(self, one: Set) -> None:
        """Remove what a call that failed or was killed has made of a set."""
        for number in range(len(one.record["subvolumes"])):
            place = self.place(one, number)
            if place is not None and self.subvolume(one, number) is not None:
                self.remove(one, number, place)
        self.forget(one)
        if one.record["kind"] == SET_ASIDE:
            # Its record lay in the restore point's reserve, which the next try may need as well.
            self.top.sync()
            with contextlib.suppress(OSError):
                self._allocate(one.record["of_set"])

    def _read(self, name: str) -> Optional[Set]:
        for state, file in FILES:
            path = self._file(name, file)
            if not os.path.exists(path):
                continue
            try:
                record = _load(path)
            except (OSError, ValueError) as error:
                if state == "making":
                    return None  # killed before it was written; nothing had been made
                raise PatchingError(
                    "record {}".format(self.path(name)),
                    "it cannot be read: {}".format(error),
                    "the JSON that was written with the snapshots",
                    "mount the file system's top level (subvolid=5), look at that folder, and remove it by hand",
                )
            return Set(name, state, record)
        return None

    def _require_private(self, place: str) -> None:
        found = os.lstat(place)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PatchingError(
                "folder {}".format(self.folder),
                "mode {:o} of user {}".format(found.st_mode, found.st_uid),
                "a folder on the file system's top level that only root may write to",
                "give another folder in patching_snapshot, or correct this one's owner and mode",
            )

    def _file(self, name: str, *parts: str) -> str:
        return os.path.join(self.top.full(self.folder), name, *parts)

    def _write(self, name: str, file: str, record: Dict[str, Any]) -> None:
        path = self._file(name, file)
        with open(path + ".new", "w", encoding="utf-8") as handle:
            json.dump(record, handle, indent=1, sort_keys=True)
            handle.flush()
            os.fsync(handle.fileno())
        os.rename(path + ".new", path)
        self._settle(name)

    def _overwrite(self, name: str, record: Dict[str, Any]) -> None:
        """Write into what was allocated, to its very end: no block more is needed."""
        handle = os.open(self._file(name, "making.json"), os.O_WRONLY)
        try:
            os.pwrite(handle, json.dumps(record).encode("utf-8").ljust(RESERVE_BYTES), 0)
            os.fsync(handle)
        finally:
            os.close(handle)
        self._settle(name)

    def _allocate(self, name: str) -> None:
        handle = os.open(self._file(name, RESERVE), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.posix_fallocate(handle, 0, RESERVE_BYTES)
            os.fsync(handle)
        finally:
            os.close(handle)

    def _settle(self, name: str) -> None:
        handle = os.open(self._file(name), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _forget(self, name: str) -> None:
        files = [file for _state, file in FILES]
        for file in files + [file + ".new" for file in files] + [RESERVE]:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._file(name, file))
        with contextlib.suppress(OSError):
            os.rmdir(self._file(name))


def _load(path: str) -> Dict[str, Any]:
    with open(path, encoding="utf-8") as handle:
        record = json.load(handle)
    wanted = ("kind", "run_id", "host", "reason", "created", "expires")
    if not isinstance(record, dict) or not all(isinstance(record.get(key), str) for key in wanted):
        raise ValueError("a field is missing")
    if not isinstance(record.get("subvolumes"), list) or not record["subvolumes"]:
        raise ValueError("no subvolumes")
    return record


@contextlib.contextmanager
def _said(place: str) -> Iterator[None]:
    """An error of the file system is said as one."""
    try:
        yield
    except OSError as error:
        raise PatchingError(
            place, str(error), "a folder on the file system's top level that can be written", "make room there"
        )
