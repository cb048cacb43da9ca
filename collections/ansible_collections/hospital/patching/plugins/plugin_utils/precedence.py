# SPDX-License-Identifier: GPL-3.0-or-later
"""Who waits for whom: rings, the order that the inventory declares, and replicas before their primary.

Hosts that wait for the same form one lot. A host waits for names, each of which
stands for all planned hosts that bear it: a host, a service, a ring of a
service, the replicas of a service.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from graphlib import CycleError, TopologicalSorter

from ansible_collections.hospital.patching.plugins.plugin_utils.members import Member, order
from ansible_collections.hospital.patching.plugins.plugin_utils.services import Service
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import KINDS, RINGS

#: What planned hosts are waited for by.
Name = tuple[str, ...]
#: The kind, and how little critical the tier is: smaller goes first.
Turn = tuple[int, int]


def names(member: Member) -> Iterator[Name]:
    """Yield all that others may wait for ``member`` by."""
    yield ("host", member.host)
    if member.service is not None:
        yield ("service", member.service)
        yield ("ring", member.service, member.kind, member.ring)
        if member.role == "replica":
            yield ("replicas", member.service)


@dataclass
class Lot:
    """Hosts of one service and ring with one window that wait for the same, the longest work first.

    Args:
        waits: names, and for how many seconds their hosts must have run well.
        at_once: how many of them may be out together.
        tail_s: how long at least the work of those that wait for this lot takes.
    """

    members: list[Member]
    waits: tuple[tuple[Name, int], ...]
    at_once: int
    turn: Turn = (0, 0)
    tail_s: int = 0

    @property
    def first(self) -> Member:
        return self.members[0]

    @property
    def path_s(self) -> int:
        """How long it takes at least until all that hangs on this lot is done."""
        total = sum(member.estimate_s for member in self.members)
        return max(self.first.estimate_s, total // self.at_once) + self.tail_s

    @property
    def latest(self) -> datetime | None:
        return min((member.latest for member in self.members if member.latest is not None), default=None)


def lots(members: Sequence[Member], services: Mapping[str, Service]) -> list[Lot]:
    """Return the lots of ``members``, whose canaries are named; none comes before one that it waits for.

    Raises:
        CycleError: hosts wait for each other; its second argument are the lots.
    """
    borne = Counter(name for member in members for name in names(member))
    alike: dict[tuple[object, ...], list[Member]] = {}
    for member in sorted(members, key=lambda one: (-one.estimate_s, order(one))):
        alike.setdefault(_alike(member), []).append(member)
    found = [Lot(hosts, tuple(_waits(hosts[0], borne)), _at_once(hosts, services)) for hosts in alike.values()]
    return _ranked(sorted(found, key=lambda lot: order(lot.first)))


def _alike(member: Member) -> tuple[object, ...]:
    of_host = (member.service, member.kind, member.tier, member.ring, member.role == "primary", member.soak_s)
    return (*of_host, member.opens, member.after)


def _waits(member: Member, borne: Mapping[Name, int]) -> Iterator[tuple[Name, int]]:
    wanted: list[tuple[Name, int]] = []
    if member.service is not None:
        earlier = RINGS[: RINGS.index(member.ring)]
        wanted += [(("ring", member.service, member.kind, ring), member.soak_s) for ring in earlier]
        wanted += [(("replicas", member.service), 0)] * (member.role == "primary")
    wanted += [((what, name), 0) for name in member.after for what in ("host", "service")]
    return ((name, soak_s) for name, soak_s in wanted if borne.get(name))


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
        own = (KINDS.index(lot.first.kind), -lot.first.tier)
        lot.turn = max([own, *(found[one].turn for name, _soak_s in lot.waits for one in bearers[name])])
    for lot in reversed(ranks):
        for name, soak_s in lot.waits:
            for one in bearers[name]:
                found[one].tail_s = max(found[one].tail_s, soak_s + lot.path_s)
    return ranks


def circle(members: Iterable[Member], services: Mapping[str, Service]) -> list[str]:
    """Return hosts that wait for each other, the first again at the end; empty when there are none."""
    try:
        lots(list(members), services)
    except CycleError as error:
        return [lot.first.host for lot in error.args[1]]
    return []
