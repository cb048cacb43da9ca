# SPDX-License-Identifier: GPL-3.0-or-later
"""The first five lines of the morning: what waits for a human, what users feel, and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.report import absence_words, sentences, words
from ansible_collections.hospital.patching.plugins.plugin_utils.report.next_steps import (
    EXPLAIN,
    KINDS,
    NOW,
    REPORT,
    TODAY,
)

MOST = 5


def needs_you(
    run_id: str,
    hosts: Sequence[Mapping[str, Any]],
    services: Sequence[Mapping[str, Any]],
    devices: Iterable[Mapping[str, Any]],
    findings: Sequence[str] | None,
    broken_glass: str | None = None,
) -> list[dict[str, Any]]:
    """Return at most five lines, most urgent first; a fifth stands for all that did not fit.

    Args:
        broken_glass: what is told of the plan's break-glass; somebody has to look at it afterwards.
    """
    by_name = {service["service"]: service for service in services}
    stopped = any(host["outcome"] == "not_started" for host in hosts)
    troubles: dict[str, list[Mapping[str, Any]]] = {}
    for host in hosts:
        for kind in _kinds_of(host):
            troubles.setdefault(kind, []).append(host)
    lines = [_contacted(device) for device in devices if device["connections"]]
    if findings:
        lines.append(_evidence(run_id, findings))
    if broken_glass:
        lines.append(_broken_glass(run_id, broken_glass))
    lines.extend(_felt(service, run_id) for service in services if _suffered(service))
    for kind, those in troubles.items():
        groups = _together(those) if KINDS[kind].together else [[host] for host in those]
        lines.extend(_line(kind, group, by_name, run_id, stopped) for group in groups)
    lines.sort(key=lambda line: (KINDS[line["kind"]].rank, line.pop("tier")))
    return _at_most(lines, run_id)


def _kinds_of(host: Mapping[str, Any]) -> list[str]:
    outcome = host["outcome"]
    if outcome is None:
        return ["unfinished"]
    if outcome == "rolled_back" and host["asked"]:
        return ["taken_back"]
    if outcome in KINDS:
        return [outcome]
    kinds = []
    if host["marks_equal"] is False or host["holds_equal"] is False:
        kinds.append("marks")
    if host["owed"] or (host["reboot"]["required"] and not host["reboot"]["rebooted"]):
        kinds.append("reboot_owed")
    if host["conffile_proposals"]:
        kinds.append("conffile")
    return kinds


def _together(hosts: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return the hosts in groups that share a reason: one cause is one line."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for host in hosts:
        groups.setdefault(host["reason"], []).append(host)
    return list(groups.values())


def _line(
    kind: str,
    hosts: Sequence[Mapping[str, Any]],
    services: Mapping[str, Mapping[str, Any]],
    run_id: str,
    stopped: bool,
) -> dict[str, Any]:
    first = hosts[0]
    names = [host["host"] for host in hosts]
    return {
        "kind": kind,
        "outcome": first["outcome"],
        "hosts": names,
        "host": words.some(names),
        "word": sentences.word(kind, first),
        "feels": sentences.feels(kind, hosts, services.get(str(first["service"]))),
        "why": sentences.why(kind, hosts, stopped),
        "now": sentences.now(kind, hosts),
        "next": KINDS[kind].next.format(by=(first["asked"] or {}).get("by") or "whoever asked"),
        "deadline": KINDS[kind].deadline,
        "command": KINDS[kind].command.format(run=shlex.quote(run_id), host=shlex.quote(",".join(names))),
        "call": _call(hosts, services),
        "tier": min(9 if host["tier"] is None else host["tier"] for host in hosts),
    }


def _call(hosts: Sequence[Mapping[str, Any]], services: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the owners' names and, where none is named, whose owner it is."""
    named: list[str] = []
    unnamed: list[str] = []
    for host in hosts:
        service = services.get(str(host["service"])) or {}
        owner = host["owner"] or service.get("owner")
        if owner:
            named.append(str(owner))
        else:
            unnamed.append(str(service.get("service") or host["host"]))
    unnamed = list(dict.fromkeys(unnamed))
    if unnamed:
        named.append(f"the owner{'s' if len(unnamed) > 1 else ''} of {words.some(unnamed)}")
    return words.some(list(dict.fromkeys(named)))


