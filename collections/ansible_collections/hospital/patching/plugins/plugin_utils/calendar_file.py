# SPDX-License-Identifier: GPL-3.0-or-later
"""iCalendar documents (RFC 5545) of others: windows and freezes that a hospital keeps in its own calendar.

Read strictly, because what is left out of a freeze opens it: any error in any
event refuses the document, with the line. Cancelled events do not take place.
A tentative one is no window yet, but is a freeze already.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import recurring_ical_events
from icalendar import Calendar
from icalendar.timezone import tzp

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import calendar_check, segments
from ansible_collections.hospital.patching.plugins.plugin_utils.calendar_check import Event
from ansible_collections.hospital.patching.plugins.plugin_utils.fetching import Unavailable, fetch
from ansible_collections.hospital.patching.plugins.plugin_utils.occurrences import (
    Occurrence,
    Stated,
    narrowest,
    widest,
)

#: The most bytes, events and occurrences of one document that are looked at.
LARGEST = 10_000_000
MOST_EVENTS = 20_000
MOST_OCCURRENCES = 20_000
#: How long a calendar server may take, and how long its answer is taken again.
LIMIT_S = 20.0
KEPT_S = 60.0
#: A window may open once a year.
HORIZON = timedelta(days=400)
#: The clocks that are ahead of and behind all others: a day that is of no zone lasts from the first to the last.
FIRST, LAST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))

Clock = Callable[[datetime, timedelta, tzinfo], Occurrence]


@dataclass(frozen=True)
class CalendarFile(Stated):
    """A document; ``event`` is a shell pattern of the summaries that count. Equal content is equal."""

    text: str
    place: str = field(compare=False)
    event: str
    digest: str
    document: Calendar = field(compare=False, repr=False)
    horizon = HORIZON

    @classmethod
    def read(cls, text: str, place: str, event: str = "*", segments: Sequence[str] | None = None) -> CalendarFile:
        """Return the document at ``place``, a path or URL.

        Args:
            text: how the setting states it, for messages.
            segments: networks of devices, from none of which it is fetched; None fetches nothing.

        Raises:
            PatchingError: it cannot be read, or an event of it cannot.
        """
        content = _content(text, place, segments)
        digest = hashlib.sha256(content).hexdigest()
        return cls(text, place, event, digest, _document(text, place, event, content))

    def between(self, begin: datetime, end: datetime) -> Sequence[Occurrence]:
        """Return the occurrences of confirmed events, at their narrowest."""
        return _touching(self, begin, end, is_freeze=False)

    def at_widest(self, begin: datetime, end: datetime) -> Sequence[Occurrence]:
        """Return the occurrences of confirmed and tentative events, at their widest."""
        return _touching(self, begin, end, is_freeze=True)


def _touching(calendar: CalendarFile, begin: datetime, end: datetime, is_freeze: bool) -> list[Occurrence]:
    """Whoever waits at the gate asks every few seconds: the same hours are looked up once."""
    hour = timedelta(hours=1)
    first, last = (one.replace(minute=0, second=0, microsecond=0) for one in (begin, end))
    found = _between(calendar, first - hour, last + 2 * hour, is_freeze)
    return [one for one in found if one.end > begin and (one.start <= begin or one.start < end)]


@lru_cache(maxsize=64)
def _between(calendar: CalendarFile, begin: datetime, end: datetime, is_freeze: bool) -> tuple[Occurrence, ...]:
    """Kept, because many hosts share a calendar."""
    try:
        events = list(islice(_query(calendar).between(begin, end), MOST_OCCURRENCES + 1))
        found = [_occurrence(event, is_freeze) for event in events if _takes_place(event, calendar.event, is_freeze)]
    except Exception as error:
        raise _refused(calendar.text, calendar.place, f"{type(error).__name__}: {error}"[:300]) from error
    if len(events) > MOST_OCCURRENCES:
        raise _refused(calendar.text, calendar.place, f"more than {MOST_OCCURRENCES} occurrences in 400 days")
    return tuple(sorted(one for one in found if one.start < one.end))


@lru_cache(maxsize=16)
def _query(calendar: CalendarFile) -> Any:
    return recurring_ical_events.of(calendar.document, skip_bad_series=False)


def _takes_place(event: Event, pattern: str, is_freeze: bool) -> bool:
    status = str(event.get("STATUS", "CONFIRMED")).upper()
    if status == "CANCELLED" or (status == "TENTATIVE" and not is_freeze):
        return False
    return fnmatch.fnmatchcase(str(event.get("SUMMARY", "")), pattern)


def _occurrence(event: Event, is_freeze: bool) -> Occurrence:
    start, end = event["DTSTART"].dt, event["DTEND"].dt
    if not isinstance(start, datetime):
        return _days(start, end, is_freeze)
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError(f"{calendar_check.named(event)} begins at {start}, in no time zone that is known")
    if start.utcoffset() != end.utcoffset() and start.tzinfo != end.tzinfo:
        return Occurrence(start.astimezone(UTC), end.astimezone(UTC))
    duration = end.replace(tzinfo=None) - start.replace(tzinfo=None)
    clock: Clock = widest if is_freeze else narrowest
    return clock(start.replace(tzinfo=None, fold=0), duration, start.tzinfo)


def _days(start: date, end: date, is_freeze: bool) -> Occurrence:
    """A day without a zone begins first where clocks are ahead; as a window it would be anybody's guess."""
    begins, ends = (datetime(day.year, day.month, day.day) for day in (start, end))  # noqa: DTZ001
    if not is_freeze:
        raise ValueError(f"an event of whole days, {start}: a window needs a time and a zone")
    return Occurrence(begins.replace(tzinfo=FIRST).astimezone(UTC), ends.replace(tzinfo=LAST).astimezone(UTC))


