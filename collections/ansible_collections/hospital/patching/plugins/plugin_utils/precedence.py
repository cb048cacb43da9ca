# SPDX-License-Identifier: GPL-3.0-or-later
"""Who waits for whom: rings, the order that the inventory declares, and replicas before their primary.

Hosts that wait for the same form one lot. A host waits for names, each of which
stands for all planned hosts that bear it: a host, a service, a ring of a
service, the replicas of a service.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from ansible_collections.hospital.patching.plugins.plugin_utils.members import (
    Member,
    Name,
    borne_by,
    names,
    order,
    waits,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.services import Service
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import KINDS

#: The kind, whether it is not exposed, and how little critical the tier is: smaller goes first.
Turn = tuple[int, int, int]


@dataclass
class Lot:
    """Hosts of one service and ring with one window that wait for the same, the longest work first.

    Args:
        waits: names, and for how many seconds their hosts must have run well.
        at_once: how many of them may be out together.
        tail_s: how long at least the work of those that wait for this lot takes.

    ``work_s`` is how long its own work takes at least, ``latest`` when the first of its windows needs it to begin.
    """

    members: list[Member]
    waits: tuple[tuple[Name, int], ...]
    at_once: int
    turn: Turn = (0, 0, 0)
    tail_s: int = 0
    work_s: int = field(init=False)
    latest: datetime | None = field(init=False)

    def __post_init__(self) -> None:
        self._measure()

    @property
    def first(self) -> Member:
        return self.members[0]

    @property
    def path_s(self) -> int:
        """How long it takes at least until all that hangs on this lot is done."""
        return self.work_s + self.tail_s

    def leave_out(self, hosts: Collection[str]) -> None:
        """Take hosts out of the lot: they have gone, or will not."""
        self.members = [member for member in self.members if member.host not in hosts]
        if self.members:
            self._measure()

    def _measure(self) -> None:
        total = sum(member.estimate_s for member in self.members)
        self.work_s = max(self.first.estimate_s, total // self.at_once)
        self.latest = min((member.latest for member in self.members if member.latest is not None), default=None)


def lots(members: Sequence[Member], services: Mapping[str, Service]) -> list[Lot]:
    """Return the lots of ``members``, whose canaries are named; none comes before one that it waits for.

    Raises:
        CycleError: hosts wait for each other; its second argument are the lots.
    """
    borne = borne_by(members)
    alike: dict[tuple[object, ...], list[Member]] = {}
    for member in sorted(members, key=lambda one: (-one.estimate_s, order(one))):
        alike.setdefault(_alike(member), []).append(member)
    found = [Lot(hosts, tuple(waits(hosts[0], borne)), _at_once(hosts, services)) for hosts in alike.values()]
    return _ranked(sorted(found, key=lambda lot: order(lot.first)))


def _alike(member: Member) -> tuple[object, ...]:
    of_host = (member.service, member.kind, member.tier, member.ring, member.role == "primary", member.soak_s)
    return (*of_host, member.opens, member.after, member.exposed)


def _at_once(members: Sequence[Member], services: Mapping[str, Service]) -> int:
    service = members[0].service
    return max(1, services[service].allowance) if service is not None else len(members)


def _ranked(found: list[Lot]) -> list[Lot]:
    """Give each lot its turn, no earlier than of those it waits for, and the length of what hangs on it."""
    bearers: dict[Name, list[int]] = {}
    for number, lot in enumerate(found):
        for name in {name for member in lot.members for name in names(member)}:
            bearers.setdefault(name, []).append(number)
    graph = TopologicalSorter(
        {n: {one for name, _soak_s in lot.waits for one in bearers[name]} for n, lot in enumerate(found)}
    )
    try:
        ranks = [found[number] for number in graph.static_order()]
    except CycleError as error:
        raise CycleError(error.args[0], [found[number] for number in error.args[1]]) from error
    for lot in ranks:
        own = (KINDS.index(lot.first.kind), int(not lot.first.exposed), -lot.first.tier)
        lot.turn = max([own, *(found[one].turn for name, _soak_s in lot.waits for one in bearers[name])])
    for lot in reversed(ranks):
        for name, soak_s in lot.waits:
            for one in bearers[name]:
                found[one].tail_s = max(found[one].tail_s, soak_s + lot.path_s)
    return ranks


@dataclass(frozen=True)
class Circle:
    """Hosts that wait for each other: one each in ``told``, the first again at the end; all of them in ``hosts``."""

    told: tuple[str, ...]
    hosts: frozenset[str]


def circle(members: Iterable[Member], services: Mapping[str, Service]) -> Circle | None:
    """Return hosts that wait for each other, or None when there are none."""
    try:
        lots(list(members), services)
    except CycleError as error:
        found = error.args[1]
        bearers = [_awaited(lot, following) for lot, following in pairwise(found)]
        told = [hosts[0] for hosts in bearers]
        return Circle((*told, told[0]), frozenset(host for hosts in bearers for host in hosts))
    return None


def _awaited(lot: Lot, following: Lot) -> list[str]:
    """Return the hosts of a lot for which those of another one wait."""
    wanted = {name for name, _soak_s in following.waits}
    return [member.host for member in lot.members if not wanted.isdisjoint(names(member))]
