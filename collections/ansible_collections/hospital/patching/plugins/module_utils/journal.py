# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own append-only record of steps: JSON Lines, one fsynced line a record."""

import fcntl
import json
import os
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.canonical import canonical_json, digest
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import STATE_DIR

SCHEMA = 1
#: Events that open and close a step, that hold and release the host, and that surround a snapshot's revert.
EVENTS = ("begin", "done", "failed", "held", "released", "note", "snapshot_pending", "reverted")
#: The step under which holding and releasing is journalled.
LOCK_STEP = "lock"
#: The step under which a snapshot's beginning and its revert are journalled.
SNAPSHOT_STEP = "snapshot"
#: Staging disrupts nothing and may come at any time: its records do not hide how the journal ends.
STAGE_STEP = "stage"
#: The steps that change packages.
WORK_STEPS = ("install", "rollback")


def lost_tail(records: List[Dict[str, Any]]) -> Optional[List[Dict[str, Any]]]:
    """Return the records after the last ``snapshot_pending``, which a revert would erase; None without one."""
    places = [number for number, record in enumerate(records) if record["event"] == "snapshot_pending"]
    return records[places[-1] + 1 :] if places else None


def tail_digest(records: List[Dict[str, Any]]) -> str:
    """Return the digest of the records that a revert erases, as its ``reverted`` record carries it."""
    return digest(records)


def refuse_unwritable(detail: Dict[str, Any]) -> None:
    """Raise PatchingError when a record cannot carry ``detail``."""
    try:
        canonical_json(detail)
    except TypeError as error:
        raise PatchingError("detail", str(error), "text, whole numbers, lists and mappings", "correct the task")


def begun(state_dir: str, run_id: str) -> Optional[bool]:
    """Return :meth:`Journal.worked`, or None where the journal cannot be read."""
    try:
        return Journal(state_dir).worked(run_id)
    except PatchingError:
        return None


