# SPDX-License-Identifier: GPL-3.0-or-later
"""The short form of a time that recurs: of windows, and of the hours at which nothing may be disrupted.

``WHEN HH:MM, DURATION, ZONE``, as in

* ``daily 00:00, 24 h, UTC``, also ``weekdays`` and ``weekends``
* ``Sun 01:00, 3 h, America/Chicago``
* ``second Tuesday 22:00, 1 h 30 min, Europe/Berlin`` (first to fourth, or last; ``Patch Tuesday`` is the second)
* ``three days after Patch Tuesday 22:00, 4 h, Europe/Berlin`` (or before)

It becomes an iCalendar event (RFC 5545) with a start, a rule and a duration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar, Event

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.occurrences import (
    Occurrence,
    Stated,
    narrowest,
    widest,
)

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CODES = tuple(name[:2].upper() for name in DAYS)
#: Several days of the week by one word.
SETS = {"weekdays": CODES[:5], "weekends": CODES[5:]}
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
#: The longest duration by frequency: an occurrence may touch the next one, not overlap it.
LONGEST = {"DAILY": timedelta(hours=24), "WEEKLY": timedelta(days=7), "MONTHLY": timedelta(days=7)}
#: The longest time from any moment to the end of the next occurrence.
HORIZON = {"DAILY": timedelta(days=4), "WEEKLY": timedelta(days=16), "MONTHLY": timedelta(days=75)}
#: The rules begin here, on the first day that fits them.
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
#: The last day that every month has: what is counted from a day of the month must not leave it.
SHORTEST_MONTH = 28

_FORM = re.compile(r"(?P<when>[A-Za-z0-9 ]+?) (?P<hour>\d{2}):(?P<minute>\d{2}) *, *(?P<for>[^,]+?) *, *(?P<zone>\S+)")
_SHIFTED = re.compile(r"(?P<count>[a-z]+|\d{1,2}) days? (?P<way>after|before) (?P<day>.+)")
_DURATION = re.compile(r"(?:(?P<hours>\d{1,3}) ?h)? ?(?:(?P<minutes>\d{1,4}) ?min)?")


@dataclass(frozen=True)
class Window(Stated):
    """A recurring time in its short form. Build it with :meth:`parse`."""

    text: str
    frequency: str
    #: As in RFC 5545: days of the week, with an ordinal where they are days of the month.
    days: tuple[str, ...]
    #: Days of the month to one of which the day of the week must fall; none: any.
    month_days: tuple[int, ...]
    hour: int
    minute: int
    duration: timedelta
    zone: str

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> Window:
        """Return the window of its short form; kept, because many hosts share a window.

        Raises:
            PatchingError: unreadable; the window then counts as closed.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise _unreadable(text, "it has not the form WHEN HH:MM, DURATION, ZONE")
        frequency, days, month_days = _read_when(text, " ".join(match["when"].lower().split()))
        hour, minute = int(match["hour"]), int(match["minute"])
        if hour > 23 or minute > 59:
            raise _unreadable(text, f"there is no {match['hour']}:{match['minute']} on a clock")
        duration = _read_duration(text, match["for"])
        longest = LONGEST["DAILY" if len(days) > 1 else frequency]
        if duration > longest:
            raise _unreadable(text, f"it lasts longer than {longest}, so it would overlap itself")
        try:
            ZoneInfo(match["zone"])
        except (KeyError, ValueError, OSError) as error:
            raise _unreadable(text, f"{match['zone']} is no time zone") from error
        return cls(text.strip(), frequency, days, month_days, hour, minute, duration, match["zone"])

    @property
    def horizon(self) -> timedelta:  # type: ignore[override]
        return HORIZON[self.frequency]

    def ical(self) -> bytes:
        """Return the window as an iCalendar document."""
        return bytes(_calendar(self).to_ical())

    def between(self, begin: datetime, end: datetime) -> Sequence[Occurrence]:
        """Return the occurrences that touch the span, without those that a change of the clock swallows."""
        return _between(self, begin, end, narrowest)

    def at_widest(self, begin: datetime, end: datetime) -> Sequence[Occurrence]:
        """Return the occurrences that touch the span, each with both of an hour that comes twice."""
        return _between(self, begin, end, widest)


