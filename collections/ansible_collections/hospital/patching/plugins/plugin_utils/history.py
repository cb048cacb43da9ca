# SPDX-License-Identifier: GPL-3.0-or-later
"""How long hosts took in past runs, and what that makes of the next night's estimates.

A host's own nights count first, then those of hosts like it, then what the
inventory has configured as the worst case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import disk_revert, hooks
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate
from ansible_collections.hospital.patching.plugins.plugin_utils.rehearsal import REHEARSAL
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import Settings
from ansible_collections.hospital.patching.plugins.plugin_utils.step_times import AHEAD, STEPS, step_seconds
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp

#: How many of a host's newest times count.
TIMES = 10
#: So many times a host has to have, or hosts like it have to have together.
OWN, ALIKE = 3, 5
#: What is added to the longest time that was seen: in percent, and never less than this for a whole journey.
MARGIN_PERCENT, LEAST_S = 50, 300

#: The ways back, by what is put back. A run takes the disk only after the packages, and its time has both.
BY_PACKAGES, BY_DISK = "way_back", "disk_back"

Times = dict[str, list[int]]


@dataclass(frozen=True)
class History:
    """Seconds by host, oldest first: of work that ended well, of ways back by packages and by disk, of each step."""

    forward: Times = field(default_factory=dict)
    way_back: Times = field(default_factory=dict)
    disk_back: Times = field(default_factory=dict)
    steps: dict[str, Times] = field(default_factory=dict)

    def learn(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Take the times from one run's records.

        Whatever a run that was started again had begun before teaches nothing:
        in between nobody worked. A disk revert that a person asked for has no
        failure before it; it counts from where its intent was written down.
        """
        for host, took in step_seconds(records).items():
            for step, seconds in took.items():
                self.steps.setdefault(step, {}).setdefault(host, []).append(seconds)
        begun: dict[str, datetime] = {}
        failed: dict[str, datetime] = {}
        reverted: dict[str, datetime] = {}
        asked = False
        for record in records:
            host, step, event = record["host"], record["step"], record["event"]
            time, detail = read_stamp(record["time"]), record["detail"]
            if host is None:
                if (step, event) == ("gate", "begin"):
                    begun, failed, reverted = {}, {}, {}
                    asked = bool(detail.get("rollback"))
            elif (step, event) == ("gate", "done") and detail.get("before") == "host":
                begun[host] = time
                failed.pop(host, None)
                reverted.pop(host, None)
            elif event == "note" and detail.get(REHEARSAL):
                # A way back that was gone to its end; a night with one says nothing of how long other nights take.
                self.disk_back.setdefault(host, []).append(int(detail[REHEARSAL]["took_s"]))
                begun.pop(host, None)
            elif event == "failed":
                failed.setdefault(host, time)
            elif event == "note" and detail.get(disk_revert.INTENT):
                reverted.setdefault(host, time)
                if asked:  # that a host did not answer beforehand is no way back yet
                    failed.pop(host, None)
            elif event == "outcome":
                journey = _Journey(begun.pop(host, None), failed.pop(host, None), reverted.pop(host, None))
                self._ended(host, detail.get("outcome"), time, journey)

    def _ended(self, host: str, outcome: object, time: datetime, journey: _Journey) -> None:
        back = journey.failed or journey.reverted
        if journey.begun is None:
            return
        if outcome == "patched" and back is None:
            self.forward.setdefault(host, []).append(int((time - journey.begun).total_seconds()))
        elif outcome == "rolled_back" and back is not None:
            known = self.way_back if journey.reverted is None else self.disk_back
            known.setdefault(host, []).append(int((time - back).total_seconds()))


@dataclass(frozen=True)
class _Journey:
    """When a host was begun, when its patch failed, and when the intent to put its disk back was written down."""

    begun: datetime | None
    failed: datetime | None
    reverted: datetime | None


@dataclass(frozen=True)
class _Alike:
    """The longest times of hosts alike, by what was measured, and the longest of all their ways back of each kind."""

    longest: Mapping[str, int]
    ways_back: Mapping[str, int]


def with_estimates(candidates: Mapping[str, Candidate], history: History) -> dict[str, Candidate]:
    """Return the candidates with estimates that are learned, as far as anything is known."""
    kinds: dict[tuple[object, ...], list[str]] = {}
    for host, candidate in candidates.items():
        kinds.setdefault(_kind(candidate), []).append(host)
    alike = {kind: _alike(history, hosts) for kind, hosts in kinds.items()}
    return {host: _estimated(host, one, history, alike[_kind(one)]) for host, one in candidates.items()}


