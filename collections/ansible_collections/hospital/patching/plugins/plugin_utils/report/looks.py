# SPDX-License-Identifier: GPL-3.0-or-later
"""When a host's probes were read, and when they were seen not to be ok."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.report.timeline import Absence, Part
from ansible_collections.hospital.patching.plugins.plugin_utils.report.works import SEEN
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp

#: Stamps are cut to whole seconds: what they name lies at most this much later.
CUT = timedelta(seconds=1)


@dataclass(frozen=True)
class Look:
    """One reading of all probes that count: it lies between ``since`` and ``until``."""

    ok: bool
    since: datetime
    until: datetime
    not_ok: Absence | None


def probes_that_count(entry: Mapping[str, Any]) -> list[str]:
    """Return the names of the probes that stand for users, of a host's entry in the plan.

    Those that are read from where users are; where there is none, all that the
    site has named; where there is none either, nothing: every probe counts.
    """
    named = entry.get("probes") or []
    users = [probe for probe in named if probe.get("vantage") == "controller"]
    return [str(probe["name"]) for probe in users or named]


def look(part: Part, names: Collection[str]) -> Look | None:
    """Return what a part of the journey read of the named probes, of all when none is named."""
    if part.step not in ("health_before", "verify", SEEN):
        return None
    if part.step == SEEN:
        names = ()  # only the probes of users are read then
    # Read again within the same step, the last reading counts.
    readings = {one.get("name"): one for one in part.detail.get("probes") or [] if isinstance(one, Mapping)}
    counted = [reading for name, reading in readings.items() if not names or name in names]
    if not counted:
        return None
    times = [_when(reading, part) for reading in counted]
    return Look(
        all(reading.get("verdict") == "ok" for reading in counted),
        min(since for since, _until in times),
        max(until for _since, until in times),
        _longest(_seen_away(reading, part) for reading in counted),
    )


def _when(reading: Mapping[str, Any], part: Part) -> tuple[datetime, datetime]:
    """Return between which moments a reading lies; where it does not say, or not credibly, that is its step."""
    at = _credible(reading.get("at"), part)
    if at is None:
        return part.start, part.end + CUT
    took = timedelta(milliseconds=reading.get("seconds_ms") or 0)
    return max(part.start, at - took), at + CUT


def _seen_away(reading: Mapping[str, Any], part: Part) -> Absence | None:
    span = reading.get("not_ok") or {}
    first, last = _credible(span.get("from"), part), _credible(span.get("to"), part)
    if first is None or last is None or first + CUT >= last:
        return None
    return Absence(first + CUT, last)


def _credible(text: Any, part: Part) -> datetime | None:
    """Return a stamp of the machine that read; one outside its step comes from a clock that is not the ledger's."""
    try:
        at = read_stamp(text)
    except PatchingError:
        return None
    return at if part.start - CUT <= at <= part.end else None


def _longest(spans: Iterable[Absence | None]) -> Absence | None:
    found = [span for span in spans if span is not None]
    return max(found, key=lambda span: (span.end or span.start) - span.start, default=None)
