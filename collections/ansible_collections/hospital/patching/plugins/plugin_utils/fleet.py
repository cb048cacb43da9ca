# SPDX-License-Identifier: GPL-3.0-or-later
"""What the planner is told of each host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.settings import Settings

SETTING = {"forward": "setting", "way_back": "setting"}


@dataclass(frozen=True)
class Exclusion:
    """Why a host is not planned: ``excluded``, ``refused``, ``nothing_to_do`` or ``unreachable``."""

    outcome: str
    reason: str


@dataclass(frozen=True)
class Candidate:
    """One host of the inventory.

    ``assessment`` is what ``pending_updates_info`` returned; a host without it
    counts as out of its service. A host with ``why_not`` is not planned.
    """

    settings: Settings
    address: str | None
    assessment: Mapping[str, Any] | None
    why_not: Exclusion | None
    #: That it is reported lost or stolen, which goes before every other reason.
    missing: Exclusion | None = None
    #: Where its estimates come from: the ``setting``, the ``host``'s own nights, or those of hosts ``alike``.
    estimated_by: Mapping[str, str] = field(default_factory=lambda: dict(SETTING))
    #: How long each step takes by what was learned, the journey's first; without those of which too little is known.
    estimated_steps_s: Mapping[str, int] = field(default_factory=dict)
    #: How many of its updates wait until they have proven themselves on earlier rings.
    waiting: int = 0
    #: Updates of which it gets the version that earlier rings have proven, not the repository's newest.
    held_to: tuple[str, ...] = ()
    #: That it was assessed for an emergency, without patching_min_age_days.
    is_young: bool = False
    #: Why it owed a reboot when it was assessed: a reboot of the night may not be the patch's doing alone.
    reboot_owed: tuple[str, ...] = ()
    #: Why its way back is the one that assess found out; empty where the site names it.
    snapshot_found: str = ""


def declared_segments(candidates: Mapping[str, Candidate]) -> list[str] | None:
    """Return all device segments that any host's settings declare; None when none does."""
    declared = [one.settings.device_segments for one in candidates.values()]
    known = {segment for segments in declared if segments is not None for segment in segments}
    return sorted(known) if any(segments is not None for segments in declared) else None
