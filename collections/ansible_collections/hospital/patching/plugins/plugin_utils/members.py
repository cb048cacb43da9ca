# SPDX-License-Identifier: GPL-3.0-or-later
"""The planned hosts as the planner places them, and which of them are canaries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import KINDS, RINGS


@dataclass(frozen=True)
class Member:
    """A host to be placed in a wave.

    Args:
        group: hosts of one group share a manifest.
        soak_s: how long the rings before it must have run well.
        drained_by: the host that moves its users away.
        opens: the start of its window; None when it needs none.
        latest: when its work has to begin to fit into the window with the way back.
        after: names of hosts and services that go before it.
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


def with_canaries(members: Iterable[Member]) -> list[Member]:
    """Return the members in their order, with a canary for every service of servers that names none."""
    ordered = sorted(members, key=order)
    led = {member.service for member in ordered if member.kind == "server" and member.ring == "canary"}
    of_service: dict[str | None, set[str]] = {}
    for member in ordered:
        of_service.setdefault(member.service, set()).add(member.host)
    result = {member.host: member for member in ordered}
    # Who goes after another host of his service cannot lead it.
    for member in sorted(ordered, key=lambda one: not of_service[one.service].isdisjoint(one.after)):
        if member.kind == "server" and member.service is not None and member.service not in led:
            led.add(member.service)
            result[member.host] = replace(member, ring="canary")
    return sorted(result.values(), key=order)


def order(member: Member) -> tuple[object, ...]:
    """Return a sort key: servers, the least critical tier and the earliest ring first, the primary last."""
    return (
        KINDS.index(member.kind),
        -member.tier,
        RINGS.index(member.ring),
        natural_key(member.service or ""),
        member.role == "primary",
        natural_key(member.host),
    )
