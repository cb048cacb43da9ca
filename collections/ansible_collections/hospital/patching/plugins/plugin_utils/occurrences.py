# SPDX-License-Identifier: GPL-3.0-or-later
"""Times that recur: their occurrences, and which of them is open at a moment.

A clock that is set forward or back makes a day longer or shorter. A time at
which hosts may be disrupted ends at the earlier of two moments, when its
duration has elapsed and when the local clock shows its end; a time at which
they must not ends at the later. So daylight saving never widens a window and
never narrows a freeze.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp

#: Occurrences that touch each other count as one, until it lasts this long from the moment that is asked about.
LONGEST_NIGHT = timedelta(hours=24)
#: By more than a change of the clock ever moves an occurrence.
MARGIN = timedelta(days=2)


@dataclass(frozen=True, order=True)
class Occurrence:
    """One time, from ``start`` up to but not including ``end``, both UTC."""

    start: datetime
    end: datetime


class Recurring(ABC):
    """A time that recurs; ``text`` is how its setting states it."""

    text: str
    #: The longest time from any moment to the end of the next occurrence that is looked for.
    horizon: timedelta

    @abstractmethod
    def between(self, begin: datetime, end: datetime) -> Sequence[Occurrence]:
        """Return the occurrences that touch the span, in order of their starts, as a window has them.

        Raises:
            PatchingError: they cannot be told; the window then counts as closed.
        """

    def open_at(self, now: datetime) -> Occurrence | None:
        """Return the occurrence that is open at ``now``, or None.

        One that reaches the start of another runs on to that one's end: a
        daily window of 24 hours has no hole at midnight.
        """
        found = self.between(now - MARGIN, now + LONGEST_NIGHT + MARGIN)
        opened = [number for number, one in enumerate(found) if one.start <= now < one.end]
        if not opened:
            return None
        return Occurrence(found[opened[0]].start, max(_runs_to(found, number, now) for number in opened))

    def next_for(self, need: timedelta, now: datetime) -> Occurrence | None:
        """Return the first occurrence, open or to come, in which ``need`` fits; None when the horizon has none."""
        opened = self.open_at(now)
        if opened is not None and now + need <= opened.end:
            return opened
        found = self.between(now, now + self.horizon)
        for number, one in enumerate(found):
            end = _runs_to(found, number, one.start) if one.start > now else one.start
            if one.start + need <= end:
                return Occurrence(one.start, end)
        return None

    def next_after(self, now: datetime) -> Occurrence:
        """Return the first occurrence that starts after ``now``.

        Raises:
            PatchingError: there is none within the horizon.
        """
        for occurrence in self.between(now, now + self.horizon):
            if occurrence.start > now:
                return occurrence
        raise PatchingError(
            f"window {self.text!r}",
            f"it does not open in the {self.horizon.days} days after {stamp(now)}",
            "a window that opens",
            "correct patching_window, or the calendar that it names",
        )


class Stated(Recurring):
    """A time that a setting states: it can be a window, and a freeze as well."""

    @abstractmethod
    def at_widest(self, begin: datetime, end: datetime) -> Sequence[Occurrence]:
        """Return the occurrences that touch the span, as a freeze has them; raises as :meth:`between`."""


def _runs_to(found: Sequence[Occurrence], number: int, now: datetime) -> datetime:
    """Return when an occurrence ends, which runs on into those that it reaches."""
    end = found[number].end
    for following in range(number + 1, len(found)):
        if found[following].start > end or end - now >= LONGEST_NIGHT:
            break
        end = max(end, found[following].end)
    return end


def narrowest(wall: datetime, duration: timedelta, zone: tzinfo) -> Occurrence:
    """Return the occurrence of a window that starts when a clock in ``zone`` shows ``wall`` (without a zone).

    It may be empty, where the clock leaves its hour out.
    """
    start = first_moment(wall, zone)
    return Occurrence(start, min(start + duration, first_moment(wall + duration, zone)))


def widest(wall: datetime, duration: timedelta, zone: tzinfo) -> Occurrence:
    """Return the same of a freeze: of an hour that comes twice it covers both."""
    start, end = _both(wall, zone), _both(wall + duration, zone)
    return Occurrence(min(start), max(*end, min(start) + duration))


def first_moment(wall: datetime, zone: tzinfo) -> datetime:
    """Return the first moment, in UTC, at which a clock in ``zone`` shows ``wall`` or later.

    Of an hour that comes twice that is the first; in an hour that is left out
    it is the moment at which the clock jumps.
    """
    late, early = _both(wall, zone)
    if late <= early:
        return late
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        if middle.astimezone(zone).replace(tzinfo=None) >= wall:
            late = middle
        else:
            early = middle
    return late


def _both(wall: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    late, early = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return late, early


def without(occurrences: Iterable[Occurrence], closed: Sequence[Occurrence]) -> list[Occurrence]:
    """Return what is left of ``occurrences`` outside ``closed``, in order of their starts."""
    left = sorted(occurrences)
    for gap in closed:
        left = [piece for one in left for piece in _cut(one, gap)]
    return sorted(left)


def _cut(one: Occurrence, gap: Occurrence) -> list[Occurrence]:
    if gap.end <= one.start or gap.start >= one.end:
        return [one]
    pieces = (Occurrence(one.start, gap.start), Occurrence(gap.end, one.end))
    return [piece for piece in pieces if piece.start < piece.end]
