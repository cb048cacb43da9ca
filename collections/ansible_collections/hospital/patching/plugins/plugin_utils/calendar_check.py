# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes an event of a calendar unfit: it is wrong, or the libraries would read something else than it says.

Sources: RFC 5545; what icalendar and recurring-ical-events do with each was
tried. What they would repair, pass over or guess at is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

#: What recurs more often than this is no window and no freeze, and would be counted without end.
FREQUENCIES = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
#: What an event has once (RFC 5545, 3.6.1).
ONCE = ("UID", "SUMMARY", "STATUS", "DTSTART", "DTEND", "DURATION", "RECURRENCE-ID")
#: What names further moments of a series, or takes some out of it.
DATES = ("RDATE", "EXDATE", "RECURRENCE-ID")

#: icalendar types each value of an event as a union of thirty kinds; what is none of ours is refused.
Event = Any


def named(event: Event) -> str:
    """Return how messages call an event."""
    return f"event {str(event.get('SUMMARY') or event.get('UID') or 'without a name')[:80]!r}"


def wrong(event: Event) -> str:
    """Return what is wrong with an event, or empty text."""
    try:
        return next((text for text in _problems(event) if text), "")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return f"not one start, one end and rules of known kinds: {error}"[:300]


class Identities:
    """The events of one document that were met: of two with one UID the libraries would pass over the second."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str]] = set()

    def again(self, event: Event) -> str:
        """Return that another event has this one's UID, or empty text."""
        if "UID" not in event:
            return ""
        moved = event["RECURRENCE-ID"].to_ical().decode() if "RECURRENCE-ID" in event else ""
        identity = str(event["UID"]), moved
        if identity in self._known:
            return "another event has its UID"
        self._known.add(identity)
        return ""


def _problems(event: Event) -> Iterator[str]:
    yield "; ".join(f"{name or 'a line'}: {problem}" for name, problem in event.errors)[:300]
    yield from (f"{key} is there twice" for key in ONCE if isinstance(event.get(key), list))
    if "EXRULE" in event:
        yield "EXRULE, which iCalendar has no longer and which would be passed over"
    if "DTSTART" not in event:
        yield "no DTSTART"
    start = event["DTSTART"].dt
    yield _zone("DTSTART", start, event["DTSTART"].params)
    yield from _length(event, start)
    for rule in _several(event, "RRULE"):
        yield from _rule(rule, start)
    for key in DATES:
        yield from _dates(event, key, start)


def _zone(key: str, moment: date, parameters: Any) -> str:
    if not isinstance(moment, datetime) or moment.tzinfo is not None:
        return ""
    zone = parameters.get("TZID")
    return f"the time zone {zone!r} of {key} is not known" if zone else f"{key} has no time zone"


def _length(event: Event, start: date) -> Iterator[str]:
    timed = isinstance(start, datetime)
    if "DTEND" in event and "DURATION" in event:
        yield "both DTEND and DURATION"
    if timed and "DTEND" not in event and "DURATION" not in event:
        yield "neither DTEND nor DURATION"
    if "DURATION" in event:
        yield "" if event["DURATION"].dt > timedelta(0) else "it lasts no time at all"
        return
    end = event["DTEND"].dt if "DTEND" in event else start + timedelta(days=1)
    if timed != isinstance(end, datetime):
        yield "DTSTART and DTEND are of two kinds"
    if "DTEND" in event:
        yield _zone("DTEND", end, event["DTEND"].params)
    yield "" if end > start else "it ends before it begins"


def _rule(rule: Any, start: date) -> Iterator[str]:
    frequency = next(iter(rule.get("FREQ", [""])), "")
    if str(frequency).upper() not in FREQUENCIES:
        yield f"it recurs {frequency or 'at no frequency'}"
    yield from (f"{key} is 0" for key in ("INTERVAL", "COUNT") if any(int(one) < 1 for one in rule.get(key, [])))
    for until in rule.get("UNTIL", []):
        if isinstance(start, datetime) != isinstance(until, datetime):
            yield "UNTIL and DTSTART are of two kinds"
        elif isinstance(until, datetime) and (until.tzinfo is None or until.utcoffset() != timedelta(0)):
            yield "UNTIL is not in UTC (it has no Z)"


def _dates(event: Event, key: str, start: date) -> Iterator[str]:
    """Refuse moments of another kind or zone than the series: they would hit others, or none."""
    for one in _several(event, key):
        for moment in [entry.dt for entry in one.dts] if hasattr(one, "dts") else [one.dt]:
            if isinstance(moment, tuple):
                yield f"{key} is a period; give each its own event"
            elif isinstance(start, datetime) != isinstance(moment, datetime):
                yield f"{key} and DTSTART are of two kinds"
            else:
                yield _zone(key, moment, one.params)
                if (
                    isinstance(moment, datetime)
                    and isinstance(start, datetime)
                    and str(moment.tzinfo) != str(start.tzinfo)
                ):
                    yield f"{key} is in another time zone than DTSTART"


def _several(event: Event, key: str) -> list[Any]:
    found = event.get(key, [])
    return found if isinstance(found, list) else [found]
