# SPDX-License-Identifier: GPL-3.0-or-later
"""The run's hash-chained evidence: JSON Lines, one fsynced line a record.

Each record carries the hash of the one before, so a changed, dropped or
reordered record is detected by anyone with SHA-256. Records cut off at the end
are detected against a head that was kept elsewhere.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ansible_collections.hospital.patching.plugins.module_utils.canonical import canonical_json, digest
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import schema

SCHEMA = 1
TORN = "the last line is torn"
GENESIS = "sha256:" + "0" * 64

Record = dict[str, Any]


@dataclass(frozen=True)
class Head:
    """How many records there are, and the hash of the last."""

    count: int
    hash: str


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a ledger; ``line`` counts from 1."""

    line: int
    problem: str


class Ledger:
    """The ledger in ``path``; nothing is created until the first append."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self.path = path
        self.clock = clock or Clock()

    def append(
        self,
        run_id: str,
        step: str,
        event: str,
        host: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> Record:
        """Append one record behind the last, whoever wrote that, and return it.

        Raises:
            PatchingError: the record does not fit the contract, the last one is
                damaged, or the file cannot be written.
        """
        with self._locked() as handle:
            dropped, last = self._end(handle)
            if dropped:
                # A torn line was never acknowledged: it is cut, and the cut is on record.
                note = self._record(last, run_id, "record", "note", None, {"torn_line_bytes": dropped})
                self._write(handle, note)
                last = Head(note["seq"], note["hash"])
            record = self._record(last, run_id, step, event, host, dict(detail or {}))
            self._write(handle, record)
        return record

    def _record(
        self, last: Head, run_id: str, step: str, event: str, host: str | None, detail: Mapping[str, Any]
    ) -> Record:
        record: Record = {
            "schema": SCHEMA,
            "seq": last.count + 1,
            "time": self.clock.stamp(),
            "run_id": run_id,
            "host": host,
            "step": step,
            "event": event,
            "detail": dict(detail),
            "previous": last.hash,
        }
        try:
            record["hash"] = digest(record)
        except TypeError as error:
            raise PatchingError(
                f"a {step} record of {host or 'the run'}",
                str(error),
                "text, whole numbers, lists and mappings",
                "correct the step that reports it",
            ) from error
        schema.validate("ledger_record", record, f"a {step} record of {host or 'the run'}")
        return record

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not self.path.exists()
            with self.path.open("ab+") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            if is_new:
                sync_directory(self.path.parent)
        except OSError as error:
            raise PatchingError(
                str(self.path),
                str(error),
                "a ledger that can be written",
                "make room or correct the permissions; without evidence nothing more is done",
            ) from error

    def _end(self, handle: IO[bytes]) -> tuple[int, Head]:
        """Return the bytes of a torn last line, cut off, and the head; reads only the file's end."""
        content = _tail(handle)
        keep = content.rfind(b"\n") + 1
        dropped = len(content) - keep
        if dropped:
            handle.truncate(handle.seek(0, os.SEEK_END) - dropped)
        lines = content[:keep].splitlines()
        if not lines:
            return dropped, Head(0, GENESIS)
        problem, record = _read_line(lines[-1])
        if record is None or problem:
            raise PatchingError(
                f"the last record of {self.path}",
                str(problem),
                "a record of the ledger",
                "keep the file as it is, find out who changed it, and begin a new run",
            )
        return dropped, Head(record["seq"], record["hash"])

    @staticmethod
    def _write(handle: IO[bytes], record: Record) -> None:
        handle.seek(0, os.SEEK_END)
        handle.write(canonical_json(record).encode() + b"\n")

    def read(self) -> list[Record]:
        """Return all records, oldest first; a torn last line is left out.

        Raises:
            PatchingError: a line before it is no record, or was changed.
        """
        records = []
        for number, line in enumerate(_lines(self.path), 1):
            problem, record = _read_line(line)
            if record is None or problem:
                raise _damaged(f"{self.path} line {number}", str(problem))
            records.append(record)
        return records

    def last(self) -> Record | None:
        """Return the last whole record, of which only the file's end is read; None when there is none.

        Raises:
            PatchingError: it is no record, was changed, or cannot be read.
        """
        try:
            with self.path.open("rb") as handle:
                content = _tail(handle)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(self.path, error) from error
        lines = content[: content.rfind(b"\n") + 1].splitlines()
        if not lines:
            return None
        problem, record = _read_line(lines[-1])
        if record is None or problem:
            raise _damaged(f"the last record of {self.path}", str(problem))
        return record

    def head(self) -> Head:
        """Return the count and the last hash, to be kept where this machine cannot change it."""
        records = self.read()
        return Head(len(records), records[-1]["hash"]) if records else Head(0, GENESIS)


