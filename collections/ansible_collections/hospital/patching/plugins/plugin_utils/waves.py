# SPDX-License-Identifier: GPL-3.0-or-later
"""Waves: which hosts may be patched at the same time, and in which order.

* Servers come before endpoints; among them the least critical tier first,
  unless the inventory declares another order. In an emergency exposed hosts,
  and whomever they wait for, come before all others of their kind.
* Of each service the canaries go first, and the next ring when they have run
  well for its soak time. The first host of each manifest goes alone.
* A wave never takes more hosts of a service than may be out, never two
  services that are ``never_with`` each other or of which one depends on the
  other, and never a host together with the load balancer that drains it.
* Within these, whatever the longest path hangs on goes first, and hosts whose
  work takes about as long go together: a wave lasts as long as its slowest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ansible_collections.hospital.patching.plugins.plugin_utils.batch import (
    Batch,
    Limits,
    best,
    closes_in_s,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.members import (
    Member,
    Name,
    borne_by,
    names,
    order,
    with_awaited,
    with_canaries,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.precedence import Lot, Turn, lots
from ansible_collections.hospital.patching.plugins.plugin_utils.services import Service
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import KINDS

#: How many later times are tried for the next wave.
LATER = 3


@dataclass(frozen=True)
class Wave:
    """Hosts that go together, when by their estimates; ``soak_s`` passes before the next ring of its services."""

    hosts: tuple[str, ...]
    kind: str
    start: datetime
    end: datetime
    soak_s: int = 0


@dataclass(frozen=True)
class Cut:
    """The waves, and the hosts whose turn would come too late to fit into their windows, with that time."""

    waves: list[Wave]
    late: dict[str, datetime]


def cut_waves(
    members: Iterable[Member],
    services: Mapping[str, Service],
    now: datetime,
    limits: Limits,
    shortest_first: bool = False,
) -> Cut:
    """Return the waves of ``members``; same members, same waves.

    Args:
        shortest_first: prefer short work where windows press, for a night that is too short for everybody.

    Raises:
        ValueError: a member's service lets no host be out; such hosts are refused before.
        CycleError: members wait for each other; such hosts are refused before.
    """
    ordered = with_awaited(with_canaries(members))
    night = _Night(lots(ordered, services), services, now, limits, shortest_first)
    waves = list(night.waves())
    return Cut(_with_soak(waves, {member.host: member for member in ordered}), night.late)


class _Night:
    """The night as far as it is planned: who has gone, until when, and who is left."""

    def __init__(
        self,
        waiting: Sequence[Lot],
        services: Mapping[str, Service],
        now: datetime,
        limits: Limits,
        shortest_first: bool,
    ) -> None:
        self.services, self.cursor, self.limits = services, now, limits
        self.shortest_first = shortest_first
        self.late: dict[str, datetime] = {}
        self.turns: dict[Turn, list[Lot]] = {}
        for lot in waiting:
            self.turns.setdefault(lot.turn, []).append(lot)
        everybody = [member for lot in waiting for member in lot.members]
        self.left = borne_by(everybody)
        self.ended: dict[Name, datetime] = {}
        self.new_groups = {member.group for member in everybody}

    def waves(self) -> Iterator[Wave]:
        for turn in sorted(self.turns):
            waiting = self.turns[turn]
            while waiting:
                ready = {index: at for index, lot in enumerate(waiting) if (at := self._ready_at(lot)) is not None}
                begin = max(self.cursor, min(ready.values()))
                if not self._leave_out_late([waiting[index] for index, at in ready.items() if at <= begin], begin):
                    yield self._best(waiting, ready, begin)
                waiting[:] = [lot for lot in waiting if lot.members]

    def _best(self, waiting: Sequence[Lot], ready: Mapping[int, datetime], begin: datetime) -> Wave:
        """Return the next wave: one that begins a little later may be worth it for the hosts that are ready then."""
        rest_s = sum(self._share_s(member) for lot in waiting for member in lot.members)
        now = self._batch([waiting[index] for index, at in ready.items() if at <= begin], begin, rest_s)
        tried = [now]
        for time in _soon(ready.values(), now) if not now.is_full else ():
            later = self._batch([waiting[index] for index, at in ready.items() if at <= time], time, rest_s)
            least_s = max(rest_s, *(lot.path_s for lot in waiting))
            if not self._presses(max(later.end, time + timedelta(seconds=least_s))):
                tried.append(later)
        chosen = max(tried, key=lambda batch: batch.rate(since=begin))
        self._count(chosen, waiting)
        kind = f"{chosen.members[0].kind}s"
        return Wave(tuple(member.host for member in sorted(chosen.members, key=order)), kind, chosen.begin, chosen.end)

    def _presses(self, until: datetime) -> bool:
        """Whether some host that is left has to begin before ``until``."""
        left = (lot.latest for waiting in self.turns.values() for lot in waiting if lot.members)
        return any(latest is not None and latest < until for latest in left)

    def _ready_at(self, lot: Lot) -> datetime | None:
        """Return when all that ``lot`` waits for is done, or None while somebody has not gone."""
        at = lot.first.opens or self.cursor
        for name, soak_s in lot.waits:
            if self.left[name]:
                return None
            if name in self.ended:
                at = max(at, self.ended[name] + timedelta(seconds=soak_s))
        return at

    def _leave_out_late(self, ready: Sequence[Lot], begin: datetime) -> bool:
        """Leave out whoever may go now and cannot begin any more; whether there were any.

        Those who still wait for one that is left out may yet fit without him.
        """
        closed = [lot for lot in ready if lot.latest is not None and lot.latest < begin]
        for lot in closed:
            late = [member for member in lot.members if member.latest is not None and member.latest < begin]
            for member in late:
                self.late[member.host] = begin
                self.left.subtract(names(member))
            lot.leave_out({member.host for member in late})
        return bool(closed)

    def _share_s(self, member: Member) -> float:
        """How much of the night's time a host's work takes while as many as may go beside it."""
        return member.estimate_s / (self.limits.canaries if member.ring == "canary" else self.limits.parallel)

    def _batch(self, ready: Sequence[Lot], begin: datetime, rest_s: float) -> Batch:
        """Fill a wave that begins at ``begin``.

        Args:
            rest_s: how long the work that is left of this turn takes at best.
        """
        kind = min((lot.first.kind for lot in ready), key=KINDS.index)
        pool = [lot for lot in ready if lot.first.kind == kind]
        batch = best(Batch(self.services, self.limits, begin, self.new_groups, self.shortest_first), pool, rest_s)
        leader = self._leader(pool, begin, rest_s) if self.new_groups else None
        if leader is not None and not batch.goes_before(leader, begin, rest_s):
            batch = Batch(self.services, self.limits, begin)
            batch.take(leader)
        if not batch.members:
            raise ValueError(f"service {pool[0].first.service} lets no host be out")
        return batch

    def _leader(self, pool: Sequence[Lot], begin: datetime, rest_s: float) -> Member | None:
        """Return a host whose manifest nobody has had; it goes alone.

        It is the one that takes least time, unless a window closes.
        """
        ranks = [closes_in_s(lot, begin, rest_s) for lot in pool]
        new = (
            (ranks[n], member.estimate_s, -lot.path_s, n, at)
            for n, lot in enumerate(pool)
            for at, member in enumerate(lot.members)
            if member.group in self.new_groups
        )
        *_rank, n, at = min(new, default=(0, -1, -1))
        return pool[n].members[at] if n >= 0 else None

    def _count(self, batch: Batch, pool: Sequence[Lot]) -> None:
        for member in batch.members:
            self.left.subtract(names(member))
            self.ended.update(dict.fromkeys(names(member), batch.end))
            self.new_groups.discard(member.group)
        for lot in pool:
            if not batch.hosts.isdisjoint([member.host for member in lot.members]):
                lot.leave_out(batch.hosts)
        self.cursor = batch.end


def _soon(times: Iterable[datetime], batch: Batch) -> list[datetime]:
    """Return the first few times at which more hosts are ready while ``batch`` would still be at work."""
    return sorted({time for time in times if batch.begin < time < batch.end})[:LATER]


def _with_soak(waves: Sequence[Wave], members: Mapping[str, Member]) -> list[Wave]:
    soaks = soak_times([[members[host] for host in wave.hosts] for wave in waves])
    return [replace(wave, soak_s=soak_s) for wave, soak_s in zip(waves, soaks, strict=True)]


def soak_times(waves: Sequence[Sequence[Member]]) -> list[int]:
    """Return, for each wave, the soak time of the ring that follows it in one of its services."""
    following: dict[tuple[str | None, str], tuple[str, int]] = {}
    result = []
    for members in reversed(waves):
        soak_s = 0
        for member in members:
            ring, longest = following.get((member.service, member.kind), (member.ring, 0))
            if ring != member.ring:
                soak_s = max(soak_s, longest)
        for member in members:
            ring, longest = following.get((member.service, member.kind), (member.ring, 0))
            longest = max(longest, member.soak_s) if ring == member.ring else member.soak_s
            if member.service is not None:
                following[member.service, member.kind] = (member.ring, longest)
        result.append(soak_s)
    return result[::-1]
