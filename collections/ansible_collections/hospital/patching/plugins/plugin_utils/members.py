# SPDX-License-Identifier: GPL-3.0-or-later
"""The planned hosts as the planner places them, by which names they are waited for, and which are canaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import KINDS, RINGS

#: What planned hosts are waited for by.
Name = tuple[str, ...]


@dataclass(frozen=True)
class Member:
    """A host to be placed in a wave.

    Args:
        group: hosts of one group share a manifest.
        soak_s: how long the rings before it must have run well.
        drained_by: the host that moves its users away.
        opens: the start of its window; None when it needs none.
        latest: when its work has to begin to fit into the window with the way back.
        after: names of other hosts, and of services, that go before it.
        exposed: in an emergency it goes before all that are not, as far as rings and order let it.
    """

    host: str
    service: str | None
    kind: str
    tier: int
    ring: str
    soak_s: int
    estimate_s: int
    group: str
    drained_by: str | None = None
    opens: datetime | None = None
    latest: datetime | None = None
    after: tuple[str, ...] = ()
    role: str | None = None
    exposed: bool = False

    @cached_property
    def place(self) -> tuple[object, ...]:
        """Servers, exposed hosts, the least critical tier, the earliest ring come first; the primary last."""
        return (
            KINDS.index(self.kind),
            not self.exposed,
            -self.tier,
            RINGS.index(self.ring),
            natural_key(self.service or ""),
            self.role == "primary",
            natural_key(self.host),
        )


def names(member: Member) -> Iterator[Name]:
    """Yield all that others may wait for ``member`` by."""
    yield ("host", member.host)
    if member.service is not None:
        yield ("service", member.service)
        yield ("ring", member.service, member.kind, member.ring)
        if member.role == "replica":
            yield ("replicas", member.service)


def waits(member: Member, borne: Mapping[Name, object]) -> Iterator[tuple[Name, int]]:
    """Yield the names that ``member`` waits for, and for how many seconds their hosts must have run well.

    Args:
        borne: the names that any planned host bears; others are not waited for.
    """
    wanted: list[tuple[Name, int]] = []
    if member.service is not None:
        earlier = RINGS[: RINGS.index(member.ring)]
        wanted += [(("ring", member.service, member.kind, ring), member.soak_s) for ring in earlier]
        wanted += [(("replicas", member.service), 0)] * (member.role == "primary")
    wanted += [((what, name), 0) for name in member.after for what in ("host", "service")]
    return ((name, soak_s) for name, soak_s in wanted if borne.get(name))


def with_canaries(members: Iterable[Member]) -> list[Member]:
    """Return the members in their order, with a canary for every service of servers that names none."""
    found = {member.host: member for member in sorted(members, key=order)}
    led = {member.service for member in found.values() if member.kind == "server" and member.ring == "canary"}
    asked: dict[str, list[Member]] = {}
    for member in found.values():
        if member.kind == "server" and member.service is not None and member.service not in led:
            asked.setdefault(member.service, []).append(member)
    if not asked:
        return list(found.values())
    bearers: dict[Name, set[str]] = {}
    for member in found.values():
        for name in names(member):
            bearers.setdefault(name, set()).add(member.host)
    for group in asked.values():
        leader = next((one for one in group if _may_lead(one, group, found, bearers)), group[0])
        found[leader.host] = replace(leader, ring="canary")
        for name in set(names(leader)) ^ set(names(found[leader.host])):
            bearers.setdefault(name, set()).symmetric_difference_update({leader.host})
    return sorted(found.values(), key=order)


def with_awaited(members: Iterable[Member]) -> list[Member]:
    """Return the members in their order; whomever an exposed one waits for goes as early as it does."""
    found = {member.host: member for member in members}
    exposed = [member for member in found.values() if member.exposed]
    if not exposed:
        return sorted(found.values(), key=order)
    bearers: dict[Name, set[str]] = {}
    for member in found.values():
        for name in names(member):
            bearers.setdefault(name, set()).add(member.host)
    while exposed:
        awaited = {host for name, _soak_s in waits(exposed.pop(), bearers) for host in bearers[name]}
        for host in awaited:
            if not found[host].exposed:
                found[host] = replace(found[host], exposed=True)
                exposed.append(found[host])
    return sorted(found.values(), key=order)


def _may_lead(
    member: Member, group: Iterable[Member], members: Mapping[str, Member], bearers: Mapping[Name, set[str]]
) -> bool:
    """Whether ``member`` waits, through whomever, for none of those who would wait for their canary."""
    followers = {one.host for one in group} - {member.host}
    seen, open_ends = {member.host}, [replace(member, ring="canary")]
    while open_ends:
        for name, _soak_s in waits(open_ends.pop(), bearers):
            for host in bearers[name] - seen:
                if host in followers:
                    return False
                seen.add(host)
                open_ends.append(members[host])
    return True


def borne_by(members: Iterable[Member]) -> Counter[Name]:
    """Count the hosts that bear each name."""
    return Counter(name for member in members for name in names(member))


def order(member: Member) -> tuple[object, ...]:
    """Return a sort key: a member's place among all."""
    return member.place
