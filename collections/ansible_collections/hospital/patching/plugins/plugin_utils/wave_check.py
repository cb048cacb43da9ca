# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds a plan's waves against what they promise, whoever made the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS


def wave_problems(plan: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the waves of a plan that fits its schema; an empty list when nothing is.

    Times are not looked at: estimates lie outside the digest, and the gate judges them.
    """
    found = _membership(plan)
    if found:
        return found
    for wave in plan["waves"]:
        where = f"wave {wave['number']}"
        entries = {host: plan["hosts"][host] for host in wave["hosts"]}
        found += [f"{where}: {text}" for text in _problems(plan, wave, entries)]
    before = _before(plan)
    found += _canaries(plan) + _firsts(plan) + _rings(plan) + _declared(plan, before)
    # Which turn comes first is a preference; where a host is dropped from an approved plan, the others keep theirs.
    return found + ([] if plan.get("derived_from") else _turns(plan, before))


def _membership(plan: Mapping[str, Any]) -> list[str]:
    found = []
    numbers = [wave["number"] for wave in plan["waves"]]
    if numbers != list(range(1, len(numbers) + 1)):
        found.append(f"the waves are numbered {numbers}")
    placed = Counter(host for wave in plan["waves"] for host in wave["hosts"])
    found += [f"{host} stands in {count} waves" for host, count in placed.items() if count > 1]
    found += [f"{host} stands in a wave but is not planned" for host in placed if host not in plan["hosts"]]
    found += [f"{host} is planned but stands in no wave" for host in plan["hosts"] if host not in placed]
    found += [f"{host} is both planned and not planned" for host in plan["hosts"] if host in plan["not_planned"]]
    for host, entry in plan["hosts"].items():
        name = entry["service"]
        service = plan["services"].get(name, {"hosts": [], "min_healthy": None})
        if name is not None and host not in service["hosts"]:
            found.append(f"{host} is no member of its service {name}")
        elif name is not None and entry["min_healthy"] != service["min_healthy"]:
            found.append(f"{host} has another min_healthy than its service {name}")
    return found


def _problems(plan: Mapping[str, Any], wave: Mapping[str, Any], entries: Mapping[str, Any]) -> list[str]:
    return _availability(plan, entries) + _size(plan, entries) + _alike(wave, entries)


def _availability(plan: Mapping[str, Any], entries: Mapping[str, Any]) -> list[str]:
    found = []
    out = Counter(entry["service"] for entry in entries.values() if entry["service"] is not None)
    for name, count in out.items():
        service = plan["services"][name]
        allowance = len(set(service["hosts"])) - service["min_healthy"] - len(set(service["out"]))
        if count > allowance:
            found.append(f"{count} hosts of {name} at once, {max(0, allowance)} may be out")
        partners = service["never_with"]
        found += [f"{name} together with {partner}, which it must never be" for partner in partners if out[partner]]
        needed = service["depends_on"]
        found += [f"{name} together with {partner}, on which it depends" for partner in needed if out[partner]]
    for host, entry in entries.items():
        if entry["drain"].get("host") in entries:
            found.append(f"{host} together with {entry['drain']['host']}, which drains it")
    return found


def _size(plan: Mapping[str, Any], entries: Mapping[str, Any]) -> list[str]:
    """No wave is larger than the plan's limits; where these allow one canary, it is alone."""
    limits, canaries = plan["limits"], [host for host, entry in entries.items() if entry["ring"] == "canary"]
    found = []
    if len(entries) > limits["parallel"]:
        found.append(f"{len(entries)} hosts, of at most {limits['parallel']}")
    if len(canaries) > limits["canaries"]:
        found.append(f"{len(canaries)} canaries, of at most {limits['canaries']}")
    if canaries and limits["canaries"] == 1 and len(entries) > 1:
        found.append("a canary is not alone")
    return found


def _alike(wave: Mapping[str, Any], entries: Mapping[str, Any]) -> list[str]:
    kinds = {f"{entry['kind']}s" for entry in entries.values()}
    return [f"it is of {wave['kind']} and holds {', '.join(sorted(kinds))}"] if kinds != {wave["kind"]} else []


def _canaries(plan: Mapping[str, Any]) -> list[str]:
    servers = [entry for entry in plan["hosts"].values() if entry["kind"] == "server"]
    led = {entry["service"] for entry in servers if entry["ring"] == "canary"}
    return [f"{name} has no canary" for name in sorted({str(entry["service"]) for entry in servers} - led)]


def _firsts(plan: Mapping[str, Any]) -> list[str]:
    """The first host of each manifest goes alone."""
    found: list[str] = []
    begun: set[str] = set()
    for wave in plan["waves"]:
        groups = {plan["hosts"][host]["group"] for host in wave["hosts"]}
        if groups - begun and len(wave["hosts"]) > 1:
            found.append(f"wave {wave['number']}: the first host of {min(groups - begun)} is not alone")
        begun |= groups
    return found


def _rings(plan: Mapping[str, Any]) -> list[str]:
    """In a service, rings ascend from wave to wave: no two go together."""
    found = []
    reached: dict[tuple[str | None, str], tuple[int, int]] = {}
    for number, host, entry in _in_order(plan):
        ring, group = RINGS.index(entry["ring"]), (entry["service"], entry["kind"])
        known, at = reached.get(group, (ring, number))
        if entry["service"] is not None and ring < known:
            found.append(f"wave {number}: {host} comes after a later ring of {entry['service']}")
        elif entry["service"] is not None and ring > known and number == at:
            found.append(f"wave {number}: {host} goes together with an earlier ring of {entry['service']}")
        reached[group] = max(ring, known), number
    return found


def _declared(plan: Mapping[str, Any], before: Mapping[str, list[str]]) -> list[str]:
    """Whom the inventory names goes before, and a primary after its replicas."""
    number_of = {host: number for number, host, _entry in _in_order(plan)}
    return [
        f"wave {number}: {host} does not come after {other}"
        for number, host, _entry in _in_order(plan)
        for other in before[host]
        if number_of[other] >= number
    ]


def _turns(plan: Mapping[str, Any], before: Mapping[str, list[str]]) -> list[str]:
    """Servers before endpoints; in each, exposed hosts of an emergency, then tiers descend.

    Whoever has to wait for a more critical host goes with it.
    """
    first, found = _first(plan, before), []
    turns: dict[str, tuple[int, int, int]] = {}
    of_ring: dict[tuple[Any, ...], tuple[int, int, int]] = {}
    last, behind = (0, 0, -4), ""
    for number, host, entry in _in_order(plan):
        own = (int(entry["kind"] == "endpoint"), int(host not in first), -int(entry["tier"]))
        rings = [(entry["service"], entry["kind"], ring) for ring in RINGS[: RINGS.index(entry["ring"]) + 1]]
        awaited = [of_ring[ring] for ring in rings[:-1] if entry["service"] is not None and ring in of_ring]
        turns[host] = max([own, *awaited, *(turns[other] for other in before[host] if other in turns)])
        of_ring[rings[-1]] = max(turns[host], of_ring.get(rings[-1], own))
        if turns[host] < last:
            found.append(f"wave {number}: {host} comes after {behind}, whose turn is later by kind, exposure or tier")
        else:
            last, behind = turns[host], host
    return found


def _first(plan: Mapping[str, Any], before: Mapping[str, list[str]]) -> set[str]:
    """Return the hosts with which an emergency begins, and those for which they wait."""
    # Of a plan from which hosts were dropped, some are gone.
    found = set((plan.get("emergency") or {}).get("first", ())) & set(plan["hosts"])
    of_ring: dict[tuple[Any, ...], list[str]] = {}
    for host, entry in plan["hosts"].items() if found else ():
        of_ring.setdefault((entry["service"], entry["kind"], entry["ring"]), []).append(host)
    open_ends = list(found)
    while open_ends:
        host = open_ends.pop()
        entry = plan["hosts"][host]
        earlier = RINGS[: RINGS.index(entry["ring"])] if entry["service"] is not None else ()
        rings = [other for ring in earlier for other in of_ring.get((entry["service"], entry["kind"], ring), ())]
        more = {*before[host], *rings} - found
        found |= more
        open_ends += more
    return found


def _in_order(plan: Mapping[str, Any]) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    for wave in plan["waves"]:
        for host in wave["hosts"]:
            yield wave["number"], host, plan["hosts"][host]


def _before(plan: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return, by host, the planned hosts that have to go before it: by the order declared and by role."""
    hosts: Mapping[str, Any] = plan["hosts"]
    of_service: dict[str | None, list[str]] = {}
    for host, entry in hosts.items():
        of_service.setdefault(entry["service"], []).append(host)
    result = {}
    for host, entry in hosts.items():
        named = [name for name in entry["after"] if name in hosts]
        named += [other for name in entry["after"] for other in of_service.get(name, ())]
        if entry["role"] == "primary" and entry["service"] is not None:
            named += [other for other in of_service[entry["service"]] if hosts[other]["role"] == "replica"]
        result[host] = named
    return result
