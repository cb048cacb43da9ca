# SPDX-License-Identifier: GPL-3.0-or-later
"""Shards: parts of a large fleet that can be planned and patched beside each other, one AWX job each.

A shard is made of whole services. What must be known together stays together:
services that are ``never_with`` each other, that need each other or go after
each other, and the machine that drains a host. AWX's own slices take every
n-th host, so they would split every service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate, Exclusion
from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key


@dataclass(frozen=True)
class Shard:
    """Which part of the fleet a plan is for; the first of one is all of it."""

    number: int = 1
    of: int = 1

    @classmethod
    def read(cls, number: int, of: int) -> Shard:
        """Return the shard that a person has asked for; number 0 is none, which is right where there is one alone.

        Raises:
            PatchingError: there is no such shard.
        """
        number = 1 if (number, of) == (0, 1) else number
        if not 1 <= number <= of:
            raise PatchingError(
                "plan_shard",
                f"shard {number} of {of}",
                f"a number from 1 to {of}" if of > 0 else "plan_shards of 1 or more",
                "start one plan for each shard, with the same plan_shards",
            )
        return cls(number, of)


def only(candidates: Mapping[str, Candidate], shard: Shard) -> dict[str, Candidate]:
    """Return the candidates, of which those in other shards are not planned but still serve."""
    shard_of = shards(candidates, shard.of)
    return {
        host: one
        if shard_of[host] == shard.number
        else replace(one, why_not=Exclusion("excluded", f"it is in shard {shard_of[host]} of {shard.of}"))
        for host, one in candidates.items()
    }


def shards(candidates: Mapping[str, Candidate], count: int) -> dict[str, int]:
    """Return the shard of every host, about as many managed hosts in each.

    It follows from the inventory alone, so that every job finds the same ones.
    """
    if count == 1:
        return dict.fromkeys(candidates, 1)
    parts: dict[Node, list[str]] = {}
    root_of = _Union(candidates)
    for host in sorted(candidates, key=natural_key):
        parts.setdefault(root_of.find(("host", host)), []).append(host)
    sizes = {root: sum(candidates[host].settings.managed for host in hosts) for root, hosts in parts.items()}
    load = dict.fromkeys(range(1, count + 1), 0)
    found: dict[str, int] = {}
    for root in sorted(parts, key=lambda one: (-sizes[one], natural_key(parts[one][0]))):
        emptiest = min(load, key=lambda number: (load[number], number))
        load[emptiest] += sizes[root]
        found.update(dict.fromkeys(parts[root], emptiest))
    return found


Node = tuple[str, str]


class _Union:
    """Hosts and services, of which those that belong together have one root."""

    def __init__(self, candidates: Mapping[str, Candidate]) -> None:
        self.parent: dict[Node, Node] = {}
        hosts = set(candidates)
        for host, candidate in candidates.items():
            for other in _belongs_to(candidate, hosts):
                self._join(("host", host), other)

    def find(self, node: Node) -> Node:
        while (parent := self.parent.get(node, node)) != node:
            self.parent[node] = self.parent.get(parent, parent)
            node = parent
        return node

    def _join(self, one: Node, other: Node) -> None:
        self.parent[self.find(one)] = self.find(other)


def _belongs_to(candidate: Candidate, hosts: set[str]) -> Iterator[Node]:
    settings = candidate.settings
    if settings.service is not None:
        yield ("service", settings.service)
    for name in (*settings.never_with, *settings.depends_on, *settings.after):
        yield ("service", name)
        if name in hosts:
            yield ("host", name)
    drained_by = (settings.drain or {}).get("host")
    if drained_by is not None:
        yield ("host", drained_by)
