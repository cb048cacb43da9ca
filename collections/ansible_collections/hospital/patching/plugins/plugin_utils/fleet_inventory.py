# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet's inventory: what every host has and owes, and which hosts are missing.

One document a host is read at a time, so that memory does not grow with the
fleet. A host that is missing, or of which anything is unknown, is never
``up_to_date``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from ansible_collections.hospital.patching.plugins.plugin_utils import end_of_life, inventory_csv
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence, replacing, write_json
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet_entry import as_of, entry, mapping
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet_state import STATES, Member
from ansible_collections.hospital.patching.plugins.plugin_utils.times import stamp


@dataclass(frozen=True)
class Written:
    """The fleet's document, and the hosts that raise an alarm."""

    document: dict[str, Any]
    alarms: list[str]


def write(
    store: Evidence,
    members: Iterable[Member],
    judge_of: Callable[[Member], end_of_life.Judge],
    now: datetime,
    check: bool = False,
) -> Written:
    """Write ``fleet.json``, ``fleet.csv`` and ``pending.csv``; in check mode only return what they would say.

    Raises:
        PatchingError: the evidence directory cannot be written.
    """
    hosts: dict[str, Any] = {}
    alarms: list[str] = []
    with ExitStack() as stack:
        software = inventory_csv.Table(
            stack.enter_context(_sink(store, "fleet.csv", check)), inventory_csv.SOFTWARE_COLUMNS
        )
        pending = inventory_csv.Table(
            stack.enter_context(_sink(store, "pending.csv", check)), inventory_csv.PENDING_COLUMNS
        )
        for member in members:
            found = entry(member, judge_of(member), now)
            hosts[member.host] = found.summary
            document = member.assessment or {}
            if member.mark is not None and document.get("answered"):
                alarms.append(member.host)
            about = (member.host, found.state.name, as_of(document))
            identity = mapping(mapping(document.get("software")).get("os"))
            software.add(inventory_csv.software_rows(*about, identity, found.installed, found.findings))
            pending.add(
                inventory_csv.pending_rows(member.host, found.state.name, found.state.seen, document.get("pending"))
            )
    written = Written(_document(hosts, alarms, now), alarms)
    if not check:
        write_json(store.inventory_path("fleet.json"), written.document)
    return written


def _document(hosts: Mapping[str, Any], alarms: list[str], now: datetime) -> dict[str, Any]:
    states = Counter(host["state"] for host in hosts.values())
    return {
        "format": 1,
        "time": stamp(now),
        "alarms": [
            {
                "host": name,
                "severity": "alarm",
                "reason": f"{hosts[name]['reason']}; it answers at {hosts[name]['address']}",
            }
            for name in alarms
        ],
        "summary": {
            "hosts": len(hosts),
            "up_to_date": sum(host["up_to_date"] for host in hosts.values()),
            "states": {state: states[state] for state in STATES if states[state]},
        },
        "hosts": dict(hosts),
    }


def _sink(store: Evidence, name: str, check: bool) -> AbstractContextManager[TextIO]:
    if check:
        return Path(os.devnull).open("w", encoding="utf-8", errors="replace")
    return replacing(store.inventory_path(name))


def lines(document: Mapping[str, Any], most: int = 20) -> list[str]:
    """Return the inventory for a person: alarms, then missing hosts, the worst first, then one line of sums."""
    hosts: Mapping[str, Any] = document["hosts"]
    found = [f"ALARM  {alarm['host']}: {alarm['reason']}" for alarm in document["alarms"]]
    missing = [name for name in hosts if hosts[name]["state"] not in ("assessed", "not_contacted")]
    missing.sort(key=lambda name: STATES.index(hosts[name]["state"]))
    found += [f"{hosts[name]['state']}  {name}: {hosts[name]['reason']}" for name in missing[:most]]
    if len(missing) > most:
        found.append(f"and {len(missing) - most} more hosts that were not assessed: see inventory/fleet.json")
    summary = document["summary"]
    states = (
        ", ".join(f"{summary['states'][state]} {state}" for state in STATES if state in summary["states"]) or "none"
    )
    return [*found, f"{summary['hosts']} hosts: {states}; {summary['up_to_date']} up to date"]
