# SPDX-License-Identifier: GPL-3.0-or-later
"""An emergency: a plan for one CVE, with exposed hosts first, and perhaps with broken glass (:mod:`break_glass`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import break_glass, broken_freezes, halt_files, one_cve
from ansible_collections.hospital.patching.plugins.plugin_utils.break_glass import BreakGlass
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate, Exclusion, declared_segments
from ansible_collections.hospital.patching.plugins.plugin_utils.occurrences import Occurrence
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp
from ansible_collections.hospital.patching.plugins.plugin_utils.timing import Slot

_EARLIER = "plan with an emergency window: -e \"patching_window='…'\""


@dataclass(frozen=True)
class Emergency:
    """What is asked for; ``glass`` is None while everything counts as on any other night."""

    cve: str
    glass: BreakGlass | None = None

    def as_dict(self, exposed: Iterable[str], first: Iterable[str]) -> dict[str, Any]:
        """Return it as the plan has it (schema: ``schemas/plan.json``).

        Args:
            exposed: the planned hosts that can be reached from outside.
            first: those of them with which the night begins.
        """
        return {
            "cve": self.cve,
            "exposed": sorted(exposed),
            "first": sorted(first),
            "break_glass": self.glass.as_dict() if self.glass is not None else None,
        }

    def applied(self, candidates: Mapping[str, Candidate]) -> dict[str, Candidate]:
        """Return the candidates with what is shortened of their settings."""
        if self.glass is None:
            return dict(candidates)
        return {host: replace(one, settings=self.glass.shortened(one.settings)) for host, one in candidates.items()}

    def over_before(self, slots: Mapping[str, Slot]) -> dict[str, Exclusion]:
        """Return the hosts whose windows open when the broken glass is whole again."""
        if self.glass is None:
            return {}
        opens = {host: slot.occurrence.start for host, slot in slots.items() if slot.occurrence is not None}
        return {
            host: Exclusion("refused", f"its window opens at {stamp(at)}, and {self.glass.ends}; {_EARLIER}")
            for host, at in opens.items()
            if at >= self.glass.until
        }

    def limited(self, slots: Mapping[str, Slot]) -> dict[str, Slot]:
        """Return the slots as far as the glass is broken."""
        until = self.glass.until if self.glass is not None else None
        return {host: replace(slot, until=until) for host, slot in slots.items()}

    def breaking(self, candidates: Mapping[str, Candidate], evidence_dir: Path, now: datetime) -> Emergency:
        """Return it with the freezes that it breaks: those of hosts that may be planned, while the glass is broken."""
        if self.glass is None:
            return self
        asked = [one.settings for one in candidates.values() if one.why_not is None and one.settings.managed]
        texts = sorted({text for settings in asked for text in settings.freezes})
        default = evidence_dir / halt_files.FREEZE
        paths = {Path(settings.freeze_file) if settings.freeze_file else default for settings in asked}
        calendars = broken_freezes.of_calendars(texts, now, self.glass.until, declared_segments(candidates))
        return replace(self, glass=self.glass.breaking(calendars, broken_freezes.of_files(paths)))

    @property
    def broken(self) -> dict[str, frozenset[Occurrence]]:
        """The occurrences of freezes that do not count, by the texts of their freezes."""
        return broken_freezes.occurrences(self.glass.as_dict()) if self.glass is not None else {}


def first_of(exposed: Collection[str], slots: Mapping[str, Slot], now: datetime) -> set[str]:
    """Return the exposed hosts with which the night begins.

    Those whose windows open later are not waited for: meanwhile others go, and
    they take their turns by tier like everybody.
    """
    opens = {host: max(now, slot.occurrence.start) if slot.occurrence else now for host, slot in slots.items()}
    begins = min(opens.values(), default=now)
    return {host for host in exposed if opens.get(host) == begins}


def told(plan: Mapping[str, Any]) -> list[str]:
    """Return what a plan, or a report of its run, tells of its emergency: a few sentences, none on any other night."""
    found = plan.get("emergency")
    if not found:
        return []
    hosts = plan.get("hosts")
    # Of a plan from which hosts were dropped, some are gone.
    exposed = [host for host in found["first"] if not isinstance(hosts, Mapping) or host in hosts]
    first = f", exposed hosts first ({', '.join(exposed)})" if exposed else ""
    broken = break_glass.told(plan)
    return [f"Emergency: only what fixes {found['cve']}{first}.", *([broken] if broken else [])]


def without_young(candidates: Mapping[str, Candidate], urgent: Emergency | None) -> dict[str, Candidate]:
    """Return the candidates, refusing those whose assessment an emergency made, unless this plan is for one too.

    It names versions that are too young for any other night.
    """
    may = urgent is not None and urgent.glass is not None and "age" in urgent.glass.shortens
    return {host: one if may or not one.is_young else _refused_as_young(host, one) for host, one in candidates.items()}


def _refused_as_young(host: str, candidate: Candidate) -> Candidate:
    seen = "its assessment was made for an emergency, with versions that are younger than patching_min_age_days"
    error = PatchingError(f"host {host}", seen, "one as on any other night", "run assess.yml, then plan again")
    return replace(candidate, why_not=candidate.why_not or Exclusion("refused", str(error)))


def read(arguments: Mapping[str, Any], by: Callable[[], str], now: datetime) -> Emergency | None:
    """Return the emergency that is asked for, or None for a plan as on any other night.

    Args:
        arguments: ``emergency`` (whether it is one), ``cve``, ``break_glass``, ``break_glass_reason``,
            ``break_glass_second``.
        by: says who asks; only asked where somebody does.

    Raises:
        PatchingError: it names no CVE, or breaks the glass without being one, or as :func:`break_glass.read` says.
    """
    words = [arguments[key] for key in ("break_glass", "break_glass_reason", "break_glass_second")]
    glass = break_glass.read(words[0], words[1], words[2], by(), now) if any(words) else None
    if not arguments["emergency"]:
        if glass is None:
            return None
        seen, expected = "it is asked for in a plan as on any other night", "an emergency, for one CVE"
        raise PatchingError("the break-glass request", seen, expected, "use emergency.yml -e cve=CVE-…")
    found = one_cve.read(arguments["cve"])
    if found is None:
        raise PatchingError("the emergency", "no CVE is named", "one like CVE-2026-12345", "add -e cve=CVE-…")
    return Emergency(found, glass)
