# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gate is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils import break_glass, broken_freezes
from ansible_collections.hospital.patching.plugins.plugin_utils.answers import Standing
from ansible_collections.hospital.patching.plugins.plugin_utils.occurrences import Occurrence
from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import HostState
from ansible_collections.hospital.patching.plugins.plugin_utils.rehearsal import Rehearsals
from ansible_collections.hospital.patching.plugins.plugin_utils.segments import Contact
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp, stamp
from ansible_collections.hospital.patching.plugins.plugin_utils.watchers import Watch


@dataclass(frozen=True)
class Gate:
    """The answer. After ``wait``, ask again from time to time; this reason to wait ends at ``until`` at the latest."""

    decision: str
    reason: str
    until: datetime | None = None


@dataclass(frozen=True)
class Question:
    """Everything the answer depends on; ``asked`` is when it was asked for the first time."""

    plan: Mapping[str, Any]
    host: str
    now: datetime
    contact: Contact
    frozen: str | None
    states: Mapping[str, HostState] = field(default_factory=dict)
    stop_requested: str | None = None
    approvers: Collection[str] = ()
    asked: datetime | None = None
    inhibited: str | None = None
    #: Freezes and the number of approvals that the inventory asks for by now, beside the plan's.
    freezes: Sequence[str] = ()
    approvals: int = 0
    #: The inventory's tier by now, beside the plan's, and the watcher that counts or what was seen instead of one.
    tier: int = 4
    watch: Watch | str | None = None
    #: Whether the run has disrupted the host already and not finished it: it is, whatever came since.
    taken: bool = False
    #: How the questions to people of its service stand, by the probe's name.
    people: Mapping[str, Standing] = field(default_factory=dict)
    #: Whose revert is to be rehearsed before others begin, and where that is proven.
    rehearsals: Rehearsals = field(default_factory=Rehearsals)

    @property
    def frozen_by(self) -> list[str]:
        """The freezes of the plan, and those that came since: a freeze needs no new plan."""
        planned: list[str] = self.entry["freezes"]
        return [*planned, *(text for text in self.freezes if text not in planned)]

    @property
    def broken(self) -> Mapping[str, Any] | None:
        """The plan's break-glass while it breaks freezes."""
        return break_glass.holding(self.plan, self.now, self.taken)

    @property
    def gaps(self) -> dict[str, frozenset[Occurrence]]:
        """The occurrences of freezes that do not count."""
        return broken_freezes.occurrences(self.broken)

    @property
    def segments(self) -> list[str] | None:
        found: list[str] | None = self.plan["site"]["segments"]
        return found

    @property
    def entry(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.plan["hosts"][self.host]
        return found

    @property
    def need(self) -> timedelta:
        """How long before the window's end the host has to begin."""
        seconds = max(self.entry["estimate_s"] + self.entry["way_back_s"], self.entry.get("cut_off_s", 0))
        # A rehearsal goes the way back once more.
        return timedelta(seconds=seconds + self.rehearsals.due(self.host) * self.entry["way_back_s"])

    @property
    def end(self) -> datetime | None:
        window = self.entry["window"]
        return read_stamp(window["end"]) if window else None

    @property
    def cut_off(self) -> datetime:
        """The last moment to which it may wait: work and way back still fit in the window.

        A host without a window waits no longer than its soak, work and way back
        take: what it waits for has been given up by then.
        """
        if self.end is not None:
            return self.end - self.need
        return (self.asked or self.now) + self.need + timedelta(seconds=self.entry["soak_s"])


Check = Callable[[Question], Gate | None]


def wait(question: Question, reason: str, until: datetime | None = None) -> Gate:
    """Wait until ``until``, at most to the cut-off; stop when that is past, or comes first."""
    cut_off = question.cut_off
    if question.now < cut_off and (until is None or until <= cut_off):
        return Gate("wait", reason, until or cut_off)
    if question.end is None:
        return Gate("stop", f"{reason}; it has no window, and nothing is waited for after {stamp(cut_off)}")
    return Gate("stop", f"{reason}; after {stamp(cut_off)} work and way back no longer fit in the window")