class Journal:
    """The journal under ``state_dir``; nothing is created until the first append."""

    def __init__(self, state_dir: str = STATE_DIR, clock: Optional[Clock] = None) -> None:
        self.path = os.path.join(state_dir, "journal.jsonl")
        self.clock = clock or Clock()

    def read(self) -> List[Dict[str, Any]]:
        """Return all records, oldest first; a torn last line is left out.

        Raises:
            PatchingError: a line before the last is unreadable, or a record
                carries a newer schema than this code knows.
        """
        return [self._parse(line, number) for number, line in enumerate(self._content().split(b"\n")[:-1], 1)]

    def torn(self) -> bool:
        """Return whether the last line was cut off while it was written; the next append drops it."""
        content = self._content()
        return bool(content) and not content.endswith(b"\n")

    def _content(self) -> bytes:
        try:
            with open(self.path, "rb") as handle:
                return handle.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise PatchingError(
                self.path, "cannot be read: {}".format(error), "a readable file", "run as root; look at its disk"
            )

    def _parse(self, line: bytes, number: int) -> Dict[str, Any]:
        try:
            record: Dict[str, Any] = json.loads(line.decode("utf-8"))
            known = record["schema"] <= SCHEMA and record["event"] in EVENTS and isinstance(record["run_id"], str)
        except (ValueError, KeyError, TypeError):
            raise PatchingError(
                "{} line {}".format(self.path, number),
                "not a journal record",
                "one JSON object a line with schema and event",
                "compare it with the run's ledger, which mirrors it, before anything is installed here",
            )
        if not known:
            raise PatchingError(
                "{} line {}".format(self.path, number),
                "schema {} event {}".format(record["schema"], record["event"]),
                "schema up to {} and a known event".format(SCHEMA),
                "use the release that wrote it, or a newer one",
            )
        return record

    def append(self, run_id: str, step: str, event: str, **detail: Any) -> Dict[str, Any]:
        """Append one record, fsync the file and its directory, and return the record."""
        with self._exclusive() as handle:
            return self._write(handle, run_id, step, event, detail)

    def append_unless(
        self,
        there: Callable[[], Optional[Dict[str, Any]]],
        run_id: str,
        step: str,
        event: str,
        detail: Dict[str, Any],
        write: bool = True,
    ) -> Tuple[Optional[Dict[str, Any]], bool]:
        """Append one record unless ``there`` returns one that has the same meaning; return it and whether it is new.

        Looking and writing are one step under one lock. What ``there`` raises
        leaves the journal as it is. With ``write`` false a new record is None.
        """
        found = there()  # first without creating anything on a host that is refused
        if found is not None or not write:
            return found, found is None
        with self._exclusive() as handle:
            found = there()
            if found is not None:
                return found, False
            return self._write(handle, run_id, step, event, detail), True

    @contextmanager
    def _exclusive(self) -> Iterator[Any]:
        """Open the journal for appending; no other process appends, holds or releases meanwhile."""
        directory = os.path.dirname(self.path)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        with open(self.path, "ab+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        # The file itself may be new: only its directory's fsync makes its name survive a power cut.
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _write(self, handle: Any, run_id: str, step: str, event: str, detail: Dict[str, Any]) -> Dict[str, Any]:
        self._drop_torn_line(handle)
        record = {
            "schema": SCHEMA,
            "time": self.clock.stamp(),
            "run_id": run_id,
            "step": step,
            "event": event,
            "detail": detail,
        }
        handle.write(canonical_json(record).encode("utf-8") + b"\n")
        handle.flush()
        os.fsync(handle.fileno())
        return record

    @staticmethod
    def _drop_torn_line(handle: Any) -> None:
        """Cut an unfinished last line, so that the next record starts on its own."""
        handle.seek(0)
        content = handle.read()
        if content and not content.endswith(b"\n"):
            handle.truncate(content.rfind(b"\n") + 1)
        handle.seek(0, os.SEEK_END)

    def subject(self) -> str:
        """Return how messages name this journal's host."""
        return "host {} ({})".format(os.uname().nodename, self.path)

    def holder(self) -> Optional[Dict[str, Any]]:
        """Return the ``held`` record of the run that holds this host, or None."""
        holder = None
        for record in self.read():
            if record["event"] == "held":
                holder = record
            elif record["event"] == "released" and holder and record["run_id"] == holder["run_id"]:
                holder = None
        return holder

    def worked(self, run_id: str) -> bool:
        """Return whether ``run_id`` has begun to change packages since the last snapshot, as far as is journalled."""
        records = self.read()
        tail = lost_tail(records)
        since = records if tail is None else tail
        return any(one["run_id"] == run_id and one.get("step") in WORK_STEPS for one in since)

    def last_pending(self, run_id: str) -> Optional[Dict[str, Any]]:
        """Return the last ``snapshot_pending`` record of ``run_id``, wherever it stands, or None."""
        mine = [one for one in self.read() if one["run_id"] == run_id and one["event"] == "snapshot_pending"]
        return mine[-1] if mine else None

    def pending(self) -> Optional[Dict[str, Any]]:
        """Return the ``snapshot_pending`` record in which the journal ends, or None when it ends otherwise."""
        for record in reversed(self.read()):
            if record.get("step") != STAGE_STEP:
                return record if record["event"] == "snapshot_pending" else None
        return None

    def hold(self, run_id: str, detail: Dict[str, Any], breaks: str = "") -> Tuple[Dict[str, Any], bool]:
        """Hold this host for ``run_id``; return the ``held`` record and whether it is new.

        Looking and writing are one step under one lock, so two runs that come
        at once cannot both hold the host. A hold that a person breaks is handed
        over by one record: at no moment does nobody hold the host.

        Args:
            breaks: the dead run whose hold is handed over, if it is the holder.

        Raises:
            PatchingError: another run holds it, or the journal cannot be read.
        """
        self.refuse_other_holder(run_id, breaks)  # first without creating anything on a host that is refused
        with self._exclusive() as handle:
            self.refuse_other_holder(run_id, breaks)
            holder = self.holder()
            if holder is not None and holder["run_id"] == run_id:
                return holder, False
            if holder is not None:
                detail = dict(detail, breaks=breaks)
            return self._write(handle, run_id, LOCK_STEP, "held", detail), True

    def release(self, run_id: str, detail: Dict[str, Any]) -> bool:
        """Give the host up; return whether ``run_id`` held it until now.

        Raises:
            PatchingError: another run holds it: its hold is not ours to break.
        """
        self.refuse_other_holder(run_id)
        if self.holder() is None:
            return False
        with self._exclusive() as handle:
            self.refuse_other_holder(run_id)
            if self.holder() is None:
                return False
            self._write(handle, run_id, LOCK_STEP, "released", detail)
            return True

    def refuse_other_holder(self, run_id: str, breaks: str = "") -> None:
        """Raise PatchingError when another run than ``run_id`` or ``breaks`` holds this host."""
        holder = self.holder()
        if holder is None or holder["run_id"] in (run_id, breaks):
            return
        controller = holder["detail"].get("controller") or "an unknown controller"
        raise PatchingError(
            self.subject(),
            "held by run {} since {} from {}".format(holder["run_id"], holder["time"], controller),
            "a host that no other run holds",
            "let that run end or resume it from its controller; if it is dead, put this host back by return.yml for it",
        )
