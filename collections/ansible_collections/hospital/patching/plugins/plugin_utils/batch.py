# SPDX-License-Identifier: GPL-3.0-or-later
"""One wave while it is filled: who may go with whom, and with whom it is worth it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from math import inf, log

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.members import Member
from ansible_collections.hospital.patching.plugins.plugin_utils.precedence import Lot
from ansible_collections.hospital.patching.plugins.plugin_utils.services import Service

#: How many lengths of a wave are tried.
LENGTHS = 8
#: How much longer than another of its band a host may take, as a logarithm.
BAND = log(1.25)
#: How much longer than its path the work beside it may take for a lot to be urgent: nothing ends as planned.
PATH_MARGIN = 1.25


@dataclass(frozen=True)
class Limits:
    """The most hosts of one wave, and the most canaries; where that is one, it goes alone."""

    parallel: int = 10
    canaries: int = 1

    @classmethod
    def of(cls, parallel: int, canaries: int) -> Limits:
        """Return limits that a person has set.

        Raises:
            PatchingError: no host may go, or more canaries than hosts.
        """
        if not 1 <= canaries <= parallel:
            raise PatchingError(
                "the limits of the waves",
                f"parallel is {parallel} and canaries {canaries}",
                "parallel of 1 or more, and canaries between 1 and that",
                "correct plan_parallel or plan_canaries",
            )
        return cls(parallel, canaries)


@dataclass
class Batch:
    """One wave while it is filled."""

    services: Mapping[str, Service]
    limits: Limits
    begin: datetime
    #: Manifests that no host has had yet: their first one goes alone, so none goes in a wave of several.
    new_groups: Collection[str] = ()
    shortest_first: bool = False
    members: list[Member] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    out: Counter[str] = field(default_factory=Counter)
    balancers: set[str | None] = field(default_factory=set)
    canaries: int = 0
    longest_s: int = 0
    work_s: int = 0

    @property
    def end(self) -> datetime:
        return self.begin + timedelta(seconds=self.longest_s)

    def rate(self, since: datetime) -> float:
        """How much work is done in the time that passes until the end."""
        return self.work_s / ((self.end - since).total_seconds() or 1)

    @property
    def is_full(self) -> bool:
        return len(self.members) >= self.limits.parallel or self.canaries == self.limits.canaries == 1

    def has_no_room(self, member: Member) -> bool:
        """Whether no further host of the member's service and ring may go with those that were taken."""
        if self.is_full:
            return True
        if member.ring == "canary" and (
            self.canaries >= self.limits.canaries or (self.limits.canaries == 1 and self.members)
        ):
            return True
        if member.service is None:
            return False
        service = self.services[member.service]
        return self.out[service.name] >= service.allowance or any(self.out[name] for name in service.apart)

    def goes_before(self, other: Member, begin: datetime, rest_s: float) -> bool:
        """Whether a window of those that were taken presses, and more than the one of ``other``."""
        latest = min((member.latest for member in self.members if member.latest is not None), default=None)
        if latest is None or latest >= begin + timedelta(seconds=rest_s * PATH_MARGIN):
            return False
        return other.latest is None or latest < other.latest

    def take(self, member: Member) -> bool:
        """Take a host if it may go with the others; whether it was taken."""
        together = member.host in self.balancers or member.drained_by in self.hosts or member.host in self.hosts
        if together or member.group in self.new_groups or self.has_no_room(member):
            return False
        if member.service is not None:
            self.out[member.service] += 1
        self.members.append(member)
        self.hosts.add(member.host)
        self.balancers.update({member.drained_by} - {None})
        self.canaries += member.ring == "canary"
        self.longest_s = max(self.longest_s, member.estimate_s)
        self.work_s += member.estimate_s
        return True

    def copy(self) -> Batch:
        return replace(
            self,
            members=list(self.members),
            hosts=set(self.hosts),
            out=self.out.copy(),
            balancers=set(self.balancers),
        )


def closes_in_s(lot: Lot, begin: datetime, rest_s: float) -> float:
    """Return in how many seconds the work of a lot has to begin; infinity when no window is pressing."""
    if lot.latest is None:
        return inf
    closes = (lot.latest - begin).total_seconds()
    return closes if closes < max(rest_s, lot.path_s) * PATH_MARGIN else inf


def urgency(lot: Lot, begin: datetime, rest_s: float, lone: bool) -> tuple[float, ...] | None:
    """Return how urgent a lot is, the smallest first; None when neither its window nor its path is pressing.

    Args:
        rest_s: how long the work that is left of this turn takes at best.
        lone: whether a canary goes alone, and so before others.
    """
    closes = closes_in_s(lot, begin, rest_s)
    if closes < inf:
        return (0, closes, -lot.path_s)
    if lone and lot.first.ring == "canary":
        return (1, 0, -lot.path_s)
    return (2, 0, -lot.path_s) if lot.path_s * PATH_MARGIN >= rest_s else None


def best(empty: Batch, pool: Sequence[Lot], rest_s: float) -> Batch:
    """Return a wave of hosts of ``pool``: the urgent ones and others that take no longer, or as much work as possible.

    Args:
        rest_s: how long the work that is left of this turn takes at best.
    """
    lone = empty.limits.canaries == 1
    ranked = ((rank, n) for n, lot in enumerate(pool) if (rank := urgency(lot, empty.begin, rest_s, lone)) is not None)
    if empty.shortest_first:
        ranked = (((rank[0], pool[n].path_s), n) for rank, n in ranked)
    for _rank, n in sorted(ranked):
        _take_all(empty, pool[n])
    if empty.members:
        return _with_alike(empty, pool, empty.longest_s)
    lengths = sorted({lot.first.estimate_s for lot in pool}, reverse=True)
    tried = (_with_alike(empty, pool, longest_s) for longest_s in lengths[:: len(lengths) // LENGTHS + 1])
    return max(tried, key=lambda batch: batch.rate(since=batch.begin))


def _take_all(batch: Batch, lot: Lot) -> None:
    """Take as many hosts of a lot as may go together."""
    for member in reversed(lot.members) if batch.shortest_first else lot.members:
        if not batch.take(member) and batch.has_no_room(member):
            break


def _with_alike(taken: Batch, pool: Sequence[Lot], longest_s: int) -> Batch:
    """Return the batch with more hosts, whose work takes no longer than ``longest_s``, and the longer the better."""
    batch = taken.copy()
    paths = [lot.path_s for lot in pool]

    def key(n: int, at: int) -> tuple[int, int, int, int]:
        return (_band(pool[n].members[at].estimate_s, longest_s), -paths[n], n, at)

    firsts = (bisect_left(lot.members, -longest_s, key=lambda member: -member.estimate_s) for lot in pool)
    heads = [key(n, at) for n, at in enumerate(firsts) if at < len(pool[n].members)]
    heapify(heads)
    while heads and not batch.is_full:
        *_rank, n, at = heappop(heads)
        members = pool[n].members
        batch.take(members[at])
        if at + 1 < len(members) and not batch.has_no_room(members[at + 1]):
            heappush(heads, key(n, at + 1))
    return batch


def _band(estimate_s: int, longest_s: int) -> int:
    """Hosts of one band take about as long as each other; among them the longest path decides. 0 is the longest."""
    return int(log(longest_s / estimate_s) / BAND)
