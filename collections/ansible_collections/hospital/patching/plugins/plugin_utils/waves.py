# SPDX-License-Identifier: GPL-3.0-or-later
"""Waves: which hosts may be patched at the same time, and in which order.

* Servers come before endpoints; among them the least critical tier first.
* Of each service the canaries go first, each alone in its wave; the next ring
  follows when they have run well for its soak time.
* A wave never takes more hosts of a service than may be out, never two
  services that are ``never_with`` each other, and never a host together with
  the load balancer that drains it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.services import Service
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import KINDS, RINGS


@dataclass(frozen=True)
class Member:
    """A host to be placed in a wave; ``drained_by`` is the host that moves its users away."""

    host: str
    service: str | None
    kind: str
    tier: int
    ring: str
    soak_s: int
    drained_by: str | None = None


@dataclass(frozen=True)
class Wave:
    """Hosts that go together; ``soak_s`` passes after it before the next ring of its services."""

    hosts: tuple[str, ...]
    kind: str
    soak_s: int = 0


def with_canaries(members: Iterable[Member]) -> list[Member]:
    """Return the members in their order, with a canary for every service of servers that names none."""
    ordered = sorted(members, key=_order)
    led = {member.service for member in ordered if member.kind == "server" and member.ring == "canary"}
    result = []
    for member in ordered:
        leads = member.kind == "server" and member.service is not None and member.service not in led
        led.add(member.service)
        result.append(replace(member, ring="canary") if leads else member)
    return sorted(result, key=_order)


def _order(member: Member) -> tuple[object, ...]:
    return (
        KINDS.index(member.kind),
        -member.tier,
        RINGS.index(member.ring),
        natural_key(member.service or ""),
        natural_key(member.host),
    )


def cut_waves(members: Iterable[Member], services: Mapping[str, Service], parallel: int) -> list[Wave]:
    """Return the waves of ``members``; same members, same waves.

    Args:
        parallel: the most hosts of one wave.

    Raises:
        ValueError: a member's service lets no host be out; such hosts are refused before.
    """
    ordered = with_canaries(members)
    waves: list[Wave] = []
    for _turn_key, group in groupby(ordered, key=_turn):
        pending = list(group)
        while pending:
            wave = _fill(pending, services, 1 if pending[0].ring == "canary" else parallel)
            if not wave:
                raise ValueError(f"service {pending[0].service} lets no host be out")
            waves.append(Wave(tuple(member.host for member in wave), f"{wave[0].kind}s"))
            placed = {member.host for member in wave}
            pending = [member for member in pending if member.host not in placed]
    return _with_soak(waves, {member.host: member for member in ordered})


def _turn(member: Member) -> tuple[str, int, str]:
    return (member.kind, member.tier, member.ring)


def _fill(members: Sequence[Member], services: Mapping[str, Service], parallel: int) -> list[Member]:
    """Take as many of ``members`` as may be out together, in order."""
    taken: list[Member] = []
    out: Counter[str] = Counter()
    hosts: set[str] = set()
    balancers: set[str] = set()
    for member in members:
        if len(taken) == max(1, parallel):
            break
        if member.host in balancers or member.drained_by in hosts:
            continue
        if member.service is not None:
            service = services[member.service]
            if out[service.name] >= service.allowance or any(out[partner] for partner in service.never_with):
                continue
            out[service.name] += 1
        taken.append(member)
        hosts.add(member.host)
        balancers.update({member.drained_by} - {None})  # type: ignore[arg-type]
    return taken


def _with_soak(waves: Sequence[Wave], members: Mapping[str, Member]) -> list[Wave]:
    """Give each wave the soak time of the ring that follows it in one of its services."""
    following: dict[tuple[str | None, str], tuple[str, int]] = {}
    result = []
    for wave in reversed(waves):
        soak_s = 0
        entries = [members[host] for host in wave.hosts]
        for member in entries:
            ring, longest = following.get((member.service, member.kind), (member.ring, 0))
            if ring != member.ring:
                soak_s = max(soak_s, longest)
        for member in entries:
            ring, longest = following.get((member.service, member.kind), (member.ring, 0))
            longest = max(longest, member.soak_s) if ring == member.ring else member.soak_s
            if member.service is not None:
                following[member.service, member.kind] = (member.ring, longest)
        result.append(replace(wave, soak_s=soak_s))
    return result[::-1]
