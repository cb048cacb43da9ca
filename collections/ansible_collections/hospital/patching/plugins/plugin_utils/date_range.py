# SPDX-License-Identifier: GPL-3.0-or-later
"""A freeze of some days: ``2026-12-23 18:00 to 2027-01-02 06:00, Europe/Berlin``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.occurrences import (
    Occurrence,
    Stated,
    narrowest,
    widest,
)

#: No calendar is kept beyond; at the end of all time no clock can be reckoned with.
EARLIEST, LATEST = 2000, 2200
FORMAT = "%Y-%m-%d %H:%M"
FORM = re.compile(r"(?P<start>\d{4}-\d\d-\d\d \d\d:\d\d) to (?P<end>\d{4}-\d\d-\d\d \d\d:\d\d), *(?P<zone>\S+)")


@dataclass(frozen=True)
class DateRange(Stated):
    """One span of local time."""

    text: str
    start: datetime
    end: datetime
    zone: str
    horizon = timedelta(days=400)

    @classmethod
    def parse(cls, text: str) -> DateRange:
        """Return the range of its text.

        Raises:
            PatchingError: it has another form, there is no such date or zone, or it ends before it begins.
        """
        match = FORM.fullmatch(text.strip())
        if match is None:
            raise _unreadable(text, "it has not the form YYYY-MM-DD HH:MM to YYYY-MM-DD HH:MM, ZONE")
        try:
            start, end = (datetime.strptime(match[name], FORMAT) for name in ("start", "end"))  # noqa: DTZ007
            ZoneInfo(match["zone"])
        except (KeyError, ValueError, OSError) as error:
            raise _unreadable(text, str(error)) from error
        if end <= start:
            raise _unreadable(text, "it ends before it begins")
        if start.year < EARLIEST or end.year > LATEST:
            raise _unreadable(text, f"it lies outside the years {EARLIEST} to {LATEST}")
        return cls(text.strip(), start, end, match["zone"])

    def between(self, begin: datetime, end: datetime) -> Sequence[Occurrence]:
        """Return the range, if it touches the span."""
        return self._touching(narrowest(self.start, self.end - self.start, ZoneInfo(self.zone)), begin, end)

    def at_widest(self, begin: datetime, end: datetime) -> Sequence[Occurrence]:
        """Return the range, if it touches the span, with both of an hour that comes twice."""
        return self._touching(widest(self.start, self.end - self.start, ZoneInfo(self.zone)), begin, end)

    @staticmethod
    def _touching(one: Occurrence, begin: datetime, end: datetime) -> Sequence[Occurrence]:
        return [one] if one.start < end and begin < one.end else []


def _unreadable(text: str, seen: str) -> PatchingError:
    return PatchingError(
        f"freeze {text!r}",
        seen,
        'a form like "2026-12-23 18:00 to 2027-01-02 06:00, Europe/Berlin"',
        "correct patching_freezes; until it can be read nothing is disrupted",
    )