def _contacted(device: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": "device_contacted",
        "word": words.TROUBLES["device_contacted"],
        "outcome": "excluded",
        "hosts": [device["host"]],
        "host": device["host"],
        "feels": "unknown: a medical device was connected to",
        "why": f"it counted {device['connections']} connections; it must have none",
        "now": "",
        "next": KINDS["device_contacted"].next,
        "deadline": NOW,
        "command": EXPLAIN.format(host=shlex.quote(device["host"])),
        "call": "clinical engineering",
        "tier": 0,
    }


def _suffered(service: Mapping[str, Any]) -> bool:
    """Whether users were hurt who should not have been, or for longer than the service accepts."""
    measured, downtime = service["measured"] or {}, service["downtime"] or {"at_least_s": 0}
    if service["min_healthy"]:
        return bool(measured.get("failed") or measured.get("downtime_ms") or downtime["at_least_s"])
    return service["accepted_s"] is not None and downtime["at_least_s"] > service["accepted_s"]


def _felt(service: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    accepted = f"it accepts {words.duration((service['accepted_s'] or 0) * 1000)} of downtime"
    felt = absence_words.measured(service) or f"downtime {absence_words.bounds(service['downtime'])}"
    spare = f"it was to stay up on {service['min_healthy']} of {len(service['hosts'])} hosts"
    return {
        "kind": "felt",
        "word": words.TROUBLES["felt"],
        "outcome": None,
        "hosts": list(service["hosts"]),
        "host": f"service {service['service']}",
        "feels": f"{felt} during the night",
        "why": spare if service["min_healthy"] else accepted,
        "now": "",
        "next": KINDS["felt"].next,
        "deadline": KINDS["felt"].deadline,
        "command": REPORT.format(run=shlex.quote(run_id)),
        "call": service["owner"] or f"the owner of {service['service']}",
        "tier": 9 if service["tier"] is None else service["tier"],
    }


def _evidence(run_id: str, findings: Sequence[str]) -> dict[str, Any]:
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return {
        "kind": "evidence",
        "word": words.TROUBLES["evidence"],
        "outcome": None,
        "hosts": [],
        "host": "this run's ledger",
        "feels": "nothing: the night cannot be proven",
        "why": " ".join(str(findings[0]).split()) + more,
        "now": "",
        "next": KINDS["evidence"].next,
        "deadline": TODAY,
        "command": REPORT.format(run=shlex.quote(run_id)),
        "call": "whoever keeps the evidence",
        "tier": 0,
    }


def _broken_glass(run_id: str, told: str) -> dict[str, Any]:
    return {
        "kind": "break_glass",
        "word": words.TROUBLES["break_glass"],
        "outcome": None,
        "hosts": [],
        "host": "this run",
        "feels": "nothing: rules were shortened, by people who answer for it",
        "why": told,
        "now": "",
        "next": KINDS["break_glass"].next,
        "deadline": TODAY,
        "command": REPORT.format(run=shlex.quote(run_id)),
        "call": "whoever is responsible for changes",
        "tier": 0,
    }


def _at_most(lines: list[dict[str, Any]], run_id: str) -> list[dict[str, Any]]:
    if len(lines) <= MOST:
        return lines
    rest = lines[MOST - 1 :]
    names = list(dict.fromkeys(name for line in rest for name in line["hosts"] or [line["host"]]))
    told = [f"{line['host']} ({line['word']})" for line in rest]
    return [
        *lines[: MOST - 1],
        {
            "kind": "more",
            "word": words.TROUBLES["more"],
            "outcome": None,
            "hosts": names,
            "host": f"{len(rest)} more",
            "feels": "see each host below",
            "why": words.some(told, 8),
            "now": "",
            "next": "Read the hosts below, worst first",
            "deadline": rest[0]["deadline"],
            "command": REPORT.format(run=shlex.quote(run_id)),
            "call": "the owners named below",
        },
    ]
