# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of hosts: the outcome words, and what the ledger says of each host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.names import natural_key
from ansible_collections.hospital.patching.plugins.plugin_utils.times import read_stamp

GOOD = frozenset({"patched", "nothing_to_do", "excluded"})
BAD = frozenset({"refused", "rolled_back", "unverified", "stuck", "not_started", "unreachable"})
OUTCOMES = GOOD | BAD

#: Outcomes in which a patch or a host failed: these count against the failure budget.
FAILURES = frozenset({"rolled_back", "unverified", "stuck", "unreachable"})
#: Outcomes after which a host counts as out of service even when it was returned.
STAYS_OUT = frozenset({"unverified", "stuck", "unreachable"})
#: From the first of these on a host is counted as out, until it is returned.
DISRUPTIVE_STEPS = frozenset({"lock", "health_before", "drain", "snapshot", "install", "restart", "verify"})


@dataclass(frozen=True)
class HostState:
    """What the ledger knows of one host; ``time`` is that of the last record that changed it."""

    outcome: str | None
    time: datetime
    out: bool
    reason: str = ""
    #: It failed its health check, so it does not serve, whether it is held or not.
    unhealthy: bool = False


def host_states(records: Iterable[Mapping[str, Any]]) -> dict[str, HostState]:
    """Return the state of every host that the ledger's records name."""
    states: dict[str, HostState] = {}
    for record in records:
        host = record["host"]
        if host is None:
            continue
        changed = _after(record, states.get(host))
        if changed is not None:
            states[host] = changed
    return states


def _after(record: Mapping[str, Any], state: HostState | None) -> HostState | None:
    """Return the state after ``record``, or None when the record changes nothing."""
    time = read_stamp(record["time"])
    step, event = record["step"], record["event"]
    if event == "outcome":
        outcome = str(record["detail"]["outcome"])
        was_out = state is not None and state.out
        out = outcome in STAYS_OUT or (was_out and outcome not in GOOD)
        unhealthy = out and state is not None and state.unhealthy
        return HostState(outcome, time, out, str(record["detail"].get("reason", "")), unhealthy)
    if event == "note":
        return None
    if (step, event) == ("lock", "failed") and not record["detail"].get("lost_connection"):
        return None  # the host said no, so nobody holds it
    if step in DISRUPTIVE_STEPS and state is not None and state.outcome == "stuck":
        return None  # it needs a person until an outcome says otherwise, whoever works on it meanwhile
    if step in DISRUPTIVE_STEPS:
        return HostState(None, time, out=True, unhealthy=step == "health_before" and event == "failed")
    if step == "return" and event == "done" and state is not None:
        # A host that was called unverified or unreachable is proven only by a new run; a person returns a stuck one.
        stays = state.outcome in STAYS_OUT - {"stuck"}
        return replace(state, out=stays or state.unhealthy)
    return None


def by_host(plan: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the outcome of every host of the plan that has one, those not planned included."""
    return {host: outcome for host, (outcome, _reason) in _all(plan, records).items()}


def reasons(plan: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the reason of every outcome that :func:`by_host` returns."""
    return {host: reason for host, (_outcome, reason) in _all(plan, records).items()}


def _all(plan: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    found = {host: (entry["outcome"], entry["reason"]) for host, entry in plan["not_planned"].items()}
    for host, state in host_states(records).items():
        if state.outcome is not None and host in plan["hosts"]:
            found[host] = (state.outcome, state.reason)
    return {host: found[host] for host in sorted(found, key=natural_key)}


def exit_reason(outcomes: Mapping[str, str]) -> str | None:
    """Return why a run with these outcomes does not exit 0, or None when it may."""
    bad: dict[str, list[str]] = {}
    for host in sorted(outcomes, key=natural_key):
        if outcomes[host] not in GOOD:
            bad.setdefault(outcomes[host], []).append(host)
    if not bad:
        return None
    parts = [f"{outcome}: {', '.join(hosts)}" for outcome, hosts in sorted(bad.items())]
    return "; ".join(parts) + ". Next: read the reasons in the report; plan these hosts again once they are in order."
