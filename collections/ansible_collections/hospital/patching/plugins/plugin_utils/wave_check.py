# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds a plan's waves against what they promise, whoever made the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS


def wave_problems(plan: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the waves of a plan that fits its schema; an empty list when nothing is."""
    found = _membership(plan)
    if found:
        return found
    for wave in plan["waves"]:
        where = f"wave {wave['number']}"
        entries = {host: plan["hosts"][host] for host in wave["hosts"]}
        found += [f"{where}: {text}" for text in _availability(plan, entries) + _alone(wave, entries)]
    return found + _canaries(plan) + _order(plan)


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
        if name is not None and host not in plan["services"].get(name, {"hosts": []})["hosts"]:
            found.append(f"{host} is no member of its service {name}")
    return found


def _availability(plan: Mapping[str, Any], entries: Mapping[str, Any]) -> list[str]:
    found = []
    out = Counter(entry["service"] for entry in entries.values() if entry["service"] is not None)
    for name, count in out.items():
        service = plan["services"][name]
        allowance = len(service["hosts"]) - service["min_healthy"] - len(service["out"])
        if count > allowance:
            found.append(f"{count} hosts of {name} at once, {max(0, allowance)} may be out")
        partners = service["never_with"]
        found += [f"{name} together with {partner}, which it must never be" for partner in partners if out[partner]]
    for host, entry in entries.items():
        if entry["drain"].get("host") in entries:
            found.append(f"{host} together with {entry['drain']['host']}, which drains it")
    return found


def _alone(wave: Mapping[str, Any], entries: Mapping[str, Any]) -> list[str]:
    found = []
    kinds = {f"{entry['kind']}s" for entry in entries.values()}
    if kinds != {wave["kind"]}:
        found.append(f"it is of {wave['kind']} and holds {', '.join(sorted(kinds))}")
    if len(entries) > 1 and any(entry["ring"] == "canary" for entry in entries.values()):
        found.append("a canary is not alone")
    return found


def _canaries(plan: Mapping[str, Any]) -> list[str]:
    servers = [entry for entry in plan["hosts"].values() if entry["kind"] == "server"]
    led = {entry["service"] for entry in servers if entry["ring"] == "canary"}
    return [f"{name} has no canary" for name in sorted({str(entry["service"]) for entry in servers} - led)]


def _order(plan: Mapping[str, Any]) -> list[str]:
    """Servers before endpoints; in each, tiers descending; in a service, rings ascending."""
    found = []
    last = (0, -4)
    rings: dict[tuple[str | None, str], int] = {}
    for wave in plan["waves"]:
        for host in wave["hosts"]:
            entry = plan["hosts"][host]
            turn = (int(entry["kind"] == "endpoint"), -int(entry["tier"]))
            if turn < last:
                found.append(f"wave {wave['number']}: {host} comes after hosts that are more critical, or endpoints")
            last = max(last, turn)
            ring = RINGS.index(entry["ring"])
            group = (entry["service"], entry["kind"])
            if entry["service"] is not None and ring < rings.get(group, 0):
                found.append(f"wave {wave['number']}: {host} comes after a later ring of {entry['service']}")
            rings[group] = max(ring, rings.get(group, 0))
    return found