def _tail(handle: IO[bytes]) -> bytes:
    """Return the end of the file with at least one whole line, or all of it."""
    size = handle.seek(0, os.SEEK_END)
    span = 8192
    while True:
        start = max(0, size - span)
        handle.seek(start)
        content = handle.read()
        if start == 0:
            return content
        first_break = content.find(b"\n")
        if 0 <= first_break < content.rfind(b"\n"):
            return content[first_break + 1 :]
        span *= 4


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> PatchingError:
    return PatchingError(str(path), str(error), "a readable ledger", "correct the permissions")


def _damaged(subject: str, problem: str) -> PatchingError:
    return PatchingError(
        subject,
        problem,
        "a record whose hash fits its content",
        "keep the file as it is and find out who changed it; a run is not continued on it",
    )


def _read_line(line: bytes) -> tuple[str | None, Record | None]:
    """Return what is wrong with a line, and its record unless it is none at all."""
    try:
        record = json.loads(line)
        schema.validate("ledger_record", record, "the record")
    except (ValueError, PatchingError) as error:
        return f"it is no ledger record: {error}", None
    body = {key: value for key, value in record.items() if key != "hash"}
    try:
        fits = digest(body) == record["hash"]
        # A key that is written twice is read as its last value, but whoever greps finds the first too.
        as_written = line == canonical_json(record).encode()
    except (TypeError, ValueError):
        fits = as_written = False
    if not fits:
        return "its content does not fit its hash, so it was changed", record
    return (None if as_written else "it is not written as the ledger writes it, so it was changed"), record


def records_of(path: Path) -> list[Record | None]:
    """Return the record of every whole line, changed or not; None for a line that is none."""
    return [_read_line(line)[1] for line in _lines(path)]


def verify(path: Path, head: Head | None = None) -> list[Finding]:
    """Return what is wrong with the ledger; an empty list when nothing is.

    Args:
        head: count and last hash as they were kept elsewhere; without them,
            records missing from the end cannot be noticed.
    """
    findings: list[Finding] = []
    lines = _lines(path)
    previous = Head(0, GENESIS)
    for number, line in enumerate(lines, 1):
        problem, record = _read_line(line)
        if problem:
            findings.append(Finding(number, problem))
        if record is None:
            previous = Head(previous.count + 1, "")
            continue
        if record["seq"] != previous.count + 1:
            seen = f"record {record['seq']} follows record {previous.count}"
            findings.append(Finding(number, f"{seen}: one was dropped, added or moved"))
        elif record["previous"] != previous.hash and previous.hash:
            findings.append(Finding(number, "it does not carry the hash of the record before"))
        previous = Head(record["seq"], record["hash"])
    if path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size:
        findings.append(Finding(len(lines) + 1, TORN))
    return findings + _against(head, previous, len(lines))


def _against(head: Head | None, found: Head, lines: int) -> list[Finding]:
    if head is None or (head.count == lines and head.hash == found.hash):
        return []
    if lines < head.count:
        return [Finding(lines + 1, f"{head.count} records were sealed, {lines} are left: the end was cut off")]
    return [Finding(lines, f"record {head.count} was sealed as the last with {head.hash}; the file ends otherwise")]


def sync_directory(folder: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
