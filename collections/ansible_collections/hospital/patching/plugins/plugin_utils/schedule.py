# SPDX-License-Identifier: GPL-3.0-or-later
"""When a host may be disrupted: in its window, as far as no freeze lies over it.

A time is stated as one text: the short form of :mod:`windows`, a range of dates
(:mod:`date_range`), or ``ics PLACE`` with a path or URL of a calendar, and
``ics PLACE, event PATTERN`` for those of its events whose summaries match.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import date_range
from ansible_collections.hospital.patching.plugins.plugin_utils.calendar_file import CalendarFile
from ansible_collections.hospital.patching.plugins.plugin_utils.date_range import DateRange
from ansible_collections.hospital.patching.plugins.plugin_utils.occurrences import (
    MARGIN,
    Occurrence,
    Recurring,
    Stated,
    without,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.windows import Window

#: The networks of devices; None when nobody has declared them.
Segments = Sequence[str] | None
#: Occurrences by the texts of their freezes.
Broken = Mapping[str, Collection[Occurrence]]
_ICS = re.compile(r"ics (?P<place>\S.*?)(?:, *event (?P<event>.+))?")


def check(text: str) -> str:
    """Return ``text`` when it states a time; a calendar is not read yet.

    Raises:
        PatchingError: it does not.
    """
    match = _ICS.fullmatch(text.strip())
    if match is None:
        return _stated(text).text
    _check_place(text, match["place"])
    return text.strip()


def read(text: str, segments: Segments = None) -> Stated:
    """Return the time that ``text`` states; raises as :func:`check`, and when its calendar cannot be read.

    Args:
        segments: networks of devices, from none of which a calendar is fetched; None, when nobody has declared
            them, fetches nothing. Files need none.
    """
    match = _ICS.fullmatch(text.strip())
    if match is None:
        return _stated(text)
    _check_place(text, match["place"])
    return CalendarFile.read(text.strip(), match["place"], match["event"] or "*", segments)


def _stated(text: str) -> Stated:
    return DateRange.parse(text) if date_range.FORM.match(text.strip()) else Window.parse(text)


def _check_place(text: str, place: str) -> None:
    try:
        parts = urlsplit(place)
    except ValueError as error:
        raise PatchingError(
            "calendar", f"its place is no URL: {error}", "a URL", "correct it in the inventory"
        ) from error
    if "://" not in place:
        wrong = "" if Path(place).is_absolute() else "another path would depend on where the run is started"
    elif parts.scheme not in ("http", "https"):
        wrong = f"a calendar is not fetched by {parts.scheme}"
    else:
        # The text stands in plans and reports.
        wrong = "a login or query in a URL may be a secret, and plans and reports show it" * bool(
            parts.username or parts.password or parts.query
        )
    if wrong:
        raise PatchingError(
            f"calendar {text.partition('://')[0] + '://…' if '://' in place else text!r}",
            wrong,
            "an absolute path, or an http(s) URL without login and query",
            "correct it where the inventory sets it; a secret URL is best fetched into a file by the site itself",
        )


def zone(text: str) -> str | None:
    """Return the time zone that a text names; of a calendar, each event has its own."""
    if _ICS.fullmatch(text.strip()):
        return None
    found = _stated(text)
    return found.zone if isinstance(found, Window | DateRange) else None


@dataclass(frozen=True)
class Schedule(Recurring):
    """A window without its freezes."""

    window: Stated
    freezes: tuple[Stated, ...] = ()

    #: Occurrences of freezes that an emergency breaks, by the freeze's text.
    broken: Broken = field(default_factory=dict)

    @classmethod
    def of(
        cls, window: str, freezes: Sequence[str] = (), segments: Segments = None, broken: Broken | None = None
    ) -> Schedule:
        """Return the schedule that these texts state; arguments and errors as of :func:`read`."""
        return cls(read(window, segments), tuple(read(text, segments) for text in freezes), broken or {})

    @property
    def text(self) -> str:  # type: ignore[override]
        return self.window.text

    @property
    def horizon(self) -> timedelta:  # type: ignore[override]
        return self.window.horizon

    def between(self, begin: datetime, end: datetime) -> Sequence[Occurrence]:
        """Return what the freezes leave of the window's occurrences that touch the span."""
        found = self.window.between(begin, end)
        if not found or not self.freezes:
            return found
        first, last = found[0].start - MARGIN, max(one.end for one in found) + MARGIN
        closed = [gap for freeze in self.freezes for gap in _whole(freeze, first, last, self.broken)]
        return [piece for piece in without(found, closed) if piece.start < end and begin < piece.end]


def _whole(freeze: Stated, begin: datetime, end: datetime, broken: Broken) -> list[Occurrence]:
    """Return the occurrences of a freeze that nobody has broken."""
    left_out = broken.get(freeze.text, ())
    return [gap for gap in freeze.at_widest(begin, end) if gap not in left_out]


def gaps(stated: Stated, begin: datetime, end: datetime) -> list[Occurrence]:
    """Return the occurrences of a freeze that touch the span from ``begin`` to ``end``; raises as :func:`read`."""
    return [gap for gap in stated.at_widest(begin - MARGIN, end + MARGIN) if gap.start < end and begin < gap.end]


def frozen(
    freezes: Sequence[str],
    begin: datetime,
    end: datetime,
    segments: Segments = None,
    broken: Broken | None = None,
) -> Occurrence | None:
    """Return the first freeze that touches the span from ``begin`` to ``end``, or None; raises as :func:`read`.

    Args:
        broken: occurrences that an emergency breaks.
    """
    left_out = broken or {}
    stated = [read(text, segments) for text in freezes]
    found = [gap for one in stated for gap in gaps(one, begin, end) if gap not in left_out.get(one.text, ())]
    return min(found, default=None)
