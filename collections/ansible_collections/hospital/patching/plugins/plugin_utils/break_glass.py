# SPDX-License-Identifier: GPL-3.0-or-later
"""Break-glass: what an emergency may shorten, who answers for it, and until when.

It is part of the plan and of its digest, so that whoever reads or signs the
plan reads that too. What it cannot shorten: hands-off, ``min_healthy``, the way
back and verification. Of freezes it breaks the very occurrences and files that
were there when the plan was made: whatever comes later counts.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.broken_freezes import BrokenFile, BrokenFreeze
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
    "window": "plan with an emergency window instead: -e \"patching_window='…'\"",
    "hands_off": "a vendor_locked host is never connected to",
    "min_healthy": "patients need the service while it is patched",
    "way_back": "no install without a way back",
    "verification": "a host that is not proven healthy is not returned",
    "failure_budget": "one bad patch must not meet a second host",
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
    freezes: tuple[BrokenFreeze, ...] = ()
    freeze_files: tuple[BrokenFile, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as the plan has it (schema: ``schemas/plan.json``)."""
        return {
            "shortens": list(self.shortens),
            "reason": self.reason,
            "by": self.by,
            "second": self.second,
            "until": stamp(self.until),
            "freezes": [one.as_dict() for one in self.freezes],
            "freeze_files": [one.as_dict() for one in self.freeze_files],
        }

    @property
    def ends(self) -> str:
        return f"the break-glass is over at {stamp(self.until)}"

    def breaking(self, freezes: Iterable[BrokenFreeze], files: Iterable[BrokenFile]) -> BreakGlass:
        """Return it with the freezes that it breaks, as far as it breaks any."""
        if "freeze" not in self.shortens:
            return self
        return replace(self, freezes=tuple(sorted(set(freezes))), freeze_files=tuple(sorted(set(files))))

    def shortened(self, settings: Settings) -> Settings:
        """Return a host's settings with what is shortened of them.

        Rings that are one allow no failure: a share of all would be more than the shares of each.
        """
        if "rings" in self.shortens:
            budget = {**settings.failure_budget, "ring": {"count": 0}}
            settings = replace(settings, ring=None, promotion=None, failure_budget=budget)
        if "soak" in self.shortens:
            settings = replace(settings, soak_s=min(settings.soak_s, SOAK_S))
        return settings


def read(shortens: Sequence[str] | str, reason: str, second: str, by: str, now: datetime) -> BreakGlass | None:
    """Return what a person asks for, or None when he asks for no break-glass.

    Args:
        shortens: words of :data:`SHORTENS`, also as one text with commas.
        by: who asks.

    Raises:
        PatchingError: it is incomplete, or asks for what is never shortened.
    """
    texts = [shortens] if isinstance(shortens, str) else [str(one) for one in shortens]
    asked = [word.casefold().replace("-", "_") for text in texts for word in text.replace(",", " ").split()]
    reason, second = _one_line(reason), _one_line(second)
    if not asked and not reason and not second:
        return None
    may = ", ".join(SHORTENS)
    for word in asked:
        if word not in SHORTENS:
            seen = f"break_glass is to shorten {word}" + (f": {NEVER[word]}" if word in NEVER else "")
            near = difflib.get_close_matches(word, SHORTENS, n=1)
            raise PatchingError(_SUBJECT, seen, f"some of {may}", f"perhaps {near[0]}" if near else "leave it out")
    if not asked:
        raise PatchingError(_SUBJECT, "it does not say what to shorten", f"some of {may}", "set break_glass")
    if not reason:
        raise PatchingError(_SUBJECT, "no reason", "one that an auditor will read", "set break_glass_reason")
    if not second or _same(second, by):
        seen = f"the second person is {second}, who asks himself" if second else "no second person"
        expected = "the name of another person who agrees, an engineer or not"
        raise PatchingError(_SUBJECT, seen, expected, "ask one, and set break_glass_second")
    chosen = tuple(word for word in SHORTENS if word in asked)
    return BreakGlass(chosen, reason, by, second, now + LASTS)


def _one_line(text: str) -> str:
    """Return a text as it may stand in what people read before they sign."""
    words = " ".join(str(text).split())
    return "".join(sign for sign in words if sign.isprintable())[:LONGEST].strip()


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def of_plan(plan: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the break-glass of a plan, or None; only an emergency's plan has one."""
    found: Mapping[str, Any] | None = (plan.get("emergency") or {}).get("break_glass")
    return found


def shortens(plan: Mapping[str, Any], what: str) -> bool:
    """Whether a plan breaks the glass for ``what``."""
    return what in (of_plan(plan) or {}).get("shortens", ())


def problem(plan: Mapping[str, Any]) -> str:
    """Return why no release would have made this break-glass, or empty text."""
    found = of_plan(plan)
    if found is None:
        return ""
    if read_stamp(found["until"]) - read_stamp(plan["created"]) > LASTS:
        return f"its break-glass lasts until {found['until']}"
    if _same(found["second"], found["by"]):
        return f"its break-glass has {found['by']} for both persons"
    if "freeze" not in found["shortens"] and (found["freezes"] or found["freeze_files"]):
        return "its break-glass names freezes that it does not break"
    return ""


def over_since(plan: Mapping[str, Any], now: datetime) -> datetime | None:
    """Return since when a plan's break-glass is over, or None while it is not, or where there is none."""
    found = of_plan(plan)
    until = read_stamp(found["until"]) if found is not None else None
    return until if until is not None and now >= until else None


def holding(plan: Mapping[str, Any], now: datetime, taken: bool) -> Mapping[str, Any] | None:
    """Return a plan's break-glass while it breaks freezes: until it is over, and longer for a host in flight."""
    return of_plan(plan) if taken or over_since(plan, now) is None else None


def told(plan: Mapping[str, Any]) -> str | None:
    """Return a plan's break-glass in one sentence for people, or None where there is none."""
    found = of_plan(plan)
    if found is None:
        return None
    broken = [f"{one['freeze']} (from {one['start']} to {one['end']})" for one in found["freezes"]]
    broken += [one["told"] for one in found["freeze_files"]]
    sentence = (
        f"Break-glass, asked for by {found['by']}, second person (claimed, not signed) {found['second']}:"
        f" {found['reason']}. Shortened: {', '.join(found['shortens'])}; begins no host after {found['until']}."
    )
    return sentence + (f" Freezes broken: {'; '.join(broken)}." if broken else "")