def _kind(candidate: Candidate) -> tuple[object, ...]:
    """Hosts are alike that carry the same service on the same system; those without a service by their system alone."""
    facts = (candidate.assessment or {}).get("facts") or {}
    system = tuple(str(facts.get(key)) for key in ("id", "version_id", "architecture"))
    return (candidate.settings.service, candidate.settings.kind, *system)


def _alike(history: History, hosts: Sequence[str]) -> _Alike:
    longest = {}
    for name, known in _measured(history).items():
        times = [seconds for host in hosts for seconds in known.get(host, [])[-TIMES:]]
        if len(times) >= ALIKE:
            longest[name] = max(times)
    backs = {BY_PACKAGES: history.way_back, BY_DISK: history.disk_back}
    slowest = {name: max((max(known.get(host, [0])) for host in hosts), default=0) for name, known in backs.items()}
    return _Alike(longest, slowest)


def _measured(history: History) -> dict[str, Times]:
    backs = {BY_PACKAGES: history.way_back, BY_DISK: history.disk_back}
    return {"forward": history.forward, **backs, **history.steps}


def _estimated(host: str, candidate: Candidate, history: History, alike: _Alike) -> Candidate:
    settings = candidate.settings
    longest = _longest(host, history, alike)
    forward, by = _estimate(longest.get("forward"), settings.estimate_s)
    backs = _ways_back(settings)
    # Of two ways back the longer one counts; one that nobody has seen yet takes what is configured.
    learned = [_estimate(longest.get(name), settings.way_back_s) for name in backs]
    way_back, back_by = max(learned, key=lambda one: one[0])
    # Ways back are rare: one that took longer, of whichever host like it, counts from the first time on.
    slowest = _whole_minutes(_with_margin(max(alike.ways_back[name] for name in backs)))
    if slowest > way_back:
        way_back, back_by = slowest, "alike"
    # A step may well take less than a minute.
    steps = {step: _with_margin(longest[step][0]) for step in STEPS if step in longest}
    # A night in which every step takes as long as it once did is the worst case known, though nobody has seen it yet:
    # each was slow on another night, or the nights that had the slow one failed later. The gate lets nobody begin
    # whose work does not fit, so the larger one counts. Both have their margin; it is not added twice.
    disruptive = [step for step in steps if step != AHEAD]
    work = sum(steps[step] for step in disruptive)
    if work > forward:
        forward = _whole_minutes(work)
        by = "host" if all(longest[step][1] == "host" for step in disruptive) else "alike"
    # Past nights may have had no hook, or one that ended at once; the next one may need all of its time.
    hooks_s, hooks_back_s = hooks.longest_s((*settings.hooks, *settings.host_hooks))
    # Nor may they have had a soak; health is read on the host, then from where users are.
    soak_s = 2 * settings.health_soak_s
    return replace(
        candidate,
        settings=replace(settings, estimate_s=forward + hooks_s + soak_s, way_back_s=way_back + hooks_back_s + soak_s),
        estimated_by={"forward": by, "way_back": back_by},
        estimated_steps_s=steps,
    )


def _ways_back(settings: Settings) -> tuple[str, ...]:
    """Return what a failed patch of a host may need: its packages put back, and its disk where policy allows that.

    Whether its data moves on is judged when it fails, by what is installed then; until then it may need the time.
    """
    entry = {"snapshot": settings.snapshot, "disk_revert": settings.disk_revert}
    allowed = disk_revert.allowed(entry, "patching_stateful says so" if settings.stateful else "")["allowed"]
    return (BY_PACKAGES, BY_DISK) if allowed else (BY_PACKAGES,)


def _longest(host: str, history: History, alike: _Alike) -> dict[str, tuple[int, str]]:
    """Return the longest times that count for a host, by what was measured, and whether they are its own."""
    found = {name: (seconds, "alike") for name, seconds in alike.longest.items()}
    for name, known in _measured(history).items():
        own = known.get(host, [])[-TIMES:]
        if len(own) >= OWN:
            found[name] = (max(own), "host")
    return found


def _estimate(longest: tuple[int, str] | None, configured: int) -> tuple[int, str]:
    if longest is None:
        return configured, "setting"
    seconds, by = longest
    return max(LEAST_S, _whole_minutes(_with_margin(seconds))), by


def _with_margin(seconds: int) -> int:
    return -(-seconds * (100 + MARGIN_PERCENT) // 100)


def _whole_minutes(seconds: int) -> int:
    """So that a second more or less makes no other plan."""
    return -(-seconds // 60) * 60
