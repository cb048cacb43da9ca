# SPDX-License-Identifier: GPL-3.0-or-later
"""Promotion: a later ring gets an update when it has run well on enough hosts of earlier rings, on earlier nights.

Read from the plans and ledgers of past runs. Each update is promoted by itself,
so that one that is new every day does not hold back all others.

What was proven is what later rings get: the canary's version, by the same
SHA-256. Where the repository has a newer one by then, which no canary has tried,
the plan asks for the proven one; stage says so where the repository has lost it.
One version with another SHA-256 than the canary's is never planned.
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
    #: What the host was to get, as its plan has it.
    update: Mapping[str, Any]


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

    def proven(
        self, update: Mapping[str, Any], settings: Settings, ring: int, now: datetime
    ) -> Mapping[str, Any] | None:
        """Return what earlier rings have proven in the place of ``update``, from the same version on; the newest."""
        found: list[tuple[datetime, Mapping[str, Any]]] = []
        for (name, arch, to), trials in self.of.items():
            if (name, arch) != (update["name"], update["arch"]) or to is None or to == update["to"]:
                continue
            tried = [one for one in trials.values() if one.went_well and one.update["from"] == update["from"]]
            if tried and len(_sums(trials.values())) == 1 and not _lacking(trials.values(), settings, ring, now):
                found.append((max(one.time for one in tried), tried[-1].update))
        return max(found, key=lambda one: one[0])[1] if found else None


def _sums(trials: Iterable[Trial]) -> set[str]:
    return {str(one.update["sha256"]) for one in trials if one.update.get("sha256")}


def _tried(plan: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> Iterable[tuple[Target, Trial]]:
    known = list(records)
    installed = _installed(known)
    for host, state in host_states(known).items():
        entry = plan["hosts"].get(host)
        if entry is None or state.outcome not in FAILURES | {"patched"}:
            continue
        for update in entry["updates"]:
            # What was blocked after the plan was made was not tried.
            if host not in installed or _target(update) in installed[host] or state.outcome != "patched":
                trial = Trial(host, RINGS.index(entry["ring"]), state.outcome == "patched", state.time, update)
                yield _target(update), trial


def _installed(records: Iterable[Mapping[str, Any]]) -> dict[str, set[Target]]:
    """Return what the ledger says that each host got last, where it says so."""
    found: dict[str, set[Target]] = {}
    for record in records:
        detail = record["detail"]
        if (record["step"], record["event"]) == ("install", "done") and "installed" in detail:
            done = {(one["name"], one["arch"], one["to"]) for one in detail["installed"]}
            already = {(one["name"], one["arch"], one["version"]) for one in detail.get("already") or ()}
            found[str(record["host"])] = done | already
    return found


def _target(update: Mapping[str, Any]) -> Target:
    return str(update["name"]), str(update["arch"]), update["to"]


def promoted(candidates: Mapping[str, Candidate], trials: Trials, now: datetime) -> dict[str, Candidate]:
    """Return the candidates without the updates that have to prove themselves first."""
    return {host: _promoted(candidate, trials, now) for host, candidate in candidates.items()}


def _promoted(candidate: Candidate, trials: Trials, now: datetime) -> Candidate:
    settings = candidate.settings
    # A host whose ring is not stated may be the one that its service begins with.
    ring = RINGS.index(settings.ring or "canary")
    if settings.promotion is None or ring == 0 or candidate.assessment is None or candidate.why_not is not None:
        return candidate
    updates: list[Mapping[str, Any]] = []
    waits: list[tuple[Mapping[str, Any], str]] = []
    held: list[str] = []
    for update in candidate.assessment["updates"]:
        lack = _problem(update, trials, settings, ring, now)
        proven = trials.proven(update, settings, ring, now) if lack and update["kind"] == "upgrade" else None
        if proven is not None:
            updates.append(_in_place_of(update, proven))
            held.append(f"{update['name']} {proven['to']} instead of {update['to']}")
        elif lack:
            waits.append((update, lack))
        else:
            updates.append(update)
    if not waits and not held:
        return candidate
    kept = replace(
        candidate, assessment={**candidate.assessment, "updates": updates}, waiting=len(waits), held_to=tuple(held)
    )
    if updates:
        return kept
    first, lack = waits[0]
    reason = f"{first['name']} {first['to'] or '(removed)'} is not promoted to ring {RINGS[ring]}: {lack}"
    return replace(candidate, why_not=Exclusion("excluded", reason), waiting=len(waits))


def _in_place_of(update: Mapping[str, Any], proven: Mapping[str, Any]) -> dict[str, Any]:
    """Return the canary's update, with the host's own mark."""
    return {**update, **proven, "from": update["from"], "automatic": update["automatic"]}


def _problem(update: Mapping[str, Any], trials: Trials, settings: Settings, ring: int, now: datetime) -> str:
    """Return why an update waits, or empty text."""
    tried = trials.of.get(_target(update), {}).values()
    others = _sums(tried) - {str(update["sha256"])}
    if update["sha256"] and others:
        return (
            f"earlier rings ran the same version with the SHA-256 {min(others)[:12]}…, and the repository has "
            f"{update['sha256'][:12]}… now; find out who rebuilt it under the same number"
        )
    return _lacking(tried, settings, ring, now)


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
