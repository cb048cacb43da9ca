# SPDX-License-Identifier: GPL-3.0-or-later
"""The first five lines of the morning: what waits for a human, what users feel, and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.hospital.patching.plugins.plugin_utils.report import words

MOST = 5
TONIGHT = "tonight"
NEXT_WINDOW = "next window"

PLAN_AGAIN = "ansible-playbook playbooks/plan.yml"
REPORT = "ansible-playbook playbooks/report.yml -e patching_run_id={run}"
RESUME = "ansible-playbook playbooks/patch.yml -e patching_plan={run}"
EXPLAIN = "ansible-playbook playbooks/explain.yml -l {host}"
REBOOT = "ansible {host} -b -m ansible.builtin.reboot"
READ_HEALTH = "ansible {host} -b -m hospital.patching.app_health_info -a builtin=true"


class _Kind(NamedTuple):
    """How one sort of trouble is told."""

    rank: int
    deadline: str
    command: str
    together: bool  # many hosts in one line


KINDS = {
    "device_contacted": _Kind(0, TONIGHT, EXPLAIN, together=False),
    "stuck": _Kind(1, TONIGHT, READ_HEALTH, together=False),
    "unreachable": _Kind(2, TONIGHT, READ_HEALTH, together=False),
    "unverified": _Kind(3, TONIGHT, READ_HEALTH, together=False),
    "unfinished": _Kind(4, TONIGHT, RESUME, together=True),
    "evidence": _Kind(5, "today", REPORT, together=False),
    "felt": _Kind(6, "today", REPORT, together=False),
    "rolled_back": _Kind(7, NEXT_WINDOW, PLAN_AGAIN, together=False),
    "refused": _Kind(8, NEXT_WINDOW, PLAN_AGAIN, together=True),
    "not_started": _Kind(9, NEXT_WINDOW, PLAN_AGAIN, together=True),
    "marks": _Kind(10, "today", EXPLAIN, together=False),
    "reboot_owed": _Kind(11, NEXT_WINDOW, REBOOT, together=True),
    "conffile": _Kind(12, NEXT_WINDOW, EXPLAIN, together=True),
}


def needs_you(
    run_id: str,
    hosts: Sequence[Mapping[str, Any]],
    services: Sequence[Mapping[str, Any]],
    devices: Iterable[Mapping[str, Any]],
    findings: Sequence[str] | None,
) -> list[dict[str, Any]]:
    """Return at most five lines, most urgent first; a fifth stands for all that did not fit."""
    by_name = {service["service"]: service for service in services}
    troubles: dict[str, list[Mapping[str, Any]]] = {}
    for host in hosts:
        for kind in _kinds_of(host):
            troubles.setdefault(kind, []).append(host)
    lines = [_contacted(device) for device in devices if device["connections"]]
    if findings:
        lines.append(_evidence(run_id, findings))
    lines.extend(_felt(service, run_id) for service in services if _suffered(service))
    for kind, those in troubles.items():
        groups = _together(those) if KINDS[kind].together else [[host] for host in those]
        lines.extend(_line(kind, group, by_name, run_id) for group in groups)
    lines.sort(key=lambda line: (KINDS[line["kind"]].rank, line.pop("tier")))
    return _at_most(lines, run_id)


def _kinds_of(host: Mapping[str, Any]) -> list[str]:
    outcome = host["outcome"]
    if outcome is None:
        return ["unfinished"]
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
    kind: str, hosts: Sequence[Mapping[str, Any]], services: Mapping[str, Mapping[str, Any]], run_id: str
) -> dict[str, Any]:
    first = hosts[0]
    names = [host["host"] for host in hosts]
    service = services.get(str(first["service"]))
    return {
        "kind": kind,
        "outcome": first["outcome"],
        "hosts": names,
        "host": _list(names),
        "feels": _feels(kind, hosts, service),
        "why": " ".join(str(first["reason"]).split()) if kind in _WITH_REASON else _why(kind, hosts),
        "deadline": KINDS[kind].deadline,
        "command": KINDS[kind].command.format(run=shlex.quote(run_id), host=shlex.quote(",".join(names))),
        "call": _call(hosts, services),
        "tier": min(9 if host["tier"] is None else host["tier"] for host in hosts),
    }


_WITH_REASON = frozenset({"stuck", "unreachable", "unverified", "rolled_back", "refused", "not_started", "unfinished"})


def _why(kind: str, hosts: Sequence[Mapping[str, Any]]) -> str:
    if kind == "marks":
        return "the marks or holds of its packages differ from before"
    if kind == "conffile":
        return "configuration files proposed by packages: " + _list(
            [path for host in hosts for path in host["conffile_proposals"]]
        )
    owed = list(dict.fromkeys(str(one["unit"] or one["pid"]) for host in hosts for one in host["owed"]))
    reasons = list(dict.fromkeys(reason for host in hosts for reason in host["reboot"]["reasons"]))
    return "still running old code: " + _list(owed or reasons or ["unknown"])


def _feels(kind: str, hosts: Sequence[Mapping[str, Any]], service: Mapping[str, Any] | None) -> str:
    """Say what users notice; never more than what was recorded."""
    if kind == "stuck":
        return _capacity(service)
    if kind == "unreachable":
        return f"unknown; if it is down, {_capacity(service)}"
    if kind == "unverified":
        return "unknown: in use, but not proven to work"
    if kind == "unfinished":
        return "unknown: the run has not finished here"
    if kind == "marks":
        return "nothing"
    lacking = _lacking(hosts)
    if kind == "rolled_back":
        return f"nothing: back on its old versions{lacking}"
    if kind in ("refused", "not_started"):
        return f"nothing: not touched{lacking}"
    return "nothing"


def _lacking(hosts: Sequence[Mapping[str, Any]]) -> str:
    missing = [update for host in hosts for update in host["updates"] if update["state"] != "installed"]
    if not missing:
        return ""
    security = sum(update["security"] for update in missing)
    return f", {len(missing)} update{'s' if len(missing) > 1 else ''} missing ({security} security)"


def _capacity(service: Mapping[str, Any] | None) -> str:
    """Say how many hosts the service of an absent host has left."""
    if service is None:
        return "whoever uses this host is without it"
    out = sum(outcome in ("stuck", "unreachable") for outcome in service["outcomes"].values())
    size, least = len(service["hosts"]), service["min_healthy"]
    left = size - out
    if left <= 0:
        return f"{service['service']} counts as out of service"
    text = f"{service['service']} runs on {left} of {size} hosts"
    if least is not None and left < least:
        return f"{text}, fewer than the {least} it needs"
    return f"{text}; no spare" if least is None or left <= max(least, 1) else text


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
        named.append(f"the owner{'s' if len(unnamed) > 1 else ''} of {_list(unnamed)}")
    return _list(list(dict.fromkeys(named)))


def _contacted(device: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": "device_contacted",
        "outcome": "excluded",
        "hosts": [device["host"]],
        "host": device["host"],
        "feels": "unknown: a medical device was connected to",
        "why": f"it counted {device['connections']} connections; it must have none",
        "deadline": TONIGHT,
        "command": EXPLAIN.format(host=shlex.quote(device["host"])),
        "call": "clinical engineering",
        "tier": 0,
    }


def _suffered(service: Mapping[str, Any]) -> bool:
    """Whether users were hurt who should not have been; a service without a spare states the downtime it accepts."""
    measured = service["measured"] or {}
    return bool(service["min_healthy"] and (measured.get("failed") or measured.get("downtime_ms")))


def _felt(service: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    return {
        "kind": "felt",
        "outcome": None,
        "hosts": list(service["hosts"]),
        "host": f"service {service['service']}",
        "feels": f"{words.measured(service)} during the night",
        "why": f"it was to stay up on {service['min_healthy']} of {len(service['hosts'])} hosts",
        "deadline": KINDS["felt"].deadline,
        "command": REPORT.format(run=shlex.quote(run_id)),
        "call": service["owner"] or f"the owner of {service['service']}",
        "tier": 9 if service["tier"] is None else service["tier"],
    }


def _evidence(run_id: str, findings: Sequence[str]) -> dict[str, Any]:
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return {
        "kind": "evidence",
        "outcome": None,
        "hosts": [],
        "host": "this run's ledger",
        "feels": "nothing: the night cannot be proven",
        "why": " ".join(str(findings[0]).split()) + more,
        "deadline": "today",
        "command": REPORT.format(run=shlex.quote(run_id)),
        "call": "whoever keeps the evidence",
        "tier": 0,
    }


def _at_most(lines: list[dict[str, Any]], run_id: str) -> list[dict[str, Any]]:
    if len(lines) <= MOST:
        return lines
    rest = lines[MOST - 1 :]
    names = list(dict.fromkeys(name for line in rest for name in line["hosts"] or [line["host"]]))
    return [
        *lines[: MOST - 1],
        {
            "kind": "more",
            "outcome": None,
            "hosts": names,
            "host": f"{len(rest)} more",
            "feels": "see each host below",
            "why": _list(names, 8),
            "deadline": rest[0]["deadline"],
            "command": REPORT.format(run=shlex.quote(run_id)),
            "call": "the owners named below",
        },
    ]


def _list(names: Sequence[str], most: int = 4) -> str:
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
