# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows: when a host may be disrupted.

The short form is one of

* ``daily 00:00, 24 h, UTC``
* ``Sun 01:00, 3 h, America/Chicago``
* ``second Tuesday 22:00, 1 h 30 min, Europe/Berlin`` (first to fourth, or last)

It becomes an iCalendar event (RFC 5545) with a start, a rule and a duration.
An occurrence ends when its duration has really elapsed or when the local clock
shows start + duration, whichever is first, so daylight saving never widens it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar, Event

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
#: The longest duration by frequency: an occurrence may touch the next one, not overlap it.
LONGEST = {"DAILY": timedelta(hours=24), "WEEKLY": timedelta(days=7), "MONTHLY": timedelta(days=7)}
#: The longest time from any moment to the end of the next occurrence.
HORIZON = {"DAILY": timedelta(days=4), "WEEKLY": timedelta(days=16), "MONTHLY": timedelta(days=75)}
#: The rules begin here, on the first day that fits them.
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)

_FORM = re.compile(r"(?P<when>[A-Za-z ]+?) (?P<hour>\d{2}):(?P<minute>\d{2}) *, *(?P<for>[^,]+?) *, *(?P<zone>\S+)")
_DURATION = re.compile(r"(?:(?P<hours>\d{1,3}) ?h)? ?(?:(?P<minutes>\d{1,4}) ?min)?")


@dataclass(frozen=True)
class Occurrence:
    """One time of a window, from ``start`` up to but not including ``end``, both UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Window:
    """A recurring window. Build it with :meth:`parse`."""

    text: str
    frequency: str
    days: tuple[str, ...]
    hour: int
    minute: int
    duration: timedelta
    zone: str

    @classmethod
    def parse(cls, text: str) -> Window:
        """Return the window of its short form.

        Raises:
            PatchingError: unreadable; the window then counts as closed.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise _unreadable(text, "it has not the form WHEN HH:MM, DURATION, ZONE")
        frequency, days = _read_when(text, match["when"].lower())
        hour, minute = int(match["hour"]), int(match["minute"])
        if hour > 23 or minute > 59:
            raise _unreadable(text, f"there is no {match['hour']}:{match['minute']} on a clock")
        duration = _read_duration(text, match["for"])
        if duration > LONGEST[frequency]:
            raise _unreadable(text, f"it lasts longer than {LONGEST[frequency]}, so it would overlap itself")
        try:
            ZoneInfo(match["zone"])
        except (KeyError, ValueError, OSError) as error:
            raise _unreadable(text, f"{match['zone']} is no time zone") from error
        return cls(text.strip(), frequency, days, hour, minute, duration, match["zone"])

    def ical(self) -> bytes:
        """Return the window as an iCalendar document."""
        return bytes(_calendar(self).to_ical())

    def open_at(self, now: datetime) -> Occurrence | None:
        """Return the occurrence that is open at ``now``, or None.

        An occurrence that reaches the start of the next one runs on to that
        one's end: a daily window of 24 hours has no hole at midnight.
        """
        found = _between(self, now - HORIZON[self.frequency], now + HORIZON[self.frequency])
        for number, occurrence in enumerate(found):
            if occurrence.start <= now < occurrence.end:
                following = found[number + 1 : number + 2]
                if following and following[0].start <= occurrence.end:
                    return Occurrence(occurrence.start, following[0].end)
                return occurrence
        return None

    def next_after(self, now: datetime) -> Occurrence:
        """Return the first occurrence that starts after ``now``."""
        for occurrence in _between(self, now, now + HORIZON[self.frequency]):
            if occurrence.start > now:
                return occurrence
        raise _unreadable(self.text, f"it never opens in the {HORIZON[self.frequency].days} days after {now}")

    def occurrence(self, start: datetime) -> Occurrence:
        """Return the occurrence that starts when the local clock shows ``start``."""
        zone, wall = ZoneInfo(self.zone), start.replace(tzinfo=None, fold=0)
        begins = _first_moment(wall, zone)
        return Occurrence(begins, min(begins + self.duration, _first_moment(wall + self.duration, zone)))


@lru_cache(maxsize=1024)
def _between(window: Window, begin: datetime, end: datetime) -> tuple[Occurrence, ...]:
    """Return the occurrences that touch the span, in order, without those that a change of the clock swallows.

    Kept, because many hosts share a window.
    """
    events = recurring_ical_events.of(_calendar(window)).between(begin, end)
    found = (window.occurrence(event["DTSTART"].dt) for event in events)
    return tuple(sorted((one for one in found if one.start < one.end), key=lambda one: one.start))


def _first_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment, in UTC, at which a clock in ``zone`` shows ``wall`` or later.

    Of an hour that comes twice that is the first; in an hour that is left out
    it is the moment at which the clock jumps.
    """
    late, early = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if late <= early:
        return late
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        if middle.astimezone(zone).replace(tzinfo=None) >= wall:
            late = middle
        else:
            early = middle
    return late


@lru_cache(maxsize=1024)
def _calendar(window: Window) -> Calendar:
    event = Event()
    event.add("uid", f"{window.text}@hospital.patching")
    event.add("summary", f"patch window {window.text}")
    event.add("dtstart", _first_start(window))
    event.add("duration", window.duration)
    rule: dict[str, list[str]] = {"FREQ": [window.frequency]}
    if window.days:
        rule["BYDAY"] = list(window.days)
    event.add("rrule", rule)
    calendar = Calendar()
    calendar.add("prodid", "-//hospital.patching//windows//EN")
    calendar.add("version", "2.0")
    calendar.add_component(event)
    return calendar


def _first_start(window: Window) -> datetime:
    """Return the first start on or after the epoch that fits the rule, as RFC 5545 asks of DTSTART."""
    start = EPOCH.replace(hour=window.hour, minute=window.minute)
    if window.days:
        ordinal, day = re.fullmatch(r"(-?\d?)([A-Z]{2})", window.days[0]).groups()  # type: ignore[union-attr]
        weekday = [name[:2].upper() for name in DAYS].index(day)
        start += timedelta(days=(weekday - start.weekday()) % 7)
        if ordinal == "-1":
            while (start + timedelta(days=7)).month == start.month:
                start += timedelta(days=7)
        elif ordinal:
            start += timedelta(days=7 * (int(ordinal) - 1))
    return start.replace(tzinfo=ZoneInfo(window.zone))


def _read_when(text: str, when: str) -> tuple[str, tuple[str, ...]]:
    if when == "daily":
        return "DAILY", ()
    *ordinal, day = when.split()
    days = [name for name in DAYS if day in (name, name[:3])]
    if len(days) != 1 or len(ordinal) > 1 or (ordinal and ordinal[0] not in ORDINALS):
        raise _unreadable(text, f"{when!r} names no day")
    code = days[0][:2].upper()
    return ("MONTHLY", (f"{ORDINALS[ordinal[0]]}{code}",)) if ordinal else ("WEEKLY", (code,))


def _read_duration(text: str, duration: str) -> timedelta:
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise _unreadable(text, f"{duration!r} is no duration like 3 h, 90 min or 1 h 30 min")
    found = timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
    if not found:
        raise _unreadable(text, "it lasts no time at all")
    return found


def _unreadable(text: str, seen: str) -> PatchingError:
    return PatchingError(
        f"window {text!r}",
        seen,
        'a form like "Sun 01:00, 3 h, America/Chicago", "daily 00:00, 24 h, UTC" or "second Tuesday 22:00, 4 h, UTC"',
        "correct patching_window; until it can be read it counts as closed",
    )
