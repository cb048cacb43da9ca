# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes an event of a calendar unfit: it is wrong, or the libraries would read something else than it says.

Sources: RFC 5545; what icalendar and recurring-ical-events do with each was
tried. What they would repair, pass over or guess at is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

#: What recurs more often than this is no window and no freeze, and would be counted without end.
FREQUENCIES = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
#: What an event has once (RFC 5545, 3.6.1).
ONCE = ("UID", "SUMMARY", "STATUS", "DTSTART", "DTEND", "DURATION", "RECURRENCE-ID")
#: What names further moments of a series, or takes some out of it.
DATES = ("RDATE", "EXDATE")

_ZONE = re.compile(r"^BEGIN:VTIMEZONE\s.*?^TZID[^:\r\n]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE | re.DOTALL)
_ZONE_BEGINS = re.compile(r"^BEGIN:VTIMEZONE", re.IGNORECASE | re.MULTILINE)
_EVENT = re.compile(r"^BEGIN:VEVENT", re.IGNORECASE | re.MULTILINE)
_RULE = re.compile(r"^RRULE[^:\r\n]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_TWO_ZONES = re.compile(
    r"^(?:DTSTART|DTEND|RECURRENCE-ID|EXDATE|RDATE)\b[^:\r\n]*TZID=[^:\r\n]*:[^\r\n]*Z[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
)

#: icalendar types each value of an event as a union of thirty kinds; what is none of ours is refused.
Event = Any


def named(event: Event) -> str:
    """Return how messages call an event."""
    return f"event {str(event.get('SUMMARY') or event.get('UID') or 'without a name')[:80]!r}"


def wrong(event: Event) -> str:
    """Return what is wrong with an event, or empty text."""
    try:
        return next((text for text in _problems(event) if text), "")
    except Exception as error:  # noqa: BLE001 (whatever a library thinks of somebody's event, it is refused)
        return f"not one start, one end and rules of known kinds: {type(error).__name__}: {error}"[:300]


class Identities:
    """The events of one document: of two with one UID the libraries would pass over the second."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._known: set[tuple[str, str]] = set()
        several = list(events)
        self._series = {str(event.get("UID")): event for event in several if "RECURRENCE-ID" not in event}
        self._moved = {str(event.get("UID")) for event in several if "RECURRENCE-ID" in event}

    def mistaken(self, event: Event) -> str:
        """Refuse what recurs several times a day in a zone other than UTC, and has occurrences taken out or moved.

        recurring-ical-events compares UTC and local clocks as if they were one: at 15:00 in Berlin it takes out the
        occurrence at 14:00 as well.
        """
        changed = "EXDATE" in event or ("RECURRENCE-ID" not in event and str(event.get("UID")) in self._moved)
        several = "RDATE" in event or any(_several_a_day(rule) for rule in _several(event, "RRULE"))
        if changed and several and str(event["DTSTART"].dt.tzinfo) != "UTC":
            return (
                "it recurs several times a day, and has occurrences taken out or moved; give it UTC or several events"
            )
        return ""

    def moved(self, event: Event) -> str:
        """Hold RECURRENCE-ID against its series: one of another kind or zone would hit another occurrence, or none."""
        series = self._series.get(str(event.get("UID")))
        if series is None or "RECURRENCE-ID" not in event:
            return ""
        try:
            found = _dates(event, "RECURRENCE-ID", series["DTSTART"].dt)
            return next((text for text in found if text), "")
        except Exception as error:  # noqa: BLE001 (as above)
            return f"RECURRENCE-ID: {type(error).__name__}: {error}"[:300]

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


def misread(text: str) -> str:
    """Return what of a whole document, unfolded, the libraries would read otherwise than it says, or empty text."""
    defined = [one.strip() for one in _ZONE.findall(text)]
    twice = [one for one in defined if defined.count(one) > 1]
    if twice:
        return f"the time zone {twice[0]!r} is there twice, and the first would count for both"
    first, last = _EVENT.search(text), list(_ZONE_BEGINS.finditer(text))
    if first and last and last[-1].start() > first.start():
        return "a VTIMEZONE comes after an event, and would not count for it"
    both = _TWO_ZONES.search(text)
    if both:
        return f"{both[0].strip()[:120]} is in UTC and in a time zone"
    for rule in _RULE.findall(text):
        keys = [part.partition("=")[0].strip().upper() for part in rule.split(";")]
        if len(set(keys)) < len(keys):
            return f"the rule {rule.strip()[:120]} has a part twice, of which the last would count"
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


def _several_a_day(rule: Any) -> bool:
    often = str(next(iter(rule.get("FREQ", [""])), "")).upper() == "HOURLY"
    return often or any(len(rule.get(key, [])) > 1 for key in ("BYHOUR", "BYMINUTE", "BYSECOND"))


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
