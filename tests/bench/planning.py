# SPDX-License-Identifier: GPL-3.0-or-later
"""What planning a whole fleet costs, and how long its waves take beside Ansible's plain ways.

Usage: python -m tests.bench.planning [HOSTS]
"""

from __future__ import annotations

import heapq
import random
import resource
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ansible_collections.hospital.patching.plugins.plugin_utils.batch import Limits
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Candidate
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import build_plan
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import RINGS, Settings, effective
from ansible_collections.hospital.patching.plugins.plugin_utils.timeline import timeline
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import update

NOW = datetime(2026, 11, 21, 0, 0, tzinfo=UTC)  # a Saturday
HOSTS, SERVICES, WINDOWS, PARALLEL = 10_000, 500, 40, 100
UPDATES = 3
SYSTEMS = ("debian-11", "debian-12", "ubuntu-22.04", "ubuntu-24.04")


class Figures(NamedTuple):
    """What one plan cost (seconds, bytes), and how long its waves take (seconds) beside the bound and plain ways."""

    planning_s: float
    peak_bytes: int
    planned: int
    waves: int
    makespan_s: int
    path_s: int
    work_s: int
    one_by_one_s: int
    tenths_s: int

    @property
    def bound_s(self) -> float:
        """No schedule is shorter: the longest chain of hosts that wait for each other, and the work shared evenly."""
        return max(self.path_s, self.work_s / PARALLEL)


def fleet(hosts: int = HOSTS) -> dict[str, Candidate]:
    """Return a fleet in which every service has its own window, tier, order and demands; the same every time."""
    dice = random.Random(6)
    services = [_service(number, dice) for number in range(max(1, hosts * SERVICES // HOSTS))]
    result = {}
    for number in range(hosts):
        common = services[number % len(services)]
        own = {"ring": dice.choice([None, "early", "broad"]), "estimate_s": dice.choice((600, 900, 1200, 1800))}
        settings = {f"patching_{key}": value for key, value in {**common, **own}.items()}
        name = f"h{number}"
        result[name] = Candidate(effective(name, settings), None, _assessment(dice), None)
    return result


def _service(number: int, dice: random.Random) -> dict[str, Any]:
    window = number % WINDOWS
    return {
        "device_segments": [],
        "service": f"s{number}",
        "tier": number % 4 + 1,
        "min_healthy": dice.choice((4, 8, 12)),
        "window": f"Fri {window % 24:02d}:00, {96 + window} h, UTC",
        "drain": "none",
        "allowed_signers": "approvers",
        "way_back_s": 600,
        # Every third service of a tier is a client of the one before.
        "after": [f"s{number - 4}"] if 4 <= number % 12 < 8 else [],
        "depends_on": [f"s{number - 4}"] if 4 <= number % 12 < 8 else [],
        "never_with": [f"s{number - 1}"] if number % 12 == 1 else [],
    }


def _assessment(dice: random.Random) -> dict[str, Any]:
    system, version = dice.choice(SYSTEMS).split("-")
    return {
        "manager": "apt",
        "facts": {"id": system, "version_id": version, "architecture": "amd64"},
        "updates": [_update(f"{system}-{version}", number) for number in range(UPDATES)],
    }


def _update(system: str, number: int) -> dict[str, Any]:
    found: dict[str, Any] = update(f"lib{number}", "1.0-1", f"1.1-1+{system}", sha256=f"{number:064x}")
    return found


def measure(candidates: Mapping[str, Candidate]) -> Figures:
    """Plan for a fleet once, and hold the plan against what it could be at best."""
    begun = time.perf_counter()
    limits = Limits(PARALLEL, PARALLEL)
    plan = build_plan("20261121T000000Z-00000000", NOW, candidates, watched=True, limits=limits).plan
    planning_s = time.perf_counter() - begun
    settings = {host: candidates[host].settings for host in plan["hosts"]}
    estimates = [one.estimate_s for one in settings.values()]
    return Figures(
        planning_s=planning_s,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        planned=len(plan["hosts"]),
        waves=len(plan["waves"]),
        makespan_s=int((timeline(plan)[-1].end - NOW).total_seconds()),
        path_s=longest_path_s(plan, settings),
        work_s=sum(estimates),
        one_by_one_s=sum(estimates),
        tenths_s=sum(_shared_s(estimates[at : at + len(estimates) // 10]) for at in _tenths(len(estimates))),
    )


def _tenths(count: int) -> range:
    return range(0, count, max(1, count // 10))


def _shared_s(estimates: Iterable[int]) -> int:
    """How long hosts take in their order, each as soon as one of Ansible's forks is free: ``serial`` without a plan."""
    forks = [0] * PARALLEL
    for estimate in estimates:
        heapq.heappush(forks, heapq.heappop(forks) + estimate)
    return max(forks)


def longest_path_s(plan: Mapping[str, Any], settings: Mapping[str, Settings]) -> int:
    """The longest chain: tiers and services after each other, in these rings with their soak, as many as may be out.

    Shares no code with the planner.
    """
    members: dict[str, list[str]] = {}
    for host, one in settings.items():
        members.setdefault(str(one.service), []).append(host)
    known: dict[str, int] = {}

    def path_s(service: str) -> int:
        if service not in known:
            before = {name for host in members[service] for name in settings[host].after if name in members}
            known[service] = max((path_s(name) for name in before), default=0) + _service_s(members[service], plan)
        return known[service]

    tiers = {service: plan["services"][service]["tier"] for service in members}
    return sum(max(path_s(one) for one in members if tiers[one] == tier) for tier in set(tiers.values()))


def _service_s(hosts: Sequence[str], plan: Mapping[str, Any]) -> int:
    entries: list[dict[str, Any]] = [plan["hosts"][host] for host in hosts]
    service = plan["services"][entries[0]["service"]]
    at_once = int(len(service["hosts"]) - service["min_healthy"] - len(service["out"]))
    rings = [[entry["estimate_s"] for entry in entries if entry["ring"] == ring] for ring in RINGS]
    rings = [estimates for estimates in rings if estimates]
    soak_s: int = (len(rings) - 1) * min(entry["soak_s"] for entry in entries)
    return soak_s + sum(int(max(*estimates, sum(estimates) // at_once)) for estimates in rings)


def report(hosts: int = HOSTS) -> None:
    """Plan for the fleet and print the figures."""
    found = measure(fleet(hosts))
    hours = {
        "bound": found.bound_s,
        "waves": found.makespan_s,
        "serial: 1": found.one_by_one_s,
        "serial: 10%": found.tenths_s,
    }
    print(
        f"\nplanning {hosts} hosts of {max(1, hosts * SERVICES // HOSTS)} services, {WINDOWS} windows, 4 tiers of"
        f" {len(RINGS)} rings, at most {PARALLEL} at a time: {found.planning_s:.1f} s,"
        f" {found.peak_bytes / 1e6:.0f} MB, {found.planned} planned in {found.waves} waves\n"
    )
    print(f"{'night':<14} {'hours':>7} {'÷ bound':>8}")
    for name, seconds in hours.items():
        print(f"{name:<14} {seconds / 3600:>7.1f} {seconds / found.bound_s:>8.2f}")
    print("serial: 10% keeps no service at min_healthy, no order, no ring and no window.")


if __name__ == "__main__":
    report(*(int(word) for word in sys.argv[1:]))
