# SPDX-License-Identifier: GPL-3.0-or-later
"""Promotion: a later ring gets an update when it has run well on enough hosts of earlier rings, on earlier nights.

Read from the plans and ledgers of past runs. Each update is promoted by itself,
so that one that is new every day does not hold back all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate, Exclusion
from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import FAILURES, host_states
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS, Settings

#: Name, architecture and version to which a host is brought.
Target = tuple[str, str, str | None]


@dataclass(frozen=True)
class Trial:
    """That a host got an update on some night."""

    host: str
    ring: int
    went_well: bool
    time: datetime


@dataclass(frozen=True)
class Trials:
    """What has been tried, the newest of each host."""

    of: dict[Target, dict[str, Trial]] = field(default_factory=dict)

    def learn(self, plan: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> None:
        """Take what one run has tried, later than those before; nothing of it if it cannot be understood.

        Raises:
            KeyError, TypeError, ValueError: the plan is not what a plan is.
        """
        for target, trial in list(_tried(plan, records)):
            self.of.setdefault(target, {})[trial.host] = trial


def _tried(plan: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> Iterable[tuple[Target, Trial]]:
    for host, state in host_states(records).items():
        entry = plan["hosts"].get(host)
        if entry is None or state.outcome not in FAILURES | {"patched"}:
            continue
        trial = Trial(host, RINGS.index(entry["ring"]), state.outcome == "patched", state.time)
        for update in entry["updates"]:
            yield _target(update), trial


def _target(update: Mapping[str, Any]) -> Target:
    return str(update["name"]), str(update["arch"]), update["to"]


def promoted(candidates: Mapping[str, Candidate], trials: Trials, now: datetime) -> dict[str, Candidate]:
    """Return the candidates without the updates that have to prove themselves first."""
    return {host: _promoted(candidate, trials, now) for host, candidate in candidates.items()}


def _promoted(candidate: Candidate, trials: Trials, now: datetime) -> Candidate:
    settings = candidate.settings
    asked_for = settings.promotion
    # A host whose ring is not stated may be the one that its service begins with.
    ring = RINGS.index(settings.ring or "canary")
    if asked_for is None or ring == 0 or candidate.assessment is None or candidate.why_not is not None:
        return candidate
    lacking = {
        number: lack
        for number, update in enumerate(candidate.assessment["updates"])
        if (lack := _lacking(trials.of.get(_target(update), {}).values(), settings, ring, now))
    }
    if not lacking:
        return candidate
    updates = [one for number, one in enumerate(candidate.assessment["updates"]) if number not in lacking]
    kept = replace(candidate, assessment={**candidate.assessment, "updates": updates}, waiting=len(lacking))
    if updates:
        return kept
    first = candidate.assessment["updates"][min(lacking)]
    what = f"{first['name']} {first['to'] or '(removed)'}"
    reason = f"{what} is not promoted to ring {RINGS[ring]}: {lacking[min(lacking)]}"
    return replace(candidate, why_not=Exclusion("excluded", reason), waiting=len(lacking))


def _lacking(trials: Iterable[Trial], settings: Settings, ring: int, now: datetime) -> str:
    """Return what an update lacks for a ring, or empty text."""
    earlier = [trial for trial in trials if trial.ring < ring]
    soaked = timedelta(seconds=settings.soak_s)
    well = [trial for trial in earlier if trial.went_well and trial.time + soaked <= now]
    wanted = settings.promotion or {}
    if len(well) < wanted["count"]:
        return f"{len(well)} of {wanted['count']} hosts of earlier rings have run well with it"
    share = 100 * len(well) // len(earlier)
    if share < wanted["share_percent"]:
        return f"on {share} % of the hosts of earlier rings it went well, of {wanted['share_percent']} % asked for"
    return ""
