# SPDX-License-Identifier: GPL-3.0-or-later
"""The failure budget: how many failed hosts a run, a ring and a service may have while the others still go on.

Hosts state it as settings; the plan carries the numbers of hosts that it comes
to; the gate holds the ledger against those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.outcomes import FAILURES, HostState
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS, Settings

#: What one host states: level → ``count``, ``share_percent``, or both.
Budget = Mapping[str, Mapping[str, int]]


def allowances(settings: Mapping[str, Settings], rings: Mapping[str, str]) -> dict[str, Any]:
    """Return how many hosts may have failed: of the run, of each ring and of each service that is planned.

    Where hosts of one level state different budgets, the strictest holds, so
    that no group of the inventory can loosen what another one asks for.

    Args:
        settings: those of the planned hosts, by name.
        rings: the rings in which these hosts are planned.
    """
    of_ring: dict[str, list[Budget]] = {}
    of_service: dict[str, list[Budget]] = {}
    for host, one in settings.items():
        of_ring.setdefault(rings[host], []).append(one.failure_budget)
        if one.service is not None:
            of_service.setdefault(one.service, []).append(one.failure_budget)
    return {
        "run": _allowed("run", (one.failure_budget for one in settings.values())),
        "rings": {ring: _allowed("ring", of_ring[ring]) for ring in RINGS if ring in of_ring},
        "services": {name: _allowed("service", of_service[name]) for name in sorted(of_service)},
    }


def _allowed(level: str, budgets: Iterable[Budget]) -> int:
    """Return the strictest of the budgets of all hosts of one level; a share of them rounds down."""
    stated = [budget[level] for budget in budgets]
    return min((_number(limit, len(stated)) for limit in stated), default=0)


def _number(limit: Mapping[str, int], hosts: int) -> int:
    numbers = {"count": limit.get("count"), "share_percent": limit.get("share_percent")}
    if numbers["share_percent"] is not None:
        numbers["share_percent"] = hosts * numbers["share_percent"] // 100
    return min(number for number in numbers.values() if number is not None)


def exceeded(plan: Mapping[str, Any], host: str, states: Mapping[str, HostState]) -> str | None:
    """Return why failures so far stop ``host``, or None while the plan allows them.

    Too many in the run stop every host, in a ring those of it and of later
    rings, in a service its own. One failed host of tier 1 stops the run. That
    ``host`` itself was unreachable before does not stop it: the run is started
    again because it answers now.
    """
    hosts, mine, budget = plan["hosts"], plan["hosts"][host], plan["failure_budget"]
    tried_again = host if host in states and states[host].outcome == "unreachable" else None
    failed = [name for name in hosts if name in states and states[name].outcome in FAILURES and name != tried_again]
    critical = [name for name in failed if hosts[name]["tier"] == 1]
    if critical:
        return f"{_told(critical, states)}: a failed host of tier 1 stops the run, whatever its failure budget"
    scopes = [("the run", failed, budget["run"])]
    for ring in RINGS[: RINGS.index(mine["ring"]) + 1]:
        of_it = [name for name in failed if hosts[name]["ring"] == ring]
        scopes.append((f"ring {ring}", of_it, budget["rings"].get(ring, 0)))
    if mine["service"] is not None:
        of_it = [name for name in failed if hosts[name]["service"] == mine["service"]]
        scopes.append((f"service {mine['service']}", of_it, budget["services"].get(mine["service"], 0)))
    for what, names, allowed in scopes:
        if len(names) > allowed:
            harm = f"{what} stopped before it could harm another"
            return f"{_told(names, states)}: {harm} (failed hosts allowed: {allowed})"
    return None


def _told(names: Iterable[str], states: Mapping[str, HostState]) -> str:
    return ", ".join(f"{name} is {str(states[name].outcome).replace('_', ' ')}" for name in names)