@lru_cache(maxsize=1024)
def _between(
    window: Window, begin: datetime, end: datetime, occurrence: Callable[[datetime, timedelta, ZoneInfo], Occurrence]
) -> tuple[Occurrence, ...]:
    """Kept, because many hosts share a window."""
    events = recurring_ical_events.of(_calendar(window)).between(begin, end)
    walls = (event["DTSTART"].dt.replace(tzinfo=None, fold=0) for event in events)
    found = (occurrence(wall, window.duration, ZoneInfo(window.zone)) for wall in walls)
    return tuple(sorted(one for one in found if one.start < one.end))


@lru_cache(maxsize=1024)
def _calendar(window: Window) -> Calendar:
    event = Event()
    event.add("uid", f"{window.text}@hospital.patching")
    event.add("summary", f"patch window {window.text}")
    event.add("dtstart", _first_start(window))
    event.add("duration", window.duration)
    rule: dict[str, list[str] | list[int]] = {"FREQ": [window.frequency]}
    if window.days:
        rule["BYDAY"] = list(window.days)
    if window.month_days:
        rule["BYMONTHDAY"] = list(window.month_days)
    event.add("rrule", rule)
    calendar = Calendar()
    calendar.add("prodid", "-//hospital.patching//windows//EN")
    calendar.add("version", "2.0")
    calendar.add_component(event)
    return calendar


def _first_start(window: Window) -> datetime:
    """Return the first start on or after the epoch that fits the rule, as RFC 5545 asks of DTSTART."""
    start = EPOCH.replace(hour=window.hour, minute=window.minute)
    while not _fits(window, start):
        start += timedelta(days=1)
    return start.replace(tzinfo=ZoneInfo(window.zone))


def _fits(window: Window, day: datetime) -> bool:
    if window.month_days and day.day not in window.month_days:
        return False
    code, from_start = CODES[day.weekday()], (day.day - 1) // 7 + 1
    names = {code, f"{from_start}{code}"}
    if (day + timedelta(days=7)).month != day.month:
        names.add(f"-1{code}")
    return not window.days or bool(names.intersection(window.days))


def _read_when(text: str, when: str) -> tuple[str, tuple[str, ...], tuple[int, ...]]:
    if when == "daily":
        return "DAILY", (), ()
    if when in SETS:
        return "WEEKLY", SETS[when], ()
    shifted = _SHIFTED.fullmatch(when)
    if shifted is None:
        ordinal, weekday = _read_day(text, when)
        return ("MONTHLY", (f"{ordinal}{CODES[weekday]}",), ()) if ordinal else ("WEEKLY", (CODES[weekday],), ())
    ordinal, weekday = _read_day(text, shifted["day"])
    count = str(NUMBERS.index(shifted["count"]) + 1) if shifted["count"] in NUMBERS else shifted["count"]
    if not ordinal or not count.isdigit():
        raise _unreadable(text, f"{when!r} is no number of days after or before a day of the month")
    by = int(count) if shifted["way"] == "after" else -int(count)
    days = tuple(7 * (ordinal - 1) + number + by for number in range(1, 8))
    if ordinal < 0 or days[0] < 1 or days[-1] > SHORTEST_MONTH:
        raise _unreadable(text, f"{when} may fall into another month")
    return "MONTHLY", (CODES[(weekday + by) % 7],), days


def _read_day(text: str, day: str) -> tuple[int, int]:
    """Return the ordinal of a day of the month (0: of every week) and the day of the week."""
    *ordinal, name = ["second", "tuesday"] if day == "patch tuesday" else day.split()
    found = [number for number, whole in enumerate(DAYS) if name in (whole, whole[:3])]
    if len(found) != 1 or len(ordinal) > 1 or (ordinal and ordinal[0] not in ORDINALS):
        raise _unreadable(text, f"{day!r} names no day")
    return (ORDINALS[ordinal[0]] if ordinal else 0), found[0]


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
        "correct it where the inventory sets it; until it can be read nothing is disrupted",
    )
