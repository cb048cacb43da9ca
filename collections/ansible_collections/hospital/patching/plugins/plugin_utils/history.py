# SPDX-License-Identifier: GPL-3.0-or-later
"""How long hosts took in past runs, read from their ledgers, and what that makes of the next night's estimates.

A host's own nights count first, then those of hosts like it, then what the
inventory has configured as the worst case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate
from ansible_collections.hospital.patching.plugins.plugin_utils.ledger import Ledger
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp

#: How many of the newest runs are read, and how many of a host's newest times count.
RUNS, TIMES = 30, 10
#: So many times a host has to have, or hosts like it have to have together.
OWN, ALIKE = 3, 5
#: What is added to the longest time that was seen: in percent, and never less than this in all.
MARGIN_PERCENT, LEAST_S = 50, 300

Times = dict[str, list[int]]


@dataclass(frozen=True)
class History:
    """Seconds by host, oldest first: of work that ended well, and of ways back."""

    forward: Times = field(default_factory=dict)
    way_back: Times = field(default_factory=dict)
    #: Runs that could not be read.
    problems: tuple[str, ...] = ()

    @classmethod
    def read(cls, store: Evidence) -> History:
        """Return the history that an evidence directory holds; a damaged ledger teaches nothing and is named."""
        history, problems = cls(), []
        for run_id in store.runs()[-RUNS:]:
            try:
                history.learn(Ledger(store.ledger_path(run_id)).read())
            except PatchingError as error:
                problems.append(f"Nothing is learned from run {run_id}: {error}")
        return replace(history, problems=tuple(problems))

    def learn(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take the times from one run's records.

        Whatever a run that was started again had begun before teaches nothing:
        in between nobody worked.
        """
        begun: dict[str, datetime] = {}
        failed: dict[str, datetime] = {}
        for record in records:
            host, step, event = record["host"], record["step"], record["event"]
            time, detail = read_stamp(record["time"]), record["detail"]
            if host is None:
                if (step, event) == ("gate", "begin"):
                    begun, failed = {}, {}
            elif (step, event) == ("gate", "done") and detail.get("before") == "host":
                begun[host] = time
                failed.pop(host, None)
            elif event == "failed":
                failed.setdefault(host, time)
            elif event == "outcome":
                self._ended(host, detail.get("outcome"), time, begun.pop(host, None), failed.pop(host, None))

    def _ended(
        self, host: str, outcome: object, time: datetime, begun: datetime | None, failed: datetime | None
    ) -> None:
        if outcome == "patched" and begun is not None and failed is None:
            self.forward.setdefault(host, []).append(int((time - begun).total_seconds()))
        elif outcome == "rolled_back" and begun is not None and failed is not None:
            self.way_back.setdefault(host, []).append(int((time - failed).total_seconds()))


def with_estimates(candidates: Mapping[str, Candidate], history: History) -> dict[str, Candidate]:
    """Return the candidates with estimates that are learned, as far as anything is known."""
    alike: dict[tuple[object, ...], list[str]] = {}
    for host, candidate in candidates.items():
        alike.setdefault(_kind(candidate), []).append(host)
    return {host: _estimated(host, one, history, alike[_kind(one)]) for host, one in candidates.items()}


def _kind(candidate: Candidate) -> tuple[object, ...]:
    """Hosts are alike that carry the same service on the same system; those without a service by their system alone."""
    facts = (candidate.assessment or {}).get("facts") or {}
    system = tuple(str(facts.get(key)) for key in ("id", "version_id", "architecture"))
    return (candidate.settings.service, candidate.settings.kind, *system)


def _estimated(host: str, candidate: Candidate, history: History, alike: Sequence[str]) -> Candidate:
    settings = candidate.settings
    forward, by = _estimate(host, history.forward, alike, settings.estimate_s)
    way_back, back_by = _estimate(host, history.way_back, alike, settings.way_back_s)
    # Ways back are rare: one that took longer than what is configured counts from the first time on.
    longest = max((seconds for one in alike for seconds in history.way_back.get(one, ())), default=0)
    if back_by == "setting" and longest > way_back:
        way_back, back_by = longest, "alike"
    return replace(
        candidate,
        settings=replace(settings, estimate_s=forward, way_back_s=way_back),
        estimated_by={"forward": by, "way_back": back_by},
    )


def _estimate(host: str, known: Times, alike: Sequence[str], configured: int) -> tuple[int, str]:
    own = known.get(host, [])[-TIMES:]
    if len(own) >= OWN:
        return _with_margin(max(own)), "host"
    others = [seconds for one in alike for seconds in known.get(one, [])[-TIMES:]]
    if len(others) >= ALIKE:
        return _with_margin(max(others)), "alike"
    return configured, "setting"


def _with_margin(seconds: int) -> int:
    """Whole minutes, so that a second more or less makes no other plan."""
    return max(LEAST_S, -(-seconds * (100 + MARGIN_PERCENT) // 6000) * 60)