@lru_cache(maxsize=16)
def _document(text: str, place: str, pattern: str, content: bytes) -> Calendar:
    # icalendar keeps the private zones (VTIMEZONE) of one document for the next: they are named alike, and differ.
    tzp.use_default()
    try:
        document = Calendar.from_ical(content)
    except Exception as error:
        raise _refused(text, place, f"no iCalendar document: {type(error).__name__}: {error}"[:300]) from error
    if not isinstance(document, Calendar):
        raise _refused(text, place, f"it is a {document.name}, no VCALENDAR")
    if str(document.get("METHOD", "PUBLISH")).upper() == "CANCEL":
        raise _refused(text, place, "it cancels events of another calendar")
    # It would move events that are in UTC, and it is no part of iCalendar; times without a zone are refused.
    document.pop("X-WR-TIMEZONE", None)
    events = document.walk("VEVENT")
    if len(events) > MOST_EVENTS:
        raise _refused(text, place, f"{len(events)} events, and at most {MOST_EVENTS} are read")
    wrong = calendar_check.misread(re.sub(r"\r?\n[ \t]", "", content.decode("utf-8", errors="replace")))
    if wrong:
        raise _refused(text, place, wrong)
    lines, known = list(_lines(content)), calendar_check.Identities(events)
    if len(lines) != len(events):
        raise _refused(text, place, f"{len(events)} events, of which {len(lines)} begin with BEGIN:VEVENT on a line")
    for line, event in zip(lines, events, strict=True):
        wrong = calendar_check.wrong(event) or known.again(event) or known.moved(event) or known.mistaken(event)
        if wrong:
            raise _refused(text, place, f"line {line}, {calendar_check.named(event)}: {wrong}")
    if not any(fnmatch.fnmatchcase(str(event.get("SUMMARY", "")), pattern) for event in events):
        raise _refused(text, place, f"no event is called {pattern!r}" if pattern != "*" else "it has no event")
    return document


def _lines(content: bytes) -> Iterator[int]:
    """Yield the line on which each event begins."""
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip().upper() == b"BEGIN:VEVENT":
            yield number


_answers: dict[str, tuple[float, bytes]] = {}


def _content(text: str, place: str, device_segments: Sequence[str] | None) -> bytes:
    """Return the bytes at ``place``; a server is asked once a minute at most."""
    if "://" in place:
        server = urlsplit(place).hostname or ""
        contact = segments.contact(server, server, "managed", device_segments)
        if not contact.allowed:
            raise _refused(text, place, f"not connected to: {contact.reason}")
    when, known = _answers.get(place, (0.0, b""))
    if known and "://" in place and time.monotonic() - when < KEPT_S:
        return known
    try:
        # A redirect could lead into a device segment.
        content = fetch(place, LARGEST, LIMIT_S, follow=False)
    except Unavailable as error:
        raise _refused(text, place, str(error)) from error
    _answers[place] = (time.monotonic(), content)
    return content


def _refused(text: str, place: str, seen: str) -> PatchingError:
    return PatchingError(
        f"calendar {place}",
        seen,
        "an iCalendar document whose events have a start, an end and a time zone",
        f"correct it, or {text!r} where the inventory sets it; until then nothing is disrupted",
    )
