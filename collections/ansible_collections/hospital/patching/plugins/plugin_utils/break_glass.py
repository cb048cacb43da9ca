# SPDX-License-Identifier: GPL-3.0-or-later
"""Break-glass: what an emergency may shorten, who answers for it, and until when.

It is part of the plan and of its digest, so that whoever reads or signs the
plan reads that too. What it cannot shorten: hands-off, ``min_healthy``, the way
back and verification. It breaks the freezes that it names, those that were
there when the plan was made: one that comes later counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import schedule
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import Settings
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp

#: What may be shortened, and what that means.
SHORTENS = {
    "rings": "one canary of each service, then all others; nothing waits for earlier nights",
    "soak": "one minute between the canary and the others",
    "age": "versions are taken however young they are",
    "freeze": "the freezes named here do not count",
    "approval": "somebody of patching_break_glass_signers counts as one of those who approve",
}
#: What people may ask for, and why they get none of it.
NEVER = {
    "window": "plan with an emergency window instead: -e 'patching_window=…'",
    "hands_off": "a vendor_locked host is never connected to",
    "min_healthy": "patients need the service while it is patched",
    "way_back": "no install without a way back",
    "verification": "a host that is not proven healthy is not returned",
    "inhibit": "have whoever set it say go",
    "stop": "withdraw the stop file",
}
SOAK_S = 60
#: How long a plan that breaks the glass may begin hosts.
LASTS = timedelta(hours=24)
LONGEST = 200
_SUBJECT = "the break-glass request"


@dataclass(frozen=True)
class BreakGlass:
    """One request. ``by`` and ``second`` are names that were typed: claims, and no approval of tiers 1 and 2."""

    shortens: tuple[str, ...]
    reason: str
    by: str
    second: str
    until: datetime
    #: The freezes that it breaks: texts of calendars, and what freeze files told.
    freezes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as the plan has it (schema: ``schemas/plan.json``)."""
        return {
            "shortens": list(self.shortens),
            "reason": self.reason,
            "by": self.by,
            "second": self.second,
            "until": stamp(self.until),
            "freezes": list(self.freezes),
        }

    @property
    def ends(self) -> str:
        return f"the break-glass is over at {stamp(self.until)}"

    def breaking(self, freezes: Iterable[str]) -> BreakGlass:
        """Return it with the freezes that it breaks, as far as it breaks any."""
        return replace(self, freezes=tuple(sorted(set(freezes)))) if "freeze" in self.shortens else self

    def shortened(self, settings: Settings) -> Settings:
        """Return a host's settings with what is shortened of them."""
        if "rings" in self.shortens:
            settings = replace(settings, ring=None, promotion=None)
        if "soak" in self.shortens:
            settings = replace(settings, soak_s=min(settings.soak_s, SOAK_S))
        return replace(settings, freezes=tuple(one for one in settings.freezes if one not in self.freezes))


def read(shortens: Sequence[str] | str, reason: str, second: str, by: str, now: datetime) -> BreakGlass | None:
    """Return what a person asks for, or None when he asks for no break-glass.

    Args:
        shortens: words of :data:`SHORTENS`, also as one text with commas.
        by: who asks.

    Raises:
        PatchingError: it is incomplete, or asks for what is never shortened.
    """
    asked = shortens.replace(",", " ").split() if isinstance(shortens, str) else [str(word) for word in shortens]
    reason, second = _one_line(reason), _one_line(second)
    if not asked and not reason and not second:
        return None
    may = ", ".join(SHORTENS)
    for word in asked:
        if word not in SHORTENS:
            seen = f"break_glass is to shorten {word}" + (f": {NEVER[word]}" if word in NEVER else "")
            raise PatchingError(_SUBJECT, seen, f"some of {may}", "leave it out")
    if not asked:
        raise PatchingError(_SUBJECT, "it does not say what to shorten", f"some of {may}", "set break_glass")
    if not reason:
        raise PatchingError(_SUBJECT, "no reason", "one that an auditor will read", "set break_glass_reason")
    if not second or second.casefold() == by.casefold():
        seen = f"the second person is {second}, who asks himself" if second else "no second person"
        expected = "the name of another person who agrees, an engineer or not"
        raise PatchingError(_SUBJECT, seen, expected, "ask one, and set break_glass_second")
    chosen = tuple(word for word in SHORTENS if word in asked)
    return BreakGlass(chosen, reason, by, second, now + LASTS)


def _one_line(text: str) -> str:
    return " ".join(str(text).split())[:LONGEST]


def in_force(freezes: Iterable[str], begin: datetime, end: datetime, segments: schedule.Segments) -> list[str]:
    """Return those of the freezes that lie over some of the span, or cannot be read, which closes as well."""
    return [text for text in freezes if _is_in_force(text, begin, end, segments)]


def _is_in_force(text: str, begin: datetime, end: datetime, segments: schedule.Segments) -> bool:
    try:
        return schedule.frozen([text], begin, end, segments) is not None
    except PatchingError:
        return True


def of_plan(plan: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the break-glass of a plan, or None; only an emergency's plan has one."""
    found: Mapping[str, Any] | None = (plan.get("emergency") or {}).get("break_glass")
    return found


def shortens(plan: Mapping[str, Any], what: str) -> bool:
    """Whether a plan breaks the glass for ``what``."""
    return what in (of_plan(plan) or {}).get("shortens", ())


def breaks(plan: Mapping[str, Any], freeze: str) -> bool:
    """Whether a plan breaks this freeze: the text of a calendar, or what a freeze file tells."""
    return freeze in (of_plan(plan) or {}).get("freezes", ())


def over_since(plan: Mapping[str, Any], now: datetime) -> datetime | None:
    """Return since when a plan's break-glass is over, or None while it is not, or where there is none."""
    found = of_plan(plan)
    until = read_stamp(found["until"]) if found is not None else None
    return until if until is not None and now >= until else None


def told(plan: Mapping[str, Any]) -> str | None:
    """Return a plan's break-glass in one sentence for people, or None where there is none."""
    found = of_plan(plan)
    if found is None:
        return None
    broken = f" Freezes broken: {'; '.join(found['freezes'])}." if found["freezes"] else ""
    return (
        f"Break-glass, asked for by {found['by']}, second person (claimed, not signed) {found['second']}:"
        f" {found['reason']}. Shortened: {', '.join(found['shortens'])}.{broken}"
    )
