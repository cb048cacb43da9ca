# SPDX-License-Identifier: GPL-3.0-or-later
"""The night as parts of each host's journey, read from the ledger's records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp

#: The parts that are drawn, in the journey's order. Staging may have happened days before and is not among them.
NIGHT = ("gate", "lock", "health_before", "drain", "snapshot", "install", "restart", "verify", "rollback", "return")
#: What lasts but is no part of a host's journey.
UNTIMED = frozenset({"record"})
ROLLBACK_MODULES = ("update_rollback", "host_snapshot_rollback")


@dataclass
class Part:
    """Neighbouring records of one step of one host, taken together."""

    step: str
    start: datetime
    end: datetime
    took_ms: int | None = None
    #: Which piece of the run's work it belongs to; 0 is the night.
    work: int = 0
    details: list[dict[str, Any]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    @property
    def closed(self) -> bool:
        """Whether an end of the step was recorded."""
        return any(event != "begin" for event in self.events)

    @property
    def detail(self) -> dict[str, Any]:
        """All records' details as one: later values win, lists are joined."""
        return merged(self.details)

    @property
    def status(self) -> str:
        """Return ``done``, ``failed``, ``refused``, ``inconclusive`` or ``running``."""
        for event in ("failed", "refused"):
            if event in self.events:
                return event
        if not self.closed:
            return "running"
        verdict = self.detail.get("verdict")
        return str(verdict) if verdict in ("failed", "inconclusive") else "done"

    @property
    def length_ms(self) -> int:
        """What the work took; without a measurement the time between first and last record."""
        if self.took_ms is not None:
            return self.took_ms
        return _ms(self.end - self.start)

    def to_json(self) -> dict[str, Any]:
        """Return the part as the report carries it."""
        return {
            "step": self.step,
            "start": stamp(self.start),
            "end": stamp(self.end),
            "took_ms": self.length_ms if self.closed else None,
            "status": self.status,
        }


def merged(details: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one detail for several records of one step: lists are joined, of the rest the last one wins."""
    whole: dict[str, Any] = {}
    for detail in details:
        for key, value in detail.items():
            if isinstance(value, list) and isinstance(whole.get(key), list):
                whole[key] = whole[key] + value
            elif value is not None or key not in whole:
                whole[key] = value
    return whole


def parts_by_host(records: Iterable[Mapping[str, Any]]) -> dict[str, list[Part]]:
    """Return every host's parts in the order in which they happened.

    Records of one step that follow each other make one part; a step that is
    begun again, after a rollback or by a resumed run, makes a new one. The
    start is the ``begin`` record's time or, where there is none, the time of
    the record less its ``took_ms``.
    """
    found: dict[str, list[Part]] = {}
    for record in records:
        host = record.get("host")
        if host is None or record["event"] in ("note", "outcome") or record["step"] in UNTIMED:
            continue
        _add(found.setdefault(host, []), record)
    return found


def _add(parts: list[Part], record: Mapping[str, Any]) -> None:
    detail = dict(record.get("detail") or {})
    event = record["event"]
    end = read_stamp(record["time"])
    took_ms = detail.get("took_ms")
    start = end - timedelta(milliseconds=took_ms or 0)
    step = _step(record["step"], detail)
    last = parts[-1] if parts else None
    if last is not None and event != "begin" and not last.closed and record["step"] == last.step:
        # Only the closing record names the module that says a step was in fact a rollback.
        last.step = step
    if last is None or last.step != step or (event == "begin" and last.closed):
        last = Part(step, start, end)
        parts.append(last)
    last.start = min(last.start, start)
    last.end = max(last.end, end)
    if took_ms is not None:
        last.took_ms = (last.took_ms or 0) + took_ms
    last.details.append(detail)
    last.events.append(event)


def _step(step: str, detail: Mapping[str, Any]) -> str:
    module = str(detail.get("module") or "")
    return "rollback" if module.rpartition(".")[2] in ROLLBACK_MODULES else step


def seconds_by_step(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """Return ``{"step", "took_ms", "status"}`` for each step, a repeated step summed; its last status counts."""
    found: dict[str, dict[str, Any]] = {}
    for part in parts:
        row = found.setdefault(part.step, {"step": part.step, "took_ms": None, "status": part.status})
        row["status"] = part.status
        if part.closed:
            row["took_ms"] = (row["took_ms"] or 0) + part.length_ms
    return list(found.values())


def night(parts: Iterable[Part]) -> list[Part]:
    """Return the parts that belong to the night's timeline."""
    return [part for part in parts if part.step in NIGHT and part.work == 0]


def bounds(parts: Iterable[Part]) -> tuple[datetime, datetime] | None:
    """Return when the first of the parts began and the last one ended."""
    everything = list(parts)
    if not everything:
        return None
    return min(part.start for part in everything), max(part.end for part in everything)


@dataclass(frozen=True)
class Absence:
    """From when to when a host was out; ``end`` is None while it is not returned.

    It is not ``sure`` when the drain failed: users may have been sent to the host all the same.
    """

    start: datetime
    end: datetime | None
    sure: bool = True


def absences(parts: Sequence[Part]) -> list[Absence]:
    """Return each time that the host was drained, to its next return; empty when it never was."""
    found: list[Absence] = []
    since: datetime | None = None
    sure = False
    for part in parts:
        if part.step == "drain" and _drained(part):
            since = since or part.start
            sure = sure or part.status == "done"
        elif part.step == "return" and part.status == "done" and since is not None:
            found.append(Absence(since, part.end, sure))
            since, sure = None, False
    return found if since is None else [*found, Absence(since, None, sure)]


def _drained(part: Part) -> bool:
    return part.detail.get("type") != "none" and part.status != "refused"


def most_at_once(absences: Iterable[Absence]) -> int:
    """Return how many of the absences overlapped at most."""
    edges: list[tuple[datetime, int]] = []
    for one in absences:
        edges.append((one.start, 1))
        if one.end is not None:
            edges.append((one.end, -1))
    most = now = 0
    # A host that leaves in the very second in which another returns does not overlap it.
    for _moment, change in sorted(edges):
        now += change
        most = max(most, now)
    return most


def milliseconds(one: Absence, until: datetime | None) -> int | None:
    """Return how long an absence lasted, an open one counted ``until`` the run's end."""
    end = one.end or until
    return None if end is None else _ms(end - one.start)


def _ms(span: timedelta) -> int:
    return max(0, span // timedelta(milliseconds=1))
