# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are reported lost or stolen.

::

    <evidence dir>/lost/<host>.json     {"host": ..., "records": [...]}, only ever added to

Each record carries the digest of the one before. A file that cannot be read,
or whose records do not follow each other, counts as a mark: nobody may patch
a host because its report is damaged.
"""

from __future__ import annotations

import fcntl
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.canonical import digest
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.installed import text
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp

STATES = ("lost", "stolen")
PATIENT_DATA = ("yes", "no", "unknown")
#: A report from the future is a typing error; clocks of two machines may differ by this much.
AHEAD = timedelta(minutes=5)
#: The most characters of one answer.
LONGEST = 1000


@dataclass(frozen=True)
class Report:
    """One report: that a host is ``lost`` or ``stolen``, or ``found`` again."""

    host: str
    state: str
    reported_by: str
    #: When it was lost or found, as a UTC stamp.
    time: str
    last_seen: str = ""
    patient_data: str = "unknown"
    reason: str = ""


@dataclass(frozen=True)
class Mark:
    """That a host is missing: ``lost``, ``stolen``, or ``unreadable`` when its file is damaged; and the report."""

    state: str
    reason: str
    record: Mapping[str, Any]


def check(report: Report, known: Collection[str], now: datetime) -> Report:
    """Return the report with its texts on one line each.

    Args:
        known: the hosts of the inventory.

    Raises:
        PatchingError: the host is unknown, nobody reports it, the time is no
            stamp or lies ahead, or the reason that ``found`` needs is missing.
    """
    subject = f"the report on {report.host or 'no host'}"
    if report.host not in known:
        raise PatchingError(
            subject, f"the inventory does not know {report.host!r}", "the name of a host of the inventory",
            "look the name up in the inventory; a host that is in none is no part of any plan",
        )  # fmt: skip
    by, why, where = (_line(value) for value in (report.reported_by, report.reason, report.last_seen))
    if not by:
        raise PatchingError(
            subject, "nobody reports it", "the name of the person who reports it", "add -e \"lost_reported_by='…'\""
        )
    if report.state == "found" and not why:
        raise PatchingError(
            subject, "no reason to take the mark back", "who has it now and why it may be trusted",
            'add -e "lost_reason=\'…\'"',
        )  # fmt: skip
    try:
        moment = read_stamp(report.time)
    except PatchingError as error:
        raise PatchingError(
            subject, f"the time {report.time!r}", error.expected, "write the time in UTC, with its Z"
        ) from error
    if moment > now + AHEAD:
        raise PatchingError(
            subject, f"the time {report.time}, which lies ahead", f"one before {stamp(now)}", "correct the time"
        )
    return Report(report.host, report.state, by, report.time, where, report.patient_data, why)


def record(root: Path, report: Report, recorded_by: str, now: datetime, check_only: bool = False) -> bool:
    """Add a checked report to the host's file; return whether that changed anything.

    The same report again changes nothing, and neither does ``found`` for a
    host that is not marked.

    Raises:
        PatchingError: the file is damaged (the report is not recorded over it), it cannot be written, or the
            host would be found before it was lost.
    """
    if check_only:
        return _is_new(_read(root, report.host), report)
    with _alone(root, report.host):
        records = _read(root, report.host)
        if not _is_new(records, report):
            return False
        added: dict[str, Any] = {
            "state": report.state,
            "reported_by": report.reported_by,
            "time": report.time,
            "last_seen": report.last_seen,
            "patient_data": report.patient_data,
            "reason": report.reason,
            "recorded_by": recorded_by,
            "recorded": stamp(now),
            "previous": digest(records[-1]) if records else None,
        }
        evidence.write_json(path_of(root, report.host), {"host": report.host, "records": [*records, added]})
    return True


def mark(root: Path, host: str) -> Mark | None:
    """Return the mark of a host, or None when it certainly has none."""
    try:
        records = _read(root, host)
    except PatchingError as error:
        return Mark("unreadable", f"its report of a lost host cannot be read, which counts as one: {error.seen}", {})
    if not records or records[-1]["state"] not in STATES:
        return None
    last = records[-1]
    where = f", last seen {last['last_seen']}" if last.get("last_seen") else ""
    reason = f"reported {last['state']} by {last['reported_by']} at {last['time']}{where}"
    return Mark(str(last["state"]), reason, last)


def require_not_missing(root: Path, host: str) -> None:
    """Refuse a connection to a host that is marked: a stolen machine is handed no password.

    Raises:
        PatchingError: it is marked.
    """
    missing = mark(root, host)
    if missing is not None:
        raise PatchingError(
            f"host {host}",
            missing.reason,
            "a host that nobody misses",
            "it is not connected to; once it is back and looked at, report it found with lost.yml",
        )


def path_of(root: Path, host: str) -> Path:
    """Return the host's file; a name that would leave its folder is refused."""
    return evidence.Evidence(root).lost_path(host)


def _is_new(records: list[dict[str, Any]], report: Report) -> bool:
    last = records[-1] if records else None
    if report.state == "found" and last is not None and last["state"] in STATES and report.time < last["time"]:
        raise PatchingError(
            f"the report on {report.host}",
            f"found at {report.time}, before it was reported {last['state']} at {last['time']}",
            "a time after that report",
            "correct the time; until then the host stays out of every plan",
        )
    if last is None or (last["state"] == "found" and report.state == "found"):
        return report.state != "found"
    told = ("state", "reported_by", "time", "last_seen", "patient_data", "reason")
    return any(last.get(key) != getattr(report, key) for key in told)


def _read(root: Path, host: str) -> list[dict[str, Any]]:
    path = path_of(root, host)
    if not path.exists() and not path.is_symlink():
        return []
    document = evidence.read_json(path)
    records = document.get("records") if isinstance(document, dict) else None
    if not isinstance(records, list) or not records or document.get("host") != host:
        raise _damaged(path, "it is no report on this host")
    before = None
    for number, entry in enumerate(records, 1):
        if not isinstance(entry, dict) or entry.get("state") not in (*STATES, "found"):
            raise _damaged(path, f"record {number} is none")
        if entry.get("previous") != before:
            raise _damaged(path, f"record {number} does not follow the one before")
        try:
            before = digest(entry)
        except (TypeError, ValueError) as error:
            raise _damaged(path, f"record {number} is none: {error}") from error
    return records


def _damaged(path: Path, seen: str) -> PatchingError:
    return PatchingError(
        str(path), seen, "records that follow each other, as lost.yml writes them",
        "restore the file from a copy; until then the host stays out of every plan",
    )  # fmt: skip


@contextmanager
def _alone(root: Path, host: str) -> Iterator[None]:
    """Keep two reports on one host from overwriting each other."""
    path = path_of(root, host).with_suffix(".lock")
    path = path.with_name(f".{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise PatchingError(
            str(path), str(error), "a directory that can be written", "make room, or correct patching_evidence_dir"
        ) from error


def _line(value: str) -> str:
    return (text(value) or "")[:LONGEST]
