# SPDX-License-Identifier: GPL-3.0-or-later
"""The pieces of a run's work: the night, and what followed in the same ledger after its close, days later perhaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import rollback
from ansible_collections.hospital.patching.plugins.plugin_utils.report.timeline import Part, parts_by_host
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp

Record = Mapping[str, Any]
Parts = dict[str, list[Part]]

NIGHT, CONTINUED, TAKEN_BACK, RETURN = "night", "continued", "taken back", "return"
#: The step of a part that holds what another host's look saw of a host.
SEEN = "seen"
_BEFORE_THE_NIGHT = ("assess", "prioritise", "plan", "stage")


@dataclass
class Work:
    """One piece; the first record of a later one opens it."""

    kind: str
    records: list[Record] = field(default_factory=list)

    @property
    def opened(self) -> Mapping[str, Any]:
        """The detail of the record that opened it."""
        return self.records[0].get("detail") or {}

    @property
    def end(self) -> datetime | None:
        """When it was closed, or when its last record was written if it goes on."""
        done = [record for record in self.records if record["step"] not in _BEFORE_THE_NIGHT]
        closes = [number for number, record in enumerate(done) if _closes(record)]
        if closes and all(record["event"] == "note" for record in done[closes[-1] :][1:]):
            done = done[: closes[-1] + 1]
        return read_stamp(done[-1]["time"]) if done else None


def works_of(records: Sequence[Record], window_end: str | None = None) -> list[Work]:
    """Return the night, up to the run's close, and each piece of work that was begun after it.

    Started again before the window ends, the run goes on with its night.
    """
    found = [Work(NIGHT)]
    closed = False
    for record in records:
        kind = _begins(record) if closed else None
        goes_on = found[-1].kind == NIGHT and window_end is not None and record["time"] <= window_end
        if kind is not None and not (kind == CONTINUED and goes_on):
            found.append(Work(kind))
        found[-1].records.append(record)
        closed = closed or _closes(record)
    return found


def _begins(record: Record) -> str | None:
    if record.get("host") is not None:
        return None
    if (record["step"], record["event"]) == ("gate", "begin"):
        return TAKEN_BACK if (record.get("detail") or {}).get("rollback") else CONTINUED
    return RETURN if (record["step"], record["event"]) == ("return", "note") else None


def _closes(record: Record) -> bool:
    return record.get("host") is None and (record["step"], record["event"]) == ("record", "done")


def closed(works: Sequence[Work]) -> bool:
    """Whether the night was closed."""
    return any(_closes(record) for record in works[0].records)


def parts_of(works: Sequence[Work]) -> Parts:
    """Return every host's parts of all works, each with the number of its work."""
    found: Parts = {}
    for number, work in enumerate(works):
        for host, parts in parts_by_host(work.records).items():
            for part in parts:
                part.work = number
            found.setdefault(host, []).extend(parts)
    return found


def seen_by_others(works: Sequence[Work]) -> Parts:
    """Return what looks from other hosts read of each host's probes, before those were drained."""
    found: Parts = {}
    for number, work in enumerate(works):
        last: dict[str | None, datetime] = {}
        for record in work.records:
            end = read_stamp(record["time"])
            start = last.get(record.get("host"), end)
            last[record.get("host")] = end
            for peer in (record.get("detail") or {}).get("seen") or []:
                part = Part(SEEN, start, end, work=number, details=[{"probes": peer["probes"]}], events=["done"])
                found.setdefault(str(peer["host"]), []).append(part)
    return found


def asked_for(works: Sequence[Work]) -> dict[str, dict[str, Any]]:
    """Return who asked, and why, for the rollback that gave a host its last outcome."""
    found: dict[str, dict[str, Any]] = {}
    for work in works:
        for host in _outcomes(work):
            found.pop(host, None)
            if work.kind == TAKEN_BACK:
                found[host] = _request(work)
    return found


def later_section(works: Sequence[Work], planned: Sequence[str]) -> list[dict[str, Any]]:
    """Return what was done after the night: when, for whom and why, what became of each host, and who was not asked.

    Args:
        planned: the hosts of the plan in its order.
    """
    return [
        {
            "kind": work.kind,
            **_request(work),
            "start": work.records[0]["time"],
            "end": stamp(work.end) if work.end else work.records[0]["time"],
            "hosts": _hosts(work),
            "not_asked": _not_asked(work, planned),
        }
        for work in works[1:]
    ]


def _request(work: Work) -> dict[str, Any]:
    opened = work.opened
    asked = opened.get("rollback") or opened
    by = opened.get("asked_by") or opened.get("started_by")
    return {key: None if value is None else str(value) for key, value in (("by", by), ("reason", asked.get("reason")))}


def _hosts(work: Work) -> list[dict[str, Any]]:
    """Return what became of each host; the ``reason`` says why one that was asked for was left as it was."""
    outcomes = _outcomes(work)
    left = rollback.not_taken_back(work.records) if work.kind == TAKEN_BACK else {}
    return [
        {"host": host, "outcome": outcomes.get(host), "reason": left.get(host)}
        for host in dict.fromkeys([*_asked(work), *outcomes, *left])
    ]


def _asked(work: Work) -> list[str]:
    return [str(host) for host in (work.opened.get("rollback") or work.opened).get("hosts") or []]


def _not_asked(work: Work, planned: Sequence[str]) -> list[str]:
    """Return the hosts that this work did not mean; nobody is asked for when the run itself goes on."""
    if work.kind == CONTINUED or not _asked(work):
        return []
    known = {one["host"] for one in _hosts(work)}
    return [host for host in planned if host not in known]


def _outcomes(work: Work) -> dict[str, str]:
    return {
        str(record["host"]): str(record["detail"]["outcome"])
        for record in work.records
        if record["event"] == "outcome" and record.get("host") is not None
    }
